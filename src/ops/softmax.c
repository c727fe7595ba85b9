/* softmax.c - normalised exponentials along an axis. */
#include <math.h>

#include "base/err.h"
#include "graph/builder.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/lanes.h"
#include "ops/unary.h"

static const struct attr_spec axis_attrs[] = { { .name = "axis", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = -1 },
    { 0 } };

static int check(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    int rank = n->in[0]->shape.rank;
    if (rank == 0) return fail(e, ERR_SHAPE, "the input is a scalar");
    return rank > 0 && infer_axis(n, "axis", rank, e) < 0 ? e->code : 0;
}

static int softmax_infer(struct node *n, struct err *e)
{
    TRY(check(n, e));
    return infer_same(n, e);
}

static int softmax_grad_infer(struct node *n, struct err *e)
{
    TRY(check(n, e));
    return unary_infer_grad(n, e);
}

static double largest(const double *x, int64_t end, int64_t stride)
{
    double m = -INFINITY;
    for (int64_t i = 0; i < end; i += stride)
        if (x[i] > m || x[i] != x[i]) m = x[i];
    return m;
}

static void softmax(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    const double *x = v[0].f;
    double *y = v[1].f, sum = 0;
    int64_t end = l->on[0].len * stride;
    double m = largest(x, end, stride);
    for (int64_t i = 0; i < end; i += stride) sum += y[i] = exp(x[i] - m);
    for (int64_t i = 0; i < end; i += stride) y[i] /= sum;
}

/* Rows that are nothing but -infinity, as a mask leaves them, become 0. */
static void softmax_or_zero(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    int64_t end = l->on[0].len * stride;
    if (largest(v[0].f, end, stride) != -INFINITY) softmax(l, line, stride, v);
    else
        for (int64_t i = 0; i < end; i += stride) v[1].f[i] = 0;
}

static void log_softmax(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    const double *x = v[0].f;
    double *y = v[1].f, sum = 0;
    int64_t end = l->on[0].len * stride;
    double m = largest(x, end, stride);
    for (int64_t i = 0; i < end; i += stride) sum += exp(x[i] - m);
    for (int64_t i = 0; i < end; i += stride) y[i] = x[i] - m - log(sum);
}

/* 1 at the first of the largest, else 0 */
static void hardmax(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    int64_t end = l->on[0].len * stride, first = 0;
    double m = largest(v[0].f, end, stride);
    while (first < end && v[0].f[first] != m) first += stride;
    for (int64_t i = 0; i < end; i += stride) v[1].f[i] = i == first;
}

/* dx = y (dy - sum(dy y)) */
static void softmax_slope(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    const double *dy = v[0].f, *y = v[1].f;
    double *dx = v[2].f, dot = 0;
    int64_t end = l->on[0].len * stride;
    for (int64_t i = 0; i < end; i += stride) dot += dy[i] * y[i];
    for (int64_t i = 0; i < end; i += stride) dx[i] = y[i] * (dy[i] - dot);
}

/* dx = dy - exp(y) sum(dy) */
static void log_softmax_slope(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    const double *dy = v[0].f, *y = v[1].f;
    double *dx = v[2].f, sum = 0;
    int64_t end = l->on[0].len * stride;
    for (int64_t i = 0; i < end; i += stride) sum += dy[i];
    for (int64_t i = 0; i < end; i += stride) dx[i] = dy[i] - exp(y[i]) * sum;
}

static int run_along(const struct step *s,
    void (*apply)(const struct lanes *l, int64_t line, int64_t stride, const union lane *x), struct err *e)
{
    struct lanes l = { .n_in = s->node->n_in, .n_out = 1, .apply = apply };
    const struct shape *shape = &s->out[0]->shape;
    int64_t len = lanes_cut(&l, shape, shape_axis(node_int(s->node, "axis"), shape->rank));
    for (int k = 0; k <= l.n_in; k++) {
        l.on[k].t = k < l.n_in ? s->in[k] : s->out[0];
        l.on[k].len = len;
    }
    return lanes_run(s, &l, e);
}

#define ALONG(name) \
    static int name##_run(const struct step *s, struct err *e) \
    { \
        return run_along(s, name, e); \
    }
ALONG(softmax)
ALONG(softmax_or_zero)
ALONG(log_softmax)
ALONG(hardmax)
ALONG(softmax_slope)
ALONG(log_softmax_slope)

static int softmax_grad(struct grad *g)
{
    return unary_grad(g, "SoftmaxGrad", READS_Y);
}

static int softmax_or_zero_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct attr axis[] = { attr_int("axis", node_int(n, "axis")), { 0 } };
    struct value *x = n->in[0], *most = emit(b, "ReduceMax", NO_ATTRS, x, emit_i64s(b, &axis->i, 1));
    struct value *blind = emit2(b, "Equal", most, emit_scalar(b, x->dtype, -INFINITY));
    struct value *zero = emit_scalar(b, x->dtype, 0), *safe = emit(b, "Where", NO_ATTRS, blind, zero, x);
    out[0] = emit(b, "Where", NO_ATTRS, blind, zero, emit(b, "Softmax", axis, safe));
    return 0;
}

static int log_softmax_grad(struct grad *g)
{
    return unary_grad(g, "LogSoftmaxGrad", READS_Y);
}

#define ROW(id, inputs, function, inference, help, mode, example, ...) \
    { \
        .name = id, .doc = help, .min_in = inputs, .max_in = inputs, .min_out = 1, .max_out = 1, \
        .flags = OP_INPLACE | (mode), .attrs = axis_attrs, .infer = inference, .run = function##_run, \
        .samples = example, __VA_ARGS__ \
    }
#define SAMPLES "f32[2,10]; f32[2,5,3,4] | axis=1; f32[3,700]; f64[700,3] | axis=0; f16[7]; f32[0,3]"
#define SAMPLES_GRAD "f32[2,10] f32+[2,10]; f32[2,5,3,4] f32+[2,5,3,4] | axis=1"

const struct op ops_softmax[] = {
    ROW("Softmax", 1, softmax, softmax_infer, "exp(x) over its sum along an axis", 0, SAMPLES, .grad = softmax_grad),
    ROW("SoftmaxOrZero", 1, softmax_or_zero, softmax_infer, "Softmax, but 0 where all along the axis is -infinity",
        OP_OWN, SAMPLES "; f32{-inf,-inf,1,-inf}; f32{-inf,-inf}", .grad = softmax_grad,
        .expand = softmax_or_zero_expand),
    ROW("LogSoftmax", 1, log_softmax, softmax_infer, "x minus the logarithm of the sum of exp(x) along an axis", 0,
        SAMPLES, .grad = log_softmax_grad),
    ROW("Hardmax", 1, hardmax, softmax_infer, "1 at the first of the largest along an axis, else 0", 0, SAMPLES,
        .grad = grad_zero),
    ROW("SoftmaxGrad", 2, softmax_slope, softmax_grad_infer, "gradient of Softmax: of (dy, y)",
        OP_OWN | OP_TRAINING_ONLY, SAMPLES_GRAD),
    ROW("LogSoftmaxGrad", 2, log_softmax_slope, softmax_grad_infer, "gradient of LogSoftmax: of (dy, y)",
        OP_OWN | OP_TRAINING_ONLY, SAMPLES_GRAD),
    { 0 },
};
