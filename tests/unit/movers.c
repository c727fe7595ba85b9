/* movers.c - tests of the operators that move elements; what must fail comes first. */
#include "movers.h"

#include "ops/mover.h"

TEST(reshape_refuses)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3);
    CHECK_FAILS(&t, "6 elements cannot take a shape of 4", "Reshape", NO_ATTRS, x, LIST(&t, 2, 2));
    CHECK_FAILS(&t, "2 dimensions of -1", "Reshape", NO_ATTRS, x, LIST(&t, -1, -1));
    CHECK_FAILS(&t, "dimension 1 of the new shape is -2", "Reshape", NO_ATTRS, x, LIST(&t, 3, -2));
    CHECK_FAILS(&t, "0 at 2 copies", "Reshape", NO_ATTRS, x, LIST(&t, 2, 3, 0));
    CHECK_FAILS(&t, "6 elements cannot", "Reshape", NO_ATTRS, x, LIST(&t, 4, -1));
    CHECK_FAILS(&t, "rank 9", "Reshape", NO_ATTRS, x, LIST(&t, 1, 1, 1, 1, 1, 1, 1, 2, 3));
    CHECK_FAILS(&t, "a 0 and a -1", "Reshape", ATTRS(attr_int("allowzero", 1)), x, LIST(&t, 0, -1));
    CHECK_FAILS(&t, "too many elements", "Reshape", NO_ATTRS, x, LIST(&t, INT64_MAX, 4));
    CHECK_FAILS(&t, "must be integers", "Reshape", NO_ATTRS, x, VECTOR(&t, DT_F32, 3, 2));
    CHECK_FAILS(&t, "must have one dimension", "Reshape", NO_ATTRS, x, MATRIX(&t, DT_I64, 1, 2, 3, 2));
    CHECK_FAILS(&t, "6 elements cannot take a shape of 5", "ReshapeLike", NO_ATTRS, x, COUNTING(&t, DT_F32, 5));
    CHECK_FAILS(&t, "axis is 3", "Flatten", ATTRS(attr_int("axis", 3)), x);
    arena_release(&t.a);
}

TEST(axes_are_checked)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 1, 3, 1), *big = COUNTING(&t, DT_I8, 1, 1, 1, 1, 1, 1, 1, 2);
    CHECK_FAILS(&t, "axis 1 has size 3", "Squeeze", NO_ATTRS, x, LIST(&t, 1));
    CHECK_FAILS(&t, "axis 0 is named twice", "Squeeze", NO_ATTRS, x, LIST(&t, 0, -3));
    CHECK_FAILS(&t, "axis 3 is outside [-3, 3)", "Squeeze", NO_ATTRS, x, LIST(&t, 3));
    CHECK_FAILS(&t, "axis 1 is named twice", "Unsqueeze", NO_ATTRS, x, LIST(&t, 1, -4));
    CHECK_FAILS(&t, "rank 9", "Unsqueeze", NO_ATTRS, big, LIST(&t, 0));
    CHECK_FAILS(&t, "axis 7 is outside", "Unsqueeze", NO_ATTRS, x, LIST(&t, 7));
    int64_t perm[] = { 0, 1, 1 };
    CHECK_FAILS(&t, "not a permutation", "Transpose", ATTRS(attr_ints("perm", perm, 3)), x);
    CHECK_FAILS(&t, "2 entries", "Transpose", ATTRS(attr_ints("perm", perm, 2)), x);
    arena_release(&t.a);
}

