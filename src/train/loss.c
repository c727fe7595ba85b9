/* loss.c - the table of losses, each a few nodes. */
#include "train/loss.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "graph/op.h"

struct loss {
    const char *name;
    enum loss_target target;
    const char *skips; /* the final activation the loss brings itself; NULL: none */
    struct value *(*build)(
        struct builder *b, const struct loss_options *o, struct value *x, struct value *t, struct value *weight);
};

static struct value *mean(struct builder *b, struct value *v)
{
    return emit(b, "ReduceMean", ATTRS(attr_int("keepdims", 0)), v);
}

static struct value *sum(struct builder *b, struct value *v)
{
    return emit(b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), v);
}

static struct value *times(struct builder *b, struct value *v, double factor)
{
    return emit(b, "Mul", NO_ATTRS, v, emit_scalar(b, v ? v->dtype : DT_F32, factor));
}

static const struct attr *ignoring(const struct loss_options *o, struct attr list[2])
{
    list[0] = o->ignores ? attr_int("ignore_index", o->ignore_index) : (struct attr){ 0 };
    list[1] = (struct attr){ 0 };
    return list;
}

/* 1 where a position counts, 0 where its target is ignored; of the target's shape. */
static struct value *counted(struct builder *b, const struct loss_options *o, struct value *t, enum dtype to)
{
    struct value *same = emit(b, "Equal", NO_ATTRS, t, emit_i64(b, o->ignore_index));
    return emit_cast(b, emit(b, "Not", NO_ATTRS, same), to);
}

/* The share of a uniform distribution over the classes: sum over classes of -w log p, over the sum of the targets' own
 * weights (torch.nn.CrossEntropyLoss). */
static struct value *uniform_part(
    struct builder *b, const struct loss_options *o, struct value *log_p, struct value *t, struct value *weight)
{
    if (!log_p || !t) return NULL;
    int64_t column[SHAPE_MAX] = { 1, -1, 1, 1, 1, 1, 1, 1 };
    struct value *each = log_p, *count = NULL, *one = emit_i64s(b, (int64_t[]){ 1 }, 1);
    if (weight) {
        struct value *shape = emit_i64s(b, column, (size_t)log_p->shape.rank);
        each = emit(b, "Mul", NO_ATTRS, each, emit(b, "Reshape", NO_ATTRS, weight, shape));
    }
    each = emit(b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), each, one); /* (N, d...) */
    if (o->ignores) count = counted(b, o, t, log_p->dtype);
    if (count) each = emit(b, "Mul", NO_ATTRS, each, count);
    if (!weight && !count) return emit(b, "Neg", NO_ATTRS, mean(b, each));
    if (weight) {
        struct value *safe = count ? emit(b, "Mul", NO_ATTRS, t, emit_cast(b, count, DT_I64)) : t;
        struct value *own = emit(b, "Gather", NO_ATTRS, weight, safe);
        count = count ? emit(b, "Mul", NO_ATTRS, own, count) : own;
    }
    return emit(b, "Neg", NO_ATTRS, emit(b, "Div", NO_ATTRS, sum(b, each), sum(b, count)));
}

static struct value *cross_entropy(
    struct builder *b, const struct loss_options *o, struct value *x, struct value *t, struct value *weight)
{
    struct attr list[2];
    struct value *in[] = { x, t, weight };
    bool smooth = o->smoothing > 0;
    struct node *n = builder_node(b, "SoftmaxCrossEntropyLoss", ignoring(o, list), in, 3, smooth ? 2 : 1);
    if (!n) return NULL;
    if (!smooth) return n->out[0];
    struct value *part = uniform_part(b, o, n->out[1], t, weight);
    double share = o->smoothing / (double)x->shape.dim[1];
    return emit(b, "Add", NO_ATTRS, times(b, n->out[0], 1 - o->smoothing), times(b, part, share));
}

static struct value *nll(
    struct builder *b, const struct loss_options *o, struct value *x, struct value *t, struct value *weight)
{
    struct attr list[2];
    return emit(b, "NegativeLogLikelihoodLoss", ignoring(o, list), x, t, weight);
}

static struct value *mse(
    struct builder *b, const struct loss_options *o, struct value *x, struct value *t, struct value *weight)
{
    struct value *d = emit(b, "Sub", NO_ATTRS, x, t);
    return mean(b, emit(b, "Mul", NO_ATTRS, d, d));
}

static struct value *l1(
    struct builder *b, const struct loss_options *o, struct value *x, struct value *t, struct value *weight)
{
    return mean(b, emit(b, "Abs", NO_ATTRS, emit(b, "Sub", NO_ATTRS, x, t)));
}

static struct value *smooth_l1(
    struct builder *b, const struct loss_options *o, struct value *x, struct value *t, struct value *weight)
{
    if (o->beta <= 0) return l1(b, o, x, t, weight);
    struct value *d = emit(b, "Abs", NO_ATTRS, emit(b, "Sub", NO_ATTRS, x, t));
    if (!d) return NULL;
    struct value *beta = emit_scalar(b, d->dtype, o->beta), *near = emit(b, "Less", NO_ATTRS, d, beta);
    struct value *square = times(b, emit(b, "Mul", NO_ATTRS, d, d), 0.5 / o->beta);
    struct value *line = emit(b, "Sub", NO_ATTRS, d, emit_scalar(b, d->dtype, 0.5 * o->beta));
    return mean(b, emit(b, "Where", NO_ATTRS, near, square, line));
}

