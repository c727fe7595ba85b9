/* layers_shape.c - Caffe's layers that move, join, cut and resize. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/caffe/caffe.h"

static struct value *lower_split(struct caffe_call *c)
{
    for (size_t i = 0; i < c->layer->n_top; i++) c->out[i] = c->in[0];
    return NULL;
}

static int old_axis(struct caffe_call *c, const struct tree *p, const char *old)
{
    return caffe_axis(c, tree_int(p, "axis", tree_int(p, old, 1)), caffe_rank(c, c->in[0]));
}

static struct value *lower_concat(struct caffe_call *c)
{
    int axis = old_axis(c, caffe_param(c, "concat_param"), "concat_dim");
    if (c->n_in == 1) return c->in[0];
    return builder_emit(c->b, "Concat", ATTRS(attr_int("axis", axis)), c->in, (int)c->n_in);
}

/* At the points given, or in equal parts. */
static struct value *lower_slice(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "slice_param");
    int axis = old_axis(c, p, "slice_dim");
    size_t n = c->layer->n_top, points = tree_count(p, "slice_point");
    int64_t size = caffe_dim(c, c->in[0], axis), from = 0;
    if (c->b->err->code) return NULL;
    if (points ? points != n - 1 : !n || size % (int64_t)n)
        return caffe_fail(c, ERR_MODEL, "%zu tops of an axis of %lld at %zu points", n, (long long)size, points);
    int64_t *parts = ARENA_ARRAY(c->n->arena, n, int64_t);
    if (!parts) return fail_nomem(c->b->err), NULL;
    for (size_t i = 0; i < n; i++) {
        int64_t to = i + 1 == n ? size
            : points            ? tree_int_at(p, "slice_point", i)
                                : (int64_t)(i + 1) * (size / (int64_t)n);
        if (to <= from || to > size)
            return caffe_fail(c, ERR_MODEL, "slice_point %lld of %lld", (long long)to, (long long)size);
        parts[i] = to - from, from = to;
    }
    if (n == 1) return c->in[0];
    struct value *in[] = { c->in[0], emit_i64s(c->b, parts, n) };
    struct node *split = builder_node(c->b, "Split", ATTRS(attr_int("axis", axis)), in, 2, (int)n);
    for (size_t i = 0; split && i < n; i++) c->out[i] = split->out[i];
    return NULL;
}

/* Sizes of x along axes from `axis` on, as a value: constant where they are known. */
static struct value *sizes_from(struct caffe_call *c, struct value *x, int axis)
{
    bool known = true;
    for (int i = axis; i < x->shape.rank; i++) known &= x->shape.dim[i] >= 0;
    if (known) return emit_i64s(c->b, x->shape.dim + axis, (size_t)(x->shape.rank - axis));
    return emit(c->b, "Shape", ATTRS(attr_int("start", axis)), x);
}

/* The first bottom, cut to the sizes of the second. */
static struct value *lower_crop(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "crop_param");
    struct value *x = c->in[0], *like = c->in[1];
    int rank = caffe_rank(c, x), axis = caffe_axis(c, tree_int(p, "axis", 2), rank);
    size_t given = tree_count(p, "offset");
    int64_t starts[SHAPE_MAX], axes[SHAPE_MAX];
    int n = rank - axis;
    if (c->b->err->code) return NULL;
    if (caffe_rank(c, like) != rank || (given > 1 && given != (size_t)n))
        return caffe_fail(c, ERR_MODEL, "%zu offsets for %d axes", given, n);
    for (int i = 0; i < n; i++) {
        axes[i] = axis + i;
        starts[i] = given ? tree_int_at(p, "offset", given > 1 ? (size_t)i : 0) : 0;
        int64_t has = x->shape.dim[axes[i]], wants = like->shape.dim[axes[i]];
        if (starts[i] < 0 || starts[i] > INT32_MAX || (has >= 0 && wants >= 0 && starts[i] + wants > has))
            return caffe_fail(
                c, ERR_MODEL, "offset %lld: %lld of %lld", (long long)starts[i], (long long)wants, (long long)has);
    }
    struct value *from = emit_i64s(c->b, starts, (size_t)n);
    return emit_op(
        c, "Slice", x, from, emit_op(c, "Add", from, sizes_from(c, like, axis)), emit_i64s(c->b, axes, (size_t)n));
}

