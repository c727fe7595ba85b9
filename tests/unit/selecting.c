/* selecting.c - tests of the operators that scatter, choose, sort, draw and unfold; what must fail comes first. */
#include "movers.h"

TEST(scatters_refuse)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3), *one = MATRIX(&t, DT_F32, 1, 1, 9),
                 *zero = MATRIX(&t, DT_I64, 1, 1, 0);
    CHECK_FAILS(&t, "index 2", "ScatterElements", NO_ATTRS, x, MATRIX(&t, DT_I64, 1, 1, 2), one);
    CHECK_FAILS(&t, "index -3", "ScatterElements", NO_ATTRS, x, MATRIX(&t, DT_I64, 1, 1, -3), one);
    CHECK_FAILS(&t, "differ in shape", "ScatterElements", NO_ATTRS, x, zero, COUNTING(&t, DT_F32, 1, 2));
    CHECK_FAILS(&t, "updates are int8", "ScatterElements", NO_ATTRS, x, zero, MATRIX(&t, DT_I8, 1, 1, 0));
    CHECK_FAILS(&t, "reduction is \"avg\"", "ScatterND", ATTRS(attr_string("reduction", "avg")), x, zero, one);
    CHECK_FAILS(&t, "index 2", "ScatterND", NO_ATTRS, x, MATRIX(&t, DT_I64, 1, 2, 2, 0), VECTOR(&t, DT_F32, 1));
    CHECK_FAILS(
        &t, "not of the shape", "ScatterND", NO_ATTRS, x, MATRIX(&t, DT_I64, 1, 2, 1, 0), COUNTING(&t, DT_F32, 2));
    arena_release(&t.a);
}

TEST(choices_refuse)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_F32, 2, 3), *three = emit_i64(&t.b, 3), *pair = VECTOR(&t, DT_F32, 0, 1);
    CHECK_FAILS(&t, "depth is -1", "OneHot", NO_ATTRS, LIST(&t, 0), emit_i64(&t.b, -1), pair);
    CHECK_FAILS(&t, "values (input 2) has 3", "OneHot", NO_ATTRS, LIST(&t, 0), three, VECTOR(&t, DT_F32, 0, 1, 2));
    CHECK_FAILS(&t, "axis is 2", "OneHot", ATTRS(attr_int("axis", 2)), LIST(&t, 0), three, pair);
    CHECK_FAILS(&t, "rank 9", "OneHot", NO_ATTRS, COUNTING(&t, DT_I64, 1, 1, 1, 1, 1, 1, 1, 1), three, pair);
    CHECK_FAILS(&t, "more elements", "OneHot", NO_ATTRS, LIST(&t, 0, 1, 2), emit_i64(&t.b, INT64_MAX / 16), pair);
    CHECK_FAILS(&t, "axis has size 2", "Compress", ATTRS(attr_int("axis", 0)), x, VECTOR(&t, DT_BOOL, 0, 0, 1));
    CHECK_FAILS(&t, "rank 0", "Compress", NO_ATTRS, x, emit_scalar(&t.b, DT_BOOL, 1));
    CHECK_FAILS(&t, "has rank 1", "Trilu", NO_ATTRS, pair);
    CHECK_FAILS(&t, "k (input 1) has 2", "Trilu", NO_ATTRS, x, LIST(&t, 0, 1));
    CHECK_FAILS(&t, "sequence length 1 is 3, of 2", "ReverseSequence", NO_ATTRS, x, LIST(&t, 1, 3, 2));
    CHECK_FAILS(&t, "2 sequence lengths for a batch of 3", "ReverseSequence", NO_ATTRS, x, LIST(&t, 1, 1));
    CHECK_FAILS(&t, "time_axis is 1", "ReverseSequence", ATTRS(attr_int("time_axis", 1)), x, LIST(&t, 1, 1));
    CHECK_FAILS(&t, "K is 4, the axis has size 3", "TopK", NO_ATTRS, x, LIST(&t, 4));
    CHECK_FAILS(&t, "K is -1", "TopK", NO_ATTRS, x, LIST(&t, -1));
    CHECK_FAILS(&t, "K has 2", "TopK", NO_ATTRS, x, LIST(&t, 1, 1));
    CHECK_FAILS(&t, "axis is 2", "Unique", ATTRS(attr_int("axis", 2)), x);
    arena_release(&t.a);
}

