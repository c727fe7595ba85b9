/* emit.c - small pieces of graph that many layers are made of. */
#include "base/arena.h"
#include "base/err.h"
#include "format/keras/keras.h"

struct value *k_transpose(struct call *c, struct value *x, const int64_t *perm, int n)
{
    bool same = true;
    for (int i = 0; i < n; i++) same &= perm[i] == i;
    return same ? x : emit(c->b, "Transpose", ATTRS(attr_ints("perm", perm, (size_t)n)), x);
}

struct value *k_reshape(struct call *c, struct value *x, const int64_t *dims, int n)
{
    return emit(c->b, "Reshape", NO_ATTRS, x, emit_i64s(c->b, dims, (size_t)n));
}

struct value *k_unsqueeze(struct call *c, struct value *x, int64_t axis)
{
    return emit(c->b, "Unsqueeze", NO_ATTRS, x, emit_i64s(c->b, &axis, 1));
}

struct value *k_squeeze(struct call *c, struct value *x, int64_t axis)
{
    return emit(c->b, "Squeeze", NO_ATTRS, x, emit_i64s(c->b, &axis, 1));
}

struct value *k_slice(struct call *c, struct value *x, int64_t axis, int64_t from, int64_t to, int64_t step)
{
    return emit(c->b, "Slice", NO_ATTRS, x, emit_i64s(c->b, &from, 1), emit_i64s(c->b, &to, 1),
        emit_i64s(c->b, &axis, 1), emit_i64s(c->b, &step, 1));
}

struct value *k_reduce(struct call *c, const char *op, struct value *x, const int64_t *axes, int n, bool keep)
{
    return emit(c->b, op, ATTRS(attr_int("keepdims", keep)), x, emit_i64s(c->b, axes, (size_t)n));
}

struct value *k_like(struct call *c, const struct value *x, double v)
{
    return x ? emit_scalar(c->b, x->dtype, v) : NULL;
}

struct value *k_op(struct call *c, const char *op, struct value *x)
{
    return emit(c->b, op, NO_ATTRS, x);
}

struct value *k_op2(struct call *c, const char *op, struct value *x, struct value *y)
{
    return emit(c->b, op, NO_ATTRS, x, y);
}

struct value *k_scaled(struct call *c, struct value *x, double scale, double offset)
{
    if (scale != 1) x = k_op2(c, "Mul", x, k_like(c, x, scale));
    return offset != 0 ? k_op2(c, "Add", x, k_like(c, x, offset)) : x;
}

struct value *k_concat(struct call *c, struct value *const *v, int n, int64_t axis)
{
    return n == 1 ? v[0] : builder_emit(c->b, "Concat", ATTRS(attr_int("axis", axis)), v, n);
}

struct value *k_sizes(struct call *c, struct value *x, int from, int to)
{
    struct shape known = { 0 };
    if (!x) return NULL;
    for (int i = from; i < to && x->shape.rank >= to; i++) known.dim[known.rank++] = x->shape.dim[i];
    if (x->shape.rank >= to && shape_is_known(&known)) return emit_i64s(c->b, known.dim, (size_t)known.rank);
    return emit(c->b, "Shape", ATTRS(attr_int("start", from), attr_int("end", to)), x);
}

struct value *k_size(struct call *c, struct value *x, int axis)
{
    return k_sizes(c, x, axis, axis + 1);
}

struct value *k_softmax(struct call *c, struct value *x, int64_t axis)
{
    return emit(c->b, "Softmax", ATTRS(attr_int("axis", axis)), x);
}

struct value *k_softmax_over(struct call *c, struct value *x, const int64_t *axes, int n, bool logarithm)
{
    if (n == 1) return emit(c->b, logarithm ? "LogSoftmax" : "Softmax", ATTRS(attr_int("axis", axes[0])), x);
    if (logarithm) return k_op2(c, "Sub", x, k_reduce(c, "ReduceLogSumExp", x, axes, n, true));
    struct value *e = k_op(c, "Exp", k_op2(c, "Sub", x, k_reduce(c, "ReduceMax", x, axes, n, true)));
    return k_op2(c, "Div", e, k_reduce(c, "ReduceSum", e, axes, n, true));
}
