/* aten_index.c - reading and writing at positions that tensors give; sorting. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/torch.h"

/* x[i0, :, i1, ..]: which dimensions are indexed, by what. A mask stands for as many indices as it has dimensions. */
struct positions {
    struct value *at[SHAPE_MAX]; /* int64, all of one shape once broadcast; NULL: the whole dimension */
    int n, first, last, rank, index_rank;
    bool adjacent;
};

static bool is_mask(const struct value *v)
{
    return v && (v->dtype == DT_BOOL || v->dtype == DT_U8);
}

/* The positions where a mask is set, (k) for each of its dimensions. */
static bool add_mask(struct aten_call *c, struct positions *p, int dim, struct value *mask)
{
    int n = value_rank(c, mask);
    if (!n || dim + n > p->rank) return aten_fail(c, ERR_UNSUPPORTED, "a mask of rank %d", n), false;
    struct value *where = emit_op(c, "NonZero", emit_cast(c->b, mask, DT_BOOL)); /* (n, k) */
    for (int i = 0; i < n; i++)
        p->at[dim + i] = emit(c->b, "Gather", ATTRS(attr_int("axis", 0)), where, emit_i64(c->b, i));
    return true;
}

static bool positions_read(struct aten_call *c, struct positions *p, struct value *x, int arg)
{
    size_t n;
    struct value **list = arg_tensors(c, arg, &n);
    *p = (struct positions){ .rank = value_rank(c, x), .first = -1 };
    int dim = 0;
    for (size_t i = 0; i < n && !c->b->err->code; i++) {
        if (dim >= p->rank) return aten_fail(c, ERR_SHAPE, "%zu indices of a tensor of rank %d", n, p->rank), false;
        if (is_mask(list[i])) {
            if (!add_mask(c, p, dim, list[i])) return false;
            dim += value_rank(c, list[i]);
        } else p->at[dim++] = list[i] ? emit_cast(c->b, list[i], DT_I64) : NULL;
    }
    for (int i = 0; i < p->rank; i++) {
        if (!p->at[i]) continue;
        if (p->first < 0) p->first = i;
        p->last = i;
        p->n++;
        int rank = value_rank(c, p->at[i]);
        if (rank > p->index_rank) p->index_rank = rank;
    }
    p->adjacent = p->n && p->last - p->first + 1 == p->n;
    return !c->b->err->code;
}

/* The indices broadcast with each other, along a new last dimension: (.., n). */
static struct value *stack_positions(struct aten_call *c, struct positions *p)
{
    struct value *sum = NULL, *parts[SHAPE_MAX];
    int n = 0;
    for (int i = 0; i < p->rank; i++)
        if (p->at[i]) sum = sum ? emit_op(c, "Add", sum, p->at[i]) : p->at[i];
    struct value *shape = emit_shape_of(c, sum);
    for (int i = 0; i < p->rank; i++) {
        if (!p->at[i]) continue;
        struct value *v = p->n > 1 ? emit_op(c, "Expand", p->at[i], shape) : p->at[i];
        parts[n++] = emit_unsqueeze(c, v, -1);
    }
    return n == 1 ? parts[0] : builder_emit(c->b, "Concat", ATTRS(attr_int("axis", -1)), parts, n);
}

/* The indexed dimensions in front; returns whether that changes anything. */
static bool front_permutation(const struct positions *p, int64_t *perm)
{
    int n = 0;
    for (int i = 0; i < p->rank; i++)
        if (p->at[i]) perm[n++] = i;
    for (int i = 0; i < p->rank; i++)
        if (!p->at[i]) perm[n++] = i;
    bool moved = false;
    for (int i = 0; i < p->rank; i++) moved |= perm[i] != i;
    return moved;
}

/* Where adjacent dimensions were indexed the index's dimensions take their place, else they come first. As a
 * permutation from (index.., others..) to the result. */
static bool result_permutation(const struct positions *p, int64_t *perm)
{
    int before = p->adjacent ? p->first : 0, rank = p->index_rank + p->rank - p->n, n = 0;
    for (int i = 0; i < before; i++) perm[n++] = p->index_rank + i;
    for (int i = 0; i < p->index_rank; i++) perm[n++] = i;
    while (n < rank) perm[n] = n, n++;
    return before > 0 && p->index_rank > 0;
}

