/* shapes.c - tests of symbolic dimensions and partly known contents through the operators of shape arithmetic. */
#include "movers.h"

static struct value *input(struct bench *t, const char *name, enum dtype type, const int64_t *dims, int rank)
{
    struct shape s = rank < 0 ? shape_unknown() : shape_of(rank, dims);
    return graph_input(t->g, name, type, &s, &t->e);
}

TEST(unknown_ranks_pass)
{
    struct bench t;
    bench_init(&t);
    struct value *x = input(&t, "x", DT_F32, NULL, -1), *i = input(&t, "i", DT_I64, NULL, -1);
    static const char *const one[] = { "Identity", "Shape", "Size", "Flatten", "Squeeze", "Transpose", "EyeLike" };
    for (int k = 0; k < 7; k++) emit(&t.b, one[k], NO_ATTRS, x);
    static const char *const two[] = { "Reshape", "Expand", "Tile", "Unsqueeze", "Squeeze", "Gather", "GatherElements",
        "GatherND", "Pad", "CenterCropPad" };
    for (int k = 0; k < 10; k++) emit(&t.b, two[k], NO_ATTRS, x, i);
    emit(&t.b, "Slice", NO_ATTRS, x, i, i, i, i);
    emit(&t.b, "Concat", ATTRS(attr_int("axis", 1)), x, x);
    emit(&t.b, "ConstantOfShape", NO_ATTRS, i);
    emit(&t.b, "DepthToSpace", ATTRS(attr_int("blocksize", 2)), x);
    builder_node(&t.b, "Split", ATTRS(attr_int("axis", 1)), &x, 1, 3);
    CHECK_OK(t.e.code, &t.e);
    arena_release(&t.a);
}

TEST(shape_arithmetic_keeps_symbols)
{
    struct bench t;
    bench_init(&t);
    struct builder *b = &t.b;
    int64_t n = graph_symbol(t.g, "N");
    struct value *x = input(&t, "x", DT_F32, DIMS(n, 8, 2, 2)), *shape = emit(b, "Shape", NO_ATTRS, x);
    struct value *first = emit(b, "Gather", NO_ATTRS, shape, LIST(&t, 0));
    struct value *rest = emit(b, "Slice", NO_ATTRS, shape, LIST(&t, 1), LIST(&t, INT64_MAX));
    struct value *target = emit(b, "Concat", ATTRS(attr_int("axis", 0)), first, LIST(&t, -1));
    struct value *y = emit(b, "Reshape", NO_ATTRS, x, target);
    CHECK_OK(t.e.code, &t.e);
    CHECK_INT(y->shape.dim[0], n);
    CHECK_INT(y->shape.dim[1], 32);
    y = emit(b, "Reshape", NO_ATTRS, x, LIST(&t, -1, 32));
    CHECK_INT(y->shape.dim[0], n);
    y = emit(b, "Reshape", NO_ATTRS, x, LIST(&t, 0, 0, -1));
    CHECK_INT(y->shape.dim[2], 4);
    y = emit(
        b, "Expand", NO_ATTRS, COUNTING(&t, DT_F32, 1, 1), emit(b, "Slice", NO_ATTRS, shape, LIST(&t, 0), LIST(&t, 2)));
    CHECK_INT(y->shape.dim[0], n);
    CHECK_INT(y->shape.dim[1], 8);
    int64_t known[KNOWN_MAX];
    CHECK_INT(value_contents(rest, known), 3);
    CHECK_INT(known[2], 2);
    struct value *scalar = emit(b, "Squeeze", NO_ATTRS, first);
    CHECK_INT(value_contents(emit(b, "Unsqueeze", NO_ATTRS, scalar, LIST(&t, 0)), known), 1);
    CHECK_INT(dim_from_known(known[0]), n);
    arena_release(&t.a);
}

/* The exporters' way to spell F.pad: zeros appended, reversed in pairs. */
TEST(contents_go_through_movers)
{
    struct bench t;
    bench_init(&t);
    struct builder *b = &t.b;
    const struct tensor *zero = LIST(&t, 0)->data;
    struct value *zeros = emit(b, "ConstantOfShape", ATTRS(attr_tensor("value", zero)), LIST(&t, 4));
    struct value *all = emit(b, "Concat", ATTRS(attr_int("axis", 0)), LIST(&t, 1, 2, 3, 4), zeros);
    struct value *pairs = emit(b, "Reshape", NO_ATTRS, all, LIST(&t, -1, 2));
    pairs = emit(b, "Slice", NO_ATTRS, pairs, LIST(&t, -1), LIST(&t, INT64_MIN), LIST(&t, 0), LIST(&t, -1));
    struct value *pads = emit(b, "Reshape", NO_ATTRS, emit(b, "Transpose", NO_ATTRS, pairs), LIST(&t, -1));
    int64_t n = graph_symbol(t.g, "N");
    struct value *y = emit(b, "Pad", NO_ATTRS, input(&t, "x", DT_F32, DIMS(n, 3, 5, 5)), pads);
    CHECK_OK(t.e.code, &t.e);
    if (!y) return;
    CHECK_INT(y->shape.dim[0], n);
    CHECK_INT(y->shape.dim[1], 3);
    CHECK_INT(y->shape.dim[2], 5 + 3 + 4);
    CHECK_INT(y->shape.dim[3], 5 + 1 + 2);
    arena_release(&t.a);
}

TEST(symbols_that_cannot_be_told_apart)
{
    struct bench t;
    bench_init(&t);
    struct builder *b = &t.b;
    int64_t n = graph_symbol(t.g, "N");
    struct value *x = input(&t, "x", DT_F32, DIMS(n, 4)), *known4 = COUNTING(&t, DT_F32, 2, 4);
    struct value *y = emit(b, "Concat", ATTRS(attr_int("axis", 0)), x, known4);
    CHECK_INT(y->shape.dim[0], DIM_UNKNOWN);
    CHECK_INT(y->shape.dim[1], 4);
    y = emit(b, "Slice", NO_ATTRS, x, LIST(&t, 0), LIST(&t, 2));
    CHECK_INT(y->shape.dim[0], DIM_UNKNOWN);
    y = emit(b, "Slice", NO_ATTRS, x, LIST(&t, 0), emit(b, "Shape", ATTRS(attr_int("end", 1)), x));
    CHECK_INT(y->shape.dim[0], n);
    y = emit(b, "Squeeze", NO_ATTRS, x);
    CHECK_INT(y->shape.rank, RANK_UNKNOWN);
    y = emit(b, "Range", NO_ATTRS, emit_i64(b, 0),
        emit(b, "Gather", NO_ATTRS, emit(b, "Shape", NO_ATTRS, x), emit_i64(b, 0)), emit_i64(b, 1));
    CHECK_INT(y->shape.dim[0], n);
    CHECK_OK(t.e.code, &t.e);
    arena_release(&t.a);
}
