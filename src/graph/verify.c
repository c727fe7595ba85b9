/* verify.c - the invariants of a graph, checked. */
#include <string.h>

#include "base/err.h"
#include "graph/graph.h"
#include "graph/op.h"

static bool belongs(const struct graph *g, const struct value *v)
{
    for (; g; g = g->outer)
        if (v->id >= 0 && (size_t)v->id < g->n_values && g->values[v->id] == v) return true;
    return false;
}

static int verify_value(const struct graph *g, size_t i, struct err *e)
{
    const struct value *v = g->values[i];
    if (v->id != (int)i) return fail(e, ERR_FAILED, "value %s has id %d, stands at %zu", v->name, v->id, i);
    if (v->kind == VALUE_NODE && (!v->node || v->index >= v->node->n_out || v->node->out[v->index] != v))
        return fail(e, ERR_FAILED, "value %s and its node disagree", v->name);
    if ((v->kind == VALUE_CONST || v->kind == VALUE_STATE) && !v->data)
        return fail(e, ERR_FAILED, "value %s has no data", v->name);
    if (v->shape.rank > SHAPE_MAX) return fail(e, ERR_SHAPE, "value %s has rank %d", v->name, v->shape.rank);
    if (graph_find(g, v->name) != v) return fail(e, ERR_FAILED, "the name %s is not that of one value", v->name);
    return 0;
}

static int verify_node(const struct graph *g, size_t at, struct err *e)
{
    const struct node *n = g->nodes[at];
    if (n->id != (int)at || n->graph != g)
        return fail(e, ERR_FAILED, "node %s stands at %zu, has id %d", n->name, at, n->id);
    for (int i = 0; i < n->n_in; i++) {
        const struct value *v = n->in[i];
        if (!v) continue;
        if (v->alias || !belongs(g, v))
            return fail(e, ERR_FAILED, "node %s reads a value that is not in the graph", n->name);
        if (v->kind == VALUE_NODE && v->node->graph == g && v->node->id >= n->id)
            return fail(e, ERR_FAILED, "node %s reads %s before it is made", n->name, v->name);
    }
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]->node != n || n->out[i]->index != i)
            return fail(e, ERR_FAILED, "node %s and its outputs disagree", n->name);
    for (size_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == ATTR_GRAPH) TRY(graph_verify(n->attrs[i].graph, e));
    return 0;
}

int graph_verify(const struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->n_values; i++) TRY(verify_value(g, i, e));
    for (size_t i = 0; i < g->n_nodes; i++) TRY(verify_node(g, i, e));
    for (size_t i = 0; i < g->n_outputs; i++)
        if (!belongs(g, g->outputs[i])) return fail(e, ERR_FAILED, "output %zu is not in the graph", i);
    for (size_t i = 0; i < g->n_states; i++) {
        const struct value *s = g->states[i];
        if (s->kind != VALUE_STATE) return fail(e, ERR_FAILED, "%s is no state", s->name);
        if (s->next && s->next->dtype != s->dtype)
            return fail(e, ERR_FAILED, "state %s changes its type in a run", s->name);
    }
    return 0;
}
