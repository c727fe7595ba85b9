/* plan.c - plans and sessions: shapes, memory, states, the cache, cancellation. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "plan/plan.h"

struct fixture {
    struct arena a;
    struct err e;
    struct graph *g;
    struct builder b;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->a, NULL);
    f->g = graph_new(&f->a, &op_registry, "g", &f->e);
    f->b = (struct builder){ f->g, &f->e };
}

static struct tensor *filled(struct fixture *f, int rank, const int64_t *dims)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(&f->a, DT_F32, &s, &f->e);
    for (int64_t i = 0; i < tensor_count(t); i++) tensor_set_f64(t, i, (double)(i % 7) - 3);
    return t;
}

/* x -> relu -> sigmoid -> relu: one buffer is enough, since each may be written over its input. */
static void chain(struct fixture *f)
{
    struct shape s = shape_of(2, (int64_t[]){ graph_symbol(f->g, "N"), 4 });
    struct value *v = graph_input(f->g, "x", DT_F32, &s, &f->e);
    for (int i = 0; i < 3; i++) v = emit(&f->b, i == 1 ? "Sigmoid" : "Relu", NO_ATTRS, v);
    graph_output(f->g, v, &f->e);
    CHECK_OK(graph_tidy(f->g, &f->e), &f->e);
}

TEST(session_equals_interpreter_for_several_shapes)
{
    struct fixture f;
    begin(&f);
    chain(&f);
    struct session *s = session_new(f.g, &(struct session_options){ .threads = 2 }, &f.e);
    for (int64_t n = 1; n < 4; n++) {
        struct tensor *x = filled(&f, 2, (int64_t[]){ n, 4 }), out, *want;
        CHECK_OK(session_run(s, (const struct tensor *[]){ x }, &out, &f.e), &f.e);
        CHECK_OK(graph_interpret(f.g, &x, &want, &f.a, NULL, &f.e), &f.e);
        CHECK_INT(out.shape.dim[0], n);
        for (int64_t i = 0; i < 4 * n; i++) CHECK_NEAR(tensor_get_f64(&out, i), tensor_get_f64(want, i), 1e-6);
    }
    session_free(s);
    arena_release(&f.a);
}

TEST(results_in_place_share_memory)
{
    struct fixture f;
    begin(&f);
    chain(&f);
    struct shape s = shape_of(2, (int64_t[]){ 64, 4 });
    struct plan *p = plan_new(f.g, &s, &(struct plan_options){ .threads = 1 }, NULL, &f.e);
    CHECK(p && p->memory == 64 * 4 * 4);
    plan_free(p);
    arena_release(&f.a);
}

TEST(wrong_shapes_and_types_are_named)
{
    struct fixture f;
    begin(&f);
    chain(&f);
    struct session *s = session_new(f.g, &(struct session_options){ 0 }, &f.e);
    struct tensor *x = filled(&f, 2, (int64_t[]){ 2, 5 }), out;
    CHECK_INT(session_run(s, (const struct tensor *[]){ x }, &out, &f.e), ERR_SHAPE);
    CHECK(strstr(f.e.text, "input x: dimension 1 is 5, the model expects 4; a letter in its place") != NULL);
    err_clear(&f.e);
    CHECK_INT(session_run(s, (const struct tensor *[]){ NULL }, &out, &f.e), ERR_USAGE);
    session_free(s);
    arena_release(&f.a);
}

/* count' = relu(count) keeps; the output reads the old content. */
TEST(states_change_after_the_run_and_reset)
{
    struct fixture f;
    begin(&f);
    struct tensor *start = filled(&f, 1, (int64_t[]){ 3 }); /* -3 -2 -1 */
    struct shape s = start->shape;
    struct value *x = graph_input(f.g, "x", DT_F32, &s, &f.e);
    struct value *h = graph_state(f.g, "h", start, 0, &f.e);
    h->next = emit(&f.b, "Relu", NO_ATTRS, x);
    graph_output(f.g, emit(&f.b, "Sigmoid", NO_ATTRS, h), &f.e);
    CHECK_OK(graph_tidy(f.g, &f.e), &f.e);
    struct session *session = session_new(f.g, &(struct session_options){ .threads = 1 }, &f.e);
    struct tensor *in = filled(&f, 1, (int64_t[]){ 3 }), out;
    tensor_set_f64(in, 0, 5);
    CHECK_OK(session_run(session, (const struct tensor *[]){ in }, &out, &f.e), &f.e);
    CHECK_NEAR(tensor_get_f64(&out, 0), 1 / (1 + exp(3)), 1e-6);
    CHECK_NEAR(tensor_get_f64(session_state(session, 0, &f.a, &f.e), 0), 5, 0);
    CHECK_OK(session_run(session, (const struct tensor *[]){ in }, &out, &f.e), &f.e);
    CHECK_NEAR(tensor_get_f64(&out, 0), 1 / (1 + exp(-5)), 1e-6);
    CHECK_OK(session_reset(session, &f.e), &f.e);
    CHECK_NEAR(tensor_get_f64(session_state(session, 0, &f.a, &f.e), 0), -3, 0);
    session_free(session);
    arena_release(&f.a);
}

static bool always(void *cookie)
{
    return true;
}

TEST(cancellation_ends_the_run)
{
    struct fixture f;
    begin(&f);
    chain(&f);
    struct session *s = session_new(f.g, &(struct session_options){ .cancelled = always }, &f.e);
    struct tensor *x = filled(&f, 2, (int64_t[]){ 2, 4 }), out;
    CHECK_INT(session_run(s, (const struct tensor *[]){ x }, &out, &f.e), ERR_CANCELLED);
    session_free(s);
    arena_release(&f.a);
}
