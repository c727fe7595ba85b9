/* bodies.h - inference of nodes and of the graphs they hold. */
#ifndef TENREC_PASS_BODIES_H
#define TENREC_PASS_BODIES_H

#include "graph/graph.h"

/* Resolves aliases of the node's inputs; tells its bodies their inputs' types and infers them, a Loop's until what it
 * carries keeps its shape; infers the node anew. Errors name the node. */
int pass_infer_node(struct node *n, struct err *e);
/* Captured constants become constants of the bodies. */
int pass_capture_constants(struct node *n, struct err *e);

#endif
