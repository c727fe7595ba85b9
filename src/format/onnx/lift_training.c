/* lift_training.c - ai.onnx.preview.training: optimizers, written in arithmetic. */
#include <string.h>

#include "base/err.h"
#include "format/onnx/lift.h"

/* One tensor and its state, being updated: names as the specification has them. */
struct update {
    struct lift *l;
    struct builder *b;
    struct value *r, *t;         /* learning rate, number of updates done */
    struct value *x, *g, *v, *h; /* tensor, gradient, accumulated gradient, accumulated square */
    struct value *to[3];         /* the new tensor and states */
};

static struct value *number(struct update *u, double v)
{
    return emit_scalar(u->b, u->x->dtype, v);
}

static struct value *two(struct update *u, const char *op, struct value *x, struct value *y)
{
    return emit(u->b, op, NO_ATTRS, x, y);
}

static struct value *times(struct update *u, double k, struct value *x)
{
    return k == 1 ? x : two(u, "Mul", number(u, k), x);
}

static struct value *root(struct update *u, struct value *x)
{
    return emit(u->b, "Sqrt", NO_ATTRS, x);
}

/* The gradient with that of norm_coefficient / 2 |x|^2. */
static struct value *regularized(struct update *u)
{
    double k = lift_float(u->l, "norm_coefficient", 0);
    return k == 0 ? u->g : two(u, "Add", times(u, k, u->x), u->g);
}

static struct value *steps_done(struct update *u)
{
    return emit_cast(u->b, u->t, u->x->dtype);
}

static struct value *after_first(struct update *u, struct value *yes, struct value *no)
{
    struct value *zero = emit_scalar(u->b, u->t->dtype, 0);
    return emit(u->b, "Where", NO_ATTRS, emit(u->b, "Greater", NO_ATTRS, u->t, zero), yes, no);
}

static void adagrad(struct update *u)
{
    struct value *decay = two(u, "Add", number(u, 1), times(u, lift_float(u->l, "decay_factor", 0), steps_done(u)));
    struct value *g = regularized(u), *h = two(u, "Add", u->v, two(u, "Mul", g, g));
    struct value *size = two(u, "Add", root(u, h), number(u, lift_float(u->l, "epsilon", 1e-6f)));
    struct value *rate = two(u, "Div", u->r, decay);
    u->to[0] = two(u, "Sub", u->x, two(u, "Div", two(u, "Mul", rate, g), size));
    u->to[1] = h;
}

static struct value *one_minus_power(struct update *u, double k)
{
    return two(u, "Sub", number(u, 1), two(u, "Pow", number(u, k), steps_done(u)));
}

static void adam(struct update *u)
{
    double alpha = lift_float(u->l, "alpha", 0.9f), beta = lift_float(u->l, "beta", 0.999f);
    struct value *g = regularized(u), *square = two(u, "Mul", g, g);
    struct value *v = two(u, "Add", times(u, alpha, u->v), times(u, 1 - alpha, g));
    struct value *h = two(u, "Add", times(u, beta, u->h), times(u, 1 - beta, square));
    struct value *size = two(u, "Add", root(u, h), number(u, lift_float(u->l, "epsilon", 1e-6f)));
    struct value *rate = two(
        u, "Div", two(u, "Mul", u->r, root(u, one_minus_power(u, beta))), one_minus_power(u, alpha));
    rate = after_first(u, rate, u->r);
    struct value *x = two(u, "Sub", u->x, two(u, "Div", two(u, "Mul", rate, v), size));
    u->to[0] = times(u, 1 - lift_float(u->l, "norm_coefficient_post", 0), x);
    u->to[1] = v;
    u->to[2] = h;
}

