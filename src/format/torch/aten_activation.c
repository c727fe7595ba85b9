/* aten_activation.c - activation functions. */
#include "base/err.h"
#include "format/torch/torch.h"

/* Between arguments 1 and 2, each of which may be absent, a number or a tensor; the types are promoted. */
static struct value *lower_clip(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    bool has_low = arg_given(c, 1), has_high = c->n_args > 2 && arg_given(c, 2);
    if (!x) return NULL;
    enum dtype t = x->dtype;
    if (has_low) t = promote(c, 0, 1);
    if (has_high && !dtype_is_float(t)) t = promote(c, 0, 2);
    x = emit_cast(c->b, x, t);
    bool tensors = (has_low && c->arg[1]->kind == OBJECT_TENSOR) || (has_high && c->arg[2]->kind == OBJECT_TENSOR);
    struct value *low = has_low ? arg_scalar(c, 1, t) : NULL, *high = has_high ? arg_scalar(c, 2, t) : NULL;
    if (!tensors) return emit_op(c, "Clip", x, low, high);
    if (low) x = emit_op(c, "Max", x, low);
    return high ? emit_op(c, "Min", x, high) : x;
}

static struct value *lower_clamp_max(struct aten_call *c)
{
    struct value *x, *high;
    arg_operands(c, 0, 1, &x, &high);
    return emit_op(c, "Min", x, high);
}

static struct value *lower_relu6(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return emit_op(c, "Clip", x, emit_like(c, x, 0), emit_like(c, x, 6));
}

/* row->onnx with one attribute, alpha, from argument 1 */
static struct value *lower_alpha(struct aten_call *c)
{
    return emit(c->b, c->row->onnx, ATTRS(attr_float("alpha", arg_float(c, 1))), arg_tensor(c, 0));
}

static struct value *lower_hardsigmoid(struct aten_call *c)
{
    return emit(c->b, "HardSigmoid", ATTRS(attr_float("alpha", 1.0 / 6), attr_float("beta", 0.5)), arg_tensor(c, 0));
}

/* scale (x > 0 ? x : alpha (exp(input_scale x) - 1)) */
static struct value *lower_elu(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    if (arg_float(c, 3) != 1) return aten_fail(c, ERR_UNSUPPORTED, "input_scale %g", arg_float(c, 3)), NULL;
    struct value *y = emit(c->b, "Elu", ATTRS(attr_float("alpha", arg_float(c, 1))), x);
    return arg_float(c, 2) == 1 ? y : emit_op(c, "Mul", y, emit_like(c, y, arg_float(c, 2)));
}

static struct value *lower_selu(struct aten_call *c)
{
    return emit(c->b, "Selu",
        ATTRS(attr_float("alpha", 1.6732632423543772848), attr_float("gamma", 1.0507009873554804934)),
        arg_tensor(c, 0));
}

static struct value *lower_gelu(struct aten_call *c)
{
    return emit(c->b, "Gelu", ATTRS(attr_string("approximate", arg_str(c, 1))), arg_tensor(c, 0));
}

/* One slope, or one per channel (dimension 1). */
static struct value *lower_prelu(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *slope = arg_tensor(c, 1);
    int rank = value_rank(c, x);
    int64_t dims[SHAPE_MAX] = { -1 };
    for (int i = 1; i < rank - 1; i++) dims[i] = 1;
    if (rank > 2 && value_rank(c, slope) == 1) slope = emit_reshape(c, slope, dims, (size_t)rank - 1);
    return emit_op(c, "PRelu", x, slope);
}

/* log(1 + exp(beta x)) / beta, and x itself where beta x > threshold */
static struct value *lower_softplus(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    double beta = arg_float(c, 1), threshold = arg_float(c, 2);
    struct value *in = beta == 1 ? x : emit_op(c, "Mul", x, emit_like(c, x, beta));
    struct value *y = emit_op(c, "Softplus", in);
    if (beta != 1) y = emit_op(c, "Div", y, emit_like(c, x, beta));
    if (threshold >= 20) return y; /* the two differ by less than float32 can say */
    return emit_op(c, "Where", emit_op(c, "Greater", in, emit_like(c, x, threshold)), x, y);
}

static struct value *lower_threshold(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    if (!x) return NULL;
    if (!arg_float(c, 2)) return emit(c->b, "ThresholdedRelu", ATTRS(attr_float("alpha", arg_float(c, 1))), x);
    return emit_op(c, "Where", emit_op(c, "Greater", x, arg_scalar(c, 1, x->dtype)), x, arg_scalar(c, 2, x->dtype));
}

