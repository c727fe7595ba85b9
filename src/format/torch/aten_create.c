/* aten_create.c - tensors made of sizes and numbers. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "format/torch/torch.h"

enum { CREATED_MAX = 1 << 26 }; /* elements of a constant that is computed here */

/* The type that an argument has when nobody says: PyTorch's default types of numbers. */
static enum dtype number_dtype(struct aten_call *c, int i)
{
    const struct object *o = c->arg[i];
    struct value *v = o->kind == OBJECT_TENSOR ? arg_tensor(c, i) : NULL;
    if (o->kind == OBJECT_TENSOR) return v ? v->dtype : DT_F32;
    return o->kind == OBJECT_FLOAT ? DT_F32 : o->kind == OBJECT_BOOL ? DT_BOOL : DT_I64;
}

static double fill_of(const struct aten_call *c)
{
    return !strcmp(c->row->onnx, "1");
}

/* zeros and ones (row->onnx holds the digit), of a list of sizes */
static struct value *lower_filled(struct aten_call *c)
{
    return emit_filled(c, arg_ints_value(c, 0), arg_dtype(c, 1, DT_F32), fill_of(c));
}

/* The same in the shape of a tensor, */
static struct value *lower_filled_like(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? emit_filled(c, emit_shape_of(c, x), arg_dtype(c, 1, x->dtype), fill_of(c)) : NULL;
}

/* and in the type of one. */
static struct value *lower_new_filled(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? emit_filled(c, arg_ints_value(c, 1), arg_dtype(c, 2, x->dtype), fill_of(c)) : NULL;
}

/* Argument `fill` everywhere: a number, or a 0-d tensor. */
static struct value *filled_with(struct aten_call *c, struct value *shape, int fill, enum dtype t)
{
    if (c->arg[fill]->kind == OBJECT_TENSOR || c->arg[fill]->value)
        return emit_op(c, "Expand", arg_scalar(c, fill, t), shape);
    return emit_filled(c, shape, t, arg_float(c, fill));
}

/* Before version 5 of the operators whole numbers gave floats. */
static struct value *lower_full(struct aten_call *c)
{
    bool old = c->t->version > 0 && c->t->version < 5;
    enum dtype t = arg_dtype(c, 2, old ? DT_F32 : number_dtype(c, 1));
    return filled_with(c, arg_ints_value(c, 0), 1, t);
}

static struct value *lower_full_like(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? filled_with(c, emit_shape_of(c, x), 1, arg_dtype(c, 2, x->dtype)) : NULL;
}

static struct value *lower_new_full(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? filled_with(c, arg_ints_value(c, 1), 2, arg_dtype(c, 3, x->dtype)) : NULL;
}

/* Numbers [start, end) by step; start and step may be missing (negative). Counted in int64 when all are whole. */
static struct value *arange(struct aten_call *c, int start, int end, int step, int dtype)
{
    enum dtype t = DT_I64;
    for (int i = 0; i < dtype; i++)
        if (number_dtype(c, i) == DT_F32) t = DT_F32;
    enum dtype want = arg_dtype(c, dtype, t);
    if (t == DT_F32 && dtype_is_float(want)) t = want;
    struct value *from = start < 0 ? emit_scalar(c->b, t, 0) : arg_scalar(c, start, t);
    struct value *by = step < 0 ? emit_scalar(c->b, t, 1) : arg_scalar(c, step, t);
    return emit_cast(c->b, emit_op(c, "Range", from, arg_scalar(c, end, t), by), want);
}

static struct value *lower_arange(struct aten_call *c)
{
    return arange(c, -1, 0, -1, 1);
}
static struct value *lower_arange_start(struct aten_call *c)
{
    return arange(c, 0, 1, -1, 2);
}
static struct value *lower_arange_step(struct aten_call *c)
{
    return arange(c, 0, 1, 2, 3);
}

static struct tensor *created(struct aten_call *c, enum dtype t, int rank, const int64_t *dims)
{
    struct shape s = shape_of(rank, dims);
    int64_t n = shape_count(&s);
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0 || n < 0 || n > CREATED_MAX)
            return aten_fail(c, ERR_UNSUPPORTED, "a size of %lld", (long long)dims[i]), NULL;
    return c->b->err->code ? NULL : tensor_new(c->b->g->arena, t, &s, c->b->err);
}

/* Counted from both ends, in float32 as PyTorch does. Before version 8 of the operators there were 100 steps. */
static struct value *lower_linspace(struct aten_call *c)
{
    float start = (float)arg_float(c, 0), end = (float)arg_float(c, 1);
    int64_t n = arg_given(c, 2) ? arg_int(c, 2) : 100;
    enum dtype t = arg_dtype(c, 3, DT_F32);
    struct tensor *x = created(c, t, 1, &n);
    if (!x) return NULL;
    float step = n > 1 ? (end - start) / (float)(n - 1) : 0;
    double wide = n > 1 ? (arg_float(c, 1) - arg_float(c, 0)) / (double)(n - 1) : 0;
    for (int64_t i = 0; i < n; i++) {
        bool low = i < n / 2 || n == 1;
        double v = low ? start + step * (float)i : end - step * (float)(n - 1 - i);
        if (t == DT_F64) v = low ? arg_float(c, 0) + wide * (double)i : arg_float(c, 1) - wide * (double)(n - 1 - i);
        tensor_set_f64(x, i, v);
    }
    return emit_const(c->b, x);
}

