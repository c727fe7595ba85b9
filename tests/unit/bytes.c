/* bytes.c - kernels of 8-bit numbers against plain loops and the reference, to the bit. */
#include "tap.h"

#include "backend/backend.h"
#include "backend/cpu/bytes_move.h"
#include "base/arena.h"
#include "base/err.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "plan/plan.h"

struct fixture {
    struct arena a;
    struct err e;
    struct graph *g;
    struct builder b;
    struct tensor *x[2]; /* of the inputs */
    unsigned seed;
};

static unsigned random_byte(struct fixture *f)
{
    f->seed = f->seed * 1664525 + 1013904223;
    return f->seed >> 24;
}

static void begin(struct fixture *f)
{
    unsigned seed = f->seed;
    memset(f, 0, sizeof *f);
    f->seed = seed;
    arena_init(&f->a, NULL);
    f->g = graph_new(&f->a, &op_registry, "g", &f->e);
    f->b = (struct builder){ f->g, &f->e };
}

#define DIMS(...) (int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), ((const int64_t[]){ __VA_ARGS__ })
#define INTS(name, ...) \
    attr_ints(name, (const int64_t[]){ __VA_ARGS__ }, sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

static struct tensor *bytes(struct fixture *f, enum dtype t, int rank, const int64_t *dims)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *x = tensor_new(&f->a, t, &s, &f->e);
    for (int64_t i = 0; i < tensor_count(x); i++) ((uint8_t *)x->data)[i] = (uint8_t)random_byte(f);
    return x;
}

static struct value *scalar(struct fixture *f, enum dtype t, double v)
{
    return emit_scalar(&f->b, t, v);
}

static struct value *input(struct fixture *f, int i, struct tensor *x)
{
    f->x[i] = x;
    return graph_input(f->g, i ? "b" : "x", x->dtype, &x->shape, &f->e);
}

/* The plan's answer has the reference's bits, with one thread and with two. Returns the plan's number of steps that
 * another kernel than `kernel` does, reorders too (NULL: all). */
static int same_as_reference(struct fixture *f, const char *kernel, const char *what)
{
    struct tensor *want[1] = { NULL };
    struct shape shapes[2];
    int others = 0;
    CHECK_OK(f->e.code ? f->e.code : graph_tidy(f->g, &f->e), &f->e);
    CHECK_OK(graph_interpret(f->g, f->x, want, &f->a, NULL, &f->e), &f->e);
    for (int i = 0; i < 2 && f->x[i]; i++) shapes[i] = f->x[i]->shape;
    for (int threads = 1; threads <= 2 && want[0] && !f->e.code; threads++) {
        struct session *s = session_new(f->g, &(struct session_options){ .threads = threads }, &f->e);
        struct tensor got = { 0 };
        CHECK_OK(s ? session_run(s, (const struct tensor *const *)f->x, &got, &f->e) : f->e.code, &f->e);
        bool same = got.data && !memcmp(got.data, want[0]->data, (size_t)tensor_bytes(want[0]));
        if (!same) printf("# %s, %d threads\n", what, threads);
        CHECK(same);
        const struct plan *p = s ? session_plan(s, shapes, &f->e) : NULL;
        others = 0;
        for (size_t i = 0; p && i < p->n_steps; i++) {
            const struct kernel *k = p->steps[i]->step.kernel;
            others += !kernel || p->steps[i]->kind != STEP_KERNEL || !k || strcmp(k->name, kernel);
        }
        session_free(s);
    }
    return others;
}

