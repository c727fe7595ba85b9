/* aten_quantized.c - quantized tensors. They are carried as the reals they stand for: each operator that quantizes ends
 * in QuantizeLinear and DequantizeLinear, so its result holds only what the integers can say. */
#include <string.h>

#include "base/err.h"
#include "format/torch/aten.h"

enum { QINT8 = 12, QUINT8 = 13 };

/* One number as a 0-d constant. */
static struct value *number(struct aten_call *c, enum dtype t, double v)
{
    return emit_scalar(c->b, t, v);
}

static struct value *rounded(struct aten_call *c, struct value *x, double scale, int64_t zero, enum dtype t)
{
    struct value *s = number(c, DT_F32, scale), *z = number(c, t, (double)zero);
    return emit_op(c, "DequantizeLinear", emit_op(c, "QuantizeLinear", x, s, z), s, z);
}

/* The arguments from i on are a scale and a zero point of uint8. */
static struct value *rounded_at(struct aten_call *c, struct value *x, int i)
{
    if (!arg_given(c, i)) return x;
    return rounded(c, x, arg_float(c, i), arg_int(c, i + 1), DT_U8);
}

/* What PyTorch raises a smaller scale to. */
#define SMALLEST_SCALE 6.1e-5f

static enum dtype integer_of(struct aten_call *c, int64_t type)
{
    if (type == QINT8) return DT_I8;
    if (type != QUINT8) aten_fail(c, ERR_UNSUPPORTED, "quantizing to type %lld", (long long)type);
    return DT_U8;
}

static struct value *lower_quantize(struct aten_call *c)
{
    return rounded(c, arg_as_float(c, 0), arg_float(c, 1), arg_int(c, 2), integer_of(c, arg_int(c, 3)));
}

static struct value *lower_quantize_tensors(struct aten_call *c)
{
    const struct tensor *scale = value_content(c, arg_tensor(c, 1)), *zero = value_content(c, arg_tensor(c, 2));
    if (!scale || !zero || tensor_count(scale) != 1 || tensor_count(zero) != 1)
        return aten_fail(c, ERR_UNSUPPORTED, "a scale or zero point that depends on data"), NULL;
    return rounded(
        c, arg_as_float(c, 0), tensor_get_f64(scale, 0), tensor_get_i64(zero, 0), integer_of(c, arg_int(c, 3)));
}

/* Within [low, high] of integers. */
static struct value *lower_fake(struct aten_call *c)
{
    struct value *x = arg_as_float(c, 0), *s = number(c, DT_F32, arg_float(c, 1));
    double zero = (double)arg_int(c, 2);
    struct value *q = emit_op(c, "Round", emit_op(c, "Div", x, s));
    struct value *low = number(c, DT_F32, (double)arg_int(c, 3) - zero);
    q = emit_op(c, "Clip", q, low, number(c, DT_F32, (double)arg_int(c, 4) - zero));
    return emit_op(c, "Mul", q, s);
}

/* x over its own range, 0 in it, in 255 or (for processors whose sums overflow) 127 steps. PyTorch finds scale and zero
 * point in double: near a half, one float more or less moves the whole image by a step. */
static struct value *lower_dynamic(struct aten_call *c)
{
    struct value *x = arg_as_float(c, 0), *zero = number(c, DT_F64, 0);
    struct value *steps = number(c, DT_F64, arg_bool(c, 1) ? 127 : 255);
    struct value *least = emit(c->b, "ReduceMin", ATTRS(attr_int("keepdims", 0)), x);
    struct value *most = emit(c->b, "ReduceMax", ATTRS(attr_int("keepdims", 0)), x);
    struct value *low = emit_op(c, "Min", emit_cast(c->b, least, DT_F64), zero);
    struct value *high = emit_op(c, "Max", emit_cast(c->b, most, DT_F64), zero);
    struct value *range = emit_op(c, "Sub", high, low), *flat = emit_op(c, "Equal", range, zero);
    struct value *exact = emit_op(c, "Where", flat, number(c, DT_F64, 0.1), emit_op(c, "Div", range, steps));
    struct value *first = emit_op(c, "Round", emit_op(c, "Neg", emit_op(c, "Div", low, exact)));
    first = emit_cast(c->b, emit_op(c, "Clip", first, zero, steps), DT_U8);
    struct value *scale = emit_cast(c->b, emit_op(c, "Max", exact, number(c, DT_F64, SMALLEST_SCALE)), DT_F32);
    return emit_op(c, "DequantizeLinear", emit_op(c, "QuantizeLinear", x, scale, first), scale, first);
}

