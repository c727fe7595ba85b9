/* gradient.h - reverse-mode differentiation as a pass: it appends nodes. */
#ifndef TENREC_PASS_GRADIENT_H
#define TENREC_PASS_GRADIENT_H

#include <stddef.h>

struct err;
struct graph;
struct value;

/* Appends the gradient of `loss` (a float scalar: 0-d or one element) with respect to each of wrt[0..n) to the graph:
 * out[i] has the shape of wrt[i], or is NULL where the loss does not depend on it. The graph must be tidy; it is not
 * tidied afterwards, so that the new values can be used first. Operators without a gradient row are expanded first;
 * ERR_UNSUPPORTED names the node that has neither and lies between a wrt and the loss. */
int graph_gradient(
    struct graph *g, struct value *loss, struct value *const *wrt, size_t n, struct value **out, struct err *e);

#endif
