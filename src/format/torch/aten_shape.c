/* aten_shape.c - views, copies and casts of tensors. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/aten.h"
#include "format/torch/torch.h"

/* A size of 0 is that, and no copied dimension as in ONNX. */
static struct value *lower_view(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *shape = arg_ints_value(c, 1);
    const struct tensor *k = shape ? value_const(value_resolve(shape)) : NULL;
    bool zero = false;
    for (int64_t i = 0; k && i < tensor_count(k); i++) zero |= tensor_get_i64(k, i) == 0;
    return emit(c->b, "Reshape", zero ? ATTRS(attr_int("allowzero", 1)) : NO_ATTRS, x, shape);
}

/* The new shape is that of x with the sizes [start, end] replaced by their product. */
static struct value *lower_flatten(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *parts[SHAPE_MAX + 1];
    int rank = value_rank(c, x), start = arg_axis(c, 1, rank), end = arg_axis(c, 2, rank);
    if (c->b->err->code || start >= end) return x && !rank ? emit_reshape(c, x, (int64_t[]){ 1 }, 1) : x;
    if (start == 1 && end == rank - 1) return emit(c->b, "Flatten", ATTRS(attr_int("axis", 1)), x);
    size_t n = 0;
    for (int i = 0; i < start; i++) parts[n++] = value_size(c, x, i);
    parts[n++] = emit_i64(c->b, -1);
    for (int i = end + 1; i < rank; i++) parts[n++] = value_size(c, x, i);
    return emit(c->b, "Reshape", NO_ATTRS, x, emit_concat_ints(c, parts, n));
}

static struct value *lower_permute(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    size_t n, rank = (size_t)value_rank(c, x);
    const int64_t *dims = arg_ints(c, 1, &n);
    int64_t perm[SHAPE_MAX];
    if (n != rank || c->b->err->code)
        return aten_fail(c, ERR_SHAPE, "%zu dimensions for a tensor of rank %zu", n, rank), NULL;
    for (size_t i = 0; i < n; i++) perm[i] = shape_axis(dims[i], (int)rank);
    return emit_transpose(c, x, perm, n);
}

static struct value *lower_transpose(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int rank = value_rank(c, x), i = arg_axis(c, 1, rank), k = arg_axis(c, 2, rank);
    int64_t perm[SHAPE_MAX];
    for (int d = 0; d < rank; d++) perm[d] = d;
    if (rank) perm[i] = k, perm[k] = i;
    return rank ? emit_transpose(c, x, perm, (size_t)rank) : x;
}

static struct value *lower_t(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return value_rank(c, x) == 2 ? emit_transpose(c, x, (int64_t[]){ 1, 0 }, 2) : x;
}

static struct value *lower_unsqueeze(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return emit_unsqueeze(c, x, arg_axis(c, 1, value_rank(c, x) + 1));
}

/* A dimension that is not 1 stays: by its size, or its hint (with a guard). */
static struct value *lower_squeeze(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int rank = value_rank(c, x), axis = arg_axis(c, 1, rank);
    return rank && value_size_pinned(c, x, axis) == 1 ? emit_squeeze(c, x, axis) : x;
}

/* -1 keeps a size; ONNX's Expand says it with 1. New dimensions come in front. */
static struct value *lower_expand(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    size_t n = arg_len(c, 1);
    struct value *parts[SHAPE_MAX];
    if (n > SHAPE_MAX || c->b->err->code) return aten_fail(c, ERR_UNSUPPORTED, "to rank %zu", n), NULL;
    for (size_t i = 0; i < n; i++) {
        parts[i] = arg_item_value(c, 1, i);
        const struct tensor *k = value_const(value_resolve(parts[i]));
        if (k && tensor_get_i64(k, 0) == -1) parts[i] = emit_i64(c->b, 1);
    }
    return emit(c->b, "Expand", NO_ATTRS, x, emit_concat_ints(c, parts, n));
}

static struct value *lower_expand_as(struct aten_call *c)
{
    return emit(c->b, "Expand", NO_ATTRS, arg_tensor(c, 0), emit_shape_of(c, arg_tensor(c, 1)));
}

static struct value *one(struct aten_call *c, struct value *v)
{
    return emit_concat_ints(c, &v, 1);
}

