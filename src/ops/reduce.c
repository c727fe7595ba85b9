/* reduce.c - reductions over axes, the index of extremes, sums to a shape, running sums. */
#include <math.h>

#include "base/err.h"
#include "graph/builder.h"
#include "ops/elementwise.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/reduction.h"

#define STEP(name, type, update) \
    static void name(struct partial *r, int64_t stride, const type *v, int64_t n, int64_t at) \
    { \
        for (int64_t i = 0; i < n; i++, r += stride) { \
            type x = v[i]; \
            update; \
        } \
    }
STEP(sum_f, double, r->f += x)
STEP(sum_i, int64_t, r->u += (uint64_t)x)
STEP(prod_f, double, r->f *= x)
STEP(prod_i, int64_t, r->u *= (uint64_t)x)
STEP(l1_f, double, r->f += fabs(x))
STEP(l1_i, int64_t, r->u += x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
STEP(l1_u, uint64_t, r->u += x)
STEP(square_f, double, r->f += x * x)
STEP(square_i, int64_t, r->u += (uint64_t)x * (uint64_t)x)
STEP(max_f, double, if (x > r->f || x != x) r->f = x)
STEP(max_i, int64_t, if (x > r->i) r->i = x)
STEP(max_u, uint64_t, if (x > r->u) r->u = x)
STEP(min_f, double, if (x < r->f || x != x) r->f = x)
STEP(min_i, int64_t, if (x < r->i) r->i = x)
STEP(min_u, uint64_t, if (x < r->u) r->u = x)

/* f is the largest so far, weight the sum of exp(x - f). */
static void log_sum_exp_f(struct partial *r, int64_t stride, const double *v, int64_t n, int64_t at)
{
    for (int64_t i = 0; i < n; i++, r += stride) {
        if (v[i] > r->f) {
            r->weight = r->weight * exp(r->f - v[i]) + 1;
            r->f = v[i];
        } else {
            r->weight += v[i] == r->f ? 1 : exp(v[i] - r->f);
        }
    }
}

static double finish_mean(const struct partial *r, double count)
{
    return r->f / count;
}

static double finish_sqrt(const struct partial *r, double count)
{
    return sqrt(r->f);
}

static double finish_log(const struct partial *r, double count)
{
    return log(r->f);
}

static double finish_log_sum_exp(const struct partial *r, double count)
{
    return r->f + log(r->weight);
}

/* --- axes --- */

static const struct attr_spec reduce_attrs[] = {
    { .name = "keepdims", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = 1, .doc = "reduced dimensions become 1" },
    { .name = "noop_with_empty_axes", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "no axes: 0 all, 1 none" },
    { 0 },
};

static int axes_mask(const struct node *n, int rank, const int64_t *axes, int64_t count, unsigned *mask, struct err *e)
{
    *mask = 0;
    for (int64_t i = 0; i < count; i++) {
        int d = shape_axis(axes[i], rank);
        if (d < 0) return fail(e, ERR_SHAPE, "axis %lld of an input of rank %d", (long long)axes[i], rank);
        *mask |= 1u << d;
    }
    if (!count && !node_int(n, "noop_with_empty_axes")) *mask = (1u << rank) - 1;
    return 0;
}

static struct shape reduced_shape(const struct shape *x, unsigned mask, bool keep)
{
    struct shape s = { 0 };
    for (int d = 0; d < x->rank; d++)
        if (!(mask >> d & 1)) s.dim[s.rank++] = x->dim[d];
        else if (keep) s.dim[s.rank++] = 1;
    return s;
}

/* Without knowing the axes. */
static struct shape partly_reduced_shape(const struct node *n, bool keep)
{
    const struct shape *axes = &n->in[1]->shape;
    struct shape s = shape_unknown();
    int rank = n->in[0]->shape.rank;
    if (keep) s.rank = rank;
    else if (axes->rank == 1 && axes->dim[0] > 0 && axes->dim[0] <= rank) s.rank = rank - (int)axes->dim[0];
    for (int d = 0; d < s.rank; d++) s.dim[d] = DIM_UNKNOWN;
    return s;
}

static int infer_reduced(struct node *n, enum dtype t, struct err *e)
{
    const struct value *axes = node_in(n, 1);
    const struct shape *x = &n->in[0]->shape;
    struct shape s = shape_unknown();
    bool keep = node_int(n, "keepdims") != 0;
    if (axes) TRY(infer_rank(n, 1, 0, 1, e));
    if (axes) TRY(infer_type(n, 1, TYPES_INTEGER, e));
    if (x->rank >= 0 && axes && !value_const(axes)) {
        s = partly_reduced_shape(n, keep);
    } else if (x->rank >= 0) {
        size_t count;
        unsigned mask;
        const int64_t *list = infer_ints(n, 1, &count, e);
        if (e->code) return e->code;
        TRY(axes_mask(n, x->rank, list, (int64_t)count, &mask, e));
        s = reduced_shape(x, mask, keep);
    }
    infer_out(n, 0, t, &s);
    return 0;
}

static int reduce_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    return infer_reduced(n, n->in[0]->dtype, e);
}

