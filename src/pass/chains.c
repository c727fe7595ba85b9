/* chains.c - element-wise operators whose results nobody else reads become one sweep over memory (ops/chain.h).
 *
 *   Div -> Add -> Round -> Clip -> Sub -> Mul   =>  FusedElementwise
 *
 * A group grows from its last operator towards the inputs, by operators all of whose readers are in it.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/chain.h"
#include "pass/pass.h"
#include "pass/uses.h"

struct search {
    struct graph *g;
    struct err *e;
    struct uses uses;
};

struct group {
    const struct shape *shape;
    struct node *nodes[CHAIN_STEPS]; /* the last operator first */
    int n;
    struct value *in[CHAIN_OPERANDS * CHAIN_STEPS];
    int n_in;
};

static bool is_one(const struct value *v)
{
    return shape_is_known(&v->shape) && shape_count(&v->shape) == 1;
}

/* Whether the node can be a step of a group of this shape: all its operands have it, or are one number. */
static bool is_step(const struct search *s, const struct node *n, const struct shape *shape)
{
    if (!chain_takes(n->op) || n->n_in != chain_arity(n->op) || s->uses.taken[n->id]) return false;
    if (n->out[0]->dtype != DT_F32 || !shape_is_known(shape) || !shape_equal(&n->out[0]->shape, shape)) return false;
    for (int i = 0; i < n->n_in; i++)
        if (!n->in[i] || (!shape_equal(&n->in[i]->shape, shape) && !is_one(n->in[i]))) return false;
    return true;
}

static int place_of(const struct group *u, const struct node *n)
{
    for (int i = 0; i < u->n; i++)
        if (u->nodes[i] == n) return i;
    return -1;
}

/* Whether only nodes of the group read the value. */
static bool is_inner(const struct search *s, const struct group *u, const struct value *v)
{
    int reads = 0;
    if ((size_t)v->id >= s->uses.n_values) return false;
    for (int i = 0; i < u->n; i++)
        for (int k = 0; k < u->nodes[i]->n_in; k++) reads += u->nodes[i]->in[k] == v;
    return reads == s->uses.of[v->id].n;
}

/* The values that come from outside. */
static void list_inputs(struct group *u)
{
    u->n_in = 0;
    for (int i = 0; i < u->n; i++)
        for (int k = 0; k < u->nodes[i]->n_in; k++) {
            struct value *v = u->nodes[i]->in[k];
            bool known = v->kind == VALUE_NODE && place_of(u, v->node) >= 0;
            for (int j = 0; j < u->n_in; j++) known = known || u->in[j] == v;
            if (!known) u->in[u->n_in++] = v;
        }
}

/* Adds the node, unless the group would have too many inputs then. */
static bool take(struct group *u, struct node *n)
{
    u->nodes[u->n++] = n;
    list_inputs(u);
    if (u->n_in <= CHAIN_INPUTS) return true;
    u->n--;
    return false;
}

static bool grow(const struct search *s, struct group *u)
{
    for (int i = 0; i < u->n && u->n < CHAIN_STEPS; i++)
        for (int k = 0; k < u->nodes[i]->n_in; k++) {
            const struct value *v = u->nodes[i]->in[k];
            if (v->kind != VALUE_NODE || place_of(u, v->node) >= 0 || !is_inner(s, u, v)) continue;
            if (is_step(s, v->node, u->shape) && take(u, v->node)) return true;
        }
    return false;
}

static int by_place(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    return (x->id > y->id) - (x->id < y->id);
}

static int emit_group(struct search *s, struct group *u)
{
    const char *steps[CHAIN_STEPS];
    int64_t operands[CHAIN_OPERANDS * CHAIN_STEPS];
    double parameters[CHAIN_PARAMETERS * CHAIN_STEPS];
    size_t n = 0, n_parameters = 0;
    struct value *last = u->nodes[0]->out[0];
    struct builder b = { s->g, s->e, .name = last->node->name, .where = last->node->where };
    qsort(u->nodes, (size_t)u->n, sizeof *u->nodes, by_place);
    list_inputs(u);
    for (int i = 0; i < u->n; i++) {
        const struct node *node = u->nodes[i];
        s->uses.taken[node->id] = true;
        steps[i] = node->op->name;
        for (int k = 0; k < node->n_in; k++) {
            int from = node->in[k]->kind == VALUE_NODE ? place_of(u, node->in[k]->node) : -1, at = 0;
            while (from < 0 && u->in[at] != node->in[k]) at++;
            operands[n++] = from < 0 ? at : -1 - from;
        }
        for (const struct attr_spec *a = node->op->attrs; a && a->name; a++)
            parameters[n_parameters++] = node_float(node, a->name);
    }
    const struct attr names = { .name = "steps", .type = ATTR_STRINGS, .n = (size_t)u->n, .strings = steps };
    struct value *y = builder_emit(&b, "FusedElementwise",
        ATTRS(names, attr_ints("operands", operands, n), attr_floats("parameters", parameters, n_parameters)), u->in,
        u->n_in);
    if (y) graph_alias(last, y);
    return s->e->code;
}

static int chains(struct graph *g, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, g->arena->mem);
    struct search s = { .g = g, .e = e };
    int code = uses_count(&s.uses, g, &scratch, e);
    for (size_t i = g->n_nodes; i-- > 0 && !code;) {
        struct node *n = g->nodes[i];
        struct group u = { .shape = n->n_out ? &n->out[0]->shape : NULL };
        if (!u.shape || !is_step(&s, n, u.shape) || !take(&u, n)) continue;
        while (u.n < CHAIN_STEPS && grow(&s, &u)) {}
        if (u.n > 1) code = emit_group(&s, &u);
    }
    arena_release(&scratch);
    return code ? code : graph_tidy(g, e);
}

const struct pass pass_chains = { "chains", "one sweep for element-wise operators in a row", PASS_PLAN, chains };