TEST(bytes_are_looked_up_picked_and_turned)
{
    static const int64_t sizes[][2] = { { 3, 300 }, { 58, 49 }, { 49, 58 }, { 16, 16 }, { 17, 31 }, { 200, 70 },
        { 5, 5 }, { 1, 9 }, { 2, 65 }, { 4, 4 }, { 15, 40 }, { 130, 1 } };
    struct fixture f = { .seed = 1 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        begin(&f);
        int64_t rows = sizes[k][0], cols = sizes[k][1], n = rows * cols, wrong = 0, picked = cols / 2 + 1;
        uint8_t *x = bytes(&f, DT_U8, DIMS(n))->data, *y = bytes(&f, DT_U8, DIMS(n))->data, table[256];
        int64_t *from = ARENA_ARRAY(&f.a, picked, int64_t);
        bytes_turn(x, rows, cols, y);
        for (int64_t i = 0; i < n; i++) wrong += y[i % cols * rows + i / cols] != x[i];
        CHECK_INT(wrong, 0);
        for (int i = 0; i < 256; i++) table[i] = (uint8_t)random_byte(&f);
        bytes_look_up(x, table, n - 1, y);
        for (int64_t i = 0; i < n - 1; i++) wrong += y[i] != table[x[i]];
        CHECK_INT(wrong, 0);
        for (int64_t i = 0; i < picked; i++) from[i] = random_byte(&f) * 7 % (unsigned)cols;
        struct bytes_picks *p = bytes_picks_new(&f.a, cols, picked, from, &f.e);
        bytes_pick(p, x, rows, y);
        for (int64_t i = 0; i < rows * picked; i++) wrong += y[i] != x[i / picked * cols + from[i % picked]];
        CHECK_INT(wrong, 0);
        arena_release(&f.a);
    }
}

struct depthwise {
    int64_t m, size, kernel, stride, dilation, pad;
    enum dtype to;
    int zero_x, zero_y;
    int bias; /* 0: none, 1: whole, 2: real, 3: too large for sums to be exact in float32 */
    double scale, low;
};

static struct value *depthwise(struct fixture *f, struct value *x, const struct depthwise *c)
{
    struct tensor *bias = tensor_new(&f->a, c->bias == 2 ? DT_F32 : DT_I32, &(struct shape){ 1, { c->m } }, &f->e);
    struct tensor *scales = tensor_new(&f->a, DT_F32, &bias->shape, &f->e);
    for (int64_t i = 0; i < c->m; i++) {
        double b = (double)random_byte(f) - 128;
        tensor_set_f64(bias, i, c->bias == 3 ? b * 16777000 : c->bias == 2 ? b * 0.01 : b * 30);
        tensor_set_f64(scales, i, 0.01 + random_byte(f) * 1e-4);
    }
    struct value *w = emit_const(&f->b, bytes(f, DT_I8, DIMS(c->m, 1, c->kernel, c->kernel)));
    return emit(&f->b, "QuantizedConv",
        ATTRS(attr_int("group", c->m), INTS("pads", c->pad, c->pad, c->pad, c->pad),
            INTS("strides", c->stride, c->stride), INTS("dilations", c->dilation, c->dilation),
            attr_float("low", c->low)),
        x, w, scalar(f, DT_U8, c->zero_x), NULL, scalar(f, DT_F32, 0.02), emit_const(&f->b, scales),
        scalar(f, DT_F32, c->scale), scalar(f, c->to, c->zero_y), c->bias ? emit_const(&f->b, bias) : NULL);
}

TEST(depthwise_convolutions_have_the_bits_of_the_reference)
{
    static const struct depthwise cases[] = {
        { 58, 9, 3, 1, 1, 1, DT_U8, 3, 117, 1, 0.2, -INFINITY },
        { 116, 11, 3, 2, 1, 1, DT_U8, 128, 0, 1, 0.2, 0 },
        { 64, 7, 5, 1, 1, 2, DT_I8, 0, -4, 0, 0.01, -INFINITY },
        { 130, 8, 3, 1, 2, 2, DT_U8, 255, 30, 2, 0.3, -INFINITY },
        { 192, 6, 2, 2, 1, 0, DT_I8, 7, -9, 3, 9000, -INFINITY },
        { 256, 1, 3, 1, 1, 1, DT_I8, 9, 1, 1, 0.3, -0.7 },
        { 61, 5, 5, 2, 2, 4, DT_U8, 200, 77, 2, 0.5, 0.1 },
    };
    struct fixture f = { .seed = 2 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char what[32];
        begin(&f);
        snprintf(what, sizeof what, "case %zu", i);
        struct value *x = input(&f, 0, bytes(&f, DT_U8, DIMS(2, cases[i].m, cases[i].size, cases[i].size + 3)));
        graph_output(f.g, depthwise(&f, x, &cases[i]), &f.e);
        same_as_reference(&f, NULL, what);
        arena_release(&f.a);
    }
}

