/* aten_math.c - arithmetic and comparison, element by element. */
#include "base/err.h"
#include "format/torch/aten.h"

/* x + alpha * y; sub the same with a minus; rsub with the operands exchanged. */
static struct value *lower_add(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    if (c->n_args > 2 && arg_float(c, 2) != 1 && y) y = emit(c->b, "Mul", NO_ATTRS, y, arg_scalar(c, 2, y->dtype));
    return emit(c->b, c->row->onnx, NO_ATTRS, x, y);
}

static struct value *lower_rsub(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    if (arg_float(c, 2) != 1 && x) x = emit(c->b, "Mul", NO_ATTRS, x, arg_scalar(c, 2, x->dtype));
    return emit(c->b, "Sub", NO_ATTRS, y, x);
}

/* Bools multiply as And does. */
static struct value *lower_mul(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    return emit(c->b, x && x->dtype == DT_BOOL ? "And" : "Mul", NO_ATTRS, x, y);
}

/* True division: integers give float32. */
static struct value *lower_div(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    if (x && !dtype_is_float(x->dtype)) x = emit_cast(c->b, x, DT_F32), y = emit_cast(c->b, y, DT_F32);
    return emit(c->b, "Div", NO_ATTRS, x, y);
}

/* Rounded down. ONNX divides whole numbers towards zero: the remainder, which has the divisor's sign, goes first.
 * Sizes are never negative, and plain division keeps what is known of them. */
static struct value *floor_divide(struct aten_call *c, struct value *x, struct value *y)
{
    if (!x || !y) return NULL;
    if (dtype_is_float(x->dtype)) return emit(c->b, "Floor", NO_ATTRS, emit(c->b, "Div", NO_ATTRS, x, y));
    const struct tensor *k = value_content(c, x), *d = value_content(c, y);
    bool positive = k && d && tensor_count(k) == 1 && tensor_count(d) == 1 && tensor_get_i64(k, 0) >= 0 &&
        tensor_get_i64(d, 0) > 0;
    if (!positive) x = emit(c->b, "Sub", NO_ATTRS, x, emit(c->b, "Mod", NO_ATTRS, x, y));
    return emit(c->b, "Div", NO_ATTRS, x, y);
}

static struct value *lower_floor_divide(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    return floor_divide(c, x, y);
}

/* fmod=0 of ONNX's Mod is for whole numbers; for floats: x - floor(x / y) * y, with the divisor's sign as in
 * Python. */
static struct value *lower_remainder(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    if (!x || !dtype_is_float(x->dtype)) return emit(c->b, "Mod", NO_ATTRS, x, y);
    return emit(c->b, "Sub", NO_ATTRS, x, emit(c->b, "Mul", NO_ATTRS, floor_divide(c, x, y), y));
}

static struct value *lower_ne(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    return emit(c->b, "Not", NO_ATTRS, emit(c->b, "Equal", NO_ATTRS, x, y));
}

#define BINARY(name, function, ...) \
    { name ".Tensor(Tensor self, Tensor other) -> Tensor", function, __VA_ARGS__ }, \
    { \
        name ".Scalar(Tensor self, Scalar other) -> Tensor", function, __VA_ARGS__ \
    }
#define WITH_ALPHA(name, function, ...) \
    { name ".Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", function, __VA_ARGS__ }, \
    { \
        name ".Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", function, __VA_ARGS__ \
    }

const struct aten_row aten_math[] = {
    WITH_ALPHA("add", lower_add, "Add"),
    WITH_ALPHA("sub", lower_add, "Sub"),
    WITH_ALPHA("rsub", lower_rsub, NULL),
    BINARY("mul", lower_mul, NULL),
    BINARY("div", lower_div, NULL),
    { "floor_divide(Tensor self, Tensor other) -> Tensor", lower_floor_divide },
    { "floor_divide.Scalar(Tensor self, Scalar other) -> Tensor", lower_floor_divide },
    BINARY("remainder", lower_remainder, NULL),
    BINARY("eq", lower_binary, "Equal"),
    BINARY("ne", lower_ne, NULL),
    BINARY("lt", lower_binary, "Less"),
    BINARY("le", lower_binary, "LessOrEqual"),
    BINARY("gt", lower_binary, "Greater"),
    BINARY("ge", lower_binary, "GreaterOrEqual"),
    { "neg(Tensor self) -> Tensor", lower_unary, "Neg" },
    { "abs(Tensor self) -> Tensor", lower_unary, "Abs" },
    { "sqrt(Tensor self) -> Tensor", lower_unary_float, "Sqrt" },
    { "exp(Tensor self) -> Tensor", lower_unary_float, "Exp" },
    { "log(Tensor self) -> Tensor", lower_unary_float, "Log" },
    { "matmul(Tensor self, Tensor other) -> Tensor", lower_binary, "MatMul" },
    { "bmm(Tensor self, Tensor mat2) -> Tensor", lower_binary, "MatMul" },
    { 0 },
};
