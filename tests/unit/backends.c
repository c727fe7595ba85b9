/* backends.c - chains of operators through every backend's kernels and layouts give what the reference kernels give. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "plan/plan.h"

struct fixture {
    struct arena a;
    struct err e;
    struct graph *g;
    struct builder b;
    unsigned seed;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->a, NULL);
    f->g = graph_new(&f->a, &op_registry, "g", &f->e);
    f->b = (struct builder){ f->g, &f->e };
}

/* The dimensions end with 0. Values are in [-1, 1). */
static struct tensor *random_tensor(struct fixture *f, const int64_t *dims)
{
    int rank = 0;
    while (dims[rank]) rank++;
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(&f->a, DT_F32, &s, &f->e);
    for (int64_t i = 0; i < tensor_count(t); i++) {
        f->seed = f->seed * 1664525 + 1013904223;
        ((float *)t->data)[i] = (float)(f->seed >> 8) / (1 << 23) - 1;
    }
    return t;
}

#define DIMS(...) ((const int64_t[]){ __VA_ARGS__, 0 })
#define INTS(name, ...) \
    attr_ints(name, (const int64_t[]){ __VA_ARGS__ }, sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

static struct value *weight(struct fixture *f, const int64_t *dims)
{
    return graph_state(f->g, NULL, random_tensor(f, dims), VALUE_TRAINABLE, &f->e);
}

static struct value *input(struct fixture *f, const int64_t *dims)
{
    struct tensor *t = random_tensor(f, dims);
    return graph_input(f->g, NULL, DT_F32, &t->shape, &f->e);
}

static double scale_of(const struct tensor *t)
{
    double max = 1e-30;
    for (int64_t i = 0; i < tensor_count(t); i++) max = fmax(max, fabs(tensor_get_f64(t, i)));
    return max;
}

/* Every output within `tolerance` of its scale; the largest difference is told. */
static void compare(struct fixture *f, const struct tensor *out, const struct tensor *want, double tolerance)
{
    for (size_t k = 0; k < f->g->n_outputs; k++) {
        double worst = 0, scale = scale_of(&want[k]);
        CHECK(shape_equal(&out[k].shape, &want[k].shape));
        for (int64_t i = 0; i < tensor_count(&want[k]); i++)
            worst = fmax(worst, fabs(tensor_get_f64(&out[k], i) - tensor_get_f64(&want[k], i)) / scale);
        if (!(worst <= tolerance)) TAP_FAIL("output %zu differs by %.3g of its scale %.3g", k, worst, scale);
    }
}

static struct tensor *copies(struct fixture *f, const struct tensor *t, size_t n)
{
    struct tensor *c = ARENA_ARRAY(&f->a, n, struct tensor);
    for (size_t i = 0; i < n; i++) c[i] = *tensor_copy(&f->a, t[i].dtype, &t[i].shape, t[i].data, &f->e);
    return c;
}

static struct tensor *run(struct fixture *f, struct session *s, const struct tensor *const *in)
{
    struct tensor out[8];
    CHECK_OK(session_run(s, in, out, &f->e), &f->e);
    return f->e.code ? NULL : copies(f, out, f->g->n_outputs);
}

/* Steps in the plan that no backend has a kernel for. */
static int reference_steps(const struct plan *p)
{
    int n = 0;
    for (size_t i = 0; i < p->n_steps; i++) n += p->steps[i]->kind == STEP_KERNEL && !p->steps[i]->step.kernel;
    return n;
}

static int reorders(const struct plan *p)
{
    int n = 0;
    for (size_t i = 0; i < p->n_steps; i++) n += p->steps[i]->kind == STEP_REORDER;
    return n;
}

static const struct plan *plan_of(struct fixture *f, struct session *s)
{
    struct shape shapes[8];
    for (size_t i = 0; i < f->g->n_inputs; i++) shapes[i] = f->g->inputs[i]->shape;
    return session_plan(s, shapes, &f->e);
}

/* Runs the graph with 1 and 2 threads, `times` times in a row, against the reference; each twice for equal bits. */
static void check_graph(struct fixture *f, int times, double tolerance)
{
    const struct tensor *in[8];
    CHECK_OK(graph_tidy(f->g, &f->e), &f->e);
    for (size_t i = 0; i < f->g->n_inputs; i++) in[i] = random_tensor(f, (int64_t[9]){ 1 });
    for (size_t i = 0; i < f->g->n_inputs; i++) {
        int64_t dims[SHAPE_MAX + 1] = { 0 };
        const struct shape *s = &f->g->inputs[i]->shape;
        memcpy(dims, s->dim, (size_t)s->rank * sizeof *dims);
        in[i] = random_tensor(f, dims);
    }
    for (int threads = 1; threads <= 2; threads++) {
        struct session *slow = session_new(f->g, &(struct session_options){ .reference = true }, &f->e);
        struct session *one = session_new(f->g, &(struct session_options){ .threads = threads }, &f->e);
        struct session *two = session_new(f->g, &(struct session_options){ .threads = threads }, &f->e);
        for (int t = 0; t < times && !f->e.code; t++) {
            struct tensor *want = run(f, slow, in), *first = run(f, one, in), *second = run(f, two, in);
            if (f->e.code) break;
            compare(f, first, want, tolerance);
            for (size_t k = 0; k < f->g->n_outputs; k++)
                CHECK(!memcmp(first[k].data, second[k].data, (size_t)tensor_bytes(&first[k])));
        }
        session_free(slow);
        session_free(one);
        session_free(two);
    }
}

TEST(convolutions_activations_and_poolings_share_layouts)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, DIMS(2, 3, 20, 18));
    struct value *w = weight(&f, DIMS(16, 3, 3, 3)), *b = weight(&f, DIMS(16));
    struct value *y = emit(&f.b, "Conv", ATTRS(INTS("pads", 1, 1, 1, 1)), x, w, b);
    y = emit(&f.b, "Relu", NO_ATTRS, y);
    y = emit(&f.b, "MaxPool", ATTRS(INTS("kernel_shape", 3, 3), INTS("strides", 2, 2), INTS("pads", 1, 1, 1, 1)), y);
    y = emit(&f.b, "Conv", ATTRS(INTS("strides", 2, 1)), y, weight(&f, DIMS(20, 16, 1, 1)));
    y = emit(&f.b, "Sigmoid", NO_ATTRS, y);
    y = emit(&f.b, "GlobalAveragePool", NO_ATTRS, y);
    graph_output(f.g, y, &f.e);
    check_graph(&f, 2, 1e-5);
    struct session *s = session_new(f.g, &(struct session_options){ .threads = 1 }, &f.e);
    const struct plan *p = plan_of(&f, s);
    if (p && p->steps[0]->step.kernel) {
        CHECK_INT(reference_steps(p), 0);
        CHECK(reorders(p) <= 2); /* of the input and of the result; never between */
    }
    session_free(s);
    arena_release(&f.a);
}