static struct value *lower_index(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    struct positions p;
    int64_t perm[2 * SHAPE_MAX];
    if (!positions_read(c, &p, x, 1) || !p.n) return x;
    if (p.n == 1) return emit(c->b, "Gather", ATTRS(attr_int("axis", p.first)), x, p.at[p.first]);
    if (p.index_rank + p.rank - p.n > SHAPE_MAX)
        return aten_fail(c, ERR_UNSUPPORTED, "a result of rank %d", p.index_rank + p.rank - p.n), NULL;
    if (front_permutation(&p, perm)) x = emit_transpose(c, x, perm, (size_t)p.rank);
    struct value *y = emit_op(c, "GatherND", x, stack_positions(c, &p));
    if (!result_permutation(&p, perm)) return y;
    return emit_transpose(c, y, perm, (size_t)(p.index_rank + p.rank - p.n));
}

/* One value under one mask needs no positions. */
static struct value *fill_masked(struct aten_call *c, struct value *x, struct value *mask, struct value *v)
{
    int64_t axes[SHAPE_MAX];
    size_t n = 0;
    for (int i = value_rank(c, mask); i < value_rank(c, x); i++) axes[n++] = i;
    mask = emit_cast(c->b, mask, DT_BOOL);
    if (n) mask = emit_op(c, "Unsqueeze", mask, emit_i64s(c->b, axes, n));
    if (value_rank(c, v)) v = emit_reshape(c, v, NULL, 0);
    return emit_op(c, "Where", mask, v, x);
}

static void inverse(const int64_t *perm, int n, int64_t *out)
{
    for (int i = 0; i < n; i++) out[perm[i]] = i;
}

/* x with values written at positions (added, when `accumulate`). */
static struct value *lower_index_put(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *v = arg_tensor(c, 2);
    bool add = arg_bool(c, 3);
    size_t n;
    struct value **list = arg_tensors(c, 1, &n);
    if (!x || !v) return NULL;
    v = emit_cast(c->b, v, x->dtype);
    bool single = value_rank(c, v) == 0 || (value_rank(c, v) == 1 && value_dim(c, v, 0) == 1);
    if (n == 1 && is_mask(list[0]) && single && !add) return fill_masked(c, x, list[0], v);
    struct positions p;
    int64_t perm[SHAPE_MAX], back[SHAPE_MAX], result[2 * SHAPE_MAX];
    if (!positions_read(c, &p, x, 1) || !p.n) return v;
    bool moved = front_permutation(&p, perm);
    struct value *front = moved ? emit_transpose(c, x, perm, (size_t)p.rank) : x, *at = stack_positions(c, &p);
    struct value *like = emit_op(c, "GatherND", front, at); /* the shape to write: (index.., others..) */
    int rank = p.index_rank + p.rank - p.n;
    if (result_permutation(&p, result)) {
        inverse(result, rank, back);
        struct value *shape = emit_shape_of(c, emit_transpose(c, like, result, (size_t)rank));
        v = emit_transpose(c, emit_op(c, "Expand", v, shape), back, (size_t)rank);
    } else v = emit_op(c, "Expand", v, emit_shape_of(c, like));
    struct value *y = emit(c->b, "ScatterND", ATTRS(attr_string("reduction", add ? "add" : "none")), front, at, v);
    inverse(perm, p.rank, back);
    return moved ? emit_transpose(c, y, back, (size_t)p.rank) : y;
}

static struct value *lower_index_select(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *at = arg_tensor(c, 2);
    if (at && value_rank(c, at) == 0) at = emit_unsqueeze(c, at, 0);
    return emit(c->b, "Gather", ATTRS(attr_int("axis", arg_axis(c, 1, value_rank(c, x)))), x, at);
}

static struct value *lower_gather(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return emit(c->b, "GatherElements", ATTRS(attr_int("axis", arg_axis(c, 1, value_rank(c, x)))), x, arg_tensor(c, 2));
}

/* Of src only the part that the index covers is taken. */
static struct value *covered(struct aten_call *c, struct value *src, struct value *index)
{
    if (!src || !index || shape_equal(&src->shape, &index->shape)) return src;
    struct shape a = value_hint(c, src), b = value_hint(c, index);
    if (shape_equal(&a, &b) || value_rank(c, src) == 0) return src;
    int64_t zeros[SHAPE_MAX] = { 0 };
    return emit_op(c, "Slice", src, emit_i64s(c->b, zeros, (size_t)value_rank(c, src)), emit_shape_of(c, index));
}

static struct value *scatter(struct aten_call *c, struct value *src, const char *reduction)
{
    struct value *x = arg_tensor(c, 0), *index = arg_tensor(c, 2);
    struct attr attrs[] = { attr_int("axis", arg_axis(c, 1, value_rank(c, x))), attr_string("reduction", reduction),
        { 0 } };
    return emit(c->b, "ScatterElements", attrs, x, index, src);
}

static struct value *lower_scatter(struct aten_call *c)
{
    struct value *src = covered(c, arg_tensor(c, 3), arg_tensor(c, 2));
    return scatter(c, src, c->row->onnx);
}