TEST(windows_refuse)
{
    struct bench t;
    bench_init(&t);
    struct value *columns = COUNTING(&t, DT_F32, 1, 4, 4), *two = LIST(&t, 2, 2), *x = COUNTING(&t, DT_F32, 1, 1, 3, 3);
    CHECK_FAILS(&t, "4 columns, but the image has 9", "Col2Im", NO_ATTRS, columns, LIST(&t, 4, 4), two);
    CHECK_FAILS(&t, "no multiple of the block's 6", "Col2Im", NO_ATTRS, columns, LIST(&t, 3, 4), LIST(&t, 2, 3));
    CHECK_FAILS(&t, "larger than the padded image", "Col2Im", NO_ATTRS, columns, LIST(&t, 1, 5), two);
    CHECK_FAILS(&t, "too small along dimension 1", "Col2Im", NO_ATTRS, columns, LIST(&t, 3, 3), LIST(&t, 2, 0));
    CHECK_FAILS(&t, "3 entries, block_shape 2", "Col2Im", NO_ATTRS, columns, LIST(&t, 3, 3, 3), two);
    CHECK_FAILS(&t, "too large", "Col2Im", NO_ATTRS, columns, LIST(&t, INT64_MAX, 2), two);
    int64_t zero[] = { 1, 0 }, kernel[] = { 2, 2 };
    struct attr size = attr_ints("kernel_shape", kernel, 2);
    CHECK_FAILS(&t, "strides[1] is 0", "Im2Col", ATTRS(size, attr_ints("strides", zero, 2)), x);
    CHECK_FAILS(&t, "pads has 2 entries", "Im2Col", ATTRS(size, attr_ints("pads", kernel, 2)), x);
    CHECK_FAILS(&t, "has rank 3", "Im2Col", ATTRS(size), columns);
    CHECK_FAILS(&t, "kernel_shape[1] is 0", "Im2Col", ATTRS(attr_ints("kernel_shape", zero, 2)), x);
    arena_release(&t.a);
}

TEST(draws_refuse)
{
    struct bench t;
    bench_init(&t);
    int64_t bad[] = { 2, -1 };
    struct node *n = builder_node(&t.b, "RandomNormal", ATTRS(attr_ints("shape", bad, 2)), NULL, 0, 1);
    check_fails(&t, n ? 0 : t.e.code, "dimension 1 is -1");
    CHECK_FAILS(&t, "of type string", "RandomNormalLike", ATTRS(attr_int("dtype", DT_STRING)), LIST(&t, 1));
    CHECK_FAILS(&t, "dtype is 77", "RandomUniformLike", ATTRS(attr_int("dtype", 77)), LIST(&t, 1));
    CHECK_FAILS(&t, "holds no weights", "Multinomial", NO_ATTRS, MATRIX(&t, DT_F32, 1, 2, NAN, NAN));
    CHECK_FAILS(&t, "sample_size is -1", "Multinomial", ATTRS(attr_int("sample_size", -1)), COUNTING(&t, DT_F32, 1, 2));
    arena_release(&t.a);
}

