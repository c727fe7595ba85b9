/* conv_core.h - the three contractions that all convolutions and their gradients are made of. */
#ifndef TENREC_OPS_CONV_CORE_H
#define TENREC_OPS_CONV_CORE_H

#include "ops/conv_shape.h"

/* As doubles: large (batch, groups * c, in...), small (batch, groups * m, out...),
 * weight (groups * m, c, kernel...). */
struct conv {
    struct window window;
    int64_t batch, groups, c, m; /* c, m: channels of one group */
    double *large, *small, *weight;
};
enum conv_side { CONV_SMALL, CONV_LARGE, CONV_WEIGHT };

/* Adds to one side what the other two give: CONV_SMALL is the convolution, CONV_LARGE its gradient by the input (and
 * the transposed convolution), CONV_WEIGHT its gradient by the weight. The side holds its start (zero, or a bias). */
void conv_accumulate(const struct conv *c, enum conv_side side, int threads);
/* Element counts of the three sides. */
int64_t conv_count(const struct conv *c, enum conv_side side);
/* Checks shapes and attributes of a convolution (x large: (N, C, ...), weight (M, C/group, ...)) or of a transposed
 * one (x small: (N, C, ...), weight (C, M/group, ...)) and gives the output's shape as far as it is known. When
 * everything is known, and `c` is not NULL, all its numbers are set. */
int conv_resolve(const struct node *n, bool transposed, const struct shape *x, const struct shape *weight,
    struct shape *y, struct conv *c, struct err *e);
extern const struct attr_spec conv_attrs[];

#endif
