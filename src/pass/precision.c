/* precision.c - which nodes of a plan compute in bfloat16, by one table. */
#include "pass/precision.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"

/* `last`: how many inputs hold numbers (the others tell shapes); `weight`: the input whose dimension 1 is the channels
 * of one group, or -1; `follows`: only where all its numbers are bfloat16 anyway. */
static const struct row {
    const char *op;
    int last, weight;
    bool follows;
} rows[] = {
    { "Conv", 3, 1, false },
    { "FusedConv", 4, 1, false },
    { "ConvGradInput", 2, 1, false },
    { "ConvGradWeight", 2, 2, false },
    { "MatMul", 2, -1, false },
    { "FusedMatMul", 4, -1, false },
    { "Gemm", 3, -1, false },
    { "Relu", 1, -1, true },
    { "LeakyRelu", 1, -1, true },
    { "Add", 2, -1, true },
    { "Concat", OP_VARIADIC, -1, true },
    { "MaxPool", 1, -1, true },
    { "Flatten", 1, -1, true },
    { "Reshape", 1, -1, true },
    { "Transpose", 1, -1, true },
};

struct narrowing {
    struct builder b;
    struct value **narrow; /* by value id: its bfloat16 form, when there is one */
    size_t n_values;
    enum precision precision;
};

static const struct row *row_of(const struct node *n)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (node_is(n, rows[i].op)) return &rows[i];
    return NULL;
}

static int numbers(const struct row *r, const struct node *n)
{
    return r->last < n->n_in ? r->last : n->n_in;
}

/* One channel a group: nothing to multiply in blocks, and slower in bfloat16 than in float32. */
static bool is_thin(const struct row *r, const struct node *n)
{
    const struct shape *w = r->weight >= 0 ? &n->in[r->weight]->shape : NULL;
    return w && w->rank > 1 && w->dim[1] == 1;
}

static bool has_narrow(const struct narrowing *t, const struct value *v)
{
    v = value_resolve((struct value *)(uintptr_t)v);
    return v->kind == VALUE_NODE && node_is(v->node, "Cast") && v->node->in[0]->dtype == DT_BF16;
}

static bool is_taken(const struct narrowing *t, const struct row *r, const struct node *n)
{
    if (n->n_out != 1 || n->out[0]->dtype != DT_F32 || is_thin(r, n)) return false;
    if (r->follows && t->precision == PRECISION_ROUNDED) return false;
    for (int i = 0; i < numbers(r, n); i++) {
        if (n->in[i] && n->in[i]->dtype != DT_F32) return false;
        if (r->follows && (!n->in[i] || !has_narrow(t, n->in[i]))) return false;
    }
    return true;
}

/* The value in bfloat16; rounded to it, where that is all. */
static struct value *narrow(struct narrowing *t, struct value *v)
{
    struct value *of = value_resolve(v);
    if (has_narrow(t, of) && t->precision == PRECISION_BF16) return of->node->in[0];
    bool known = (size_t)v->id < t->n_values;
    if (known && t->narrow[v->id]) return t->narrow[v->id];
    struct value *y = emit_cast(&t->b, of, DT_BF16);
    if (t->precision == PRECISION_ROUNDED) y = emit_cast(&t->b, y, DT_F32);
    if (known) t->narrow[v->id] = y;
    return y;
}

static int narrow_node(struct narrowing *t, const struct row *r, struct node *n)
{
    struct value **in = ARENA_ARRAY(t->b.g->arena, n->n_in, struct value *);
    TRY_MEM(in, t->b.err);
    t->b.where = n->where;
    for (int i = 0; i < n->n_in; i++) in[i] = n->in[i] && i < numbers(r, n) ? narrow(t, n->in[i]) : n->in[i];
    t->b.name = n->name;
    struct value *y = builder_emit(&t->b, n->op->name, n->n_attrs ? n->attrs : NO_ATTRS, in, n->n_in);
    if (t->precision == PRECISION_BF16) y = emit_cast(&t->b, y, DT_F32);
    if (y) graph_alias(n->out[0], y);
    return t->b.err->code;
}

int pass_precision(struct graph *g, enum precision p, struct err *e)
{
    if (p == PRECISION_FULL) return 0;
    struct narrowing t = { .b = { g, e }, .n_values = g->n_values, .precision = p };
    TRY_MEM(t.narrow = ARENA_ARRAY(g->arena, g->n_values, struct value *), e);
    for (size_t i = 0, n = g->n_nodes; i < n; i++) {
        const struct row *r = row_of(g->nodes[i]);
        if (r && is_taken(&t, r, g->nodes[i])) TRY(narrow_node(&t, r, g->nodes[i]));
    }
    return graph_tidy(g, e);
}
