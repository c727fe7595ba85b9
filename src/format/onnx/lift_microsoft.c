/* lift_microsoft.c - com.microsoft: what ONNX Runtime's optimizer and exporters write for fused arithmetic,
 * normalisations and embeddings, in plain operators. */
#include <string.h>

#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

static int need(const struct lift *l, int n, struct err *e)
{
    for (int i = 0; i < n; i++)
        if (!lift_in(l, i)) return fail(e, ERR_MODEL, "input %d is missing", i);
    return 0;
}

/* --- activations --- */

static int gelu(struct lift *l, const char *approximate, struct err *e)
{
    TRY(need(l, 1, e));
    struct value *x = lift_in(l, 0), *bias = lift_in(l, 1);
    if (bias) x = lift_two(l, "Add", x, bias);
    lift_result(l, emit(l->b, "Gelu", ATTRS(attr_string("approximate", approximate)), x));
    return 0;
}

static int quick_gelu(struct lift *l, const char *arg, struct err *e)
{
    l->op = "Swish";
    return lift_attr(l, "alpha") ? 0 : lift_set(l, attr_float("alpha", 1.702), e);
}

/* x + bias, halved along the last axis: left * gelu(right) */
static int bias_split_gelu(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 2, e));
    struct value *in[] = { lift_two(l, "Add", l->in[0], l->in[1]) };
    struct node *n = builder_node(l->b, "Split", ATTRS(attr_int("axis", -1), attr_int("num_outputs", 2)), in, 1, 2);
    if (n) lift_result(l, lift_two(l, "Mul", n->out[0], lift_one(l, "Gelu", n->out[1])));
    return e->code;
}

struct value *lift_activation(
    struct lift *l, struct value *x, const char *name, const double *p, size_t n_p, struct err *e)
{
    double a = n_p > 0 ? p[0] : 0, b = n_p > 1 ? p[1] : 0;
    if (e->code || !x || !name[0]) return x;
    static const char *const plain[] = { "Relu", "Tanh", "Sigmoid", "HardSwish", "Softplus", "Gelu", NULL };
    for (int i = 0; plain[i]; i++)
        if (!strcmp(name, plain[i])) return lift_one(l, name, x);
    if (!strcmp(name, "LeakyRelu") || !strcmp(name, "Elu"))
        return emit(l->b, name, n_p ? ATTRS(attr_float("alpha", a)) : NO_ATTRS, x);
    if (!strcmp(name, "HardSigmoid"))
        return emit(l->b, name, n_p > 1 ? ATTRS(attr_float("alpha", a), attr_float("beta", b)) : NO_ATTRS, x);
    if (!strcmp(name, "Clip") && n_p > 1)
        return emit(l->b, "Clip", NO_ATTRS, x, lift_number(l, x, a), lift_number(l, x, b));
    return fail(e, ERR_UNSUPPORTED, "the activation %s", name), NULL;
}

/* --- fused convolutions and products --- */

/* Takes the activation's attributes off, so that the rest are those of the operator itself. */
static const char *take_activation(struct lift *l, double *p, size_t *n_p)
{
    const struct attr *name = lift_attr(l, "activation"), *params = lift_attr(l, "activation_params");
    const char *text = name && name->type == ATTR_STRING ? name->s : "";
    static const char *const single[] = { "activation_alpha", "activation_beta", "activation_gamma" };
    for (*n_p = 0; params && params->type == ATTR_FLOATS && *n_p < params->n && *n_p < 3; ++*n_p)
        p[*n_p] = params->floats[*n_p];
    for (int i = 0; i < 3; i++) {
        const struct attr *a = lift_attr(l, single[i]);
        if (a && a->type == ATTR_FLOAT && *n_p == (size_t)i) p[(*n_p)++] = a->f;
        lift_drop(l, single[i]);
    }
    lift_drop(l, "activation");
    lift_drop(l, "activation_params");
    return text;
}

/* x, w, bias, what is added before the activation */
static int fused_conv(struct lift *l, const char *arg, struct err *e)
{
    double p[3];
    size_t n_p;
    TRY(need(l, 2, e));
    const char *activation = take_activation(l, p, &n_p);
    struct value *y = emit(l->b, "Conv", l->attrs, l->in[0], l->in[1], lift_in(l, 2));
    if (lift_in(l, 3)) y = lift_two(l, "Add", y, l->in[3]);
    lift_result(l, lift_activation(l, y, activation, p, n_p, e));
    return e->code;
}

