/* batch_norm.c - batch normalisation, scoring and training, and its gradient.
 * Ioffe and Szegedy 2015; x is (N, C, S): S all further dimensions, everything else is (C). */
#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/builder.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/kernel.h"

enum { BLOCK = 256 };

#define EPSILON \
    { \
        .name = "epsilon", .type = ATTR_FLOAT, .presence = ATTR_DEFAULT, .f = 1e-5, .doc = "added to the variance" \
    }
#define TRAINING \
    { \
        .name = "training_mode", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "1: the batch's own statistics" \
    }
static const struct attr_spec attrs[] = {
    EPSILON,
    { .name = "momentum",
        .type = ATTR_FLOAT,
        .presence = ATTR_DEFAULT,
        .f = 0.9,
        .doc = "what stays of the running ones" },
    TRAINING,
    { .name = "unbiased", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "1: running variance over n - 1 (own)" },
    { 0 },
};
static const struct attr_spec grad_attrs[] = { EPSILON, TRAINING, { 0 } };

static int64_t channels(const struct shape *x)
{
    return x->rank < 0 ? DIM_UNKNOWN : x->rank < 2 ? 1 : x->dim[1];
}

/* Inputs [from, to) are vectors of one number per channel of input x; `c` becomes the best known shape of
 * them. */
static int check_vectors(const struct node *n, int x, int from, int to, struct shape *c, struct err *e)
{
    int64_t dim = channels(&n->in[x]->shape);
    *c = shape_of(1, &dim);
    TRY(infer_type(n, x, TYPES_FLOAT, e));
    TRY(infer_rank(n, x, 1, SHAPE_MAX, e));
    for (int i = from; i < to; i++) {
        TRY(infer_type(n, i, TYPES_FLOAT, e));
        TRY(infer_rank(n, i, 1, 1, e));
        if (!shape_merge(c, &n->in[i]->shape))
            return fail(e, ERR_SHAPE, "input %d (%s) has %lld numbers, expected one for each of %lld channels", i,
                n->in[i]->name, (long long)n->in[i]->shape.dim[0], (long long)c->dim[0]);
    }
    return 0;
}

static int infer(struct node *n, struct err *e)
{
    struct shape c;
    TRY(check_vectors(n, 0, 1, 5, &c, e));
    if (n->n_out > 1 && !node_int(n, "training_mode"))
        return fail(e, ERR_MODEL, "has running statistics as outputs, but training_mode is 0");
    infer_out(n, 0, n->in[0]->dtype, &n->in[0]->shape);
    infer_out(n, 1, n->in[3]->dtype, &c);
    infer_out(n, 2, n->in[4]->dtype, &c);
    return 0;
}

struct norm {
    const struct tensor *x, *dy; /* (N, C, S) */
    const struct step *s;
    int64_t n, c, s_len;
    const double *scale, *bias, *mean, *var; /* (C) */
    bool training;
    double epsilon;
};

static const double *vector(const struct step *s, int i)
{
    int64_t n = tensor_count(s->in[i]);
    double *v = ARENA_ARRAY(s->scratch, n, double);
    if (v) load_f64(s->in[i]->dtype, s->in[i]->data, n, v);
    return v;
}

static void prepare(struct norm *b, const struct step *s, int x)
{
    const struct shape *shape = &s->in[x]->shape;
    b->s = s;
    b->x = s->in[x];
    b->c = channels(shape);
    b->n = shape->dim[0];
    b->s_len = shape->rank > 2 ? shape_span(shape, 2, shape->rank) : 1;
    b->training = node_int(s->node, "training_mode") != 0;
    b->epsilon = node_float(s->node, "epsilon");
}

/* Every stretch of channel c: `at` is its first element, `len` at most BLOCK. */
#define EACH_STRETCH(b, c_, at, len) \
    for (int64_t n_ = 0; n_ < (b)->n; n_++) \
        for (int64_t i_ = 0, at, len; i_ < (b)->s_len && \
             (at = (n_ * (b)->c + (c_)) * (b)->s_len + i_, len = (b)->s_len - i_ < BLOCK ? (b)->s_len - i_ : BLOCK, \
             true); \
             i_ += BLOCK)