static int steps_of(const struct plan *p, const char *op)
{
    int n = 0;
    for (size_t i = 0; i < p->n_steps; i++) n += p->steps[i]->step.node && node_is(p->steps[i]->step.node, op);
    return n;
}

static bool has_steps_by(const struct plan *p, const char *backend)
{
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i]->step.kernel && !strcmp(p->steps[i]->backend->name, backend)) return true;
    return false;
}

/* As exporters of frameworks with channels last write it: each convolution between two turns. One that is read as a
 * matrix, too, and one whose other reader works in place. */
TEST(turns_of_channels_move_nothing)
{
    static const int64_t front[][5] = { { 0, 2, 1 }, { 0, 3, 1, 2 }, { 0, 4, 1, 2, 3 } };
    static const int64_t end[][5] = { { 0, 2, 1 }, { 0, 2, 3, 1 }, { 0, 2, 3, 4, 1 } };
    for (int k = 0; k < 3; k++) {
        struct fixture f;
        int64_t dims[6] = { 2, 9, 9, 9, 9 }, kernel[6] = { 8, 8, 3, 3, 3 }, pads[6] = { 1, 1, 1, 1, 1, 1 };
        size_t rank = (size_t)k + 3;
        dims[rank - 1] = 8, dims[rank] = kernel[rank] = 0;
        begin(&f);
        struct value *x = input(&f, dims);
        for (int i = 0; i < 3; i++) {
            struct value *y = emit(&f.b, "Transpose", ATTRS(attr_ints("perm", front[k], rank)), x);
            const struct attr *padded = ATTRS(attr_ints("pads", pads, 2 * (rank - 2)));
            y = emit(&f.b, "Conv", padded, y, weight(&f, kernel));
            y = emit(&f.b, "Transpose", ATTRS(attr_ints("perm", end[k], rank)), y);
            x = emit(&f.b, "Sigmoid", NO_ATTRS, emit(&f.b, "Add", NO_ATTRS, x, y));
            if (i == 1) graph_output(f.g, emit(&f.b, "MatMul", NO_ATTRS, y, weight(&f, DIMS(8, 3))), &f.e);
        }
        graph_output(f.g, emit(&f.b, "ReduceSum", NO_ATTRS, x, emit_i64s(&f.b, DIMS(1), 1)), &f.e);
        check_graph(&f, 2, 1e-5);
        struct session *s = session_new(f.g, &(struct session_options){ .threads = 1 }, &f.e);
        const struct plan *p = plan_of(&f, s);
        if (p && has_steps_by(p, "dnnl")) CHECK_INT(steps_of(p, "Transpose"), 0);
        CHECK_OK(f.e.code, &f.e);
        session_free(s);
        arena_release(&f.a);
    }
}

