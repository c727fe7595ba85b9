/* one_node.h - for tests: one operator on small constant tensors, in one call. */
#ifndef TENREC_TESTS_ONE_NODE_H
#define TENREC_TESTS_ONE_NODE_H

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "ops/kernel.h"
#include "ops/registry.h"

struct one_node {
    struct arena a;
    struct err e;
    struct graph *g;
    struct builder b;
    struct tensor *in[10], *out[10];
    int n_in;
};

static inline void one_start(struct one_node *o)
{
    *o = (struct one_node){ .n_in = 0 };
    arena_init(&o->a, NULL);
    o->g = graph_new(&o->a, &op_registry, "g", &o->e);
    o->b = (struct builder){ o->g, &o->e };
}

/* Adds an input; `values` NULL: 0, 1, 2 ... */
static inline void one_in(struct one_node *o, enum dtype t, int rank, const int64_t *dims, const double *values)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *x = o->in[o->n_in++] = tensor_new(&o->a, t, &s, &o->e);
    for (int64_t i = 0; x && i < tensor_count(x); i++) tensor_set_f64(x, i, values ? values[i] : (double)i);
}

static inline void one_absent(struct one_node *o)
{
    o->in[o->n_in++] = NULL;
}

/* Infers, then runs with two threads; the error is in o->e. */
static inline int one_run(struct one_node *o, const char *op, const struct attr *attrs, int n_out)
{
    struct value *in[10] = { NULL };
    for (int i = 0; i < o->n_in; i++) in[i] = o->in[i] ? emit_const(&o->b, o->in[i]) : NULL;
    struct node *n = builder_node(&o->b, op, attrs, in, o->n_in, n_out);
    return n ? op_eval(n, o->in, o->out, &o->a, 2, &o->e) : o->e.code;
}

#define DIMS(...) \
    (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (const int64_t[]) \
    { \
        __VA_ARGS__ \
    }
#define VALUES(...) ((const double[]){ __VA_ARGS__ })
#define INTS(name, ...) \
    attr_ints(name, (const int64_t[]){ __VA_ARGS__ }, sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))
/* Checks output i against a shape and values (tap.h must have been included). */
#define CHECK_SCALAR(o, i, tol, value) \
    do { \
        CHECK_OK((o)->e.code, &(o)->e); \
        if ((o)->e.code) break; \
        CHECK_INT((o)->out[i]->shape.rank, 0); \
        CHECK_NEAR(tensor_get_f64((o)->out[i], 0), value, tol); \
    } while (0)
#define CHECK_OUT(o, i, tol, dims, ...) \
    do { \
        const double want_[] = { __VA_ARGS__ }; \
        const struct tensor *t_ = (o)->out[i]; \
        if ((o)->e.code || !t_) { \
            TAP_FAIL("%s", (o)->e.text); \
            break; \
        } \
        CHECK_INT(tensor_count(t_), (long long)(sizeof want_ / sizeof want_[0])); \
        check_dims(t_, dims); \
        for (int64_t k_ = 0; k_ < tensor_count(t_); k_++) \
            if (!(fabs(tensor_get_f64(t_, k_) - want_[k_]) <= (tol))) \
                TAP_FAIL( \
                    "output %d [%lld] is %.9g, expected %.9g", i, (long long)k_, tensor_get_f64(t_, k_), want_[k_]); \
    } while (0)

static inline void check_dims(const struct tensor *t, int rank, const int64_t *dims)
{
    CHECK_INT(t->shape.rank, rank);
    for (int d = 0; d < rank && d < t->shape.rank; d++) CHECK_INT(t->shape.dim[d], dims[d]);
}

#endif