static struct value *shrink(struct aten_call *c, double bias)
{
    struct attr attrs[] = { attr_float("lambd", arg_float(c, 1)), attr_float("bias", bias), { 0 } };
    return emit(c->b, "Shrink", attrs, arg_tensor(c, 0));
}
static struct value *lower_hardshrink(struct aten_call *c)
{
    return shrink(c, 0);
}
static struct value *lower_softshrink(struct aten_call *c)
{
    return shrink(c, arg_float(c, 1));
}

/* When scoring, the slope is the middle of the range it is drawn from in training. */
static struct value *lower_rrelu(struct aten_call *c)
{
    double slope = (arg_float(c, 1) + arg_float(c, 2)) / 2;
    return emit(c->b, "LeakyRelu", ATTRS(attr_float("alpha", slope)), arg_tensor(c, 0));
}

/* The first half times the sigmoid of the second. */
static struct value *lower_glu(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int axis = arg_axis(c, 1, value_rank(c, x));
    struct node *n = builder_node(c->b, "Split", ATTRS(attr_int("axis", axis), attr_int("num_outputs", 2)), &x, 1, 2);
    return n ? emit_op(c, "Mul", n->out[0], emit_op(c, "Sigmoid", n->out[1])) : NULL;
}

static struct value *softmax(struct aten_call *c, struct value *x)
{
    return emit(c->b, c->row->onnx, ATTRS(attr_int("axis", arg_axis(c, 1, value_rank(c, x)))), x);
}
static struct value *lower_softmax(struct aten_call *c)
{
    struct value *x = arg_as_float(c, 0);
    return x ? softmax(c, emit_cast(c->b, x, arg_dtype(c, 2, x->dtype))) : NULL;
}
static struct value *lower_softmax_half(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return softmax(c, arg_bool(c, 2) ? emit_cast(c->b, x, DT_F32) : x);
}

#define UNARY(name, ...) \
    { \
        name "(Tensor self) -> Tensor", __VA_ARGS__ \
    }
#define CLAMP(name) \
    { name "(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor", lower_clip }, \
        { name ".Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor", lower_clip }, \
        { name "_min(Tensor self, Scalar min) -> Tensor", lower_clip }, \
        { name "_min.Tensor(Tensor self, Tensor min) -> Tensor", lower_clip }, \
        { name "_max(Tensor self, Scalar max) -> Tensor", lower_clamp_max }, \
    { \
        name "_max.Tensor(Tensor self, Tensor max) -> Tensor", lower_clamp_max \
    }
#define SOFTMAX(name, onnx) \
    { name ".int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", lower_softmax, onnx }, \
    { \
        "_" name "(Tensor self, int dim, bool half_to_float) -> Tensor", lower_softmax_half, onnx \
    }

const struct aten_row aten_activation[] = {
    UNARY("relu", lower_unary, "Relu"),
    UNARY("relu6", lower_relu6),
    { "hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor", lower_clip },
    CLAMP("clamp"),
    { "clip(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor", lower_clip },
    { "leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor", lower_alpha, "LeakyRelu" },
    { "elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor", lower_elu },
    { "celu(Tensor self, Scalar alpha=1.) -> Tensor", lower_alpha, "Celu" },
    UNARY("selu", lower_selu),
    { "gelu(Tensor self, *, str approximate=\"none\") -> Tensor", lower_gelu },
    { "prelu(Tensor self, Tensor weight) -> Tensor", lower_prelu },
    { "_prelu_kernel(Tensor self, Tensor weight) -> Tensor", lower_binary, "PRelu" },
    { "rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.3333333333333333, bool training=False, "
      "Generator? generator=None) -> Tensor",
        lower_rrelu },
    UNARY("hardswish", lower_unary, "HardSwish"),
    UNARY("hardsigmoid", lower_hardsigmoid),
    UNARY("silu", lower_unary, "Swish"),
    UNARY("mish", lower_unary, "Mish"),
    UNARY("log_sigmoid", lower_unary, "LogSigmoid"),
    UNARY("softsign", lower_unary, "Softsign"),
    { "softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor", lower_softplus },
    { "threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor", lower_threshold },
    { "hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor", lower_hardshrink },
    { "softshrink(Tensor self, Scalar lambd=0.5) -> Tensor", lower_softshrink },
    { "glu(Tensor self, int dim=-1) -> Tensor", lower_glu },
    SOFTMAX("softmax", "Softmax"),
    SOFTMAX("log_softmax", "LogSoftmax"),
    { 0 },
};