static struct value *sliced(struct fixture *f, struct value *x, int64_t axis, int64_t start, int64_t end, int64_t step)
{
    return emit(&f->b, "Slice", NO_ATTRS, x, emit_i64s(&f->b, &start, 1), emit_i64s(&f->b, &end, 1),
        emit_i64s(&f->b, &axis, 1), emit_i64s(&f->b, &step, 1));
}

/* Halves of channels, rows from behind, one channel, one row: none costs a reorder where channels lie last. */
TEST(parts_of_images_stay_as_they_lie)
{
    struct fixture f;
    begin(&f);
    const struct attr *same = ATTRS(INTS("pads", 1, 1, 1, 1));
    struct value *y = emit(&f.b, "Conv", same, input(&f, DIMS(2, 3, 11, 9)), weight(&f, DIMS(12, 3, 3, 3)));
    struct value *a = sliced(&f, y, 1, 0, 6, 1), *b = sliced(&f, sliced(&f, y, 1, 6, 12, 1), 2, -1, -100, -1);
    struct value *one = sliced(&f, y, 1, 3, 4, 1), *row = sliced(&f, y, -2, 4, 5, 1);
    y = emit(&f.b, "Mul", NO_ATTRS, emit(&f.b, "Tanh", NO_ATTRS, a), emit(&f.b, "Sigmoid", NO_ATTRS, b));
    graph_output(f.g, emit(&f.b, "Conv", same, y, weight(&f, DIMS(8, 6, 3, 3))), &f.e);
    graph_output(f.g, emit(&f.b, "Conv", same, one, weight(&f, DIMS(4, 1, 3, 3))), &f.e);
    graph_output(f.g, emit(&f.b, "Conv", same, row, weight(&f, DIMS(4, 12, 3, 3))), &f.e);
    check_graph(&f, 2, 1e-5);
    struct session *s = session_new(f.g, &(struct session_options){ .threads = 1 }, &f.e);
    const struct plan *p = plan_of(&f, s);
    if (p && has_steps_by(p, "dnnl")) CHECK_INT(reference_steps(p), 0);
    session_free(s);
    arena_release(&f.a);
}

