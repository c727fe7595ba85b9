/* optimizer.c - updates of parameters, one operator per parameter: a rule over blocks, a row per optimizer. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"

enum { BLOCK = 256, MAX_STATES = 3, MAX_TENSORS = 2 + MAX_STATES };
/* Every update reads these, then its states; it gives the parameter, then its states. */
enum { IN_PARAM, IN_GRAD, IN_STEP, IN_LR, IN_FINITE, IN_SCALE, IN_STATES };

/* What a rule sees: v[0] is the parameter, v[1] the gradient, the rest its states; v[0] and v[2..] are updated. */
struct update {
    const struct rule *rule;
    int n;                                  /* tensors in use */
    const struct tensor *from[MAX_TENSORS]; /* [1] is the gradient */
    struct tensor *to[MAX_TENSORS];         /* [1] is unused */
    bool skip;                              /* copy only */
    double lr, scale, clip, weight_decay, l1, epsilon;
    double a, b, c, d, t; /* of the rule; t: this step's number, from 1 */
    bool nesterov, decoupled, amsgrad, centered;
};

struct rule {
    const char *op;
    int (*states)(const struct node *n); /* how many the attributes ask for */
    void (*open)(struct update *u, const struct node *n);
    void (*run)(const struct update *u, int64_t n, double (*v)[BLOCK]);
};

static void *at(const struct tensor *t, int64_t i)
{
    return (unsigned char *)t->data + (size_t)i * dtype_size(t->dtype);
}

/* What all optimizers do to a gradient first: scaled, clipped, then the penalties' own gradients are added. */
static void prepare(const struct update *u, int64_t n, double (*v)[BLOCK])
{
    if (u->scale != 1)
        for (int64_t i = 0; i < n; i++) v[1][i] *= u->scale;
    if (u->clip > 0)
        for (int64_t i = 0; i < n; i++) v[1][i] = fmin(fmax(v[1][i], -u->clip), u->clip);
    if (u->l1 != 0)
        for (int64_t i = 0; i < n; i++) v[1][i] += u->l1 * ((v[0][i] > 0) - (v[0][i] < 0));
    if (u->weight_decay != 0 && !u->decoupled)
        for (int64_t i = 0; i < n; i++) v[1][i] += u->weight_decay * v[0][i];
}

static void span(void *ctx, int64_t begin, int64_t end)
{
    const struct update *u = ctx;
    double v[MAX_TENSORS][BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        for (int k = 0; k < u->n; k++) load_f64(u->from[k]->dtype, at(u->from[k], i), n, v[k]);
        if (!u->skip) {
            prepare(u, n, v);
            u->rule->run(u, n, v);
        }
        for (int k = 0; k < u->n; k++)
            if (u->to[k]) store_f64(u->to[k]->dtype, at(u->to[k], i), n, v[k]);
    }
}

static int none(const struct node *n)
{
    return 0;
}

static int one(const struct node *n)
{
    return 1;
}

static int sgd_states(const struct node *n)
{
    return node_float(n, "momentum") != 0;
}

static void sgd_open(struct update *u, const struct node *n)
{
    u->a = node_float(n, "momentum");
    u->b = node_float(n, "dampening");
    u->nesterov = node_int(n, "nesterov");
}

/* torch.optim.SGD: the buffer is the first gradient at the first step, and dampening does not apply to it. */
static void sgd_run(const struct update *u, int64_t n, double (*v)[BLOCK])
{
    for (int64_t i = 0; i < n; i++) {
        double g = v[1][i];
        if (u->a != 0) {
            v[2][i] = u->t == 1 ? g : u->a * v[2][i] + (1 - u->b) * g;
            g = u->nesterov ? g + u->a * v[2][i] : v[2][i];
        }
        v[0][i] -= u->lr * g;
    }
}

static int adam_states(const struct node *n)
{
    return node_int(n, "amsgrad") ? 3 : 2;
}

static void adam_open(struct update *u, const struct node *n)
{
    u->a = node_float(n, "beta1");
    u->b = node_float(n, "beta2");
    u->c = 1 - pow(u->a, u->t);
    u->d = sqrt(1 - pow(u->b, u->t));
    u->decoupled = node_int(n, "decoupled");
    u->amsgrad = node_int(n, "amsgrad");
}

