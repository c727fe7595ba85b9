/* lift_attention.c - com.microsoft's attention operators, in terms of ONNX's Attention and RotaryEmbedding. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

struct attention {
    struct lift *l;
    struct value *q, *k, *v; /* all (B, L, heads * size), or all (B, heads, L, size) */
    struct value *mask;      /* which keys count, in one of several forms */
    struct value *bias;      /* added to the products */
    struct value *past_k, *past_v;
    int64_t heads;
    bool causal;
};

/* Lengths (B) to the keys that lie below them, (B, 1, 1, keys) */
static struct value *below_length(struct attention *a, struct value *lengths)
{
    struct lift *l = a->l;
    bool flat = a->k->shape.rank == 3;
    struct value *n = lift_dim(l, a->k, flat ? 1 : 2);
    if (a->past_k) n = lift_two(l, "Add", n, lift_dim(l, a->past_k, 2));
    struct value *at = lift_range(l, n);
    lengths = lift_unsqueezed(l, emit_cast(l->b, lengths, DT_I64), (int64_t[]){ 1, 2, 3 }, 3);
    return lift_two(l, "Less", at, lengths);
}

/* What is added to the products: 0 where a key counts, mask_filter_value where it does not. */
static struct value *additive(struct attention *a, struct err *e)
{
    struct lift *l = a->l;
    struct value *mask = a->mask;
    if (!mask) return a->bias;
    int rank = mask->shape.rank;
    const struct shape *q = &a->q->shape;
    if (rank == 1 && mask->shape.dim[0] >= 0 && q->dim[0] >= 0 && mask->shape.dim[0] != q->dim[0])
        return fail(e, ERR_UNSUPPORTED, "a mask of starts and ends of sequences"), NULL;
    if (rank == 1) mask = below_length(a, mask);
    else if (rank == 2) mask = lift_unsqueezed(l, mask, (int64_t[]){ 1, 2 }, 2);
    else if (rank == 3) mask = lift_unsqueezed(l, mask, (int64_t[]){ 1 }, 1);
    else if (rank != 4) return fail(e, ERR_UNSUPPORTED, "a mask of rank %d", rank), NULL;
    if (!mask) return NULL;
    struct value *zero = emit_scalar(l->b, a->q->dtype, 0);
    struct value *off = emit_scalar(l->b, a->q->dtype, lift_float(l, "mask_filter_value", -10000));
    mask = emit(l->b, "Where", NO_ATTRS, emit_cast(l->b, mask, DT_BOOL), zero, off);
    return a->bias ? lift_two(l, "Add", mask, a->bias) : mask;
}

/* Emits it; the result is (B, L, heads * size), the present keys and values (B, heads, length, size). */
static struct node *emit_attention(struct attention *a, int n_out, struct err *e)
{
    struct lift *l = a->l;
    if (e->code) return NULL;
    bool flat = a->q->shape.rank == 3;
    double scale = lift_float(l, "scale", 0);
    struct attr attrs[5] = { attr_int("is_causal", a->causal) };
    int n = 1;
    if (flat) attrs[n++] = attr_int("q_num_heads", a->heads);
    if (flat) attrs[n++] = attr_int("kv_num_heads", a->heads);
    if (scale != 0) attrs[n++] = attr_float("scale", scale);
    struct value *in[] = { a->q, a->k, a->v, additive(a, e), a->past_k, a->past_v };
    return e->code ? NULL : builder_node(l->b, "Attention", attrs, in, 6, n_out);
}

static struct value *picked(struct lift *l, struct value *v, int64_t axis, int64_t at)
{
    return v ? emit(l->b, "Gather", ATTRS(attr_int("axis", axis)), v, emit_i64(l->b, at)) : NULL;
}

/* The widths of q, k and v side by side in `all`. */
static int read_widths(const struct lift *l, int64_t all, int64_t *width, struct err *e)
{
    const struct attr *sizes = lift_attr(l, "qkv_hidden_sizes");
    bool given = sizes && sizes->type == ATTR_INTS && sizes->n == 3;
    if (all < 0 || (!given && all % 3)) return fail(e, ERR_UNSUPPORTED, "query, key and value of unknown width");
    for (int i = 0; i < 3; i++) width[i] = given ? sizes->ints[i] : all / 3;
    if (width[0] < 1 || width[1] < 1 || width[2] < 1 || width[0] > all || width[1] > all || width[2] > all ||
        width[0] + width[1] + width[2] != all)
        return fail(e, ERR_MODEL, "qkv_hidden_sizes do not add up to %lld", (long long)all);
    return 0;
}

