/* emit.c - building blocks that many lowerings of aten operators share. */
#include "base/arena.h"
#include "base/err.h"
#include "format/torch/torch.h"

struct value *emit_shape_of(struct aten_call *c, struct value *v)
{
    v = value_resolve(v);
    if (v && shape_is_known(&v->shape)) return emit_i64s(c->b, v->shape.dim, (size_t)v->shape.rank);
    return emit(c->b, "Shape", NO_ATTRS, v);
}

struct value *emit_concat_ints(struct aten_call *c, struct value *const *parts, size_t n)
{
    struct value **list = ARENA_ARRAY(c->t->arena, n + 1, struct value *);
    int64_t *numbers = ARENA_ARRAY(c->t->arena, n + 1, int64_t), zero = 0;
    if (!list || !numbers) return fail_nomem(c->t->err), NULL;
    bool constant = true;
    for (size_t i = 0; i < n; i++) {
        if (c->t->err->code) return NULL;
        const struct tensor *k = value_const(value_resolve(parts[i]));
        constant &= k && k->shape.rank == 0;
        if (constant) numbers[i] = tensor_get_i64(k, 0);
    }
    if (constant) return emit_i64s(c->b, numbers, n);
    struct value *axis = emit_i64s(c->b, &zero, 1);
    for (size_t i = 0; i < n; i++)
        list[i] = parts[i]->shape.rank == 0 ? emit(c->b, "Unsqueeze", NO_ATTRS, parts[i], axis) : parts[i];
    return builder_emit(c->b, "Concat", ATTRS(attr_int("axis", 0)), list, (int)n);
}

struct value *emit_reshape(struct aten_call *c, struct value *x, const int64_t *dims, size_t n)
{
    return emit(c->b, "Reshape", NO_ATTRS, x, emit_i64s(c->b, dims, n));
}

struct value *emit_transpose(struct aten_call *c, struct value *x, const int64_t *perm, size_t n)
{
    return emit(c->b, "Transpose", ATTRS(attr_ints("perm", perm, n)), x);
}

struct value *emit_unsqueeze(struct aten_call *c, struct value *x, int64_t axis)
{
    return emit(c->b, "Unsqueeze", NO_ATTRS, x, emit_i64s(c->b, &axis, 1));
}

struct value *emit_squeeze(struct aten_call *c, struct value *x, int64_t axis)
{
    return emit(c->b, "Squeeze", NO_ATTRS, x, emit_i64s(c->b, &axis, 1));
}

struct value *emit_slice(struct aten_call *c, struct value *x, int64_t axis, int64_t start, int64_t end, int64_t step)
{
    return emit(c->b, "Slice", NO_ATTRS, x, emit_i64s(c->b, &start, 1), emit_i64s(c->b, &end, 1),
        emit_i64s(c->b, &axis, 1), emit_i64s(c->b, &step, 1));
}

struct value *emit_like(struct aten_call *c, const struct value *x, double v)
{
    return x ? emit_scalar(c->b, x->dtype, v) : NULL;
}

struct value *emit_reduce(
    struct aten_call *c, const char *op, struct value *x, const int64_t *axes, size_t n, bool keepdims)
{
    if (!n) return x;
    return emit(c->b, op, ATTRS(attr_int("keepdims", keepdims)), x, emit_i64s(c->b, axes, n));
}

struct value *emit_filled(struct aten_call *c, struct value *shape, enum dtype t, double v)
{
    if (c->b->err->code) return NULL;
    struct shape one = shape_of(1, (int64_t[]){ 1 });
    struct tensor *x = tensor_new(c->b->g->arena, t, &one, c->b->err);
    if (!x) return NULL;
    tensor_set_f64(x, 0, v);
    return emit(c->b, "ConstantOfShape", ATTRS(attr_tensor("value", x)), shape);
}

struct value *lower_unary(struct aten_call *c)
{
    return emit(c->b, c->row->onnx, NO_ATTRS, arg_tensor(c, 0));
}

struct value *lower_unary_float(struct aten_call *c)
{
    return emit(c->b, c->row->onnx, NO_ATTRS, arg_as_float(c, 0));
}

struct value *lower_binary(struct aten_call *c)
{
    struct value *x, *y;
    arg_operands(c, 0, 1, &x, &y);
    return emit(c->b, c->row->onnx, NO_ATTRS, x, y);
}

struct value *lower_identity(struct aten_call *c)
{
    return arg_tensor(c, 0);
}