static int extreme_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_NUMBER | TYPES_BOOL, e));
    return infer_reduced(n, n->in[0]->dtype, e);
}

static int reduce(const struct step *s, const struct reduction *m, struct err *e)
{
    const struct tensor *axes = s->node->n_in > 1 ? s->in[1] : NULL;
    int64_t list[SHAPE_MAX], count = axes ? tensor_count(axes) : 0;
    unsigned mask;
    if (count > SHAPE_MAX) return fail(e, ERR_SHAPE, "%lld axes", (long long)count);
    if (count) load_i64(axes->dtype, axes->data, count, list);
    TRY(axes_mask(s->node, s->in[0]->shape.rank, list, count, &mask, e));
    if (!count && !mask) { /* unchanged, whatever the function */
        static const struct reduction copy = { .f = sum_f, .i = sum_i };
        m = &copy;
    }
    reduction_run(s, m, s->in[0], s->out[0], mask);
    return 0;
}

#define REDUCE(name, ...) \
    static int name##_run(const struct step *s, struct err *e) \
    { \
        return reduce(s, &(struct reduction){ __VA_ARGS__ }, e); \
    }
REDUCE(sum, .f = sum_f, .i = sum_i)
REDUCE(mean, .f = sum_f, .finish = finish_mean)
REDUCE(prod, START_1, .f = prod_f, .i = prod_i)
REDUCE(max, START_LOWEST, max_f, max_i, max_u)
REDUCE(min, START_HIGHEST, min_f, min_i, min_u)
REDUCE(l1, .f = l1_f, .i = l1_i, .u = l1_u)
REDUCE(l2, .f = square_f, .finish = finish_sqrt)
REDUCE(sum_square, .f = square_f, .i = square_i)
REDUCE(log_sum, .f = sum_f, .finish = finish_log)
REDUCE(log_sum_exp, START_LOWEST, .f = log_sum_exp_f, .finish = finish_log_sum_exp)

/* --- gradients --- */

static bool is_noop(const struct node *n)
{
    const struct value *axes = node_in(n, 1);
    bool empty = !axes || (axes->shape.rank == 1 && axes->shape.dim[0] == 0);
    return empty && node_int(n, "noop_with_empty_axes");
}

/* A value of the output's shape with the reduced dimensions back, as 1; a scalar stays one. */
static struct value *keep(struct grad *g, struct value *v)
{
    struct value *axes = node_in(g->node, 1);
    return node_int(g->node, "keepdims") || !axes ? v : emit2(g->b, "Unsqueeze", v, axes);
}

static struct value *spread(struct grad *g, struct value *v)
{
    return emit2(g->b, "ExpandLike", keep(g, v), g->node->in[0]);
}

