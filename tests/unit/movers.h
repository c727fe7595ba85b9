/* movers.h - one operator at a time on small tensors written in place, for the tests of movers. */
#ifndef TENREC_TESTS_MOVERS_H
#define TENREC_TESTS_MOVERS_H

#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/known.h"
#include "graph/op.h"
#include "ops/kernel.h"
#include "ops/registry.h"

/* A graph whose constants are the inputs, so that every call infers and runs. */
struct bench {
    struct arena a;
    struct err e;
    struct graph *g;
    struct builder b;
    struct tensor *out[8];
};

static inline void bench_init(struct bench *t)
{
    memset(t, 0, sizeof *t);
    arena_init(&t->a, NULL);
    t->g = graph_new(&t->a, &op_registry, "g", &t->e);
    t->b = (struct builder){ t->g, &t->e };
}

#define DIMS(...) (int64_t[]){ __VA_ARGS__ }, (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

/* A constant of any numeric type; its elements are given as doubles, or count up from 0 when there are none. */
static inline struct value *constant(struct bench *t, enum dtype type, const int64_t *dims, int rank, const double *v)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *x = tensor_new(&t->a, type, &s, &t->e);
    for (int64_t i = 0; x && i < tensor_count(x); i++) tensor_set_f64(x, i, v ? v[i] : (double)i);
    return emit_const(&t->b, x);
}
#define COUNTING(t, type, ...) constant((t), (type), DIMS(__VA_ARGS__), NULL)
#define LIST(t, ...) \
    emit_i64s(&(t)->b, (int64_t[]){ __VA_ARGS__ }, sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))
#define MATRIX(t, type, rows, columns, ...) constant((t), (type), DIMS(rows, columns), (double[]){ __VA_ARGS__ })
#define VECTOR(t, type, ...) \
    constant((t), (type), DIMS(sizeof((double[]){ __VA_ARGS__ }) / sizeof(double)), (double[]){ __VA_ARGS__ })

/* Infers and runs; the outputs lie in t->out. Returns the code. */
static inline int run_op(
    struct bench *t, const char *op, const struct attr *attrs, struct value *const *in, int n_in, int n_out)
{
    struct tensor *data[8] = { NULL };
    struct node *n = builder_node(&t->b, op, attrs, in, n_in, n_out);
    if (!n) return t->e.code;
    for (int i = 0; i < n_in; i++) data[i] = in[i] ? (struct tensor *)(uintptr_t)in[i]->data : NULL;
    return op_eval(n, data, t->out, &t->a, 2, &t->e);
}
#define RUN(t, op, attrs, ...) \
    run_op((t), (op), (attrs), (struct value *[]){ __VA_ARGS__ }, \
        (int)(sizeof((struct value *[]){ __VA_ARGS__ }) / sizeof(struct value *)), 1)
#define CHECK_RUN(t, op, attrs, ...) CHECK_OK(RUN(t, op, attrs, __VA_ARGS__), &(t)->e)

/* Fails, and the error says `text`; then the bench may be used again. */
static inline void check_fails(struct bench *t, int code, const char *text)
{
    if (code >= 0) TAP_FAIL("passed, expected \"%s\"", text);
    else if (!strstr(t->e.text, text)) TAP_FAIL("\"%s\" does not say \"%s\"", t->e.text, text);
    err_clear(&t->e);
}
#define CHECK_FAILS(t, text, op, attrs, ...) check_fails((t), RUN(t, op, attrs, __VA_ARGS__), (text))

static inline void check_values(const struct tensor *y, const int64_t *dims, int rank, const double *v, int64_t n)
{
    if (!y) {
        TAP_FAIL("no output");
        return;
    }
    CHECK_INT(y->shape.rank, rank);
    for (int d = 0; d < rank && y->shape.rank == rank; d++) CHECK_INT(y->shape.dim[d], dims[d]);
    CHECK_INT(tensor_count(y), n);
    for (int64_t i = 0; i < n && tensor_count(y) == n; i++) {
        double got = tensor_get_f64(y, i);
        if (!(fabs(got - v[i]) <= 1e-6)) TAP_FAIL("element %lld is %g, expected %g", (long long)i, got, v[i]);
    }
}
#define CHECK_VALUES(y, dims, ...) \
    check_values((y), dims, (double[]){ __VA_ARGS__ }, (int64_t)(sizeof((double[]){ __VA_ARGS__ }) / sizeof(double)))

#endif
