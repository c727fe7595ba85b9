/* lift_shape.c - older spellings of operators that move data: Pad, Slice, Split, Squeeze, Tile ... */
#include <string.h>

#include "base/err.h"
#include "format/onnx/lift.h"
#include "ops/infer.h"

static int pad(struct lift *l, const char *arg, struct err *e)
{
    double value = lift_float(l, "value", 0);
    enum dtype t = l->n_in && l->in[0] && l->in[0]->dtype ? l->in[0]->dtype : DT_F32;
    TRY(lift_attr_to_input(l, "paddings 1", e)); /* Pad-1 */
    TRY(lift_attr_to_input(l, "pads 1", e));
    if (value != 0) lift_input(l, 2, emit_scalar(l->b, t, value));
    lift_drop(l, "value");
    return 0;
}

static int slice(struct lift *l, const char *arg, struct err *e)
{
    TRY(lift_attr_to_input(l, "starts 1", e));
    TRY(lift_attr_to_input(l, "ends 2", e));
    return lift_attr_to_input(l, "axes 3", e);
}

/* Before opset 18, no sizes meant equal parts. */
static int split(struct lift *l, const char *arg, struct err *e)
{
    if (l->n_in > 1 && l->in[1]) return 0;
    return lift_set(l, attr_int("num_outputs", l->n_out), e);
}

/* Tile-1 (x, tiles, axis): along one axis. */
static int tile(struct lift *l, const char *arg, struct err *e)
{
    if (l->n_in != 3 || !l->in[0]) return 0;
    const struct tensor *tiles = value_const(l->in[1]), *axis = value_const(l->in[2]);
    int rank = l->in[0]->shape.rank;
    if (!tiles || !axis || rank < 0 || tensor_count(tiles) != 1 || tensor_count(axis) != 1)
        return fail(e, ERR_UNSUPPORTED, "tiles and axis must be constants, the rank known");
    int at = shape_axis(tensor_get_i64(axis, 0), rank);
    if (at < 0) return fail(e, ERR_SHAPE, "axis is outside rank %d", rank);
    int64_t repeats[SHAPE_MAX];
    for (int i = 0; i < rank; i++) repeats[i] = i == at ? tensor_get_i64(tiles, 0) : 1;
    l->in[1] = lift_ints(l, "repeats", repeats, (size_t)rank);
    l->n_in = 2;
    return 0;
}

static int rename_op(struct lift *l, const char *to, struct err *e)
{
    l->op = to;
    return 0;
}

/* Crop-1: x (N, C, H, W); border is left, top, right, bottom; scale, when given, is the height and width kept. */
static int crop(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *border = lift_attr(l, "border"), *scale = lift_attr(l, "scale");
    if (!border || border->type != ATTR_INTS || border->n != 4) return fail(e, ERR_MODEL, "border must be four ints");
    const int64_t *k = border->ints;
    int64_t starts[] = { k[1], k[0] };
    int64_t ends[] = { k[3] ? -k[3] : INT64_MAX, k[2] ? -k[2] : INT64_MAX };
    if (scale && scale->type == ATTR_INTS && scale->n == 2)
        for (int i = 0; i < 2; i++)
            if (__builtin_add_overflow(starts[i], scale->ints[i], &ends[i]))
                return fail(e, ERR_MODEL, "scale is too large");
    struct value *first = lift_ints(l, "starts", starts, 2), *last = lift_ints(l, "ends", ends, 2);
    struct value *axes = lift_ints(l, "axes", (int64_t[]){ 2, 3 }, 2);
    lift_result(l, emit(l->b, "Slice", NO_ATTRS, l->in[0], first, last, axes));
    return 0;
}

/* DFT-17: the axis was an attribute, and 1 by default. */
static int dft(struct lift *l, const char *arg, struct err *e)
{
    struct value *axis = emit_i64(l->b, lift_int(l, "axis", 1));
    lift_drop(l, "axis");
    lift_input(l, 2, axis);
    return 0;
}

const struct lift_row lift_shape_rows[] = {
    { "Squeeze", 1, 12, lift_attr_to_input, "axes 1" },
    { "Unsqueeze", 1, 12, lift_attr_to_input, "axes 1" },
    { "Reshape", 1, 4, lift_attr_to_input, "shape 1" },
    { "Pad", 1, 10, pad },
    { "Slice", 1, 9, slice },
    { "Split", 1, 12, lift_attr_to_input, "split 1" },
    { "Split", 1, 17, split },
    { "Range", 27, LIFT_ANY, lift_drop_attr, "stash_type" }, /* computed in float64 always */
    { "Tile", 1, 5, tile },
    { "Concat", 1, 3, lift_default_int, "axis 1" },
    { "Scatter", 1, LIFT_ANY, rename_op, "ScatterElements", "ScatterElements" },
    { "Crop", 1, 9, crop, NULL, "Slice" },
    { "DFT", 17, 19, dft },
    { NULL },
};
