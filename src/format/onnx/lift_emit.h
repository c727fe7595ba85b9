/* lift_emit.h - short words for rows that write an operator in several others. */
#ifndef TENREC_FORMAT_ONNX_LIFT_EMIT_H
#define TENREC_FORMAT_ONNX_LIFT_EMIT_H

#include "format/onnx/lift.h"

static inline struct value *lift_in(const struct lift *l, int i) /* NULL past the end or absent */
{
    return i < l->n_in ? l->in[i] : NULL;
}
static inline struct value *lift_one(const struct lift *l, const char *op, struct value *x)
{
    return emit(l->b, op, NO_ATTRS, x);
}
static inline struct value *lift_two(const struct lift *l, const char *op, struct value *x, struct value *y)
{
    return emit(l->b, op, NO_ATTRS, x, y);
}
/* A scalar of the type of x. */
static inline struct value *lift_number(const struct lift *l, const struct value *x, double v)
{
    return x ? emit_scalar(l->b, x->dtype, v) : NULL;
}
static inline struct value *lift_reshaped(const struct lift *l, struct value *x, int rank, const int64_t *dims)
{
    return lift_two(l, "Reshape", x, emit_i64s(l->b, dims, (size_t)rank));
}
static inline struct value *lift_permuted(const struct lift *l, struct value *x, int rank, const int64_t *perm)
{
    return emit(l->b, "Transpose", ATTRS(attr_ints("perm", perm, (size_t)rank)), x);
}
static inline struct value *lift_unsqueezed(const struct lift *l, struct value *v, const int64_t *axes, size_t n)
{
    return lift_two(l, "Unsqueeze", v, emit_i64s(l->b, axes, n));
}
/* A dimension of a value as a number of the graph. */
static inline struct value *lift_dim(const struct lift *l, struct value *v, int64_t d)
{
    v = emit(l->b, "Shape", ATTRS(attr_int("start", d), attr_int("end", d + 1)), v);
    return lift_two(l, "Squeeze", v, emit_i64s(l->b, (int64_t[]){ 0 }, 1));
}
/* 0, 1, .. below a number of the graph */
static inline struct value *lift_range(const struct lift *l, struct value *end)
{
    return emit(l->b, "Range", NO_ATTRS, emit_i64(l->b, 0), end, emit_i64(l->b, 1));
}
/* [from, to) along an axis */
static inline struct value *lift_part(
    const struct lift *l, struct value *v, int64_t axis, int64_t from, int64_t to)
{
    return emit(
        l->b, "Slice", NO_ATTRS, v, emit_i64s(l->b, &from, 1), emit_i64s(l->b, &to, 1), emit_i64s(l->b, &axis, 1));
}
/* An activation by name with its parameters; "" is none. */
struct value *lift_activation(
    struct lift *l, struct value *x, const char *name, const double *p, size_t n_p, struct err *e);
/* RMSNormalization whose x and scale differ in type; leaves the others as they are. A row. */
int lift_mixed_norm(struct lift *l, const char *arg, struct err *e);

#endif