/* Halves of shuffled channels, as ShuffleNet has them, without a way by row-major memory. */
TEST(channels_of_bytes_are_gathered_where_they_lie)
{
    struct fixture f = { .seed = 3 };
    begin(&f);
    const struct depthwise c = { 116, 9, 3, 1, 1, 1, DT_U8, 3, 117, 1, 0.2, -INFINITY };
    struct depthwise half = c;
    int64_t index[58];
    half.m = 58;
    for (int i = 0; i < 58; i++) index[i] = i % 2 * 58 + i / 2 - (i == 5 ? 116 : 0);
    struct value *y = depthwise(&f, input(&f, 0, bytes(&f, DT_U8, DIMS(2, 116, 9, 12))), &c);
    y = emit(&f.b, "Gather", ATTRS(attr_int("axis", 1)), y, emit_i64s(&f.b, index, 58));
    y = emit(&f.b, "MaxPool", ATTRS(INTS("kernel_shape", 3, 2), INTS("strides", 2, 3), INTS("pads", 1, 0, 1, 1)), y);
    graph_output(f.g, depthwise(&f, y, &half), &f.e);
    int others = same_as_reference(&f, "cpu", "shuffled");
    if (backend_list[0]) CHECK(others <= 4); /* two convolutions, which others may do, and the way in and out */
    arena_release(&f.a);
}

/* All pairs of bytes. */
TEST(sums_of_bytes_are_rounded_as_they_say)
{
    static const double scales[][3] = { { 0.02, 0.031, 0.04 }, { 0.5, 0.25, 0.5 }, { 1e-3, 0.7, 0.013 },
        { 0.1, 0.1, 0.1 }, { 1e-30, 1e-30, 1e-30 }, { 3, 1, 2 }, { 0.0123456, 0.0345678, 0.0271828 } };
    struct fixture f = { .seed = 4 };
    for (size_t i = 0; i < 4 * sizeof scales / sizeof *scales; i++) {
        begin(&f);
        const double *s = scales[i / 4];
        enum dtype t = i % 2 ? DT_I8 : DT_U8;
        struct tensor *a = bytes(&f, t, DIMS(256, 259)), *b = bytes(&f, DT_U8, DIMS(256, 259));
        uint8_t *to_a = a->data, *to_b = b->data;
        for (int k = 0; k < 65536; k++) to_a[k] = (uint8_t)k, to_b[k] = (uint8_t)(k >> 8);
        struct value *x = input(&f, 0, a), *y = input(&f, 1, b);
        struct value *zx = scalar(&f, t, 5), *zy = scalar(&f, DT_U8, 131);
        struct attr attrs[3] = { attr_float("low", 0) };
        if (i % 4 < 2) attrs[0] = attr_int("ratios", 1);
        y = emit(&f.b, "QuantizedAdd", attrs, x, scalar(&f, DT_F32, s[0]), zx, y, scalar(&f, DT_F32, s[1]), zy,
            scalar(&f, DT_F32, s[2]), scalar(&f, t, 3));
        graph_output(f.g, y, &f.e);
        same_as_reference(&f, NULL, "sums");
        arena_release(&f.a);
    }
}

