/* copy.c - a copy of a graph in another arena; tensors' memory is shared by reference. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/graph.h"

struct copy {
    const struct graph *from;
    struct graph *to;
    struct value **map; /* by id of the original's values */
    const struct copy *outer;
};

static struct graph *copy_graph(const struct graph *g, struct arena *a, const struct copy *outer, struct err *e);

static const struct tensor *copy_tensor(struct arena *a, const struct tensor *t, struct err *e)
{
    struct tensor *c = ARENA_NEW(a, struct tensor);
    if (!c) return fail_nomem(e), NULL;
    *c = *t;
    if (t->blob && blob_adopt(a, blob_ref(t->blob))) return fail_nomem(e), NULL;
    return c;
}

/* The copy of a value of this graph or of one around it. */
static struct value *mapped(const struct copy *c, struct value *v)
{
    v = value_resolve(v);
    if (!v) return NULL;
    for (; c; c = c->outer)
        if ((size_t)v->id < c->from->n_values && c->from->values[v->id] == v) return c->map[v->id];
    return v;
}

const struct content *content_new(struct arena *a, const struct content *of, struct err *e)
{
    struct content *c = of ? ARENA_NEW(a, struct content) : NULL;
    if (!of) return NULL;
    if (!c) return fail_nomem(e), NULL;
    *c = *of;
    for (int d = 0; d < c->shape.rank; d++)
        if (c->shape.dim[d] < 0) c->shape.dim[d] = DIM_UNKNOWN;
    c->of = content_new(a, of->of, e);
    return c;
}

static int copy_plain_value(struct copy *c, const struct value *v, struct err *e)
{
    struct value *n = NULL;
    if (v->kind == VALUE_INPUT) n = graph_input(c->to, v->name, v->dtype, &v->shape, e);
    else {
        const struct tensor *t = copy_tensor(c->to->arena, v->data, e);
        if (!t) return e->code;
        n = v->kind == VALUE_CONST ? graph_const(c->to, v->name, t, e) : graph_state(c->to, v->name, t, v->flags, e);
    }
    if (!n) return e->code;
    n->flags = v->flags;
    n->origin = v->origin;
    n->of = content_new(c->to->arena, v->of, e);
    c->map[v->id] = n;
    return e->code;
}

static int copy_subgraphs(struct copy *c, const struct node *n, struct err *e)
{
    struct attr *attrs = (struct attr *)(uintptr_t)n->attrs; /* our own fresh copy */
    for (size_t i = 0; i < n->n_attrs; i++) {
        if (attrs[i].type == ATTR_GRAPH && !(attrs[i].graph = copy_graph(attrs[i].graph, c->to->arena, c, e)))
            return e->code;
        if (attrs[i].type == ATTR_TENSOR && !(attrs[i].tensor = copy_tensor(c->to->arena, attrs[i].tensor, e)))
            return e->code;
    }
    return 0;
}

static int copy_node(struct copy *c, const struct node *n, struct err *e)
{
    struct value **in = ARENA_ARRAY(c->to->arena, n->n_in, struct value *);
    TRY_MEM(in, e);
    for (int i = 0; i < n->n_in; i++) in[i] = mapped(c, n->in[i]);
    struct node *m = graph_node(c->to, n->op, n->name, n->n_attrs ? n->attrs : NULL, in, n->n_in, n->n_out, e);
    if (!m) return e->code;
    if (n->where) TRY_MEM(m->where = arena_strdup(c->to->arena, n->where), e);
    TRY(copy_subgraphs(c, m, e));
    for (int i = 0; i < n->n_out; i++) {
        const struct value *v = n->out[i];
        struct value *w = m->out[i];
        TRY(graph_rename(c->to, w, v->name, e));
        w->dtype = v->dtype;
        w->shape = v->shape;
        w->of = content_new(c->to->arena, v->of, e);
        w->flags = v->flags;
        c->map[v->id] = w;
    }
    return e->code;
}

static int copy_lists(struct copy *c, struct err *e)
{
    const struct graph *g = c->from;
    for (size_t i = 0; i < g->n_outputs; i++) TRY(graph_output(c->to, mapped(c, g->outputs[i]), e));
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next) c->map[g->states[i]->id]->next = mapped(c, g->states[i]->next);
    for (size_t i = 0; i < g->n_guards; i++)
        TRY(graph_guard(c->to, mapped(c, g->guards[i].value), g->guards[i].expected, g->guards[i].where, e));
    for (size_t i = 0; i < g->metadata.n; i++) {
        const struct map_entry *m = &g->metadata.entries[i];
        char *text = m->value ? arena_strdup(c->to->arena, m->value) : NULL;
        if ((m->value && !text) || !map_set(&c->to->metadata, m->key, text)) return fail_nomem(e);
    }
    return 0;
}

static struct graph *copy_graph(const struct graph *g, struct arena *a, const struct copy *outer, struct err *e)
{
    struct copy c = { .from = g, .to = graph_new(a, g->ops, g->name, e), .outer = outer };
    c.map = ARENA_ARRAY(a, g->n_values, struct value *);
    if (!c.to || !c.map) return fail_nomem(e), NULL;
    c.to->outer = outer ? outer->to : NULL;
    for (size_t i = 0; i < g->n_symbols; i++)
        if (graph_symbol(c.to, g->symbols[i]) == DIM_UNKNOWN) return fail_nomem(e), NULL;
    /* inputs and states keep the order of their lists, constants that of the values */
    for (size_t i = 0; i < g->n_inputs; i++)
        if (copy_plain_value(&c, g->inputs[i], e)) return NULL;
    for (size_t i = 0; i < g->n_states; i++)
        if (copy_plain_value(&c, g->states[i], e)) return NULL;
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->kind == VALUE_CONST && copy_plain_value(&c, g->values[i], e)) return NULL;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (copy_node(&c, g->nodes[i], e)) return NULL;
    return copy_lists(&c, e) ? NULL : c.to;
}

struct graph *graph_copy(const struct graph *g, struct arena *a, struct err *e)
{
    return copy_graph(g, a, NULL, e);
}
