/* backends.c - every backend's kernel on the samples of the operators' rows, through plans, against the reference.
 * TENREC_OP=Name in the environment tries one row only; with TENREC_WHY too it tells why kernels refuse. */
#include "tap.h"

#include "backend/backend.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "plan/plan.h"
#include "more_samples.h"
#include "problem.h"

/* float32: rounding of a sum of K terms, relative to the largest value of the result. K is at most the elements of an
 * input. */
#define TOLERANCE(k) (2e-6 * sqrt(k) + 1e-6)

#define WRONG(p, fmt, ...) TAP_FAIL("%s: %s: " fmt, (p)->op->name, (p)->text, __VA_ARGS__)

struct trial {
    struct problem *p;
    struct graph *g;
    struct tensor *in[PROBLEM_MAX], *want[PROBLEM_MAX];
    struct arena *a;
    struct err e;
    double worst;
};

static struct tensor *run(struct trial *t, struct session *s)
{
    struct tensor out[PROBLEM_MAX], *kept = ARENA_ARRAY(t->a, t->p->n_out, struct tensor);
    if (session_run(s, (const struct tensor *const *)t->in, out, &t->e)) return NULL;
    for (int i = 0; i < t->p->n_out; i++)
        kept[i] = *tensor_copy(t->a, out[i].dtype, &out[i].shape, out[i].data, &t->e);
    return kept;
}

static double difference(const struct tensor *a, const struct tensor *b)
{
    double worst = 0, scale = 1e-30;
    for (int64_t i = 0; i < tensor_count(b); i++) {
        double x = tensor_get_f64(a, i), y = tensor_get_f64(b, i);
        if (x == y || (x != x && y != y)) continue;
        worst = fmax(worst, isfinite(x) && isfinite(y) ? fabs(x - y) : INFINITY);
    }
    for (int64_t i = 0; i < tensor_count(b); i++)
        if (isfinite(tensor_get_f64(b, i))) scale = fmax(scale, fabs(tensor_get_f64(b, i)));
    return worst / scale;
}

static bool is_quantized(const struct tensor *t)
{
    return t->dtype == DT_U8 || t->dtype == DT_I8;
}

/* The largest difference of 8-bit numbers, which kernels round as the reference does. */
static int64_t steps(const struct tensor *a, const struct tensor *b)
{
    int64_t worst = 0;
    for (int64_t i = 0; i < tensor_count(b); i++) {
        int64_t d = llabs(tensor_get_i64(a, i) - tensor_get_i64(b, i));
        if (d > worst) worst = d;
    }
    return worst;
}

static void compare(struct trial *t, const struct tensor *got, const struct tensor *again)
{
    double k = 1;
    for (int i = 0; i < t->p->n_in; i++)
        if (t->p->in[i]) k = fmax(k, (double)tensor_count(t->p->in[i]));
    for (int i = 0; i < t->p->n_out; i++) {
        if (got[i].dtype != t->want[i]->dtype || !shape_equal(&got[i].shape, &t->want[i]->shape)) {
            WRONG(t->p, "output %d has another type or shape", i);
            continue;
        }
        double d = difference(&got[i], t->want[i]);
        if (is_quantized(&got[i])) d = steps(&got[i], t->want[i]) > 0 ? INFINITY : 0;
        if (!(d <= TOLERANCE(k))) WRONG(t->p, "output %d differs by %.3g of its scale", i, d);
        if (memcmp(got[i].data, again[i].data, (size_t)tensor_bytes(&got[i])))
            WRONG(t->p, "output %d differs in a second session", i);
        t->worst = fmax(t->worst, d);
    }
}

/* Whether a backend has a kernel for the one node of the graph. */
static bool is_taken(const struct plan *p)
{
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i]->kind == STEP_KERNEL && p->steps[i]->step.kernel) return true;
    return false;
}

static bool try_problem(struct trial *t, int threads)
{
    struct shape shapes[PROBLEM_MAX];
    struct str why = str_in(t->a);
    struct session_options o = { .threads = threads, .explain = &why };
    struct session *s = session_new(t->g, &o, &t->e), *other = session_new(t->g, &o, &t->e);
    for (size_t i = 0; i < t->g->n_inputs; i++) shapes[i] = t->in[i]->shape;
    const struct plan *p = session_plan(s, shapes, &t->e);
    bool taken = p && is_taken(p);
    if (getenv("TENREC_WHY") && why.len) printf("# %s: %s", t->p->text, str_done(&why));
    if (taken) {
        struct tensor *got = run(t, s), *again = got ? run(t, other) : NULL;
        if (again) compare(t, got, again);
    }
    if (t->e.code) WRONG(t->p, "%s", t->e.text);
    session_free(s);
    session_free(other);
    return taken;
}

