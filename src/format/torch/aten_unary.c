/* aten_unary.c - functions of one tensor, element by element. */
#include <math.h>

#include "format/torch/aten.h"

/* Rounding leaves whole numbers as they are. */
static struct value *lower_rounding(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x && !dtype_is_float(x->dtype) ? x : emit_op(c, c->row->onnx, x);
}

static struct value *lower_round_decimals(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *scale = emit_like(c, x, pow(10, arg_float(c, 1)));
    return emit_op(c, "Div", emit_op(c, "Round", emit_op(c, "Mul", x, scale)), scale);
}

/* Complex numbers are only met as constants. */
static struct value *lower_abs(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    const struct tensor *k = x && x->dtype == DT_C64 ? value_content(c, x) : NULL;
    if (!k) return emit_op(c, "Abs", x);
    struct tensor *y = tensor_new(c->b->g->arena, DT_F32, &k->shape, c->b->err);
    const float *z = k->data;
    for (int64_t i = 0; y && i < tensor_count(y); i++) ((float *)y->data)[i] = hypotf(z[2 * i], z[2 * i + 1]);
    return emit_const(c->b, y);
}

static struct value *lower_square(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return emit_op(c, "Mul", x, x);
}

static struct value *lower_rsqrt(struct aten_call *c)
{
    return emit_op(c, "Reciprocal", emit_op(c, "Sqrt", arg_as_float(c, 0)));
}

static struct value *lower_exp2(struct aten_call *c)
{
    struct value *x = arg_as_float(c, 0);
    return emit_op(c, "Pow", emit_like(c, x, 2), x);
}

/* exp(x) - 1 as 2 sinh(x / 2) exp(x / 2): nothing cancels near 0. */
static struct value *lower_expm1(struct aten_call *c)
{
    struct value *x = arg_as_float(c, 0), *half = emit_op(c, "Mul", x, emit_like(c, x, 0.5));
    return emit_op(c, "Mul", emit_op(c, "Mul", emit_op(c, "Sinh", half), emit_op(c, "Exp", half)), emit_like(c, x, 2));
}

/* 2 atanh(x / (2 + x)) is log(1 + x), exact near 0 too. */
static struct value *lower_log1p(struct aten_call *c)
{
    struct value *x = arg_as_float(c, 0), *two = emit_like(c, x, 2);
    return emit_op(c, "Mul", emit_op(c, "Atanh", emit_op(c, "Div", x, emit_op(c, "Add", x, two))), two);
}

static struct value *scaled(struct aten_call *c, struct value *x, double factor)
{
    return emit_op(c, "Mul", x, emit_like(c, x, factor));
}
static struct value *lower_log2(struct aten_call *c)
{
    return scaled(c, emit_op(c, "Log", arg_as_float(c, 0)), 1.44269504088896340736);
}
static struct value *lower_log10(struct aten_call *c)
{
    return scaled(c, emit_op(c, "Log", arg_as_float(c, 0)), 0.43429448190325182765);
}
static struct value *lower_deg2rad(struct aten_call *c)
{
    return scaled(c, arg_as_float(c, 0), 0.01745329251994329577);
}
static struct value *lower_rad2deg(struct aten_call *c)
{
    return scaled(c, arg_as_float(c, 0), 57.2957795130823208768);
}

static struct value *lower_erfc(struct aten_call *c)
{
    struct value *x = arg_as_float(c, 0);
    return emit_op(c, "Sub", emit_like(c, x, 1), emit_op(c, "Erf", x));
}

/* log(x / (1 - x)), x first moved into [eps, 1 - eps] */
static struct value *lower_logit(struct aten_call *c)
{
    struct value *x = arg_as_float(c, 0);
    if (arg_given(c, 1) && x) {
        double eps = arg_float(c, 1);
        x = emit_op(c, "Clip", x, emit_like(c, x, eps), emit_like(c, x, 1 - eps));
    }
    return emit_op(c, "Log", emit_op(c, "Div", x, emit_op(c, "Sub", emit_like(c, x, 1), x)));
}

