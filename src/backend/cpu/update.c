/* update.c - optimizers' updates of float32 parameters, one pass over memory, in the arithmetic of torch.optim.
 *
 * ops/optimizer.c has the operators, and computes the same in double.
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/operand.h"

/* Inputs of every update, then its states; outputs: the parameter, then its states. */
enum { IN_PARAM, IN_GRAD, IN_STEP, IN_LR, IN_FINITE, IN_SCALE, IN_STATES };
enum { BLOCK = 1024, GRAIN = 1 << 15, MAX_STATES = 3 };

struct update {
    int n; /* the parameter and its states */
    const float *from[1 + MAX_STATES], *grad;
    float *to[1 + MAX_STATES]; /* NULL: nobody wants it */
    bool skip, first, nesterov;
    float scale, clip, l1, decay, shrink; /* of the gradient; shrink: times the parameter before the step */
    float rate, a, b, c, d, root, epsilon;
    /* One block: g is what the penalties have made of the gradient; v[0] is the parameter, the rest its states. */
    void (*run)(const struct update *u, int64_t n, const float *g, float *const *v);
};

/* torch.optim.SGD: the buffer is the first gradient at the first step, and dampening does not apply to it. */
CLONES static void sgd(const struct update *u, int64_t n, const float *restrict g, float *const *v)
{
    float *restrict p = v[0], *restrict m = v[1], rate = u->rate, a = u->a, b = u->b;
    if (u->n > 1 && u->first) memcpy(m, g, (size_t)n * sizeof *m);
    else if (u->n > 1)
        for (int64_t i = 0; i < n; i++) m[i] = a * m[i] + b * g[i];
    if (u->nesterov)
        for (int64_t i = 0; i < n; i++) p[i] -= rate * (g[i] + a * m[i]);
    else if (u->n > 1)
        for (int64_t i = 0; i < n; i++) p[i] -= rate * m[i];
    else
        for (int64_t i = 0; i < n; i++) p[i] -= rate * g[i];
}

/* torch.optim.Adam, AdamW: p -= rate m / (root sqrt(v) + epsilon), rate = lr / (1 - beta1^t), root = 1 / sqrt(1 -
 * beta2^t). */
CLONES static void adam(const struct update *u, int64_t n, const float *restrict g, float *const *v)
{
    float *restrict p = v[0], *restrict m = v[1], *restrict squares = v[2], *restrict largest = v[3];
    float a = u->a, b = u->b, c = u->c, d = u->d, rate = u->rate, root = u->root, epsilon = u->epsilon;
    for (int64_t i = 0; i < n; i++) {
        m[i] = a * m[i] + c * g[i];
        squares[i] = b * squares[i] + d * (g[i] * g[i]);
    }
    if (u->n < 4)
        for (int64_t i = 0; i < n; i++) p[i] -= rate * (m[i] / (sqrtf(squares[i]) * root + epsilon));
    else
        for (int64_t i = 0; i < n; i++) {
            largest[i] = squares[i] > largest[i] ? squares[i] : largest[i];
            p[i] -= rate * (m[i] / (sqrtf(largest[i]) * root + epsilon));
        }
}

CLONES static void average(const struct update *u, int64_t n, const float *restrict g, float *const *v)
{
    float *restrict p = v[0], a = u->a, b = u->b;
    for (int64_t i = 0; i < n; i++) p[i] = a * p[i] + b * g[i];
}

/* The gradient scaled, clipped, and with the penalties' own added. */
CLONES static void prepare(
    const struct update *u, int64_t n, const float *restrict grad, const float *restrict p, float *restrict g)
{
    float scale = u->scale, clip = u->clip, l1 = u->l1, decay = u->decay;
    for (int64_t i = 0; i < n; i++) g[i] = grad[i] * scale;
    if (clip > 0)
        for (int64_t i = 0; i < n; i++) {
            float low = g[i] < -clip ? -clip : g[i];
            g[i] = low > clip ? clip : low;
        }
    if (l1 != 0)
        for (int64_t i = 0; i < n; i++) g[i] += l1 * (float)((p[i] > 0) - (p[i] < 0));
    if (decay != 0)
        for (int64_t i = 0; i < n; i++) g[i] += decay * p[i];
}

