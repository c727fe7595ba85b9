/* gradient.c - reverse-mode differentiation: one walk back over the nodes between the parameters and the loss. */
#include "pass/gradient.h"

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/control.h"
#include "pass/expand.h"

struct tape {
    struct graph *g;
    struct builder b;
    size_t n_values, n_nodes; /* when the walk began */
    bool *active;             /* by value id: depends on a wrt */
    struct value **d;         /* by value id: gradient gathered so far */
};

/* Whether a value was part of the graph when the walk began (an id outlives the value it was given to). */
static bool is_there(const struct tape *t, const struct value *v)
{
    return v && (size_t)v->id < t->n_values && t->g->values[v->id] == v;
}

static void mark_active(struct tape *t, struct value *const *wrt, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_there(t, wrt[i])) t->active[wrt[i]->id] = true;
    for (size_t i = 0; i < t->n_nodes; i++) {
        const struct node *node = t->g->nodes[i];
        bool any = false;
        for (int k = 0; k < node->n_in; k++) any |= node->in[k] && t->active[node->in[k]->id];
        for (int k = 0; k < node->n_out; k++)
            if (any && dtype_is_float(node->out[k]->dtype)) t->active[node->out[k]->id] = true;
    }
}

static bool wants(const struct tape *t, const struct value *v)
{
    return is_there(t, v) && t->active[v->id];
}

static void gather(struct tape *t, struct value *v, struct value *d)
{
    struct value **sum = &t->d[v->id];
    *sum = *sum ? emit(&t->b, "Add", NO_ATTRS, *sum, d) : d;
}

static int backward_node(struct tape *t, struct node *n, struct err *e)
{
    bool reached = false, needed = false;
    struct value **list = ARENA_ARRAY(t->g->arena, n->n_in + n->n_out, struct value *);
    TRY_MEM(list, e);
    struct grad rule = { &t->b, n, list, list + n->n_out };
    for (int i = 0; i < n->n_out; i++) reached |= (rule.dy[i] = t->d[n->out[i]->id]) != NULL;
    for (int i = 0; i < n->n_in; i++) needed |= wants(t, n->in[i]);
    if (!reached || !needed) return 0;
    if (!n->op->grad) {
        fail(e, ERR_UNSUPPORTED, "has no gradient, and the loss depends on parameters through it");
        return node_err(n, e);
    }
    t->b.where = n->where;
    int code = n->op->grad(&rule);
    if (code || e->code) return node_err(n, e), err_prefix(e, "gradient");
    for (int i = 0; i < n->n_in; i++)
        if (rule.dx[i] && wants(t, n->in[i])) gather(t, n->in[i], rule.dx[i]);
    return e->code;
}

static bool lacks_gradient(const struct node *n)
{
    return !n->op->grad && n->op->expand && (!control_is(n) || control_unrolls(n));
}

int graph_gradient(
    struct graph *g, struct value *loss, struct value *const *wrt, size_t n, struct value **out, struct err *e)
{
    TRY(graph_expand(g, lacks_gradient, e));
    loss = value_resolve(loss);
    if (!dtype_is_float(loss->dtype)) return fail(e, ERR_SHAPE, "the loss %s is no float", loss->name);
    struct tape t = { .g = g, .b = { g, e }, .n_values = g->n_values, .n_nodes = g->n_nodes };
    t.active = ARENA_ARRAY(g->arena, t.n_values, bool);
    t.d = ARENA_ARRAY(g->arena, t.n_values, struct value *);
    if (!t.active || !t.d) return fail_nomem(e);
    mark_active(&t, wrt, n);
    struct value *one = emit_scalar(&t.b, loss->dtype, 1);
    t.d[loss->id] = loss->shape.rank ? emit(&t.b, "ReshapeLike", NO_ATTRS, one, loss) : one;
    for (size_t i = t.n_nodes; i-- > 0;) TRY(backward_node(&t, g->nodes[i], e));
    for (size_t i = 0; i < n; i++) out[i] = wants(&t, wrt[i]) ? t.d[wrt[i]->id] : NULL;
    return e->code;
}