static int fused_gemm(struct lift *l, const char *arg, struct err *e)
{
    double p[3];
    size_t n_p;
    TRY(need(l, 2, e));
    const char *activation = take_activation(l, p, &n_p);
    struct value *y = emit(l->b, "Gemm", l->attrs, l->in[0], l->in[1], lift_in(l, 2));
    lift_result(l, lift_activation(l, y, activation, p, n_p, e));
    return e->code;
}

/* x, w, bias */
static int gemm_fast_gelu(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 2, e));
    struct value *y = lift_two(l, "MatMul", l->in[0], l->in[1]);
    if (lift_in(l, 2)) y = lift_two(l, "Add", y, l->in[2]);
    lift_result(l, emit(l->b, "Gelu", ATTRS(attr_string("approximate", "tanh")), y));
    return e->code;
}

static int swap_last(const struct lift *l, struct value **v, struct err *e)
{
    int64_t perm[SHAPE_MAX], rank = (*v)->shape.rank;
    if (rank < 0) return fail(e, ERR_UNSUPPORTED, "a transposed operand of unknown rank");
    if (rank < 2) return 0;
    for (int64_t d = 0; d < rank; d++) perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    *v = emit(l->b, "Transpose", ATTRS(attr_ints("perm", perm, (size_t)rank)), *v);
    return e->code;
}

/* Makes the first dimension the one before the last: (K, batch.., M) is read as (batch.., K, M). */
static int batch_last(const struct lift *l, struct value **v, struct err *e)
{
    int64_t perm[SHAPE_MAX], rank = (*v)->shape.rank;
    if (rank < 2) return fail(e, ERR_UNSUPPORTED, "a transposed batch of unknown rank");
    for (int64_t d = 0; d < rank; d++) perm[d] = d < rank - 2 ? d + 1 : d == rank - 2 ? 0 : d;
    *v = emit(l->b, "Transpose", ATTRS(attr_ints("perm", perm, (size_t)rank)), *v);
    return e->code;
}

static int fused_matmul(struct lift *l, const char *arg, struct err *e)
{
    double p[3], alpha = lift_float(l, "alpha", 1);
    size_t n_p;
    TRY(need(l, 2, e));
    const char *activation = take_activation(l, p, &n_p);
    struct value *a = l->in[0], *b = l->in[1];
    if (lift_int(l, "transBatchA", 0)) TRY(batch_last(l, &a, e));
    if (lift_int(l, "transBatchB", 0)) TRY(batch_last(l, &b, e));
    if (lift_int(l, "transA", 0)) TRY(swap_last(l, &a, e));
    if (lift_int(l, "transB", 0)) TRY(swap_last(l, &b, e));
    struct value *y = lift_two(l, "MatMul", a, b);
    if (alpha != 1) y = lift_two(l, "Mul", y, lift_number(l, y, alpha));
    lift_result(l, lift_activation(l, y, activation, p, n_p, e));
    return e->code;
}

/* Channels come last in data, not in weights. */
static int nhwc_conv(struct lift *l, const char *op, struct err *e)
{
    static const int64_t to_front[] = { 0, 3, 1, 2 }, to_back[] = { 0, 2, 3, 1 };
    struct value *in[3] = { NULL };
    TRY(need(l, 1, e));
    if (l->in[0]->shape.rank != 4) return fail(e, ERR_UNSUPPORTED, "an input that is not of rank 4");
    for (int i = 0; i < 3; i++) in[i] = lift_in(l, i);
    in[0] = emit(l->b, "Transpose", ATTRS(attr_ints("perm", to_front, 4)), in[0]);
    struct value *y = builder_emit(l->b, op, l->attrs, in, l->n_in > 3 ? 3 : l->n_in);
    lift_result(l, emit(l->b, "Transpose", ATTRS(attr_ints("perm", to_back, 4)), y));
    return e->code;
}

