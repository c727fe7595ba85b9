/* schedule.c - the order of nodes: the graph's own, but what updates a state in place, and what follows from it,
 * last. */
#include "base/err.h"
#include "graph/op.h"
#include "plan/plan.h"

static bool updates_in_place(const struct graph *g, const struct node *n)
{
    if (!(n->op->flags & OP_INPLACE) || !n->in[0] || n->in[0]->kind != VALUE_STATE) return false;
    return n->in[0]->next == n->out[0];
}

int plan_schedule(struct plan *p, struct node ***order, struct err *e)
{
    const struct graph *g = p->graph;
    struct node **list = ARENA_ARRAY(&p->arena, g->n_nodes, struct node *);
    bool *late = ARENA_ARRAY(&p->arena, g->n_nodes, bool);
    if (!list || !late) return fail_nomem(e);
    size_t n = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct node *node = g->nodes[i];
        late[i] = updates_in_place(g, node);
        for (int k = 0; k < node->n_in; k++)
            if (node->in[k] && node->in[k]->kind == VALUE_NODE) late[i] |= late[node->in[k]->node->id];
        if (!late[i]) list[n++] = node;
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        if (late[i]) list[n++] = g->nodes[i];
    *order = list;
    return 0;
}
