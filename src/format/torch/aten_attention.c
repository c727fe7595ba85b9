/* aten_attention.c - attention, and the fused layers that PyTorch's eval mode puts in the place of modules. */
#include <math.h>

#include "base/err.h"
#include "format/torch/torch.h"

struct heads { /* (B, heads, L, size) each */
    struct value *q, *k, *v;
};

/* (B, L, E) to (B, heads, L, E / heads) */
static struct value *split_heads(struct aten_call *c, struct value *x, int64_t heads)
{
    x = emit_reshape(c, x, (int64_t[]){ 0, 0, heads, -1 }, 4);
    return emit_transpose(c, x, (int64_t[]){ 0, 2, 1, 3 }, 4);
}

static struct value *join_heads(struct aten_call *c, struct value *x)
{
    x = emit_transpose(c, x, (int64_t[]){ 0, 2, 1, 3 }, 4);
    return emit_reshape(c, x, (int64_t[]){ 0, 0, -1 }, 3);
}

/* x w' + bias for x of rank 3 */
static struct value *linear(struct aten_call *c, struct value *x, struct value *w, struct value *bias)
{
    struct value *y = emit_op(c, "MatMul", x, emit_transpose(c, w, (int64_t[]){ 1, 0 }, 2));
    return bias ? emit_op(c, "Add", y, bias) : y;
}

/* Third `i` of the joint weight (3 E, E) and bias (3 E), applied to x. */
static struct value *project(struct aten_call *c, struct value *x, struct value *w, struct value *b, int64_t e, int i)
{
    return linear(c, x, emit_slice(c, w, 0, i * e, (i + 1) * e, 1), emit_slice(c, b, 0, i * e, (i + 1) * e, 1));
}

/* Self-attention projects once. */
static struct heads projected(
    struct aten_call *c, struct value *const x[3], struct value *w, struct value *b, int64_t e, int64_t heads)
{
    struct value *p[3] = { NULL };
    if (x[0] == x[1] && x[1] == x[2]) {
        struct value *in[] = { linear(c, x[0], w, b), emit_i64s(c->b, (int64_t[]){ e, e, e }, 3) };
        struct node *n = builder_node(c->b, "Split", ATTRS(attr_int("axis", 2)), in, 2, 3);
        for (int i = 0; n && i < 3; i++) p[i] = n->out[i];
    } else
        for (int i = 0; i < 3; i++) p[i] = project(c, x[i], w, b, e, i);
    return (struct heads){ split_heads(c, p[0], heads), split_heads(c, p[1], heads), split_heads(c, p[2], heads) };
}

/* PyTorch's fused layers mask out where a bool is true: type 0 is (L, S), 1 is (B, S) of padding keys, 2 is
 * (B, heads, L, S). ONNX keeps where it is true. */
static struct value *fused_mask(struct aten_call *c, int mask, int type)
{
    struct value *m = arg_tensor(c, mask);
    if (!m) return NULL;
    int64_t kind = arg_given(c, type) ? arg_int(c, type) : value_rank(c, m) == 2 ? 0 : 2;
    if (kind == 1 && value_rank(c, m) == 2) m = emit_op(c, "Unsqueeze", m, emit_i64s(c->b, (int64_t[]){ 1, 2 }, 2));
    return dtype_is_float(m ? m->dtype : DT_F32) ? m : emit_op(c, "Not", emit_cast(c->b, m, DT_BOOL));
}

/* softmax(q k' / sqrt(size) + mask), (B, heads, L, S) */
static struct value *weights_of(struct aten_call *c, const struct heads *h, struct value *mask, int64_t size)
{
    struct value *q = emit_op(c, "Mul", h->q, emit_like(c, h->q, 1 / sqrt((double)size)));
    struct value *s = emit_op(c, "MatMul", q, emit_transpose(c, h->k, (int64_t[]){ 0, 1, 3, 2 }, 4));
    if (mask && mask->dtype == DT_BOOL) s = emit_op(c, "Where", mask, s, emit_like(c, s, -INFINITY));
    else if (mask) s = emit_op(c, "Add", s, mask);
    return emit(c->b, "Softmax", ATTRS(attr_int("axis", -1)), s);
}

/* (query, key, value, embed_dim, num_head, qkv_weight, qkv_bias, proj_weight, proj_bias, mask, need_weights,
 * average_attn_weights, mask_type), batch first */
static struct value *lower_native_attention(struct aten_call *c)
{
    struct value *x[] = { arg_tensor(c, 0), arg_tensor(c, 1), arg_tensor(c, 2) };
    int64_t e = arg_int(c, 3), n = arg_int(c, 4);
    if (n < 1 || e % n) return aten_fail(c, ERR_SHAPE, "%lld in %lld heads", (long long)e, (long long)n), NULL;
    struct heads h = projected(c, x, arg_tensor(c, 5), arg_tensor(c, 6), e, n);
    struct value *mask = fused_mask(c, 9, 12), *y, *weights = NULL;
    if (arg_bool(c, 10)) {
        weights = weights_of(c, &h, mask, e / n);
        y = emit_op(c, "MatMul", weights, h.v);
    } else y = emit_op(c, "Attention", h.q, h.k, h.v, mask);
    give(c, linear(c, join_heads(c, y), arg_tensor(c, 7), arg_tensor(c, 8)));
    if (!weights) return emit_i64s(c->b, NULL, 0); /* None, as a tensor nobody reads */
    return arg_bool(c, 11) ? emit_reduce(c, "ReduceMean", weights, &(int64_t){ 1 }, 1, false) : weights;
}