static struct value *number(struct grad *g, double v)
{
    return emit_scalar(g->b, g->node->in[0]->dtype, v);
}

static int sum_grad(struct grad *g)
{
    g->dx[0] = is_noop(g->node) ? g->dy[0] : spread(g, g->dy[0]);
    return 0;
}

/* The number of elements, in the type of the gradient. */
static struct value *size_of(struct grad *g, struct value *v)
{
    int64_t n = shape_count(&v->shape);
    return n >= 0 ? number(g, (double)n) : emit_cast(g->b, emit1(g->b, "Size", v), g->node->in[0]->dtype);
}

static int mean_grad(struct grad *g)
{
    if (is_noop(g->node)) return sum_grad(g);
    struct value *n = size_of(g, g->node->in[0]), *m = size_of(g, g->node->out[0]);
    g->dx[0] = spread(g, emit2(g->b, "Mul", g->dy[0], emit2(g->b, "Div", m, n)));
    return 0;
}

/* dx = dy * local, where `local` is made from x and y. */
static int local_grad(struct grad *g, struct value *local)
{
    g->dx[0] = is_noop(g->node) ? g->dy[0] : emit2(g->b, "Mul", local, keep(g, g->dy[0]));
    return 0;
}

/* Shared evenly by all that hold the extreme. */
static int extreme_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct value *y = keep(g, n->out[0]), *hit = emit_cast(g->b, emit2(g->b, "Equal", n->in[0], y), n->in[0]->dtype);
    struct value *hits = emit(g->b, "ReduceSum", n->attrs, hit, node_in(n, 1));
    return local_grad(g, emit2(g->b, "Div", hit, keep(g, hits)));
}

/* The product of the others: that of all that are not 0, over x when it is not 0; 0 when another is 0. */
static int prod_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct value *x = n->in[0], *one = number(g, 1), *is_zero = emit2(g->b, "Equal", x, number(g, 0));
    struct value *some = emit(g->b, "Where", NO_ATTRS, is_zero, one, x), *zero = emit_cast(g->b, is_zero, x->dtype);
    struct value *product = keep(g, emit(g->b, "ReduceProd", n->attrs, some, node_in(n, 1)));
    struct value *zeros = keep(g, emit(g->b, "ReduceSum", n->attrs, zero, node_in(n, 1)));
    struct value *alone = emit_cast(g->b, emit2(g->b, "Equal", zeros, zero), x->dtype);
    return local_grad(g, emit2(g->b, "Mul", emit2(g->b, "Div", product, some), alone));
}

static int l1_grad(struct grad *g)
{
    return local_grad(g, emit1(g->b, "Sign", g->node->in[0]));
}

/* x / y, and 0 where both are */
static int l2_grad(struct grad *g)
{
    struct value *y = keep(g, g->node->out[0]), *is_zero = emit2(g->b, "Equal", y, number(g, 0));
    return local_grad(g, emit2(g->b, "Div", g->node->in[0], emit(g->b, "Where", NO_ATTRS, is_zero, number(g, 1), y)));
}

static int sum_square_grad(struct grad *g)
{
    return local_grad(g, emit2(g->b, "Mul", g->node->in[0], number(g, 2)));
}

static int log_sum_grad(struct grad *g)
{
    struct value *local = emit1(g->b, "Exp", emit1(g->b, "Neg", g->node->out[0]));
    g->dx[0] = is_noop(g->node) ? g->dy[0] : spread(g, emit2(g->b, "Mul", local, g->dy[0]));
    return 0;
}

static int log_sum_exp_grad(struct grad *g)
{
    return local_grad(g, emit1(g->b, "Exp", emit2(g->b, "Sub", g->node->in[0], keep(g, g->node->out[0]))));
}

/* --- the index of an extreme --- */

static const struct attr_spec arg_attrs[] = {
    { .name = "axis", .type = ATTR_INT, .presence = ATTR_DEFAULT },
    { .name = "keepdims", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = 1 },
    { .name = "select_last_index", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "of equal ones the last" },
    { 0 },
};