/* Written out, and so constants, unless there would be nothing left to give. */
static bool is_all_literal(const struct problem *p)
{
    for (int i = 0; i < p->n_in; i++)
        if (p->in[i] && !p->literal[i]) return false;
    return true;
}

/* Number of the problems that a kernel took: of the row's own, or of others in their place. */
static int try_row(const struct op *row, const char *samples, double *worst)
{
    struct op with = *row, *op = &with;
    int taken = 0, found = 1;
    if (samples) with.samples = samples;
    for (int k = 0; found > 0; k++) {
        static struct problem p;
        struct arena a;
        arena_init(&a, NULL);
        struct trial t = { .p = &p, .a = &a };
        found = problem_get(&p, op, k, &a, &t.e);
        bool open = found > 0 && is_all_literal(&p);
        if (found > 0 && problem_graph(&p, SHAPES_KNOWN, open, &t.g, &a, &t.e) && t.g->n_inputs &&
            !graph_tidy(t.g, &t.e)) {
            problem_inputs(&p, open, t.in);
            if (op->run && graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e)) WRONG(&p, "%s", t.e.text);
            else if (op->run) taken += try_problem(&t, 1), try_problem(&t, 2);
        }
        *worst = fmax(*worst, t.worst);
        arena_release(&a);
    }
    return taken;
}

static bool has_kernel(const char *op)
{
    for (size_t b = 0; backend_list[b]; b++)
        for (const struct kernel *k = backend_list[b]->kernels; k->op; k++)
            if (!strcmp(k->op, op)) return true;
    return false;
}

/* Operators whose kernels take what others left in their layouts: tests of their own, here and in unit/backends.c. */
static bool takes_layouts(const char *op)
{
    return !strcmp(op, "Concat") || !strcmp(op, "Gather") || !strcmp(op, "Slice");
}

TEST(kernels_agree_with_the_reference_and_with_themselves)
{
    const char *only = getenv("TENREC_OP");
    const struct op *op;
    if (!backend_list[0]) SKIP("no backend was built");
    for (size_t i = 0; (op = op_at(i)); i++) {
        double worst = 0;
        if (!has_kernel(op->name) || (only && strcmp(only, op->name))) continue;
        int taken = try_row(op, NULL, &worst);
        for (size_t k = 0; k < sizeof more / sizeof *more; k++)
            if (!strcmp(more[k].op, op->name)) taken += try_row(op, more[k].samples, &worst);
        printf("# %s: %d taken, largest difference %.2g\n", op->name, taken, worst);
        if (!taken && !takes_layouts(op->name)) TAP_FAIL("%s: no sample is taken by a kernel", op->name);
    }
}

static struct value *random_const(struct builder *b, int rank, const int64_t *dims)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(b->g->arena, DT_F32, &s, b->err);
    for (int64_t i = 0; t && i < tensor_count(t); i++) tensor_set_f64(t, i, (double)(i * 7919 % 101) / 101 - 0.5);
    return emit_const(b, t);
}

/* Operators on what convolutions left in a layout of their own. */
static const struct {
    const char *op;
    int n_images, n_out; /* images come first; vectors of one number per channel follow */
    int vectors;
    int64_t out_size;    /* of the first image, when it is a gradient of something smaller; 0: as the others */
    struct attr attrs[3];
} on_layouts[] = {
    { "BatchNormalization", 1, 3, 4, 0, { { .name = "training_mode", .type = ATTR_INT, .i = 1 } } },
    { "BatchNormalizationGrad", 2, 3, 3, 0, { { .name = "training_mode", .type = ATTR_INT, .i = 1 } } },
    { "BatchNormalizationGrad", 2, 3, 3, 0, { { 0 } } },
    { "FusedNormalization", 1, 1, 4, 0, { { .name = "activation", .type = ATTR_STRING, .s = "Relu" } } },
    { "ConvGradBias", 1, 1, 0, 0, { { 0 } } },
    { "AdaptiveAveragePoolGrad", 2, 1, 0, 1, { { 0 } } },
    { "AdaptiveAveragePoolGrad", 2, 1, 0, 4, { { 0 } } },
    { "AdaptiveMaxPoolGrad", 2, 1, 0, 5, { { 0 } } },
    { "Erf", 1, 1, 0, 0, { { 0 } } },
    { "HardSwishGrad", 2, 1, 0, 0, { { 0 } } },
    { "ClipGrad", 2, 1, 0, 0, { { 0 } } },
};

