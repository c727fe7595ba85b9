/* pool_infer.h - what the rows of poolings and of their gradients share. */
#ifndef TENREC_OPS_POOL_INFER_H
#define TENREC_OPS_POOL_INFER_H

#include "graph/graph.h"

struct err;

extern const struct attr_spec pool_max_attrs[], pool_average_attrs[], pool_norm_attrs[];
/* Output shape of a sliding pooling of x. */
int pool_shape(const struct node *n, const struct shape *x, struct shape *y, struct err *e);

#endif
