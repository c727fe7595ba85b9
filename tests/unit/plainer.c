/* plainer.c - what exporters write in several nodes becomes one, in whatever order; what only looks like it stays. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "pass/pass.h"

struct fixture {
    struct arena a;
    struct err e;
    struct builder b;
    struct value *x; /* (2, 5, 6), between -3 and 3 */
    struct tensor *in;
};

static void begin_with(struct fixture *f, enum dtype t)
{
    struct shape s = shape_of(3, (int64_t[]){ 2, 5, 6 });
    memset(f, 0, sizeof *f);
    arena_init(&f->a, NULL);
    f->b = (struct builder){ graph_new(&f->a, &op_registry, "g", &f->e), &f->e };
    f->x = graph_input(f->b.g, "x", t, &s, &f->e);
    f->in = tensor_new(&f->a, t, &s, &f->e);
    for (int64_t i = 0; i < tensor_count(f->in); i++) tensor_set_f64(f->in, i, (double)(i * 37 % 61) / 10 - 3);
}

static void begin(struct fixture *f)
{
    begin_with(f, DT_F32);
}

static struct value *two(struct fixture *f, const char *op, struct value *x, struct value *y)
{
    return emit(&f->b, op, NO_ATTRS, x, y);
}

static struct value *by(struct fixture *f, const char *op, struct value *x, double number)
{
    return two(f, op, x, emit_scalar(&f->b, x->dtype, number));
}

static int count(const struct graph *g, const char *op)
{
    int n = 0;
    for (size_t i = 0; i < g->n_nodes; i++) n += node_is(g->nodes[i], op);
    return n;
}

/* The passes up to `last` leave `nodes` nodes, `ops` of them `op`; a session answers what the nodes did one by one. */
static void check_up_to(struct fixture *f, const char *last, struct value *y, const char *op, int ops, int nodes)
{
    struct tensor *want = NULL, got = { 0 };
    CHECK_OK(graph_output(f->b.g, y, &f->e), &f->e);
    CHECK_OK(graph_tidy(f->b.g, &f->e), &f->e);
    CHECK_OK(graph_interpret(f->b.g, &f->in, &want, &f->a, NULL, &f->e), &f->e);
    struct session *s = session_new(f->b.g, &(struct session_options){ .threads = 1 }, &f->e);
    CHECK_OK(session_run(s, (const struct tensor *[]){ f->in }, &got, &f->e), &f->e);
    for (int64_t i = 0; i < tensor_count(want); i++) {
        double is = tensor_get_f64(want, i), within = f->in->dtype == DT_F32 ? 3e-6 : 1e-2;
        CHECK_NEAR(tensor_get_f64(&got, i), is, within * (1 + fabs(is)));
    }
    session_free(s);
    CHECK_OK(pass_run(f->b.g, PASS_PLAN, last, &f->e), &f->e);
    CHECK_INT(count(f->b.g, op), ops);
    CHECK_INT((int)f->b.g->n_nodes, nodes);
    arena_release(&f->a);
}

static void check(struct fixture *f, struct value *y, const char *op, int ops, int nodes)
{
    check_up_to(f, "fuse", y, op, ops, nodes);
}

