/* expanded.c - running an operator by way of its expansion. */
#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/eval.h"
#include "ops/interpret.h"

/* The node in a graph of its own, its inputs constants there. */
static struct node *copied(const struct step *s, struct graph *g, struct err *e)
{
    const struct node *n = s->node;
    struct value **in = ARENA_ARRAY(s->scratch, n->n_in, struct value *);
    if (!in) return fail_nomem(e), NULL;
    for (int i = 0; i < n->n_in; i++)
        if (s->in[i] && !(in[i] = graph_const(g, NULL, s->in[i], e))) return NULL;
    struct builder b = { g, e };
    return builder_node(&b, n->op->name, n->n_attrs ? n->attrs : NULL, in, n->n_in, n->n_out);
}

int step_run_expanded(const struct step *s, struct err *e)
{
    int n_out = s->node->n_out;
    struct graph *g = graph_new(s->scratch, s->node->graph->ops, s->node->name, e);
    struct tensor **result = ARENA_ARRAY(s->scratch, n_out, struct tensor *);
    struct value **out = ARENA_ARRAY(s->scratch, n_out, struct value *);
    if (!g || !result || !out) return fail_nomem(e);
    struct node *n = copied(s, g, e);
    if (!n) return e->code;
    struct builder b = { g, e };
    TRY(n->op->expand(&b, n, out));
    for (int i = 0; i < n_out && !e->code; i++) graph_output(g, out[i], e);
    if (e->code || graph_tidy(g, e)) return e->code;
    TRY(graph_interpret(g, NULL, result, s->scratch, &(struct interpret){ .threads = s->threads, .host = s->host }, e));
    for (int i = 0; i < n_out; i++) TRY(step_give(s, i, result[i], e));
    return 0;
}