/* A part of the axes in another shape: 0 copies, -1 follows. A first dimension that is the file's batch means the
 * batch, whatever it comes to be. */
static struct value *lower_reshape(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "reshape_param"), *shape = tree_message(p, "shape");
    struct value *x = c->in[0];
    int rank = caffe_rank(c, x);
    int64_t axis = tree_int(p, "axis", 0), taken = tree_int(p, "num_axes", -1), dims[SHAPE_MAX];
    size_t given = tree_count(shape, "dim");
    if (axis < 0) axis += rank + 1;
    if (taken < 0) taken = rank - axis;
    if (c->b->err->code) return NULL;
    if (axis < 0 || axis > rank || taken > rank - axis || (size_t)(rank - taken) + given > SHAPE_MAX)
        return caffe_fail(c, ERR_MODEL, "axis %lld, %lld axes of %d", (long long)axis, (long long)taken, rank);
    int n = 0;
    for (; n < axis; n++) dims[n] = 0;
    for (size_t i = 0; i < given; i++, n++) {
        dims[n] = tree_int_at(shape, "dim", i);
        if (dims[n] < -1 || dims[n] > INT32_MAX) return caffe_fail(c, ERR_MODEL, "dim %lld", (long long)dims[n]);
        if (!n && x->shape.dim[0] < 0 && dims[0] == caffe_batch(c->n)) dims[0] = 0;
    }
    for (int i = (int)(axis + taken); i < rank; i++, n++) dims[n] = i == n ? 0 : caffe_dim(c, x, i);
    return caffe_reshaped(c, x, dims, n);
}

static struct value *lower_flatten(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "flatten_param");
    int rank = caffe_rank(c, c->in[0]), axis = caffe_axis(c, tree_int(p, "axis", 1), rank);
    int end = caffe_axis(c, tree_int(p, "end_axis", -1), rank), n = 0;
    int64_t dims[SHAPE_MAX];
    if (c->b->err->code) return NULL;
    if (end < axis) return caffe_fail(c, ERR_MODEL, "axes %d to %d", axis, end);
    if (axis == 1 && end == rank - 1) return emit(c->b, "Flatten", ATTRS(attr_int("axis", 1)), c->in[0]);
    for (; n < axis; n++) dims[n] = 0;
    dims[n++] = -1;
    for (int i = end + 1; i < rank; i++, n++) dims[n] = i == n ? 0 : caffe_dim(c, c->in[0], i);
    return caffe_reshaped(c, c->in[0], dims, n);
}

/* Axes that are not named follow in their order. */
static struct value *lower_permute(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "permute_param");
    int rank = caffe_rank(c, c->in[0]);
    size_t given = tree_count(p, "order"), n = 0;
    int64_t perm[SHAPE_MAX];
    bool named[SHAPE_MAX] = { false };
    for (; n < given; n++) {
        int64_t axis = tree_int_at(p, "order", n);
        if (axis < 0 || axis >= rank || named[axis]) return caffe_fail(c, ERR_MODEL, "order %lld", (long long)axis);
        named[axis] = true;
        perm[n] = axis;
    }
    for (int i = 0; i < rank; i++)
        if (!named[i]) perm[n++] = i;
    return emit(c->b, "Transpose", ATTRS(attr_ints("perm", perm, n)), c->in[0]);
}

static struct value *lower_tile(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "tile_param");
    int rank = caffe_rank(c, c->in[0]), axis = caffe_axis(c, tree_int(p, "axis", 1), rank);
    int64_t repeats[SHAPE_MAX], tiles = tree_int(p, "tiles", 0);
    if (tiles < 1 || tiles > INT32_MAX) return caffe_fail(c, ERR_MODEL, "tiles is %lld", (long long)tiles);
    for (int i = 0; i < rank; i++) repeats[i] = i == axis ? tiles : 1;
    return emit_op(c, "Tile", c->in[0], emit_i64s(c->b, repeats, (size_t)rank));
}

