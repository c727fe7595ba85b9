/* batch.c - the first dimension made free. */
#include "pass/batch.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/graph.h"
#include "pass/pass.h"

/* Marks what depends on inputs, by value id. */
static bool *dependants(const struct graph *g, struct err *e)
{
    bool *of_input = ARENA_ARRAY(g->arena, g->n_values, bool);
    if (!of_input) return fail_nomem(e), NULL;
    for (size_t i = 0; i < g->n_inputs; i++) of_input[g->inputs[i]->id] = true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_in; k++) any = any || (n->in[k] && of_input[n->in[k]->id]);
        for (int k = 0; k < n->n_out; k++) of_input[n->out[k]->id] = any;
    }
    return of_input;
}

/* Reshape to [1, ...] becomes Reshape to [0, ...]: the first dimension stays what it is. */
static int free_reshape(struct graph *g, struct node *n, struct err *e)
{
    const struct tensor *shape = node_in(n, 1) ? value_const(n->in[1]) : NULL;
    if (!shape || tensor_count(shape) < 1 || tensor_get_i64(shape, 0) != 1 || node_int(n, "allowzero")) return 0;
    struct tensor *t = tensor_copy(g->arena, shape->dtype, &shape->shape, shape->data, e);
    if (!t) return e->code;
    tensor_set_i64(t, 0, 0);
    struct value *c = graph_const(g, NULL, t, e);
    if (!c) return e->code;
    n->in[1] = c;
    return 0;
}

int graph_free_batch(struct graph *g, struct err *e)
{
    size_t n_values = g->n_values, freed = 0;
    bool *of_input = dependants(g, e);
    if (!of_input) return e->code;
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct shape *s = &g->inputs[i]->shape;
        if (s->rank < 2 || s->dim[0] != 1) continue;
        s->dim[0] = graph_symbol(g, "N");
        freed++;
    }
    if (!freed) return 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct node *n = g->nodes[i];
        const struct value *data = node_in(n, 0);
        if (node_is(n, "Reshape") && data && (size_t)data->id < n_values && of_input[data->id])
            TRY(free_reshape(g, n, e));
    }
    TRY(pass_fold_graph(g, e));
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i]->shape.rank < 1 || g->outputs[i]->shape.dim[0] == 1)
            return fail(e, ERR_UNSUPPORTED, "the output %s holds one sample whatever goes in", g->outputs[i]->name);
    return 0;
}
