/* optimizer.c - updates of parameters, one operator per parameter. */
#include <math.h>

#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"

enum { BLOCK = 256, MAX_TENSORS = 5 };

/* A rule over blocks: v[0] is the parameter, v[1] the gradient, the rest its state; v[0] and v[2..] are updated. */
struct update {
    void (*rule)(const struct update *u, int64_t n, double (*v)[BLOCK]);
    int n;                                        /* tensors in use */
    const struct tensor *from[MAX_TENSORS];       /* [1] is the gradient */
    struct tensor *to[MAX_TENSORS];               /* [1] is unused */
    bool skip;                                    /* copy only */
    double lr, weight_decay, epsilon, a, b, c, d; /* of the rule */
    bool first, nesterov, decoupled, amsgrad;
};

static void *at(const struct tensor *t, int64_t i)
{
    return (unsigned char *)t->data + (size_t)i * dtype_size(t->dtype);
}

static void span(void *ctx, int64_t begin, int64_t end)
{
    const struct update *u = ctx;
    double v[MAX_TENSORS][BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        for (int k = 0; k < u->n; k++)
            if (u->from[k]) load_f64(u->from[k]->dtype, at(u->from[k], i), n, v[k]);
        if (!u->skip) u->rule(u, n, v);
        for (int k = 0; k < u->n; k++)
            if (u->to[k]) store_f64(u->to[k]->dtype, at(u->to[k], i), n, v[k]);
    }
}

static int check_scalar(const struct node *n, int i, bool integer, struct err *e)
{
    const struct value *v = node_in(n, i);
    if (!v) return fail(e, ERR_MODEL, "input %d is missing", i);
    int64_t count = shape_count(&v->shape);
    if (count >= 0 && count != 1) return fail(e, ERR_SHAPE, "input %d (%s) must have one element", i, v->name);
    if (v->dtype != DT_NONE && integer != dtype_is_integer(v->dtype))
        return fail(e, ERR_SHAPE, "input %d (%s) is %s", i, v->name, dtype_name(v->dtype));
    return 0;
}

static int check_like_param(const struct node *n, int i, struct err *e)
{
    struct shape s = n->in[0]->shape;
    const struct value *v = node_in(n, i);
    if (!v || shape_merge(&s, &v->shape)) return 0;
    return fail(e, ERR_SHAPE, "input %d (%s) has another shape than the parameter", i, v->name);
}

static int check_param(const struct node *n, struct err *e)
{
    enum dtype t = n->in[0]->dtype;
    if (t == DT_NONE || dtype_is_float(t)) return 0;
    return fail(e, ERR_SHAPE, "the parameter is %s, expected a float", dtype_name(t));
}

/* in: param, grad, momentum buffer, step, lr, finite */
static int sgd_infer(struct node *n, struct err *e)
{
    TRY(check_param(n, e));
    for (int i = 1; i < 3; i++) TRY(check_like_param(n, i, e));
    TRY(check_scalar(n, 3, true, e));
    TRY(check_scalar(n, 4, false, e));
    if (n->n_out > 1 && !n->in[2]) return fail(e, ERR_MODEL, "a second output without a momentum buffer");
    if (node_float(n, "momentum") != 0 && !n->in[2])
        return fail(e, ERR_MODEL, "momentum needs its buffer as input 2");
    infer_out(n, 0, n->in[0]->dtype, &n->in[0]->shape);
    if (n->n_out > 1) infer_out(n, 1, n->in[2]->dtype, &n->in[2]->shape);
    return 0;
}

/* torch.optim.SGD: the buffer is the first gradient at the first step, and dampening does not apply to it. */
static void sgd_rule(const struct update *u, int64_t n, double (*v)[BLOCK])
{
    double momentum = u->a, keep = 1 - u->b;
    for (int64_t i = 0; i < n; i++) {
        double g = v[1][i] + u->weight_decay * v[0][i];
        if (momentum != 0) {
            v[2][i] = u->first ? g : momentum * v[2][i] + keep * g;
            g = u->nesterov ? g + momentum * v[2][i] : v[2][i];
        }
        v[0][i] -= u->lr * g;
    }
}

static bool is_false(const struct tensor *t)
{
    return t && !tensor_get_i64(t, 0);
}

static int sgd_run(const struct step *s, struct err *e)
{
    const struct node *n = s->node;
    struct update u = { .rule = sgd_rule,
        .n = step_in(s, 2) ? 3 : 2,
        .from = { s->in[0], s->in[1], s->in[2] },
        .to = { s->out[0], NULL, step_out(s, 1) },
        .lr = tensor_get_f64(s->in[4], 0),
        .skip = is_false(step_in(s, 5)),
        .a = node_float(n, "momentum"),
        .b = node_float(n, "dampening"),
        .weight_decay = node_float(n, "weight_decay"),
        .first = !tensor_get_i64(s->in[3], 0),
        .nesterov = node_int(n, "nesterov") };
    team_run(s->threads, tensor_count(s->in[0]), 4096, span, &u);
    return 0;
}

