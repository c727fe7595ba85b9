/* loss.c - classification losses over labels, with their gradients, and AllFinite. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"

/* Scores (n, c, d), d being all further axes; labels (n, d). */
struct loss {
    int64_t n, c, d;
    const double *x, *class_weight, *scale; /* scale: one per position, or one for all; of gradients */
    const int64_t *labels;
    double *each, *weight, *log_prob, *dx; /* each, weight: (n, d) */
    bool softmax, ignores, scale_each;
    int64_t ignored;
};

enum reduction { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN };

static int reduction_of(const struct node *n, struct err *e)
{
    static const char *const names[] = { "none", "sum", "mean" };
    const char *s = node_string(n, "reduction");
    for (int i = 0; i < 3; i++)
        if (!strcmp(s, names[i])) return i;
    return fail(e, ERR_SHAPE, "reduction is \"%s\", expected none, sum or mean", s);
}

/* in: scores, labels, weights at these places. Gives the labels' shape as both tell it. */
static int check_inputs(const struct node *n, int scores, struct shape *labels, struct err *e)
{
    const struct value *x = n->in[scores], *t = n->in[scores + 1], *w = node_in(n, scores + 2);
    TRY(infer_rank(n, scores, 2, SHAPE_MAX, e));
    if (x->dtype != DT_NONE && !dtype_is_float(x->dtype))
        return fail(e, ERR_SHAPE, "the scores are %s, expected floats", dtype_name(x->dtype));
    if (t->dtype != DT_NONE && t->dtype != DT_I32 && t->dtype != DT_I64)
        return fail(e, ERR_SHAPE, "the labels are %s, expected int32 or int64", dtype_name(t->dtype));
    *labels = x->shape;
    for (int d = 1; d < x->shape.rank - 1; d++) labels->dim[d] = labels->dim[d + 1];
    if (labels->rank > 0) labels->rank--;
    if (!shape_merge(labels, &t->shape))
        return fail(e, ERR_SHAPE, "the labels' shape is not that of the scores without the class axis");
    if (!w) return 0;
    TRY(infer_rank(n, scores + 2, 1, 1, e));
    int64_t have = w->shape.rank == 1 ? w->shape.dim[0] : -1, want = x->shape.rank > 1 ? x->shape.dim[1] : -1;
    if (have >= 0 && want >= 0 && have != want)
        return fail(e, ERR_SHAPE, "%lld class weights for %lld classes", (long long)have, (long long)want);
    return 0;
}

static int loss_infer(struct node *n, struct err *e)
{
    struct shape labels, scalar = shape_of(0, NULL);
    TRY(check_inputs(n, 0, &labels, e));
    int reduction = reduction_of(n, e);
    if (reduction < 0) return reduction;
    infer_out(n, 0, n->in[0]->dtype, reduction == REDUCE_NONE ? &labels : &scalar);
    infer_out(n, 1, n->in[0]->dtype, &n->in[0]->shape);
    return 0;
}

static int check_labels(const struct loss *l, struct err *e)
{
    for (int64_t i = 0; i < l->n * l->d; i++) {
        if (l->ignores && l->labels[i] == l->ignored) continue;
        if (l->labels[i] < 0 || l->labels[i] >= l->c)
            return fail(e, ERR_DATA, "label %lld at position %lld, expected 0 to %lld", (long long)l->labels[i],
                (long long)i, (long long)l->c - 1);
    }
    return 0;
}

static int loss_open(struct loss *l, const struct step *s, int scores, struct err *e)
{
    const struct shape *x = &s->in[scores]->shape;
    *l = (struct loss){ .n = x->dim[0], .c = x->dim[1], .d = shape_span(x, 2, x->rank) };
    l->softmax = !strncmp(s->node->op->name, "Softmax", 7);
    l->ignores = node_has(s->node, "ignore_index");
    l->ignored = node_int(s->node, "ignore_index");
    l->x = operand_load(s, s->in[scores], e);
    l->labels = operand_load_ints(s, s->in[scores + 1], e);
    if (step_in(s, scores + 2)) l->class_weight = operand_load(s, s->in[scores + 2], e);
    l->each = operand_zeros(s, l->n * l->d, e);
    l->weight = operand_zeros(s, l->n * l->d, e);
    return e->code ? e->code : check_labels(l, e);
}

/* log of the sum of exponentials over the classes at one position */
static double log_sum(const struct loss *l, const double *x)
{
    double max = -INFINITY, sum = 0;
    for (int64_t c = 0; c < l->c; c++)
        if (!(x[c * l->d] <= max)) max = x[c * l->d];
    if (isinf(max)) max = 0;
    for (int64_t c = 0; c < l->c; c++) sum += exp(x[c * l->d] - max);
    return max + log(sum);
}