static struct value *lower_binary_rounded(struct aten_call *c)
{
    return rounded_at(c, emit_op(c, c->row->onnx, arg_tensor(c, 0), arg_tensor(c, 1)), 2);
}

static struct value *lower_add_relu(struct aten_call *c)
{
    struct value *sum = emit_op(c, c->row->onnx, arg_tensor(c, 0), arg_tensor(c, 1));
    return rounded_at(c, emit_op(c, "Relu", sum), 2);
}

static struct value *lower_unary_rounded(struct aten_call *c)
{
    return rounded_at(c, emit_op(c, c->row->onnx, arg_tensor(c, 0)), 1);
}

static struct value *lower_leaky(struct aten_call *c)
{
    struct value *y = emit(c->b, "LeakyRelu", ATTRS(attr_float("alpha", arg_float(c, 1))), arg_tensor(c, 0));
    return rounded_at(c, y, 3);
}

static struct value *lower_cat(struct aten_call *c)
{
    size_t n;
    struct value **parts = arg_tensors(c, 0, &n);
    if (!parts || !n) return NULL;
    int axis = arg_axis(c, 1, value_rank(c, parts[0]));
    return rounded_at(c, builder_emit(c->b, "Concat", ATTRS(attr_int("axis", axis)), parts, (int)n), 2);
}

/* A tensor that is no longer quantized: nothing behind it is rounded to its steps. */
static struct value *lower_dequantize(struct aten_call *c)
{
    return emit_op(c, "Identity", arg_tensor(c, 0));
}

/* The node that made a tensor of quantized numbers, through operators that leave them what they are; or NULL. */
static const struct node *quantized_by(const struct value *v)
{
    static const char *const same[] = { "Reshape", "Transpose", "Relu", "MaxPool", "Slice", "Squeeze", "Unsqueeze",
        "Flatten", NULL };
    for (;;) {
        v = value_resolve((struct value *)(uintptr_t)v);
        const struct node *n = v && v->kind == VALUE_NODE ? v->node : NULL;
        if (!n) return NULL;
        if (node_is(n, "DequantizeLinear"))
            return n->in[0]->kind == VALUE_NODE && node_is(n->in[0]->node, "QuantizeLinear") ? n : NULL;
        int i = 0;
        while (same[i] && !node_is(n, same[i])) i++;
        if (!same[i]) return NULL;
        v = n->in[0];
    }
}

struct value *aten_requantized(struct aten_call *c, const char *name, struct value *y)
{
    static const char *const means[] = { "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool2d", "avg_pool3d",
        "mean", "upsample_bilinear2d", NULL };
    int i = 0;
    while (means[i] && strcmp(means[i], name) != 0) i++;
    if (!y || !means[i] || !object_is(c->arg[0], OBJECT_TENSOR)) return y;
    const struct node *n = quantized_by(arg_tensor(c, 0));
    if (!n || c->b->err->code) return y;
    struct value *q = emit_op(c, "QuantizeLinear", y, n->in[1], n->in[2]);
    return emit_op(c, "DequantizeLinear", q, n->in[1], n->in[2]);
}

const struct aten_row aten_quantized[] = {
    { "quantize_per_tensor(Tensor self, float scale, int zero_point, int dtype) -> Tensor", lower_quantize },
    { "quantize_per_tensor.tensor_qparams(Tensor self, Tensor scale, Tensor zero_point, int dtype) -> Tensor",
        lower_quantize_tensors },
    { "dequantize.self(Tensor self) -> Tensor", lower_dequantize },
    { "fake_quantize_per_tensor_affine(Tensor self, float scale, int zero_point, int quant_min, int quant_max) -> "
      "Tensor",
        lower_fake },
    { "quantized::dynamic(Tensor self, bool reduce_range=False) -> Tensor", lower_dynamic },
    { "quantized::add(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor", lower_binary_rounded, "Add" },
    { "quantized::add_relu(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor", lower_add_relu, "Add" },
    { "quantized::mul(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor", lower_binary_rounded, "Mul" },
    { "quantized::mul_relu(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor", lower_add_relu, "Mul" },
    { "quantized::cat(Tensor[] qx, int dim, float? scale, int? zero_point) -> Tensor", lower_cat },
    { "quantized::hardswish(Tensor input, float output_scale, int output_zero_point) -> Tensor", lower_unary_rounded,
        "HardSwish" },
    { "quantized::sigmoid(Tensor qx, float output_scale, int output_zero_point) -> Tensor", lower_unary_rounded,
        "Sigmoid" },
    { "quantized::leaky_relu(Tensor qx, Scalar negative_slope, bool inplace, float output_scale, int "
      "output_zero_point) -> Tensor",
        lower_leaky },
    { NULL },
};
