/* model.c - the library's main path when memory runs out: open a package, make a session, run, score an image. */
#include "oom.h"

#include "base/err.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "package/model.h"

static const char package[] = "oom_model_test.tenrec";

static struct tensor *filled(struct arena *a, int rank, const int64_t *dims, struct err *e)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(a, DT_F32, &s, e);
    for (int64_t i = 0; t && i < tensor_count(t); i++) tensor_set_f64(t, i, (double)(i % 5) * 0.1 - 0.2);
    return t;
}

/* (N, 3, 8, 8) -> Conv, Relu, GlobalAveragePool, Flatten, Gemm -> (N, 4), with a state that counts runs. */
static struct graph *network(struct arena *a, struct err *e)
{
    struct graph *g = graph_new(a, &op_registry, "small", e);
    struct builder b = { g, e };
    struct shape s = shape_of(4, (int64_t[]){ graph_symbol(g, "N"), 3, 8, 8 });
    struct value *x = graph_input(g, "x", DT_F32, &s, e);
    struct value *w = graph_state(g, "w", filled(a, 4, (int64_t[]){ 6, 3, 3, 3 }, e), VALUE_TRAINABLE, e);
    struct value *v = graph_state(g, "v", filled(a, 2, (int64_t[]){ 6, 4 }, e), VALUE_TRAINABLE, e);
    struct value *n = graph_state(g, "n", filled(a, 0, NULL, e), 0, e);
    struct value *y = emit(&b, "Relu", NO_ATTRS, emit(&b, "Conv", NO_ATTRS, x, w));
    y = emit(&b, "Flatten", NO_ATTRS, emit(&b, "GlobalAveragePool", NO_ATTRS, y));
    y = emit(&b, "Gemm", NO_ATTRS, y, v);
    n->next = emit(&b, "Add", NO_ATTRS, n, emit_scalar(&b, DT_F32, 1));
    graph_output(g, y, e);
    graph_tidy(g, e);
    return g;
}

static int write_one(struct err *e)
{
    struct model m = { .path = "small", .format = "made" };
    arena_init(&m.arena, NULL);
    m.report = report_in(&m.arena);
    m.graph = network(&m.arena, e);
    int code = manifest_make(
        &m.manifest, &m.arena, m.graph, "small", "made", &(struct manifest_options){ 0 }, &m.report, e);
    if (!code) code = package_write(&m, package, NULL, e);
    model_close(&m);
    return code;
}

static int use(struct model *m, const struct mem *mem, struct err *e)
{
    TRY(model_open(m, package, &(struct model_options){ .mem = mem }, e));
    struct session_options o = { .threads = 1, .packs = m->packs, .mem = mem };
    struct session *s = session_new(m->graph, &o, e);
    if (!s) return e->code;
    for (int64_t n = 1; n < 3 && !e->code; n++) {
        struct tensor *x = filled(&m->arena, 4, (int64_t[]){ n, 3, 8, 8 }, e), out;
        if (x) session_run(s, (const struct tensor *[]){ x }, &out, e);
    }
    session_free(s);
    return e->code;
}

static int job(const struct mem *mem, void *ctx)
{
    struct model m;
    struct err e = { 0 };
    int code = use(&m, mem, &e);
    CHECK(code == e.code);
    model_close(&m);
    return code;
}

TEST(open_plan_and_run)
{
    struct err e = { 0 };
    CHECK_OK(write_one(&e), &e);
    printf("# %ld allocations\n", oom_each(job, NULL));
    unlink(package);
}
