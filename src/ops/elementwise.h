/* elementwise.h - element-wise operators: load a stretch of every input (broadcast), apply, store. One loop for all
 * of them. */
#ifndef TENREC_OPS_ELEMENTWISE_H
#define TENREC_OPS_ELEMENTWISE_H

#include "ops/kernel.h"

/* Applied to n elements of each input. `p` are the operator's parameters. The i form, when there is one, is used
 * when no
 * input is a float (exact for 64-bit integers); a missing form is replaced by the other. */
struct elementwise {
    void (*f)(int64_t n, const double *const *in, double *out, const double *p);
    void (*i)(int64_t n, const int64_t *const *in, int64_t *out, const double *p);
};
int elementwise_run(const struct step *s, const struct elementwise *m, const double *p, struct err *e);

/* Offsets of a tensor of shape `s` when it is broadcast to rank `rank` (right-aligned): 0 where it has size 1. */
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
