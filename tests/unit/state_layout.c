/* state_layout.c - trained weights in the layout of the first plan: equal numbers, later plans, other sessions. */
#include "tap.h"

#include "backend/backend.h"
#include "base/arena.h"
#include "base/err.h"
#include "exec/session.h"
#include "graph/release.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "plan/plan.h"
#include "train/step.h"

enum { CHANNELS = 32, SIZE = 8 };

struct fixture {
    struct arena a;
    struct err e;
    struct graph *model, *step;
    int64_t classes, channels, size;
};

static struct tensor *pattern(struct fixture *f, int rank, const int64_t *dims, double scale)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(&f->a, DT_F32, &s, &f->e);
    for (int64_t i = 0; t && i < tensor_count(t); i++) tensor_set_f64(t, i, scale * sin((double)(i * i % 1009)));
    return t;
}

static struct value *weight(struct fixture *f, const char *name, int rank, const int64_t *dims)
{
    return graph_state(f->model, name, pattern(f, rank, dims, 0.1), VALUE_TRAINABLE, &f->e);
}

/* Conv, Relu, Conv, GlobalAveragePool, Flatten: the classes are the channels. */
static void begin_sized(struct fixture *f, int64_t classes, int64_t channels, int64_t size)
{
    memset(f, 0, sizeof *f);
    f->classes = classes, f->channels = channels, f->size = size;
    arena_init(&f->a, NULL);
    f->model = graph_new(&f->a, &op_registry, "m", &f->e);
    struct builder b = { f->model, &f->e };
    struct shape s = shape_of(4, (int64_t[]){ graph_symbol(f->model, "N"), 3, size, size });
    const int64_t w1[] = { channels, 3, 3, 3 }, w2[] = { classes, channels, 3, 3 }, bias[] = { channels };
    struct value *y = graph_input(f->model, "x", DT_F32, &s, &f->e);
    y = emit(&b, "Relu", NO_ATTRS, emit(&b, "Conv", NO_ATTRS, y, weight(f, "w1", 4, w1), weight(f, "b1", 1, bias)));
    y = emit(&b, "Conv", NO_ATTRS, y, weight(f, "w2", 4, w2));
    y = emit(&b, "Flatten", NO_ATTRS, emit(&b, "GlobalAveragePool", NO_ATTRS, y));
    graph_output(f->model, y, &f->e);
    graph_tidy(f->model, &f->e);
    f->step = train_step_new(f->model,
        &(struct train_step_options){ .heads = &(struct train_head){ .loss.name = "cross_entropy" }, .n_heads = 1,
            .attrs = ATTRS(attr_float("momentum", 0.9)) },
        &f->a, &f->e);
    CHECK_OK(f->e.code, &f->e);
}

static void begin_with(struct fixture *f, int64_t classes)
{
    begin_sized(f, classes, CHANNELS, SIZE);
}

static void begin(struct fixture *f)
{
    begin_with(f, CHANNELS);
}

static double train(struct fixture *f, struct session *s, int64_t batch)
{
    struct shape n = shape_of(1, &batch), scalar = shape_of(0, NULL);
    struct tensor *x = pattern(f, 4, (int64_t[]){ batch, 3, f->size, f->size }, 1), out[2] = { { 0 } };
    struct tensor *y = tensor_new(&f->a, DT_I64, &n, &f->e), *lr = tensor_new(&f->a, DT_F32, &scalar, &f->e);
    for (int64_t i = 0; i < batch; i++) tensor_set_i64(y, i, i % f->classes);
    tensor_set_f64(lr, 0, 0.1);
    CHECK_OK(session_run(s, (const struct tensor *[]){ x, y, lr }, out, &f->e), &f->e);
    return f->e.code ? NAN : tensor_get_f64(&out[0], 0);
}

/* The largest difference of states whose names have `part` in them. */
static double distance_of(struct fixture *f, const char *part, const struct session *s, const struct session *t)
{
    double worst = 0;
    for (size_t i = 0; i < f->step->n_states; i++) {
        if (!strstr(f->step->states[i]->name, part)) continue;
        const struct tensor *a = session_state(s, i, &f->a, &f->e), *b = session_state(t, i, &f->a, &f->e);
        for (int64_t k = 0; k < tensor_count(a); k++)
            worst = fmax(worst, fabs(tensor_get_f64(a, k) - tensor_get_f64(b, k)));
    }
    return worst;
}

static double distance(struct fixture *f, const struct session *s, const struct session *t)
{
    return distance_of(f, "", s, t);
}