static struct value *lower_scatter_value(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    if (!x) return NULL;
    return scatter(c, emit_op(c, "Expand", arg_scalar(c, 3, x->dtype), emit_shape_of(c, arg_tensor(c, 2))), "none");
}

static struct value *lower_scatter_reduce(struct aten_call *c)
{
    static const char *const kinds[][2] = { { "sum", "add" }, { "add", "add" }, { "prod", "mul" },
        { "multiply", "mul" }, { "amax", "max" }, { "amin", "min" } };
    const char *kind = arg_str(c, 4);
    bool with_self = c->n_args < 6 || arg_bool(c, 5);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (with_self && !strcmp(kind, kinds[i][0]))
            return scatter(c, covered(c, arg_tensor(c, 3), arg_tensor(c, 2)), kinds[i][1]);
    return aten_fail(c, ERR_UNSUPPORTED, "reduction %s%s", kind, with_self ? "" : " without self"), NULL;
}

/* (self, dim, index, source): slices added at positions of one dimension. */
static struct value *lower_index_add(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *src = arg_tensor(c, 3);
    int rank = value_rank(c, x), axis = arg_axis(c, 1, rank);
    int64_t dims[SHAPE_MAX];
    if (c->n_args > 4 && arg_float(c, 4) != 1) src = emit_op(c, "Mul", src, emit_like(c, src, arg_float(c, 4)));
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? -1 : 1;
    struct value *at = emit_op(
        c, "Expand", emit_reshape(c, arg_tensor(c, 2), dims, (size_t)rank), emit_shape_of(c, src));
    return emit(
        c->b, "ScatterElements", ATTRS(attr_int("axis", axis), attr_string("reduction", c->row->onnx)), x, at, src);
}

static struct value *lower_index_fill(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *at = arg_tensor(c, 2);
    int rank = value_rank(c, x), axis = arg_axis(c, 1, rank);
    int64_t dims[SHAPE_MAX];
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? -1 : 1;
    struct value *size = value_size(c, x, axis), *all = emit_op(c, "Range", emit_i64(c->b, 0), size, emit_i64(c->b, 1));
    struct value *hit = emit_op(c, "Equal", emit_unsqueeze(c, all, 1), emit_reshape(c, at, (int64_t[]){ 1, -1 }, 2));
    hit = emit_cast(
        c->b, emit_reduce(c, "ReduceMax", emit_cast(c->b, hit, DT_I32), &(int64_t){ 1 }, 1, false), DT_BOOL);
    return x ? emit_op(c, "Where", emit_reshape(c, hit, dims, (size_t)rank), arg_scalar(c, 3, x->dtype), x) : NULL;
}

static struct value *lower_masked_select(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *mask = emit_cast(c->b, arg_tensor(c, 1), DT_BOOL);
    int64_t flat = -1;
    struct value *all = emit_op(c, "Expand", x, emit_shape_of(c, mask)), *bits;
    bits = emit_op(c, "Expand", mask, emit_shape_of(c, all));
    struct value *at = emit_op(c, "NonZero", emit_reshape(c, bits, &flat, 1));
    return emit(c->b, "Gather", ATTRS(attr_int("axis", 0)), emit_reshape(c, all, &flat, 1), emit_squeeze(c, at, 0));
}

static struct value *lower_nonzero(struct aten_call *c)
{
    return emit_transpose(c, emit_op(c, "NonZero", arg_tensor(c, 0)), (int64_t[]){ 1, 0 }, 2);
}

/* where(condition): the positions, a tensor for each dimension */
static struct value *lower_nonzero_numpy(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *at = emit_op(c, "NonZero", x);
    for (int i = 0; i < value_rank(c, x); i++)
        give(c, emit(c->b, "Gather", ATTRS(attr_int("axis", 0)), at, emit_i64(c->b, i)));
    return NULL;
}

/* Both results of TopK. */
static struct node *top(struct aten_call *c, struct value *x, struct value *k, int axis, bool largest, bool sorted)
{
    struct value *in[] = { x, emit_concat_ints(c, &k, 1) };
    struct attr attrs[] = { attr_int("axis", axis), attr_int("largest", largest), attr_int("sorted", sorted), { 0 } };
    return builder_node(c->b, "TopK", attrs, in, 2, 2);
}

static struct value *lower_topk(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    struct node *n = top(c, x, arg_int_value(c, 1), arg_axis(c, 2, value_rank(c, x)), arg_bool(c, 3), arg_bool(c, 4));
    if (n) give(c, n->out[0]);
    return n ? n->out[1] : NULL;
}

