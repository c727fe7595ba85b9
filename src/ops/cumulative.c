/* cumulative.c - running sums and products along an axis. */
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/lanes.h"

static const struct attr_spec direction_attrs[] = {
    { .name = "exclusive", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "1: without the element itself" },
    { .name = "reverse", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "1: from the end" },
    { 0 },
};

struct direction {
    bool exclusive, reverse;
};

/* The last input is the axis, one number. */
static int cumulative_infer(struct node *n, struct err *e)
{
    int axis = n->n_in - 1;
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    TRY(infer_type(n, axis, TYPES_INTEGER, e));
    TRY(infer_rank(n, 0, 1, SHAPE_MAX, e));
    TRY(infer_rank(n, axis, 0, 1, e));
    return infer_same(n, e);
}

/* Lines of the inputs but the last, and of the output, along the axis that the last gives. */
static int run_lines(const struct step *s,
    void (*apply)(const struct lanes *l, int64_t line, int64_t stride, const union lane *x), struct err *e)
{
    struct direction d = { node_int(s->node, "exclusive") != 0, node_int(s->node, "reverse") != 0 };
    int n_in = s->node->n_in - 1;
    const struct tensor *x = s->in[0], *at = s->in[n_in];
    struct lanes l = { .n_in = n_in, .n_out = 1, .apply = apply, .ctx = &d, .integers = !dtype_is_float(x->dtype) };
    if (tensor_count(at) != 1) return fail(e, ERR_SHAPE, "the axis must be one number");
    int64_t wanted = tensor_get_i64(at, 0);
    int axis = shape_axis(wanted, x->shape.rank);
    if (axis < 0) return fail(e, ERR_SHAPE, "axis %lld of an input of rank %d", (long long)wanted, x->shape.rank);
    int64_t len = lanes_cut(&l, &x->shape, axis);
    for (int i = 0; i <= n_in; i++) {
        l.on[i].t = i < n_in ? s->in[i] : s->out[0];
        l.on[i].len = len;
    }
    return lanes_run(s, &l, e);
}

/* The k-th element in the direction of the sum. */
static int64_t place(const struct direction *d, int64_t k, int64_t len, int64_t stride)
{
    return (d->reverse ? len - 1 - k : k) * stride;
}

#define CUMULATE(name, start, join) \
    static void name(const struct lanes *l, int64_t line, int64_t stride, const union lane *x) \
    { \
        const struct direction *d = l->ctx; \
        int64_t len = l->on[0].len; \
        double f = start; \
        uint64_t u = start; \
        for (int64_t k = 0; k < len; k++) { \
            int64_t i = place(d, k, len, stride); \
            if (l->integers) { \
                uint64_t next = u join(uint64_t) x[0].i[i]; \
                x[1].i[i] = (int64_t)(d->exclusive ? u : next); \
                u = next; \
            } else { \
                double next = f join x[0].f[i]; \
                x[1].f[i] = d->exclusive ? f : next; \
                f = next; \
            } \
        } \
    }
CUMULATE(cum_sum, 0, +)
CUMULATE(cum_prod, 1, *)

static int cum_sum_run(const struct step *s, struct err *e)
{
    return run_lines(s, cum_sum, e);
}

static int cum_prod_run(const struct step *s, struct err *e)
{
    return run_lines(s, cum_prod, e);
}

static int cum_sum_grad(struct grad *g)
{
    const struct node *n = g->node;
    g->dx[0] = emit(g->b, "CumSum",
        ATTRS(attr_int("exclusive", node_int(n, "exclusive")), attr_int("reverse", !node_int(n, "reverse"))), g->dy[0],
        n->in[1]);
    return 0;
}

/* dx_k: dy_i times the product of all factors of y_i but x_k, over the i that have x_k. Nothing is divided, so that
 * zeros are no special case; quadratic in the length. Lines of dy, x, dx. */
static void cum_prod_back(const struct lanes *l, int64_t line, int64_t stride, const union lane *x)
{
    const struct direction *d = l->ctx;
    int64_t len = l->on[0].len;
    double before = 1;
    for (int64_t k = 0; k < len; k++) {
        double sum = 0, others = before;
        for (int64_t i = k; i + d->exclusive < len; i++) {
            if (i > k) others *= x[1].f[place(d, i, len, stride)];
            sum += x[0].f[place(d, i + d->exclusive, len, stride)] * others;
        }
        x[2].f[place(d, k, len, stride)] = sum;
        before *= x[1].f[place(d, k, len, stride)];
    }
}

static int cum_prod_grad_run(const struct step *s, struct err *e)
{
    return run_lines(s, cum_prod_back, e);
}

static int cum_prod_grad_infer(struct node *n, struct err *e)
{
    struct shape s = n->in[0]->shape;
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(infer_same_types(n, 0, 2, e));
    if (!shape_merge(&s, &n->in[1]->shape)) return fail(e, ERR_SHAPE, "the gradient and x have different shapes");
    return cumulative_infer(n, e);
}

static int cum_prod_grad(struct grad *g)
{
    const struct node *n = g->node;
    if (!grad_wanted(g, 0)) return 0;
    g->dx[0] = emit(g->b, "CumProdGrad", n->attrs, g->dy[0], n->in[0], n->in[1]);
    return 0;
}

const struct op ops_cumulative[] = {
    { .name = "CumSum",
        .doc = "running sums along an axis",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = direction_attrs,
        .infer = cumulative_infer,
        .run = cum_sum_run,
        .grad = cum_sum_grad,
        .samples = "f32[2,3,4] i64{1}; f32[9] i32{0} | exclusive=1; f32[3,5] i64{-1} | reverse=1 exclusive=1; "
                   "i64<9>[9] i64{0}; f32[2,3,40] i64{2} | reverse=1" },
    { .name = "CumProd",
        .doc = "running products along an axis",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = direction_attrs,
        .infer = cumulative_infer,
        .run = cum_prod_run,
        .grad = cum_prod_grad,
        .samples = "f32[2,3,4] i64{1}; f32{2,0,3,0,-1} i32{0} | exclusive=1; f32[3,5] i64{-1} | reverse=1 "
                   "exclusive=1; f32{2,0,3,-1} i64{0}; i64<9>[9] i64{0}; f64[2,6] i64{1} | reverse=1" },
    { .name = "CumProdGrad",
        .doc = "gradient of CumProd, of (dy, x, axis)",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = direction_attrs,
        .infer = cum_prod_grad_infer,
        .run = cum_prod_grad_run,
        .samples = "f32[2,3] f32[2,3] i64{1}; f32[5] f32{2,0,3,0,-1} i64{0} | exclusive=1 reverse=1" },
    { 0 },
};
