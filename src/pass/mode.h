/* mode.h - passes with arguments that change what a whole graph is for: its mode, its precision. */
#ifndef TENREC_PASS_MODE_H
#define TENREC_PASS_MODE_H

#include <stdbool.h>

#include "graph/dtype.h"

struct err;
struct graph;
struct value;

/* Training mode: Dropout drops, anew in every step (`step` counts them; NULL: always the same), each node
 * by a seed of its own; BatchNormalization uses the statistics of its batch and updates its running ones
 * (which must be states, else it stays as it is: frozen), unless `batch_statistics` is false: then all of
 * them are frozen. `unbiased`: the running variance takes the unbiased variance of the batch, as PyTorch
 * does, instead of ONNX's biased one. The graph is tidy afterwards. */
int graph_training(struct graph *g, struct value *step, bool unbiased, bool batch_statistics, struct err *e);

/* Every float of type `from` becomes `to`: inputs, constants, states (converted, rounding to nearest),
 * casts. */
int graph_precision(struct graph *g, enum dtype from, enum dtype to, struct err *e);

#endif