static struct value *lower_slice(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int64_t axis = arg_axis(c, 1, value_rank(c, x));
    bool from_zero = !arg_given(c, 2) || (!c->arg[2]->value && c->arg[2]->integer == 0);
    bool to_end = !arg_given(c, 3) || (!c->arg[3]->value && c->arg[3]->integer == INT64_MAX);
    if (from_zero && to_end && !c->arg[4]->value && c->arg[4]->integer == 1) return x;
    struct value *start = from_zero ? emit_i64(c->b, 0) : arg_int_value(c, 2);
    struct value *end = to_end ? emit_i64(c->b, INT64_MAX) : arg_int_value(c, 3);
    return emit(
        c->b, "Slice", NO_ATTRS, x, one(c, start), one(c, end), emit_i64s(c->b, &axis, 1), one(c, arg_int_value(c, 4)));
}

static struct value *lower_select(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int axis = arg_axis(c, 1, value_rank(c, x));
    return emit(c->b, "Gather", ATTRS(attr_int("axis", axis)), x, arg_int_value(c, 2));
}

static struct value *lower_ravel(struct aten_call *c)
{
    return emit_reshape(c, arg_tensor(c, 0), (int64_t[]){ -1 }, 1);
}

static struct value *lower_view_as(struct aten_call *c)
{
    return emit_op(c, "Reshape", arg_tensor(c, 0), emit_shape_of(c, arg_tensor(c, 1)));
}

/* Dimension `dim` becomes several. */
static struct value *lower_unflatten(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *parts[2 * SHAPE_MAX];
    int rank = value_rank(c, x), axis = arg_axis(c, 1, rank);
    size_t n = 0, count = arg_len(c, 2);
    if (rank + (int)count - 1 > SHAPE_MAX) return aten_fail(c, ERR_UNSUPPORTED, "to %zu dimensions", count), NULL;
    for (int i = 0; i < axis; i++) parts[n++] = value_size(c, x, i);
    for (size_t i = 0; i < count; i++) parts[n++] = arg_item_value(c, 2, i);
    for (int i = axis + 1; i < rank; i++) parts[n++] = value_size(c, x, i);
    return emit_op(c, "Reshape", x, emit_concat_ints(c, parts, n));
}

/* Without a dimension: all whose size is 1. */
static struct value *lower_squeeze_all(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int64_t axes[SHAPE_MAX];
    size_t n = 0;
    for (int i = 0; i < value_rank(c, x); i++)
        if (value_size_pinned(c, x, i) == 1) axes[n++] = i;
    return n ? emit_op(c, "Squeeze", x, emit_i64s(c->b, axes, n)) : x;
}

static struct value *lower_squeeze_dims(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int64_t axes[SHAPE_MAX];
    size_t n = 0, count;
    const int64_t *dims = arg_ints(c, 1, &count);
    for (size_t i = 0; i < count && n < SHAPE_MAX && !c->b->err->code; i++)
        if (value_size_pinned(c, x, (int)dims[i]) == 1) axes[n++] = shape_axis(dims[i], value_rank(c, x));
    return n ? emit_op(c, "Squeeze", x, emit_i64s(c->b, axes, n)) : x;
}

/* Dimensions `source` to the places `destination`, the others in their order. */
static struct value *lower_movedim(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int rank = value_rank(c, x), next = 0;
    bool one = c->arg[1]->kind == OBJECT_INT;
    size_t n = one ? 1 : arg_len(c, 1);
    int64_t perm[SHAPE_MAX], from1 = one ? arg_int(c, 1) : 0, to1 = one ? arg_int(c, 2) : 0;
    const int64_t *from = one ? &from1 : arg_ints_n(c, 1, n), *to = one ? &to1 : arg_ints_n(c, 2, n);
    bool taken[SHAPE_MAX] = { false };
    for (int i = 0; i < rank; i++) perm[i] = -1;
    for (size_t i = 0; i < n && !c->b->err->code; i++) {
        int s = shape_axis(from[i], rank), d = shape_axis(to[i], rank);
        if (s < 0 || d < 0 || taken[s]) return aten_fail(c, ERR_SHAPE, "dimensions that are not there"), NULL;
        perm[d] = s;
        taken[s] = true;
    }
    for (int i = 0; i < rank; i++) {
        while (next < rank && taken[next]) next++;
        if (perm[i] < 0 && next < rank) perm[i] = next++;
    }
    return emit_transpose(c, x, perm, (size_t)rank);
}