/* projected (B, L, q + k + v); `past` (2, B, heads, length, size) */
static int self_attention(
    struct lift *l, struct value *projected, struct value *mask, struct value *past, struct value *bias, struct err *e)
{
    int64_t width[3];
    if (!projected) return e->code;
    if (lift_int(l, "do_rotary", 0)) return fail(e, ERR_UNSUPPORTED, "do_rotary=1");
    if (projected->shape.rank != 3) return fail(e, ERR_UNSUPPORTED, "an input that is not of rank 3");
    TRY(read_widths(l, projected->shape.dim[2], width, e));
    struct attention a = { l, .mask = mask, .bias = bias, .heads = lift_int(l, "num_heads", 0) };
    a.causal = lift_int(l, "unidirectional", 0);
    a.q = lift_part(l, projected, 2, 0, width[0]);
    a.k = lift_part(l, projected, 2, width[0], width[0] + width[1]);
    a.v = lift_part(l, projected, 2, width[0] + width[1], width[0] + width[1] + width[2]);
    a.past_k = picked(l, past, 0, 0);
    a.past_v = picked(l, past, 0, 1);
    bool present = lift_wants(l, 1);
    struct node *n = emit_attention(&a, present ? 3 : 1, e);
    if (!n) return e->code;
    if (present)
        l->out[1] = emit(l->b, "Concat", ATTRS(attr_int("axis", 0)), lift_unsqueezed(l, n->out[1], (int64_t[]){ 0 }, 1),
            lift_unsqueezed(l, n->out[2], (int64_t[]){ 0 }, 1));
    lift_result(l, n->out[0]);
    return e->code;
}

/* x, weight, bias, mask, past, what is added to the products */
static int attention(struct lift *l, const char *arg, struct err *e)
{
    if (!lift_in(l, 0) || !lift_in(l, 1)) return fail(e, ERR_MODEL, "input 0 or 1 is missing");
    struct value *all = lift_two(l, "MatMul", l->in[0], l->in[1]);
    if (lift_in(l, 2)) all = lift_two(l, "Add", all, l->in[2]);
    return self_attention(l, all, lift_in(l, 3), lift_in(l, 4), lift_in(l, 5), e);
}

/* x, weight (both of 8 bits), bias, their scales, mask, their zero points, past */
static int quantized_attention(struct lift *l, const char *arg, struct err *e)
{
    for (int i = 0; i < 5; i++)
        if (!lift_in(l, i)) return fail(e, ERR_MODEL, "input %d is missing", i);
    struct value *all = emit(l->b, "MatMulInteger", NO_ATTRS, l->in[0], l->in[1], lift_in(l, 6), lift_in(l, 7));
    struct value *scale = lift_two(l, "Mul", l->in[3], l->in[4]);
    all = all && scale ? lift_two(l, "Mul", emit_cast(l->b, all, scale->dtype), scale) : NULL;
    return self_attention(l, lift_two(l, "Add", all, l->in[2]), lift_in(l, 5), lift_in(l, 8), NULL, e);
}

/* (B, L, heads, size) of (B, L, heads, parts, size) */
static struct value *unpacked(struct lift *l, struct value *v, int64_t at)
{
    return lift_permuted(l, picked(l, v, 3, at), 4, (int64_t[]){ 0, 2, 1, 3 });
}

static struct value *in_heads(struct lift *l, struct value *v, int64_t heads)
{
    if (!v || v->shape.rank != 3) return v;
    v = lift_reshaped(l, v, 4, (int64_t[]){ 0, 0, heads, -1 });
    return lift_permuted(l, v, 4, (int64_t[]){ 0, 2, 1, 3 });
}

/* A bias for q, k and v, one behind the other. */
static int add_biases(struct attention *a, struct value *bias, struct err *e)
{
    struct value **list[] = { &a->q, &a->k, &a->v };
    int64_t from = 0;
    for (int i = 0; bias && i < 3; i++) {
        const struct shape *s = &(*list[i])->shape;
        if (s->rank != 3 || s->dim[2] < 0) return fail(e, ERR_UNSUPPORTED, "a bias for keys that are cut in heads");
        *list[i] = lift_two(a->l, "Add", *list[i], lift_part(a->l, bias, 0, from, from + s->dim[2]));
        if (!*list[i]) return e->code;
        from += s->dim[2];
    }
    return 0;
}

