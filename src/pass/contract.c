/* contract.c - sums of products over labels become products of matrices, for which there are fast kernels. */
#include "base/err.h"
#include "ops/einsum.h"
#include "pass/pass.h"

static int contract(struct graph *g, struct err *e)
{
    struct builder b = { g, e };
    for (size_t i = 0, n = g->n_nodes; i < n; i++) {
        struct node *node = g->nodes[i];
        struct value *y = NULL;
        if (!node_is(node, "Einsum") && !node_is(node, "EinsumGrad")) continue;
        for (int k = 0; k < node->n_in; k++) node->in[k] = value_resolve(node->in[k]);
        b.where = node->where;
        TRY(einsum_product(&b, node, &y));
        if (y) graph_alias(node->out[0], y);
    }
    return graph_tidy(g, e);
}

const struct pass pass_contract = { "contract", "sums of products over labels as products of matrices", PASS_PLAN,
    contract };