/* torch.optim.Adam and AdamW (decoupled). */
static void adam_run(const struct update *u, int64_t n, double (*v)[BLOCK])
{
    for (int64_t i = 0; i < n; i++) {
        double g = v[1][i];
        if (u->decoupled) v[0][i] *= 1 - u->lr * u->weight_decay;
        v[2][i] = u->a * v[2][i] + (1 - u->a) * g;
        v[3][i] = u->b * v[3][i] + (1 - u->b) * g * g;
        double second = v[3][i];
        if (u->amsgrad) second = v[4][i] = fmax(v[4][i], second);
        v[0][i] -= u->lr / u->c * v[2][i] / (sqrt(second) / u->d + u->epsilon);
    }
}

static void adagrad_open(struct update *u, const struct node *n)
{
    u->lr /= 1 + (u->t - 1) * node_float(n, "lr_decay");
}

/* torch.optim.Adagrad */
static void adagrad_run(const struct update *u, int64_t n, double (*v)[BLOCK])
{
    for (int64_t i = 0; i < n; i++) {
        v[2][i] += v[1][i] * v[1][i];
        v[0][i] -= u->lr * v[1][i] / (sqrt(v[2][i]) + u->epsilon);
    }
}

static int rmsprop_states(const struct node *n)
{
    return 1 + (node_float(n, "momentum") != 0) + (node_int(n, "centered") != 0);
}

static void rmsprop_open(struct update *u, const struct node *n)
{
    u->a = node_float(n, "alpha");
    u->b = node_float(n, "momentum");
    u->centered = node_int(n, "centered");
}

/* torch.optim.RMSprop. States: mean square, momentum (where there is one), mean gradient (centered). */
static void rmsprop_run(const struct update *u, int64_t n, double (*v)[BLOCK])
{
    double *mean = v[u->b != 0 ? 4 : 3];
    for (int64_t i = 0; i < n; i++) {
        double g = v[1][i], second;
        second = v[2][i] = u->a * v[2][i] + (1 - u->a) * g * g;
        if (u->centered) {
            mean[i] = u->a * mean[i] + (1 - u->a) * g;
            second -= mean[i] * mean[i];
        }
        g /= sqrt(fmax(second, 0)) + u->epsilon;
        if (u->b != 0) g = v[3][i] = u->b * v[3][i] + g;
        v[0][i] -= u->lr * g;
    }
}

static void average_open(struct update *u, const struct node *n)
{
    u->a = node_float(n, "decay");
}

static void average_run(const struct update *u, int64_t n, double (*v)[BLOCK])
{
    for (int64_t i = 0; i < n; i++) v[0][i] = u->a * v[0][i] + (1 - u->a) * v[1][i];
}

static const struct rule rules[] = {
    { "SGDUpdate", sgd_states, sgd_open, sgd_run },
    { "AdamUpdate", adam_states, adam_open, adam_run },
    { "AdagradUpdate", one, adagrad_open, adagrad_run },
    { "RMSpropUpdate", rmsprop_states, rmsprop_open, rmsprop_run },
    { "AverageUpdate", none, average_open, average_run },
};

static const struct rule *rule_of(const struct node *n)
{
    const struct rule *r = rules;
    while (strcmp(r->op, n->op->name)) r++;
    return r;
}

static int check_scalar(const struct node *n, int i, bool integer, bool needed, struct err *e)
{
    const struct value *v = node_in(n, i);
    if (!v) return needed ? fail(e, ERR_MODEL, "input %d is missing", i) : 0;
    int64_t count = shape_count(&v->shape);
    if (count >= 0 && count != 1) return fail(e, ERR_SHAPE, "input %d (%s) must have one element", i, v->name);
    if (v->dtype != DT_NONE && integer != dtype_is_integer(v->dtype))
        return fail(e, ERR_SHAPE, "input %d (%s) is %s", i, v->name, dtype_name(v->dtype));
    return 0;
}

static int check_like_param(const struct node *n, int i, struct err *e)
{
    struct shape s = n->in[IN_PARAM]->shape;
    const struct value *v = node_in(n, i);
    if (!v) return fail(e, ERR_MODEL, "input %d is missing", i);
    if (shape_merge(&s, &v->shape)) return 0;
    return fail(e, ERR_SHAPE, "input %d (%s) has another shape than the parameter", i, v->name);
}

