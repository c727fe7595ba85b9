/* tidy.c - resolving aliases, dropping what nothing needs, topological order; copying a graph. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "graph/graph.h"
#include "graph/op.h"

enum mark { UNSEEN, OPEN, DONE };

struct walk {
    struct graph *g;
    unsigned char *node_mark;
    bool *value_used;
    struct node **order;
    size_t n;
    struct {
        struct node *node;
        int next; /* input to look at next */
    } * stack;
};

static void use(struct walk *w, struct value *v, size_t *depth)
{
    w->value_used[v->id] = true;
    if (v->kind != VALUE_NODE || v->node->graph != w->g || w->node_mark[v->node->id] != UNSEEN) return;
    w->node_mark[v->node->id] = OPEN;
    w->stack[*depth].node = v->node;
    w->stack[(*depth)++].next = 0;
}

/* Values of this graph that the subgraphs of a node read. */
static int visit_captures(struct walk *w, const struct graph *sub, size_t *depth);

static int visit(struct walk *w, struct value *root, struct err *e)
{
    size_t depth = 0;
    use(w, root, &depth);
    while (depth) {
        struct node *n = w->stack[depth - 1].node;
        int i = w->stack[depth - 1].next;
        if (i == n->n_in) { /* the inputs are done: subgraphs, then the node itself */
            w->stack[depth - 1].next++;
            for (size_t k = 0; k < n->n_attrs; k++)
                if (n->attrs[k].type == ATTR_GRAPH) TRY(visit_captures(w, n->attrs[k].graph, &depth));
            continue;
        }
        if (i > n->n_in) {
            w->node_mark[n->id] = DONE;
            w->order[w->n++] = n;
            depth--;
            continue;
        }
        w->stack[depth - 1].next++;
        struct value *v = n->in[i] = value_resolve(n->in[i]);
        if (!v) continue;
        if (v->kind == VALUE_NODE && v->node->graph == w->g && w->node_mark[v->node->id] == OPEN)
            return fail(e, ERR_MODEL, "the graph has a cycle through %s (%s)", n->name, n->op->name);
        use(w, v, &depth);
    }
    return 0;
}

static int visit_captures(struct walk *w, const struct graph *sub, size_t *depth)
{
    for (size_t i = 0; i < sub->n_nodes; i++) {
        struct node *n = sub->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            struct value *v = n->in[k] = value_resolve(n->in[k]);
            if (v && (size_t)v->id < w->g->n_values && w->g->values[v->id] == v) use(w, v, depth);
        }
        for (size_t k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].type == ATTR_GRAPH) TRY(visit_captures(w, n->attrs[k].graph, depth));
    }
    for (size_t i = 0; i < sub->n_outputs; i++) {
        struct value *v = sub->outputs[i] = value_resolve(sub->outputs[i]);
        if ((size_t)v->id < w->g->n_values && w->g->values[v->id] == v) use(w, v, depth);
    }
    return 0;
}

static bool is_output(const struct graph *g, const struct value *v)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == v) return true;
    return false;
}

/* An output keeps its name when its value is replaced: the new value takes it over, or, where it has a name to keep
 * (an
 * input, a state, another output), an Identity stands between. */
static int resolve_output(struct graph *g, size_t i, struct err *e)
{
    struct value *old = g->outputs[i], *v = value_resolve(old);
    if (old == v) return 0;
    if (v->kind != VALUE_NODE || is_output(g, v)) {
        const struct op *identity = g->ops->find("Identity");
        if (!identity) return fail(e, ERR_FAILED, "no operator Identity");
        struct node *n = graph_node(g, identity, NULL, NULL, &v, 1, 1, e);
        if (!n) return e->code;
        n->out[0]->dtype = v->dtype;
        n->out[0]->shape = v->shape;
        n->out[0]->known = v->known;
        v = n->out[0];
    }
    g->outputs[i] = v;
    return graph_rename(g, v, old->name, e);
}

static int visit_roots(struct walk *w, struct err *e)
{
    struct graph *g = w->g;
    for (size_t i = 0; i < g->n_outputs; i++) TRY(visit(w, g->outputs[i], e));
    for (size_t i = 0; i < g->n_states; i++)
        if ((g->states[i]->next = value_resolve(g->states[i]->next))) TRY(visit(w, g->states[i]->next, e));
    for (size_t i = 0; i < g->n_guards; i++) TRY(visit(w, g->guards[i].value = value_resolve(g->guards[i].value), e));
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->op->flags & OP_EFFECT && g->nodes[i]->n_out) TRY(visit(w, g->nodes[i]->out[0], e));
    return 0;
}

static void forget_name(struct graph *g, const struct value *v)
{
    struct map_entry *entry = map_find(&g->names, v->name);
    if (entry && entry->value == v) entry->value = NULL;
}

static void compact(struct walk *w)
{
    struct graph *g = w->g;
    memcpy(g->nodes, w->order, w->n * sizeof *w->order);
    g->n_nodes = w->n;
    for (size_t i = 0; i < w->n; i++) {
        g->nodes[i]->id = (int)i;
        for (int k = 0; k < g->nodes[i]->n_out; k++) w->value_used[g->nodes[i]->out[k]->id] = true;
    }
    size_t states = 0;
    for (size_t i = 0; i < g->n_states; i++)
        if (w->value_used[g->states[i]->id] || g->states[i]->next) g->states[states++] = g->states[i];
        else forget_name(g, g->states[i]);
    for (size_t i = 0; i < states; i++) w->value_used[g->states[i]->id] = true;
    g->n_states = states;
    for (size_t i = 0; i < g->n_inputs; i++) w->value_used[g->inputs[i]->id] = true;
    size_t n = 0;
    for (size_t i = 0; i < g->n_values; i++) {
        struct value *v = g->values[i];
        if (!w->value_used[v->id]) {
            forget_name(g, v);
            continue;
        }
        g->values[n++] = v;
    }
    for (size_t i = 0; i < n; i++) g->values[i]->id = (int)i;
    g->n_values = n;
}

int graph_tidy(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->n_outputs; i++) TRY(resolve_output(g, i, e));
    for (size_t i = 0; i < g->n_nodes; i++) g->nodes[i]->id = (int)i;
    struct walk w = { .g = g };
    w.node_mark = ARENA_ARRAY(g->arena, g->n_nodes, unsigned char);
    w.value_used = ARENA_ARRAY(g->arena, g->n_values, bool);
    w.order = ARENA_ARRAY(g->arena, g->n_nodes, struct node *);
    w.stack = arena_array(g->arena, g->n_nodes + 1, sizeof *w.stack);
    if (!w.node_mark || !w.value_used || !w.order || !w.stack) return fail_nomem(e);
    TRY(visit_roots(&w, e));
    compact(&w);
    return 0;
}
