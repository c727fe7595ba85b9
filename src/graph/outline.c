/* outline.c - the opposite of inline.c: nodes of a graph once more as a body, for control flow that is found while a
 * graph is made. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "graph/outline.h"

struct outlining {
    struct graph *from, *body;
    struct outline *o;
    size_t first, last; /* nodes that may be taken */
    bool *needed;       /* by node, counted from `first` */
    struct value **map; /* by id of `from`'s values */
    struct err *err;
};

static bool may_take(const struct outlining *w, const struct value *v)
{
    if (v->kind != VALUE_NODE || v->node->graph != w->from) return false;
    return (size_t)v->node->id >= w->first && (size_t)v->node->id < w->last;
}

/* Nodes come in order, so one walk back finds all that are needed. */
static void mark(struct outlining *w, struct value *v)
{
    v = value_resolve(v);
    if (v && !w->map[v->id] && may_take(w, v)) w->needed[(size_t)v->node->id - w->first] = true;
}

/* Symbols are those of the other graph. */
static void take_type(struct value *to, const struct value *from)
{
    to->dtype = from->dtype;
    to->of = from->of;
    to->shape = from->shape;
    for (int d = 0; d < to->shape.rank; d++)
        if (to->shape.dim[d] < 0) to->shape.dim[d] = DIM_UNKNOWN;
}

static struct value *add_input(struct outlining *w, const struct value *v)
{
    struct value *in = graph_input(w->body, v->name, v->dtype, &v->shape, w->err);
    if (in) take_type(in, v);
    return in;
}

/* What a value that a node reads is in the body. */
static struct value *inner(struct outlining *w, struct value *v)
{
    v = value_resolve(v);
    if (!v || w->map[v->id]) return v ? w->map[v->id] : NULL;
    if (v->kind == VALUE_CONST) return w->map[v->id] = graph_const(w->body, v->name, v->data, w->err);
    if (!(w->map[v->id] = add_input(w, v))) return NULL;
    struct outline *o = w->o;
    if (!ARRAY_PUSH(w->from->arena, o->captured, o->n, o->cap, v)) fail_nomem(w->err);
    return w->map[v->id];
}

static int take_node(struct outlining *w, const struct node *n)
{
    struct value **in = ARENA_ARRAY(w->body->arena, n->n_in, struct value *);
    TRY_MEM(in, w->err);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !(in[i] = inner(w, n->in[i]))) return w->err->code;
    struct node *m = graph_node(w->body, n->op, n->name, n->n_attrs ? n->attrs : NULL, in, n->n_in, n->n_out, w->err);
    if (!m) return w->err->code;
    m->where = n->where;
    for (size_t i = 0; i < m->n_attrs; i++) {
        struct attr *a = (struct attr *)(uintptr_t)&m->attrs[i]; /* the node's own copy */
        if (a->type != ATTR_GRAPH) continue;
        if (!(a->graph = graph_copy(a->graph, w->body->arena, w->err))) return w->err->code;
        a->graph->outer = w->body;
    }
    for (int i = 0; i < n->n_out; i++) {
        take_type(m->out[i], n->out[i]);
        w->map[n->out[i]->id] = m->out[i];
    }
    return 0;
}

/* An output of its own: what the body only hands through stands behind an Identity. */
static int add_output(struct outlining *w, struct value *v)
{
    struct value *x = inner(w, v);
    const struct op *identity = w->body->ops->find("Identity");
    if (!x || !identity) return w->err->code ? w->err->code : fail(w->err, ERR_FAILED, "no operator Identity");
    struct node *n = graph_node(w->body, identity, NULL, NULL, &x, 1, 1, w->err);
    if (!n) return w->err->code;
    take_type(n->out[0], x);
    return graph_output(w->body, n->out[0], w->err);
}

static int take(struct outlining *w, struct value *const *in, size_t n_in, struct value *const *out, size_t n_out)
{
    for (size_t i = 0; i < n_in; i++)
        if (!(w->map[in[i]->id] = add_input(w, in[i]))) return w->err->code;
    for (size_t i = 0; i < n_out; i++) mark(w, out[i]);
    for (size_t i = w->last; i-- > w->first;)
        for (int k = 0; w->needed[i - w->first] && k < w->from->nodes[i]->n_in; k++) mark(w, w->from->nodes[i]->in[k]);
    for (size_t i = w->first; i < w->last; i++)
        if (w->needed[i - w->first]) TRY(take_node(w, w->from->nodes[i]));
    for (size_t i = 0; i < n_out; i++) TRY(add_output(w, out[i]));
    return 0;
}

int graph_outline(struct graph *g, const char *name, size_t first, size_t last, struct value *const *in, size_t n_in,
    struct value *const *out, size_t n_out, struct outline *o, struct err *e)
{
    *o = (struct outline){ .body = graph_new(g->arena, g->ops, name, e), .n_own = n_in };
    struct outlining w = { g, o->body, o, first, last, .err = e };
    for (size_t i = 0; i < g->n_nodes; i++) g->nodes[i]->id = (int)i;
    w.needed = ARENA_ARRAY(g->arena, last - first, bool);
    w.map = ARENA_ARRAY(g->arena, g->n_values, struct value *);
    if (!w.body || !w.needed || !w.map) return fail_nomem(e);
    w.body->outer = g;
    return take(&w, in, n_in, out, n_out);
}

static struct value *captured_as(const struct outline *o, const struct value *outer)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->captured[i] == outer) return o->body->inputs[o->n_own + i];
    return NULL;
}

static int set_inputs(const struct outline *o, struct value *const *all, size_t n, struct err *e)
{
    struct graph *g = o->body;
    struct value **in = ARENA_ARRAY(g->arena, o->n_own + n, struct value *);
    struct shape unknown = shape_unknown();
    TRY_MEM(in, e);
    if (o->n_own) memcpy(in, g->inputs, o->n_own * sizeof *in);
    for (size_t i = 0; i < n; i++) {
        in[o->n_own + i] = captured_as(o, all[i]);
        if (!in[o->n_own + i]) in[o->n_own + i] = graph_input(g, all[i]->name, all[i]->dtype, &unknown, e);
        if (e->code) return e->code;
    }
    g->inputs = in;
    g->n_inputs = g->cap_inputs = o->n_own + n;
    return graph_tidy(g, e);
}

int graph_outline_join(
    struct outline *bodies, size_t count, struct arena *a, struct value ***captured, size_t *n, struct err *e)
{
    size_t cap = 0;
    *captured = NULL;
    *n = 0;
    for (size_t b = 0; b < count; b++)
        for (size_t i = 0; i < bodies[b].n; i++) {
            size_t k = 0;
            while (k < *n && (*captured)[k] != bodies[b].captured[i]) k++;
            if (k == *n && !ARRAY_PUSH(a, *captured, *n, cap, bodies[b].captured[i])) return fail_nomem(e);
        }
    for (size_t b = 0; b < count; b++) TRY(set_inputs(&bodies[b], *captured, *n, e));
    return 0;
}
