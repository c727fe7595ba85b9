/* tidy.c - resolving aliases, dropping what nothing needs, topological order; copying a graph. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "graph/graph.h"
#include "graph/op.h"

enum mark { UNSEEN, OPEN, DONE };

/* A node whose needs are being looked at. */
struct place {
    struct node *node;
    size_t next;             /* which of its inputs, then captured values */
    struct value **captured; /* read by its subgraphs */
    size_t n_captured, cap_captured;
};

struct walk {
    struct graph *g;
    unsigned char *node_mark;
    bool *value_used;
    struct node **order;
    size_t n;
    struct place *stack;
};

static void use(struct walk *w, struct value *v, size_t *depth)
{
    if ((size_t)v->id >= w->g->n_values || w->g->values[v->id] != v) return; /* of a graph around this one */
    w->value_used[v->id] = true;
    if (v->kind != VALUE_NODE || v->node->graph != w->g || w->node_mark[v->node->id] != UNSEEN) return;
    w->node_mark[v->node->id] = OPEN;
    w->stack[(*depth)++] = (struct place){ .node = v->node };
}

/* Values of this graph that a subgraph reads, appended to those of the stack's top. */
static int add_captures(struct walk *w, const struct graph *sub, struct place *top, struct err *e);

static int add_capture(struct walk *w, struct value *v, struct place *top, struct err *e)
{
    if (!v || (size_t)v->id >= w->g->n_values || w->g->values[v->id] != v) return 0;
    return ARRAY_PUSH(w->g->arena, top->captured, top->n_captured, top->cap_captured, v) ? 0 : fail_nomem(e);
}

static int add_captures_of(struct walk *w, const struct node *n, struct place *top, struct err *e)
{
    for (size_t k = 0; k < n->n_attrs; k++)
        if (n->attrs[k].type == ATTR_GRAPH) TRY(add_captures(w, n->attrs[k].graph, top, e));
    return 0;
}

static int add_captures(struct walk *w, const struct graph *sub, struct place *top, struct err *e)
{
    for (size_t i = 0; i < sub->n_nodes; i++) {
        struct node *n = sub->nodes[i];
        for (int k = 0; k < n->n_in; k++) TRY(add_capture(w, n->in[k] = value_resolve(n->in[k]), top, e));
        TRY(add_captures_of(w, n, top, e));
    }
    for (size_t i = 0; i < sub->n_outputs; i++)
        TRY(add_capture(w, sub->outputs[i] = value_resolve(sub->outputs[i]), top, e));
    return 0;
}

/* The next value that the node on top of the stack needs, inputs first; false when there is none left. */
static bool next_needed(struct place *top, struct value **v)
{
    struct node *n = top->node;
    size_t i = top->next++;
    if (i < (size_t)n->n_in) return *v = n->in[i] = value_resolve(n->in[i]), true;
    if (i - (size_t)n->n_in < top->n_captured) return *v = top->captured[i - (size_t)n->n_in], true;
    return false;
}

static int visit(struct walk *w, struct value *root, struct err *e)
{
    size_t depth = 0;
    struct value *v;
    use(w, root, &depth);
    while (depth) {
        struct place *top = &w->stack[depth - 1];
        if (!top->next) TRY(add_captures_of(w, top->node, top, e));
        if (!next_needed(top, &v)) {
            w->node_mark[top->node->id] = DONE;
            w->order[w->n++] = top->node;
            depth--;
            continue;
        }
        if (!v) continue;
        if (v->kind == VALUE_NODE && v->node->graph == w->g && w->node_mark[v->node->id] == OPEN)
            return fail(e, ERR_MODEL, "the graph has a cycle through %s (%s)", top->node->name, top->node->op->name);
        use(w, v, &depth);
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
        n->out[0]->of = v->of;
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
    if (w->n) memcpy(g->nodes, w->order, w->n * sizeof *w->order);
    g->n_nodes = w->n;
    for (size_t i = 0; i < w->n; i++) {
        g->nodes[i]->id = (int)i;
        for (int k = 0; k < g->nodes[i]->n_out; k++) w->value_used[g->nodes[i]->out[k]->id] = true;
    }
    size_t states = 0;
    for (size_t i = 0; i < g->n_states; i++) {
        struct value *s = g->states[i];
        if (w->value_used[s->id] || s->next || s->flags & VALUE_KEPT) g->states[states++] = s;
        else forget_name(g, s);
    }
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