TEST(sizes_are_checked)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3), *one = COUNTING(&t, DT_I8, 1, 1);
    CHECK_FAILS(&t, "more elements than can be addressed", "Expand", NO_ATTRS, one, LIST(&t, INT64_MAX / 2, 1));
    CHECK_FAILS(&t, "more elements than can be addressed", "Tile", NO_ATTRS, one, LIST(&t, 1ll << 40, 1ll << 40));
    CHECK_FAILS(&t, "repeats[1] is -1", "Tile", NO_ATTRS, x, LIST(&t, 1, -1));
    CHECK_FAILS(&t, "a dimension is too large", "Tile", NO_ATTRS, x, LIST(&t, INT64_MAX, 1));
    CHECK_FAILS(&t, "3 repeats", "Tile", NO_ATTRS, x, LIST(&t, 1, 1, 1));
    CHECK_FAILS(&t, "cannot be broadcast", "Expand", NO_ATTRS, x, LIST(&t, 3, 3));
    CHECK_FAILS(&t, "is -1", "Expand", NO_ATTRS, x, LIST(&t, -1, 3));
    CHECK_FAILS(&t, "more elements", "ConstantOfShape", NO_ATTRS, LIST(&t, 1ll << 31, 1ll << 31));
    CHECK_FAILS(&t, "rank 9", "ConstantOfShape", NO_ATTRS, LIST(&t, 1, 1, 1, 1, 1, 1, 1, 1, 1));
    CHECK_FAILS(&t, "delta is 0", "Range", NO_ATTRS, emit_i64(&t.b, 0), emit_i64(&t.b, 3), emit_i64(&t.b, 0));
    CHECK_FAILS(
        &t, "more numbers", "Range", NO_ATTRS, emit_i64(&t.b, INT64_MIN), emit_i64(&t.b, INT64_MAX), emit_i64(&t.b, 1));
    CHECK_FAILS(&t, "is no range", "Range", NO_ATTRS, emit_scalar(&t.b, DT_F32, 0), emit_scalar(&t.b, DT_F32, INFINITY),
        emit_scalar(&t.b, DT_F32, 1));
    arena_release(&t.a);
}

TEST(concat_and_split_refuse)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3), *y = COUNTING(&t, DT_F32, 2, 2), *row = COUNTING(&t, DT_F32, 3);
    CHECK_FAILS(&t, "size 2 along axis 1, the others 3", "Concat", ATTRS(attr_int("axis", 0)), x, y);
    CHECK_FAILS(&t, "rank 1, the others 2", "Concat", ATTRS(attr_int("axis", 0)), x, row);
    CHECK_FAILS(&t, "is int8", "Concat", ATTRS(attr_int("axis", 0)), x, COUNTING(&t, DT_I8, 2, 3));
    CHECK_FAILS(&t, "axis is 2", "Concat", ATTRS(attr_int("axis", 2)), x, x);
    CHECK_FAILS(&t, "without dimensions", "Concat", ATTRS(attr_int("axis", 0)), emit_i64(&t.b, 1));
    struct value *in[] = { x, LIST(&t, 1, 1) };
    struct attr axis = attr_int("axis", 1);
    check_fails(&t, run_op(&t, "Split", ATTRS(axis), in, 2, 2), "sum to 2, the axis has 3");
    check_fails(&t, run_op(&t, "Split", ATTRS(axis), in, 2, 3), "one per output");
    in[1] = LIST(&t, -1, 4);
    check_fails(&t, run_op(&t, "Split", ATTRS(axis), in, 2, 2), "split[0] is -1");
    check_fails(&t, run_op(&t, "Split", ATTRS(axis, attr_int("num_outputs", 3)), in, 1, 2), "num_outputs is 3");
    check_fails(&t, run_op(&t, "Split", ATTRS(axis), in, 1, 5), "cannot be split into 5");
    arena_release(&t.a);
}

TEST(slice_refuses)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3), *one = LIST(&t, 1), *zero = LIST(&t, 0);
    CHECK_FAILS(&t, "steps[0] is 0", "Slice", NO_ATTRS, x, zero, one, zero, zero);
    CHECK_FAILS(&t, "axis 0 is named twice", "Slice", NO_ATTRS, x, LIST(&t, 0, 0), LIST(&t, 1, 1), LIST(&t, 0, -2));
    CHECK_FAILS(&t, "axis 2 is outside", "Slice", NO_ATTRS, x, zero, one, LIST(&t, 2));
    CHECK_FAILS(&t, "1 starts, 2 ends", "Slice", NO_ATTRS, x, zero, LIST(&t, 1, 1));
    CHECK_FAILS(&t, "3 axes", "Slice", NO_ATTRS, x, LIST(&t, 0, 0, 0), LIST(&t, 1, 1, 1));
    CHECK_FAILS(
        &t, "cannot be broadcast to the slice", "ScatterSlice", NO_ATTRS, x, COUNTING(&t, DT_F32, 3, 3), zero, one);
    CHECK_FAILS(&t, "not of the shape of the slice", "SliceGrad", NO_ATTRS, x, x, zero, one);
    arena_release(&t.a);
}