TEST(batches_of_two_sizes_train_as_the_reference_does)
{
    struct fixture f;
    begin(&f);
    struct session *s = session_new(f.step, &(struct session_options){ .threads = 2 }, &f.e);
    struct session *plain = session_new(f.step, &(struct session_options){ .reference = true }, &f.e);
    for (int i = 0; i < 6; i++) CHECK_NEAR(train(&f, s, i % 3 ? 8 : 5), train(&f, plain, i % 3 ? 8 : 5), 1e-5);
    CHECK(distance(&f, s, plain) < 1e-5);
    session_free(s), session_free(plain);
    arena_release(&f.a);
}

/* Gradients of few channels lie in blocks filled up with zeros; a state that may not is plain. */
TEST(a_layer_of_few_channels_trains_as_the_reference_does)
{
    for (int64_t classes = 2; classes < 12; classes += 3) {
        struct fixture f;
        begin_with(&f, classes);
        struct session *s = session_new(f.step, &(struct session_options){ .threads = 2 }, &f.e);
        struct session *plain = session_new(f.step, &(struct session_options){ .reference = true }, &f.e);
        for (int i = 0; i < 4; i++) CHECK_NEAR(train(&f, s, 8), train(&f, plain, 8), 1e-5);
        CHECK(distance(&f, s, plain) < 1e-5);
        session_free(s), session_free(plain);
        arena_release(&f.a);
    }
}

static bool has_backend(const char *name)
{
    for (size_t i = 0; backend_list[i]; i++)
        if (!strcmp(backend_list[i]->name, name)) return true;
    return false;
}

/* oneDNN has a layout of its own for a convolution's weights on every machine with vector registers. */
static int kernels_of(struct fixture *f, struct session *s, int64_t batch, const char *op, const char *kernel)
{
    struct shape shapes[3] = { f->step->inputs[0]->shape, shape_of(1, &batch), shape_of(0, NULL) };
    shapes[0].dim[0] = batch;
    const struct plan *p = session_plan(s, shapes, &f->e);
    int found = 0;
    for (size_t i = 0; p && i < p->n_steps; i++) {
        const struct step *step = &p->steps[i]->step;
        found += step->kernel && !strcmp(step->node->op->name, op) && !strcmp(step->kernel->name, kernel);
    }
    return found;
}

/* Large enough for Winograd's transform to pay; sizes that are no whole tiles. Moments go up to 0.44. */
TEST(wide_layers_train_as_the_reference_does)
{
    struct fixture f;
    begin_sized(&f, 136, 128, 22);
    struct session *s = session_new(f.step, &(struct session_options){ .threads = 2 }, &f.e);
    struct session *alone = session_new(f.step, &(struct session_options){ .threads = 1 }, &f.e);
    struct session *plain = session_new(f.step, &(struct session_options){ .reference = true }, &f.e);
    for (int i = 0; i < 3; i++) {
        CHECK_NEAR(train(&f, s, 4), train(&f, plain, 4), 1e-5);
        train(&f, alone, 4);
        if (!i) CHECK_NEAR(distance_of(&f, "w2", s, alone), 0, 0);
    }
    CHECK(distance(&f, s, plain) < 2e-5); /* 1.0e-5 */
    if (has_backend("dnnl"))
        for (const char *const *op = (const char *[]){ "Conv", "ConvGradInput", "ConvGradWeight", NULL }; *op; op++)
            CHECK(kernels_of(&f, s, 4, *op, "cpu") == 1);
    session_free(s), session_free(alone), session_free(plain);
    arena_release(&f.a);
}

/* Weights stay float32, and the products of the way back do not fall to reference kernels. */
TEST(products_in_bfloat16_train_as_float32_does)
{
    struct fixture f;
    begin(&f);
    struct session *real = session_new(f.step, &(struct session_options){ .threads = 2 }, &f.e);
    for (int p = PRECISION_BF16; p <= PRECISION_ROUNDED; p++) {
        if (p == PRECISION_BF16 && !backend_multiplies(DT_BF16)) continue;
        struct session_options o = { .threads = 2, .precision = (enum precision)p };
        struct session *s = session_new(f.step, &o, &f.e);
        CHECK_OK(session_reset(real, &f.e), &f.e);
        for (int i = 0; i < 6; i++) CHECK_NEAR(train(&f, s, 8), train(&f, real, 8), 1e-2);
        double far = distance(&f, s, real);
        printf("# %.2g apart\n", far);
        CHECK(far < 3e-2 && far > 1e-6); /* 0.011 */
        for (size_t i = 0; i < f.step->n_states; i++)
            if (f.step->states[i]->flags & VALUE_TRAINABLE)
                CHECK_INT(session_state(s, i, &f.a, &f.e)->dtype, DT_F32);
        if (p == PRECISION_BF16) {
            CHECK_INT(kernels_of(&f, s, 8, "ConvGradWeight", "dnnl"), 2);
            CHECK_INT(kernels_of(&f, s, 8, "ConvGradInput", "dnnl"), 1);
        }
        session_free(s);
    }
    session_free(real);
    arena_release(&f.a);
}

