/* aten_math.c - arithmetic of two or three tensors, element by element. */
#include <string.h>

#include "base/err.h"
#include "format/torch/torch.h"

/* x + alpha * y; sub the same with a minus; rsub with the operands exchanged. Bools add as Or does. */
static struct value *lower_add(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    if (!x || !y) return NULL;
    if (x->dtype == DT_BOOL && !strcmp(c->row->onnx, "Add")) return emit_op(c, "Or", x, y);
    if (c->n_args > 2 && arg_float(c, 2) != 1) y = emit_op(c, "Mul", y, arg_scalar(c, 2, y->dtype));
    return emit_op(c, c->row->onnx, x, y);
}

static struct value *lower_rsub(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    if (arg_float(c, 2) != 1 && x) x = emit_op(c, "Mul", x, arg_scalar(c, 2, x->dtype));
    return emit_op(c, "Sub", y, x);
}

/* Bools multiply as And does. */
static struct value *lower_mul(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    return emit_op(c, x && x->dtype == DT_BOOL ? "And" : "Mul", x, y);
}

static struct value *truncate(struct aten_call *c, struct value *x)
{
    if (!x || !dtype_is_float(x->dtype)) return x;
    return emit_op(c, "Mul", emit_op(c, "Sign", x), emit_op(c, "Floor", emit_op(c, "Abs", x)));
}

/* True division: integers give float32; before version 4 of the operators they were divided towards zero. */
static struct value *true_divide(struct aten_call *c, struct value *x, struct value *y)
{
    if (!x || !y) return NULL;
    bool whole = c->t->version > 0 && c->t->version < 4;
    if (!dtype_is_float(x->dtype) && !whole) x = emit_cast(c->b, x, DT_F32), y = emit_cast(c->b, y, DT_F32);
    return emit_op(c, "Div", x, y);
}

static struct value *lower_div(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    return true_divide(c, x, y);
}

static struct value *lower_div_mode(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    const char *mode = arg_str(c, 2);
    if (!mode) return true_divide(c, x, y);
    if (!strcmp(mode, "floor")) return emit_op(c, "FloorDiv", x, y);
    return truncate(c, emit_op(c, "Div", x, y)); /* ONNX divides whole numbers towards zero */
}

static struct value *lower_trunc(struct aten_call *c)
{
    return truncate(c, arg_tensor(c, 0));
}

static struct value *lower_frac(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return emit_op(c, "Sub", x, truncate(c, x));
}

/* The remainder with the dividend's sign. */
static struct value *lower_fmod(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    return emit(c->b, "Mod", ATTRS(attr_int("fmod", 1)), x, y);
}

static struct value *lower_pow(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    const struct object *o = c->arg[1];
    bool number = o->kind != OBJECT_TENSOR && !o->value && object_is_number(o);
    if (number && object_number(o) == 2) return emit_op(c, "Mul", x, x);
    if (number && object_number(o) == 0.5 && x && dtype_is_float(x->dtype)) return emit_op(c, "Sqrt", x);
    return emit_op(c, "Pow", x, y);
}

/* self + value * t1 * t2, and the same with t1 / t2 */
static struct value *lower_addc(struct aten_call *c)
{
    struct value *v[] = { arg_tensor(c, 0), arg_tensor(c, 1), arg_tensor(c, 2) };
    promote_values(c, v, 3);
    struct value *y = emit_op(c, c->row->onnx, v[1], v[2]);
    if (y && arg_float(c, 3) != 1) y = emit_op(c, "Mul", y, arg_scalar(c, 3, y->dtype));
    return emit_op(c, "Add", v[0], y);
}

/* a + w (b - a) */
static struct value *lower_lerp(struct aten_call *c)
{
    struct value *a, *b;
    arg_operands(c, 0, 1, &a, &b);
    return a ? emit_op(c, "Add", a, emit_op(c, "Mul", arg_scalar(c, 2, a->dtype), emit_op(c, "Sub", b, a))) : NULL;
}

static struct value *lower_hypot(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    return emit_op(c, "Sqrt", emit_op(c, "Add", emit_op(c, "Mul", x, x), emit_op(c, "Mul", y, y)));
}

