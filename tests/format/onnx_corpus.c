/* onnx_corpus.c - ONNX files that other people made: outputs within 1e-4 of their scale. */
#include "tap.h"

#include <jansson.h>

#include "base/report.h"
#include "base/str.h"
#include "exec/session.h"
#include "pass/pass.h"
#include "corpus_line.h"
#include "shared.h"
#include "tensors.h"

enum { IO_MAX = 64 };

struct sample {
    struct arena *arena;
    const char *folder;
    json_t *refs;
    struct graph *graph;
    char refused[300]; /* why */
};

static const char *model_in(struct arena *a, const char *folder, struct err *e)
{
    const char **names;
    size_t n;
    if (file_list(a, folder, &names, &n, e)) return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);
        if (len > 5 && !strcmp(names[i] + len - 5, ".onnx")) return file_join(a, folder, names[i]);
    }
    return NULL;
}

static const char *text_of(const json_t *list, size_t i)
{
    return json_string_value(json_array_get(list, i));
}

/* Largest difference over all outputs. */
static int compare_outputs(
    struct sample *s, const json_t *outputs, const struct tensor *out, double *most, struct err *e)
{
    const json_t *out_names = json_object_get(s->refs, "output_names");
    const struct graph *g = s->graph;
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const struct tensor *want = tensor_from_npy(s->arena, file_join(s->arena, s->folder, text_of(outputs, i)), e);
        const struct value *v = graph_find(g, text_of(out_names, i));
        if (!want || !v) return fail(e, ERR_FAILED, "no output %s", text_of(out_names, i));
        for (size_t k = 0; k < g->n_outputs; k++)
            if (g->outputs[k] == v) *most = fmax(*most, tensor_difference(&out[k], want));
    }
    return 0;
}

/* As a user runs it: cleaned by the import passes, in a plan. */
static int compare(struct sample *s, const json_t *inputs, const json_t *outputs, double *most, struct err *e)
{
    struct tensor *in[IO_MAX] = { 0 }, out[IO_MAX] = { { 0 } };
    const json_t *in_names = json_object_get(s->refs, "input_names");
    struct graph *g = s->graph;
    if (g->n_inputs > IO_MAX || g->n_outputs > IO_MAX) return fail(e, ERR_FAILED, "too many inputs or outputs");
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        struct tensor *t = tensor_from_npy(s->arena, file_join(s->arena, s->folder, text_of(inputs, i)), e);
        if (!t) return e->code;
        for (size_t k = 0; k < g->n_inputs; k++)
            if (!strcmp(g->inputs[k]->name, text_of(in_names, i))) in[k] = t;
    }
    struct session *session = session_new(g, &(struct session_options){ 0 }, e);
    if (!session) return e->code;
    int code = session_run(session, (const struct tensor *const *)in, out, e);
    if (!code) code = compare_outputs(s, outputs, out, most, e);
    session_free(session);
    return code;
}

/* A file may declare another number of samples than its reference was made with: opened again with that left free. */
static int free_samples(struct sample *s, const char *model, struct err *e)
{
    struct report r = report_in(s->arena);
    const struct graph *g = s->graph;
    struct import_hint *hints = ARENA_ARRAY(s->arena, g->n_inputs, struct import_hint);
    TRY_MEM(hints, e);
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct str text = str_in(s->arena);
        str_addf(&text, "%s=N", g->inputs[i]->name);
        for (int d = 1; d < g->inputs[i]->shape.rank; d++)
            str_addf(&text, "x%lld", (long long)g->inputs[i]->shape.dim[d]);
        TRY(import_hint_parse(s->arena, str_done(&text), &hints[i], e));
    }
    struct import_options o = { .inputs = hints, .n_inputs = g->n_inputs };
    TRY(format_read(s->arena, model, &o, &s->graph, &r, e));
    return pass_run(s->graph, PASS_IMPORT, NULL, e);
}

static int run(struct sample *s, double *most, struct err *e)
{
    struct report r = report_in(s->arena);
    const char *model = model_in(s->arena, s->folder, e);
    if (!model) return fail(e, ERR_IO, "%s has no model", s->folder);
    int code = format_read(s->arena, model, NULL, &s->graph, &r, e);
    const char *status = json_string_value(json_object_get(s->refs, "status"));
    if (!strcmp(status, "expect-refusal") && code) { /* taking it after all is no fault: what cannot be said is told */
        snprintf(s->refused, sizeof s->refused, "%.299s", e->text);
        return code == ERR_UNSUPPORTED || code == ERR_MODEL || code == ERR_SHAPE ? err_clear(e), 0 : code;
    }
    TRY(code);
    TRY(pass_run(s->graph, PASS_IMPORT, NULL, e));
    if (strcmp(status, "reference") != 0) return 0;
    const json_t *inputs = json_object_get(s->refs, "inputs"), *outputs = json_object_get(s->refs, "outputs");
    struct err other = { 0 };
    int outcome = compare(s, inputs, outputs, most, &other);
    if (outcome != ERR_SHAPE) return outcome ? fail(e, outcome, "%s", other.text) : 0;
    TRY(free_samples(s, model, e));
    return compare(s, inputs, outputs, most, e);
}

TEST(outputs_of_the_corpus)
{
    enum { AT_LEAST = 31 };
    struct arena a;
    struct err e = { 0 };
    const char **names;
    size_t n;
    int good = 0;
    arena_init(&a, NULL);
    if (!shared_dir()) SKIP("no shared samples");
    const char *root = arena_printf(&a, "%s/corpus/onnx", shared_dir());
    CHECK_OK(file_list(&a, root, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++) {
        struct arena one;
        double most = 0;
        arena_init(&one, NULL);
        struct sample s = { .arena = &one, .folder = file_join(&one, root, names[i]) };
        s.refs = json_load_file(file_join(&one, s.folder, "refs.json"), 0, NULL);
        CHECK(s.refs != NULL);
        int code = run(&s, &most, &e);
        bool near = !code && most <= 1e-4;
        good += near;
        const char *status = json_string_value(json_object_get(s.refs, "status"));
        bool ran = !strcmp(status, "reference");
        corpus_line("onnx", names[i], !near ? "WRONG" : ran ? "right" : s.refused[0] ? "refused" : "parsed",
            ran ? most : -1, near ? s.refused : e.text);
        json_decref(s.refs);
        err_clear(&e);
        arena_release(&one);
    }
    if (good < AT_LEAST) TAP_FAIL("%d of %zu are right, expected at least %d", good, n, AT_LEAST);
    arena_release(&a);
}