TEST(weights_and_their_moments_share_a_layout_that_later_plans_keep)
{
    struct fixture f;
    begin(&f);
    struct session *s = session_new(f.step, &(struct session_options){ .threads = 2 }, &f.e);
    if (!has_backend("dnnl")) SKIP("built without oneDNN");
    for (int64_t batch = 3; batch < 5; batch++) {
        train(&f, s, batch);
        struct shape shapes[3] = { f.step->inputs[0]->shape, shape_of(1, &batch), shape_of(0, NULL) };
        shapes[0].dim[0] = batch;
        const struct plan *p = session_plan(s, shapes, &f.e);
        for (size_t i = 0; i < f.step->n_states; i++) {
            const struct tensor *t = &p->of_value[p->graph->states[i]->id]->tensor;
            const struct place *next = p->of_value[p->graph->states[i]->next->id];
            if (strstr(p->graph->states[i]->name, "w2")) CHECK(t->layout);
            if (t->layout) CHECK(place_root((struct place *)(uintptr_t)next)->kind == PLACE_STATE);
        }
    }
    session_free(s);
    arena_release(&f.a);
}

TEST(content_given_and_taken_is_plain)
{
    struct fixture f;
    begin(&f);
    struct session *s = session_new(f.step, &(struct session_options){ .threads = 2 }, &f.e);
    struct session *t = session_new(f.step, &(struct session_options){ .threads = 2 }, &f.e);
    train(&f, s, 4), train(&f, t, 4), train(&f, s, 4);
    for (size_t i = 0; i < f.step->n_states; i++)
        CHECK_OK(session_set_state(t, i, session_state(s, i, &f.a, &f.e), &f.e), &f.e);
    CHECK_NEAR(distance(&f, s, t), 0, 0);
    CHECK_NEAR(train(&f, s, 4), train(&f, t, 4), 0);
    CHECK_OK(session_reset(s, &f.e), &f.e);
    CHECK(distance(&f, s, t) > 0);
    CHECK(session_set_state(s, f.step->n_states, f.model->states[0]->data, &f.e) == ERR_USAGE);
    session_free(s), session_free(t);
    arena_release(&f.a);
}

static double judge(struct fixture *f, struct session *s, int64_t batch)
{
    struct tensor *x = pattern(f, 4, (int64_t[]){ batch, 3, SIZE, SIZE }, 1), out = { 0 };
    CHECK_OK(session_run(s, (const struct tensor *[]){ x }, &out, &f->e), &f->e);
    return f->e.code ? NAN : tensor_get_f64(&out, 1);
}

/* The model judged while it is trained reads the weights where the training keeps them, whichever plan came first. */
TEST(another_session_reads_the_states_of_the_first)
{
    for (int judged_first = 0; judged_first < 2; judged_first++) {
        struct fixture f;
        begin(&f);
        struct session *s = session_new(f.step, &(struct session_options){ .threads = 2 }, &f.e);
        struct session *v = session_new(f.model, &(struct session_options){ .threads = 2, .states_of = s }, &f.e);
        double before = judged_first ? judge(&f, v, 2) : 0;
        train(&f, s, 4);
        double first = judge(&f, v, 2);
        train(&f, s, 4);
        double second = judge(&f, v, 2);
        CHECK(first != before && first != second);
        for (size_t i = 0; i < f.model->n_states; i++)
            for (size_t k = 0; k < f.step->n_states; k++)
                if (!strcmp(f.model->states[i]->name, f.step->states[k]->name))
                    f.model->states[i]->data = (struct tensor *)(uintptr_t)session_state(s, k, &f.a, &f.e);
        struct session *fresh = session_new(f.model, &(struct session_options){ .threads = 2 }, &f.e);
        CHECK_NEAR(judge(&f, fresh, 2), second, 1e-6);
        session_free(fresh), session_free(v), session_free(s);
        arena_release(&f.a);
    }
}