/* All dimensions reversed (row->onnx NULL), or the last two exchanged. */
static struct value *lower_reversed(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int rank = value_rank(c, x), from = c->row->onnx && rank > 2 ? rank - 2 : 0;
    int64_t perm[SHAPE_MAX];
    for (int i = 0; i < rank; i++) perm[i] = i < from ? i : rank - 1 - (i - from);
    return rank > 1 ? emit_transpose(c, x, perm, (size_t)rank) : x;
}

static struct value *lower_narrow(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *start = arg_int_value(c, 2);
    int64_t axis = arg_axis(c, 1, value_rank(c, x));
    struct value *end = emit_op(c, "Add", start, arg_int_value(c, 3));
    return emit_op(c, "Slice", x, one(c, start), one(c, end), emit_i64s(c->b, &axis, 1));
}

/* Windows of `size` every `step` along a dimension, as a new last dimension. */
static struct value *lower_unfold(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int rank = value_rank(c, x), axis = arg_axis(c, 1, rank);
    int64_t size = arg_int(c, 2), step = arg_int(c, 3), total = value_size_pinned(c, x, axis), perm[SHAPE_MAX];
    if (size < 1 || step < 1 || size > total || rank + 1 > SHAPE_MAX)
        return aten_fail(c, ERR_SHAPE, "windows of %lld every %lld", (long long)size, (long long)step), NULL;
    struct shape s = shape_of(2, (int64_t[]){ (total - size) / step + 1, size });
    struct tensor *at = c->b->err->code ? NULL : tensor_new(c->b->g->arena, DT_I64, &s, c->b->err);
    for (int64_t i = 0; at && i < tensor_count(at); i++) tensor_set_i64(at, i, i / size * step + i % size);
    struct value *y = emit(c->b, "Gather", ATTRS(attr_int("axis", axis)), x, emit_const(c->b, at));
    for (int i = 0; i <= rank; i++) perm[i] = i <= axis ? i : i < rank ? i + 1 : axis + 1;
    return emit_transpose(c, y, perm, (size_t)rank + 1);
}

static struct value *lower_broadcast_tensors(struct aten_call *c)
{
    size_t n;
    struct value **list = arg_tensors(c, 0, &n), *sum = NULL;
    if (!n) return aten_fail(c, ERR_SHAPE, "nothing to broadcast"), NULL;
    for (size_t i = 0; i < n; i++) {
        struct value *bits = emit_cast(c->b, list[i], DT_BOOL);
        sum = sum ? emit_op(c, "And", sum, bits) : bits;
    }
    struct value *shape = emit_shape_of(c, sum);
    for (size_t i = 0; i < n; i++) give(c, emit_op(c, "Expand", list[i], shape));
    return NULL;
}

/* By type number, or by another tensor; devices are all the same here. */
static struct value *lower_to(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    for (int i = 1; x && i < c->n_args; i++)
        if (!strcmp(c->signature->params[i].name, "dtype")) return emit_cast(c->b, x, arg_dtype(c, i, x->dtype));
    return x;
}

static struct value *lower_to_other(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *other = arg_tensor(c, 1);
    return x && other ? emit_cast(c->b, x, other->dtype) : NULL;
}

