/* widen.c - what has halves (float16, bfloat16) computes in float32.
 *
 *   op(halves) -> op(halves)      =>  Cast to float32 -> op -> op -> Cast to halves, where halves are asked for
 *
 * Processors have few instructions for halves, and kernels are written for float32; numbers between operators are not
 * rounded, so answers are nearer to the truth than those of halves. A Cast that the model asks for rounds all the same.
 */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "pass/pass.h"
#include "pass/uses.h"

struct widening {
    struct builder b;
    struct value **wide; /* by value id: its float32 form, where there is one */
    size_t n_values;
};

static bool is_half(const struct value *v)
{
    return v && (v->dtype == DT_F16 || v->dtype == DT_BF16);
}

/* What types mean something to, what takes no part of large weights, what holds graphs. */
static bool stays(const struct node *n)
{
    static const char *const names[] = { "Cast", "CastLike", "BitCast", "QuantizeLinear", "DequantizeLinear" };
    if (n->op->flags & (OP_RANDOM | OP_EFFECT | OP_CONTAINERS)) return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (node_is(n, names[i])) return true;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == ATTR_GRAPH) return true;
    return !strncmp(n->op->name, "Gather", 6) && value_is_fixed(n->in[0]);
}

static bool has_halves(const struct node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (is_half(n->in[i])) return true;
    for (int i = 0; i < n->n_out; i++)
        if (is_half(n->out[i])) return true;
    return false;
}

static struct value *wide_const(struct widening *t, const struct tensor *half)
{
    struct tensor *x = tensor_new(t->b.g->arena, DT_F32, &half->shape, t->b.err);
    for (int64_t i = 0; x && i < tensor_count(x); i++) tensor_set_f64(x, i, tensor_get_f64(half, i));
    return x ? emit_const(&t->b, x) : NULL;
}

static struct value *wide(struct widening *t, struct value *v)
{
    if (!is_half(v)) return v;
    bool known = (size_t)v->id < t->n_values;
    if (known && t->wide[v->id]) return t->wide[v->id];
    struct value *y = v->kind == VALUE_CONST ? wide_const(t, v->data) : emit_cast(&t->b, value_resolve(v), DT_F32);
    if (known) t->wide[v->id] = y;
    return y;
}

/* Whether the operator gives float32 for the halves it gave, and the rest as before: an attribute may name a type. */
static bool is_wider(const struct node *n, const struct node *now)
{
    for (int i = 0; i < n->n_out; i++)
        if (now->out[i]->dtype != (is_half(n->out[i]) ? DT_F32 : n->out[i]->dtype)) return false;
    return true;
}

static int widen_node(struct widening *t, struct node *n)
{
    struct value **in = ARENA_ARRAY(t->b.g->arena, n->n_in, struct value *);
    TRY_MEM(in, t->b.err);
    t->b.where = n->where;
    for (int i = 0; i < n->n_in; i++) in[i] = wide(t, n->in[i]);
    t->b.name = n->name;
    struct node *now = builder_node(&t->b, n->op->name, n->n_attrs ? n->attrs : NO_ATTRS, in, n->n_in, n->n_out);
    if (!now && t->b.err->code != ERR_NOMEM) err_clear(t->b.err); /* it takes halves only */
    if (!now || !is_wider(n, now)) return t->b.err->code;
    for (int i = 0; i < n->n_out; i++) {
        struct value *y = now->out[i];
        if (is_half(n->out[i])) {
            t->wide[n->out[i]->id] = y;
            y = emit_cast(&t->b, y, n->out[i]->dtype);
        }
        if (y) graph_alias(n->out[i], y);
    }
    return t->b.err->code;
}

/* A Cast of halves to float32 has nothing to do where they were wide before. */
static bool is_undone(const struct widening *t, const struct node *n)
{
    return node_is(n, "Cast") && is_half(n->in[0]) && n->out[0]->dtype == DT_F32 && t->wide[n->in[0]->id];
}

static int widen(struct graph *g, struct err *e)
{
    struct widening t = { .b = { g, e }, .n_values = g->n_values };
    TRY_MEM(t.wide = ARENA_ARRAY(g->arena, g->n_values, struct value *), e);
    for (size_t i = 0, n = g->n_nodes; i < n; i++) {
        struct node *at = g->nodes[i];
        if (is_undone(&t, at)) graph_alias(at->out[0], t.wide[at->in[0]->id]);
        else if (has_halves(at) && !stays(at)) TRY(widen_node(&t, at));
    }
    return graph_tidy(g, e);
}

const struct pass pass_widen = { "widen", "halves compute in float32", PASS_PLAN, widen };