static struct value *convolved(struct builder *b, struct trial *t, int64_t channels, int64_t size)
{
    struct shape s = shape_of(4, (int64_t[]){ 3, 16, size, size });
    char name[8];
    int i = t->p->n_in++;
    snprintf(name, sizeof name, "x%d", i);
    t->in[i] = t->p->in[i] = tensor_new(t->a, DT_F32, &s, &t->e);
    for (int64_t k = 0; k < tensor_count(t->in[i]); k++) {
        uint32_t mixed = (uint32_t)(k + 1000 * i) * 2654435761u;
        mixed = (mixed ^ mixed >> 15) * 2246822519u; /* no two windows alike: a maximum must not be a tie */
        tensor_set_f64(t->in[i], k, (double)(mixed >> 8) / (1 << 24) - 0.5);
    }
    struct value *x = graph_input(b->g, name, DT_F32, &s, &t->e);
    return emit(b, "Conv", NO_ATTRS, x, random_const(b, 4, (int64_t[]){ channels, 16, 1, 1 }));
}

static void try_on_layout(size_t k, int64_t channels)
{
    struct arena a;
    struct problem p = { .op = op_registry.find(on_layouts[k].op), .text = "of convolutions" };
    struct value *in[8];
    int n = 0;
    arena_init(&a, NULL);
    struct trial t = { .p = &p, .a = &a };
    t.g = graph_new(&a, &op_registry, "g", &t.e);
    struct builder b = { t.g, &t.e };
    for (; n < on_layouts[k].n_images; n++)
        in[n] = convolved(&b, &t, channels, n || !on_layouts[k].out_size ? 9 : on_layouts[k].out_size);
    for (int i = 0; i < on_layouts[k].vectors; i++) {
        struct value *v = random_const(&b, 1, &channels);
        in[n++] = i < on_layouts[k].vectors - 1 ? v : emit(&b, "Mul", NO_ATTRS, v, v); /* variances are not negative */
    }
    struct node *made = builder_node(&b, on_layouts[k].op, on_layouts[k].attrs, in, n, on_layouts[k].n_out);
    for (int i = 0; made && i < on_layouts[k].n_out; i++) CHECK_OK(graph_output(t.g, made->out[i], &t.e), &t.e);
    p.n_out = on_layouts[k].n_out;
    CHECK_OK(t.e.code ? t.e.code : graph_tidy(t.g, &t.e), &t.e);
    CHECK_OK(graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e), &t.e);
    CHECK(try_problem(&t, 2));
    arena_release(&a);
}

TEST(kernels_work_in_the_layouts_of_others)
{
    if (!backend_list[0]) SKIP("no backend was built");
    for (size_t k = 0; k < sizeof on_layouts / sizeof *on_layouts; k++)
        for (size_t c = 0; c < 3; c++) try_on_layout(k, (int64_t[]){ 48, 20, 8 }[c]);
}

/* (N, C, ...) in two groups whose channels are taken by turns, as ShuffleNet writes it. */
static struct value *shuffled(struct builder *b, struct value *x)
{
    int64_t c = x->shape.dim[1], h = x->shape.dim[2], w = x->shape.dim[3];
    struct value *split = emit(b, "Reshape", NO_ATTRS, x, emit_i64s(b, (int64_t[]){ -1, 2, c / 2, h, w }, 5));
    split = emit(b, "Transpose", ATTRS(attr_ints("perm", (int64_t[]){ 0, 2, 1, 3, 4 }, 5)), split);
    return emit(b, "Reshape", NO_ATTRS, split, emit_i64s(b, (int64_t[]){ -1, c, h, w }, 4));
}

static struct value *channels_of(struct builder *b, struct value *x, int64_t start, int64_t end)
{
    int64_t at[3] = { start, end, 1 };
    return emit(b, "Slice", NO_ATTRS, x, emit_i64s(b, at, 1), emit_i64s(b, at + 1, 1), emit_i64s(b, at + 2, 1));
}