TEST(scatters)
{
    struct bench t;
    bench_init(&t);
    struct value *x = VECTOR(&t, DT_F32, 1, 2, 3), *index = LIST(&t, 1, -2, 0),
                 *updates = VECTOR(&t, DT_F32, 5, 4, 0.5);
    CHECK_RUN(&t, "ScatterElements", NO_ATTRS, x, index, updates);
    CHECK_VALUES(t.out[0], DIMS(3), 0.5, 4, 3);
    static const struct {
        const char *how;
        double want[3];
    } rows[] = { { "add", { 1.5, 11, 3 } }, { "mul", { 0.5, 40, 3 } }, { "max", { 1, 5, 3 } },
        { "min", { 0.5, 2, 3 } } };
    for (int i = 0; i < 4; i++) {
        CHECK_RUN(&t, "ScatterElements", ATTRS(attr_string("reduction", rows[i].how)), x, index, updates);
        check_values(t.out[0], (int64_t[]){ 3 }, 1, rows[i].want, 3);
    }
    CHECK_RUN(&t, "ScatterND", NO_ATTRS, COUNTING(&t, DT_I8, 2, 2), MATRIX(&t, DT_I64, 1, 1, 1),
        MATRIX(&t, DT_I8, 1, 2, 7, 8));
    CHECK_VALUES(t.out[0], DIMS(2, 2), 0, 1, 7, 8);
    struct value *big = VECTOR(&t, DT_U8, 200), *small = VECTOR(&t, DT_U8, 100), *first = LIST(&t, 0);
    CHECK_RUN(&t, "ScatterElements", ATTRS(attr_string("reduction", "max")), big, first, small);
    CHECK_VALUES(t.out[0], DIMS(1), 200);
    arena_release(&t.a);
}

TEST(one_hot_and_compress)
{
    struct bench t;
    bench_init(&t);
    struct value *marks = VECTOR(&t, DT_F32, -1, 1), *x = COUNTING(&t, DT_I32, 2, 3);
    CHECK_RUN(&t, "OneHot", NO_ATTRS, LIST(&t, 2, -3, 3), emit_i64(&t.b, 3), marks);
    CHECK_VALUES(t.out[0], DIMS(3, 3), -1, -1, 1, 1, -1, -1, -1, -1, -1);
    CHECK_RUN(&t, "OneHot", ATTRS(attr_int("axis", 0)), LIST(&t, 1, 0), VECTOR(&t, DT_F32, 2), marks);
    CHECK_VALUES(t.out[0], DIMS(2, 2), -1, 1, 1, -1);
    CHECK_RUN(&t, "Compress", ATTRS(attr_int("axis", -1)), x, VECTOR(&t, DT_BOOL, 0, 1, 1));
    CHECK_VALUES(t.out[0], DIMS(2, 2), 1, 2, 4, 5);
    CHECK_RUN(&t, "Compress", NO_ATTRS, x, VECTOR(&t, DT_BOOL, 1, 0, 0, 0, 1));
    CHECK_VALUES(t.out[0], DIMS(2), 0, 4);
    CHECK_RUN(&t, "NonZero", NO_ATTRS, MATRIX(&t, DT_F32, 2, 2, 0, 1, NAN, -0.0));
    CHECK_VALUES(t.out[0], DIMS(2, 2), 0, 1, 1, 0);
    CHECK_RUN(&t, "NonZero", NO_ATTRS, emit_i64(&t.b, 5));
    CHECK_VALUES(t.out[0], DIMS(1, 1), 0);
    arena_release(&t.a);
}

TEST(places_in_a_volume)
{
    struct bench t;
    bench_init(&t);
    int64_t dims[] = { 7, 11, 13 }, k = 0;
    struct shape s = shape_of(3, dims);
    struct tensor *x = tensor_new(&t.a, DT_U8, &s, &t.e);
    for (int64_t i = 0; i < 1001; i++) tensor_set_i64(x, i, i * 7919 % 10 == 0 || (i > 400 && i < 700));
    CHECK_RUN(&t, "NonZero", NO_ATTRS, emit_const(&t.b, x));
    int64_t count = t.out[0]->shape.dim[1];
    for (int64_t i = 0; i < 1001; i++) {
        if (!tensor_get_i64(x, i)) continue;
        CHECK_INT(tensor_get_i64(t.out[0], k), i / 143);
        CHECK_INT(tensor_get_i64(t.out[0], count + k), i / 13 % 11);
        CHECK_INT(tensor_get_i64(t.out[0], 2 * count + k++), i % 13);
    }
    CHECK_INT(k, count);
    arena_release(&t.a);
}