/* in: param, grad, m, v, step, lr, finite, vmax */
static int adam_infer(struct node *n, struct err *e)
{
    bool amsgrad = node_int(n, "amsgrad");
    TRY(check_param(n, e));
    for (int i = 1; i < 4; i++) TRY(check_like_param(n, i, e));
    TRY(check_like_param(n, 7, e));
    TRY(check_scalar(n, 4, true, e));
    TRY(check_scalar(n, 5, false, e));
    if (amsgrad != (node_in(n, 7) != NULL) || (n->n_out > 3 && !amsgrad))
        return fail(e, ERR_MODEL, "amsgrad, and only it, has the largest second moment as input 7 and output 3");
    infer_out(n, 0, n->in[0]->dtype, &n->in[0]->shape);
    for (int i = 1; i < n->n_out; i++) {
        const struct value *state = n->in[i < 3 ? i + 1 : 7];
        infer_out(n, i, state->dtype, &state->shape);
    }
    return 0;
}

/* torch.optim.Adam and AdamW (decoupled). a, b: the betas; c: 1 - a^t; d: sqrt(1 - b^t). */
static void adam_rule(const struct update *u, int64_t n, double (*v)[BLOCK])
{
    for (int64_t i = 0; i < n; i++) {
        double g = v[1][i];
        if (u->decoupled) v[0][i] *= 1 - u->lr * u->weight_decay;
        else g += u->weight_decay * v[0][i];
        v[2][i] = u->a * v[2][i] + (1 - u->a) * g;
        v[3][i] = u->b * v[3][i] + (1 - u->b) * g * g;
        double second = v[3][i];
        if (u->amsgrad) second = v[4][i] = fmax(v[4][i], second);
        v[0][i] -= u->lr / u->c * v[2][i] / (sqrt(second) / u->d + u->epsilon);
    }
}

static int adam_run(const struct step *s, struct err *e)
{
    const struct node *n = s->node;
    double beta1 = node_float(n, "beta1"), beta2 = node_float(n, "beta2"), t = (double)tensor_get_i64(s->in[4], 0) + 1;
    bool amsgrad = node_int(n, "amsgrad");
    struct update u = { .rule = adam_rule,
        .n = amsgrad ? 5 : 4,
        .from = { s->in[0], s->in[1], s->in[2], s->in[3], step_in(s, 7) },
        .to = { s->out[0], NULL, s->out[1], s->out[2], step_out(s, 3) },
        .lr = tensor_get_f64(s->in[5], 0),
        .skip = is_false(step_in(s, 6)),
        .a = beta1,
        .b = beta2,
        .c = 1 - pow(beta1, t),
        .d = sqrt(1 - pow(beta2, t)),
        .epsilon = node_float(n, "epsilon"),
        .weight_decay = node_float(n, "weight_decay"),
        .decoupled = node_int(n, "decoupled"),
        .amsgrad = amsgrad };
    team_run(s->threads, tensor_count(s->in[0]), 4096, span, &u);
    return 0;
}

static const struct attr_spec sgd_attrs[] = {
    { "momentum", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "0: none, and no buffer" },
    { "dampening", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "taken off the gradient's share in the buffer" },
    { "weight_decay", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "times the parameter, added to the gradient" },
    { "nesterov", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "look ahead along the buffer" },
    { 0 },
};
static const struct attr_spec adam_attrs[] = {
    { "beta1", ATTR_FLOAT, ATTR_DEFAULT, .f = 0.9, .doc = "decay of the first moment" },
    { "beta2", ATTR_FLOAT, ATTR_DEFAULT, .f = 0.999, .doc = "decay of the second moment" },
    { "epsilon", ATTR_FLOAT, ATTR_DEFAULT, .f = 1e-8, .doc = "added to the root of the second moment" },
    { "weight_decay", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "times the parameter" },
    { "decoupled", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "AdamW: weight decay shrinks the parameter itself" },
    { "amsgrad", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "use the largest second moment so far" },
    { 0 },
};

const struct op ops_optimizer[] = {
    { .name = "SGDUpdate",
        .doc = "a step of gradient descent, of (param, grad, momentum buffer, steps done, lr, finite)",
        .min_in = 2,
        .max_in = 6,
        .min_out = 1,
        .max_out = 2,
        .flags = OP_OWN | OP_INPLACE | OP_FLAT | OP_TRAINING_ONLY,
        .attrs = sgd_attrs,
        .infer = sgd_infer,
        .run = sgd_run,
        .samples =
            "f32[3,4] f32[3,4] - i64{0} f32{0.1}; f32[7] f32[7] f32[7] i64{1} f32{0.1} bool{1} | momentum=0.9 "
            "nesterov=1; f32[7] f32[7] f32[7] i64{0} f32{0.1} bool{1} | momentum=0.9 dampening=0.5 weight_decay=0.01; "
            "f32[2] f32[2] f32[2] i64{3} f32{0.1} bool{0} | momentum=0.9" },
    { .name = "AdamUpdate",
        .doc = "a step of Adam, of (param, grad, moments m and v, steps done, lr, finite, largest v)",
        .min_in = 6,
        .max_in = 8,
        .min_out = 3,
        .max_out = 4,
        .flags = OP_OWN | OP_INPLACE | OP_FLAT | OP_TRAINING_ONLY,
        .attrs = adam_attrs,
        .infer = adam_infer,
        .run = adam_run,
        .samples =
            "f32[3,4] f32[3,4] f32[3,4] f32+[3,4] i64{0} f32{0.1}; f32[7] f32[7] f32[7] f32+[7] i64{9} f32{0.1} "
            "bool{1} | weight_decay=0.1; f32[7] f32[7] f32[7] f32+[7] i64{9} f32{0.1} bool{1} | weight_decay=0.1 "
            "decoupled=1; f32[7] f32[7] f32[7] f32+[7] i64{2} f32{0.1} - f32+[7] | amsgrad=1" },
    { 0 },
};
