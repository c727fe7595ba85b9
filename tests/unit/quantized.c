/* quantized.c - quantized graphs in plans, graphs that are quantized, and products in bfloat16. */
#include "tap.h"

#include "backend/backend.h"
#include "base/arena.h"
#include "base/err.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "pass/pass.h"
#include "pass/precision.h"
#include "pass/qdq.h"
#include "plan/plan.h"
#include "plan/recipe.h"

struct fixture {
    struct arena a;
    struct err e;
    struct graph *g;
    struct builder b;
    struct tensor *x; /* of the only input */
    unsigned seed;
};

static double random_number(struct fixture *f)
{
    f->seed = f->seed * 1664525 + 1013904223;
    return (double)(f->seed >> 8) / (1 << 23) - 1;
}

static struct tensor *random_tensor(struct fixture *f, int rank, const int64_t *dims)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(&f->a, DT_F32, &s, &f->e);
    for (int64_t i = 0; i < tensor_count(t); i++) tensor_set_f64(t, i, random_number(f));
    return t;
}

#define DIMS(...) (int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), ((const int64_t[]){ __VA_ARGS__ })
#define INTS(name, ...) \
    attr_ints(name, (const int64_t[]){ __VA_ARGS__ }, sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

static struct value *weight(struct fixture *f, int rank, const int64_t *dims)
{
    return graph_state(f->g, NULL, random_tensor(f, rank, dims), VALUE_TRAINABLE, &f->e);
}

/* A small residual network with everything in it that is quantized or stays real. */
static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->a, NULL);
    f->g = graph_new(&f->a, &op_registry, "g", &f->e);
    f->b = (struct builder){ f->g, &f->e };
    struct builder *b = &f->b;
    f->x = random_tensor(f, DIMS(2, 3, 17, 14));
    struct value *x = graph_input(f->g, "x", DT_F32, &f->x->shape, &f->e);
    struct value *y = emit(b, "Conv", ATTRS(INTS("pads", 1, 1, 1, 1)), x, weight(f, DIMS(20, 3, 3, 3)));
    struct tensor *one = random_tensor(f, DIMS(20));
    for (int i = 0; i < 20; i++) tensor_set_f64(one, i, 0.5 + fabs(tensor_get_f64(one, i)));
    struct value *variance = graph_state(f->g, NULL, one, 0, &f->e);
    y = emit(b, "BatchNormalization", NO_ATTRS, y, weight(f, DIMS(20)), weight(f, DIMS(20)), weight(f, DIMS(20)),
        variance);
    y = emit(b, "Relu", NO_ATTRS, y);
    y = emit(b, "MaxPool", ATTRS(INTS("kernel_shape", 2, 2), INTS("strides", 2, 2)), y);
    struct value *side = emit(b, "Conv", ATTRS(attr_int("group", 20), INTS("pads", 1, 1, 1, 1)), y,
        weight(f, DIMS(20, 1, 3, 3)), weight(f, DIMS(20)));
    side = emit(b, "HardSwish", NO_ATTRS, side);
    side = emit(b, "Conv", NO_ATTRS, side, weight(f, DIMS(20, 20, 1, 1)), weight(f, DIMS(20)));
    y = emit(b, "Relu", NO_ATTRS, emit(b, "Add", NO_ATTRS, y, side));
    y = emit(b, "Concat", ATTRS(attr_int("axis", 1)), y, side);
    y = emit(b, "Conv", ATTRS(INTS("strides", 2, 2)), y, weight(f, DIMS(24, 40, 3, 3)), weight(f, DIMS(24)));
    y = emit(b, "Flatten", NO_ATTRS, emit(b, "GlobalAveragePool", NO_ATTRS, y));
    y = emit(b, "Gemm", ATTRS(attr_int("transB", 1)), y, weight(f, DIMS(9, 24)), weight(f, DIMS(9)));
    graph_output(f->g, y, &f->e);
    CHECK_OK(f->e.code ? f->e.code : graph_tidy(f->g, &f->e), &f->e);
}

static struct tensor answer(struct fixture *f, struct graph *g)
{
    struct tensor *out[1] = { NULL }, *in[1] = { f->x };
    CHECK_OK(graph_interpret(g, in, out, &f->a, NULL, &f->e), &f->e);
    return *out[0];
}

/* In a plan; copied. */
static struct tensor planned(struct fixture *f, struct graph *g, const struct session_options *o)
{
    struct tensor out = { 0 };
    struct session *s = session_new(g, o, &f->e);
    CHECK_OK(s ? session_run(s, (const struct tensor *const[]){ f->x }, &out, &f->e) : f->e.code, &f->e);
    out = *tensor_copy(&f->a, out.dtype, &out.shape, out.data, &f->e);
    session_free(s);
    return out;
}

static double difference(const struct tensor *a, const struct tensor *b)
{
    double worst = 0, scale = 1e-30;
    for (int64_t i = 0; i < tensor_count(b); i++) {
        worst = fmax(worst, fabs(tensor_get_f64(a, i) - tensor_get_f64(b, i)));
        scale = fmax(scale, fabs(tensor_get_f64(b, i)));
    }
    return worst / scale;
}