static void load(const struct tensor *t, int64_t at, int64_t n, double *v)
{
    load_f64(t->dtype, (const unsigned char *)t->data + (size_t)at * dtype_size(t->dtype), n, v);
}

static void store(const struct tensor *t, int64_t at, int64_t n, const double *v)
{
    store_f64(t->dtype, (unsigned char *)t->data + (size_t)at * dtype_size(t->dtype), n, v);
}

/* Mean and biased variance of a channel: the batch's when training, else the running ones. */
static void statistics(const struct norm *b, int64_t c, double *mean, double *var)
{
    double x[BLOCK], sum = 0, squares = 0, count = (double)b->n * (double)b->s_len;
    if (!b->training) {
        *mean = b->mean[c];
        *var = b->var[c];
        return;
    }
    EACH_STRETCH(b, c, at, len)
    {
        load(b->x, at, len, x);
        for (int64_t i = 0; i < len; i++) sum += x[i];
    }
    *mean = sum / count;
    EACH_STRETCH(b, c, at, len)
    {
        load(b->x, at, len, x);
        for (int64_t i = 0; i < len; i++) squares += (x[i] - *mean) * (x[i] - *mean);
    }
    *var = squares / count;
}

static void update_running(const struct norm *b, int64_t c, double mean, double var)
{
    const struct step *s = b->s;
    double keep = node_float(s->node, "momentum"), count = (double)b->n * (double)b->s_len;
    if (node_int(s->node, "unbiased") && count > 1) var *= count / (count - 1);
    if (s->node->n_out > 1) tensor_set_f64(s->out[1], c, b->mean[c] * keep + mean * (1 - keep));
    if (s->node->n_out > 2) tensor_set_f64(s->out[2], c, b->var[c] * keep + var * (1 - keep));
}

static void run_channels(void *ctx, int64_t begin, int64_t end)
{
    const struct norm *b = ctx;
    double v[BLOCK];
    for (int64_t c = begin; c < end; c++) {
        double mean, var;
        statistics(b, c, &mean, &var);
        if (b->training) update_running(b, c, mean, var);
        double factor = b->scale[c] / sqrt(var + b->epsilon);
        EACH_STRETCH(b, c, at, len)
        {
            load(b->x, at, len, v);
            for (int64_t i = 0; i < len; i++) v[i] = (v[i] - mean) * factor + b->bias[c];
            store(b->s->out[0], at, len, v);
        }
    }
}

static int run(const struct step *s, struct err *e)
{
    struct norm b = { 0 };
    prepare(&b, s, 0);
    b.scale = vector(s, 1);
    b.bias = vector(s, 2);
    b.mean = vector(s, 3);
    b.var = vector(s, 4);
    if (!b.scale || !b.bias || !b.mean || !b.var) return fail_nomem(e);
    team_run(s->threads, b.c, 1 + 16384 / (1 + b.n * b.s_len), run_channels, &b);
    return 0;
}

static int grad(struct grad *g)
{
    const struct node *n = g->node;
    for (int i = 1; i < n->n_out; i++)
        if (g->dy[i]) return fail(g->b->err, ERR_UNSUPPORTED, "no gradient through the running statistics");
    struct value *in[] = { g->dy[0], n->in[0], n->in[1], n->in[3], n->in[4] };
    const struct attr *list = ATTRS(
        attr_float("epsilon", node_float(n, "epsilon")), attr_int("training_mode", node_int(n, "training_mode")));
    struct node *d = builder_node(g->b, "BatchNormalizationGrad", list, in, 5, 3);
    for (int i = 0; d && i < 3; i++) g->dx[i] = d->out[i];
    return 0;
}

/* dy, x, scale, mean, var -> dx, dscale, dbias */
static int grad_infer(struct node *n, struct err *e)
{
    struct shape c, x = n->in[1]->shape;
    TRY(check_vectors(n, 1, 2, 5, &c, e));
    TRY(infer_same_types(n, 0, 2, e));
    if (!shape_merge(&x, &n->in[0]->shape)) return fail(e, ERR_SHAPE, "the gradient has another shape than the input");
    infer_out(n, 0, n->in[1]->dtype, &x);
    infer_out(n, 1, n->in[2]->dtype, &c);
    infer_out(n, 2, n->in[2]->dtype, &c);
    return 0;
}