static double weight_at(const struct loss *l, int64_t i)
{
    if (l->ignores && l->labels[i] == l->ignored) return 0;
    return l->class_weight ? l->class_weight[l->labels[i]] : 1;
}

static void positions(void *ctx, int64_t begin, int64_t end)
{
    const struct loss *l = ctx;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i / l->d * l->c * l->d + i % l->d;
        bool ignored = l->ignores && l->labels[i] == l->ignored;
        double shift = l->softmax ? log_sum(l, l->x + at) : 0;
        l->weight[i] = weight_at(l, i);
        if (!ignored) l->each[i] = l->weight[i] * (shift - l->x[at + l->labels[i] * l->d]);
        for (int64_t c = 0; l->log_prob && c < l->c; c++) l->log_prob[at + c * l->d] = l->x[at + c * l->d] - shift;
    }
}

static double total(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i];
    return sum;
}

static int loss_run(const struct step *s, struct err *e)
{
    struct loss l;
    TRY(loss_open(&l, s, 0, e));
    int reduction = reduction_of(s->node, e);
    if (step_out(s, 1) && !(l.log_prob = operand_zeros(s, l.n * l.c * l.d, e))) return e->code;
    team_run(s->threads, l.n * l.d, 1 + 4096 / (l.c + 1), positions, &l);
    if (reduction == REDUCE_NONE) operand_store(s, s->out[0], l.each);
    else {
        double sum = total(l.each, l.n * l.d);
        tensor_set_f64(s->out[0], 0, reduction == REDUCE_MEAN ? sum / total(l.weight, l.n * l.d) : sum);
    }
    if (l.log_prob) operand_store(s, s->out[1], l.log_prob);
    return 0;
}

/* through the second output: d - softmax * sum over classes of d */
static struct value *log_prob_grad(struct grad *g)
{
    struct builder *b = g->b;
    struct value *axis = emit_i64s(b, (int64_t[]){ 1 }, 1);
    struct value *sum = emit(b, "ReduceSum", ATTRS(attr_int("keepdims", 1)), g->dy[1], axis);
    struct value *p = emit(b, "Exp", NO_ATTRS, g->node->out[1]);
    return emit(b, "Sub", NO_ATTRS, g->dy[1], emit(b, "Mul", NO_ATTRS, p, sum));
}

static int loss_grad(struct grad *g)
{
    const struct node *n = g->node;
    bool softmax = node_is(n, "SoftmaxCrossEntropyLoss");
    const char *op = softmax ? "SoftmaxCrossEntropyLossGrad" : "NegativeLogLikelihoodLossGrad";
    struct value *dx = NULL, *more = NULL;
    if (g->dy[0]) dx = emit(g->b, op, n->attrs, g->dy[0], n->in[0], n->in[1], node_in(n, 2));
    if (n->n_out > 1 && g->dy[1]) more = log_prob_grad(g);
    g->dx[0] = dx && more ? emit(g->b, "Add", NO_ATTRS, dx, more) : dx ? dx : more;
    return 0;
}

static int grad_infer(struct node *n, struct err *e)
{
    struct shape labels, scalar = shape_of(0, NULL);
    TRY(check_inputs(n, 1, &labels, e));
    int reduction = reduction_of(n, e);
    if (reduction < 0) return reduction;
    if (!shape_merge(reduction == REDUCE_NONE ? &labels : &scalar, &n->in[0]->shape))
        return fail(e, ERR_SHAPE, "the gradient's shape is not that of the loss");
    infer_out(n, 0, n->in[1]->dtype, &n->in[1]->shape);
    return 0;
}

static void grad_positions(void *ctx, int64_t begin, int64_t end)
{
    const struct loss *l = ctx;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i / l->d * l->c * l->d + i % l->d;
        double scale = l->scale[l->scale_each ? i : 0] * weight_at(l, i);
        if (l->ignores && l->labels[i] == l->ignored) continue;
        if (l->softmax) {
            double shift = log_sum(l, l->x + at);
            for (int64_t c = 0; c < l->c; c++) l->dx[at + c * l->d] = scale * exp(l->x[at + c * l->d] - shift);
        }
        l->dx[at + l->labels[i] * l->d] -= scale;
    }
}

static int grad_run(const struct step *s, struct err *e)
{
    struct loss l;
    double mean;
    TRY(loss_open(&l, s, 1, e));
    int reduction = reduction_of(s->node, e);
    l.dx = operand_zeros(s, l.n * l.c * l.d, e);
    l.scale = operand_load(s, s->in[0], e);
    if (!l.dx || !l.scale) return e->code;
    l.scale_each = reduction == REDUCE_NONE;
    if (reduction == REDUCE_MEAN) {
        for (int64_t i = 0; i < l.n * l.d; i++) l.weight[i] = weight_at(&l, i);
        mean = l.scale[0] / total(l.weight, l.n * l.d);
        l.scale = &mean;
    }
    team_run(s->threads, l.n * l.d, 1 + 4096 / (l.c + 1), grad_positions, &l);
    operand_store(s, s->out[0], l.dx);
    return 0;
}