/* Samples by index. */
static struct value *lower_batch_reindex(struct caffe_call *c)
{
    int64_t flat = -1;
    struct value *index = emit_cast(c->b, caffe_reshaped(c, c->in[1], &flat, 1), DT_I64);
    return emit(c->b, "Gather", ATTRS(attr_int("axis", 0)), c->in[0], index);
}

/* The samples of each bottom that the last one, the selector, does not hold 0 for. */
static struct value *lower_filter(struct caffe_call *c)
{
    int64_t flat = -1;
    struct value *chosen = emit_cast(c->b, caffe_reshaped(c, c->in[c->n_in - 1], &flat, 1), DT_BOOL);
    for (size_t i = 0; i + 1 < c->n_in && i < c->layer->n_top; i++)
        c->out[i] = emit(c->b, "Compress", ATTRS(attr_int("axis", 0)), c->in[i], chosen);
    return NULL;
}

static struct value *resize(struct caffe_call *c, struct value *x, const int64_t sizes[2], const char *mode,
    const char *coordinates, const char *nearest)
{
    static const int64_t axes[] = { 2, 3 };
    return emit(c->b, "Resize",
        ATTRS(attr_string("mode", mode), attr_string("coordinate_transformation_mode", coordinates),
            attr_string("nearest_mode", nearest), attr_ints("axes", axes, 2)),
        x, NULL, NULL, emit_i64s(c->b, sizes, 2));
}

/* Bilinear between the corners, after cropping by negative paddings (DeepLab, PSPNet). */
static struct value *lower_interp(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "interp_param");
    static const char *const names[] = { "height", "width" };
    int64_t begin = tree_int(p, "pad_beg", 0), end = tree_int(p, "pad_end", 0), sizes[2];
    int64_t zoom = tree_int(p, "zoom_factor", 0), shrink = tree_int(p, "shrink_factor", 0);
    struct value *x = c->in[0];
    if (begin > 0 || end > 0) return caffe_fail(c, ERR_MODEL, "positive padding");
    for (int i = 0; i < 2; i++) {
        int64_t in = caffe_dim(c, x, 2 + i) + begin + end;
        if (c->b->err->code) return NULL;
        if (in < 1) return caffe_fail(c, ERR_MODEL, "padding leaves nothing");
        if (begin || end) x = caffe_sliced(c, x, 2 + i, -begin, -begin + in);
        sizes[i] = c->n_in > 1 ? caffe_dim(c, c->in[1], 2 + i) : tree_int(p, names[i], 0);
        if (shrink > 0) sizes[i] = (in - 1) / shrink + 1;
        if (zoom > 0) sizes[i] = (shrink > 0 ? sizes[i] : in) + ((shrink > 0 ? sizes[i] : in) - 1) * (zoom - 1);
        if (sizes[i] < 1 || sizes[i] > INT32_MAX)
            return caffe_fail(c, ERR_MODEL, "%s is %lld", names[i], (long long)sizes[i]);
    }
    return resize(c, x, sizes, "linear", "align_corners", "floor");
}

/* Puts each number of x where the mask of a pooling says, zeros elsewhere (SegNet). */
static struct value *unpool(struct caffe_call *c, const int64_t sizes[2])
{
    struct value *x = c->in[0];
    int64_t plane = sizes[0] * sizes[1], flat[] = { 0, 0, -1 }, dims[] = { 0, 0, sizes[0], sizes[1] };
    struct value *lead = emit(c->b, "Shape", ATTRS(attr_int("end", 2)), x);
    struct value *shape = emit(c->b, "Concat", ATTRS(attr_int("axis", 0)), lead, emit_i64s(c->b, &plane, 1));
    struct value *zeros = emit_op(c, "Expand", caffe_number(c, 0), shape);
    struct value *index = emit_cast(c->b, caffe_reshaped(c, c->in[1], flat, 3), DT_I64);
    struct value *y = emit(
        c->b, "ScatterElements", ATTRS(attr_int("axis", 2)), zeros, index, caffe_reshaped(c, x, flat, 3));
    return caffe_reshaped(c, y, dims, 4);
}