/* Rows that are taken in several parts, along each axis; and written back at once. */
TEST(elements_of_long_rows)
{
    for (int axis = 0; axis < 2; axis++) {
        struct bench t;
        bench_init(&t);
        int64_t dims[] = { 3, 1300 };
        struct shape s = shape_of(2, dims);
        struct tensor *x = tensor_new(&t.a, DT_F32, &s, &t.e), *index = tensor_new(&t.a, DT_I64, &s, &t.e);
        for (int64_t i = 0; i < 3900; i++) {
            tensor_set_f64(x, i, (double)i);
            int64_t at = axis ? 1299 - i % 1300 : (i / 1300 + i % 1300) % 3; /* each one once */
            tensor_set_i64(index, i, i % 2 ? at : at - dims[axis]);
        }
        struct value *v = emit_const(&t.b, x), *at = emit_const(&t.b, index);
        const struct attr *attrs = ATTRS(attr_int("axis", axis));
        CHECK_RUN(&t, "GatherElements", attrs, v, at);
        int wrong = 0;
        for (int64_t i = 0; i < 3900; i++) {
            int64_t row = axis ? i / 1300 : (i / 1300 + i % 1300) % 3, column = axis ? 1299 - i % 1300 : i % 1300;
            wrong += (int64_t)tensor_get_f64(t.out[0], i) != row * 1300 + column;
        }
        CHECK_INT(wrong, 0);
        struct value *taken = emit_const(&t.b, t.out[0]);
        CHECK_RUN(&t, "ScatterElements", attrs, taken, at, taken);
        for (int64_t i = 0; i < 3900; i++) wrong += (int64_t)tensor_get_f64(t.out[0], i) != i;
        CHECK_INT(wrong, 0);
        arena_release(&t.a);
    }
}

/* Boxes apart from each other, many of one score: the first ones win. */
TEST(equal_scores_keep_their_order)
{
    struct bench t;
    bench_init(&t);
    struct shape of_boxes = shape_of(3, (int64_t[]){ 1, 40, 4 }), of_scores = shape_of(3, (int64_t[]){ 1, 1, 40 });
    struct tensor *boxes = tensor_new(&t.a, DT_F32, &of_boxes, &t.e);
    struct tensor *scores = tensor_new(&t.a, DT_F32, &of_scores, &t.e);
    for (int64_t i = 0; i < 40; i++) {
        for (int64_t k = 0; k < 4; k++) tensor_set_f64(boxes, 4 * i + k, (double)(3 * i + (k > 1 ? 2 : 0)));
        tensor_set_f64(scores, i, (double)(i % 3));
    }
    struct value *most = emit_i64s(&t.b, (int64_t[]){ 20 }, 1);
    CHECK_RUN(&t, "NonMaxSuppression", NO_ATTRS, emit_const(&t.b, boxes), emit_const(&t.b, scores), most);
    CHECK_INT(t.out[0]->shape.dim[0], 20);
    for (int64_t i = 0; i < 20; i++) /* 13 of score 2, then those of score 1 */
        CHECK_INT(tensor_get_i64(t.out[0], 3 * i + 2), i < 13 ? 3 * i + 2 : 3 * (i - 13) + 1);
    arena_release(&t.a);
}