TEST(pad_refuses)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3), *empty = COUNTING(&t, DT_F32, 0, 3);
    CHECK_FAILS(&t, "3 pads for 2 axes", "Pad", NO_ATTRS, x, LIST(&t, 1, 1, 1));
    CHECK_FAILS(&t, "pads of -2 and -1", "Pad", NO_ATTRS, x, LIST(&t, -2, 0, -1, 0));
    CHECK_FAILS(&t, "along axis 0", "Pad", NO_ATTRS, x, LIST(&t, INT64_MAX, 0, INT64_MAX, 0));
    CHECK_FAILS(&t, "nothing to repeat", "Pad", ATTRS(attr_string("mode", "reflect")), empty, LIST(&t, 1, 0, 0, 0));
    CHECK_FAILS(&t, "mode is \"mirror\"", "Pad", ATTRS(attr_string("mode", "mirror")), x, LIST(&t, 1, 0, 0, 0));
    CHECK_FAILS(&t, "named twice", "Pad", NO_ATTRS, x, LIST(&t, 1, 0, 0, 0), NULL, LIST(&t, 1, 1));
    CHECK_FAILS(&t, "the constant value is int8", "Pad", NO_ATTRS, x, LIST(&t, 1, 0, 0, 0), COUNTING(&t, DT_I8, 1));
    arena_release(&t.a);
}

TEST(indices_are_checked)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3);
    CHECK_FAILS(
        &t, "index 2 (element 1 of the indices) is outside [-2, 2) of axis 0", "Gather", NO_ATTRS, x, LIST(&t, 0, 2));
    CHECK_FAILS(&t, "index -4", "Gather", ATTRS(attr_int("axis", 1)), x, LIST(&t, -4));
    CHECK_FAILS(&t, "must be int32 or int64", "Gather", NO_ATTRS, x, x);
    CHECK_FAILS(&t, "axis is -3", "Gather", ATTRS(attr_int("axis", -3)), x, LIST(&t, 0));
    CHECK_FAILS(&t, "expected 1", "Gather", NO_ATTRS, emit_i64(&t.b, 1), LIST(&t, 0));
    CHECK_FAILS(&t, "rank 9", "Gather", NO_ATTRS, x, COUNTING(&t, DT_I64, 1, 1, 1, 1, 1, 1, 1, 1));
    CHECK_FAILS(&t, "index 3", "GatherElements", ATTRS(attr_int("axis", 1)), x, MATRIX(&t, DT_I64, 2, 1, 0, 3));
    CHECK_FAILS(&t, "size 3 along axis 0, the input 2", "GatherElements", ATTRS(attr_int("axis", 1)), x,
        MATRIX(&t, DT_I64, 3, 1, 0, 0, 0));
    CHECK_FAILS(&t, "rank 1, the input 2", "GatherElements", NO_ATTRS, x, LIST(&t, 0));
    CHECK_FAILS(&t, "is 3, expected 1 to 2", "GatherND", NO_ATTRS, x, MATRIX(&t, DT_I64, 1, 3, 0, 0, 0));
    CHECK_FAILS(&t, "index 5", "GatherND", NO_ATTRS, x, MATRIX(&t, DT_I64, 1, 2, 1, 5));
    CHECK_FAILS(&t, "batch_dims is 2", "GatherND", ATTRS(attr_int("batch_dims", 2)), x, MATRIX(&t, DT_I64, 1, 1, 0));
    arena_release(&t.a);
}