static void one_block(const struct update *u, int64_t at, int64_t n, bool plain)
{
    float g[BLOCK], unseen[MAX_STATES][BLOCK], *v[1 + MAX_STATES] = { NULL };
    for (int k = 0; k < u->n; k++) {
        v[k] = u->to[k] ? u->to[k] + at : unseen[k - 1];
        if (u->from[k] != u->to[k]) memcpy(v[k], u->from[k] + at, (size_t)n * sizeof *g);
    }
    if (u->skip) return;
    if (!plain) prepare(u, n, u->grad + at, v[0], g);
    for (int64_t i = 0; u->shrink != 1 && i < n; i++) v[0][i] *= u->shrink;
    u->run(u, n, plain ? u->grad + at : g, v);
}

static void span(void *ctx, int64_t begin, int64_t end)
{
    const struct update *u = ctx;
    bool plain = u->scale == 1 && u->clip <= 0 && u->l1 == 0 && u->decay == 0;
    for (int64_t i = begin; i < end; i += BLOCK) one_block(u, i, end - i < BLOCK ? end - i : BLOCK, plain);
}

bool update_accepts(const struct step *s, struct str *why)
{
    bool fits = true;
    for (int i = 0; fits && i < s->node->n_in; i++)
        fits = (i > IN_GRAD && i < IN_STATES) || (s->in[i] && s->in[i]->dtype == DT_F32);
    if (!fits && why) str_add(why, "not float32");
    return fits;
}

static double number(const struct step *s, int i, double absent)
{
    return step_in(s, i) ? tensor_get_f64(s->in[i], 0) : absent;
}

static int run(const struct step *s, struct update *u, double lr)
{
    const struct node *n = s->node;
    double decay = node_float(n, "weight_decay");
    bool decoupled = u->run == adam && node_int(n, "decoupled");
    u->n = n->n_in > IN_STATES ? 1 + n->n_in - IN_STATES : 1;
    for (int k = 0; k < u->n; k++) {
        u->from[k] = s->in[k ? IN_STATES + k - 1 : IN_PARAM]->data;
        u->to[k] = step_out(s, k) ? s->out[k]->data : NULL;
    }
    u->grad = s->in[IN_GRAD]->data;
    u->skip = step_in(s, IN_FINITE) && !tensor_get_i64(s->in[IN_FINITE], 0);
    u->scale = (float)number(s, IN_SCALE, 1);
    u->clip = (float)node_float(n, "clip");
    u->l1 = (float)node_float(n, "l1");
    u->decay = decoupled ? 0 : (float)decay;
    u->shrink = decoupled ? (float)(1 - lr * decay) : 1;
    team_run(s->threads, tensor_count(s->in[IN_PARAM]), GRAIN, span, u);
    return 0;
}

static double rate_of(const struct step *s)
{
    return number(s, IN_LR, 0) * node_float(s->node, "rate");
}

int sgd_run(const struct step *s, struct err *e)
{
    const struct node *n = s->node;
    struct update u = { .run = sgd,
        .first = !tensor_get_i64(s->in[IN_STEP], 0),
        .nesterov = node_int(n, "nesterov") && n->n_in > IN_STATES,
        .a = (float)node_float(n, "momentum"),
        .b = (float)(1 - node_float(n, "dampening")),
        .rate = (float)rate_of(s) };
    return run(s, &u, rate_of(s));
}

int adam_run(const struct step *s, struct err *e)
{
    double beta1 = node_float(s->node, "beta1"), beta2 = node_float(s->node, "beta2");
    double t = (double)tensor_get_i64(s->in[IN_STEP], 0) + 1;
    struct update u = { .run = adam,
        .a = (float)beta1,
        .b = (float)beta2,
        .c = (float)(1 - beta1),
        .d = (float)(1 - beta2),
        .rate = (float)(rate_of(s) / (1 - pow(beta1, t))),
        .root = (float)(1 / sqrt(1 - pow(beta2, t))),
        .epsilon = (float)node_float(s->node, "epsilon") };
    return run(s, &u, rate_of(s));
}

int average_run(const struct step *s, struct err *e)
{
    double keep = node_float(s->node, "decay");
    struct update u = { .run = average, .a = (float)keep, .b = (float)(1 - keep) };
    return run(s, &u, 0);
}