/* ONNX's own, whose data may have its channels last. */
static int last_qconv(struct lift *l, const char *arg, struct err *e)
{
    static const int64_t to_front[] = { 0, 3, 1, 2 }, to_back[] = { 0, 2, 3, 1 };
    enum { X, MOST = 9 };
    struct value *in[MOST] = { NULL };
    bool last = lift_int(l, "channels_last", 0) != 0;
    TRY(need(l, 8, e));
    if (last && l->in[X]->shape.rank != 4) return fail(e, ERR_UNSUPPORTED, "an input that is not of rank 4");
    lift_drop(l, "channels_last");
    for (int i = 0; i < MOST; i++) in[i] = lift_in(l, i);
    if (last) in[X] = lift_permuted(l, in[X], 4, to_front);
    struct value *y = builder_emit(l->b, "QLinearConv", l->attrs, in, l->n_in > MOST ? MOST : l->n_in);
    lift_result(l, last ? lift_permuted(l, y, 4, to_back) : y);
    return e->code;
}

static int bias_add(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 3, e));
    lift_result(l, lift_two(l, "Add", lift_two(l, "Add", l->in[0], l->in[1]), l->in[2]));
    return 0;
}

/* A softmax over everything from `axis` on, after a bias is added. */
static int bias_softmax(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 2, e));
    if (!lift_int(l, "is_inner_broadcast", 1) && l->in[1]->shape.rank != l->in[0]->shape.rank)
        return fail(e, ERR_UNSUPPORTED, "is_inner_broadcast=0 with a bias of another rank");
    int rank = l->in[0]->shape.rank, axis = rank > 0 ? shape_axis(lift_int(l, "axis", 1), rank) : -1;
    if (axis < 0) return fail(e, ERR_UNSUPPORTED, "an axis of unknown rank");
    struct value *x = lift_two(l, "Add", l->in[0], l->in[1]), *shape = lift_one(l, "Shape", x);
    if (axis == rank - 1) {
        lift_result(l, emit(l->b, "Softmax", ATTRS(attr_int("axis", -1)), x));
        return 0;
    }
    x = emit(l->b, "Softmax", ATTRS(attr_int("axis", 1)), emit(l->b, "Flatten", ATTRS(attr_int("axis", axis)), x));
    lift_result(l, lift_two(l, "Reshape", x, shape));
    return 0;
}

static int expand_dims(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 2, e));
    struct value *axis = lift_reshaped(l, l->in[1], 1, (int64_t[]){ 1 });
    lift_result(l, axis ? lift_two(l, "Unsqueeze", l->in[0], emit_cast(l->b, axis, DT_I64)) : NULL);
    return e->code;
}

/* Distances of the rows of a (M, K) from those of b (N, K): (M, N). */
static int distances(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *metric = lift_attr(l, "metric");
    bool root = metric && metric->type == ATTR_STRING && !strcmp(metric->s, "euclidean");
    TRY(need(l, 2, e));
    if (metric && !root && (metric->type != ATTR_STRING || strcmp(metric->s, "sqeuclidean")))
        return fail(e, ERR_UNSUPPORTED, "a metric that is neither euclidean nor sqeuclidean");
    struct value *a = lift_unsqueezed(l, l->in[0], (int64_t[]){ 1 }, 1);
    struct value *y = lift_two(l, "Sub", a, lift_unsqueezed(l, l->in[1], (int64_t[]){ 0 }, 1));
    y = emit(l->b, root ? "ReduceL2" : "ReduceSumSquare", ATTRS(attr_int("keepdims", 0)), y,
        emit_i64s(l->b, (int64_t[]){ -1 }, 1));
    lift_result(l, y);
    return e->code;
}

/* --- normalisations --- */

static struct value *normalized(
    struct lift *l, const char *op, struct value *x, struct value *scale, struct value *bias)
{
    double epsilon = lift_float(l, "epsilon", 1e-12f);
    bool rms = !strcmp(op, "RMSNormalization");
    const struct attr *attrs = ATTRS(attr_int("axis", lift_int(l, "axis", -1)), attr_float("epsilon", epsilon));
    struct value *y = rms ? emit(l->b, op, attrs, x, scale) : emit(l->b, op, attrs, x, scale, bias);
    return rms && bias ? lift_two(l, "Add", y, bias) : y;
}

