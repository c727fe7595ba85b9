/* precision.h - which nodes of a plan compute in bfloat16. */
#ifndef TENREC_PASS_PRECISION_H
#define TENREC_PASS_PRECISION_H

#include "graph/graph.h"

enum precision {
    PRECISION_FULL,    /* as the model says */
    PRECISION_BF16,    /* products in bfloat16, summed in float32: for processors that have instructions for it */
    PRECISION_ROUNDED, /* their factors rounded to bfloat16, all else in float32: what bfloat16 would give, anywhere */
};
/* Convolutions and matrix products, and their gradients, take bfloat16; with PRECISION_BF16 so does what follows them
 * and only hands numbers on (activations, sums, maxima, movers). Depthwise convolutions and those of one channel stay,
 * and so do normalisations, softmax, means, losses and updates. */
int pass_precision(struct graph *g, enum precision p, struct err *e);

#endif
