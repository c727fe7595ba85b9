/* taps.h - weighted sums of a few elements of a plane, for many results at a time: what samples at positions. */
#ifndef TENREC_OPS_TAPS_H
#define TENREC_OPS_TAPS_H

#include "ops/kernel.h"

/* Planes that lie one behind the other: of float32 as they are, of other types as doubles. */
struct taps_planes {
    const float *narrow; /* or */
    const double *wide;
};
/* A tensor's; wide in the step's scratch memory. */
int taps_open(struct taps_planes *p, const struct step *s, const struct tensor *t, struct err *e);
/* y[i] = sum over t of weight[t * n + i] * x[at[t * n + i]], in the order of t, for i < n; x begins at element `plane`.
 * An `at` below 0 counts for nothing. */
void taps_sum(const struct taps_planes *p, int64_t plane, const int64_t *at, const double *weight, int64_t taps,
    int64_t n, double *y);

#endif
