/* aten_join.c - tensors joined, divided, repeated and reordered. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/torch.h"

enum { PARTS_MAX = 4096 };

/* PyTorch lets empty tensors of rank 1 join anything. */
static size_t without_empty(struct aten_call *c, struct value **list, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool empty = value_rank(c, list[i]) == 1 && value_dim(c, list[i], 0) == 0;
        if (!empty) list[kept++] = list[i];
    }
    return kept ? kept : 1;
}

static struct value *lower_cat(struct aten_call *c)
{
    size_t n;
    struct value **list = arg_tensors(c, 0, &n);
    if (!list || !n) return aten_fail(c, ERR_SHAPE, "nothing to join"), NULL;
    promote_values(c, list, n);
    if (n > 1) n = without_empty(c, list, n);
    int axis = arg_axis(c, 1, value_rank(c, list[0]));
    return n == 1 ? list[0] : builder_emit(c->b, "Concat", ATTRS(attr_int("axis", axis)), list, (int)n);
}

/* Along a new dimension. */
static struct value *lower_stack(struct aten_call *c)
{
    size_t n;
    struct value **list = arg_tensors(c, 0, &n);
    if (!list || !n) return aten_fail(c, ERR_SHAPE, "nothing to join"), NULL;
    promote_values(c, list, n);
    int axis = arg_axis(c, 1, value_rank(c, list[0]) + 1);
    for (size_t i = 0; i < n; i++) list[i] = emit_unsqueeze(c, list[i], axis);
    return builder_emit(c->b, "Concat", ATTRS(attr_int("axis", axis)), list, (int)n);
}

static void split(struct aten_call *c, struct value *x, int axis, struct value *sizes, size_t n)
{
    struct value *in[] = { x, sizes };
    struct node *node = builder_node(c->b, "Split", ATTRS(attr_int("axis", axis)), in, 2, (int)n);
    for (size_t i = 0; node && i < n; i++) give(c, node->out[i]);
}

/* Parts of `size` along an axis, the last one smaller. */
static void split_evenly(struct aten_call *c, struct value *x, int axis, int64_t total, int64_t size)
{
    if (size < 1 || total / size >= PARTS_MAX) {
        aten_fail(c, ERR_UNSUPPORTED, "%lld into parts of %lld", (long long)total, (long long)size);
        return;
    }
    int64_t n = total ? (total + size - 1) / size : 1;
    int64_t *sizes = ARENA_ARRAY(c->t->arena, n, int64_t);
    if (!sizes) return (void)fail_nomem(c->t->err);
    for (int64_t i = 0; i < n; i++) sizes[i] = i + 1 < n ? size : total - size * (n - 1);
    split(c, x, axis, emit_i64s(c->b, sizes, (size_t)n), (size_t)n);
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
    struct value *x = arg_tensor(c, 0);
    split(c, x, arg_axis(c, 2, value_rank(c, x)), arg_ints_value(c, 1), arg_len(c, 1));
    return NULL;
}

static void give_slice(struct aten_call *c, struct value *x, int64_t axis, struct value *from, struct value *to)
{
    struct value *start = emit_concat_ints(c, &from, 1), *end = emit_concat_ints(c, &to, 1);
    give(c, emit_op(c, "Slice", x, start, end, emit_i64s(c->b, &axis, 1)));
}

/* Before, between and after these places. */
static struct value *lower_tensor_split(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *from = emit_i64(c->b, 0);
    int axis = arg_axis(c, 2, value_rank(c, x));
    size_t n = arg_len(c, 1);
    for (size_t i = 0; i < n; i++) {
        struct value *to = arg_item_value(c, 1, i);
        give_slice(c, x, axis, from, to);
        from = to;
    }
    give_slice(c, x, axis, from, emit_i64(c->b, INT64_MAX));
    return NULL;
}

/* `sections` parts, the first ones one larger where it does not divide. */
static struct value *lower_tensor_split_sections(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int axis = arg_axis(c, 2, value_rank(c, x));
    int64_t n = arg_int(c, 1), total = value_size_pinned(c, x, axis), sizes[PARTS_MAX];
    if (n < 1 || n > PARTS_MAX) return aten_fail(c, ERR_UNSUPPORTED, "%lld parts", (long long)n), NULL;
    for (int64_t i = 0; i < n; i++) sizes[i] = total / n + (i < total % n);
    split(c, x, axis, emit_i64s(c->b, sizes, (size_t)n), (size_t)n);
    return NULL;
}