TEST(reshapes_keep_the_order)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_I16, 2, 1, 3);
    CHECK_RUN(&t, "Reshape", NO_ATTRS, x, LIST(&t, 0, -1));
    CHECK_VALUES(t.out[0], DIMS(2, 3), 0, 1, 2, 3, 4, 5);
    CHECK_RUN(&t, "Squeeze", NO_ATTRS, x);
    CHECK_VALUES(t.out[0], DIMS(2, 3), 0, 1, 2, 3, 4, 5);
    CHECK_RUN(&t, "Unsqueeze", NO_ATTRS, x, LIST(&t, -1, 0));
    CHECK_VALUES(t.out[0], DIMS(1, 2, 1, 3, 1), 0, 1, 2, 3, 4, 5);
    CHECK_RUN(&t, "Flatten", ATTRS(attr_int("axis", -1)), x);
    CHECK_VALUES(t.out[0], DIMS(2, 3), 0, 1, 2, 3, 4, 5);
    arena_release(&t.a);
}

TEST(transpose_tile_expand)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F16, 2, 3);
    CHECK_RUN(&t, "Transpose", NO_ATTRS, x);
    CHECK_VALUES(t.out[0], DIMS(3, 2), 0, 3, 1, 4, 2, 5);
    int64_t perm[] = { 1, 2, 0 };
    CHECK_RUN(&t, "Transpose", ATTRS(attr_ints("perm", perm, 3)), COUNTING(&t, DT_F64, 2, 1, 3));
    CHECK_VALUES(t.out[0], DIMS(1, 3, 2), 0, 3, 1, 4, 2, 5);
    CHECK_RUN(&t, "Tile", NO_ATTRS, x, LIST(&t, 2, 2));
    CHECK_VALUES(t.out[0], DIMS(4, 6), 0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5, 0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5);
    CHECK_RUN(&t, "Expand", NO_ATTRS, MATRIX(&t, DT_U8, 2, 1, 7, 9), LIST(&t, 2, 1, 3));
    CHECK_VALUES(t.out[0], DIMS(2, 2, 3), 7, 7, 7, 9, 9, 9, 7, 7, 7, 9, 9, 9);
    CHECK_RUN(&t, "TileGrad", NO_ATTRS, COUNTING(&t, DT_F32, 2, 4), MATRIX(&t, DT_F32, 1, 2, 0, 0));
    CHECK_VALUES(t.out[0], DIMS(1, 2), 0 + 2 + 4 + 6, 1 + 3 + 5 + 7);
    CHECK_RUN(&t, "TileGrad", NO_ATTRS, COUNTING(&t, DT_F32, 2, 3), MATRIX(&t, DT_F32, 2, 1, 0, 0));
    CHECK_VALUES(t.out[0], DIMS(2, 1), 3, 12);
    arena_release(&t.a);
}