static struct value *lower_isfinite(struct aten_call *c)
{
    struct value *x = arg_as_float(c, 0);
    return emit_op(c, "Not", emit_op(c, "Or", emit_op(c, "IsNaN", x), emit_op(c, "IsInf", x)));
}

static struct value *replace(struct aten_call *c, struct value *x, const char *test, const char *sign, double with)
{
    struct attr attrs[] = { attr_int(sign ? sign : "", 0), { 0 } };
    struct value *is = emit(c->b, test, sign ? attrs : NO_ATTRS, x);
    return emit_op(c, "Where", is, emit_like(c, x, with), x);
}

static struct value *lower_nan_to_num(struct aten_call *c)
{
    const double largest = 3.40282346638528859812e38;
    struct value *x = arg_tensor(c, 0);
    if (!x || !dtype_is_float(x->dtype)) return x;
    x = replace(c, x, "IsNaN", NULL, arg_given(c, 1) ? arg_float(c, 1) : 0);
    x = replace(c, x, "IsInf", "detect_negative", arg_given(c, 2) ? arg_float(c, 2) : largest);
    return replace(c, x, "IsInf", "detect_positive", arg_given(c, 3) ? arg_float(c, 3) : -largest);
}

#define UNARY(name, ...) \
    { \
        name "(Tensor self) -> Tensor", __VA_ARGS__ \
    }
#define FLOAT(name, onnx) UNARY(name, lower_unary_float, onnx)

const struct aten_row aten_unary[] = {
    UNARY("neg", lower_unary, "Neg"),
    UNARY("negative", lower_unary, "Neg"),
    UNARY("positive", lower_identity),
    UNARY("abs", lower_abs, NULL),
    UNARY("absolute", lower_abs, NULL),
    UNARY("sign", lower_unary, "Sign"),
    UNARY("sgn", lower_unary, "Sign"),
    UNARY("ceil", lower_rounding, "Ceil"),
    UNARY("floor", lower_rounding, "Floor"),
    UNARY("round", lower_rounding, "Round"),
    { "round.decimals(Tensor self, *, int decimals) -> Tensor", lower_round_decimals },
    UNARY("square", lower_square),
    UNARY("rsqrt", lower_rsqrt),
    UNARY("exp2", lower_exp2),
    UNARY("expm1", lower_expm1),
    UNARY("log1p", lower_log1p),
    UNARY("log2", lower_log2),
    UNARY("log10", lower_log10),
    UNARY("deg2rad", lower_deg2rad),
    UNARY("rad2deg", lower_rad2deg),
    UNARY("erfc", lower_erfc),
    { "logit(Tensor self, float? eps=None) -> Tensor", lower_logit },
    UNARY("isnan", lower_unary_float, "IsNaN"),
    UNARY("isinf", lower_unary_float, "IsInf"),
    UNARY("isfinite", lower_isfinite),
    { "nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor", lower_nan_to_num },
    FLOAT("sqrt", "Sqrt"),
    FLOAT("exp", "Exp"),
    FLOAT("log", "Log"),
    FLOAT("reciprocal", "Reciprocal"),
    FLOAT("erf", "Erf"),
    FLOAT("sin", "Sin"),
    FLOAT("cos", "Cos"),
    FLOAT("tan", "Tan"),
    FLOAT("asin", "Asin"),
    FLOAT("acos", "Acos"),
    FLOAT("atan", "Atan"),
    FLOAT("sinh", "Sinh"),
    FLOAT("cosh", "Cosh"),
    FLOAT("asinh", "Asinh"),
    FLOAT("acosh", "Acosh"),
    FLOAT("atanh", "Atanh"),
    FLOAT("sigmoid", "Sigmoid"),
    FLOAT("tanh", "Tanh"),
    { 0 },
};