TEST(triangles_and_sequences)
{
    struct bench t;
    bench_init(&t);
    struct value *x = COUNTING(&t, DT_I64, 2, 3), *ones = MATRIX(&t, DT_F32, 2, 3, 1, 1, 1, 1, 1, 1);
    CHECK_RUN(&t, "Trilu", NO_ATTRS, ones);
    CHECK_VALUES(t.out[0], DIMS(2, 3), 1, 1, 1, 0, 1, 1);
    CHECK_RUN(&t, "Trilu", ATTRS(attr_int("upper", 0)), ones, emit_i64(&t.b, 1));
    CHECK_VALUES(t.out[0], DIMS(2, 3), 1, 1, 0, 1, 1, 1);
    CHECK_RUN(&t, "Trilu", ATTRS(attr_int("upper", 0)), ones, emit_i64(&t.b, INT64_MIN));
    CHECK_VALUES(t.out[0], DIMS(2, 3), 0, 0, 0, 0, 0, 0);
    CHECK_RUN(&t, "Trilu", NO_ATTRS, ones, emit_i64(&t.b, INT64_MAX));
    CHECK_VALUES(t.out[0], DIMS(2, 3), 0, 0, 0, 0, 0, 0);
    CHECK_RUN(&t, "ReverseSequence", NO_ATTRS, x, LIST(&t, 0, 1, 2));
    CHECK_VALUES(t.out[0], DIMS(2, 3), 0, 1, 5, 3, 4, 2);
    CHECK_RUN(&t, "ReverseSequence", ATTRS(attr_int("time_axis", 1), attr_int("batch_axis", 0)), x, LIST(&t, 3, 2));
    CHECK_VALUES(t.out[0], DIMS(2, 3), 2, 1, 0, 4, 3, 5);
    arena_release(&t.a);
}

TEST(top_k)
{
    struct bench t;
    bench_init(&t);
    struct value *in[] = { MATRIX(&t, DT_F32, 2, 4, 1, 3, 3, NAN, -1, -0.0, 0, -2), LIST(&t, 3) };
    CHECK_OK(run_op(&t, "TopK", NO_ATTRS, in, 2, 2), &t.e);
    CHECK_VALUES(t.out[1], DIMS(2, 3), 3, 1, 2, 1, 2, 0);
    CHECK_OK(run_op(&t, "TopK", ATTRS(attr_int("largest", 0)), in, 2, 2), &t.e);
    CHECK_VALUES(t.out[0], DIMS(2, 3), 1, 3, 3, -2, -1, 0);
    CHECK_VALUES(t.out[1], DIMS(2, 3), 0, 1, 2, 3, 0, 1);
    in[0] = MATRIX(&t, DT_I8, 3, 2, -128, 5, 127, 5, 0, 4);
    in[1] = LIST(&t, 2);
    CHECK_OK(run_op(&t, "TopK", ATTRS(attr_int("axis", 0)), in, 2, 2), &t.e);
    CHECK_VALUES(t.out[0], DIMS(2, 2), 127, 5, 0, 5);
    CHECK_VALUES(t.out[1], DIMS(2, 2), 1, 0, 2, 1);
    arena_release(&t.a);
}

/* Orders that doubles cannot tell apart. */
TEST(top_k_of_large_integers)
{
    struct bench t;
    bench_init(&t);
    struct value *in[] = { VECTOR(&t, DT_U64, 0, 0, 0), LIST(&t, 3) };
    uint64_t *x = in[0]->data->data;
    x[0] = UINT64_MAX - 1, x[1] = UINT64_MAX, x[2] = INT64_MAX;
    CHECK_OK(run_op(&t, "TopK", NO_ATTRS, in, 2, 2), &t.e);
    CHECK_VALUES(t.out[1], DIMS(3), 1, 0, 2);
    arena_release(&t.a);
}

/* Whether element a of a list comes before b among the largest: equal ones in their order. */
static bool is_ahead(const float *x, int64_t inner, int64_t a, int64_t b)
{
    return x[a * inner] != x[b * inner] ? x[a * inner] > x[b * inner] : a < b;
}

