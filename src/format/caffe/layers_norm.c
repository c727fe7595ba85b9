/* layers_norm.c - Caffe's normalisations, reductions and choices along axes. */
#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/caffe/layers.h"

static struct value *filled(struct caffe_call *c, int64_t n, double v)
{
    struct shape s = shape_of(1, &n);
    if (c->b->err->code) return NULL;
    struct tensor *t = tensor_new(c->b->g->arena, DT_F32, &s, c->b->err);
    for (int64_t i = 0; t && i < n; i++) ((float *)t->data)[i] = (float)v;
    return emit_const(c->b, t);
}

/* All axes but those below `keep`, and but axis 1 when `channels` keeps it. */
static size_t other_axes(int rank, bool channels, int64_t *axes)
{
    size_t n = 0;
    for (int i = channels ? 0 : 1; i < rank; i++)
        if (!(channels && i == 1)) axes[n++] = i;
    return n;
}

/* (x - mean) / sqrt(variance + eps) of the batch itself, per channel */
static struct value *of_the_batch(struct caffe_call *c, struct value *x, double eps)
{
    int64_t axes[SHAPE_MAX];
    size_t n = other_axes(caffe_rank(c, x), true, axes);
    struct value *centred = emit_op(c, "Sub", x, caffe_reduced(c, "ReduceMean", x, axes, n));
    struct value *var = caffe_reduced(c, "ReduceMean", emit_op(c, "Mul", centred, centred), axes, n);
    return emit_op(c, "Div", centred, emit_op(c, "Sqrt", emit_op(c, "Add", var, caffe_number(c, eps))));
}

/* Weights: sums of means and of variances, and what to divide them by. The two of NVIDIA's fork that follow are scale
 * and bias. */
static struct value *lower_batch_norm(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "batch_norm_param");
    struct value *x = c->in[0];
    double eps = tree_float(p, "eps", 1e-5), momentum = tree_float(p, "moving_average_fraction", 0.999);
    if (!tree_int(p, "use_global_stats", 1)) return of_the_batch(c, x, eps);
    int64_t channels = caffe_rank(c, x) > 1 ? caffe_dim(c, x, 1) : 1;
    double factor = caffe_weight_at(c, 2, 0, 1);
    factor = factor == 0 ? 0 : 1 / factor;
    bool affine = caffe_n_weights(c) == 5;
    struct value *mean = caffe_buffer(c, 0, 1, &channels, factor), *var = caffe_buffer(c, 1, 1, &channels, factor);
    struct value *scale = affine ? caffe_weight(c, 3, 1, &channels) : filled(c, channels, 1);
    struct value *bias = affine ? caffe_weight(c, 4, 1, &channels) : filled(c, channels, 0);
    return emit(c->b, "BatchNormalization", ATTRS(attr_float("epsilon", eps), attr_float("momentum", momentum)), x,
        scale, bias, mean, var);
}

/* Within a channel: x (1 + alpha mean(x^2))^-beta over a square window, padding counted (k plays no part). */
static struct value *within_channel(struct caffe_call *c, int64_t size, double alpha, double beta)
{
    int64_t kernel[2] = { size, size }, strides[2] = { 1, 1 }, pad = (size - 1) / 2, pads[4] = { pad, pad, pad, pad };
    struct value *x = c->in[0];
    struct value *mean = emit(c->b, "AveragePool",
        ATTRS(attr_ints("kernel_shape", kernel, 2), attr_ints("strides", strides, 2), attr_ints("pads", pads, 4),
            attr_int("ceil_mode", 1), attr_int("count_include_pad", 1)),
        emit_op(c, "Mul", x, x));
    struct value *sum = emit_op(c, "Add", emit_op(c, "Mul", mean, caffe_number(c, alpha)), caffe_number(c, 1));
    return emit_op(c, "Mul", x, emit_op(c, "Pow", sum, caffe_number(c, -beta)));
}

static struct value *lower_lrn(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "lrn_param");
    int64_t size = tree_int(p, "local_size", 5);
    double alpha = tree_float(p, "alpha", 1), beta = tree_float(p, "beta", 0.75), k = tree_float(p, "k", 1);
    if (size < 1 || size > 9999 || size % 2 == 0)
        return caffe_fail(c, ERR_MODEL, "local_size is %lld", (long long)size);
    if (tree_int(p, "norm_region", 0)) return within_channel(c, size, alpha, beta);
    return emit(c->b, "LRN",
        ATTRS(attr_float("alpha", alpha), attr_float("beta", beta), attr_float("bias", k), attr_int("size", size)),
        c->in[0]);
}

/* (x - mean) / (sqrt(variance) + eps), per sample and channel, or per sample */
static struct value *lower_mvn(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "mvn_param");
    bool across = tree_int(p, "across_channels", 0) != 0;
    int64_t axes[SHAPE_MAX];
    size_t n = 0;
    for (int i = across ? 1 : 2; i < caffe_rank(c, c->in[0]); i++) axes[n++] = i;
    if (!n) return caffe_fail(c, ERR_MODEL, "the input has no axes to normalise over");
    struct value *centred = emit_op(c, "Sub", c->in[0], caffe_reduced(c, "ReduceMean", c->in[0], axes, n));
    if (!tree_int(p, "normalize_variance", 1)) return centred;
    struct value *var = caffe_reduced(c, "ReduceMean", emit_op(c, "Mul", centred, centred), axes, n);
    struct value *eps = caffe_number(c, tree_float(p, "eps", 1e-9));
    return emit_op(c, "Div", centred, emit_op(c, "Add", emit_op(c, "Sqrt", var), eps));
}

