/* onnx_golden.c - single operators as ONNX Runtime computes them (made by tests/oracle/ort_cases.py): other domains,
 * and spellings newer than ONNX's own cases; what ONNX Runtime does not know, by its formula (new_cases.py). Each file
 * holds its inputs and outputs as initializers golden.in.* and golden.out.*. */
#include "tap.h"

#include "base/report.h"
#include "base/str.h"
#include "families.h"
#include "format/onnx/reader.h"
#include "graph/graph.h"
#include "ops/interpret.h"
#include "pass/pass.h"
#include "tensors.h"

enum { IO_MAX = 16 };

struct golden {
    struct arena *arena;
    struct format_file file;
    struct onnx_source source;
    struct onnx_model model;
    struct graph *graph;
    struct family *family;
    double worst;
};

static const struct tensor *stored(struct golden *g, const char *what, const char *name, struct err *e)
{
    const char *full = arena_printf(g->arena, "golden.%s.%s", what, name);
    for (size_t i = 0; i < g->model.graph.initializer.n; i++)
        if (!strcmp(g->model.graph.initializer.items[i].name, full))
            return onnx_tensor_load(&g->source, &g->model.graph.initializer.items[i], e);
    return fail(e, ERR_FAILED, "the file has no %s", full), NULL;
}

static int open_golden(struct golden *g, struct map *table, const char *path, struct err *e)
{
    struct report r = report_in(g->arena);
    g->file.path = path;
    if (!(g->file.blob = mapped_file(g->arena, path, &g->file.bytes, e))) return e->code;
    TRY(onnx_source_init(&g->source, g->arena, &g->file, e));
    TRY(onnx_decode_model(&g->model, g->arena, path, g->file.bytes, e));
    TRY(format_read(g->arena, path, NULL, &g->graph, &r, e));
    g->family = families_find(table, g->graph);
    return pass_run(g->graph, PASS_IMPORT, NULL, e);
}

/* What ONNX Runtime does otherwise, of the scale. It rounds the hidden state to 8 bits at each step, which we do not,
 * and its own answers differ by 8e-4 from machine to machine; it divides float16 as float32, where the specification
 * says that the quotient has the type of the scale: a step in ties. It adds what is pooled in float32, one by one, as
 * oneDNN does; our reference kernel adds in float64: a step in ties. */
static double allowed_for(const char *file, enum dtype t)
{
    if (str_starts(file, "ms_dynamic_lstm")) return 2e-3;
    if (str_starts(file, "quantize_half") || str_starts(file, "ms_qaverage_ties")) return 1.0 / 200;
    return t == DT_F16 ? 2e-3 : dtype_is_float(t) ? 1e-5 : 0;
}

/* Of the scale; quantized numbers to the bit. */
static bool is_near(const struct tensor *got, const struct tensor *want, const char *file, double *d)
{
    *d = tensor_difference(got, want);
    return *d <= allowed_for(file, want->dtype);
}

static int check(struct golden *g, struct err *e)
{
    struct tensor *in[IO_MAX] = { 0 }, *out[IO_MAX] = { 0 };
    double d;
    if (g->graph->n_inputs > IO_MAX || g->graph->n_outputs > IO_MAX) return fail(e, ERR_FAILED, "too many");
    for (size_t i = 0; i < g->graph->n_inputs; i++)
        if (!(in[i] = (struct tensor *)(uintptr_t)stored(g, "in", g->graph->inputs[i]->name, e))) return e->code;
    TRY(graph_interpret(g->graph, in, out, g->arena, NULL, e));
    for (size_t i = 0; i < g->graph->n_outputs; i++) {
        const struct tensor *want = stored(g, "out", g->graph->outputs[i]->name, e);
        if (!want) return e->code;
        bool near = is_near(out[i], want, file_base(g->file.path), &d);
        g->worst = fmax(g->worst, d);
        if (!near)
            return fail(e, ERR_MISMATCH, "%s differs by %.3g (%s rank %d, expected %s rank %d)",
                g->graph->outputs[i]->name, d, dtype_name(out[i]->dtype), out[i]->shape.rank, dtype_name(want->dtype),
                want->shape.rank);
    }
    return 0;
}

TEST(operators_agree_with_their_references)
{
    struct arena a;
    struct err e = { 0 };
    const char **names;
    size_t n, good = 0;
    arena_init(&a, NULL);
    const char *source = getenv("TENREC_SOURCE"),
               *root = arena_printf(&a, "%s/tests/golden/onnx", source ? source : ".");
    CHECK_OK(file_list(&a, root, &names, &n, &e), &e);
    struct map table = map_in(&a);
    for (size_t i = 0; i < n; i++) {
        struct arena one;
        arena_init(&one, NULL);
        struct golden g = { .arena = &one };
        int code = open_golden(&g, &table, file_join(&one, root, names[i]), &e);
        if (!code) code = check(&g, &e);
        if (code) TAP_FAIL("%s: %s", names[i], e.text);
        if (g.family) family_count(g.family, !code, g.worst);
        good += !code;
        err_clear(&e);
        arena_release(&one);
    }
    families_print(&table);
    printf("# %zu of %zu operators agree\n", good, n);
    arena_release(&a);
}