static struct node *sorted(struct aten_call *c, int dim, int descending)
{
    struct value *x = arg_tensor(c, 0);
    int axis = arg_axis(c, dim, value_rank(c, x));
    return top(c, x, value_size(c, x, axis), axis, arg_bool(c, descending), true);
}

static struct value *lower_sort(struct aten_call *c)
{
    struct node *n = sorted(c, 1, 2);
    if (n) give(c, n->out[0]);
    return n ? n->out[1] : NULL;
}

static struct value *lower_sort_stable(struct aten_call *c)
{
    struct node *n = sorted(c, 2, 3);
    if (n) give(c, n->out[0]);
    return n ? n->out[1] : NULL;
}

static struct value *lower_argsort(struct aten_call *c)
{
    struct node *n = sorted(c, 1, 2);
    return n ? n->out[1] : NULL;
}

/* Values, where each element's value stands among them, and how often it occurs. */
static struct value *lower_unique(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    struct node *n = builder_node(c->b, "Unique", ATTRS(attr_int("sorted", 1)), &x, 1, 4);
    if (!n) return NULL;
    give(c, n->out[0]);
    give(c, emit_op(c, "Reshape", n->out[2], emit_shape_of(c, x)));
    return n->out[3];
}

/* Boxes that stay, best first; of (dets, scores, iou_threshold). ONNX gives rows of (batch, class, box). */
static struct value *lower_nms(struct aten_call *c)
{
    struct value *boxes = emit_unsqueeze(c, arg_tensor(c, 0), 0), *scores = arg_tensor(c, 1);
    scores = emit_op(c, "Unsqueeze", scores, emit_i64s(c->b, (int64_t[]){ 0, 1 }, 2));
    struct value *kept = emit_op(c, "NonMaxSuppression", boxes, scores, emit_i64s(c->b, &(int64_t){ INT32_MAX }, 1),
        emit_reshape(c, emit_scalar(c->b, DT_F32, arg_float(c, 2)), (int64_t[]){ 1 }, 1));
    return emit(c->b, "Gather", ATTRS(attr_int("axis", 1)), kept, emit_i64(c->b, 2));
}

/* Rows of rois are (image, x1, y1, x2, y2). */
static struct value *lower_roi_align(struct aten_call *c)
{
    struct value *rois = arg_tensor(c, 1), *image;
    image = emit_cast(c->b, emit(c->b, "Gather", ATTRS(attr_int("axis", 1)), rois, emit_i64(c->b, 0)), DT_I64);
    int64_t ratio = arg_int(c, 5);
    return emit(c->b, "RoiAlign",
        ATTRS(attr_float("spatial_scale", arg_float(c, 2)), attr_int("output_height", arg_int(c, 3)),
            attr_int("output_width", arg_int(c, 4)), attr_int("sampling_ratio", ratio > 0 ? ratio : 0),
            attr_string("coordinate_transformation_mode", arg_bool(c, 6) ? "half_pixel" : "output_half_pixel")),
        arg_tensor(c, 0), emit_slice(c, rois, 1, 1, INT64_MAX, 1), image);
}

#define SORTED "(Tensor values, Tensor indices)"

const struct aten_row aten_index[] = {
    { "index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", lower_index },
    { "index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor", lower_index_put },
    { "index_select(Tensor self, int dim, Tensor index) -> Tensor", lower_index_select },
    { "index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor", lower_index_add,
        "add" },
    { "index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor", lower_index_add, "none" },
    { "index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor", lower_index_fill },
    { "gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor", lower_gather },
    { "scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", lower_scatter, "none" },
    { "scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor", lower_scatter_value },
    { "scatter.reduce(Tensor self, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor", lower_scatter_reduce },
    { "scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", lower_scatter, "add" },
    { "scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) "
      "-> Tensor",
        lower_scatter_reduce },
    { "masked_select(Tensor self, Tensor mask) -> Tensor", lower_masked_select },
    { "nonzero(Tensor self) -> Tensor", lower_nonzero },
    { "nonzero_numpy(Tensor self) -> Tensor[]", lower_nonzero_numpy },
    { "where(Tensor condition) -> Tensor[]", lower_nonzero_numpy },
    { "topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> " SORTED, lower_topk },
    { "sort(Tensor self, int dim=-1, bool descending=False) -> " SORTED, lower_sort },
    { "sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> " SORTED, lower_sort_stable },
    { "argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor", lower_argsort },
    { "_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) "
      "-> (Tensor, Tensor, Tensor)",
        lower_unique },
    { "torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", lower_nms },
    { "torchvision::roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
      "int sampling_ratio, bool aligned) -> Tensor",
        lower_roi_align },
    { 0 },
};