static struct value *lower_upsample(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "upsample_param");
    static const char *const wanted[] = { "upsample_h", "upsample_w" }, *const cut[] = { "pad_out_h", "pad_out_w" },
                             *const by[] = { "scale_h", "scale_w" }, *const fixed[] = { "height", "width" };
    int64_t sizes[2];
    if (caffe_rank(c, c->in[0]) != 4) return caffe_fail(c, ERR_MODEL, "the input is no image");
    for (int i = 0; i < 2; i++) {
        int64_t scale = tree_int(p, by[i], tree_int(p, "scale", 2));
        sizes[i] = tree_int(p, wanted[i], tree_int(p, fixed[i], 0));
        if (scale < 1 || scale > 1 << 16) return caffe_fail(c, ERR_MODEL, "scale %lld", (long long)scale);
        if (!sizes[i]) sizes[i] = caffe_dim(c, c->in[0], 2 + i) * scale - (tree_int(p, cut[i], 0) != 0);
        if (sizes[i] < 1 || sizes[i] > INT32_MAX) caffe_fail(c, ERR_MODEL, "size %lld", (long long)sizes[i]);
    }
    if (c->b->err->code) return NULL;
    return c->n_in > 1 ? unpool(c, sizes) : resize(c, c->in[0], sizes, "nearest", "asymmetric", "floor");
}

/* Channels as a matrix of `group` rows, turned. */
static struct value *lower_shuffle(struct caffe_call *c)
{
    int64_t group = tree_int(caffe_param(c, "shuffle_channel_param"), "group", 1), channels = caffe_dim(c, c->in[0], 1);
    if (c->b->err->code) return NULL;
    if (group < 1 || channels % group)
        return caffe_fail(c, ERR_MODEL, "%lld channels in %lld groups", (long long)channels, (long long)group);
    int64_t *from = ARENA_ARRAY(c->n->arena, channels, int64_t);
    if (!from) return fail_nomem(c->b->err), NULL;
    for (int64_t i = 0; i < channels; i++) from[i] = i % group * (channels / group) + i / group;
    return emit(c->b, "Gather", ATTRS(attr_int("axis", 1)), c->in[0], emit_i64s(c->b, from, (size_t)channels));
}

/* A weight by itself. */
static struct value *lower_parameter(struct caffe_call *c)
{
    const struct tree *shape = tree_message(caffe_param(c, "parameter_param"), "shape");
    size_t n = tree_count(shape, "dim");
    int64_t dims[SHAPE_MAX];
    if (!n || n > SHAPE_MAX) return caffe_fail(c, ERR_MODEL, "a weight of %zu dimensions", n);
    for (size_t i = 0; i < n; i++)
        if ((dims[i] = tree_int_at(shape, "dim", i)) < 1)
            return caffe_fail(c, ERR_MODEL, "dim %lld", (long long)dims[i]);
    return emit_op(c, "Identity", caffe_weight(c, 0, (int)n, dims));
}

const struct caffe_row caffe_shape[] = {
    { "Split", lower_split, 1, 1, 0, NULL },
    { "Concat", lower_concat, 1, CAFFE_ANY, 0, "Concat" },
    { "Slice", lower_slice, 1, 1, 0, "Split" },
    { "Crop", lower_crop, 2, 2, 0, "Slice" },
    { "Reshape", lower_reshape, 1, 1, 0, "Reshape" },
    { "Flatten", lower_flatten, 1, 1, 0, "Flatten" },
    { "Permute", lower_permute, 1, 1, 0, "Transpose" },
    { "Tile", lower_tile, 1, 1, 0, "Tile" },
    { "BatchReindex", lower_batch_reindex, 2, 2, 0, "Gather" },
    { "Filter", lower_filter, 2, CAFFE_ANY, 0, "Compress" },
    { "Interp", lower_interp, 1, 2, 0, "Resize" },
    { "Upsample", lower_upsample, 1, 2, 0, "Resize" },
    { "ShuffleChannel", lower_shuffle, 1, 1, 0, "Gather" },
    { "Parameter", lower_parameter, 0, 0, 0, NULL },
    { 0 },
};