static int update_infer(struct node *n, struct err *e)
{
    const struct value *p = n->in[IN_PARAM];
    int states = rule_of(n)->states(n);
    if (p->dtype != DT_NONE && !dtype_is_float(p->dtype))
        return fail(e, ERR_SHAPE, "the parameter is %s, expected a float", dtype_name(p->dtype));
    if (n->n_in > IN_STATES + states || n->n_out > 1 + states)
        return fail(e, ERR_MODEL, "with these attributes there are %d states, not more", states);
    TRY(check_like_param(n, IN_GRAD, e));
    TRY(check_scalar(n, IN_STEP, true, true, e));
    TRY(check_scalar(n, IN_LR, false, true, e));
    TRY(check_scalar(n, IN_SCALE, false, false, e));
    for (int i = 0; i < states; i++) TRY(check_like_param(n, IN_STATES + i, e));
    infer_out(n, 0, p->dtype, &p->shape);
    for (int i = 1; i < n->n_out; i++) {
        const struct value *state = n->in[IN_STATES + i - 1];
        infer_out(n, i, state->dtype, &state->shape);
    }
    return 0;
}

static int update_run(const struct step *s, struct err *e)
{
    const struct node *n = s->node;
    const struct tensor *finite = step_in(s, IN_FINITE), *scale = step_in(s, IN_SCALE);
    struct update u = { .rule = rule_of(n),
        .from = { s->in[IN_PARAM], s->in[IN_GRAD] },
        .to = { s->out[0] },
        .skip = finite && !tensor_get_i64(finite, 0),
        .lr = tensor_get_f64(s->in[IN_LR], 0) * node_float(n, "rate"),
        .scale = scale ? tensor_get_f64(scale, 0) : 1,
        .clip = node_float(n, "clip"),
        .weight_decay = node_float(n, "weight_decay"),
        .l1 = node_float(n, "l1"),
        .epsilon = node_float(n, "epsilon"),
        .t = (double)tensor_get_i64(s->in[IN_STEP], 0) + 1 };
    int states = u.rule->states(n);
    for (int i = 0; i < states; i++) u.from[2 + i] = s->in[IN_STATES + i], u.to[2 + i] = step_out(s, 1 + i);
    u.n = 2 + states;
    u.rule->open(&u, n);
    team_run(s->threads, tensor_count(s->in[IN_PARAM]), 4096, span, &u);
    return 0;
}

struct squares {
    const struct tensor *t;
    double *blocks; /* one sum per block of the tensor */
};

static void square_blocks(void *ctx, int64_t begin, int64_t end)
{
    struct squares *q = ctx;
    int64_t count = tensor_count(q->t);
    for (int64_t b = begin; b < end; b++) {
        double v[BLOCK], sum = 0;
        int64_t n = count - b * BLOCK < BLOCK ? count - b * BLOCK : BLOCK;
        load_f64(q->t->dtype, at(q->t, b * BLOCK), n, v);
        for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
        q->blocks[b] = sum;
    }
}

