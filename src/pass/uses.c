/* uses.c - who reads a value. */
#include "pass/uses.h"

#include "base/arena.h"
#include "base/err.h"

static void use(struct uses *u, const struct value *v, struct node *by)
{
    struct readers *r = &u->of[v->id];
    if (r->n < READERS) r->by[r->n] = by;
    r->n++;
}

/* Outputs, states and guards count as readers without a node. */
int uses_count(struct uses *u, const struct graph *g, struct arena *a, struct err *e)
{
    *u = (struct uses){ g->n_values, ARENA_ARRAY(a, g->n_values, struct readers), ARENA_ARRAY(a, g->n_nodes, bool) };
    if (!u->of || !u->taken) return fail_nomem(e);
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k]) use(u, g->nodes[i]->in[k], g->nodes[i]);
    for (size_t i = 0; i < g->n_outputs; i++) use(u, g->outputs[i], NULL);
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next) use(u, g->states[i]->next, NULL);
    for (size_t i = 0; i < g->n_guards; i++) use(u, g->guards[i].value, NULL);
    return 0;
}

struct node *uses_only(const struct uses *u, const struct value *v)
{
    if ((size_t)v->id >= u->n_values) return NULL;
    const struct readers *r = &u->of[v->id];
    return r->n == 1 && r->by[0] && !u->taken[r->by[0]->id] ? r->by[0] : NULL;
}

struct node *made_by(const struct value *v, const char *op)
{
    return v->kind == VALUE_NODE && node_is(v->node, op) ? v->node : NULL;
}

bool node_fixed_number(const struct node *n, int i, double none, double *to)
{
    const struct value *v = node_in(n, i);
    *to = none;
    if (!v) return true;
    if (!value_is_fixed(v) || !v->data || tensor_count(v->data) != 1) return false;
    *to = tensor_get_f64(v->data, 0);
    return true;
}

bool node_const_integer(const struct node *n, int i, int64_t none, int64_t *to)
{
    const struct value *v = node_in(n, i);
    const struct tensor *t = v ? value_const(v) : NULL;
    bool known = t && tensor_count(t) == 1;
    *to = known ? tensor_get_i64(t, 0) : none;
    return !v || known;
}
