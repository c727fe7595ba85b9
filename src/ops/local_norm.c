/* local_norm.c - normalisations without parameters: across neighbouring channels, by a norm, by mean and
 * variance. */
#include <math.h>

#include "base/err.h"
#include "graph/builder.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/lanes.h"
#include "ops/unary.h"

/* --- LRN: x / (bias + alpha / size * sum of squares of the neighbouring channels)^beta (Krizhevsky et al.
 * 2012) --- */

static const struct attr_spec lrn_attrs[] = {
    { .name = "alpha", .type = ATTR_FLOAT, .presence = ATTR_DEFAULT, .f = 1e-4 },
    { .name = "beta", .type = ATTR_FLOAT, .presence = ATTR_DEFAULT, .f = 0.75 },
    { .name = "bias", .type = ATTR_FLOAT, .presence = ATTR_DEFAULT, .f = 1 },
    { .name = "size", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "channels that are summed" },
    { 0 },
};

struct lrn {
    double alpha, beta, bias; /* alpha already over size */
    int64_t before, after;    /* neighbours of a channel */
};

static int lrn_check(const struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(infer_rank(n, 0, 2, SHAPE_MAX, e));
    int64_t size = node_int(n, "size");
    return size > 0 && size < INT32_MAX ? 0 : fail(e, ERR_MODEL, "size is %lld", (long long)size);
}

static int lrn_infer(struct node *n, struct err *e)
{
    TRY(lrn_check(n, e));
    return infer_same(n, e);
}

static int lrn_grad_infer(struct node *n, struct err *e)
{
    TRY(lrn_check(n, e));
    return unary_infer_grad(n, e);
}

/* The sum of f over the window that `before` and `after` channels around c make; square: of squares. */
static double window(
    const double *f, int64_t c, int64_t before, int64_t after, int64_t len, int64_t stride, bool square)
{
    double sum = 0;
    int64_t end = c + after + 1 < len ? c + after + 1 : len;
    for (int64_t k = c > before ? c - before : 0; k < end; k++)
        sum += square ? f[k * stride] * f[k * stride] : f[k * stride];
    return sum;
}

static void lrn(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    const struct lrn *p = l->ctx;
    int64_t len = l->on[0].len;
    for (int64_t c = 0; c < len; c++) {
        double d = p->bias + p->alpha * window(v[0].f, c, p->before, p->after, len, stride, true);
        v[1].f[c * stride] = v[0].f[c * stride] * pow(d, -p->beta);
    }
}

/* With d the bracket: dx_c = dy_c d_c^-beta - 2 alpha beta x_c sum over k with c in k's window of dy_k x_k
 * d_k^(-beta-1). Those k are the window mirrored. The buffer of dx holds the terms of the sum until that of
 * dy holds the result. */
static void lrn_slope(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    const struct lrn *p = l->ctx;
    double *dy = v[0].f, *x = v[1].f, *dx = v[2].f;
    int64_t len = l->on[0].len;
    for (int64_t c = 0; c < len; c++) {
        int64_t i = c * stride;
        double d = p->bias + p->alpha * window(x, c, p->before, p->after, len, stride, true), power = pow(d, -p->beta);
        dx[i] = dy[i] * x[i] * power / d;
        dy[i] *= power;
    }
    for (int64_t c = 0; c < len; c++) {
        double sum = window(dx, c, p->after, p->before, len, stride, false);
        dy[c * stride] -= 2 * p->alpha * p->beta * x[c * stride] * sum;
    }
    for (int64_t c = 0; c < len; c++) dx[c * stride] = dy[c * stride];
}

static int run_along(const struct step *s, struct lanes *l, int axis, struct err *e)
{
    const struct shape *shape = &s->out[0]->shape;
    int64_t len = lanes_cut(l, shape, axis);
    l->n_in = s->node->n_in;
    l->n_out = 1;
    for (int k = 0; k <= l->n_in; k++) {
        l->on[k].t = k < l->n_in ? s->in[k] : s->out[0];
        l->on[k].len = len;
    }
    return lanes_run(s, l, e);
}

static int run_lrn(const struct step *s, struct lanes *l, struct err *e)
{
    const struct node *n = s->node;
    int64_t size = node_int(n, "size");
    struct lrn p = { node_float(n, "alpha") / (double)size, node_float(n, "beta"), node_float(n, "bias"),
        (size - 1) / 2, size / 2 };
    l->ctx = &p;
    return run_along(s, l, 1, e);
}

static int lrn_run(const struct step *s, struct err *e)
{
    return run_lrn(s, &(struct lanes){ .apply = lrn }, e);
}

static int lrn_grad_run(const struct step *s, struct err *e)
{
    return run_lrn(s, &(struct lanes){ .apply = lrn_slope }, e);
}

static int lrn_grad(struct grad *g)
{
    return unary_grad(g, "LRNGrad", READS_X);
}

/* --- LpNormalization: x / |x|, and 0 where the norm is 0 --- */

static const struct attr_spec lp_attrs[] = {
    { .name = "axis", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = -1 },
    { .name = "p", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = 2, .doc = "1 or 2" },
    { 0 },
};

