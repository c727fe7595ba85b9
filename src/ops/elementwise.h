/* elementwise.h - element-wise operators: load a stretch of every input (broadcast), apply, store. One loop
 * for all of them. */
#ifndef TENREC_OPS_ELEMENTWISE_H
#define TENREC_OPS_ELEMENTWISE_H

#include "ops/kernel.h"

/* Applied to n elements of each input; `out` may be in[0]. `p` are the operator's parameters. The i form,
 * when there is one, is used when no input is a float (exact for 64-bit integers), the u form when the
 * first input is uint64; a missing form is replaced by another. */
struct elementwise {
    void (*f)(int64_t n, const double *const *in, double *out, const double *p);
    void (*i)(int64_t n, const int64_t *const *in, int64_t *out, const double *p);
    void (*u)(int64_t n, const uint64_t *const *in, uint64_t *out, const double *p);
    /* Any number of inputs: applied to (what came of those before, the next); then f once more to the
     * result by `last`. */
    bool fold;
    void (*last)(int64_t n, const double *const *in, double *out, const double *p);
};
int elementwise_run(const struct step *s, const struct elementwise *m, const double *p, struct err *e);
/* The same over given tensors, all present, in place of the step's inputs; the result is output 0. */
int elementwise_run_on(const struct step *s, const struct elementwise *m, const double *p, struct tensor *const *in,
    int n_in, struct err *e);

/* Forms of `struct elementwise` from an expression of x, or of x and y, and the parameters p. */
#define MAP1(name, type, expr) \
    static void name(int64_t n, const type *const *in, type *out, const double *p) \
    { \
        for (int64_t i = 0; i < n; i++) { \
            type x = in[0][i]; \
            out[i] = (type)(expr); \
        } \
    }
#define MAP2(name, type, expr) \
    static void name(int64_t n, const type *const *in, type *out, const double *p) \
    { \
        for (int64_t i = 0; i < n; i++) { \
            type x = in[0][i], y = in[1][i]; \
            out[i] = (type)(expr); \
        } \
    }

/* Offsets of a tensor of shape `s` when it is broadcast to rank `rank` (right-aligned): 0 where it has size
 * 1. */
void broadcast_strides(const struct shape *s, const struct shape *to, int64_t *strides);

/* Walks the outer dimensions of a shape, keeping `n` offsets: for (loop_init; loop_ok; loop_next). */
enum { LOOP_MAX = 8 };
struct loop {
    int rank, n;
    bool ok;
    int64_t index[SHAPE_MAX], size[SHAPE_MAX];
    int64_t stride[LOOP_MAX][SHAPE_MAX];
    int64_t at[LOOP_MAX]; /* the offsets, in elements */
};
void loop_init(struct loop *l, int rank, const int64_t *size, int n, const int64_t *const *strides);
void loop_next(struct loop *l);

#endif
