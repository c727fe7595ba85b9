/* mode.h - passes with arguments that change what a whole graph is for: its mode, its precision. */
#ifndef TENREC_PASS_MODE_H
#define TENREC_PASS_MODE_H

#include <stdbool.h>

#include "graph/dtype.h"

struct err;
struct graph;
struct value;

/* How a graph is trained. */
struct train_mode {
    struct value *step; /* updates done so far: Dropout drops anew in every step; NULL: always the same */
    bool unbiased; /* running variances take the unbiased variance of the batch, as PyTorch does, not ONNX's biased */
    /* Whether the BatchNormalization of this running mean uses and follows its batch; NULL: all do. */
    bool (*stats_move)(void *cookie, const struct value *mean);
    void *cookie;
};
/* Training mode: Dropout drops, each node by a seed of its own; BatchNormalization uses the statistics of its batch and
 * updates its running ones (which must be states, else it stays as it is: frozen). The graph is tidy afterwards. */
int graph_training(struct graph *g, const struct train_mode *m, struct err *e);

/* Every float of type `from` becomes `to`: inputs, constants, states (converted, rounding to nearest),
 * casts. */
int graph_precision(struct graph *g, enum dtype from, enum dtype to, struct err *e);

#endif