/* With u = (x - mean) / sqrt(var + epsilon): dscale = sum(dy u), dbias = sum(dy), dx = scale / sqrt(var +
 * epsilon) (dy - [dbias + u dscale] / n), without the bracket when the statistics are constants. */
static void grad_channels(void *ctx, int64_t begin, int64_t end)
{
    const struct norm *b = ctx;
    struct tensor **out = b->s->out;
    double x[BLOCK], dy[BLOCK], count = (double)b->n * (double)b->s_len;
    for (int64_t c = begin; c < end; c++) {
        double mean, var, dscale = 0, dbias = 0;
        statistics(b, c, &mean, &var);
        double inverse = 1 / sqrt(var + b->epsilon);
        EACH_STRETCH(b, c, at, len)
        {
            load(b->x, at, len, x);
            load(b->dy, at, len, dy);
            for (int64_t i = 0; i < len; i++) {
                dscale += dy[i] * (x[i] - mean) * inverse;
                dbias += dy[i];
            }
        }
        tensor_set_f64(out[1], c, dscale);
        tensor_set_f64(out[2], c, dbias);
        double by_mean = b->training ? dbias / count : 0, by_var = b->training ? dscale / count : 0;
        EACH_STRETCH(b, c, at, len)
        {
            load(b->x, at, len, x);
            load(b->dy, at, len, dy);
            for (int64_t i = 0; i < len; i++)
                x[i] = b->scale[c] * inverse * (dy[i] - by_mean - (x[i] - mean) * inverse * by_var);
            store(out[0], at, len, x);
        }
    }
}

static int grad_run(const struct step *s, struct err *e)
{
    struct norm b = { .dy = s->in[0] };
    prepare(&b, s, 1);
    b.scale = vector(s, 2);
    b.mean = vector(s, 3);
    b.var = vector(s, 4);
    if (!b.scale || !b.mean || !b.var) return fail_nomem(e);
    team_run(s->threads, b.c, 1 + 16384 / (1 + b.n * b.s_len), grad_channels, &b);
    return 0;
}

const struct op ops_batch_norm[] = {
    { .name = "BatchNormalization",
        .doc = "(x - mean) / sqrt(var + epsilon) scale + bias, per channel",
        .min_in = 5,
        .max_in = 5,
        .min_out = 1,
        .max_out = 3,
        .flags = OP_INPLACE,
        .attrs = attrs,
        .infer = infer,
        .run = run,
        .grad = grad,
        .samples =
            "f32[2,3,4,5] f32[3] f32[3] f32[3] f32+[3]; f32[5,3] f32[3] f32[3] f32[3] f32+[3] | epsilon=0.01; "
            "f32[2,3,20,20] f32[3] f32[3] f32[3] f32+[3] | training_mode=1 outputs=3 smooth=1; "
            "f32[5,3] f32[3] f32[3] f32[3] f32+[3] | training_mode=1 momentum=0.3 unbiased=1 outputs=3 smooth=1; "
            "f32[2,3,7] f32[3] f32[3] f32[3] f32+[3] | training_mode=1; f16[2,3,7] f32[3] f32[3] f32[3] f32+[3]" },
    { .name = "BatchNormalizationGrad",
        .doc = "gradients of x, scale and bias, of (dy, x, scale, mean, var)",
        .min_in = 5,
        .max_in = 5,
        .min_out = 3,
        .max_out = 3,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = grad_attrs,
        .infer = grad_infer,
        .run = grad_run,
        .samples = "f32[2,3,4,5] f32[2,3,4,5] f32[3] f32[3] f32+[3]; "
                   "f32[2,3,20,20] f32[2,3,20,20] f32[3] f32[3] f32+[3] | training_mode=1; "
                   "f32[5,3] f32[5,3] f32[3] f32[3] f32+[3] | training_mode=1" },
    { 0 },
};