TEST(powers_by_small_numbers_are_products_and_roots)
{
    static const struct {
        double exponent;
        const char *op;
        int ops, nodes;
    } rows[] = { { 2, "Mul", 1, 1 }, { 3, "Mul", 2, 2 }, { 0.5, "Sqrt", 1, 1 }, { 2.5, "Pow", 1, 1 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        begin(&f);
        for (int64_t k = 0; k < tensor_count(f.in); k++) tensor_set_f64(f.in, k, (double)(k + 1) / 16);
        struct value *y = by(&f, "Pow", f.x, rows[i].exponent);
        check(&f, y, rows[i].op, rows[i].ops, rows[i].nodes);
    }
}

/* 0.5 x p in its three orders, p = 1 + erf(x / sqrt 2) or its form by tanh. */
static struct value *spelled_gelu(struct fixture *f, int order, bool by_tanh, double factor)
{
    struct value *x = f->x, *p;
    if (by_tanh) {
        struct value *cube = two(f, "Mul", by(f, "Pow", x, 2), x);
        p = emit(&f->b, "Tanh", NO_ATTRS, by(f, "Mul", two(f, "Add", x, by(f, "Mul", cube, 0.044715)), factor));
    } else
        p = emit(&f->b, "Erf", NO_ATTRS, order ? by(f, "Mul", x, factor) : by(f, "Div", x, 1 / factor));
    p = by(f, "Add", p, 1);
    if (order == 0) return by(f, "Mul", two(f, "Mul", x, p), 0.5);
    if (order == 1) return two(f, "Mul", by(f, "Mul", x, 0.5), p);
    return two(f, "Mul", by(f, "Mul", p, 0.5), x);
}

TEST(gelu_is_found_in_every_order)
{
    static const double factors[] = { M_SQRT1_2, 0.7978845608028654 };
    for (int order = 0; order < 3; order++)
        for (int by_tanh = 0; by_tanh < 2; by_tanh++) {
            struct fixture f;
            begin(&f);
            check(&f, spelled_gelu(&f, order, by_tanh, factors[by_tanh]), "Gelu", 1, 1);
            begin(&f); /* almost */
            check(&f, spelled_gelu(&f, order, by_tanh, factors[by_tanh] * 1.001), "Gelu", 0, by_tanh ? 9 : 5);
        }
}

TEST(a_gelu_that_others_look_into_stays)
{
    struct fixture f;
    begin(&f);
    struct value *y = spelled_gelu(&f, 0, false, M_SQRT1_2);
    struct value *half_way = y->node->in[0]->node->in[1]; /* 1 + erf */
    check(&f, two(&f, "Sub", y, half_way), "Gelu", 0, 6);
}

static struct value *vector(struct fixture *f, int rank, const int64_t *dims)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(&f->a, DT_F32, &s, &f->e);
    for (int64_t i = 0; i < tensor_count(t); i++) tensor_set_f64(t, i, (double)i / 4 - 0.6);
    return graph_state(f->b.g, NULL, t, VALUE_TRAINABLE, &f->e);
}

/* (x - mean) / sqrt(mean of squares + epsilon) over `n` of the axes, negative ones */
static struct value *spelled_norm(struct fixture *f, const int64_t *axes, size_t n, bool by_pow, double epsilon)
{
    struct value *over = emit_i64s(&f->b, axes, n);
    struct value *d = two(f, "Sub", f->x, two(f, "ReduceMean", f->x, over));
    struct value *square = by_pow ? by(f, "Pow", d, 2) : two(f, "Mul", d, d);
    struct value *sum = by(f, "Add", two(f, "ReduceMean", square, over), epsilon);
    return two(f, "Div", d, emit(&f->b, "Sqrt", NO_ATTRS, sum));
}

TEST(layer_normalization_takes_its_scale_and_bias)
{
    struct fixture f;
    begin(&f);
    check(&f, spelled_norm(&f, (int64_t[]){ -1 }, 1, true, 1e-5), "LayerNormalization", 1, 1);
    begin(&f);
    struct value *y = spelled_norm(&f, (int64_t[]){ 2 }, 1, false, 0.1);
    y = two(&f, "Mul", vector(&f, 1, (int64_t[]){ 6 }), y);
    check(&f, two(&f, "Add", y, vector(&f, 1, (int64_t[]){ 6 })), "LayerNormalization", 1, 1);
    begin(&f);
    y = two(&f, "Mul", spelled_norm(&f, (int64_t[]){ -1, 1 }, 2, true, 1e-3), vector(&f, 2, (int64_t[]){ 5, 6 }));
    check(&f, y, "LayerNormalization", 1, 1);
}