/* query, key, value, bias, mask of keys, what is added to the products, past keys and values */
static int multi_head(struct lift *l, const char *arg, struct err *e)
{
    struct attention a = { l, lift_in(l, 0), lift_in(l, 1), lift_in(l, 2), lift_in(l, 4), lift_in(l, 5), lift_in(l, 6),
        lift_in(l, 7), lift_int(l, "num_heads", 0), lift_int(l, "unidirectional", 0) };
    struct value *packed = a.q && a.q->shape.rank == 5 ? a.q : NULL;
    if (!a.q || a.heads < 1) return fail(e, ERR_MODEL, "no query, or no num_heads");
    if (!packed && a.k && a.k->shape.rank == 5) {
        struct value *both = a.k;
        a.k = unpacked(l, both, 0);
        a.v = unpacked(l, both, 1);
    } else if (packed) {
        a.q = unpacked(l, packed, 0);
        a.k = unpacked(l, packed, 1);
        a.v = unpacked(l, packed, 2);
    }
    if (e->code || !a.k || !a.v) return e->code ? e->code : fail(e, ERR_MODEL, "no key or no value");
    TRY(add_biases(&a, lift_in(l, 3), e));
    bool flat = a.q->shape.rank == 3 && a.k->shape.rank == 3 && a.v->shape.rank == 3;
    if (!flat) a.q = in_heads(l, a.q, a.heads), a.k = in_heads(l, a.k, a.heads), a.v = in_heads(l, a.v, a.heads);
    if (lift_wants(l, 3)) return fail(e, ERR_UNSUPPORTED, "output 3 (the products) is read");
    struct node *n = emit_attention(&a, lift_wants(l, 1) || lift_wants(l, 2) ? 3 : 1, e);
    if (!n) return e->code;
    for (int i = 1; i < n->n_out && i < l->n_out; i++) l->out[i] = n->out[i];
    struct value *y = n->out[0];
    if (!flat) y = lift_reshaped(l, lift_permuted(l, y, 4, (int64_t[]){ 0, 2, 1, 3 }), 3, (int64_t[]){ 0, 0, -1 });
    lift_result(l, y);
    return e->code;
}

/* Positions (B, L); one number is where a sequence begins. */
static struct value *positions(struct lift *l, struct value *x, struct value *at)
{
    if (at->shape.rank != 1) return at;
    int64_t length = x->shape.rank == 3 ? 1 : 2;
    struct value *n = lift_dim(l, x, length);
    struct value *range = lift_range(l, n);
    range = lift_two(l, "Add", range, emit_cast(l->b, at, DT_I64));
    struct value *batch = emit(l->b, "Shape", ATTRS(attr_int("start", 0), attr_int("end", 1)), x);
    struct value *size = emit(l->b, "Shape", ATTRS(attr_int("start", length), attr_int("end", length + 1)), x);
    return lift_two(l, "Expand", range, emit(l->b, "Concat", ATTRS(attr_int("axis", 0)), batch, size));
}

/* x, positions, cos, sin */
static int rotary(struct lift *l, const char *arg, struct err *e)
{
    for (int i = 0; i < 4; i++)
        if (!lift_in(l, i)) return fail(e, ERR_MODEL, "input %d is missing", i);
    if (lift_int(l, "is_packed_batching", 0)) return fail(e, ERR_UNSUPPORTED, "is_packed_batching=1");
    if (lift_float(l, "scale", 1) != 1) return fail(e, ERR_UNSUPPORTED, "scale=%g", lift_float(l, "scale", 1));
    struct value *x = l->in[0], *at = positions(l, x, l->in[1]);
    int64_t half = l->in[2]->shape.rank == 2 ? l->in[2]->shape.dim[1] : -1, heads = lift_int(l, "num_heads", 0);
    if (x->shape.rank == 3 && heads < 1) {
        if (half < 1 || x->shape.dim[2] < 0) return fail(e, ERR_UNSUPPORTED, "heads of unknown size");
        heads = x->shape.dim[2] / (2 * half);
    }
    lift_result(l,
        emit(l->b, "RotaryEmbedding",
            ATTRS(attr_int("num_heads", heads), attr_int("interleaved", lift_int(l, "interleaved", 0)),
                attr_int("rotary_embedding_dim", lift_int(l, "rotary_embedding_dim", 0))),
            x, l->in[2], l->in[3], at));
    return e->code;
}

