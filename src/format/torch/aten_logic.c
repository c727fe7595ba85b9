/* aten_logic.c - comparisons, logical and bitwise operators, choices. */
#include <string.h>

#include "base/err.h"
#include "format/torch/aten.h"

static struct value *lower_ne(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    return emit_op(c, "Not", emit_op(c, "Equal", x, y));
}

/* Order is of numbers: bools compare as 0 and 1. */
static struct value *lower_compare(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    if (x && x->dtype == DT_BOOL) x = emit_cast(c->b, x, DT_I32), y = emit_cast(c->b, y, DT_I32);
    return emit_op(c, c->row->onnx, x, y);
}

static struct value *lower_logical(struct aten_call *c)
{
    return emit_op(c, c->row->onnx, arg_scalar(c, 0, DT_BOOL), arg_scalar(c, 1, DT_BOOL));
}

static struct value *lower_logical_not(struct aten_call *c)
{
    return emit_op(c, "Not", emit_cast(c->b, arg_tensor(c, 0), DT_BOOL));
}

/* row->onnx is And, Or or Xor: of bools itself, of integers with Bitwise in front. */
static struct value *lower_bitwise(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    if (!x || x->dtype == DT_BOOL) return emit_op(c, c->row->onnx, x, y);
    const char *op = !strcmp(c->row->onnx, "And") ? "BitwiseAnd"
        : !strcmp(c->row->onnx, "Or")             ? "BitwiseOr"
                                                  : "BitwiseXor";
    return emit_op(c, op, x, y);
}

static struct value *lower_bitwise_not(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return emit_op(c, x && x->dtype == DT_BOOL ? "Not" : "BitwiseNot", x);
}

static struct value *lower_where(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 1, 2, &x, &y);
    return emit_op(c, "Where", emit_cast(c->b, arg_tensor(c, 0), DT_BOOL), x, y);
}

static struct value *lower_masked_fill(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *mask = emit_cast(c->b, arg_tensor(c, 1), DT_BOOL);
    return x ? emit_op(c, "Where", mask, arg_scalar(c, 2, x->dtype), x) : NULL;
}

/* |x - y| <= atol + rtol |y| */
static struct value *lower_isclose(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    struct value *limit = emit_op(c, "Mul", emit_op(c, "Abs", y), emit_like(c, y, arg_float(c, 2)));
    limit = emit_op(c, "Add", limit, emit_like(c, y, arg_float(c, 3)));
    return emit_op(c, "LessOrEqual", emit_op(c, "Abs", emit_op(c, "Sub", x, y)), limit);
}

#define BINARY(name, ...) \
    { name ".Tensor(Tensor self, Tensor other) -> Tensor", __VA_ARGS__ }, \
    { \
        name ".Scalar(Tensor self, Scalar other) -> Tensor", __VA_ARGS__ \
    }
#define WHERE(overload, x, y) \
    { \
        "where." overload "(Tensor condition, " x " self, " y " other) -> Tensor", lower_where \
    }

const struct aten_row aten_logic[] = {
    BINARY("eq", lower_binary, "Equal"),
    BINARY("ne", lower_ne),
    BINARY("not_equal", lower_ne),
    BINARY("lt", lower_compare, "Less"),
    BINARY("less", lower_compare, "Less"),
    BINARY("le", lower_compare, "LessOrEqual"),
    BINARY("less_equal", lower_compare, "LessOrEqual"),
    BINARY("gt", lower_compare, "Greater"),
    BINARY("greater", lower_compare, "Greater"),
    BINARY("ge", lower_compare, "GreaterOrEqual"),
    BINARY("greater_equal", lower_compare, "GreaterOrEqual"),
    BINARY("__and__", lower_bitwise, "And"),
    BINARY("__or__", lower_bitwise, "Or"),
    BINARY("__xor__", lower_bitwise, "Xor"),
    BINARY("bitwise_and", lower_bitwise, "And"),
    BINARY("bitwise_or", lower_bitwise, "Or"),
    BINARY("bitwise_xor", lower_bitwise, "Xor"),
    { "bitwise_not(Tensor self) -> Tensor", lower_bitwise_not },
    { "logical_and(Tensor self, Tensor other) -> Tensor", lower_logical, "And" },
    { "logical_or(Tensor self, Tensor other) -> Tensor", lower_logical, "Or" },
    { "logical_xor(Tensor self, Tensor other) -> Tensor", lower_logical, "Xor" },
    { "logical_not(Tensor self) -> Tensor", lower_logical_not },
    WHERE("self", "Tensor", "Tensor"),
    WHERE("ScalarSelf", "Scalar", "Tensor"),
    WHERE("ScalarOther", "Tensor", "Scalar"),
    WHERE("Scalar", "Scalar", "Scalar"),
    { "masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor", lower_masked_fill },
    { "masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor", lower_masked_fill },
    { "isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> Tensor",
        lower_isclose },
    { 0 },
};