static bool all_zero(const struct tensor *t, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (tensor_get_f64(t, i) != 0) return false;
    return true;
}

/* What the model held is given back, but for what lies in one memory with something that does not change. */
TEST(a_session_needs_nothing_of_what_the_model_held)
{
    enum { PAGE = 4096 / 4 };
    for (int shared = 0; shared < 2; shared++) {
        struct fixture f, g;
        begin_sized(&f, 64, 64, SIZE), begin_sized(&g, 64, 64, SIZE);
        struct tensor *w2 = (struct tensor *)(uintptr_t)f.model->states[2]->data;
        if (shared) graph_const(f.model, "reader", w2, &f.e);
        struct session *s = session_new(f.step, &(struct session_options){ .threads = 2 }, &f.e);
        struct session *t = session_new(g.step, &(struct session_options){ .threads = 2 }, &g.e);
        CHECK_OK(graph_release_states(f.model, f.step, &f.e), &f.e);
        CHECK(!all_zero(w2, tensor_count(w2) - 2 * PAGE)); /* its first page holds the blob itself */
        struct tensor inner = *w2;
        inner.data = (float *)w2->data + PAGE;
        CHECK(all_zero(&inner, tensor_count(w2) - 2 * PAGE) == !shared);
        for (int i = 0; i < 4; i++) CHECK_NEAR(train(&f, s, 8), train(&g, t, 8), 0);
        session_free(s), session_free(t);
        arena_release(&f.a), arena_release(&g.a);
    }
}

static struct value *tanh_layers(struct fixture *f, struct builder *b, struct value *y, int n, int64_t width, int side)
{
    const int64_t pads[] = { side / 2, side / 2, side / 2, side / 2 };
    for (int i = 0; i < n; i++) {
        struct value *w = weight(f, "w", 4, (int64_t[]){ width, y->shape.dim[1], side, side });
        y = emit(b, "Tanh", NO_ATTRS, emit(b, "Conv", ATTRS(attr_ints("pads", pads, 4)), y, w));
    }
    return y;
}

/* Bytes of a step's plan: so many layers of (4, 8, 64, 64), then, averaged, so many of (4, 256, 1, 1). */
static double chain_bytes(int wide, int heavy)
{
    struct fixture f = { .classes = 8 };
    arena_init(&f.a, NULL);
    f.model = graph_new(&f.a, &op_registry, "chain", &f.e);
    struct builder b = { f.model, &f.e };
    struct shape s = shape_of(4, (int64_t[]){ 4, 8, 64, 64 });
    struct value *y = tanh_layers(&f, &b, graph_input(f.model, "x", DT_F32, &s, &f.e), wide, 8, 3);
    y = tanh_layers(&f, &b, emit(&b, "GlobalAveragePool", NO_ATTRS, y), heavy, 256, 1);
    graph_output(f.model, emit(&b, "Flatten", NO_ATTRS, y), &f.e);
    struct train_step_options o = { .heads = &(struct train_head){ .loss.name = "cross_entropy" }, .n_heads = 1 };
    f.step = train_step_new(f.model, &o, &f.a, &f.e);
    CHECK_OK(f.e.code, &f.e);
    struct session *t = session_new(f.step, &(struct session_options){ .threads = 1, .reference = true }, &f.e);
    const struct shape shapes[] = { s, shape_of(1, (int64_t[]){ 4 }), shape_of(0, NULL) };
    const struct plan *p = session_plan(t, shapes, &f.e);
    CHECK_OK(f.e.code, &f.e);
    double bytes = p ? (double)p->memory : 0;
    session_free(t);
    arena_release(&f.a);
    return bytes;
}

/* Weights' gradients are made as soon as they can be, so that neither activations nor their gradients wait for the end;
 * but where they are larger than these, they are made at the end. */
TEST(a_step_holds_its_activations_or_its_large_gradients)
{
    enum { WIDE = 12, HEAVY = 25 };
    double activation = 4.0 * 4 * 8 * 64 * 64, gradient = 4.0 * 256 * 256;
    double wide = chain_bytes(WIDE, 0) / activation, both = chain_bytes(WIDE, HEAVY) / activation;
    printf("# %.1f and %.1f activations\n", wide, both);
    CHECK(wide < WIDE + 4);
    CHECK(HEAVY * gradient > 12 * activation && both < WIDE + 6);
}