/* x / sqrt(eps + sum of squares) over a sample, or over the channels at each place; times a factor per channel */
static struct value *lower_normalize(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "norm_param");
    struct value *x = c->in[0];
    int64_t axes[SHAPE_MAX] = { 1 };
    size_t n = tree_int(p, "across_spatial", 1) ? other_axes(caffe_rank(c, x), false, axes) : 1;
    int64_t factors = tree_int(p, "channel_shared", 1) ? 1 : caffe_dim(c, x, 1);
    struct value *sum = caffe_reduced(c, "ReduceSum", emit_op(c, "Mul", x, x), axes, n);
    sum = emit_op(c, "Add", sum, caffe_number(c, tree_float(p, "eps", 1e-10)));
    struct value *y = emit_op(c, "Div", x, emit_op(c, "Sqrt", sum)), *scale = caffe_weight(c, 0, 1, &factors);
    if (c->b->err->code) return NULL;
    return emit_op(c, "Mul", y, factors == 1 ? scale : caffe_along(c, x, scale, 1, 1));
}

static struct value *lower_softmax(struct caffe_call *c)
{
    int axis = caffe_axis(c, tree_int(caffe_param(c, "softmax_param"), "axis", 1), caffe_rank(c, c->in[0]));
    return emit(c->b, "Softmax", ATTRS(attr_int("axis", axis)), c->in[0]);
}

static struct value *lower_reduction(struct caffe_call *c)
{
    static const char *const ops[] = { NULL, "ReduceSum", "ReduceL1", "ReduceSumSquare", "ReduceMean" };
    const struct tree *p = caffe_param(c, "reduction_param");
    int64_t how = tree_int(p, "operation", 1), axes[SHAPE_MAX];
    int rank = caffe_rank(c, c->in[0]), axis = caffe_axis(c, tree_int(p, "axis", 0), rank);
    double coeff = tree_float(p, "coeff", 1);
    size_t n = 0;
    if (how < 1 || how > 4) return caffe_fail(c, ERR_MODEL, "operation %lld", (long long)how);
    if (c->b->err->code) return NULL;
    for (int i = axis; i < rank; i++) axes[n++] = i;
    struct value *y = emit(c->b, ops[how], ATTRS(attr_int("keepdims", 0)), c->in[0], emit_i64s(c->b, axes, n));
    return coeff == 1 ? y : emit_op(c, "Mul", y, caffe_number(c, coeff));
}

static struct value *reversed(struct caffe_call *c, struct value *x, int64_t axis)
{
    int64_t start = -1, end = INT64_MIN, step = -1;
    return emit_op(c, "Slice", x, emit_i64s(c->b, &start, 1), emit_i64s(c->b, &end, 1), emit_i64s(c->b, &axis, 1),
        emit_i64s(c->b, &step, 1));
}

/* Where the largest are, as floats. Among equals Caffe takes the last: so the axis is read backwards. */
static struct value *lower_argmax(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "argmax_param");
    struct value *x = c->in[0];
    bool with_axis = tree_has(p, "axis"), values = tree_int(p, "out_max_val", 0) != 0;
    int64_t k = tree_int(p, "top_k", 1), flat[] = { 0, -1 }, three[] = { 0, 1, -1 };
    int axis = with_axis ? caffe_axis(c, tree_int(p, "axis", 0), caffe_rank(c, x)) : 1;
    int64_t size = with_axis ? caffe_dim(c, x, axis) : caffe_span(c, x, 1, caffe_rank(c, x));
    if (c->b->err->code) return NULL;
    if (k < 1 || k > size) return caffe_fail(c, ERR_MODEL, "top_k is %lld of %lld", (long long)k, (long long)size);
    if (!with_axis) x = caffe_reshaped(c, x, flat, 2);
    struct value *in[] = { reversed(c, x, axis), emit_i64s(c->b, &k, 1) };
    struct node *n = builder_node(c->b, "TopK", ATTRS(attr_int("axis", axis)), in, 2, 2);
    if (!n) return NULL;
    struct value *index = emit_op(c, "Sub", caffe_number(c, (double)size - 1), emit_cast(c->b, n->out[1], DT_F32));
    if (with_axis) return values ? n->out[0] : index;
    index = caffe_reshaped(c, index, three, 3);
    if (!values) return index;
    return emit(c->b, "Concat", ATTRS(attr_int("axis", 1)), index, caffe_reshaped(c, n->out[0], three, 3));
}

const struct caffe_row caffe_norm[] = {
    { "BatchNorm", lower_batch_norm, 1, 1, 0, "BatchNormalization" },
    { "LRN", lower_lrn, 1, 1, 0, "LRN" },
    { "MVN", lower_mvn, 1, 1, 0, NULL },
    { "Normalize", lower_normalize, 1, 1, 0, NULL },
    { "Softmax", lower_softmax, 1, 1, 0, "Softmax" },
    { "Reduction", lower_reduction, 1, 1, 0, NULL },
    { "ArgMax", lower_argmax, 1, 1, 0, "TopK" },
    { 0 },
};