/* Statistics that some exporters name and nobody reads. */
static int refuse_statistics(const struct lift *l, int from, int to, struct err *e)
{
    for (int i = from; i < to; i++)
        if (lift_wants(l, i)) return fail(e, ERR_UNSUPPORTED, "output %d (a statistic) is read", i);
    return 0;
}

/* x, skip, scale, bias (not with RMSNormalization), what is added; output 3 is the sum. */
static int skip_norm(struct lift *l, const char *op, struct err *e)
{
    bool rms = !strcmp(op, "RMSNormalization");
    TRY(need(l, 3, e));
    TRY(refuse_statistics(l, 1, 3, e));
    struct value *sum = lift_two(l, "Add", l->in[0], l->in[1]), *more = lift_in(l, rms ? 3 : 4);
    if (more) sum = lift_two(l, "Add", sum, more);
    if (l->n_out > 3) l->out[3] = sum;
    lift_result(l, normalized(l, op, sum, l->in[2], rms ? NULL : lift_in(l, 3)));
    return e->code;
}

/* In ONNX's own domain, where ONNX Runtime put it before there was RMSNormalization: x, scale */
static int simplified_norm(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 2, e));
    TRY(refuse_statistics(l, 1, 2, e));
    lift_drop(l, "stash_type");
    l->op = "RMSNormalization";
    l->n_out = 1;
    return lift_mixed_norm(l, arg, e);
}

/* x, scale, bias; channels last by default; SiLU behind it when `activation` says so. */
static int group_norm(struct lift *l, const char *arg, struct err *e)
{
    static const int64_t to_front[] = { 0, 3, 1, 2 }, to_back[] = { 0, 2, 3, 1 };
    bool last = lift_int(l, "channels_last", 1) != 0;
    TRY(need(l, 3, e));
    if (last && l->in[0]->shape.rank != 4) return fail(e, ERR_UNSUPPORTED, "an input that is not of rank 4");
    struct value *x = last ? emit(l->b, "Transpose", ATTRS(attr_ints("perm", to_front, 4)), l->in[0]) : l->in[0];
    struct value *scale = x ? emit_cast(l->b, l->in[1], x->dtype) : NULL,
                 *bias = x ? emit_cast(l->b, l->in[2], x->dtype) : NULL;
    x = emit(l->b, "GroupNormalization",
        ATTRS(attr_int("num_groups", lift_int(l, "groups", 1)), attr_float("epsilon", lift_float(l, "epsilon", 1e-5f))),
        x, scale, bias);
    if (lift_int(l, "activation", 0)) x = lift_one(l, "Swish", x);
    lift_result(l, last ? emit(l->b, "Transpose", ATTRS(attr_ints("perm", to_back, 4)), x) : x);
    return e->code;
}

/* --- embeddings: ids, segment ids, word, position and segment tables, scale, bias, mask, positions --- */

enum { IDS, SEGMENTS, WORDS, PLACES, SEGMENT_TABLE, SCALE, BIAS, MASK, POSITIONS };

static struct value *rows_of(struct lift *l, struct value *of, struct value *at)
{
    return emit(l->b, "Gather", ATTRS(attr_int("axis", 0)), of, at);
}

/* 0, 1, .. along dimension 1 of the ids, (1, L) */
static struct value *places(struct lift *l)
{
    return lift_unsqueezed(l, lift_range(l, lift_dim(l, l->in[IDS], 1)), (int64_t[]){ 0 }, 1);
}

/* How many of the mask's entries hold, per row; 0 without a mask. */
static struct value *mask_index(struct lift *l)
{
    struct value *mask = lift_in(l, MASK), *axis = emit_i64s(l->b, (int64_t[]){ 1 }, 1);
    if (!mask) mask = lift_two(l, "Mul", l->in[IDS], lift_number(l, l->in[IDS], 0));
    return emit_cast(l->b, emit(l->b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), mask, axis), DT_I32);
}

