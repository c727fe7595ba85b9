/* mode.h - passes with arguments that change what a whole graph is for: its mode, its precision. */
#ifndef TENREC_PASS_MODE_H
#define TENREC_PASS_MODE_H

#include <stdbool.h>

#include "graph/dtype.h"

struct err;
struct graph;

/* Training mode: Dropout drops; BatchNormalization uses the statistics of its batch and updates its running ones
 * (which
 * must be states, else it stays as it is: frozen). `unbiased`: the running variance takes the unbiased variance of
 * the
 * batch, as PyTorch does, instead of ONNX's biased one. The graph is tidy afterwards. */
int graph_training(struct graph *g, bool unbiased, struct err *e);

/* Every float of type `from` becomes `to`: inputs, constants, states (converted, rounding to nearest), casts. */
int graph_precision(struct graph *g, enum dtype from, enum dtype to, struct err *e);

#endif