static int steps_of(struct fixture *f, struct graph *g, const char *op, int *reference)
{
    int n = 0;
    struct session *s = session_new(g, &(struct session_options){ .threads = 1 }, &f->e);
    const struct plan *p = s ? session_plan(s, &f->x->shape, &f->e) : NULL;
    for (size_t i = 0; p && i < p->n_steps; i++) {
        n += node_is(p->steps[i]->step.node, op);
        *reference += p->steps[i]->kind == STEP_KERNEL && !p->steps[i]->step.kernel;
    }
    session_free(s);
    return n;
}

static struct graph *quantized(struct fixture *f, const struct qdq_options *o)
{
    struct value **values;
    size_t n;
    struct range ranges[64];
    struct graph *g = graph_copy(f->g, &f->a, &f->e);
    CHECK_OK(qdq_prepare(g, &f->e), &f->e);
    CHECK_OK(qdq_values(g, o, &values, &n, &f->e), &f->e);
    if (f->e.code) return NULL;
    struct graph *watched = graph_copy(g, &f->a, &f->e);
    for (size_t i = 0; i < n; i++) graph_output(watched, graph_find(watched, values[i]->name), &f->e);
    struct tensor *in[1] = { f->x }, *out[64];
    CHECK_OK(graph_interpret(watched, in, out, &f->a, NULL, &f->e), &f->e);
    for (size_t i = 0; i < n && !f->e.code; i++) {
        const struct tensor *t = out[1 + i];
        ranges[i] = (struct range){ 1e9, -1e9 };
        for (int64_t k = 0; k < tensor_count(t); k++) {
            double v = tensor_get_f64(t, k);
            ranges[i].low = fmin(ranges[i].low, v), ranges[i].high = fmax(ranges[i].high, v);
        }
    }
    CHECK_OK(qdq_apply(g, o, values, ranges, n, &f->e), &f->e);
    return g;
}

static bool has_backend(const char *name)
{
    for (int i = 0; backend_list[i]; i++)
        if (!strcmp(backend_list[i]->name, name)) return true;
    return false;
}

TEST(a_quantized_network_answers_alike_and_its_plan_works_on_integers)
{
    for (int bits = 7; bits <= 8; bits++) {
        struct fixture f;
        begin(&f);
        struct graph *g = quantized(&f, &(struct qdq_options){ .weight_bits = bits });
        if (!g) return;
        struct tensor real = answer(&f, f.g), want = answer(&f, g);
        struct tensor got = planned(&f, g, &(struct session_options){ 0 });
        struct tensor again = planned(&f, g, &(struct session_options){ .threads = 1 });
        printf("# %d bits: %.2g from the real network, %.2g between plan and graph\n", bits, difference(&want, &real),
            difference(&got, &want));
        CHECK(difference(&want, &real) < 0.05 && difference(&want, &real) > 0);
        CHECK(difference(&got, &want) < 0.01); /* numbers half way between steps, carried on */
        CHECK(!memcmp(got.data, again.data, (size_t)tensor_bytes(&got)));
        int reference = 0;
        CHECK_INT(steps_of(&f, g, "QuantizedConv", &reference), 4);
        CHECK_INT(steps_of(&f, g, "QuantizedGemm", &reference), 1);
        CHECK_INT(steps_of(&f, g, "QuantizedAdd", &reference), 1);
        if (has_backend("dnnl")) CHECK_INT(reference, 0); /* our kernels work in its layouts */
        arena_release(&f.a);
    }
}

/* A recipe that gives every step of the operator to one kernel. */
static struct recipe *all_to(struct fixture *f, struct graph *g, const char *op, const char *kernel)
{
    struct recipe *r = recipe_new(&f->a);
    struct session *s = session_new(g, &(struct session_options){ .threads = 1 }, &f->e);
    const struct plan *p = s ? session_plan(s, &f->x->shape, &f->e) : NULL;
    for (size_t i = 0; p && i < p->n_steps; i++)
        if (node_is(p->steps[i]->step.node, op))
            CHECK_OK(recipe_set(r, recipe_key(&f->a, &p->steps[i]->step), kernel, &f->e), &f->e);
    session_free(s);
    return r;
}

static int taken_by(struct fixture *f, struct graph *g, const struct recipe *r, const char *kernel)
{
    int n = 0;
    struct session *s = session_new(g, &(struct session_options){ .threads = 1, .recipe = r }, &f->e);
    const struct plan *p = s ? session_plan(s, &f->x->shape, &f->e) : NULL;
    for (size_t i = 0; p && i < p->n_steps; i++) {
        const struct kernel *k = p->steps[i]->step.kernel;
        n += k && !strcmp(k->op, "QuantizedConv") && !strcmp(k->name, kernel);
    }
    session_free(s);
    return n;
}