#define SET(member) r->member = x, r->at = at + i * !stride
#define ARG(name, better) \
    STEP(name##_f, double, if (x better r->f || (x != x && r->f == r->f)) SET(f)) \
    STEP(name##_i, int64_t, if (x better r->i) SET(i)) \
    STEP(name##_u, uint64_t, if (x better r->u) SET(u))
ARG(first_max, >)
ARG(last_max, >=)
ARG(first_min, <)
ARG(last_min, <=)

static int arg_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    const struct shape *x = &n->in[0]->shape;
    struct shape s = shape_unknown();
    if (x->rank >= 0) {
        int axis = infer_axis(n, "axis", x->rank, e);
        if (axis < 0) return axis;
        if (!x->dim[axis]) return fail(e, ERR_SHAPE, "dimension %d is 0: there is no extreme", axis);
        s = reduced_shape(x, 1u << axis, node_int(n, "keepdims") != 0);
    }
    infer_out(n, 0, DT_I64, &s);
    return 0;
}

static int arg_run(const struct step *s, const struct reduction *first, const struct reduction *last)
{
    int axis = shape_axis(node_int(s->node, "axis"), s->in[0]->shape.rank);
    reduction_run(s, node_int(s->node, "select_last_index") ? last : first, s->in[0], s->out[0], 1u << axis);
    return 0;
}

static int arg_max_run(const struct step *s, struct err *e)
{
    return arg_run(s, &(struct reduction){ START_LOWEST, first_max_f, first_max_i, first_max_u, .index = true },
        &(struct reduction){ START_LOWEST, last_max_f, last_max_i, last_max_u, .index = true });
}

static int arg_min_run(const struct step *s, struct err *e)
{
    return arg_run(s, &(struct reduction){ START_HIGHEST, first_min_f, first_min_i, first_min_u, .index = true },
        &(struct reduction){ START_HIGHEST, last_min_f, last_min_i, last_min_u, .index = true });
}

/* --- SumTo: what broadcasting spread is summed again; ExpandLike: the other way --- */

static int sum_to_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    TRY(infer_broadcast_to(&n->in[0]->shape, &n->in[1]->shape, e));
    infer_out(n, 0, n->in[0]->dtype, &n->in[1]->shape);
    return 0;
}

static int sum_to_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape, *like = &s->in[1]->shape;
    unsigned mask = 0;
    for (int d = 0, lead = x->rank - like->rank; d < x->rank; d++)
        if (d < lead || like->dim[d - lead] != x->dim[d]) mask |= 1u << d;
    reduction_run(s, &(struct reduction){ .f = sum_f, .i = sum_i }, s->in[0], s->out[0], mask);
    return 0;
}

static int sum_to_grad(struct grad *g)
{
    g->dx[0] = emit2(g->b, "ExpandLike", g->dy[0], g->node->in[0]);
    return 0;
}

static int expand_like_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape, *like = &n->in[1]->shape;
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    TRY(infer_broadcast_to(like, x, e));
    infer_out(n, 0, n->in[0]->dtype, like);
    return 0;
}

MAP1(same_f, double, x)
MAP1(same_i, int64_t, x)

static int expand_like_run(const struct step *s, struct err *e)
{
    return elementwise_run_on(s, &(struct elementwise){ same_f, same_i }, NULL, s->in, 1, e);
}

static int expand_like_grad(struct grad *g)
{
    grad_set(g, 0, g->dy[0]);
    return 0;
}

#define ROW(id, function, inference, help, mark, more) \
    { \
        .name = id, .doc = help, .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = reduce_attrs, \
        .infer = inference, .run = function##_run, .grad = function##_grad, \
        .samples = "f32" mark "[2,3,4,5] i64{1,-1}; f32" mark "[2,3,4,5] i64{2} | keepdims=0; f32" mark \
                   "[3,700]; f64" mark "[300,5] i64{0}; f32" mark "[3,4] | noop_with_empty_axes=1; f32" mark \
                   "[2,3] - | keepdims=0" more \
    }