static struct value *lower_unbind(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int axis = arg_axis(c, 1, value_rank(c, x));
    int64_t n = value_size_pinned(c, x, axis);
    if (n > PARTS_MAX) aten_fail(c, ERR_UNSUPPORTED, "into %lld parts", (long long)n);
    for (int64_t i = 0; i < n && !c->b->err->code; i++)
        give(c, emit(c->b, "Gather", ATTRS(attr_int("axis", axis)), x, emit_i64(c->b, i)));
    return NULL;
}

/* New dimensions come in front. */
static struct value *lower_repeat(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *repeats = arg_ints_value(c, 1);
    int64_t axes[SHAPE_MAX];
    int rank = value_rank(c, x), more = (int)arg_len(c, 1) - rank;
    if (more < 0 || rank + more > SHAPE_MAX) return aten_fail(c, ERR_UNSUPPORTED, "to rank %d", rank + more), NULL;
    for (int i = 0; i < more; i++) axes[i] = i;
    if (more) x = emit_op(c, "Unsqueeze", x, emit_i64s(c->b, axes, (size_t)more));
    return emit_op(c, "Tile", x, repeats);
}

/* Like repeat, but missing factors are 1. */
static struct value *lower_tile(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *parts[SHAPE_MAX];
    size_t n = arg_len(c, 1), rank = (size_t)value_rank(c, x);
    if (n >= rank) return lower_repeat(c);
    for (size_t i = 0; i < rank; i++) parts[i] = i < rank - n ? emit_i64(c->b, 1) : arg_item_value(c, 1, i + n - rank);
    return emit_op(c, "Tile", x, emit_concat_ints(c, parts, rank));
}

/* Every element `repeats` times, next to each other; without a dimension of all elements in a row. */
static struct value *lower_repeat_interleave(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *n = arg_int_value(c, 1);
    if (!arg_given(c, 2)) x = emit_reshape(c, x, (int64_t[]){ -1 }, 1);
    int axis = arg_given(c, 2) ? arg_axis(c, 2, value_rank(c, x)) : 0;
    struct value *total = emit_op(c, "Mul", value_size(c, x, axis), n);
    struct value *at = emit_op(c, "Range", emit_i64(c->b, 0), total, emit_i64(c->b, 1));
    return emit(c->b, "Gather", ATTRS(attr_int("axis", axis)), x, emit_op(c, "FloorDiv", at, n));
}

/* The same with a number for each element, which must be known. */
static struct value *lower_repeat_interleave_each(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *repeats = arg_tensor(c, 1);
    const struct tensor *k = value_content(c, repeats);
    if (!k) return aten_fail(c, ERR_UNSUPPORTED, "the numbers depend on data"), NULL;
    if (!arg_given(c, 2)) x = emit_reshape(c, x, (int64_t[]){ -1 }, 1);
    int axis = arg_given(c, 2) ? arg_axis(c, 2, value_rank(c, x)) : 0;
    int64_t size = value_size_pinned(c, x, axis), count = tensor_count(k), total = 0, n = 0;
    for (int64_t i = 0; i < size && count; i++) {
        int64_t times = tensor_get_i64(k, count == 1 ? 0 : i % count);
        if (times < 0 || times > 1 << 20 || (total += times) > 1 << 24)
            return aten_fail(c, ERR_UNSUPPORTED, "%lld repetitions", (long long)times), NULL;
    }
    int64_t *at = ARENA_ARRAY(c->t->arena, total, int64_t);
    if (!at) return fail_nomem(c->t->err), NULL;
    for (int64_t i = 0; i < size && count; i++)
        for (int64_t j = tensor_get_i64(k, count == 1 ? 0 : i % count); j > 0; j--) at[n++] = i;
    return emit(c->b, "Gather", ATTRS(attr_int("axis", axis)), x, emit_i64s(c->b, at, (size_t)n));
}

static struct value *lower_flip(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    size_t n;
    const int64_t *dims = arg_ints(c, 1, &n);
    int64_t start[SHAPE_MAX], end[SHAPE_MAX], step[SHAPE_MAX];
    if (n > SHAPE_MAX) return aten_fail(c, ERR_SHAPE, "%zu dimensions", n), NULL;
    for (size_t i = 0; i < n; i++) start[i] = -1, end[i] = INT64_MIN, step[i] = -1;
    if (!n) return x;
    return emit_op(c, "Slice", x, emit_i64s(c->b, start, n), emit_i64s(c->b, end, n), emit_i64s(c->b, dims, n),
        emit_i64s(c->b, step, n));
}

