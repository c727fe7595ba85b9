/* train.c - one training step as a graph: it learns, its statistics move, a step that is not finite harms nothing. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "train/step.h"

enum { BATCH = 8, FEATURES = 6, CLASSES = 3 };

static struct tensor *pattern(struct arena *a, int rank, const int64_t *dims, double scale, struct err *e)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(a, DT_F32, &s, e);
    for (int64_t i = 0; t && i < tensor_count(t); i++) tensor_set_f64(t, i, scale * sin((double)(i * i + 3 * i)));
    return t;
}

/* Gemm, BatchNormalization, Relu, Dropout, Gemm. */
static struct graph *model(struct arena *a, struct err *e)
{
    struct graph *g = graph_new(a, &op_registry, "m", e);
    struct builder b = { g, e };
    struct shape s = shape_of(2, (int64_t[]){ graph_symbol(g, "N"), FEATURES });
    struct value *x = graph_input(g, "x", DT_F32, &s, e);
    const int64_t w1[] = { FEATURES, 10 }, w2[] = { 10, CLASSES }, ten[] = { 10 };
    struct value *y = emit(
        &b, "MatMul", NO_ATTRS, x, graph_state(g, "w1", pattern(a, 2, w1, 0.5, e), VALUE_TRAINABLE, e));
    struct tensor *one = pattern(a, 1, ten, 0, e), *var = pattern(a, 1, ten, 0, e);
    for (int i = 0; i < 10; i++) tensor_set_f64(one, i, 1), tensor_set_f64(var, i, 1);
    y = emit(&b, "BatchNormalization", NO_ATTRS, y, graph_state(g, "scale", one, VALUE_TRAINABLE, e),
        graph_state(g, "bias", pattern(a, 1, ten, 0, e), VALUE_TRAINABLE, e),
        graph_state(g, "mean", pattern(a, 1, ten, 0, e), 0, e), graph_state(g, "var", var, 0, e));
    y = emit(&b, "Dropout", NO_ATTRS, emit(&b, "Relu", NO_ATTRS, y), emit_scalar(&b, DT_F32, 0.1));
    y = emit(&b, "MatMul", NO_ATTRS, y, graph_state(g, "w2", pattern(a, 2, w2, 0.5, e), VALUE_TRAINABLE, e));
    graph_output(g, y, e);
    graph_tidy(g, e);
    return g;
}

struct fixture {
    struct arena a;
    struct err e;
    struct graph *g;
    struct session *s;
    struct tensor *in[3];
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->a, NULL);
    struct graph *m = model(&f->a, &f->e);
    f->g = train_step_new(m,
        &(struct train_step_options){ .heads = &(struct train_head){ .loss.name = "cross_entropy" },
            .n_heads = 1,
            .attrs = ATTRS(attr_float("momentum", 0.9)) },
        &f->a, &f->e);
    CHECK_OK(f->e.code, &f->e);
    f->s = session_new(f->g, &(struct session_options){ .threads = 1 }, &f->e);
    f->in[0] = pattern(&f->a, 2, (int64_t[]){ BATCH, FEATURES }, 1, &f->e);
    struct shape n = shape_of(1, (int64_t[]){ BATCH }), scalar = shape_of(0, NULL);
    f->in[1] = tensor_new(&f->a, DT_I64, &n, &f->e);
    for (int i = 0; i < BATCH; i++) tensor_set_i64(f->in[1], i, i % CLASSES);
    f->in[2] = tensor_new(&f->a, DT_F32, &scalar, &f->e);
    tensor_set_f64(f->in[2], 0, 0.05);
}

static void end(struct fixture *f)
{
    session_free(f->s);
    arena_release(&f->a);
}

static double run(struct fixture *f, bool *finite)
{
    struct tensor out[2] = { { 0 } };
    CHECK_OK(session_run(f->s, (const struct tensor *const *)f->in, out, &f->e), &f->e);
    if (f->e.code) return NAN;
    *finite = tensor_get_i64(&out[1], 0);
    return tensor_get_f64(&out[0], 0);
}

static double state(struct fixture *f, const char *name)
{
    for (size_t i = 0; i < f->g->n_states; i++)
        if (!strcmp(f->g->states[i]->name, name)) return tensor_get_f64(session_state(f->s, i, &f->a, &f->e), 1);
    return NAN;
}

static double count(struct fixture *f)
{
    for (size_t i = 0; i < f->g->n_states; i++)
        if (!strcmp(f->g->states[i]->name, "step")) return tensor_get_f64(session_state(f->s, i, &f->a, &f->e), 0);
    return NAN;
}

TEST(the_loss_falls_and_the_statistics_move)
{
    struct fixture f;
    bool finite = false;
    begin(&f);
    double first = run(&f, &finite), last = first;
    CHECK(finite);
    CHECK_NEAR(count(&f), 1, 0);
    CHECK(state(&f, "mean") != 0 && state(&f, "var") != 1);
    for (int i = 0; i < 60; i++) last = run(&f, &finite);
    CHECK(last < first / 4);
    CHECK_NEAR(count(&f), 61, 0);
    end(&f);
}

TEST(a_nan_step_harms_nothing)
{
    struct fixture f;
    bool finite = true;
    begin(&f);
    run(&f, &finite);
    double w = state(&f, "w1"), mean = state(&f, "mean"), momentum = state(&f, "momentum_buffer/w1");
    tensor_set_f64(f.in[0], 4, NAN);
    run(&f, &finite);
    CHECK(!finite);
    CHECK_NEAR(state(&f, "w1"), w, 0);
    CHECK_NEAR(state(&f, "mean"), mean, 0);
    CHECK_NEAR(state(&f, "momentum_buffer/w1"), momentum, 0);
    CHECK_NEAR(count(&f), 1, 0);
    end(&f);
}

TEST(steps_are_the_same_bits_every_time)
{
    struct fixture f, g;
    bool finite;
    begin(&f), begin(&g);
    for (int i = 0; i < 5; i++) CHECK_NEAR(run(&f, &finite), run(&g, &finite), 0);
    CHECK_NEAR(state(&f, "w2"), state(&g, "w2"), 0);
    end(&f), end(&g);
}