static void try_shuffle(int64_t channels)
{
    struct arena a;
    struct problem p = { .op = op_registry.find("Gather"), .text = "shuffled channels", .n_out = 2 };
    arena_init(&a, NULL);
    struct trial t = { .p = &p, .a = &a };
    t.g = graph_new(&a, &op_registry, "g", &t.e);
    struct builder b = { t.g, &t.e };
    struct value *x = shuffled(&b, convolved(&b, &t, channels, 9));
    for (int i = 0; i < 2; i++) {
        struct value *half = channels_of(&b, x, i ? -channels / 2 : 0, i ? INT64_MAX : channels / 2);
        CHECK_OK(graph_output(t.g, emit(&b, "Relu", NO_ATTRS, half), &t.e), &t.e);
    }
    CHECK_OK(t.e.code ? t.e.code : graph_tidy(t.g, &t.e), &t.e);
    CHECK_OK(graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e), &t.e);
    CHECK(try_problem(&t, 2));
    struct session *s = session_new(t.g, &(struct session_options){ .threads = 1 }, &t.e);
    const struct plan *plan = session_plan(s, &t.in[0]->shape, &t.e);
    for (size_t i = 0; plan && i < plan->n_steps; i++)
        if (plan->steps[i]->step.node) CHECK(!node_is(plan->steps[i]->step.node, "Transpose"));
    session_free(s);
    arena_release(&a);
}

TEST(shuffled_channels_are_gathered_where_they_lie)
{
    if (!backend_list[0]) SKIP("no backend was built");
    for (size_t c = 0; c < 3; c++) try_shuffle((int64_t[]){ 64, 20, 8 }[c]);
}

/* x -> Conv 1x1 -> a 3x3 convolution, large enough for other ways than the direct one. */
static struct value *large_conv(struct builder *b, struct trial *t, int k, const char *activation, double alpha)
{
    static const int64_t channels[][2] = { { 64, 72 }, { 96, 64 }, { 80, 96 } };
    int64_t c = channels[k][0], n = channels[k][1];
    struct value *x = convolved(b, t, c, 25), *w = random_const(b, 4, (int64_t[]){ n, c, 3, 3 });
    struct value *bias = random_const(b, 1, &n), *residual = NULL;
    if (k == 1) residual = convolved(b, t, n, 25);
    return emit(b, "FusedConv",
        ATTRS(attr_ints("pads", (int64_t[]){ 1, k, 1, 2 - k }, 4), attr_string("activation", activation),
            attr_float("alpha", alpha), attr_float("beta", 0.5)),
        x, w, k == 2 ? NULL : bias, residual);
}

/* A sample's answer has the same bits alone as in its batch. */
static void try_alone(struct trial *t)
{
    struct session *s = session_new(t->g, &(struct session_options){ .threads = 2 }, &t->e);
    struct tensor whole, one[2], *in[2] = { &one[0], &one[1] };
    struct tensor *got = s ? run(t, s) : NULL;
    if (got) whole = got[0];
    for (int i = 0; i < t->p->n_in; i++) {
        one[i] = *t->in[i];
        one[i].shape.dim[0] = 1;
        one[i].data = (unsigned char *)one[i].data + tensor_bytes(&one[i]);
    }
    struct tensor out;
    CHECK_OK(session_run(s, (const struct tensor *const *)in, &out, &t->e), &t->e);
    size_t bytes = (size_t)tensor_bytes(&out);
    CHECK(got && !memcmp(out.data, (unsigned char *)whole.data + bytes, bytes));
    session_free(s);
}

TEST(large_convolutions_agree_and_do_not_see_their_neighbours)
{
    static const char *const names[] = { "", "Relu", "LeakyRelu", "Swish", "Sigmoid", "Clip", "Tanh" };
    if (!backend_list[0]) SKIP("no backend was built");
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            struct arena a;
            struct problem p = { .op = op_registry.find("FusedConv"), .n_out = 1 };
            snprintf(p.text, sizeof p.text, "then %s", names[i]);
            arena_init(&a, NULL);
            struct trial t = { .p = &p, .a = &a };
            t.g = graph_new(&a, &op_registry, "g", &t.e);
            struct builder b = { t.g, &t.e };
            struct value *y = large_conv(&b, &t, k, names[i], i == 5 ? -0.25 : 0.5);
            CHECK_OK(y ? graph_output(t.g, y, &t.e) : t.e.code, &t.e);
            CHECK_OK(graph_tidy(t.g, &t.e), &t.e);
            CHECK_OK(graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e), &t.e);
            CHECK(try_problem(&t, 2));
            t.g->inputs[0]->shape.dim[0] = DIM_UNKNOWN;
            if (p.n_in > 1) t.g->inputs[1]->shape.dim[0] = DIM_UNKNOWN;
            try_alone(&t);
            arena_release(&a);
        }
}