static int embed_norm(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 1, e));
    if (!lift_in(l, WORDS) || !lift_in(l, PLACES) || !lift_in(l, SCALE) || !lift_in(l, BIAS))
        return fail(e, ERR_MODEL, "a table, the scale or the bias is missing");
    struct value *sum = rows_of(l, l->in[WORDS], l->in[IDS]);
    sum = lift_two(l, "Add", sum, rows_of(l, l->in[PLACES], lift_in(l, POSITIONS) ? l->in[POSITIONS] : places(l)));
    if (lift_in(l, SEGMENTS) && lift_in(l, SEGMENT_TABLE))
        sum = lift_two(l, "Add", sum, rows_of(l, l->in[SEGMENT_TABLE], l->in[SEGMENTS]));
    if (l->n_out > 1) l->out[1] = mask_index(l);
    if (l->n_out > 2) l->out[2] = sum;
    lift_result(l, normalized(l, "LayerNormalization", sum, l->in[SCALE], l->in[BIAS]));
    return e->code;
}

static int grid_sample(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *mode = lift_attr(l, "mode");
    if (!mode || mode->type != ATTR_STRING) return 0;
    if (!strcmp(mode->s, "bilinear")) return lift_set(l, attr_string("mode", "linear"), e);
    return strcmp(mode->s, "bicubic") ? 0 : lift_set(l, attr_string("mode", "cubic"), e);
}

const struct lift_row lift_microsoft_rows[] = {
    { "Gelu", 1, LIFT_ANY, gelu, "none", "" },
    { "BiasGelu", 1, LIFT_ANY, gelu, "none", "" },
    { "FastGelu", 1, LIFT_ANY, gelu, "tanh", "" },
    { "QuickGelu", 1, LIFT_ANY, quick_gelu, NULL, "Swish" },
    { "BiasSplitGelu", 1, LIFT_ANY, bias_split_gelu, NULL, "" },
    { "FusedConv", 1, LIFT_ANY, fused_conv, NULL, "" },
    { "FusedGemm", 1, LIFT_ANY, fused_gemm, NULL, "" },
    { "GemmFastGelu", 1, LIFT_ANY, gemm_fast_gelu, NULL, "" },
    { "FusedMatMul", 1, LIFT_ANY, fused_matmul, NULL, "" },
    { "FusedMatMulActivation", 1, LIFT_ANY, fused_matmul, NULL, "" },
    { "TransposeMatMul", 1, LIFT_ANY, fused_matmul, NULL, "" },
    { "NhwcConv", 1, LIFT_ANY, nhwc_conv, "Conv", "" },
    { "NhwcMaxPool", 1, LIFT_ANY, nhwc_conv, "MaxPool", "" },
    { "BiasAdd", 1, LIFT_ANY, bias_add, NULL, "" },
    { "BiasSoftmax", 1, LIFT_ANY, bias_softmax, NULL, "" },
    { "SkipLayerNormalization", 1, LIFT_ANY, skip_norm, "LayerNormalization", "" },
    { "SkipSimplifiedLayerNormalization", 1, LIFT_ANY, skip_norm, "RMSNormalization", "" },
    { "SimplifiedLayerNormalization", 1, LIFT_ANY, simplified_norm, NULL, "RMSNormalization" },
    { "EmbedLayerNormalization", 1, LIFT_ANY, embed_norm, NULL, "" },
    { "GroupNorm", 1, LIFT_ANY, group_norm, NULL, "" },
    { "GridSample", 1, LIFT_ANY, grid_sample },
    { "CDist", 1, LIFT_ANY, distances, NULL, "" },
    { "ExpandDims", 1, LIFT_ANY, expand_dims, NULL, "" },
    { "Tokenizer", 1, LIFT_ANY },
    { "QLinearConv", 1, LIFT_ANY, last_qconv, NULL, "" },
    { "LayerNormalization", 1, LIFT_ANY },
    { "Pad", 1, LIFT_ANY },
    { "Range", 1, LIFT_ANY },
    { "Trilu", 1, LIFT_ANY },
    { "Unique", 1, LIFT_ANY },
    { "GatherND", 1, LIFT_ANY },
    { "QuantizeLinear", 1, LIFT_ANY },
    { "DequantizeLinear", 1, LIFT_ANY },
    { NULL },
};

/* In ONNX's own domain although ONNX never had them. */
const struct lift_row lift_extra_rows[] = {
    { "SimplifiedLayerNormalization", 1, LIFT_ANY, simplified_norm, NULL, "RMSNormalization" },
    { NULL },
};