static struct value *normalise(struct aten_call *c, struct value *x, int weight)
{
    return emit(c->b, "LayerNormalization", ATTRS(attr_int("axis", -1), attr_float("epsilon", arg_float(c, 9))), x,
        arg_tensor(c, weight), arg_tensor(c, weight + 1));
}

static struct value *attend(struct aten_call *c, struct value *x)
{
    int64_t e = arg_int(c, 1), n = arg_int(c, 2);
    if (n < 1 || e % n) return aten_fail(c, ERR_SHAPE, "%lld in %lld heads", (long long)e, (long long)n), NULL;
    struct heads h = projected(c, (struct value *[]){ x, x, x }, arg_tensor(c, 3), arg_tensor(c, 4), e, n);
    struct value *y = emit_op(c, "Attention", h.q, h.k, h.v, fused_mask(c, 18, 19));
    return linear(c, join_heads(c, y), arg_tensor(c, 5), arg_tensor(c, 6));
}

static struct value *feed_forward(struct aten_call *c, struct value *x)
{
    struct value *y = linear(c, x, arg_tensor(c, 14), arg_tensor(c, 15));
    y = arg_bool(c, 7) ? emit(c->b, "Gelu", ATTRS(attr_string("approximate", "none")), y) : emit_op(c, "Relu", y);
    return linear(c, y, arg_tensor(c, 16), arg_tensor(c, 17));
}

/* (src, embed_dim, num_heads, qkv_weight, qkv_bias, proj_weight, proj_bias, use_gelu, norm_first, eps, 4 norm
 * parameters, 4 feed-forward parameters, mask, mask_type) */
static struct value *lower_encoder_layer(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    if (arg_bool(c, 8)) {
        x = emit_op(c, "Add", x, attend(c, normalise(c, x, 10)));
        return emit_op(c, "Add", x, feed_forward(c, normalise(c, x, 12)));
    }
    x = normalise(c, emit_op(c, "Add", x, attend(c, x)), 10);
    return normalise(c, emit_op(c, "Add", x, feed_forward(c, x)), 12);
}

/* Leading dimensions in two: (.., L, E) as (B, 1, L, E) or (B, heads, L, E). */
static struct value *rank_four(struct aten_call *c, struct value *x)
{
    int rank = value_rank(c, x);
    int64_t axes[] = { 0, 1 };
    if (rank == 3) return emit_unsqueeze(c, x, 1);
    return rank == 2 ? emit_op(c, "Unsqueeze", x, emit_i64s(c->b, axes, 2)) : x;
}

/* (query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa); a bool mask keeps where it is true */
static struct value *lower_dot_product_attention(struct aten_call *c)
{
    struct value *q = arg_tensor(c, 0), *mask = arg_tensor(c, 3);
    int rank = value_rank(c, q), n = 1;
    if (rank < 2 || rank > 4) return aten_fail(c, ERR_UNSUPPORTED, "rank %d", rank), NULL;
    if (mask && value_rank(c, mask) == 3 && rank == 3) mask = emit_unsqueeze(c, mask, 1);
    struct attr attrs[3] = { attr_int("is_causal", arg_bool(c, 5)) };
    if (arg_given(c, 6)) attrs[n++] = attr_float("scale", arg_float(c, 6));
    struct value *y = emit(c->b, "Attention", attrs, rank_four(c, q), rank_four(c, arg_tensor(c, 1)),
        rank_four(c, arg_tensor(c, 2)), mask);
    int64_t axes[] = { 1, 0 };
    return rank < 4 ? emit_op(c, "Squeeze", y, emit_i64s(c->b, axes, (size_t)(4 - rank))) : y;
}

const struct aten_row aten_attention[] = {
    { "_native_multi_head_attention(Tensor query, Tensor key, Tensor value, int embed_dim, int num_head, "
      "Tensor qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, Tensor? mask=None, "
      "bool need_weights=True, bool average_attn_weights=True, int? mask_type=None) -> (Tensor, Tensor)",
        lower_native_attention },
    { "_transformer_encoder_layer_fwd(Tensor src, int embed_dim, int num_heads, Tensor qkv_weight, Tensor qkv_bias, "
      "Tensor proj_weight, Tensor proj_bias, bool use_gelu, bool norm_first, float eps, Tensor norm_weight_1, "
      "Tensor norm_bias_1, Tensor norm_weight_2, Tensor norm_bias_2, Tensor ffn_weight_1, Tensor ffn_bias_1, "
      "Tensor ffn_weight_2, Tensor ffn_bias_2, Tensor? mask=None, int? mask_type=None) -> Tensor",
        lower_encoder_layer },
    { "scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, "
      "float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor",
        lower_dot_product_attention },
    { 0 },
};
