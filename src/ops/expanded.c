/* expanded.c - running an operator by way of its expansion. */
#include <string.h>

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

/* Into the step's output, made here when its shape was not known before. */
static int deliver(const struct step *s, int i, const struct tensor *result, struct err *e)
{
    if (!s->out[i] && !step_resize(s, i, result->dtype, &result->shape, e)) return e->code;
    memcpy(s->out[i]->data, result->data, (size_t)tensor_bytes(result));
    return 0;
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
    TRY(graph_interpret(g, NULL, result, s->scratch, &(struct interpret){ .threads = s->threads }, e));
    for (int i = 0; i < n_out; i++) TRY(deliver(s, i, result[i], e));
    return 0;
}
