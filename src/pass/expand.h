/* expand.h - composite operators become simpler ones. */
#ifndef TENREC_PASS_EXPAND_H
#define TENREC_PASS_EXPAND_H

#include <stdbool.h>

struct err;
struct graph;
struct node;

/* Expands every node for which which(node) holds, again and again until none is left; the graph is tidy afterwards.
 * */
int graph_expand(struct graph *g, bool (*which)(const struct node *n), struct err *e);

/* The same, but a node whose expansion is refused (ERR_UNSUPPORTED) stays as it is. */
int graph_expand_some(struct graph *g, bool (*which)(const struct node *n), struct err *e);

#endif