/* The examples of the ONNX documentation of DepthToSpace, shortened. */
TEST(depth_and_space)
{
    struct bench t;
    bench_init(&t);
    struct attr two = attr_int("blocksize", 2);
    struct value *x = COUNTING(&t, DT_F32, 1, 8, 1, 2);
    CHECK_RUN(&t, "DepthToSpace", ATTRS(two), x);
    CHECK_VALUES(t.out[0], DIMS(1, 2, 2, 4), 0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15);
    struct tensor *y = t.out[0];
    CHECK_RUN(&t, "SpaceToDepth", ATTRS(two), emit_const(&t.b, y));
    CHECK(!memcmp(t.out[0]->data, x->data->data, 64));
    CHECK_RUN(&t, "DepthToSpace", ATTRS(two, attr_string("mode", "CRD")), x);
    CHECK_VALUES(t.out[0], DIMS(1, 2, 2, 4), 0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    y = t.out[0];
    CHECK_RUN(&t, "PixelUnshuffle", ATTRS(two), emit_const(&t.b, y));
    CHECK(!memcmp(t.out[0]->data, x->data->data, 64));
    CHECK_FAILS(&t, "not a multiple of 9", "DepthToSpace", ATTRS(attr_int("blocksize", 3)), x);
    CHECK_FAILS(&t, "blocksize is 0", "SpaceToDepth", ATTRS(attr_int("blocksize", 0)), x);
    CHECK_FAILS(&t, "blocksize is 5000000000", "SpaceToDepth", ATTRS(attr_int("blocksize", 5000000000)), x);
    CHECK_FAILS(&t, "mode is \"X\"", "DepthToSpace", ATTRS(two, attr_string("mode", "X")), x);
    arena_release(&t.a);
}

TEST(concat_and_split)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_I32, 2, 2), *y = MATRIX(&t, DT_I32, 2, 1, 8, 9);
    CHECK_RUN(&t, "Concat", ATTRS(attr_int("axis", -1)), x, y, x);
    CHECK_VALUES(t.out[0], DIMS(2, 5), 0, 1, 8, 0, 1, 2, 3, 9, 2, 3);
    struct value *in[] = { emit_const(&t.b, t.out[0]), x, y, x };
    CHECK_OK(run_op(&t, "SplitLike", ATTRS(attr_int("axis", 1)), in, 4, 3), &t.e);
    CHECK_VALUES(t.out[1], DIMS(2, 1), 8, 9);
    CHECK_VALUES(t.out[2], DIMS(2, 2), 0, 1, 2, 3);
    CHECK_OK(run_op(&t, "Split", ATTRS(attr_int("axis", 1), attr_int("num_outputs", 3)), in, 1, 3), &t.e);
    CHECK_VALUES(t.out[0], DIMS(2, 2), 0, 1, 2, 3);
    CHECK_VALUES(t.out[2], DIMS(2, 1), 1, 3);
    in[1] = LIST(&t, 0, 2);
    CHECK_OK(run_op(&t, "Split", NO_ATTRS, in, 2, 2), &t.e);
    CHECK_INT(tensor_count(t.out[0]), 0);
    CHECK_INT(tensor_count(t.out[1]), 10);
    arena_release(&t.a);
}

TEST(slices)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 3, 4), *first = LIST(&t, 0);
    CHECK_RUN(&t, "Slice", NO_ATTRS, x, LIST(&t, 1, 0), LIST(&t, 3, 3), LIST(&t, 0, 1), LIST(&t, 1, 2));
    CHECK_VALUES(t.out[0], DIMS(2, 2), 4, 6, 8, 10);
    CHECK_RUN(&t, "Slice", NO_ATTRS, x, LIST(&t, -1), LIST(&t, -100), first, LIST(&t, -2));
    CHECK_VALUES(t.out[0], DIMS(2, 4), 8, 9, 10, 11, 0, 1, 2, 3);
    CHECK_RUN(&t, "Slice", NO_ATTRS, x, LIST(&t, INT64_MAX), LIST(&t, INT64_MIN), LIST(&t, -1), LIST(&t, INT64_MIN));
    CHECK_VALUES(t.out[0], DIMS(3, 1), 3, 7, 11);
    CHECK_RUN(&t, "Slice", NO_ATTRS, x, LIST(&t, 2), LIST(&t, 1));
    CHECK_INT(tensor_count(t.out[0]), 0);
    CHECK_RUN(&t, "SliceGrad", NO_ATTRS, MATRIX(&t, DT_F32, 2, 1, 5, 6), MATRIX(&t, DT_F32, 3, 1, 1, 1, 1),
        LIST(&t, -1), LIST(&t, -100), first, LIST(&t, -2));
    CHECK_VALUES(t.out[0], DIMS(3, 1), 6, 0, 5);
    CHECK_RUN(&t, "ScatterSlice", NO_ATTRS, x, VECTOR(&t, DT_F32, -1, -2), LIST(&t, 1, 2), LIST(&t, 3, 4));
    CHECK_VALUES(t.out[0], DIMS(3, 4), 0, 1, 2, 3, 4, 5, -1, -2, 8, 9, -1, -2);
    arena_release(&t.a);
}

