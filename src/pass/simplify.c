/* simplify.c - nodes that do nothing in this plan disappear: Identity, Dropout that does not drop, Pad by nothing. */
#include "base/arena.h"
#include "base/err.h"
#include "pass/fuse.h"
#include "pass/pass.h"
#include "pass/uses.h"

static bool pads_nothing(const struct node *n)
{
    const struct tensor *pads = value_const(n->in[1]);
    for (int64_t i = 0; pads && i < tensor_count(pads); i++)
        if (tensor_get_i64(pads, i)) return false;
    return pads;
}

static bool drops_nothing(const struct uses *u, const struct node *n)
{
    double ratio, training;
    if (n->n_out > 1 && u->of[n->out[1]->id].n) return false; /* the mask is looked at */
    if (node_fixed_number(n, 1, 0.5, &ratio) && ratio == 0) return true;
    return node_fixed_number(n, 2, 0, &training) && training == 0;
}

static bool does_nothing(const struct uses *u, const struct node *n)
{
    if (node_is(n, "Dropout")) return drops_nothing(u, n);
    return node_is(n, "Identity") || (node_is(n, "Pad") && pads_nothing(n));
}

int pass_simplify_graph(struct graph *g, struct err *e)
{
    struct arena scratch;
    struct uses uses;
    arena_init(&scratch, g->arena->mem);
    int code = uses_count(&uses, g, &scratch, e);
    for (size_t i = 0; i < g->n_nodes && !code; i++)
        if (does_nothing(&uses, g->nodes[i])) graph_alias(g->nodes[i]->out[0], g->nodes[i]->in[0]);
    arena_release(&scratch);
    return code ? code : graph_tidy(g, e);
}

const struct pass pass_simplify = { "simplify", "nothing that does nothing", PASS_PLAN, pass_simplify_graph };
