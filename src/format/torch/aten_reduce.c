/* aten_reduce.c - reductions: sums, extremes, statistics, norms. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "format/torch/torch.h"

struct span { /* what is reduced: the axes, wrapped; all of them when none are given */
    int64_t axes[SHAPE_MAX];
    size_t n;
    bool keep;
};

/* dims < 0, None or empty: all; keep < 0: no. */
static struct span span_of(struct aten_call *c, struct value *x, int dims, int keep)
{
    struct span s = { .keep = keep >= 0 && arg_bool(c, keep) };
    int rank = value_rank(c, x);
    size_t n = 0;
    const int64_t *given = dims >= 0 ? arg_ints(c, dims, &n) : NULL;
    int64_t one;
    if (dims >= 0 && c->arg[dims]->kind == OBJECT_INT) one = arg_int(c, dims), given = &one, n = 1;
    if (n > SHAPE_MAX) aten_fail(c, ERR_SHAPE, "%zu dimensions", n);
    for (size_t i = 0; i < n && i < SHAPE_MAX; i++) {
        if (!rank) break;
        if ((s.axes[s.n++] = shape_axis(given[i], rank)) < 0)
            aten_fail(c, ERR_SHAPE, "dimension %lld of a tensor of rank %d", (long long)given[i], rank);
    }
    for (int i = 0; i < rank && !n; i++) s.axes[s.n++] = i;
    return s;
}

static struct value *reduce(struct aten_call *c, const char *op, struct value *x, const struct span *s)
{
    return emit_reduce(c, op, x, s->axes, s->n, s->keep);
}

/* Whole numbers and bools add up in int64. */
static struct value *sum_operand(struct aten_call *c, int dtype)
{
    struct value *x = arg_tensor(c, 0);
    if (!x) return NULL;
    return emit_cast(c->b, x, arg_dtype(c, dtype, dtype_is_float(x->dtype) ? x->dtype : DT_I64));
}
static struct value *lower_sum(struct aten_call *c)
{
    struct value *x = sum_operand(c, 3);
    struct span s = span_of(c, x, 1, 2);
    return reduce(c, c->row->onnx, x, &s);
}
static struct value *lower_sum_all(struct aten_call *c)
{
    struct value *x = sum_operand(c, 1);
    struct span s = span_of(c, x, -1, -1);
    return reduce(c, c->row->onnx, x, &s);
}

static struct value *mean_operand(struct aten_call *c, int dtype)
{
    struct value *x = arg_tensor(c, 0);
    return x ? emit_cast(c->b, x, arg_dtype(c, dtype, x->dtype)) : NULL;
}
static struct value *lower_mean(struct aten_call *c)
{
    struct value *x = mean_operand(c, 3);
    struct span s = span_of(c, x, 1, 2);
    return reduce(c, "ReduceMean", x, &s);
}
static struct value *lower_mean_all(struct aten_call *c)
{
    struct value *x = mean_operand(c, 1);
    struct span s = span_of(c, x, -1, -1);
    return reduce(c, "ReduceMean", x, &s);
}

/* row->onnx over arguments (self, dims, keepdim) */
static struct value *lower_reduce(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    struct span s = span_of(c, x, 1, 2);
    return reduce(c, c->row->onnx, x, &s);
}
static struct value *lower_reduce_all(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    struct span s = span_of(c, x, -1, -1);
    return reduce(c, c->row->onnx, x, &s);
}

static struct value *reduce_bool(struct aten_call *c, int dims, int keep)
{
    struct value *x = emit_cast(c->b, emit_cast(c->b, arg_tensor(c, 0), DT_BOOL), DT_I32);
    struct span s = span_of(c, x, dims, keep);
    return emit_cast(c->b, reduce(c, c->row->onnx, x, &s), DT_BOOL);
}
static struct value *lower_reduce_bool(struct aten_call *c)
{
    return reduce_bool(c, 1, 2);
}
static struct value *lower_reduce_bool_all(struct aten_call *c)
{
    return reduce_bool(c, -1, -1);
}

static struct value *lower_count_nonzero(struct aten_call *c)
{
    struct value *x = emit_cast(c->b, emit_cast(c->b, arg_tensor(c, 0), DT_BOOL), DT_I64);
    struct span s = span_of(c, x, 1, -1);
    return reduce(c, "ReduceSum", x, &s);
}

