/* aten_activation.c - activation functions. */
#include "format/torch/aten.h"

static struct value *lower_clip(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    if (!x) return NULL;
    struct value *low = arg_given(c, 1) ? arg_scalar(c, 1, x->dtype) : NULL;
    struct value *high = c->n_args > 2 && arg_given(c, 2) ? arg_scalar(c, 2, x->dtype) : NULL;
    return emit(c->b, "Clip", NO_ATTRS, x, low, high);
}

static struct value *lower_clamp_max(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? emit(c->b, "Clip", NO_ATTRS, x, NULL, arg_scalar(c, 1, x->dtype)) : NULL;
}

static struct value *lower_relu6(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    if (!x) return NULL;
    return emit(c->b, "Clip", NO_ATTRS, x, emit_scalar(c->b, x->dtype, 0), emit_scalar(c->b, x->dtype, 6));
}

static struct value *lower_leaky_relu(struct aten_call *c)
{
    return emit(c->b, "LeakyRelu", ATTRS(attr_float("alpha", arg_float(c, 1))), arg_tensor(c, 0));
}

static struct value *lower_hardsigmoid(struct aten_call *c)
{
    return emit(c->b, "HardSigmoid", ATTRS(attr_float("alpha", 1.0 / 6), attr_float("beta", 0.5)), arg_tensor(c, 0));
}

static struct value *lower_silu(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return emit(c->b, "Mul", NO_ATTRS, x, emit(c->b, "Sigmoid", NO_ATTRS, x));
}

static struct value *lower_softmax(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int axis = arg_axis(c, 1, value_rank(c, x));
    if (!x) return NULL;
    x = emit_cast(c->b, x, arg_dtype(c, 2, x->dtype));
    return emit(c->b, c->row->onnx, ATTRS(attr_int("axis", axis)), x);
}

const struct aten_row aten_activation[] = {
    { "relu(Tensor self) -> Tensor", lower_unary, "Relu" },
    { "relu6(Tensor self) -> Tensor", lower_relu6 },
    { "hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor", lower_clip },
    { "clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor", lower_clip },
    { "clip(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor", lower_clip },
    { "clamp_min(Tensor self, Scalar min) -> Tensor", lower_clip },
    { "clamp_max(Tensor self, Scalar max) -> Tensor", lower_clamp_max },
    { "leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor", lower_leaky_relu },
    { "sigmoid(Tensor self) -> Tensor", lower_unary_float, "Sigmoid" },
    { "tanh(Tensor self) -> Tensor", lower_unary_float, "Tanh" },
    { "hardswish(Tensor self) -> Tensor", lower_unary, "HardSwish" },
    { "hardsigmoid(Tensor self) -> Tensor", lower_hardsigmoid },
    { "silu(Tensor self) -> Tensor", lower_silu },
    { "softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", lower_softmax, "Softmax" },
    { "log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", lower_softmax, "LogSoftmax" },
    { 0 },
};
