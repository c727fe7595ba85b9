/* qdq.h - a real network with QuantizeLinear and DequantizeLinear around what 8-bit integers can do. */
#ifndef TENREC_PASS_QDQ_H
#define TENREC_PASS_QDQ_H

#include "graph/graph.h"

/* Makes the graph ready: weights become constants, normalisations are folded into convolutions. Nothing can be trained
 * in it any more. ERR_UNSUPPORTED for a model that keeps state. */
int qdq_prepare(struct graph *g, struct err *e);

struct range {
    double low, high;
};
struct qdq_options {
    int weight_bits;         /* 8, or 7: no two products overflow 16 bits, on processors that add them there */
    const char *const *skip; /* names of nodes, or their beginnings, that stay real */
    size_t n_skip;
};
/* The values whose range has to be known: what enters convolutions, products with fixed matrices and sums.
 * ERR_UNSUPPORTED when there is none, ERR_USAGE for a name to skip that is no node's. */
int qdq_values(
    struct graph *g, const struct qdq_options *o, struct value ***values, size_t *n, struct err *e);
/* Puts the pairs in: images as uint8 with one scale, weights as int8 with one for each output channel, biases as int32.
 * `ranges`: one for each value. */
int qdq_apply(struct graph *g, const struct qdq_options *o, struct value *const *values, const struct range *ranges,
    size_t n, struct err *e);

#endif