TEST(convolutions_of_every_kind)
{
    static const struct {
        int64_t x[6], w[6];
        int64_t strides[3], dilations[3], pads[6], group;
        bool transposed;
    } cases[] = {
        { { 2, 8, 9, 7 }, { 12, 8, 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 }, 1 },
        { { 1, 4, 11 }, { 8, 4, 3 }, { 2 }, { 1 }, { 0, 2 }, 1 },
        { { 1, 3, 6, 7, 5 }, { 9, 3, 3, 2, 3 }, { 1, 2, 1 }, { 1, 1, 1 }, { 1, 0, 1, 0, 1, 1 }, 1 },
        { { 2, 16, 9, 9 }, { 16, 1, 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1, 1, 1 }, 16 },
        { { 2, 12, 8, 8 }, { 6, 4, 3, 3 }, { 1, 1 }, { 2, 2 }, { 2, 0, 1, 3 }, 3 },
        { { 1, 16, 5, 5 }, { 32, 8, 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 }, 2 },
        { { 2, 6, 5, 4 }, { 6, 8, 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1, 0, 1 }, 1, true },
        { { 1, 8, 5 }, { 8, 3, 4 }, { 3 }, { 1 }, { 1, 1 }, 2, true },
        { { 1, 4, 3, 3, 3 }, { 4, 5, 2, 2, 2 }, { 2, 2, 2 }, { 1, 1, 1 }, { 0, 0, 0, 0, 0, 0 }, 1, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        size_t spatial = 0;
        while (spatial < 3 && cases[i].strides[spatial]) spatial++;
        struct value *x = input(&f, cases[i].x), *w = weight(&f, cases[i].w);
        struct value *b = weight(&f, DIMS(cases[i].transposed ? cases[i].w[1] * cases[i].group : cases[i].w[0]));
        struct value *y = emit(&f.b, cases[i].transposed ? "ConvTranspose" : "Conv",
            ATTRS(attr_ints("strides", cases[i].strides, spatial), attr_ints("dilations", cases[i].dilations, spatial),
                attr_ints("pads", cases[i].pads, 2 * spatial), attr_int("group", cases[i].group)),
            x, w, b);
        y = emit(&f.b, "Relu", NO_ATTRS, y);
        if (y) graph_output(f.g, y, &f.e);
        if (y) check_graph(&f, 1, 1e-5);
        CHECK_OK(f.e.code, &f.e);
        if (tap_failed) printf("# up to case %zu\n", i);
        arena_release(&f.a);
    }
}

TEST(matrix_products_of_every_form)
{
    static const struct {
        int64_t a[5], b[5];
    } cases[] = {
        { { 7, 5 }, { 5, 9 } },
        { { 2, 3, 4, 5 }, { 5, 6 } },
        { { 2, 3, 4, 5 }, { 2, 3, 5, 6 } },
        { { 2, 1, 4, 5 }, { 3, 5, 2 } },
        { { 5 }, { 5, 3 } },
        { { 3, 4, 5 }, { 5 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int fixed = 0; fixed < 2; fixed++) {
            struct fixture f;
            begin(&f);
            struct value *a = input(&f, cases[i].a);
            struct value *y = emit(&f.b, "MatMul", NO_ATTRS, a, fixed ? weight(&f, cases[i].b) : input(&f, cases[i].b));
            if (y) graph_output(f.g, y, &f.e);
            if (y) check_graph(&f, 1, 1e-5);
            CHECK_OK(f.e.code, &f.e);
            arena_release(&f.a);
        }
}

TEST(general_products_scale_transpose_and_add)
{
    static const int64_t bias[][3] = { { 6 }, { 1, 6 }, { 4, 1 }, { 4, 6 }, { 1 } };
    static const double factors[][2] = { { 1, 1 }, { 0.5, 1 }, { 0.5, 0.5 }, { 2, 0.25 }, { 1.5, 0 } };
    for (int i = 0; i < 25; i++)
        for (int turned = 0; turned < 4; turned++) {
            struct fixture f;
            begin(&f);
            struct value *a = input(&f, turned & 1 ? DIMS(5, 4) : DIMS(4, 5));
            struct value *b = weight(&f, turned & 2 ? DIMS(6, 5) : DIMS(5, 6)), *c = weight(&f, bias[i % 5]);
            struct value *y = emit(&f.b, "Gemm",
                ATTRS(attr_int("transA", turned & 1), attr_int("transB", turned >> 1),
                    attr_float("alpha", factors[i / 5][0]), attr_float("beta", factors[i / 5][1])),
                a, b, c);
            if (y) graph_output(f.g, y, &f.e);
            if (y) check_graph(&f, 1, 1e-5);
            CHECK_OK(f.e.code, &f.e);
            arena_release(&f.a);
        }
}

/* The result for the first `rows` of all rows. */
static struct tensor *result_of(struct fixture *f, struct session *s, const struct tensor *all, int64_t rows)
{
    struct tensor in = *all;
    in.shape.dim[0] = rows;
    return run(f, s, (const struct tensor *const[]){ &in });
}

/* A sample's answer has the same bits whatever its place and its neighbours are, in batches of any size. */
TEST(rows_do_not_depend_on_their_neighbours)
{
    static const int64_t forms[][3] = { { 512, 100 }, { 13, 7 }, { 3000, 3 }, { 96, 288 } };
    for (int i = 0; i < 8; i++) {
        struct fixture f;
        begin(&f);
        int64_t k = forms[i / 2][0], n = forms[i / 2][1];
        struct value *x = graph_input(f.g, NULL, DT_F32, &(struct shape){ 2, { DIM_UNKNOWN, k } }, &f.e);
        struct value *w = weight(&f, DIMS(k, n)), *c = weight(&f, DIMS(n));
        struct value *y = i % 2 ? emit(&f.b, "MatMul", NO_ATTRS, x, w) : emit(&f.b, "Gemm", NO_ATTRS, x, w, c);
        graph_output(f.g, emit(&f.b, "Softmax", NO_ATTRS, y), &f.e);
        struct session *s = session_new(f.g, &(struct session_options){ .threads = 2 }, &f.e);
        const struct tensor *all = random_tensor(&f, DIMS(17, k));
        const struct tensor *want = s ? result_of(&f, s, all, 17) : NULL;
        for (int64_t rows = 1; want && rows < 17; rows++) {
            const struct tensor *got = result_of(&f, s, all, rows);
            CHECK(got && !memcmp(got->data, want->data, (size_t)(rows * n) * sizeof(float)));
        }
        CHECK_OK(f.e.code, &f.e);
        session_free(s);
        arena_release(&f.a);
    }
}

/* dy of a convolution of strides 2: the three gradients at once, of a weight that changes from run to run. */
TEST(gradients_of_convolutions_and_states_that_change)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, DIMS(2, 8, 9, 9)), *w = weight(&f, DIMS(16, 4, 3, 3));
    const struct attr *attrs = ATTRS(INTS("strides", 2, 2), INTS("pads", 1, 1, 1, 1), attr_int("group", 2));
    struct value *y = emit(&f.b, "Relu", NO_ATTRS, emit(&f.b, "Conv", attrs, x, w));
    struct value *dy = emit(&f.b, "ReluGrad", NO_ATTRS, y, y);
    graph_output(f.g, emit(&f.b, "ConvGradInput", attrs, dy, w, x), &f.e);
    struct value *dw = emit(&f.b, "ConvGradWeight", attrs, dy, x, w);
    w->next = emit(&f.b, "Sigmoid", NO_ATTRS, dw);
    graph_output(f.g, y, &f.e);
    check_graph(&f, 3, 1e-5);
    CHECK_OK(f.e.code, &f.e);
    arena_release(&f.a);
}

static struct value *normalized(struct fixture *f, struct value *x, int64_t channels)
{
    struct tensor *variance = random_tensor(f, DIMS(channels));
    for (int64_t i = 0; i < channels; i++) ((float *)variance->data)[i] = fabsf(((float *)variance->data)[i]) + 0.5f;
    struct value *v = graph_state(f->g, NULL, variance, 0, &f->e);
    return emit(&f->b, "BatchNormalization", NO_ATTRS, x, weight(f, DIMS(channels)), weight(f, DIMS(channels)),
        weight(f, DIMS(channels)), v);
}

static struct value *conv_norm(struct fixture *f, struct value *x, int64_t from, int64_t to, int64_t k, int64_t stride)
{
    const struct attr *attrs = ATTRS(INTS("strides", stride, stride), INTS("pads", k / 2, k / 2, k / 2, k / 2));
    struct value *y = emit(&f->b, "Conv", attrs, x, weight(f, DIMS(to, from, k, k)));
    return normalized(f, y, to);
}

/* A bottleneck of ResNet: 1x1, 3x3, 1x1, and a shortcut that has a convolution of its own. */
static struct value *bottleneck(struct fixture *f, struct value *x, int64_t from, int64_t mid, int64_t stride)
{
    struct value *y = emit(&f->b, "Relu", NO_ATTRS, conv_norm(f, x, from, mid, 1, 1));
    y = emit(&f->b, "Relu", NO_ATTRS, conv_norm(f, y, mid, mid, 3, stride));
    y = conv_norm(f, y, mid, 4 * mid, 1, 1);
    if (from != 4 * mid || stride > 1) x = conv_norm(f, x, from, 4 * mid, 1, stride);
    return emit(&f->b, "Relu", NO_ATTRS, emit(&f->b, "Add", NO_ATTRS, y, x));
}

static int kernel_steps(const struct plan *p, const char *op)
{
    int n = 0;
    for (size_t i = 0; i < p->n_steps; i++)
        n += p->steps[i]->kind == STEP_KERNEL && node_is(p->steps[i]->step.node, op);
    return n;
}

TEST(residual_networks_fuse_to_convolutions)
{
    struct fixture f;
    begin(&f);
    struct value *y = emit(&f.b, "Relu", NO_ATTRS, conv_norm(&f, input(&f, DIMS(2, 3, 32, 32)), 3, 16, 7, 2));
    y = emit(&f.b, "MaxPool", ATTRS(INTS("kernel_shape", 3, 3), INTS("strides", 2, 2), INTS("pads", 1, 1, 1, 1)), y);
    y = bottleneck(&f, y, 16, 8, 1);
    y = bottleneck(&f, y, 32, 8, 1);
    y = bottleneck(&f, y, 32, 16, 2);
    y = emit(&f.b, "GlobalAveragePool", NO_ATTRS, y);
    graph_output(f.g, y, &f.e);
    check_graph(&f, 2, 1e-5);
    struct session *s = session_new(f.g, &(struct session_options){ .threads = 1 }, &f.e);
    const struct plan *p = plan_of(&f, s);
    if (p) {
        CHECK_INT(kernel_steps(p, "BatchNormalization"), 0);
        CHECK_INT(kernel_steps(p, "Relu"), 0);
        CHECK_INT(kernel_steps(p, "Add"), 0);
        CHECK_INT(kernel_steps(p, "FoldedWeight"), 0); /* weights: once per model, not per run */
        CHECK_INT(kernel_steps(p, "FusedConv"), 1 + 3 + 3 + 3);
        CHECK_INT(kernel_steps(p, "Conv"), 2);
    }
    session_free(s);
    arena_release(&f.a);
}

TEST(branches_join_and_gates_scale_in_the_layouts_they_have)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, DIMS(2, 3, 17, 15)), *w = weight(&f, DIMS(24, 3, 3, 3));
    struct value *a = emit(&f.b, "Conv", ATTRS(INTS("pads", 1, 1, 1, 1)), x, w);
    struct value *b = emit(&f.b, "Sigmoid", NO_ATTRS, emit(&f.b, "Conv", NO_ATTRS, a, weight(&f, DIMS(24, 24, 1, 1))));
    struct value *gate = emit(&f.b, "Conv", NO_ATTRS, emit(&f.b, "GlobalAveragePool", NO_ATTRS, b),
        weight(&f, DIMS(24, 24, 1, 1)));
    b = emit(&f.b, "Mul", NO_ATTRS, b, emit(&f.b, "Sigmoid", NO_ATTRS, gate));
    if (!op_registry.find("Concat")) SKIP("no operator Concat yet");
    struct value *c = emit(&f.b, "Concat", ATTRS(attr_int("axis", 1)), a, b);
    c = emit(&f.b, "Conv", NO_ATTRS, c, weight(&f, DIMS(20, 48, 1, 1)));
    struct value *d = emit(&f.b, "Sum", NO_ATTRS, c, c, emit(&f.b, "Tanh", NO_ATTRS, c));
    d = emit(&f.b, "Add", NO_ATTRS, d, weight(&f, DIMS(20, 1, 1)));
    d = emit(&f.b, "Mul", NO_ATTRS, d, emit(&f.b, "Sigmoid", NO_ATTRS, d));
    graph_output(f.g, emit(&f.b, "ReduceMean", NO_ATTRS, d, emit_i64s(&f.b, (int64_t[]){ 2, 3 }, 2)), &f.e);
    graph_output(f.g, d, &f.e);
    graph_output(f.g, normalized(&f, c, 20), &f.e);
    check_graph(&f, 2, 2e-5);
    CHECK_OK(f.e.code, &f.e);
    arena_release(&f.a);
}