/* How many elements are reduced, as a value of x's type. */
static struct value *count(struct aten_call *c, struct value *x, const struct span *s)
{
    struct value *n = emit_i64(c->b, 1);
    int64_t known = 1;
    for (size_t i = 0; i < s->n; i++) {
        int64_t dim = value_dim(c, x, (int)s->axes[i]);
        known = dim < 0 || known < 0 || __builtin_mul_overflow(known, dim, &known) ? -1 : known;
    }
    if (known >= 0) return emit_like(c, x, (double)known);
    for (size_t i = 0; i < s->n; i++) n = emit_op(c, "Mul", n, value_size(c, x, (int)s->axes[i]));
    return x ? emit_cast(c->b, n, x->dtype) : NULL;
}

/* sum of (x - mean)^2 / max(n - correction, 0); *mean, when wanted, is the mean */
static struct value *variance(
    struct aten_call *c, struct value *x, const struct span *s, double correction, struct value **mean)
{
    struct value *middle = emit_reduce(c, "ReduceMean", x, s->axes, s->n, true);
    struct value *centred = emit_op(c, "Sub", x, middle), *n = count(c, x, s);
    if (correction) n = emit_op(c, "Max", emit_op(c, "Sub", n, emit_like(c, n, correction)), emit_like(c, n, 0));
    if (mean) *mean = reduce(c, "ReduceMean", x, s);
    return emit_op(c, "Div", reduce(c, "ReduceSum", emit_op(c, "Mul", centred, centred), s), n);
}

/* row->onnx: what comes after the variance ("Sqrt" or nothing), then " mean" if the mean is a result too. */
static struct value *spread(struct aten_call *c, int dims, int keep, double correction)
{
    struct value *x = arg_tensor(c, 0), *mean = NULL;
    struct span s = span_of(c, x, dims, keep);
    bool with_mean = strstr(c->row->onnx, "mean");
    struct value *y = variance(c, x, &s, correction, with_mean ? &mean : NULL);
    if (!strncmp(c->row->onnx, "Sqrt", 4)) y = emit_op(c, "Sqrt", y);
    if (!with_mean) return y;
    give(c, y);
    return mean;
}
static struct value *lower_spread_all(struct aten_call *c)
{
    return spread(c, -1, -1, arg_bool(c, 1));
}
static struct value *lower_spread(struct aten_call *c)
{
    return spread(c, 1, 3, arg_bool(c, 2));
}
static struct value *lower_spread_correction(struct aten_call *c)
{
    return spread(c, 1, 3, arg_given(c, 2) ? arg_float(c, 2) : 1);
}

/* (sum |x|^p)^(1/p), with its limits 0 (how many are not 0) and +-infinity */
static struct value *norm(struct aten_call *c, struct value *x, double p, const struct span *s)
{
    if (p == 2) return reduce(c, "ReduceL2", x, s);
    if (p == 1) return reduce(c, "ReduceL1", x, s);
    if (isinf(p)) return reduce(c, p > 0 ? "ReduceMax" : "ReduceMin", emit_op(c, "Abs", x), s);
    struct value *zero = emit_like(c, x, 0), *size = emit_op(c, "Abs", x);
    if (!p && x) {
        struct value *some = emit_op(c, "Not", emit_op(c, "Equal", x, zero));
        return reduce(c, "ReduceSum", emit_cast(c->b, some, x->dtype), s);
    }
    struct value *sum = reduce(c, "ReduceSum", emit_op(c, "Pow", size, emit_like(c, x, p)), s);
    return emit_op(c, "Pow", sum, emit_like(c, x, 1 / p));
}

/* norm(self, p, dim, keepdim, dtype) and what of it is there */
static struct value *lower_norm(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    struct span s = span_of(c, x, c->n_args > 2 ? 2 : -1, c->n_args > 3 ? 3 : -1);
    if (x && c->n_args > 4) x = emit_cast(c->b, x, arg_dtype(c, 4, x->dtype));
    return norm(c, x, arg_given(c, 1) ? arg_float(c, 1) : 2, &s);
}

/* x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) */
static struct value *lower_cosine_similarity(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    struct value *xy = emit_op(c, "Mul", x, y);
    struct span s = span_of(c, xy, 2, -1);
    struct value *eps = emit_like(c, x, arg_float(c, 3)), *dot = reduce(c, "ReduceSum", xy, &s);
    struct value *size = emit_op(c, "Mul", emit_op(c, "Max", reduce(c, "ReduceL2", x, &s), eps),
        emit_op(c, "Max", reduce(c, "ReduceL2", y, &s), eps));
    return emit_op(c, "Div", dot, size);
}

/* |x1 - x2 + eps| in the p-norm of the last dimension */
static struct value *lower_pairwise_distance(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    struct value *d = emit_op(c, "Add", emit_op(c, "Sub", x, y), emit_like(c, x, arg_float(c, 3)));
    struct span s = { .axes = { -1 }, .n = 1, .keep = arg_bool(c, 4) };
    return norm(c, d, arg_float(c, 2), &s);
}

