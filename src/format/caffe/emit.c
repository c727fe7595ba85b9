/* emit.c - what the functions of Caffe's layers share: parameters, sizes, small pieces of graph. */
#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/caffe/caffe.h"

struct value *caffe_fail(struct caffe_call *c, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfail(c->b->err, code, fmt, ap);
    va_end(ap);
    return NULL;
}

const struct tree *caffe_param(const struct caffe_call *c, const char *name)
{
    return caffe_layer_param(c->layer, name);
}

int caffe_rank(struct caffe_call *c, const struct value *v)
{
    if (c->b->err->code) return 0;
    if (v->shape.rank >= 0) return v->shape.rank;
    caffe_fail(c, ERR_SHAPE, "the rank of \"%s\" is not known", v->name);
    return 0;
}

int64_t caffe_dim(struct caffe_call *c, const struct value *v, int axis)
{
    int rank = caffe_rank(c, v);
    if (c->b->err->code) return 0;
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) {
        caffe_fail(c, ERR_SHAPE, "there is no axis %d: the input has %d", axis, rank);
        return 0;
    }
    if (v->shape.dim[axis] >= 0) return v->shape.dim[axis];
    c->n->wants_fixed = true;
    caffe_fail(c, ERR_SHAPE, "the layer has to know the size of its input along axis %d: say --input NAME=SHAPE", axis);
    return 0;
}

int64_t caffe_span(struct caffe_call *c, const struct value *v, int from, int to)
{
    for (int i = from; i < to; i++) caffe_dim(c, v, i);
    int64_t n = c->b->err->code ? 0 : shape_span(&v->shape, from, to);
    if (n < 0) caffe_fail(c, ERR_SHAPE, "the input has more elements than there can be"), n = 0;
    return n;
}

int caffe_axis(struct caffe_call *c, int64_t axis, int rank)
{
    int i = shape_axis(axis, rank);
    if (i < 0) caffe_fail(c, ERR_MODEL, "axis %lld of an input that has %d", (long long)axis, rank);
    return i < 0 ? 0 : i;
}

struct value *caffe_number(struct caffe_call *c, double v)
{
    return emit_scalar(c->b, DT_F32, v);
}

struct value *caffe_reshaped(struct caffe_call *c, struct value *x, const int64_t *dims, int n)
{
    return emit_op(c, "Reshape", x, emit_i64s(c->b, dims, (size_t)n));
}

struct value *caffe_sliced(struct caffe_call *c, struct value *x, int64_t axis, int64_t start, int64_t end)
{
    return emit_op(c, "Slice", x, emit_i64s(c->b, &start, 1), emit_i64s(c->b, &end, 1), emit_i64s(c->b, &axis, 1));
}

struct value *caffe_reduced(struct caffe_call *c, const char *op, struct value *x, const int64_t *axes, size_t n)
{
    return emit(c->b, op, ATTRS(attr_int("keepdims", 1)), x, emit_i64s(c->b, axes, n));
}

struct value *caffe_along(struct caffe_call *c, struct value *x, struct value *w, int axis, int n_axes)
{
    int64_t dims[SHAPE_MAX];
    int rank = caffe_rank(c, x), n = 0;
    if (c->b->err->code) return NULL;
    if (axis + n_axes == rank) return w; /* broadcast from the right, as it is */
    if (!n_axes) return w;
    if (n_axes != w->shape.rank || axis + n_axes > rank)
        return caffe_fail(c, ERR_MODEL, "a factor of rank %d for %d axes of %d", w->shape.rank, n_axes, rank);
    for (int i = 0; i < n_axes; i++) dims[n++] = 0; /* as it is */
    for (int i = axis + n_axes; i < rank; i++) dims[n++] = 1;
    return caffe_reshaped(c, w, dims, n);
}