/* A modifier of scores or probabilities: a body of one input and one output, and what it captures. */
static struct value *modified(struct lift *l, const char *name, struct value *x, struct err *e)
{
    const struct attr *body = lift_attr(l, name);
    int captures = (int)lift_int(l, "captures", 0);
    struct value *in[1 + LIFT_ROOM + SHAPE_MAX], *out[1] = { NULL };
    if (!body || e->code) return x;
    if (body->type != ATTR_GRAPH || body->graph->n_outputs != 1 || (int)body->graph->n_inputs != 1 + captures ||
        captures > LIFT_ROOM + SHAPE_MAX || captures > l->n_in)
        return fail(e, ERR_MODEL, "%s is no graph of one input and one output", name), NULL;
    in[0] = x;
    for (int i = 0; i < captures; i++) in[1 + i] = l->in[l->n_in - captures + i];
    return graph_inline(l->b->g, body->graph, in, out, l->name, e) ? NULL : out[0];
}

/* Every head of keys or values serves several queries, one behind the other. */
static struct value *repeated(struct lift *l, struct value *v, int64_t times)
{
    const struct shape *s = &v->shape;
    if (times == 1) return v;
    int64_t heads = s->dim[1] * times, size = s->dim[3];
    v = lift_unsqueezed(l, v, (int64_t[]){ 2 }, 1);
    v = lift_two(l, "Expand", v, emit_i64s(l->b, (int64_t[]){ 1, 1, times, 1, 1 }, 5));
    return lift_reshaped(l, v, 4, (int64_t[]){ 0, heads, -1, size });
}

/* query, key, value of rank 4: softmax of the modified products, modified, times the values */
static int flex_attention(struct lift *l, const char *arg, struct err *e)
{
    for (int i = 0; i < 3; i++)
        if (!lift_in(l, i) || l->in[i]->shape.rank != 4)
            return fail(e, ERR_UNSUPPORTED, "input %d is not of rank 4", i);
    struct value *q = l->in[0], *k = l->in[1], *v = l->in[2];
    int64_t q_heads = q->shape.dim[1], kv_heads = k->shape.dim[1], size = q->shape.dim[3];
    int64_t precision = lift_int(l, "softmax_precision", q->dtype == DT_F64 ? DT_F64 : DT_F32);
    if (q_heads < 1 || kv_heads < 1 || q_heads % kv_heads || size < 1 || v->shape.dim[1] != kv_heads)
        return fail(e, ERR_UNSUPPORTED, "%lld query heads over %lld", (long long)q_heads, (long long)kv_heads);
    if (precision != (int)precision || !dtype_is_valid((int)precision) || !dtype_is_float((enum dtype)precision))
        return fail(e, ERR_MODEL, "softmax_precision is %lld", (long long)precision);
    enum dtype wide = (enum dtype)precision;
    k = lift_permuted(l, repeated(l, k, q_heads / kv_heads), 4, (int64_t[]){ 0, 1, 3, 2 });
    v = repeated(l, v, q_heads / kv_heads);
    double scale = lift_float(l, "scale", 1 / sqrt((double)size));
    if (e->code) return e->code;
    struct value *x = lift_two(l, "MatMul", emit_cast(l->b, q, wide), emit_cast(l->b, k, wide));
    x = modified(l, "score_mod", lift_two(l, "Mul", x, emit_scalar(l->b, wide, scale)), e);
    x = emit(l->b, "SoftmaxOrZero", ATTRS(attr_int("axis", -1)), x);
    x = modified(l, "prob_mod", x, e);
    if (e->code) return e->code;
    x = lift_two(l, "MatMul", x, emit_cast(l->b, v, wide));
    lift_result(l, x ? emit_cast(l->b, x, q->dtype) : NULL);
    return e->code;
}

const struct lift_row lift_preview_rows[] = {
    { "FlexAttention", 1, LIFT_ANY, flex_attention, NULL, "" },
    { NULL },
};
const struct lift_row lift_attention_rows[] = {
    { "Attention", 1, LIFT_ANY, attention, NULL, "" },
    { "QAttention", 1, LIFT_ANY, quantized_attention, NULL, "" },
    { "MultiHeadAttention", 1, LIFT_ANY, multi_head, NULL, "" },
    { "RotaryEmbedding", 1, LIFT_ANY, rotary, NULL, "" },
    { NULL },
};
