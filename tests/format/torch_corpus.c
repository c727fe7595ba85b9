/* torch_corpus.c - TorchScript files that other people made: outputs within 1e-4 of their scale, call after call.
 * The quantized one is right to the bit, which shows only in plans: there its integers are added as PyTorch adds
 * them. */
#include "tap.h"

#include <jansson.h>

#include "base/report.h"
#include "base/str.h"
#include "exec/session.h"
#include "graph/graph.h"
#include "corpus_line.h"
#include "shared.h"
#include "tensors.h"

enum { IO_MAX = 64 };

/* Numbers that a model wants beside tensors. */
static const struct {
    const char *folder, *hint;
} numbers[] = { { "silero_vad_jit", "sr=16000" } };

struct sample {
    struct arena *arena;
    const char *folder;
    struct tensor *in[IO_MAX], *want[IO_MAX];
    size_t n_in, n_want;
    struct graph *graph;
};

static int load(struct sample *s, const json_t *refs, const char *key, struct tensor **out, size_t *n, struct err *e)
{
    const json_t *list = json_object_get(refs, key);
    for (size_t i = 0; i < json_array_size(list) && i < IO_MAX; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!(out[(*n)++] = tensor_from_npy(s->arena, file_join(s->arena, s->folder, name), e))) return e->code;
    }
    return 0;
}

static const char *model_in(struct arena *a, const char *folder, struct err *e)
{
    static const char *const ends[] = { ".pt", ".ptl", ".jit", ".dat", ".pth" };
    const char **names;
    size_t n;
    if (file_list(a, folder, &names, &n, e)) return NULL;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 5; k++)
            if (str_ends(names[i], ends[k])) return file_join(a, folder, names[i]);
    fail(e, ERR_IO, "%s has no model", folder);
    return NULL;
}

static int import(struct sample *s, const char *name, struct err *e)
{
    struct import_hint hints[IO_MAX + 1] = { 0 };
    struct report r = report_in(s->arena);
    size_t n = s->n_in;
    for (size_t i = 0; i < n; i++) {
        hints[i].dtype = s->in[i]->dtype;
        hints[i].rank = s->in[i]->shape.rank;
        for (int k = 0; k < hints[i].rank; k++) hints[i].dim[k].size = s->in[i]->shape.dim[k];
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(numbers[i].folder, name)) TRY(import_hint_parse(s->arena, numbers[i].hint, &hints[n++], e));
    struct import_options o = { .inputs = hints, .n_inputs = n };
    const char *model = model_in(s->arena, s->folder, e);
    return model ? format_read(s->arena, model, &o, &s->graph, &r, e) : e->code;
}

/* All calls in order; states go from one to the next. */
static int run(struct sample *s, double *most, struct err *e)
{
    size_t n_in = s->graph->n_inputs, n_out = s->graph->n_outputs, calls = n_in ? s->n_in / n_in : 1;
    struct tensor out[IO_MAX];
    if (n_out * calls != s->n_want || n_out > IO_MAX)
        return fail(e, ERR_FAILED, "%zu outputs in %zu calls, expected %zu", n_out, calls, s->n_want);
    struct session *session = session_new(s->graph, &(struct session_options){ .threads = 2 }, e);
    for (size_t call = 0; session && call < calls && !e->code; call++) {
        if (session_run(session, (const struct tensor *const *)s->in + call * n_in, out, e)) break;
        for (size_t i = 0; i < n_out; i++) *most = fmax(*most, tensor_difference(&out[i], s->want[call * n_out + i]));
    }
    session_free(session);
    return e->code;
}

/* Where the data's own range gives the steps to which it is rounded, the last bit of a sum decides now and then which
 * of two steps it is: of 30,000 numbers on their way through a transformer's 27 quantizers, about one. */
static double tolerance(const struct graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (node_is(g->nodes[i], "QuantizeLinear") && g->nodes[i]->in[1]->kind == VALUE_NODE) return 1e-2;
    return 1e-4;
}

static bool one(const char *corpus, const char *name)
{
    struct arena a;
    struct err e = { 0 };
    double most = 0;
    arena_init(&a, NULL);
    struct sample s = { .arena = &a, .folder = file_join(&a, corpus, name) };
    json_t *refs = json_load_file(file_join(&a, s.folder, "refs.json"), 0, NULL);
    int code = load(&s, refs, "inputs", s.in, &s.n_in, &e);
    if (!code) code = load(&s, refs, "outputs", s.want, &s.n_want, &e);
    if (!code) code = import(&s, name, &e);
    if (!code) code = run(&s, &most, &e);
    bool right = !code && s.n_want && most <= tolerance(s.graph);
    corpus_line("torchscript", name, right ? "right" : "WRONG", most, e.text);
    json_decref(refs);
    arena_release(&a);
    return right;
}

TEST(outputs_of_the_corpus)
{
    struct arena a;
    struct err e = { 0 };
    const char **names;
    size_t n;
    size_t right = 0;
    arena_init(&a, NULL);
    const char *corpus = shared_dir() ? file_join(&a, shared_dir(), "corpus/torchscript") : NULL;
    if (!corpus || !file_is_dir(corpus)) SKIP("no corpus");
    CHECK_OK(file_list(&a, corpus, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++) right += one(corpus, names[i]);
    printf("# %zu of %zu\n", right, n);
    CHECK(right == n);
    arena_release(&a);
}
