/* head.h - a fresh last layer, so that a model can answer with other classes than it was made for. */
#ifndef TENREC_TRAIN_HEAD_H
#define TENREC_TRAIN_HEAD_H

#include <stdint.h>

#include "graph/graph.h"

/* Makes the last product or convolution before output `output` answer with `classes` values along axis 1: its weights
 * and bias become states of that size, drawn as torch.nn.Linear and Conv2d draw theirs. *layer is its name, for
 * people. ERR_UNSUPPORTED when there is no such layer, or something between it and the output wants the old number. */
int head_replace(struct graph *g, size_t output, int64_t classes, uint64_t seed, const char **layer, struct err *e);

#endif