/* The last `by` elements come first (negative: the first ones last). */
static struct value *roll(struct aten_call *c, struct value *x, int64_t axis, int64_t by)
{
    struct shape hint = value_hint(c, x);
    int k = shape_axis(axis, value_rank(c, x));
    if (k < 0 || !x) return aten_fail(c, ERR_SHAPE, "dimension %lld", (long long)axis), NULL;
    int64_t size = hint.rank > k ? hint.dim[k] : INT64_MAX;
    if (size && (by >= size || -by >= size)) by %= value_size_pinned(c, x, k);
    if (!by || !size) return x;
    struct value *parts[] = { emit_slice(c, x, k, -by, INT64_MAX, 1), emit_slice(c, x, k, 0, -by, 1) };
    return builder_emit(c->b, "Concat", ATTRS(attr_int("axis", k)), parts, 2);
}

static struct value *lower_roll(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *y = x;
    size_t n, dims;
    const int64_t *by = arg_ints(c, 1, &n), *axes = arg_ints(c, 2, &dims);
    if (!dims && n == 1)
        return emit_op(c, "Reshape", roll(c, emit_reshape(c, x, (int64_t[]){ -1 }, 1), 0, by[0]), emit_shape_of(c, x));
    if (n != dims) return aten_fail(c, ERR_SHAPE, "%zu shifts of %zu dimensions", n, dims), NULL;
    for (size_t i = 0; i < n; i++) y = roll(c, y, axes[i], by[i]);
    return y;
}

/* The k-th result varies along dimension k only; indexing "xy" exchanges the first two. */
static struct value *lower_meshgrid(struct aten_call *c)
{
    size_t n;
    struct value **list = arg_tensors(c, 0, &n), *sizes[SHAPE_MAX];
    bool xy = c->n_args > 1 && !strcmp(arg_str(c, 1), "xy") && n > 1;
    if (n > SHAPE_MAX) return aten_fail(c, ERR_UNSUPPORTED, "%zu tensors", n), NULL;
    for (size_t i = 0; i < n; i++) {
        size_t at = xy && i < 2 ? 1 - i : i;
        list[i] = emit_reshape(c, list[i], (int64_t[]){ -1 }, 1);
        sizes[at] = value_size(c, list[i], 0);
    }
    struct value *shape = emit_concat_ints(c, sizes, n);
    for (size_t i = 0; i < n; i++) {
        int64_t dims[SHAPE_MAX];
        for (size_t k = 0; k < n; k++) dims[k] = 1;
        dims[xy && i < 2 ? 1 - i : i] = -1;
        give(c, emit_op(c, "Expand", emit_reshape(c, list[i], dims, n), shape));
    }
    return NULL;
}

#define CAT(name, ...) \
    { \
        name "(Tensor[] tensors, int dim=0) -> Tensor", __VA_ARGS__ \
    }

const struct aten_row aten_join[] = {
    CAT("cat", lower_cat),
    CAT("concat", lower_cat),
    CAT("concatenate", lower_cat),
    CAT("stack", lower_stack),
    { "chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]", lower_chunk },
    { "unsafe_chunk(Tensor self, int chunks, int dim=0) -> Tensor[]", lower_chunk },
    { "split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]", lower_split },
    { "unsafe_split.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]", lower_split },
    { "split.sizes(Tensor(a -> *) self, SymInt[] split_size, int dim=0) -> Tensor(a)[]", lower_split_sizes },
    { "split_with_sizes(Tensor(a -> *) self, SymInt[] split_sizes, int dim=0) -> Tensor(a)[]", lower_split_sizes },
    { "unsafe_split_with_sizes(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]", lower_split_sizes },
    { "tensor_split.indices(Tensor(a -> *) self, SymInt[] indices, int dim=0) -> Tensor(a)[]", lower_tensor_split },
    { "tensor_split.sections(Tensor(a -> *) self, int sections, int dim=0) -> Tensor(a)[]",
        lower_tensor_split_sections },
    { "unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]", lower_unbind },
    { "repeat(Tensor self, SymInt[] repeats) -> Tensor", lower_repeat },
    { "tile(Tensor self, SymInt[] dims) -> Tensor", lower_tile },
    { "repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, *, int? output_size=None) -> Tensor",
        lower_repeat_interleave },
    { "repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? dim=None, *, int? output_size=None) -> Tensor",
        lower_repeat_interleave_each },
    { "flip(Tensor self, int[] dims) -> Tensor", lower_flip },
    { "roll(Tensor self, int[1] shifts, int[1] dims=[]) -> Tensor", lower_roll },
    { "meshgrid(Tensor[] tensors) -> Tensor[]", lower_meshgrid },
    { "meshgrid.indexing(Tensor[] tensors, *, str indexing) -> Tensor[]", lower_meshgrid },
    { 0 },
};
