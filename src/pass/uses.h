/* uses.h - who reads a value: for passes that put several nodes into one. */
#ifndef TENREC_PASS_USES_H
#define TENREC_PASS_USES_H

#include "graph/graph.h"

enum { READERS = 2 };
struct readers {
    int n; /* more than READERS: not all are listed */
    struct node *by[READERS];
};
/* Of the graph as it was when it was counted; what is added later is not in it. */
struct uses {
    size_t n_values;
    struct readers *of; /* by value id */
    bool *taken;        /* by node id: it is part of another one already */
};
int uses_count(struct uses *u, const struct graph *g, struct arena *a, struct err *e);
/* The one node that reads the value, once, unless it is taken; else NULL. */
struct node *uses_only(const struct uses *u, const struct value *v);
/* The node of that operator which gives the value; NULL: there is none. */
struct node *made_by(const struct value *v, const char *op);
/* The number that input `i` always holds, `none` when it is absent; false when it is not known, or several. */
bool node_fixed_number(const struct node *n, int i, double none, double *to);

/* The one integer of a constant input `i`, `none` when it is absent; false when it is not known, or several. */
bool node_const_integer(const struct node *n, int i, int64_t none, int64_t *to);

#endif
