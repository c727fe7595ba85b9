/* rnn_shape.h - shapes of recurrent layers, shared by the layers and their gradients. */
#ifndef TENREC_OPS_RNN_SHAPE_H
#define TENREC_OPS_RNN_SHAPE_H

#include "ops/rnn_core.h"

/* Dimensions that every input and output of the layer is made of; negative where unknown. */
struct rnn_sizes {
    int64_t steps, batch, inputs, hidden, directions;
    bool batch_first;
};
const struct rnn_cell *rnn_cell_of(const struct node *n);
/* Checks x, w, r, bias, lengths, h0, c0, peephole (inputs 0 to 7 as far as `n_in`) against each other. */
int rnn_check(const struct node *n, int n_in, struct rnn_sizes *z, struct err *e);
struct shape rnn_y_shape(const struct rnn_sizes *z);
struct shape rnn_state_shape(const struct rnn_sizes *z);
/* Loads the inputs of a step and checks the lengths. */
int rnn_open(struct rnn *r, const struct step *s, int n_in, struct err *e);

#endif