const struct aten_row aten_shape[] = {
    { "view(Tensor(a) self, SymInt[] size) -> Tensor(a)", lower_view },
    { "reshape(Tensor(a) self, SymInt[] shape) -> Tensor(a)", lower_view, .dense_only = true },
    { "flatten.using_ints(Tensor(a) self, int start_dim=0, int end_dim=-1) -> Tensor(a)", lower_flatten,
        .dense_only = true },
    { "permute(Tensor(a) self, int[] dims) -> Tensor(a)", lower_permute },
    { "transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)", lower_transpose },
    { "swapaxes(Tensor(a) self, int axis0, int axis1) -> Tensor(a)", lower_transpose },
    { "t(Tensor(a) self) -> Tensor(a)", lower_t },
    { "unsqueeze(Tensor(a) self, int dim) -> Tensor(a)", lower_unsqueeze },
    { "squeeze.dim(Tensor(a) self, int dim) -> Tensor(a)", lower_squeeze },
    { "expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> Tensor(a)", lower_expand },
    { "expand_as(Tensor(a) self, Tensor other) -> Tensor(a)", lower_expand_as },
    { "slice.Tensor(Tensor(a) self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor(a)",
        lower_slice },
    { "select.int(Tensor(a) self, int dim, int index) -> Tensor(a)", lower_select },
    { "view_as(Tensor(a) self, Tensor other) -> Tensor(a)", lower_view_as },
    { "reshape_as(Tensor(a) self, Tensor other) -> Tensor(a)", lower_view_as, .dense_only = true },
    { "_unsafe_view(Tensor self, SymInt[] size) -> Tensor", lower_view },
    { "_reshape_alias(Tensor(a) self, SymInt[] size, SymInt[] stride) -> Tensor(a)", lower_view },
    { "unflatten.int(Tensor(a) self, int dim, SymInt[] sizes) -> Tensor(a)", lower_unflatten },
    { "ravel(Tensor(a) self) -> Tensor(a)", lower_ravel, .dense_only = true },
    { "swapdims(Tensor(a) self, int dim0, int dim1) -> Tensor(a)", lower_transpose },
    { "movedim.intlist(Tensor(a) self, int[] source, int[] destination) -> Tensor(a)", lower_movedim },
    { "movedim.int(Tensor(a) self, int source, int destination) -> Tensor(a)", lower_movedim },
    { "moveaxis.intlist(Tensor(a) self, int[] source, int[] destination) -> Tensor(a)", lower_movedim },
    { "moveaxis.int(Tensor(a) self, int source, int destination) -> Tensor(a)", lower_movedim },
    { "numpy_T(Tensor(a) self) -> Tensor(a)", lower_reversed },
    { "mT(Tensor(a) self) -> Tensor(a)", lower_reversed, "last two" },
    { "adjoint(Tensor(a) self) -> Tensor(a)", lower_reversed, "last two" },
    { "squeeze(Tensor(a) self) -> Tensor(a)", lower_squeeze_all },
    { "squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a)", lower_squeeze_dims },
    { "narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a)", lower_narrow },
    { "unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a)", lower_unfold },
    { "broadcast_to(Tensor(a) self, SymInt[] size) -> Tensor(a)", lower_expand },
    { "broadcast_tensors(Tensor[] tensors) -> Tensor[]", lower_broadcast_tensors },
    { "contiguous(Tensor(a) self, *, MemoryFormat memory_format=0) -> Tensor(a)", lower_identity, .dense_only = true },
    { "clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor", lower_identity },
    { "detach(Tensor(a) self) -> Tensor(a)", lower_identity },
    { "alias(Tensor(a) self) -> Tensor(a)", lower_identity },
    { "cpu(Tensor(a) self) -> Tensor(b|a)", lower_identity },
    { "detach_copy(Tensor self) -> Tensor", lower_identity },
    { "lift_fresh(Tensor(a) self) -> Tensor(a)", lower_identity },
    { "lift_fresh_copy(Tensor self) -> Tensor", lower_identity },
    { "resolve_conj(Tensor(a) self) -> Tensor(a)", lower_identity },
    { "resolve_neg(Tensor(a) self) -> Tensor(a)", lower_identity },
    { "cuda(Tensor(a) self) -> Tensor(b|a)", lower_identity },
    { "as_tensor(Tensor(a) data, *, ScalarType? dtype=None, Device? device=None) -> Tensor(b|a)", lower_to },
    { "type_as(Tensor(a) self, Tensor other) -> Tensor(a)", lower_to_other },
    { "_to_copy(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
      "bool? pin_memory=None, bool non_blocking=False, MemoryFormat? memory_format=None) -> Tensor",
        lower_to },
    { "to.device(Tensor(a) self, Device device, ScalarType dtype, bool non_blocking=False, bool copy=False, "
      "MemoryFormat? memory_format=None) -> Tensor(a)",
        lower_to },
    { "to.dtype(Tensor(a) self, ScalarType dtype, bool non_blocking=False, bool copy=False, "
      "MemoryFormat? memory_format=None) -> Tensor(a)",
        lower_to },
    { "to.other(Tensor(a) self, Tensor other, bool non_blocking=False, bool copy=False, MemoryFormat? "
      "memory_format=None) "
      "-> Tensor(a)",
        lower_to_other },
    { "to.dtype_layout(Tensor(a) self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
      "bool? pin_memory=None, bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) -> Tensor(a)",
        lower_to },
    { "to.prim_Device(Tensor(a) self, Device? device, int? dtype=None, bool non_blocking=False, bool copy=False) "
      "-> Tensor(b|a)",
        lower_to },
    { "to.prim_dtype(Tensor(a) self, int? dtype=None, bool non_blocking=False, bool copy=False) -> Tensor(b|a)",
        lower_to },
    { 0 },
};