TEST(center_crop_pad)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_U8, 2, 5);
    CHECK_RUN(&t, "CenterCropPad", NO_ATTRS, x, LIST(&t, 3, 2));
    CHECK_VALUES(t.out[0], DIMS(3, 2), 1, 2, 6, 7, 0, 0);
    CHECK_RUN(&t, "CenterCropPad", ATTRS(attr_ints("axes", (int64_t[]){ -2 }, 1)), x, LIST(&t, 4));
    CHECK_VALUES(t.out[0], DIMS(4, 5), 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0);
    CHECK_FAILS(&t, "shape[1] is -1", "CenterCropPad", NO_ATTRS, x, LIST(&t, 3, -1));
    CHECK_FAILS(&t, "1 sizes for 2 axes", "CenterCropPad", NO_ATTRS, x, LIST(&t, 3));
    arena_release(&t.a);
}

TEST(pads)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3);
    CHECK_RUN(&t, "Pad", NO_ATTRS, x, LIST(&t, 0, 1, 1, -1), VECTOR(&t, DT_F32, 9));
    CHECK_VALUES(t.out[0], DIMS(3, 3), 9, 0, 1, 9, 3, 4, 9, 9, 9);
    struct value *row = VECTOR(&t, DT_I8, 1, 2, 3), *wide = LIST(&t, 3, 4);
    CHECK_RUN(&t, "Pad", ATTRS(attr_string("mode", "reflect")), row, wide);
    CHECK_VALUES(t.out[0], DIMS(10), 2, 3, 2, 1, 2, 3, 2, 1, 2, 3);
    CHECK_RUN(&t, "Pad", ATTRS(attr_string("mode", "edge")), row, wide);
    CHECK_VALUES(t.out[0], DIMS(10), 1, 1, 1, 1, 2, 3, 3, 3, 3, 3);
    CHECK_RUN(&t, "Pad", ATTRS(attr_string("mode", "wrap")), row, wide);
    CHECK_VALUES(t.out[0], DIMS(10), 1, 2, 3, 1, 2, 3, 1, 2, 3, 1);
    CHECK_RUN(&t, "PadGrad", ATTRS(attr_string("mode", "reflect")), COUNTING(&t, DT_F32, 10),
        VECTOR(&t, DT_F32, 1, 2, 3), wide);
    CHECK_VALUES(t.out[0], DIMS(3), 3 + 7, 0 + 2 + 4 + 6 + 8, 1 + 5 + 9);
    arena_release(&t.a);
}

TEST(gathers)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 3, 2);
    CHECK_RUN(&t, "Gather", NO_ATTRS, x, MATRIX(&t, DT_I32, 2, 1, 2, -3));
    CHECK_VALUES(t.out[0], DIMS(2, 1, 2), 4, 5, 0, 1);
    CHECK_RUN(&t, "Gather", ATTRS(attr_int("axis", 1)), x, emit_i64(&t.b, -1));
    CHECK_VALUES(t.out[0], DIMS(3), 1, 3, 5);
    CHECK_RUN(&t, "GatherGrad", NO_ATTRS, COUNTING(&t, DT_F32, 3, 2), x, LIST(&t, 1, 0, 1));
    CHECK_VALUES(t.out[0], DIMS(3, 2), 2, 3, 4, 6, 0, 0);
    CHECK_RUN(&t, "GatherElements", ATTRS(attr_int("axis", 1)), x, MATRIX(&t, DT_I64, 2, 3, 0, 1, -1, 0, 0, 1));
    CHECK_VALUES(t.out[0], DIMS(2, 3), 0, 1, 1, 2, 2, 3);
    CHECK_RUN(&t, "GatherND", NO_ATTRS, x, MATRIX(&t, DT_I64, 2, 2, 0, 1, 2, -2));
    CHECK_VALUES(t.out[0], DIMS(2), 1, 4);
    CHECK_RUN(&t, "GatherND", ATTRS(attr_int("batch_dims", 1)), x, MATRIX(&t, DT_I64, 3, 1, 0, 1, 0));
    CHECK_VALUES(t.out[0], DIMS(3), 0, 3, 4);
    CHECK_RUN(&t, "GatherNDGrad", NO_ATTRS, COUNTING(&t, DT_F32, 2, 2), x, MATRIX(&t, DT_I64, 2, 1, 1, 1));
    CHECK_VALUES(t.out[0], DIMS(3, 2), 0, 0, 2, 4, 0, 0);
    arena_release(&t.a);
}