static void momentum(struct update *u)
{
    const struct attr *mode = lift_attr(u->l, "mode");
    double alpha = lift_float(u->l, "alpha", 0), beta = lift_float(u->l, "beta", 1);
    struct value *g = regularized(u), *share = after_first(u, number(u, beta), number(u, 1));
    struct value *v = two(u, "Add", times(u, alpha, u->v), two(u, "Mul", share, g)), *step = v;
    if (mode && mode->type == ATTR_STRING && !strcmp(mode->s, "nesterov")) step = two(u, "Add", g, times(u, alpha, v));
    u->to[0] = two(u, "Sub", u->x, two(u, "Mul", u->r, step));
    u->to[1] = v;
}

/* Inputs R, T, then every tensor, every gradient, every state; `states` of them to a tensor. */
static int each_tensor(struct lift *l, int states, void (*rule)(struct update *u), struct err *e)
{
    int n = (l->n_in - 2) / (2 + states);
    if (n < 1 || l->n_in != 2 + n * (2 + states) || l->n_out != n * (1 + states))
        return fail(e, ERR_MODEL, "%d inputs and %d outputs", l->n_in, l->n_out);
    for (int i = 0; i < l->n_in; i++)
        if (!l->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
    for (int i = 0; i < n && !e->code; i++) {
        struct value **in = l->in + 2 + i;
        struct update u = { l, l->b, l->in[0], l->in[1], in[0], in[n], in[2 * n], states > 1 ? in[3 * n] : NULL,
            { 0 } };
        u.r = emit_cast(l->b, u.r, u.x->dtype);
        rule(&u);
        for (int k = 0; k <= states; k++) l->out[k * n + i] = u.to[k];
    }
    l->done = true;
    return e->code;
}

static int lift_adagrad(struct lift *l, const char *arg, struct err *e)
{
    return each_tensor(l, 1, adagrad, e);
}

static int lift_adam(struct lift *l, const char *arg, struct err *e)
{
    return each_tensor(l, 2, adam, e);
}

static int lift_momentum(struct lift *l, const char *arg, struct err *e)
{
    return each_tensor(l, 1, momentum, e);
}

/* Gradient: attributes xs and zs name the values that the inputs are, y the one that is differentiated. */
static int gradient(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *xs = lift_attr(l, "xs"), *zs = lift_attr(l, "zs"), *y = lift_attr(l, "y");
    if (!xs || xs->type != ATTR_STRINGS || !y || y->type != ATTR_STRING || (zs && zs->type != ATTR_STRINGS))
        return fail(e, ERR_MODEL, "xs and y must name values");
    size_t n_xs = xs->n, n_all = n_xs + (zs ? zs->n : 0);
    if ((int)n_all != l->n_in || (int)n_xs < l->n_out)
        return fail(e, ERR_MODEL, "%zu values are named, there are %d inputs and %d outputs", n_all, l->n_in, l->n_out);
    for (size_t i = 0; i < n_all; i++) {
        const char *name = i < n_xs ? xs->strings[i] : zs->strings[i - n_xs];
        if (l->value(l, name) != l->in[i])
            return fail(e, ERR_UNSUPPORTED, "input %zu is another value than \"%s\"", i, name);
    }
    struct value *of = l->value(l, y->s);
    if (!of) return fail(e, ERR_MODEL, "nothing before it makes \"%s\"", y->s);
    for (size_t i = n_xs; i > 0; i--) l->in[i] = l->in[i - 1];
    l->in[0] = of;
    l->n_in = l->n_out + 1;
    l->op = "Gradient";
    lift_drop(l, "xs");
    lift_drop(l, "zs");
    lift_drop(l, "y");
    return 0;
}

const struct lift_row lift_training_rows[] = {
    { "Gradient", 1, LIFT_ANY, gradient },
    { "Adagrad", 1, LIFT_ANY, lift_adagrad, NULL, "" },
    { "Adam", 1, LIFT_ANY, lift_adam, NULL, "" },
    { "Momentum", 1, LIFT_ANY, lift_momentum, NULL, "" },
    { NULL },
};