/* (outer, size, inner) numbers, many of them alike: the rank of each of the k by counting those before it. */
static void try_top(enum dtype type, int64_t outer, int64_t size, int64_t inner, int64_t k)
{
    struct bench t;
    bench_init(&t);
    struct shape shape = shape_of(3, (int64_t[]){ outer, size, inner });
    struct tensor *x = tensor_new(&t.a, type, &shape, &t.e);
    float *v = ARENA_ARRAY(&t.a, tensor_count(x), float);
    for (int64_t i = 0; i < tensor_count(x); i++) {
        v[i] = (float)(i * 7919 % 1009 % 37 - (type == DT_U8 ? 0 : 18));
        tensor_set_f64(x, i, (double)v[i]);
    }
    struct value *in[] = { emit_const(&t.b, x), LIST(&t, k) };
    CHECK_OK(run_op(&t, "TopK", ATTRS(attr_int("axis", 1)), in, 2, 2), &t.e);
    int wrong = 0;
    for (int64_t list = 0; list < outer * inner; list++)
        for (int64_t c = 0; c < k; c++) {
            int64_t o = list / inner, column = list % inner, to = (o * k + c) * inner + column, before = 0;
            const float *first = v + o * size * inner + column;
            int64_t at = tensor_get_i64(t.out[1], to);
            for (int64_t i = 0; i < size; i++) before += is_ahead(first, inner, i, at);
            wrong += before != c || (float)tensor_get_f64(t.out[0], to) != first[at * inner];
        }
    CHECK(!wrong);
    arena_release(&t.a);
}

TEST(top_k_of_many_lists)
{
    static const int64_t sizes[][4] = { { 3, 70, 1, 5 }, { 1, 130, 1, 130 }, { 2, 33, 100, 4 }, { 2, 9, 65, 9 },
        { 5, 1, 7, 1 }, { 40, 200, 3, 1 }, { 3, 64, 128, 63 }, { 1, 4200, 2, 4100 },
        { 2, 200, 150, 7 }, { 150, 300, 1, 32 }, { 20, 3, 1, 3 } };
    static const enum dtype types[] = { DT_F32, DT_F16, DT_I8, DT_U8, DT_F64 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < sizeof types / sizeof *types; k++)
            try_top(types[k], sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
}

TEST(unique)
{
    struct bench t;
    bench_init(&t);
    struct value *x = VECTOR(&t, DT_F32, 2, 1, 1, 3, 4, 3);
    CHECK_OK(run_op(&t, "Unique", NO_ATTRS, &x, 1, 4), &t.e);
    CHECK_VALUES(t.out[0], DIMS(4), 1, 2, 3, 4);
    CHECK_VALUES(t.out[1], DIMS(4), 1, 0, 3, 4);
    CHECK_VALUES(t.out[2], DIMS(6), 1, 0, 0, 2, 3, 2);
    CHECK_VALUES(t.out[3], DIMS(4), 2, 1, 2, 1);
    CHECK_OK(run_op(&t, "Unique", ATTRS(attr_int("sorted", 0)), &x, 1, 4), &t.e);
    CHECK_VALUES(t.out[0], DIMS(4), 2, 1, 3, 4);
    CHECK_VALUES(t.out[2], DIMS(6), 0, 1, 1, 2, 3, 2);
    x = MATRIX(&t, DT_I16, 2, 3, 5, 1, 5, 6, 1, 6);
    CHECK_OK(run_op(&t, "Unique", ATTRS(attr_int("axis", 1)), &x, 1, 4), &t.e);
    CHECK_VALUES(t.out[0], DIMS(2, 2), 1, 5, 1, 6);
    CHECK_VALUES(t.out[3], DIMS(2), 1, 2);
    x = COUNTING(&t, DT_F32, 0);
    CHECK_OK(run_op(&t, "Unique", NO_ATTRS, &x, 1, 4), &t.e);
    CHECK_INT(tensor_count(t.out[0]), 0);
    arena_release(&t.a);
}

TEST(windows)
{
    struct bench t;
    bench_init(&t);
    int64_t kernel[] = { 2, 2 }, two[] = { 2, 2 }, pads[] = { 1, 0, 0, 1 };
    struct attr size = attr_ints("kernel_shape", kernel, 2), stride = attr_ints("strides", two, 2);
    struct value *x = COUNTING(&t, DT_F32, 1, 1, 3, 3);
    CHECK_RUN(&t, "Im2Col", ATTRS(size), x);
    CHECK_VALUES(t.out[0], DIMS(1, 4, 4), 0, 1, 3, 4, 1, 2, 4, 5, 3, 4, 6, 7, 4, 5, 7, 8);
    CHECK_RUN(&t, "Col2Im", NO_ATTRS, emit_const(&t.b, t.out[0]), LIST(&t, 3, 3), LIST(&t, 2, 2));
    CHECK_VALUES(t.out[0], DIMS(1, 1, 3, 3), 0, 2, 2, 6, 16, 10, 6, 14, 8);
    CHECK_RUN(&t, "Im2Col", ATTRS(size, stride, attr_ints("pads", pads, 4)), x);
    CHECK_VALUES(t.out[0], DIMS(1, 4, 4), 0, 0, 3, 5, 0, 0, 4, 0, 0, 2, 6, 8, 1, 0, 7, 0);
    /* the first example of ONNX's documentation: each column becomes a row */
    CHECK_RUN(&t, "Col2Im", NO_ATTRS, COUNTING(&t, DT_F32, 1, 3, 2), LIST(&t, 2, 3), LIST(&t, 1, 3));
    CHECK_VALUES(t.out[0], DIMS(1, 1, 2, 3), 0, 2, 4, 1, 3, 5);
    arena_release(&t.a);
}

static double mean_of(const struct tensor *t, double power)
{
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(t); i++) sum += pow(tensor_get_f64(t, i), power);
    return sum / (double)tensor_count(t);
}