static struct value *eye(struct aten_call *c, int64_t rows, int64_t columns, enum dtype t)
{
    struct tensor *x = created(c, t, 2, (int64_t[]){ rows, columns });
    for (int64_t i = 0; x && i < rows && i < columns; i++) tensor_set_f64(x, i * columns + i, 1);
    return emit_const(c->b, x);
}
static struct value *lower_eye(struct aten_call *c)
{
    return eye(c, arg_int(c, 0), arg_int(c, 0), arg_dtype(c, 1, DT_F32));
}
static struct value *lower_eye_m(struct aten_call *c)
{
    return eye(c, arg_int(c, 0), arg_int(c, 1), arg_dtype(c, 2, DT_F32));
}

static struct value *lower_triangle(struct aten_call *c)
{
    struct attr attrs[] = { attr_int("upper", fill_of(c)), { 0 } };
    struct value *x = arg_tensor(c, 0);
    bool is_bool = x && x->dtype == DT_BOOL;
    struct value *y = emit(c->b, "Trilu", attrs, is_bool ? emit_cast(c->b, x, DT_U8) : x, arg_int_value(c, 1));
    return is_bool ? emit_cast(c->b, y, DT_BOOL) : y;
}

static struct value *lower_scalar_tensor(struct aten_call *c)
{
    return arg_scalar(c, 0, arg_dtype(c, 1, DT_F32));
}

static struct value *lower_shape_as_tensor(struct aten_call *c)
{
    return emit_shape_of(c, arg_tensor(c, 0));
}

/* What fill_ and copy_ write; the caller casts and broadcasts it. */
static struct value *lower_fill(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? emit_op(c, "Expand", arg_scalar(c, 1, x->dtype), emit_shape_of(c, x)) : NULL;
}
static struct value *lower_zero(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? emit_filled(c, emit_shape_of(c, x), x->dtype, 0) : NULL;
}
static struct value *lower_copy(struct aten_call *c)
{
    return arg_tensor(c, 1);
}

/* 1 at the position that x names, along a new last dimension. */
static struct value *lower_one_hot(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int64_t n = arg_int(c, 1);
    if (n < 1) return aten_fail(c, ERR_UNSUPPORTED, "the number of classes depends on data"), NULL;
    struct value *classes = emit_op(c, "Range", emit_like(c, x, 0), emit_like(c, x, (double)n), emit_like(c, x, 1));
    return emit_cast(c->b, emit_op(c, "Equal", emit_unsqueeze(c, x, -1), classes), DT_I64);
}

#define OPTIONS "*, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
#define FORMAT ", MemoryFormat? memory_format=None"
#define FILLED(name, digit) \
    { name "(SymInt[] size, " OPTIONS FORMAT ") -> Tensor", lower_filled, digit }, \
        { name "_like(Tensor self, " OPTIONS FORMAT ") -> Tensor", lower_filled_like, digit }, \
    { \
        "new_" name "(Tensor self, SymInt[] size, " OPTIONS ") -> Tensor", lower_new_filled, digit \
    }

const struct aten_row aten_create[] = {
    FILLED("zeros", "0"),
    FILLED("ones", "1"),
    FILLED("empty", "0"),
    { "new_empty_strided(Tensor self, SymInt[] size, SymInt[] stride, " OPTIONS ") -> Tensor", lower_new_filled, "0" },
    { "full(SymInt[] size, Scalar fill_value, " OPTIONS ") -> Tensor", lower_full },
    { "full.tensor(SymInt[] size, Tensor fill_value, " OPTIONS ") -> Tensor", lower_full },
    { "full_like(Tensor self, Scalar fill_value, " OPTIONS FORMAT ") -> Tensor", lower_full_like },
    { "new_full(Tensor self, SymInt[] size, Scalar fill_value, " OPTIONS ") -> Tensor", lower_new_full },
    { "arange(Scalar end, " OPTIONS ") -> Tensor", lower_arange },
    { "arange.start(Scalar start, Scalar end, " OPTIONS ") -> Tensor", lower_arange_start },
    { "arange.start_step(Scalar start, Scalar end, Scalar step=1, " OPTIONS ") -> Tensor", lower_arange_step },
    { "linspace(Scalar start, Scalar end, int? steps=None, " OPTIONS ") -> Tensor", lower_linspace },
    { "eye(int n, " OPTIONS ") -> Tensor", lower_eye },
    { "eye.m(int n, int m, " OPTIONS ") -> Tensor", lower_eye_m },
    { "tril(Tensor self, int diagonal=0) -> Tensor", lower_triangle, "0" },
    { "triu(Tensor self, int diagonal=0) -> Tensor", lower_triangle, "1" },
    { "scalar_tensor(Scalar s, " OPTIONS ") -> Tensor", lower_scalar_tensor },
    { "_shape_as_tensor(Tensor self) -> Tensor", lower_shape_as_tensor },
    { "fill.Scalar(Tensor self, Scalar value) -> Tensor", lower_fill },
    { "fill.Tensor(Tensor self, Tensor value) -> Tensor", lower_fill },
    { "zero(Tensor self) -> Tensor", lower_zero },
    { "copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor", lower_copy },
    { "one_hot(Tensor self, int num_classes=-1) -> Tensor", lower_one_hot },
    { 0 },
};