static bool is_text(struct string_element got, const char *want)
{
    return got.len == strlen(want) && !memcmp(got.text, want, got.len);
}

TEST(strings_move)
{
    struct bench t;
    bench_init(&t);
    struct shape s = shape_of(1, (int64_t[]){ 3 });
    struct tensor *x = tensor_new(&t.a, DT_STRING, &s, &t.e);
    struct string_element *text = x->data, *moved;
    text[0] = (struct string_element){ "a", 1 }, text[1] = (struct string_element){ "bc", 2 };
    CHECK_RUN(&t, "Slice", NO_ATTRS, emit_const(&t.b, x), LIST(&t, 1), LIST(&t, -10), LIST(&t, 0), LIST(&t, -1));
    moved = t.out[0]->data;
    CHECK(is_text(moved[0], "bc"));
    CHECK(is_text(moved[1], "a"));
    CHECK_RUN(&t, "Tile", NO_ATTRS, emit_const(&t.b, x), LIST(&t, 2));
    moved = t.out[0]->data;
    CHECK(is_text(moved[4], "bc"));
    arena_release(&t.a);
}

TEST(made_from_shapes)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3, 4);
    CHECK_RUN(&t, "Shape", ATTRS(attr_int("start", -2), attr_int("end", 10)), x);
    CHECK_VALUES(t.out[0], DIMS(2), 3, 4);
    CHECK_RUN(&t, "Size", NO_ATTRS, x);
    CHECK_INT(tensor_get_i64(t.out[0], 0), 24);
    CHECK_RUN(&t, "EyeLike", ATTRS(attr_int("k", 1), attr_int("dtype", DT_I8)), COUNTING(&t, DT_F32, 2, 3));
    CHECK_VALUES(t.out[0], DIMS(2, 3), 0, 1, 0, 0, 0, 1);
    CHECK_RUN(&t, "Range", NO_ATTRS, emit_scalar(&t.b, DT_F32, 1), emit_scalar(&t.b, DT_F32, 0),
        emit_scalar(&t.b, DT_F32, -0.3));
    CHECK_VALUES(t.out[0], DIMS(4), 1, 0.7, 0.4, 0.1);
    CHECK_RUN(&t, "Range", NO_ATTRS, emit_i64(&t.b, 5), emit_i64(&t.b, 1), emit_i64(&t.b, 1));
    CHECK_INT(tensor_count(t.out[0]), 0);
    CHECK_RUN(&t, "ConstantOfShape", ATTRS(attr_tensor("value", VECTOR(&t, DT_U16, 7)->data)), LIST(&t, 1, 2));
    CHECK_VALUES(t.out[0], DIMS(1, 2), 7, 7);
    arena_release(&t.a);
}

