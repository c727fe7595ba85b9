/* inline.c - the nodes of a body once more in another graph: a branch that is decided, a turn of a loop. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/graph.h"
#include "graph/op.h"

struct inlining {
    struct builder b;
    const struct graph *body;
    struct value **map; /* by id of the body's values */
    const char *prefix;
};

static const char *prefixed(const struct inlining *w, const char *name)
{
    const char *text = arena_printf(w->b.g->arena, "%s%s", w->prefix, name);
    if (!text) fail_nomem(w->b.err);
    return text;
}

/* Bodies within the node are copied: what they hold may be changed by passes. They read nothing of this one. */
static const struct attr *copy_attrs(struct inlining *w, const struct node *n)
{
    struct attr *list = ARENA_ARRAY(w->b.g->arena, n->n_attrs + 1, struct attr);
    if (!list) return fail_nomem(w->b.err), NULL;
    for (size_t i = 0; i < n->n_attrs; i++) {
        list[i] = n->attrs[i];
        if (list[i].type != ATTR_GRAPH) continue;
        if (!(list[i].graph = graph_copy(list[i].graph, w->b.g->arena, w->b.err))) return NULL;
        list[i].graph->outer = w->b.g;
    }
    return list;
}

static int inline_node(struct inlining *w, const struct node *n)
{
    struct err *e = w->b.err;
    struct value **in = ARENA_ARRAY(w->b.g->arena, n->n_in, struct value *);
    TRY_MEM(in, e);
    for (int i = 0; i < n->n_in; i++) in[i] = n->in[i] ? w->map[n->in[i]->id] : NULL;
    const struct attr *attrs = copy_attrs(w, n);
    w->b.name = prefixed(w, n->name);
    w->b.where = n->where;
    if (e->code) return e->code;
    struct node *m = builder_node(&w->b, n->op->name, attrs, in, n->n_in, n->n_out);
    if (!m) return e->code;
    for (int i = 0; i < n->n_out; i++) {
        struct value *v = m->out[i];
        w->map[n->out[i]->id] = v;
        const char *name = prefixed(w, n->out[i]->name);
        TRY_MEM(name, e);
        if (!graph_find(w->b.g, name)) TRY(graph_rename(w->b.g, v, name, e));
        if (!v->dtype) v->dtype = n->out[i]->dtype; /* what only the file knew */
    }
    return 0;
}

int graph_inline(struct graph *into, const struct graph *body, struct value *const *in, struct value **out,
    const char *prefix, struct err *e)
{
    struct inlining w = { .b = { into, e }, .body = body, .prefix = prefix };
    w.map = ARENA_ARRAY(into->arena, body->n_values, struct value *);
    TRY_MEM(w.map, e);
    for (size_t i = 0; i < body->n_inputs; i++) w.map[body->inputs[i]->id] = in[i];
    for (size_t i = 0; i < body->n_values; i++)
        if (body->values[i]->kind == VALUE_CONST &&
            !(w.map[i] = graph_const(into, prefixed(&w, body->values[i]->name), body->values[i]->data, e)))
            return e->code;
    for (size_t i = 0; i < body->n_nodes; i++) TRY(inline_node(&w, body->nodes[i]));
    for (size_t i = 0; i < body->n_outputs; i++) out[i] = value_resolve(w.map[body->outputs[i]->id]);
    return 0;
}
