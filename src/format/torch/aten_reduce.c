/* aten_reduce.c - reductions. */
#include "base/err.h"
#include "format/torch/aten.h"

/* Over the dimensions of argument `dims` (None or empty: all), keeping them as argument `keep` says. */
static struct value *reduce(struct aten_call *c, struct value *x, int dims, int keep)
{
    size_t n;
    const int64_t *axes = arg_ints(c, dims, &n);
    struct attr attrs[] = { attr_int("keepdims", arg_bool(c, keep)), { 0 } };
    return emit(c->b, c->row->onnx, attrs, x, n ? emit_i64s(c->b, axes, n) : NULL);
}

static struct value *lower_mean(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? reduce(c, emit_cast(c->b, x, arg_dtype(c, 3, x->dtype)), 1, 2) : NULL;
}

/* Whole numbers and bools add up in int64. */
static struct value *lower_sum(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    if (!x) return NULL;
    return reduce(c, emit_cast(c->b, x, arg_dtype(c, 3, dtype_is_float(x->dtype) ? x->dtype : DT_I64)), 1, 2);
}

static struct value *reduce_all(struct aten_call *c, struct value *x)
{
    return emit(c->b, c->row->onnx, ATTRS(attr_int("keepdims", 0)), x);
}

static struct value *lower_mean_all(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? reduce_all(c, emit_cast(c->b, x, arg_dtype(c, 1, x->dtype))) : NULL;
}

static struct value *lower_sum_all(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    if (!x) return NULL;
    return reduce_all(c, emit_cast(c->b, x, arg_dtype(c, 1, dtype_is_float(x->dtype) ? x->dtype : DT_I64)));
}

const struct aten_row aten_reduce[] = {
    { "mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", lower_mean,
        "ReduceMean" },
    { "mean(Tensor self, *, ScalarType? dtype=None) -> Tensor", lower_mean_all, "ReduceMean" },
    { "sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", lower_sum,
        "ReduceSum" },
    { "sum(Tensor self, *, ScalarType? dtype=None) -> Tensor", lower_sum_all, "ReduceSum" },
    { 0 },
};