static int norm_infer(struct node *n, struct err *e)
{
    struct shape scalar = shape_of(0, NULL);
    for (int i = 0; i < n->n_in; i++)
        if (!n->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
    infer_out(n, 0, DT_F32, &scalar);
    return 0;
}

/* Summed in blocks of fixed size and then in their order, so that threads change no bit. */
static int norm_run(const struct step *s, struct err *e)
{
    double sum = 0;
    for (int k = 0; k < s->node->n_in; k++) {
        int64_t blocks = (tensor_count(s->in[k]) + BLOCK - 1) / BLOCK;
        struct squares q = { s->in[k], operand_zeros(s, blocks, e) };
        if (!q.blocks) return e->code;
        team_run(s->threads, blocks, 64, square_blocks, &q);
        for (int64_t b = 0; b < blocks; b++) sum += q.blocks[b];
    }
    tensor_set_f64(s->out[0], 0, sqrt(sum));
    return 0;
}

/* Every optimizer has these. */
#define COMMON_ATTRS \
    { "weight_decay", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "times the parameter, added to the gradient" }, \
        { "l1", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "times the parameter's sign, added to the gradient" }, \
        { "clip", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "no element of the gradient is larger; 0: any" }, \
        { "rate", ATTR_FLOAT, ATTR_DEFAULT, .f = 1, .doc = "times the learning rate: the parameter's own" }, \
        { "epsilon", ATTR_FLOAT, ATTR_DEFAULT, .f = 1e-8, .doc = "added to the root that divides" }, \
    { \
        0 \
    }

static const struct attr_spec sgd_attrs[] = {
    { "momentum", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "0: none, and no buffer" },
    { "dampening", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "taken off the gradient's share in the buffer" },
    { "nesterov", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "look ahead along the buffer" },
    COMMON_ATTRS,
};
static const struct attr_spec adam_attrs[] = {
    { "beta1", ATTR_FLOAT, ATTR_DEFAULT, .f = 0.9, .doc = "decay of the first moment" },
    { "beta2", ATTR_FLOAT, ATTR_DEFAULT, .f = 0.999, .doc = "decay of the second moment" },
    { "decoupled", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "AdamW: weight decay shrinks the parameter itself" },
    { "amsgrad", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "use the largest second moment so far" },
    COMMON_ATTRS,
};
static const struct attr_spec adagrad_attrs[] = {
    { "lr_decay", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "the rate is divided by 1 + steps done * this" },
    COMMON_ATTRS,
};
static const struct attr_spec rmsprop_attrs[] = {
    { "alpha", ATTR_FLOAT, ATTR_DEFAULT, .f = 0.99, .doc = "decay of the mean square" },
    { "momentum", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "0: none, and no buffer" },
    { "centered", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "divide by the deviation instead of the root mean square" },
    COMMON_ATTRS,
};
static const struct attr_spec average_attrs[] = {
    { "decay", ATTR_FLOAT, ATTR_DEFAULT, .f = 0.999, .doc = "what is kept of the average in a step" },
    COMMON_ATTRS,
};

#define UPDATE(op, of, states, attributes, problems) \
    { \
        .name = op, .doc = of ", of (param, grad, steps done, lr, finite, scale of the gradient" states ")", \
        .min_in = 4, .max_in = IN_STATES + MAX_STATES, .min_out = 1, .max_out = 1 + MAX_STATES, \
        .flags = OP_OWN | OP_INPLACE | OP_FLAT | OP_TRAINING_ONLY, .attrs = attributes, .infer = update_infer, \
        .run = update_run, .samples = problems \
    }

const struct op ops_optimizer[] = {
    UPDATE("SGDUpdate", "a step of gradient descent", ", momentum buffer", sgd_attrs,
        "f32[3,4] f32[3,4] i64{0} f32{0.1} bool{1} - | weight_decay=0.1 clip=0.3; f32[7] f32[7] i64{1} f32{0.1} "
        "bool{1} "
        "f32{0.5} f32[7] | momentum=0.9 nesterov=1; f32[7] f32[7] i64{0} f32{0.1} bool{1} - f32[7] | momentum=0.9 "
        "dampening=0.5 weight_decay=0.01; f32[2] f32[2] i64{3} f32{0.1} bool{0} - f32[2] | momentum=0.9 l1=0.1"),
    UPDATE("AdamUpdate", "a step of Adam", ", moments m and v, largest v", adam_attrs,
        "f32[3,4] f32[3,4] i64{0} f32{0.1} - - f32[3,4] f32+[3,4]; f32[7] f32[7] i64{9} f32{0.1} bool{1} - f32[7] "
        "f32+[7] | weight_decay=0.1 rate=2; f32[7] f32[7] i64{9} f32{0.1} bool{1} f32{2} f32[7] f32+[7] | "
        "weight_decay=0.1 decoupled=1; f32[7] f32[7] i64{2} f32{0.1} - - f32[7] f32+[7] f32+[7] | amsgrad=1"),
    UPDATE("AdagradUpdate", "a step of AdaGrad", ", sum of squares", adagrad_attrs,
        "f32[3,4] f32[3,4] i64{0} f32{0.1} - - f32+[3,4]; f32[7] f32[7] i64{9} f32{0.1} bool{1} - f32+[7] | "
        "lr_decay=0.1"),
    UPDATE("RMSpropUpdate", "a step of RMSprop", ", mean square, momentum, mean gradient", rmsprop_attrs,
        "f32[3,4] f32[3,4] i64{0} f32{0.1} - - f32+[3,4]; f32[7] f32[7] i64{9} f32{0.1} bool{1} - f32+[7] f32[7] | "
        "momentum=0.9; f32[7] f32[7] i64{9} f32{0.1} bool{1} - f32+[7] f32[7] f32[7] | momentum=0.9 centered=1"),
    UPDATE("AverageUpdate", "a step of a running average", "; param is the average, grad what is averaged",
        average_attrs, "f32[3,4] f32[3,4] i64{0} f32{0}; f32[7] f32[7] i64{9} f32{0} bool{0} | decay=0.5"),
    { .name = "GradientNorm",
        .doc = "the Euclidean norm of all inputs together",
        .min_in = 1,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_FLAT | OP_OWN | OP_TRAINING_ONLY,
        .infer = norm_infer,
        .run = norm_run,
        .samples = "f32[3,5]; f32[2] f64[3] f32[4,700]" },
    { 0 },
};