#define INTEGERS "; i64<9>[3,4] i64{1}; u8<9>[3,4] i64{0}; i32<9>[5]"
#define EXTREMES "; i8[0,3] i64{0}; u16[0]; bool<2>[3,4] i64{1}; u64{18446744073709551615,1}"
#define SAMPLES_ARG \
    "f32~[2,3,4,5] | axis=1; f32<3>[4,700] | axis=-1 keepdims=0; f32<3>[4,70] | axis=-1 select_last_index=1; " \
    "i64<3>[9]; " \
    "u64{18446744073709551615,1,18446744073709551615} | select_last_index=1"

const struct op ops_reduce[] = {
    ROW("ReduceSum", sum, reduce_infer, "the sum over axes", "", INTEGERS "; f32[0,3] i64{0}"),
    ROW("ReduceMean", mean, reduce_infer, "the mean over axes", "", INTEGERS),
    ROW("ReduceProd", prod, reduce_infer, "the product over axes", "",
        INTEGERS "; f64{1,0,3,0,0,2} i64{0}; f64{1,0,3}"),
    { .name = "ReduceMax",
        .doc = "the largest over axes",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = reduce_attrs,
        .infer = extreme_infer,
        .run = max_run,
        .grad = extreme_grad,
        .samples = "f32~[2,3,4,5] i64{1,-1}; f32~[2,3,4] i64{2} | keepdims=0; f32~[3,70]" INTEGERS EXTREMES },
    { .name = "ReduceMin",
        .doc = "the smallest over axes",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = reduce_attrs,
        .infer = extreme_infer,
        .run = min_run,
        .grad = extreme_grad,
        .samples = "f32~[2,3,4,5] i64{1,-1}; f32~[2,3,4] i64{2} | keepdims=0; f32~[3,70]" INTEGERS EXTREMES },
    ROW("ReduceL1", l1, reduce_infer, "the sum of absolute values over axes", "~", INTEGERS),
    ROW("ReduceL2", l2, reduce_infer, "the root of the sum of squares over axes", "", INTEGERS),
    ROW("ReduceSumSquare", sum_square, reduce_infer, "the sum of squares over axes", "", INTEGERS),
    ROW("ReduceLogSum", log_sum, reduce_infer, "the logarithm of the sum over axes", "+", INTEGERS),
    ROW("ReduceLogSumExp", log_sum_exp, reduce_infer, "the logarithm of the sum of exponentials over axes", "",
        INTEGERS),
    { .name = "ArgMax",
        .doc = "the index of the largest along an axis",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = arg_attrs,
        .infer = arg_infer,
        .run = arg_max_run,
        .samples = SAMPLES_ARG },
    { .name = "ArgMin",
        .doc = "the index of the smallest along an axis",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = arg_attrs,
        .infer = arg_infer,
        .run = arg_min_run,
        .samples = SAMPLES_ARG },
    { .name = "SumTo",
        .doc = "the first input summed over the dimensions along which the second was broadcast",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .infer = sum_to_infer,
        .run = sum_to_run,
        .grad = sum_to_grad,
        .samples =
            "f32[2,3,4,5] f32[3,1,5]; f32[7,3] f32[3]; f32[7,3] f32[7,3]; f32[7,3] f32[]; i64<9>[2,3] i64[2,1]" },
    { .name = "ExpandLike",
        .doc = "the first input broadcast to the shape of the second",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .infer = expand_like_infer,
        .run = expand_like_run,
        .grad = expand_like_grad,
        .samples = "f32[3,1,5] f32[2,3,4,5]; f32[] f32[7,3]; i64<9>[2,1] f32[2,3]; f32[3] f32[3]" },
    { 0 },
};