TEST(draws_depend_on_seed_step_and_place_only)
{
    struct bench t;
    bench_init(&t);
    struct value *like = COUNTING(&t, DT_F32, 100, 200), *step = emit_i64(&t.b, 3);
    struct attr seed = attr_float("seed", 4);
    CHECK_RUN(&t, "RandomNormalLike", ATTRS(seed), like, step);
    struct tensor *a = t.out[0];
    CHECK_NEAR(mean_of(a, 1), 0, 0.03);
    CHECK_NEAR(mean_of(a, 2), 1, 0.03);
    CHECK_RUN(&t, "RandomNormalLike", ATTRS(seed), like, step);
    CHECK(!memcmp(a->data, t.out[0]->data, (size_t)tensor_bytes(a)));
    CHECK_RUN(&t, "RandomNormalLike", ATTRS(seed), like, emit_i64(&t.b, 4));
    CHECK(memcmp(a->data, t.out[0]->data, (size_t)tensor_bytes(a)));
    CHECK_RUN(&t, "RandomUniformLike", ATTRS(attr_int("dtype", DT_BF16)), like);
    a = t.out[0];
    double highest = 0;
    for (int64_t i = 0; i < tensor_count(a); i++) highest = fmax(highest, tensor_get_f64(a, i));
    CHECK(highest < 1);
    CHECK_NEAR(mean_of(a, 1), 0.5, 0.01);
    CHECK_RUN(&t, "RandomUniformLike", ATTRS(attr_int("dtype", DT_BF16)), like);
    CHECK(memcmp(a->data, t.out[0]->data, (size_t)tensor_bytes(a))); /* another node, another name */
    CHECK_RUN(&t, "Bernoulli", NO_ATTRS, VECTOR(&t, DT_F64, 0, 1, 0, 1));
    CHECK_VALUES(t.out[0], DIMS(4), 0, 1, 0, 1);
    CHECK_RUN(
        &t, "Multinomial", ATTRS(attr_int("sample_size", 2)), MATRIX(&t, DT_F32, 2, 2, -INFINITY, 0, 0, -INFINITY));
    CHECK_VALUES(t.out[0], DIMS(2, 2), 1, 1, 0, 0);
    arena_release(&t.a);
}