/* Numbers half way between two steps, and their neighbours, as float32 divides them; the reference divides doubles. */
TEST(numbers_between_two_steps_are_quantized_as_by_division)
{
    static const float scales[] = { 0.02f, 1.0f / 3, 0.0123456f, 1e-20f, 7e10f, 0.99999994f, 1e-38f, 3e38f };
    enum { COUNT = 3 * 600 + 6 };
    for (size_t i = 0; i < 2 * sizeof scales / sizeof *scales; i++) {
        struct fixture f = { .seed = 5 };
        begin(&f);
        float s = scales[i / 2];
        enum dtype t = i % 2 ? DT_I8 : DT_U8;
        struct shape shape = shape_of(1, (int64_t[]){ COUNT });
        struct tensor *x = tensor_new(&f.a, DT_F32, &shape, &f.e), got = { 0 };
        float *to = x->data;
        for (int k = 0; k < 600; k++) {
            float v = ((float)k - 300.5f) * s;
            *to++ = v, *to++ = nextafterf(v, INFINITY), *to++ = nextafterf(v, -INFINITY);
        }
        memcpy(to, (float[]){ NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f }, 6 * sizeof *to);
        struct value *scale = scalar(&f, DT_F32, s), *zero = scalar(&f, t, 7);
        graph_output(f.g, emit(&f.b, "QuantizeLinear", NO_ATTRS, input(&f, 0, x), scale, zero), &f.e);
        struct session *run = session_new(f.g, &(struct session_options){ .threads = 1 }, &f.e);
        CHECK_OK(run ? session_run(run, (const struct tensor *const *)f.x, &got, &f.e) : f.e.code, &f.e);
        int wrong = 0;
        for (int k = 0; k < COUNT && got.data; k++) {
            float v = ((const float *)x->data)[k] / s, low = t == DT_I8 ? -128 : 0;
            float want = isnan(v) ? 7 : fminf(fmaxf(rintf(v) + 7, low), low + 255);
            wrong += tensor_get_i64(&got, k) != (int64_t)want;
        }
        CHECK_INT(wrong, 0);
        session_free(run);
        arena_release(&f.a);
    }
}

static struct value *unpacked(struct fixture *f, struct value *q, double scale, struct value *zero)
{
    return emit(&f->b, "DequantizeLinear", NO_ATTRS, q, scalar(f, DT_F32, scale), zero);
}

static int nodes_of(const struct graph *g, const char *op)
{
    int n = 0;
    for (size_t i = 0; i < g->n_nodes; i++) n += node_is(g->nodes[i], op);
    return n;
}

/* Windows of 2 x 2 side by side are products of integers; those that overlap stay what they are. */
TEST(transposed_convolutions_without_overlap_work_on_integers)
{
    for (int overlap = 0; overlap < 2; overlap++) {
        struct fixture f = { .seed = 6 };
        begin(&f);
        struct value *x = input(&f, 0, bytes(&f, DT_U8, DIMS(2, 24, 5, 7))), *zero = scalar(&f, DT_U8, 9);
        struct tensor *scales = tensor_new(&f.a, DT_F32, &(struct shape){ 1, { 10 } }, &f.e);
        struct tensor *bias = tensor_new(&f.a, DT_F32, &scales->shape, &f.e);
        for (int i = 0; i < 10; i++) tensor_set_f64(scales, i, 0.01 + 0.001 * i), tensor_set_f64(bias, i, i - 4.5);
        struct value *w = emit_const(&f.b, bytes(&f, DT_I8, DIMS(24, 10, 2 + overlap, 2 + overlap)));
        w = emit(&f.b, "DequantizeLinear", ATTRS(attr_int("axis", 1)), w, emit_const(&f.b, scales));
        struct value *y = emit(&f.b, "ConvTranspose", ATTRS(INTS("strides", 2, 2)), unpacked(&f, x, 0.02, zero), w,
            emit_const(&f.b, bias));
        y = emit(&f.b, "QuantizeLinear", NO_ATTRS, y, scalar(&f, DT_F32, 0.3), scalar(&f, DT_U8, 100));
        y = emit(&f.b, "Relu", NO_ATTRS, unpacked(&f, y, 0.3, scalar(&f, DT_U8, 100)));
        graph_output(f.g, y, &f.e);
        CHECK_OK(f.e.code ? f.e.code : graph_tidy(f.g, &f.e), &f.e);
        struct tensor *want[1] = { NULL }, got = { 0 };
        CHECK_OK(graph_interpret(f.g, f.x, want, &f.a, NULL, &f.e), &f.e);
        struct session *s = session_new(f.g, &(struct session_options){ .threads = 2 }, &f.e);
        CHECK_OK(s ? session_run(s, (const struct tensor *const *)f.x, &got, &f.e) : f.e.code, &f.e);
        int64_t far = 0, off = 0;
        for (int64_t i = 0; want[0] && i < tensor_count(want[0]); i++) {
            double d = fabs(tensor_get_f64(&got, i) - tensor_get_f64(want[0], i));
            far += d > 0.31, off += d > 1e-6;
        }
        printf("# %lld numbers half way between two steps fell to the other one\n", (long long)off);
        CHECK_INT(far, 0);
        CHECK(off <= 2);
        const struct plan *p = s ? session_plan(s, &f.x[0]->shape, &f.e) : NULL;
        CHECK_INT(p ? nodes_of(p->graph, "ConvTranspose") : -1, overlap);
        CHECK_INT(p ? nodes_of(p->graph, "DepthToSpace") : -1, !overlap);
        session_free(s);
        arena_release(&f.a);
    }
}

