/* aten_shape.c - views, joins and parts of tensors. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/aten.h"
#include "format/torch/torch.h"

static struct value *lower_view(struct aten_call *c)
{
    return emit(c->b, "Reshape", NO_ATTRS, arg_tensor(c, 0), arg_ints_value(c, 1));
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

static struct value *lower_cat(struct aten_call *c)
{
    size_t n;
    struct value **list = arg_tensors(c, 0, &n);
    if (!list || !n) return aten_fail(c, ERR_SHAPE, "nothing to join"), NULL;
    int axis = arg_axis(c, 1, value_rank(c, list[0]));
    return n == 1 ? list[0] : builder_emit(c->b, "Concat", ATTRS(attr_int("axis", axis)), list, (int)n);
}

/* Parts of `size` along an axis, the last one smaller. */
static void split_evenly(struct aten_call *c, struct value *x, int axis, int64_t total, int64_t size)
{
    enum { PARTS_MAX = 4096 };
    if (size < 1 || total / size >= PARTS_MAX) {
        aten_fail(c, ERR_UNSUPPORTED, "%lld into parts of %lld", (long long)total, (long long)size);
        return;
    }
    int64_t n = total ? (total + size - 1) / size : 1;
    int64_t *sizes = ARENA_ARRAY(c->t->arena, n, int64_t);
    if (!sizes) return (void)fail_nomem(c->t->err);
    for (int64_t i = 0; i < n; i++) sizes[i] = i + 1 < n ? size : total - size * (n - 1);
    struct value *in[] = { x, emit_i64s(c->b, sizes, (size_t)n) };
    struct node *node = builder_node(c->b, "Split", ATTRS(attr_int("axis", axis)), in, 2, (int)n);
    for (int64_t i = 0; node && i < n; i++) give(c, node->out[i]);
}

static struct value *lower_chunk(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int axis = arg_axis(c, 2, value_rank(c, x));
    int64_t chunks = arg_int(c, 1), total = value_size_pinned(c, x, axis);
    if (chunks < 1) aten_fail(c, ERR_SHAPE, "%lld chunks", (long long)chunks);
    if (!c->b->err->code) split_evenly(c, x, axis, total, total ? (total + chunks - 1) / chunks : 1);
    return NULL;
}

static struct value *lower_split(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int axis = arg_axis(c, 2, value_rank(c, x));
    int64_t size = arg_int(c, 1), total = value_size_pinned(c, x, axis);
    if (!c->b->err->code) split_evenly(c, x, axis, total, size);
    return NULL;
}

static struct value *lower_split_sizes(struct aten_call *c)
{
    struct value *in[] = { arg_tensor(c, 0), arg_ints_value(c, 1) };
    int axis = arg_axis(c, 2, value_rank(c, in[0]));
    size_t n = arg_len(c, 1);
    struct node *node = builder_node(c->b, "Split", ATTRS(attr_int("axis", axis)), in, 2, (int)n);
    for (size_t i = 0; node && i < n; i++) give(c, node->out[i]);
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
    { "cat(Tensor[] tensors, int dim=0) -> Tensor", lower_cat },
    { "concat(Tensor[] tensors, int dim=0) -> Tensor", lower_cat },
    { "chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]", lower_chunk },
    { "unsafe_chunk(Tensor self, int chunks, int dim=0) -> Tensor[]", lower_chunk },
    { "split.Tensor(Tensor(a -> *) self, int split_size, int dim=0) -> Tensor(a)[]", lower_split },
    { "split.sizes(Tensor(a -> *) self, int[] split_size, int dim=0) -> Tensor(a)[]", lower_split_sizes },
    { "split_with_sizes(Tensor(a -> *) self, int[] split_sizes, int dim=0) -> Tensor(a)[]", lower_split_sizes },
    { "contiguous(Tensor(a) self, *, MemoryFormat memory_format=0) -> Tensor(a)", lower_identity, .dense_only = true },
    { "clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor", lower_identity },
    { "detach(Tensor(a) self) -> Tensor(a)", lower_identity },
    { "alias(Tensor(a) self) -> Tensor(a)", lower_identity },
    { "cpu(Tensor(a) self) -> Tensor(b|a)", lower_identity },
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
