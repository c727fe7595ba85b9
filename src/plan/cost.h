/* cost.h - what a graph costs to run, from its shapes: multiply-accumulate operations. */
#ifndef TENREC_PLAN_COST_H
#define TENREC_PLAN_COST_H

#include <stdint.h>

struct node;

enum { MACS_NONE = 0, MACS_UNKNOWN = -1 };
/* Multiply-accumulates of a convolution, a matrix product or a recurrent layer; MACS_NONE for every other operator,
 * MACS_UNKNOWN where the shapes are not known. The bodies of control flow are nodes of their own graphs. */
int64_t node_macs(const struct node *n);

#endif