/* Two convolutions' channels, of which the first has so many. */
static void try_pieces(const char *op, int64_t channels)
{
    struct arena a;
    struct problem p = { .n_in = 1, .n_out = 1, .op = op_registry.find(op), .text = "of convolutions" };
    arena_init(&a, NULL);
    struct trial t = { .p = &p, .a = &a };
    t.g = graph_new(&a, &op_registry, "g", &t.e);
    struct builder b = { t.g, &t.e };
    p.in[0] = t.in[0] = (struct tensor *)(uintptr_t)random_const(&b, 4, (int64_t[]){ 2, 16, 12, 12 })->data;
    struct value *x = graph_input(t.g, "x", DT_F32, &t.in[0]->shape, &t.e), *y[2], *v[4], *both;
    for (int i = 0; i < 2; i++)
        y[i] = emit(&b, "Conv", NO_ATTRS, x, random_const(&b, 4, (int64_t[]){ i ? 16 : channels, 16, 3, 3 }));
    for (int i = 0; i < 4; i++) v[i] = random_const(&b, 1, (int64_t[]){ channels + 16 });
    v[3] = emit(&b, "Abs", NO_ATTRS, v[3]);
    if (!strcmp(op, "Concat")) both = emit(&b, op, ATTRS(attr_int("axis", 1)), y[0], y[1]);
    else both = emit(&b, op, ATTRS(attr_string("activation", "Relu")), y[0], v[0], v[1], v[2], v[3], y[1]);
    CHECK_OK(both ? graph_output(t.g, both, &t.e) : t.e.code, &t.e);
    CHECK_OK(graph_tidy(t.g, &t.e), &t.e);
    CHECK_OK(graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e), &t.e);
    CHECK(try_problem(&t, 2));
    arena_release(&a);
}

TEST(pieces_in_a_layout_are_joined)
{
    if (!backend_list[0]) SKIP("no backend was built");
    for (int i = 0; i < 4; i++) try_pieces(i % 2 ? "FusedNormalization" : "Concat", i / 2 ? 20 : 32);
}

/* x cast to another type by a plan; in the trial's arena. */
static struct tensor *cast_to(struct trial *t, struct tensor *x, enum dtype to)
{
    t->g = graph_new(t->a, &op_registry, "g", &t->e);
    struct builder b = { t->g, &t->e };
    struct value *v = graph_input(t->g, "x", x->dtype, &x->shape, &t->e);
    CHECK_OK(graph_output(t->g, emit_cast(&b, v, to), &t->e), &t->e);
    CHECK_OK(graph_tidy(t->g, &t->e), &t->e);
    t->in[0] = x;
    struct session *s = session_new(t->g, &(struct session_options){ .threads = 2 }, &t->e);
    struct tensor *y = s ? run(t, s) : NULL;
    CHECK_OK(t->e.code, &t->e);
    session_free(s);
    return y;
}

/* Every half to float32; and from there every one, the middle to the next, and what is beside that middle. */
TEST(halves_are_cast_to_the_bit)
{
    enum { ALL = 1 << 16, NEAR = 4 };
    if (!backend_list[0]) SKIP("no backend was built");
    struct arena a;
    struct problem p = { .n_in = 1, .n_out = 1 };
    arena_init(&a, NULL);
    struct trial t = { .p = &p, .a = &a };
    struct shape shape = shape_of(1, (int64_t[]){ ALL }), more_shape = shape_of(1, (int64_t[]){ ALL * NEAR });
    struct tensor *halves = tensor_new(&a, DT_F16, &shape, &t.e), *x = tensor_new(&a, DT_F32, &more_shape, &t.e);
    uint16_t *h = halves->data;
    for (int i = 0; i < ALL; i++) h[i] = (uint16_t)i;
    const uint32_t *wide = cast_to(&t, halves, DT_F32)->data;
    uint32_t *v = x->data;
    int wrong = 0;
    for (int i = 0; i < ALL; i++) {
        float want = half_to_float(h[i]), got, next = half_to_float((uint16_t)(h[i] + 1));
        memcpy(&got, &wide[i], sizeof got);
        wrong += isnan(want) ? !isnan(got) : memcmp(&want, &got, sizeof got) != 0;
        float middle = isfinite(next) ? (want + next) / 2 : 65520;
        memcpy(&v[i * NEAR], &want, sizeof want);
        memcpy(&v[i * NEAR + 1], &middle, sizeof middle);
        v[i * NEAR + 2] = v[i * NEAR + 1] - 1, v[i * NEAR + 3] = v[i * NEAR + 1] + 1;
    }
    const uint16_t *narrow = cast_to(&t, x, DT_F16)->data;
    for (int i = 0; i < ALL * NEAR; i++) {
        float f;
        memcpy(&f, &v[i], sizeof f);
        wrong += float_to_half(f) != narrow[i];
    }
    CHECK(!wrong);
    arena_release(&a);
}