/* Values and positions over one dimension: (self, dim, keepdim). row->onnx is Max or Min. */
static struct value *lower_extreme(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    bool max = !strcmp(c->row->onnx, "Max"), keep = arg_bool(c, 2);
    int64_t axis = arg_axis(c, 1, value_rank(c, x));
    struct attr attrs[] = { attr_int("axis", axis), attr_int("keepdims", keep), { 0 } };
    give(c, emit_reduce(c, max ? "ReduceMax" : "ReduceMin", x, &axis, 1, keep));
    return emit(c->b, max ? "ArgMax" : "ArgMin", attrs, x);
}

/* (self, dim?, keepdim): without a dimension of all elements in a row. */
static struct value *lower_arg_extreme(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    bool whole = !arg_given(c, 1);
    int axis = whole ? 0 : arg_axis(c, 1, value_rank(c, x));
    if (whole) x = emit_reshape(c, x, (int64_t[]){ -1 }, 1);
    struct attr attrs[] = { attr_int("axis", axis), attr_int("keepdims", !whole && arg_bool(c, 2)), { 0 } };
    return emit(c->b, c->row->onnx, attrs, x);
}

static struct value *lower_cumulative(struct aten_call *c)
{
    struct value *x = sum_operand(c, 2);
    return emit_op(c, c->row->onnx, x, emit_i64(c->b, arg_axis(c, 1, value_rank(c, x))));
}

#define SUM(name, onnx) \
    { name "(Tensor self, *, ScalarType? dtype=None) -> Tensor", lower_sum_all, onnx }, \
    { \
        name ".dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", \
            lower_sum, onnx \
    }
#define BOOL(name, onnx) \
    { name "(Tensor self) -> Tensor", lower_reduce_bool_all, onnx }, \
    { \
        name ".dim(Tensor self, int[1]? dim, bool keepdim=False) -> Tensor", lower_reduce_bool, onnx \
    }
#define SPREAD(name, onnx, result) \
    { name "(Tensor self, bool unbiased=True) -> " result, lower_spread_all, onnx }, \
        { name ".dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> " result, lower_spread, \
            onnx }, \
    { \
        name ".correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> " result, \
            lower_spread_correction, onnx \
    }
#define EXTREME(name, onnx) \
    { name "(Tensor self) -> Tensor", lower_reduce_all, "Reduce" onnx }, \
        { name ".dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", lower_extreme, \
            onnx }, \
        { "a" name "(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", lower_reduce, "Reduce" onnx }, \
    { \
        "arg" name "(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", lower_arg_extreme, "Arg" onnx \
    }

const struct aten_row aten_reduce[] = {
    SUM("sum", "ReduceSum"),
    SUM("prod", "ReduceProd"),
    { "mean(Tensor self, *, ScalarType? dtype=None) -> Tensor", lower_mean_all },
    { "mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", lower_mean },
    BOOL("any", "ReduceMax"),
    BOOL("all", "ReduceMin"),
    { "count_nonzero(Tensor self, int? dim=None) -> Tensor", lower_count_nonzero },
    { "count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor", lower_count_nonzero },
    EXTREME("max", "Max"),
    EXTREME("min", "Min"),
    { "logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", lower_reduce, "ReduceLogSumExp" },
    SPREAD("var", "", "Tensor"),
    SPREAD("std", "Sqrt", "Tensor"),
    SPREAD("var_mean", "mean", "(Tensor, Tensor)"),
    SPREAD("std_mean", "Sqrt mean", "(Tensor, Tensor)"),
    { "norm.Scalar(Tensor self, Scalar p=2) -> Tensor", lower_norm },
    { "norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool keepdim=False) -> Tensor", lower_norm },
    { "norm.ScalarOpt_dim_dtype(Tensor self, Scalar? p, int[1] dim, bool keepdim, *, ScalarType dtype) -> Tensor",
        lower_norm },
    { "linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, "
      "ScalarType? dtype=None) -> Tensor",
        lower_norm },
    { "frobenius_norm(Tensor self) -> Tensor", lower_reduce_all, "ReduceL2" },
    { "frobenius_norm.dim(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", lower_reduce, "ReduceL2" },
    { "cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor", lower_cosine_similarity },
    { "pairwise_distance(Tensor x1, Tensor x2, float p=2, float eps=1e-06, bool keepdim=False) -> Tensor",
        lower_pairwise_distance },
    { "cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", lower_cumulative, "CumSum" },
    { "cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", lower_cumulative, "CumProd" },
    { 0 },
};
