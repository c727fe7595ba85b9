/* outline.h - nodes of a graph once more as a body, for control flow that is found out while a graph is made. */
#ifndef TENREC_GRAPH_OUTLINE_H
#define TENREC_GRAPH_OUTLINE_H

#include "graph/graph.h"

/* A body; captured[i] is what its input number n_own + i stands for. */
struct outline {
    struct graph *body;
    size_t n_own;
    struct value **captured;
    size_t n, cap;
};

/* A body that makes `out` of the nodes [first, last) of `g`; `in` become its first inputs, what else it reads follows
 * them. The nodes stay where they are. */
int graph_outline(struct graph *g, const char *name, size_t first, size_t last, struct value *const *in, size_t n_in,
    struct value *const *out, size_t n_out, struct outline *o, struct err *e);
/* Gives all bodies of a node the same captured inputs; `captured`, `n`: what the node has to hand in. */
int graph_outline_join(
    struct outline *bodies, size_t count, struct arena *a, struct value ***captured, size_t *n, struct err *e);

#endif