TEST(what_is_no_layer_normalization_stays)
{
    struct fixture f;
    begin(&f); /* not the last axis */
    check(&f, spelled_norm(&f, (int64_t[]){ 1 }, 1, false, 1e-5), "LayerNormalization", 0, 7);
    begin(&f); /* a scale of another dimension is no scale of it */
    struct value *y = spelled_norm(&f, (int64_t[]){ -1 }, 1, true, 1e-5);
    check(&f, two(&f, "Mul", y, vector(&f, 2, (int64_t[]){ 5, 1 })), "LayerNormalization", 1, 2);
    begin(&f); /* another mean than that of its own squares */
    struct value *over = emit_i64s(&f.b, (int64_t[]){ -1 }, 1);
    struct value *d = two(&f, "Sub", f.x, two(&f, "ReduceMean", f.x, over));
    struct value *sum = by(&f, "Add", two(&f, "ReduceMean", two(&f, "Mul", f.x, f.x), over), 1e-5);
    check(&f, two(&f, "Div", d, emit(&f.b, "Sqrt", NO_ATTRS, sum)), "LayerNormalization", 0, 7);
}

static struct value *padded(struct fixture *f, const int64_t *pads, double with)
{
    return emit(&f->b, "Pad", NO_ATTRS, f->x, emit_i64s(&f->b, pads, 6), emit_scalar(&f->b, DT_F32, with));
}

static struct value *pooled(struct fixture *f, struct value *x, int64_t own, int64_t counted)
{
    const int64_t kernel = 3, pads[] = { own, own };
    return emit(&f->b, "AveragePool",
        ATTRS(attr_ints("kernel_shape", &kernel, 1), attr_ints("pads", pads, 2),
            attr_int("count_include_pad", counted)),
        x);
}

TEST(zeros_around_an_image_are_the_padding_of_a_window)
{
    static const int64_t aside[] = { 0, 0, 1, 0, 0, 2 };
    static const struct {
        int64_t own, counted;
    } rows[] = { { 0, 0 }, { 0, 1 }, { 1, 1 } };
    struct fixture f;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(&f);
        check(&f, pooled(&f, padded(&f, aside, 0), rows[i].own, rows[i].counted), "AveragePool", 1, 1);
    }
    begin(&f);
    const int64_t pads[] = { 1, 0 }, stride = 2;
    const struct attr own = attr_ints("pads", pads, 2), by_two = attr_ints("strides", &stride, 1);
    struct value *x = padded(&f, aside, 0), *w = vector(&f, 3, (int64_t[]){ 4, 5, 3 });
    check(&f, emit(&f.b, "Conv", ATTRS(own, by_two), x, w), "Conv", 1, 1);
}

TEST(other_paddings_stay)
{
    struct fixture f;
    begin(&f); /* another number */
    check(&f, pooled(&f, padded(&f, (int64_t[]){ 0, 0, 1, 0, 0, 1 }, 1), 0, 0), "Pad", 1, 2);
    begin(&f); /* channels */
    check(&f, pooled(&f, padded(&f, (int64_t[]){ 0, 1, 1, 0, 0, 1 }, 0), 0, 0), "Pad", 1, 2);
    begin(&f); /* less than nothing */
    check(&f, pooled(&f, padded(&f, (int64_t[]){ 0, 0, -1, 0, 0, 1 }, 0), 0, 0), "Pad", 1, 2);
    begin(&f); /* numbers around that do not count, beside those that do */
    check(&f, pooled(&f, padded(&f, (int64_t[]){ 0, 0, 1, 0, 0, 1 }, 0), 1, 0), "Pad", 1, 2);
    begin(&f); /* a maximum sees them */
    const int64_t kernel = 3;
    struct value *x = padded(&f, (int64_t[]){ 0, 0, 1, 0, 0, 1 }, 0);
    check(&f, emit(&f.b, "MaxPool", ATTRS(attr_ints("kernel_shape", &kernel, 1)), x), "Pad", 1, 2);
}

static struct node *dropout(struct fixture *f, double ratio, bool training)
{
    struct value *in[] = { f->x, emit_scalar(&f->b, DT_F32, ratio), emit_scalar(&f->b, DT_BOOL, training) };
    return builder_node(&f->b, "Dropout", ATTRS(attr_int("seed", 1)), in, 3, 2);
}

