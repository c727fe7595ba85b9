/* layers_math.c - Caffe's layers that compute element by element. */
#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/caffe/layers.h"

/* row->onnx of the only input */
static struct value *lower_unary(struct caffe_call *c)
{
    return emit_op(c, c->row->onnx, c->in[0]);
}

static struct value *lower_relu(struct caffe_call *c)
{
    double slope = tree_float(caffe_param(c, "relu_param"), "negative_slope", 0);
    if (slope == 0) return emit_op(c, "Relu", c->in[0]);
    return emit(c->b, "LeakyRelu", ATTRS(attr_float("alpha", slope)), c->in[0]);
}

static struct value *clip(struct caffe_call *c, double low, double high)
{
    return emit_op(c, "Clip", c->in[0], caffe_number(c, low), caffe_number(c, high));
}
static struct value *lower_relu6(struct caffe_call *c)
{
    return clip(c, 0, 6);
}
static struct value *lower_clip(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "clip_param");
    return clip(c, tree_float(p, "min", -INFINITY), tree_float(p, "max", INFINITY));
}

static struct value *lower_prelu(struct caffe_call *c)
{
    bool shared = tree_int(caffe_param(c, "prelu_param"), "channel_shared", 0) != 0;
    int64_t channels = shared ? 1 : caffe_dim(c, c->in[0], 1);
    struct value *slope = caffe_weight(c, 0, 1, &channels);
    if (c->b->err->code) return NULL;
    return emit_op(c, "PRelu", c->in[0], shared ? slope : caffe_along(c, c->in[0], slope, 1, 1));
}

static struct value *lower_elu(struct caffe_call *c)
{
    return emit(c->b, "Elu", ATTRS(attr_float("alpha", tree_float(caffe_param(c, "elu_param"), "alpha", 1))), c->in[0]);
}

/* x sigmoid(beta x) */
static struct value *lower_swish(struct caffe_call *c)
{
    double beta = tree_float(caffe_param(c, "swish_param"), "beta", 1);
    struct value *x = c->in[0], *inner = beta == 1 ? x : emit_op(c, "Mul", x, caffe_number(c, beta));
    return emit_op(c, "Mul", x, emit_op(c, "Sigmoid", inner));
}

/* shift + scale x, without the parts that change nothing */
static struct value *affine(struct caffe_call *c, struct value *x, double scale, double shift)
{
    if (scale != 1) x = emit_op(c, "Mul", x, caffe_number(c, scale));
    return shift != 0 ? emit_op(c, "Add", x, caffe_number(c, shift)) : x;
}

static struct value *lower_power(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "power_param");
    double power = tree_float(p, "power", 1), scale = tree_float(p, "scale", 1), shift = tree_float(p, "shift", 0);
    struct value *x = affine(c, c->in[0], scale, shift);
    return power == 1 ? x : emit_op(c, "Pow", x, caffe_number(c, power));
}

/* base^(shift + scale x); a base of -1 stands for e */
static struct value *lower_exp(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "exp_param");
    double base = tree_float(p, "base", -1), log_base = base == -1 ? 1 : log(base);
    if (base != -1 && base <= 0) return caffe_fail(c, ERR_MODEL, "base %g", base);
    double scale = tree_float(p, "scale", 1), shift = tree_float(p, "shift", 0);
    return emit_op(c, "Exp", affine(c, c->in[0], scale * log_base, shift * log_base));
}

static struct value *lower_log(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "log_param");
    double base = tree_float(p, "base", -1);
    if (base != -1 && (base <= 0 || base == 1)) return caffe_fail(c, ERR_MODEL, "base %g", base);
    struct value *y = emit_op(c, "Log", affine(c, c->in[0], tree_float(p, "scale", 1), tree_float(p, "shift", 0)));
    return base == -1 ? y : affine(c, y, 1 / log(base), 0);
}

static struct value *lower_threshold(struct caffe_call *c)
{
    double t = tree_float(caffe_param(c, "threshold_param"), "threshold", 0);
    return emit_cast(c->b, emit_op(c, "Greater", c->in[0], caffe_number(c, t)), DT_F32);
}

static struct value *lower_dropout(struct caffe_call *c)
{
    double ratio = tree_float(caffe_param(c, "dropout_param"), "dropout_ratio", 0.5);
    return emit_op(c, "Dropout", c->in[0], caffe_number(c, ratio), emit_scalar(c->b, DT_BOOL, 0));
}

/* --- several inputs --- */

