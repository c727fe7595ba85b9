/* interpret.c - a graph, node by node. */
#include "ops/interpret.h"

#include "base/arena.h"
#include "base/err.h"
#include "ops/kernel.h"

static struct tensor *lookup(const struct bindings *b, const struct value *v)
{
    for (; b; b = b->outer)
        if ((size_t)v->id < b->graph->n_values && b->graph->values[v->id] == v) return b->tensors[v->id];
    return NULL;
}

static int bind(
    struct bindings *b, const struct graph *g, struct tensor *const *in, const struct interpret *o, struct err *e)
{
    for (size_t i = 0; i < g->n_values; i++) b->tensors[i] = (struct tensor *)(uintptr_t)g->values[i]->data;
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (!in[i]) return fail(e, ERR_USAGE, "input %s is missing", g->inputs[i]->name);
        b->tensors[g->inputs[i]->id] = in[i];
    }
    for (size_t i = 0; o->states && i < g->n_states; i++)
        if (o->states[i]) b->tensors[g->states[i]->id] = o->states[i];
    return 0;
}

static int run_node(
    const struct node *n, const struct bindings *b, struct arena *a, const struct interpret *o, struct err *e)
{
    struct tensor **in = ARENA_ARRAY(a, n->n_in + n->n_out, struct tensor *), **out;
    TRY_MEM(in, e);
    out = in + n->n_in;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !(in[i] = lookup(b, n->in[i]))) return fail(e, ERR_FAILED, "%s has no content", n->in[i]->name);
    TRY(op_eval_for(o->host, n, in, out, a, o->threads ? o->threads : 1, e));
    for (int i = 0; i < n->n_out; i++) b->tensors[n->out[i]->id] = out[i];
    if (o->seen) o->seen(o->cookie, n, out);
    return 0;
}

int graph_interpret(const struct graph *g, struct tensor *const *in, struct tensor **out, struct arena *a,
    const struct interpret *options, struct err *e)
{
    struct interpret defaults = { .threads = 1 };
    const struct interpret *o = options ? options : &defaults;
    struct bindings b = { ARENA_ARRAY(a, g->n_values, struct tensor *), o->outer, g };
    TRY_MEM(b.tensors, e);
    TRY(bind(&b, g, in, o, e));
    for (size_t i = 0; i < g->n_nodes; i++) TRY(run_node(g->nodes[i], &b, a, o, e));
    for (size_t i = 0; i < g->n_outputs; i++) out[i] = lookup(&b, g->outputs[i]);
    for (size_t i = 0; o->states && i < g->n_states; i++)
        if (g->states[i]->next) o->states[i] = lookup(&b, g->states[i]->next);
    return 0;
}
