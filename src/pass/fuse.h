/* fuse.h - parts of the pass that passes of other stages use too. */
#ifndef TENREC_PASS_FUSE_H
#define TENREC_PASS_FUSE_H

#include "graph/graph.h"

/* Batch normalisations by fixed numbers go into the convolutions in front of them. */
int pass_fold_normalizations(struct graph *g, struct err *e);
/* Nodes that do nothing disappear. */
int pass_simplify_graph(struct graph *g, struct err *e);

#endif
