/* upsample.c - quantized transposed convolutions whose windows lie side by side become products and moves.
 *
 *   DQ(x), DQ(w) -> ConvTranspose (s x s, strides s) -> Q   =>   Conv 1x1 of s s M outputs -> Q -> DQ -> DepthToSpace
 *
 * What the pass "quantized" finds next works on integers.
 */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "pass/pass.h"
#include "pass/uses.h"

struct search {
    struct graph *g;
    struct builder b;
    struct uses uses;
};

/* Whether all numbers of the attribute are `want`; so are those of one that is not there, unless `needed`. */
static bool are_all(const struct node *n, const char *name, int64_t want, bool needed)
{
    size_t count = 0;
    const int64_t *v = node_ints(n, name, &count);
    for (size_t i = 0; i < count; i++)
        if (v[i] != want) return false;
    return count || !needed;
}

/* The side of the window when windows lie side by side; else 0. */
static int64_t side_of(const struct node *n)
{
    const struct shape *x = &n->in[0]->shape, *w = &n->in[1]->shape, *y = &n->out[0]->shape;
    if (w->rank != 4 || !shape_is_known(x) || !shape_is_known(w) || !shape_is_known(y)) return 0;
    int64_t side = w->dim[2];
    bool plain = node_int(n, "group") == 1 && are_all(n, "pads", 0, false) && are_all(n, "dilations", 1, false) &&
        are_all(n, "output_padding", 0, false);
    if (side < 2 || w->dim[3] != side || !plain || !are_all(n, "strides", side, true)) return 0;
    return y->dim[2] == x->dim[2] * side && y->dim[3] == x->dim[3] * side ? side : 0;
}

/* The numbers of v one set after another; one number, and NULL, stay. */
static struct value *repeated(struct search *s, struct value *v, int64_t times)
{
    if (!v || tensor_count(v->data) == 1) return v;
    size_t bytes = (size_t)tensor_bytes(v->data);
    struct shape shape = shape_of(1, (int64_t[]){ times * tensor_count(v->data) });
    struct tensor *t = tensor_new(s->g->arena, v->dtype, &shape, s->b.err);
    for (int64_t i = 0; t && i < times; i++) memcpy((char *)t->data + (size_t)i * bytes, v->data->data, bytes);
    return t ? emit_const(&s->b, t) : NULL;
}

/* Bytes (C, M, side, side) as (side side M, C, 1, 1). */
static struct value *turned(struct search *s, const struct value *w, int64_t side)
{
    int64_t c = w->shape.dim[0], m = w->shape.dim[1], taps = side * side;
    struct shape shape = shape_of(4, (int64_t[]){ taps * m, c, 1, 1 });
    struct tensor *t = tensor_new(s->g->arena, w->dtype, &shape, s->b.err);
    const unsigned char *from = w->data->data;
    unsigned char *to = t ? t->data : NULL;
    for (int64_t i = 0; i < c * m && to; i++)
        for (int64_t k = 0; k < taps; k++) to[(k * m + i % m) * c + i / m] = from[i * taps + k];
    return t ? emit_const(&s->b, t) : NULL;
}

/* A DequantizeLinear of numbers that are fixed, whose scales, if several, belong to dimension `axis`. */
static const struct node *unpacking(const struct value *v, int axis)
{
    const struct node *n = v ? made_by(v, "DequantizeLinear") : NULL;
    if (!n || node_int(n, "block_size") || n->out[0]->dtype != DT_F32) return NULL;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && (!value_is_fixed(n->in[i]) || !n->in[i]->data)) return NULL;
    bool single = tensor_count(n->in[1]->data) == 1;
    return single || shape_axis(node_int(n, "axis"), n->in[0]->shape.rank) == axis ? n : NULL;
}

static struct value *unpacked(struct search *s, const struct node *of, struct value *q, int64_t times)
{
    struct value *scale = repeated(s, of->in[1], times), *zero = repeated(s, node_in(of, 2), times);
    return emit(&s->b, "DequantizeLinear", ATTRS(attr_int("axis", 0)), q, scale, zero);
}

static struct value *bias_of(struct search *s, const struct node *n, int64_t times, bool *fits)
{
    struct value *v = node_in(n, 2);
    const struct node *of = v ? unpacking(v, 0) : NULL;
    *fits = !v || of || (value_is_fixed(v) && v->data);
    if (!v || !*fits) return NULL;
    return of ? unpacked(s, of, repeated(s, of->in[0], times), times) : repeated(s, v, times);
}

/* One scale, so that it is the same wherever elements are moved to. */
static bool is_mover_of(const struct node *q, const struct value *v)
{
    return node_is(q, "QuantizeLinear") && q->in[0] == v && shape_count(&q->in[1]->shape) == 1;
}

static int visit(struct search *s, struct node *n)
{
    const struct node *x = made_by(n->in[0], "DequantizeLinear"), *w = unpacking(n->in[1], 1);
    int64_t side = x && w && dtype_size(w->in[0]->dtype) == 1 ? side_of(n) : 0;
    bool fits = side > 0;
    if (!fits || dtype_size(x->in[0]->dtype) != 1) return 0;
    s->b.where = n->where, s->b.name = n->name;
    struct value *bias = bias_of(s, n, side * side, &fits);
    if (!fits) return s->b.err->code;
    struct value *weight = unpacked(s, w, turned(s, w->in[0], side), side * side);
    struct value *y = emit(&s->b, "Conv", NO_ATTRS, n->in[0], weight, bias), *end = n->out[0];
    struct node *q = uses_only(&s->uses, n->out[0]);
    if (is_mover_of(q, n->out[0])) {
        y = emit(&s->b, "QuantizeLinear", q->n_attrs ? q->attrs : NO_ATTRS, y, q->in[1], node_in(q, 2));
        end = q->out[0];
    }
    y = emit(&s->b, "DepthToSpace", ATTRS(attr_int("blocksize", side)), y);
    if (y) graph_alias(end, y);
    return s->b.err->code;
}

static int upsample(struct graph *g, struct err *e)
{
    struct arena scratch;
    struct search s = { .g = g, .b = { g, e } };
    arena_init(&scratch, g->arena->mem);
    int code = uses_count(&s.uses, g, &scratch, e);
    for (size_t i = 0, n = g->n_nodes; i < n && !code; i++)
        if (node_is(g->nodes[i], "ConvTranspose")) code = visit(&s, g->nodes[i]);
    arena_release(&scratch);
    return code ? code : graph_tidy(g, e);
}

const struct pass pass_upsample = { "upsample", "quantized transposed convolutions as products and moves", PASS_PLAN,
    upsample };