static int lp_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(infer_rank(n, 0, 1, SHAPE_MAX, e));
    int64_t p = node_int(n, "p");
    if (p != 1 && p != 2) return fail(e, ERR_MODEL, "p is %lld, expected 1 or 2", (long long)p);
    int rank = n->in[0]->shape.rank;
    if (rank >= 0 && infer_axis(n, "axis", rank, e) < 0) return e->code;
    return infer_same(n, e);
}

static void lp(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    const double *x = v[0].f;
    double *y = v[1].f, sum = 0;
    int64_t end = l->on[0].len * stride;
    bool square = *(const int64_t *)l->ctx == 2;
    for (int64_t i = 0; i < end; i += stride) sum += square ? x[i] * x[i] : fabs(x[i]);
    double norm = square ? sqrt(sum) : sum;
    for (int64_t i = 0; i < end; i += stride) y[i] = norm != 0 ? x[i] / norm : 0;
}

static int lp_run(const struct step *s, struct err *e)
{
    int64_t p = node_int(s->node, "p");
    int axis = shape_axis(node_int(s->node, "axis"), s->in[0]->shape.rank);
    return run_along(s, &(struct lanes){ .apply = lp, .ctx = &p }, axis, e);
}

/* dx = (dy - r sum(dy y)) / norm, where r is y, or sign(x) when p is 1. */
static int lp_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct builder *b = g->b;
    bool square = node_int(n, "p") == 2;
    struct value *x = n->in[0], *y = n->out[0], *axis = emit_i64s(b, (int64_t[]){ node_int(n, "axis") }, 1);
    struct value *norm = emit2(b, square ? "ReduceL2" : "ReduceL1", x, axis);
    struct value *is_zero = emit2(b, "Equal", norm, emit_scalar(b, x->dtype, 0));
    norm = emit(b, "Where", NO_ATTRS, is_zero, emit_scalar(b, x->dtype, 1), norm);
    struct value *dot = emit2(b, "ReduceSum", emit2(b, "Mul", g->dy[0], y), axis);
    struct value *r = emit2(b, "Mul", square ? y : emit1(b, "Sign", x), dot);
    g->dx[0] = emit2(b, "Div", emit2(b, "Sub", g->dy[0], r), norm);
    return 0;
}

/* --- MeanVarianceNormalization: (x - mean) / (sqrt(var) + 1e-9) --- */

static const struct attr_spec mvn_attrs[] = {
    { .name = "axes", .type = ATTR_INTS, .presence = ATTR_DEFAULT, .s = "0,2,3", .doc = "over which" }, { 0 }
};

static int mvn_infer(struct node *n, struct err *e)
{
    static const int64_t usual[] = { 0, 2, 3 };
    size_t count;
    const int64_t *axes = node_ints(n, "axes", &count);
    int rank = n->in[0]->shape.rank;
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    if (!axes) axes = usual, count = 3;
    for (size_t i = 0; rank >= 0 && i < count; i++)
        if (shape_axis(axes[i], rank) < 0)
            return fail(e, ERR_SHAPE, "axis %lld of an input of rank %d", (long long)axes[i], rank);
    return infer_same(n, e);
}

static int mvn_expand(struct builder *b, const struct node *n, struct value **out)
{
    static const int64_t usual[] = { 0, 2, 3 };
    size_t count;
    const int64_t *list = node_ints(n, "axes", &count);
    struct value *x = n->in[0], *axes = list ? emit_i64s(b, list, count) : emit_i64s(b, usual, 3);
    struct value *d = emit2(b, "Sub", x, emit2(b, "ReduceMean", x, axes));
    struct value *deviation = emit1(b, "Sqrt", emit2(b, "ReduceMean", emit2(b, "Mul", d, d), axes));
    out[0] = emit2(b, "Div", d, emit2(b, "Add", deviation, emit_scalar(b, x->dtype, 1e-9)));
    return 0;
}

const struct op ops_local_norm[] = {
    { .name = "LRN",
        .doc = "x / (bias + alpha / size sum(x^2))^beta over neighbouring channels",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_INPLACE,
        .attrs = lrn_attrs,
        .infer = lrn_infer,
        .run = lrn_run,
        .grad = lrn_grad,
        .samples = "f32[2,7,3,4] | size=5 alpha=0.5; f32[2,5,3] | size=2 alpha=1 beta=0.5 bias=2; f32[3,4] | size=9" },
    { .name = "LRNGrad",
        .doc = "gradient of LRN: of (dy, x)",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = lrn_attrs,
        .infer = lrn_grad_infer,
        .run = lrn_grad_run,
        .samples = "f32[2,7,3,4] f32[2,7,3,4] | size=5 alpha=0.5" },
    { .name = "LpNormalization",
        .doc = "x over its norm along an axis",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_INPLACE,
        .attrs = lp_attrs,
        .infer = lp_infer,
        .run = lp_run,
        .grad = lp_grad,
        .samples = "f32[2,3,8]; f32~[2,3,8] | axis=1 p=1; f32{0,0}; f32[3,700]" },
    { .name = "MeanVarianceNormalization",
        .doc = "(x - mean) / (sqrt(var) + 1e-9) over axes",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_INPLACE,
        .attrs = mvn_attrs,
        .infer = mvn_infer,
        .expand = mvn_expand,
        .samples = "f32[2,3,4,5]; f32[2,3,4] | axes=1,2" },
    { 0 },
};
