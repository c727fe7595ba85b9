/* simplify.c - nodes that do nothing in this plan disappear: Identity, Dropout that does not drop. */
#include "base/err.h"
#include "pass/fuse.h"
#include "pass/pass.h"

static bool does_nothing(const struct node *n)
{
    if (node_is(n, "Identity")) return true;
    if (!node_is(n, "Dropout") || n->n_out > 1) return false;
    const struct value *mode = node_in(n, 2);
    const struct tensor *t = value_const(mode);
    return !mode || (t && !tensor_get_i64(t, 0));
}

int pass_simplify_graph(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (does_nothing(g->nodes[i])) graph_alias(g->nodes[i]->out[0], g->nodes[i]->in[0]);
    return graph_tidy(g, e);
}

const struct pass pass_simplify = { "simplify", "nothing that does nothing", PASS_PLAN, pass_simplify_graph };
