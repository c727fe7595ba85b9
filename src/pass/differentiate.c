/* differentiate.c - Gradient nodes become the nodes of the gradient they ask for. */
#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "pass/gradient.h"
#include "pass/pass.h"

static struct node *first_request(const struct graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (node_is(g->nodes[i], "Gradient")) return g->nodes[i];
    return NULL;
}

static int write_out(struct graph *g, struct node *n, struct err *e)
{
    struct builder b = { g, e, .where = n->where };
    struct value **d = ARENA_ARRAY(g->arena, n->n_out, struct value *);
    struct value *loss = emit(&b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), n->in[0]);
    if (!d) return fail_nomem(e);
    if (e->code || graph_output(g, loss, e)) return e->code; /* an output is kept while the graph is tidied */
    if (graph_tidy(g, e) || graph_gradient(g, loss, n->in + 1, (size_t)n->n_out, d, e)) return node_err(n, e);
    g->n_outputs--;
    for (int i = 0; i < n->n_out; i++) {
        struct value *x = value_resolve(n->in[i + 1]);
        struct value *zero = d[i] ? NULL : emit(&b, "Mul", NO_ATTRS, x, emit_scalar(&b, x->dtype, 0));
        if (!zero && !d[i]) return e->code;
        graph_alias(n->out[i], d[i] ? d[i] : zero);
    }
    return e->code ? e->code : graph_tidy(g, e);
}

static int run(struct graph *g, struct err *e)
{
    for (struct node *n; (n = first_request(g));) TRY(write_out(g, n, e));
    return 0;
}

const struct pass pass_differentiate = {
    .name = "differentiate",
    .doc = "Gradient nodes become the nodes of the gradient they ask for",
    .stage = PASS_IMPORT,
    .run = run,
};
