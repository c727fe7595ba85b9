/* einsum.h - Einsum of two operands by other operators. */
#ifndef TENREC_OPS_EINSUM_H
#define TENREC_OPS_EINSUM_H

#include "graph/builder.h"
#include "graph/op.h"

/* Einsum and EinsumGrad of known shapes as Transpose, Reshape and MatMul. *out: what they give; NULL where the node is
 * no product of two matrices, or a batch of them: of other than two operands, with a diagonal, with a label that is
 * summed within one operand, or with sizes that are broadcast. */
int einsum_product(struct builder *b, const struct node *n, struct value **out);

#endif
