/* interpret.h - running a whole graph node by node with the reference kernels: the oracle of every plan, the body of
 * control flow, and the fallback where shapes depend on data. */
#ifndef TENREC_OPS_INTERPRET_H
#define TENREC_OPS_INTERPRET_H

#include "ops/kernel.h"

/* Values of a graph while it is interpreted, by value id; NULL: not there (yet). */
struct bindings {
    struct tensor **tensors;
    const struct bindings *outer; /* of the graph around a subgraph */
    const struct graph *graph;
};

/* `in` gives one tensor per graph input, `out` receives one per graph output; all results lie in `a`. States read
 * their
 * `data` unless `states` (one per graph state, may be NULL) gives other content; `states` receives the new content.
 * `seen`, when given, is called after each node (to compare with another run, or to trace). */
struct interpret {
    int threads;
    const struct host *host; /* what bounds loops; may be NULL */
    struct tensor **states;
    const struct bindings *outer;
    void (*seen)(void *cookie, const struct node *n, struct tensor *const *out);
    void *cookie;
};
int graph_interpret(const struct graph *g, struct tensor *const *in, struct tensor **out, struct arena *a,
    const struct interpret *options, struct err *e);

#endif