TEST(what_does_nothing_disappears)
{
    struct fixture f;
    begin(&f);
    check(&f, emit(&f.b, "Neg", NO_ATTRS, padded(&f, (int64_t[]){ 0, 0, 0, 0, 0, 0 }, 1)), "Neg", 1, 1);
    begin(&f);
    check(&f, emit(&f.b, "Neg", NO_ATTRS, dropout(&f, 0, true)->out[0]), "Neg", 1, 1);
    begin(&f);
    check(&f, emit(&f.b, "Neg", NO_ATTRS, dropout(&f, 0.5, false)->out[0]), "Neg", 1, 1);
    begin(&f);
    check(&f, emit(&f.b, "Neg", NO_ATTRS, dropout(&f, 0.5, true)->out[0]), "Dropout", 1, 2);
    begin(&f); /* its mask is looked at */
    struct node *n = dropout(&f, 0, true);
    check(&f, two(&f, "Mul", n->out[0], emit_cast(&f.b, n->out[1], DT_F32)), "Dropout", 1, 3);
}

static struct value *turned(struct fixture *f, struct value *x)
{
    return emit(&f->b, "Transpose", NO_ATTRS, x);
}

TEST(products_take_in_what_follows)
{
    struct fixture f;
    begin(&f);
    struct value *y = two(&f, "MatMul", f.x, vector(&f, 2, (int64_t[]){ 6, 6 }));
    y = two(&f, "Add", f.x, two(&f, "Add", vector(&f, 1, (int64_t[]){ 6 }), y));
    check(&f, emit(&f.b, "Relu", NO_ATTRS, y), "FusedMatMul", 1, 1);
    begin(&f); /* the formula of an activation is found first */
    f.x = two(&f, "MatMul", f.x, vector(&f, 2, (int64_t[]){ 6, 3 }));
    check(&f, spelled_gelu(&f, 1, false, M_SQRT1_2), "FusedMatMul", 1, 1);
    begin(&f); /* a residual of another shape */
    y = two(&f, "MatMul", f.x, vector(&f, 2, (int64_t[]){ 6, 6 }));
    check(&f, two(&f, "Add", y, vector(&f, 2, (int64_t[]){ 5, 6 })), "MatMul", 1, 2);
}

/* A normalisation by weights that stay as they are. */
static struct value *fixed_norm(struct fixture *f, struct value *x)
{
    struct value *v[4];
    for (int i = 0; i < 4; i++) v[i] = vector(f, 1, &x->shape.dim[1]);
    for (int64_t i = 0; i < x->shape.dim[1]; i++)
        tensor_set_f64((struct tensor *)(uintptr_t)v[3]->data, i, (double)(i + 1) / 4);
    return emit(&f->b, "BatchNormalization", NO_ATTRS, x, v[0], v[1], v[2], v[3]);
}

static struct value *twice(struct fixture *f, int axis)
{
    return emit(&f->b, "Concat", ATTRS(attr_int("axis", axis)), f->x, emit(&f->b, "Neg", NO_ATTRS, f->x));
}

TEST(normalisations_join_their_pieces)
{
    struct fixture f;
    begin(&f);
    check(&f, emit(&f.b, "Relu", NO_ATTRS, fixed_norm(&f, twice(&f, -2))), "FusedNormalization", 1, 2);
    begin(&f);
    check(&f, fixed_norm(&f, twice(&f, 1)), "FusedNormalization", 1, 2);
    begin(&f); /* along another dimension */
    check(&f, emit(&f.b, "Relu", NO_ATTRS, fixed_norm(&f, twice(&f, 2))), "Concat", 1, 3);
    begin(&f); /* what is joined, and what is normalised, has other readers too */
    struct value *both = twice(&f, 1), *y = fixed_norm(&f, both);
    y = two(&f, "Add", y, emit(&f.b, "Relu", NO_ATTRS, y));
    check(&f, two(&f, "Add", y, both), "BatchNormalization", 1, 6);
}