/* log(1 + e^x) - x t, which is -t log(s(x)) - (1 - t) log(1 - s(x)). */
static struct value *bce(
    struct builder *b, const struct loss_options *o, struct value *x, struct value *t, struct value *weight)
{
    struct value *soft = emit(b, "Softplus", NO_ATTRS, x);
    return mean(b, emit(b, "Sub", NO_ATTRS, soft, emit(b, "Mul", NO_ATTRS, x, t)));
}

/* 1 - mean over classes of 2 |P T| / (|P| + |T|), sums over all positions (Milletari et al. 2016, without squares). */
static struct value *dice(
    struct builder *b, const struct loss_options *o, struct value *x, struct value *t, struct value *weight)
{
    int64_t axes[SHAPE_MAX] = { 0 };
    size_t n = 1;
    for (int d = 2; d < x->shape.rank; d++) axes[n++] = d;
    struct value *p = emit(b, "Softmax", ATTRS(attr_int("axis", 1)), x), *safe = t, *count = NULL;
    if (o->ignores) {
        count = counted(b, o, t, x->dtype);
        safe = emit(b, "Mul", NO_ATTRS, t, emit_cast(b, count, DT_I64));
        count = emit(b, "Unsqueeze", NO_ATTRS, count, emit_i64s(b, (int64_t[]){ 1 }, 1));
        p = emit(b, "Mul", NO_ATTRS, p, count);
    }
    struct tensor *off_on = NULL;
    struct shape two = shape_of(1, (int64_t[]){ 2 });
    if (!(off_on = tensor_new(b->g->arena, x->dtype, &two, b->err))) return NULL;
    tensor_set_f64(off_on, 1, 1);
    struct value *hot = emit(
        b, "OneHot", ATTRS(attr_int("axis", 1)), safe, emit_i64(b, x->shape.dim[1]), emit_const(b, off_on));
    if (count) hot = emit(b, "Mul", NO_ATTRS, hot, count);
    struct value *over = emit_i64s(b, axes, n), *tiny = emit_scalar(b, x->dtype, 1e-6);
    const struct attr *flat = ATTRS(attr_int("keepdims", 0));
    struct value *both = emit(b, "ReduceSum", flat, emit(b, "Mul", NO_ATTRS, p, hot), over);
    struct value *all = emit(b, "ReduceSum", flat, emit(b, "Add", NO_ATTRS, p, hot), over);
    struct value *ratio = emit(
        b, "Div", NO_ATTRS, emit(b, "Add", NO_ATTRS, times(b, both, 2), tiny), emit(b, "Add", NO_ATTRS, all, tiny));
    return emit(b, "Sub", NO_ATTRS, emit_scalar(b, x->dtype, 1), mean(b, ratio));
}

static const struct loss losses[] = {
    { "cross_entropy", TARGET_CLASS, "Softmax", cross_entropy },
    { "nll", TARGET_CLASS, NULL, nll },
    { "dice", TARGET_CLASS, "Softmax", dice },
    { "mse", TARGET_SAME, NULL, mse },
    { "l1", TARGET_SAME, NULL, l1 },
    { "smooth_l1", TARGET_SAME, NULL, smooth_l1 },
    { "bce", TARGET_SAME, "Sigmoid", bce },
};
enum { N_LOSSES = sizeof losses / sizeof losses[0] };

const char *const *loss_names(void)
{
    static const char *const names[N_LOSSES + 1] = { "cross_entropy", "nll", "dice", "mse", "l1", "smooth_l1", "bce" };
    return names;
}

static const struct loss *find(const char *name)
{
    for (size_t i = 0; i < N_LOSSES; i++)
        if (!strcmp(losses[i].name, name)) return &losses[i];
    return NULL;
}

struct value *loss_scores(const struct loss_options *o, struct value *out)
{
    const struct loss *l = find(o->name);
    const struct node *n = out->node;
    if (!l || !l->skips || !node_is(n, l->skips)) return out;
    if (node_is(n, "Softmax")) {
        int64_t axis = node_int(n, "axis"), rank = out->shape.rank;
        if (rank < 0 || (axis < 0 ? axis + rank : axis) != 1) return out;
    }
    return n->in[0];
}

int loss_target(const struct loss_options *o, const struct value *scores, enum dtype *t, struct shape *s, struct err *e)
{
    const struct loss *l = find(o->name);
    if (!l) {
        const char *near = str_closest(o->name, loss_names(), N_LOSSES);
        return fail(e, ERR_USAGE, "loss: there is no \"%s\"%s%s%s", o->name, near ? ", did you mean \"" : "",
            near ? near : "", near ? "\"?" : "");
    }
    if (!dtype_is_float(scores->dtype))
        return fail(e, ERR_SHAPE, "loss %s: the output %s is %s, expected floats", o->name, scores->name,
            dtype_name(scores->dtype));
    *s = scores->shape;
    *t = l->target == TARGET_CLASS ? DT_I64 : scores->dtype;
    if (l->target == TARGET_SAME) return 0;
    if (s->rank < 2 || s->dim[1] < 0)
        return fail(e, ERR_SHAPE, "loss %s: the output %s has no axis of classes (1)", o->name, scores->name);
    if (s->dim[1] < 2)
        return fail(e, ERR_SHAPE, "loss %s: the output %s has one class only; use bce", o->name, scores->name);
    for (int d = 1; d < s->rank - 1; d++) s->dim[d] = s->dim[d + 1];
    s->rank--;
    return 0;
}

struct value *loss_emit(struct builder *b, const struct loss_options *o, struct value *scores, struct value *target)
{
    struct value *weight = NULL;
    if (o->class_weight) weight = emit_cast(b, emit_const(b, o->class_weight), scores->dtype);
    struct value *v = find(o->name)->build(b, o, scores, target, weight);
    return b->err->code ? NULL : v;
}