/* Sizes that are no multiples of the blocks which large ones are turned in. */
TEST(large_tensors_are_turned)
{
    static const enum dtype types[] = { DT_I8, DT_F16, DT_F32, DT_F64 };
    static const int64_t perms[][3] = { { 1, 0, 2 }, { 0, 2, 1 }, { 2, 1, 0 }, { 2, 0, 1 }, { 1, 2, 0 } };
    const int64_t dims[] = { 19, 37, 70 };
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        for (size_t p = 0; p < sizeof perms / sizeof *perms; p++) {
            struct bench t;
            bench_init(&t);
            struct value *x = constant(&t, types[k], dims, 3, NULL);
            for (int64_t i = 0; i < tensor_count(x->data); i++)
                tensor_set_f64((struct tensor *)(uintptr_t)x->data, i, (double)(i * 7919 % 127));
            CHECK_RUN(&t, "Transpose", ATTRS(attr_ints("perm", perms[p], 3)), x);
            const struct tensor *y = t.out[0];
            int64_t wrong = 0, at[3], to[3] = { y->shape.dim[1] * y->shape.dim[2], y->shape.dim[2], 1 };
            for (at[0] = 0; at[0] < dims[0]; at[0]++)
                for (at[1] = 0; at[1] < dims[1]; at[1]++)
                    for (at[2] = 0; at[2] < dims[2]; at[2]++) {
                        int64_t i = (at[0] * dims[1] + at[1]) * dims[2] + at[2], j = 0;
                        for (int d = 0; d < 3; d++) j += at[perms[p][d]] * to[d];
                        wrong += tensor_get_f64(y, j) != (double)(i * 7919 % 127);
                    }
            CHECK_INT(wrong, 0);
            arena_release(&t.a);
        }
}

/* A number below `below` that depends on seed and place. */
static int64_t drawn(uint32_t seed, uint32_t place, int64_t below)
{
    uint32_t mixed = (seed * 64 + place) * 2654435761u;
    mixed = (mixed ^ mixed >> 15) * 2246822519u;
    return (mixed >> 8) % below;
}

/* A copy whose loops, and steps on both sides, come in some order, with elements that are repeated and left out. */
static struct move any_move(uint32_t seed)
{
    static const int64_t dims[] = { 1, 2, 3, 5, 16, 70 };
    struct move m = { .rank = 2 + (int)drawn(seed, 0, 3) };
    int64_t to = 1, from = drawn(seed, 1, 4) ? 1 : 2, order[2][4] = { { 0, 1, 2, 3 }, { 0, 1, 2, 3 } };
    for (int d = 0; d < m.rank; d++) m.dim[d] = dims[drawn(seed, 2 + (uint32_t)d, d < 3 ? 6 : 3)];
    for (int side = 0; side < 2; side++)
        for (int d = m.rank - 1; d > 0; d--) {
            int64_t k = drawn(seed, (uint32_t)(10 + side * 4 + d), d + 1), was = order[side][d];
            order[side][d] = order[side][k], order[side][k] = was;
        }
    for (int i = 0; i < m.rank; i++) {
        int64_t d = order[0][i], f = order[1][i];
        m.to[d] = to, to *= m.dim[d];
        m.from[f] = drawn(seed, (uint32_t)(20 + f), 6) ? from : 0, from *= m.dim[f];
    }
    return m;
}

static int64_t extent(const struct move *m, const int64_t *step)
{
    int64_t n = 1;
    for (int d = 0; d < m->rank; d++) n += (m->dim[d] - 1) * step[d];
    return n;
}

static void try_move(uint32_t seed, size_t size, struct arena *a)
{
    struct move m = any_move(seed);
    int64_t n = extent(&m, m.to), index[MOVE_MAX] = { 0 }, wrong = 0;
    unsigned char *from = arena_array(a, (size_t)extent(&m, m.from), size), *to = arena_array(a, (size_t)n, size);
    for (int64_t i = 0; i < extent(&m, m.from) * (int64_t)size; i++)
        from[i] = (unsigned char)drawn(seed, (uint32_t)i, 251);
    move_run(&m, 2, size, to, from);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = 0, source = 0, rest = i;
        for (int d = m.rank - 1; d >= 0; d--) {
            index[d] = rest % m.dim[d], rest /= m.dim[d];
            at += index[d] * m.to[d], source += index[d] * m.from[d];
        }
        wrong += memcmp(to + at * (int64_t)size, from + source * (int64_t)size, size) != 0;
    }
    CHECK_INT(wrong, 0);
}

TEST(copies_between_any_two_orders)
{
    static const size_t sizes[] = { 1, 2, 4, 8, 16 };
    struct arena a;
    arena_init(&a, NULL);
    for (uint32_t seed = 0; seed < 300; seed++) try_move(seed, sizes[seed % 5], &a);
    arena_release(&a);
}