static int finite_infer(struct node *n, struct err *e)
{
    struct shape scalar = shape_of(0, NULL);
    for (int i = 0; i < n->n_in; i++)
        if (!n->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
    infer_out(n, 0, DT_BOOL, &scalar);
    return 0;
}

struct finite {
    const struct tensor *t;
    int found; /* 1: something that is not finite */
};

static void finite_span(void *ctx, int64_t begin, int64_t end)
{
    struct finite *f = ctx;
    double v[256];
    for (int64_t i = begin; i < end; i += 256) {
        int64_t n = end - i < 256 ? end - i : 256, bad = 0;
        load_f64(f->t->dtype, (unsigned char *)f->t->data + (size_t)i * dtype_size(f->t->dtype), n, v);
        for (int64_t k = 0; k < n; k++) bad |= !isfinite(v[k]);
        if (bad) __atomic_store_n(&f->found, 1, __ATOMIC_RELAXED);
    }
}

static int finite_run(const struct step *s, struct err *e)
{
    struct finite f = { NULL, 0 };
    for (int i = 0; i < s->node->n_in && !f.found; i++) {
        f.t = s->in[i];
        if (dtype_is_float(f.t->dtype)) team_run(s->threads, tensor_count(f.t), 16384, finite_span, &f);
    }
    tensor_set_i64(s->out[0], 0, !f.found);
    return 0;
}

static const struct attr_spec loss_attrs[] = {
    { "ignore_index", ATTR_INT, .doc = "positions with this label count nothing" },
    { "reduction", ATTR_STRING, ATTR_DEFAULT, .s = "mean", .doc = "none, sum, or mean (weighted)" },
    { 0 },
};

const struct op ops_loss[] = {
    { .name = "SoftmaxCrossEntropyLoss",
        .doc = "cross entropy of (scores (N, C, ...), labels (N, ...), class weights (C)), and the logarithms",
        .min_in = 2,
        .max_in = 3,
        .min_out = 1,
        .max_out = 2,
        .attrs = loss_attrs,
        .infer = loss_infer,
        .run = loss_run,
        .grad = loss_grad,
        .samples = "f32[3,5] i64<5>[3]; f32[2,4,3] i64<4>[2,3] f32+[4] | reduction=sum; f32[2,3,2,2] i32<3>[2,2,2] "
                   "f32+[3] | ignore_index=1; f32[4,3] i64{0,2,1,2} - | reduction=none ignore_index=2" },
    { .name = "NegativeLogLikelihoodLoss",
        .doc = "negative of the label's entry, of (logarithms (N, C, ...), labels (N, ...), class weights (C))",
        .min_in = 2,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = loss_attrs,
        .infer = loss_infer,
        .run = loss_run,
        .grad = loss_grad,
        .samples = "f32[3,5] i64<5>[3]; f32[2,4,3] i64<4>[2,3] f32+[4] | reduction=sum; f32[2,3,2,2] i32<3>[2,2,2] "
                   "f32+[3] | ignore_index=1; f32[4,3] i64{0,2,1,2} - | reduction=none ignore_index=2" },
    { .name = "SoftmaxCrossEntropyLossGrad",
        .doc = "gradient by the scores, of (gradient of the loss, scores, labels, class weights)",
        .min_in = 3,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = loss_attrs,
        .infer = grad_infer,
        .run = grad_run,
        .samples = "f32[] f32[3,5] i64<5>[3]; f32[] f32[2,4,3] i64<4>[2,3] f32+[4] | reduction=sum; f32[4] f32[4,3] "
                   "i64{0,2,1,2} - | reduction=none ignore_index=2" },
    { .name = "NegativeLogLikelihoodLossGrad",
        .doc = "gradient by the logarithms, of (gradient of the loss, logarithms, labels, class weights)",
        .min_in = 3,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = loss_attrs,
        .infer = grad_infer,
        .run = grad_run,
        .samples = "f32[] f32[3,5] i64<5>[3]; f32[] f32[2,4,3] i64<4>[2,3] f32+[4] | reduction=sum; f32[4] f32[4,3] "
                   "i64{0,2,1,2} - | reduction=none ignore_index=2" },
    { .name = "AllFinite",
        .doc = "true when every element of every input is finite",
        .min_in = 1,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_FLAT | OP_OWN,
        .infer = finite_infer,
        .run = finite_run,
        .samples = "f32[3,5]; f32[2] f64[3] i64<9>[2]; f32{1,inf,2} f32[3]" },
    { 0 },
};