static struct value *lower_eltwise(struct caffe_call *c)
{
    static const char *const ops[] = { "Mul", "Add", "Max" };
    const struct tree *p = caffe_param(c, "eltwise_param");
    int64_t how = tree_int(p, "operation", 1);
    size_t coeffs = tree_count(p, "coeff");
    if (how < 0 || how > 2) return caffe_fail(c, ERR_MODEL, "operation %lld", (long long)how);
    if (coeffs && (coeffs != c->n_in || how != 1))
        return caffe_fail(c, ERR_MODEL, "%zu coefficients for %zu bottoms; they go with a SUM", coeffs, c->n_in);
    struct value *y = NULL;
    for (size_t i = 0; i < c->n_in; i++) {
        struct value *x = coeffs ? affine(c, c->in[i], tree_float_at(p, "coeff", i), 0) : c->in[i];
        y = i ? emit_op(c, ops[how], y, x) : x;
    }
    return y;
}

/* The second operand of a Scale or Bias: a bottom, or the weight; it stands along the axes from `axis` on. */
static struct value *operand(struct caffe_call *c, const struct tree *p, int *axis, int *n_axes)
{
    struct value *x = c->in[0];
    int rank = caffe_rank(c, x);
    int64_t count = tree_int(p, "num_axes", 1), dims[SHAPE_MAX];
    *axis = caffe_axis(c, tree_int(p, "axis", 1), rank);
    if (c->b->err->code) return NULL;
    if (c->n_in > 1) count = c->in[1]->shape.rank;
    if (count < 0) count = rank - *axis;
    if (count > rank - *axis)
        return caffe_fail(c, ERR_MODEL, "%lld axes from axis %d of %d", (long long)count, *axis, rank);
    *n_axes = (int)count;
    if (c->n_in > 1) return c->in[1];
    for (int i = 0; i < *n_axes; i++) dims[i] = caffe_dim(c, x, *axis + i);
    return caffe_weight(c, 0, *n_axes, dims);
}

static struct value *lower_scale(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "scale_param");
    int axis, n_axes;
    struct value *scale = operand(c, p, &axis, &n_axes);
    if (c->b->err->code) return NULL;
    struct value *y = emit_op(c, "Mul", c->in[0], caffe_along(c, c->in[0], scale, axis, n_axes));
    if (!tree_int(p, "bias_term", 0)) return y;
    struct value *bias = caffe_weight(c, c->n_in > 1 ? 0 : 1, n_axes, scale->shape.dim);
    return bias ? emit_op(c, "Add", y, caffe_along(c, c->in[0], bias, axis, n_axes)) : NULL;
}

static struct value *lower_bias(struct caffe_call *c)
{
    int axis, n_axes;
    struct value *bias = operand(c, caffe_param(c, "bias_param"), &axis, &n_axes);
    if (c->b->err->code) return NULL;
    return emit_op(c, "Add", c->in[0], caffe_along(c, c->in[0], bias, axis, n_axes));
}

/* a x + y, with a per channel of each sample */
static struct value *lower_axpy(struct caffe_call *c)
{
    int64_t dims[] = { 0, -1, 1, 1 };
    struct value *a = c->in[0];
    if (caffe_rank(c, a) != 4) a = caffe_reshaped(c, a, dims, caffe_rank(c, c->in[1]) == 4 ? 4 : 2);
    return emit_op(c, "Add", emit_op(c, "Mul", a, c->in[1]), c->in[2]);
}

const struct caffe_row caffe_math[] = {
    { "ReLU", lower_relu, 1, 1, 0, "Relu" },
    { "ReLU6", lower_relu6, 1, 1, 0, "Clip" },
    { "PReLU", lower_prelu, 1, 1, 0, "PRelu" },
    { "ELU", lower_elu, 1, 1, 0, "Elu" },
    { "Sigmoid", lower_unary, 1, 1, 0, "Sigmoid" },
    { "TanH", lower_unary, 1, 1, 0, "Tanh" },
    { "AbsVal", lower_unary, 1, 1, 0, "Abs" },
    { "BNLL", lower_unary, 1, 1, 0, "Softplus" },
    { "Swish", lower_swish, 1, 1, 0, "Sigmoid" },
    { "Clip", lower_clip, 1, 1, 0, "Clip" },
    { "Power", lower_power, 1, 1, 0, "Pow" },
    { "Exp", lower_exp, 1, 1, 0, "Exp" },
    { "Log", lower_log, 1, 1, 0, "Log" },
    { "Threshold", lower_threshold, 1, 1, 0, "Greater" },
    { "Dropout", lower_dropout, 1, 1, 0, "Dropout" },
    { "Eltwise", lower_eltwise, 1, CAFFE_ANY, 0, NULL },
    { "Scale", lower_scale, 1, 2, 0, "Mul" },
    { "Bias", lower_bias, 1, 2, 0, "Add" },
    { "Axpy", lower_axpy, 3, 3, 0, NULL },
    { 0 },
};