/* The angle of (x, y): atan(y / x), moved by pi where x < 0. */
static struct value *lower_atan2(struct aten_call *c)
{
    const double pi = 3.14159265358979323846;
    struct value *y, *x;
    arg_operands(c, 0, 1, &y, &x);
    if (!x || !y) return NULL;
    if (!dtype_is_float(x->dtype)) x = emit_cast(c->b, x, DT_F32), y = emit_cast(c->b, y, DT_F32);
    struct value *zero = emit_like(c, x, 0), *is_zero = emit_op(c, "Equal", x, zero);
    struct value *half = emit_op(c, "Mul", emit_op(c, "Sign", y), emit_like(c, x, pi / 2));
    struct value *safe = emit_op(c, "Where", is_zero, emit_like(c, x, 1), x);
    struct value *angle = emit_op(c, "Atan", emit_op(c, "Div", y, safe));
    struct value *side = emit_op(c, "Where", emit_op(c, "Less", y, zero), emit_like(c, x, -pi), emit_like(c, x, pi));
    struct value *turn = emit_op(c, "Where", emit_op(c, "Less", x, zero), side, zero);
    return emit_op(c, "Where", is_zero, half, emit_op(c, "Add", angle, turn));
}

/* x log(y), and 0 where x is 0 */
static struct value *lower_xlogy(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    struct value *zero = emit_like(c, x, 0);
    return emit_op(c, "Where", emit_op(c, "Equal", x, zero), zero, emit_op(c, "Mul", x, emit_op(c, "Log", y)));
}

#define BINARY(name, ...) \
    { name ".Tensor(Tensor self, Tensor other) -> Tensor", __VA_ARGS__ }, \
    { \
        name ".Scalar(Tensor self, Scalar other) -> Tensor", __VA_ARGS__ \
    }
#define WITH_ALPHA(name, ...) \
    { name ".Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", __VA_ARGS__ }, \
    { \
        name ".Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", __VA_ARGS__ \
    }
#define DIVIDE(name) \
    BINARY(name, lower_div), \
        { name ".Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor", lower_div_mode }, \
    { \
        name ".Scalar_mode(Tensor self, Scalar other, *, str? rounding_mode) -> Tensor", lower_div_mode \
    }

const struct aten_row aten_math[] = {
    WITH_ALPHA("add", lower_add, "Add"),
    WITH_ALPHA("sub", lower_add, "Sub"),
    WITH_ALPHA("subtract", lower_add, "Sub"),
    WITH_ALPHA("rsub", lower_rsub, NULL),
    BINARY("mul", lower_mul),
    BINARY("multiply", lower_mul),
    DIVIDE("div"),
    DIVIDE("divide"),
    BINARY("true_divide", lower_div),
    BINARY("floor_divide", lower_binary, "FloorDiv"),
    BINARY("remainder", lower_binary, "Remainder"),
    BINARY("fmod", lower_fmod),
    { "trunc(Tensor self) -> Tensor", lower_trunc },
    { "fix(Tensor self) -> Tensor", lower_trunc },
    { "frac(Tensor self) -> Tensor", lower_frac },
    { "pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor", lower_pow },
    { "pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor", lower_pow },
    { "pow.Scalar(Scalar self, Tensor exponent) -> Tensor", lower_pow },
    { "addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", lower_addc, "Mul" },
    { "addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", lower_addc, "Div" },
    { "lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor", lower_lerp },
    { "lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor", lower_lerp },
    { "hypot(Tensor self, Tensor other) -> Tensor", lower_hypot },
    { "atan2(Tensor self, Tensor other) -> Tensor", lower_atan2 },
    { "arctan2(Tensor self, Tensor other) -> Tensor", lower_atan2 },
    { "xlogy.Tensor(Tensor self, Tensor other) -> Tensor", lower_xlogy },
    { "max.other(Tensor self, Tensor other) -> Tensor", lower_binary, "Max" },
    { "min.other(Tensor self, Tensor other) -> Tensor", lower_binary, "Min" },
    { "maximum(Tensor self, Tensor other) -> Tensor", lower_binary, "Max" },
    { "minimum(Tensor self, Tensor other) -> Tensor", lower_binary, "Min" },
    { 0 },
};