TEST(matrices_are_taken_as_they_lie)
{
    struct fixture f;
    begin(&f);
    check(&f, two(&f, "MatMul", f.x, turned(&f, vector(&f, 2, (int64_t[]){ 4, 6 }))), "FusedMatMul", 1, 1);
    begin(&f); /* turned twice */
    struct value *w = vector(&f, 2, (int64_t[]){ 4, 5 }), *flat;
    flat = emit(&f.b, "Reshape", NO_ATTRS, f.x, emit_i64s(&f.b, (int64_t[]){ 5, 12 }, 2));
    struct value *y = emit(&f.b, "Gemm", ATTRS(attr_int("transA", 1), attr_int("transB", 1)), flat, w);
    check(&f, turned(&f, y), "Transpose", 0, 2);
}

/* Cast, then all in float32, then Cast. */
TEST(halves_compute_in_float32)
{
    static const enum dtype halves[] = { DT_F16, DT_BF16 };
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        begin_with(&f, halves[i]);
        struct value *y = by(&f, "Add", by(&f, "Mul", f.x, 0.37), 1.1);
        check(&f, by(&f, "Div", y, 7), "Cast", 2, 5);
        begin_with(&f, halves[i]); /* what is asked for in float32 is not rounded on the way */
        y = emit_cast(&f.b, by(&f, "Mul", f.x, 0.37), DT_F32);
        check(&f, emit(&f.b, "Exp", NO_ATTRS, y), "Cast", 1, 3);
    }
}

TEST(halves_that_are_asked_for_stay)
{
    struct fixture f;
    begin(&f); /* float32 that is rounded on purpose */
    struct value *y = emit_cast(&f.b, emit_cast(&f.b, f.x, DT_F16), DT_F32);
    check(&f, by(&f, "Mul", y, 3), "Cast", 2, 3);
    begin_with(&f, DT_F16); /* a formula whose numbers were rounded with the rest */
    check(&f, spelled_gelu(&f, 0, false, M_SQRT1_2), "Gelu", 1, 3);
}

static struct value *one(struct fixture *f, const char *op, struct value *x)
{
    return emit(&f->b, op, NO_ATTRS, x);
}

/* Both operands of a step may be of the group, numbers on either side, attributes other than their defaults. */
TEST(elementwise_operators_in_a_row_are_one_sweep)
{
    struct fixture f;
    begin(&f);
    struct value *x = f.x, *half = emit_scalar(&f.b, DT_F32, 0.5), *y = two(&f, "Sub", half, by(&f, "Mul", x, 3));
    y = emit(&f.b, "Clip", NO_ATTRS, one(&f, "Round", y), emit_scalar(&f.b, DT_F32, -2), emit_scalar(&f.b, DT_F32, 5));
    y = two(&f, "Div", y, by(&f, "Add", one(&f, "Sigmoid", x), 1));
    y = two(&f, "Max", y, emit(&f.b, "LeakyRelu", ATTRS(attr_float("alpha", 0.3)), y));
    check_up_to(&f, "chains", two(&f, "Add", y, x), "FusedElementwise", 1, 1);
}

TEST(a_sweep_has_no_more_steps_and_operands_than_fit)
{
    struct fixture f;
    begin(&f);
    struct value *y = f.x;
    for (int i = 0; i < 30; i++) y = one(&f, i % 2 ? "Softsign" : "Exp", y);
    check_up_to(&f, "chains", y, "FusedElementwise", 2, 2);
    begin(&f);
    y = f.x;
    for (int i = 0; i < 12; i++) y = by(&f, "Add", y, i);
    check_up_to(&f, "chains", y, "FusedElementwise", 2, 2);
}

/* What others read is written to memory, and what is broadcast is no number. */
TEST(what_others_read_ends_a_sweep)
{
    struct fixture f;
    begin(&f);
    struct value *y = by(&f, "Add", one(&f, "Exp", f.x), 1), *sum = emit(&f.b, "ReduceSum", NO_ATTRS, y);
    check_up_to(&f, "chains", two(&f, "Div", one(&f, "Log", y), sum), "FusedElementwise", 2, 3);
    begin(&f);
    sum = emit(&f.b, "ReduceSum", NO_ATTRS, f.x, emit_i64s(&f.b, (int64_t[]){ 1 }, 1));
    check_up_to(&f, "chains", one(&f, "Exp", two(&f, "Sub", one(&f, "Tanh", f.x), sum)), "FusedElementwise", 0, 4);
}