TEST(kernels_named_by_a_recipe_agree)
{
    struct fixture f;
    begin(&f);
    if (!backend_list[0] || !backend_list[1]) SKIP("oneDNN is not here");
    struct graph *g = quantized(&f, &(struct qdq_options){ .weight_bits = 7 });
    struct tensor want = answer(&f, g);
    struct recipe *r = all_to(&f, g, "QuantizedConv", "dnnl"), *own = all_to(&f, g, "QuantizedConv", "cpu");
    CHECK_INT(taken_by(&f, g, r, "dnnl"), 4);
    CHECK_INT(taken_by(&f, g, own, "cpu"), 4);
    struct session_options o = { .recipe = r };
    struct tensor got = planned(&f, g, &o);
    CHECK(difference(&got, &want) < 0.03); /* a step here and there, carried on */
    o.recipe = own;
    struct tensor same_bits = planned(&f, g, &o);
    CHECK(!memcmp(got.data, same_bits.data, (size_t)tensor_bytes(&got)));
    struct tensor real = answer(&f, f.g);
    for (int i = 0; i < 2; i++) {
        o.recipe = all_to(&f, f.g, i ? "Conv" : "FusedConv", "dnnl-blocked");
        struct tensor same = planned(&f, f.g, &o);
        CHECK(difference(&same, &real) < 1e-5);
    }
    arena_release(&f.a);
}

TEST(what_is_skipped_stays_real)
{
    struct fixture f;
    begin(&f);
    const char *all[] = { "Conv", "Gemm" }, *none[] = { "nothing" };
    struct value **values;
    size_t n;
    int reference = 0;
    struct graph *g = graph_copy(f.g, &f.a, &f.e);
    CHECK_OK(qdq_prepare(g, &f.e), &f.e);
    CHECK_INT(qdq_values(g, &(struct qdq_options){ .skip = none, .n_skip = 1 }, &values, &n, &f.e), ERR_USAGE);
    err_clear(&f.e);
    CHECK_INT(qdq_values(g, &(struct qdq_options){ .skip = all, .n_skip = 2 }, &values, &n, &f.e), ERR_UNSUPPORTED);
    err_clear(&f.e);
    struct graph *some = quantized(&f, &(struct qdq_options){ .weight_bits = 8, .skip = all + 1, .n_skip = 1 });
    CHECK_INT(steps_of(&f, some, "QuantizedGemm", &reference), 0);
    arena_release(&f.a);
}

TEST(states_that_change_are_not_quantized)
{
    struct fixture f;
    begin(&f);
    f.g->states[0]->next = f.g->states[0];
    CHECK_INT(qdq_prepare(f.g, &f.e), ERR_UNSUPPORTED);
    CHECK(strstr(f.e.text, "changes while the model runs"));
    arena_release(&f.a);
}

TEST(products_in_bfloat16)
{
    struct fixture f;
    begin(&f);
    struct tensor real = answer(&f, f.g);
    struct session_options rounded = { .precision = PRECISION_ROUNDED }, narrow = { .precision = PRECISION_BF16 };
    struct tensor r = planned(&f, f.g, &rounded), n = planned(&f, f.g, &narrow);
    printf("# rounded: %.2g, bfloat16: %.2g from float32\n", difference(&r, &real), difference(&n, &real));
    CHECK(difference(&r, &real) < 1e-2 && difference(&r, &real) > 1e-6);
    CHECK(difference(&n, &real) < 2e-2 && difference(&n, &real) > 1e-6);
    struct graph *g = graph_copy(f.g, &f.a, &f.e);
    CHECK_OK(pass_precision(g, PRECISION_BF16, &f.e), &f.e);
    int narrow_convs = 0, wide_convs = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (!node_is(g->nodes[i], "Conv")) continue;
        if (g->nodes[i]->out[0]->dtype == DT_BF16) narrow_convs++;
        else wide_convs++;
    }
    CHECK_INT(narrow_convs, 3);
    CHECK_INT(wide_convs, 1); /* depthwise */
    struct tensor made = answer(&f, g);
    CHECK(difference(&made, &real) < 2e-2);
    arena_release(&f.a);
}

/* One convolution: fp32 sums of rounded factors, and one rounding of the result. */
TEST(one_product_is_within_the_rounding_of_bfloat16)
{
    struct fixture f;
    memset(&f, 0, sizeof f);
    arena_init(&f.a, NULL);
    f.g = graph_new(&f.a, &op_registry, "g", &f.e);
    f.b = (struct builder){ f.g, &f.e };
    f.x = random_tensor(&f, DIMS(1, 16, 9, 9));
    struct value *x = graph_input(f.g, "x", DT_F32, &f.x->shape, &f.e);
    struct value *y = emit(&f.b, "Conv", NO_ATTRS, x, weight(&f, DIMS(8, 16, 3, 3)), weight(&f, DIMS(8)));
    graph_output(f.g, y, &f.e);
    CHECK_OK(graph_tidy(f.g, &f.e), &f.e);
    struct tensor real = answer(&f, f.g);
    for (int p = PRECISION_BF16; p <= PRECISION_ROUNDED; p++) {
        struct session_options o = { .precision = (enum precision)p };
        struct tensor got = planned(&f, f.g, &o);
        printf("# %.2g of the largest number\n", difference(&got, &real));
        CHECK(difference(&got, &real) < 4e-3 && difference(&got, &real) > 1e-6);
    }
    arena_release(&f.a);
}