/* Numbers below zero become the zero point anyway, if that is the least number. */
TEST(what_saturation_does_needs_no_relu)
{
    for (int zero = 0; zero <= 50; zero += 50) {
        struct fixture f = { .seed = 7 };
        begin(&f);
        struct shape shape = shape_of(1, (int64_t[]){ 500 });
        struct tensor *x = tensor_new(&f.a, DT_F32, &shape, &f.e);
        for (int i = 0; i < 500; i++) tensor_set_f64(x, i, 0.071 * (i - 250));
        struct value *z = scalar(&f, DT_U8, zero), *y = emit(&f.b, "Relu", NO_ATTRS, input(&f, 0, x));
        y = emit(&f.b, "QuantizeLinear", NO_ATTRS, y, scalar(&f, DT_F32, 0.05), z);
        graph_output(f.g, unpacked(&f, y, 0.05, z), &f.e);
        same_as_reference(&f, NULL, "saturated");
        struct session *s = session_new(f.g, &(struct session_options){ .threads = 1 }, &f.e);
        const struct plan *p = s ? session_plan(s, &f.x[0]->shape, &f.e) : NULL;
        CHECK_INT(p ? nodes_of(p->graph, "Relu") : -1, zero > 0);
        session_free(s);
        arena_release(&f.a);
    }
}

/* Kernels of real numbers take images as quantized convolutions leave them. */
TEST(real_results_of_quantized_convolutions_are_resized_and_joined)
{
    struct fixture f = { .seed = 8 };
    begin(&f);
    struct value *x = input(&f, 0, bytes(&f, DT_U8, DIMS(1, 16, 6, 5))), *y[2];
    x = unpacked(&f, x, 0.02, scalar(&f, DT_U8, 9));
    for (int i = 0; i < 2; i++) {
        struct value *w = emit_const(&f.b, bytes(&f, DT_I8, DIMS(20, 16, 3, 3)));
        y[i] = emit(&f.b, "Conv", NO_ATTRS, x, unpacked(&f, w, 0.01, NULL));
    }
    struct value *all = emit(&f.b, "Concat", ATTRS(attr_int("axis", 1)), y[0], y[1], y[0]);
    all = emit(&f.b, "Resize", ATTRS(attr_string("mode", "cubic")), all, NULL, NULL,
        emit_i64s(&f.b, (int64_t[]){ 1, 60, 9, 7 }, 4));
    graph_output(f.g, all, &f.e);
    CHECK_OK(f.e.code ? f.e.code : graph_tidy(f.g, &f.e), &f.e);
    struct tensor *want[1] = { NULL }, got = { 0 };
    CHECK_OK(graph_interpret(f.g, f.x, want, &f.a, NULL, &f.e), &f.e);
    struct session *s = session_new(f.g, &(struct session_options){ .threads = 2 }, &f.e);
    CHECK_OK(s ? session_run(s, (const struct tensor *const *)f.x, &got, &f.e) : f.e.code, &f.e);
    double worst = 0;
    for (int64_t i = 0; got.data && i < tensor_count(&got); i++)
        worst = fmax(worst, fabs(tensor_get_f64(&got, i) - tensor_get_f64(want[0], i)));
    printf("# %.2g apart\n", worst);
    CHECK(got.data && worst < 1e-4);
    session_free(s);
    arena_release(&f.a);
}
