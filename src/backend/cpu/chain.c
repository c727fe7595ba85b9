/* chain.c - FusedElementwise: blocks of all operands go through all steps while they lie in the cache. */
#include <math.h>
#include <string.h>

#include "backend/cpu/form.h"
#include "backend/cpu/functions.h"
#include "backend/cpu/maps.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/team.h"
#include "ops/chain.h"

enum { GRAIN = 1 << 13, BLOCK = 512 };

INLINE float whole_exp(float x)
{
    float y = x < -87 ? 0 : fast_exp(x);
    return x > 88.72284f ? __builtin_inff() : y;
}

/* With w = e^x (e^x + 2), tanh(softplus(x)) is w / (w + 2). */
INLINE float fast_mish(float x)
{
    float e = fast_exp(x > 20 ? 20 : x), w = e * (e + 2), y = x * (w / (w + 2));
    return x > 20 ? x : y;
}

/* Beside those of maps.h: what oneDNN does where it stands alone. */
#define FURTHER_LIST(ONE, TWO, THREE) \
    ONE(Abs, fabsf(x)) \
    ONE(Neg, -x) \
    ONE(Sqrt, sqrtf(x)) \
    ONE(Exp, whole_exp(x)) \
    ONE(Round, rintf(x)) \
    ONE(Relu, x < 0 ? 0 : x) \
    ONE(LeakyRelu, x < 0 ? p[0] * x : x) \
    ONE(Elu, x < 0 ? p[0] * fast_expm1(x) : x) \
    ONE(Sigmoid, fast_sigmoid(x)) \
    ONE(Tanh, fast_tanh(x)) \
    ONE(HardSwish, x * clamp(x / 6 + 0.5f, 0, 1)) \
    ONE(Softplus, fast_softplus(x)) \
    ONE(Mish, fast_mish(x)) \
    ONE(Swish, x * fast_sigmoid(p[0] * x)) \
    TWO(Add, x + z) \
    TWO(Sub, x - z) \
    TWO(Mul, x * z) \
    TWO(Div, x / z) \
    TWO(Max, x > z || x != x ? x : z) \
    TWO(Min, x < z || x != x ? x : z) \
    THREE(Clip, clamp(x, z, w))

typedef void step_fn(const float *const *in, float *y, int64_t n, const float *given);

/* Parameters are copied, because compilers do not read memory that only one side of a choice needs. */
#define STEP(name, expr, read_z, read_w) \
    CLONES static void name##_step(const float *const *in, float *y, int64_t n, const float *given) \
    { \
        const float p[] = { given[0], given[1] }; \
        const float *xs = in[0], *zs = in[1], *ws = in[2]; \
        (void)p, (void)zs, (void)ws; \
        INDEPENDENT for (int64_t i = 0; i < n; i++) \
        { \
            float x = xs[i], z = read_z, w = read_w; \
            (void)z, (void)w; \
            y[i] = expr; \
        } \
    }
#define ONE(name, expr) STEP(name, expr, 0, 0)
#define TWO(name, expr) STEP(name, expr, zs[i], 0)
#define THREE(name, expr) STEP(name, expr, zs[i], ws[i])
#define NO_SLOPE(name, expr)
MAP_LIST(ONE, NO_SLOPE)
FURTHER_LIST(ONE, TWO, THREE)

static const struct function {
    const char *op;
    step_fn *run;
} functions[] = {
#define ROW(name, expr) { #name, name##_step },
    MAP_LIST(ROW, NO_SLOPE)
    FURTHER_LIST(ROW, ROW, ROW)
};

static step_fn *function_of(const char *op)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcmp(functions[i].op, op)) return functions[i].run;
    return NULL;
}

/* What the step's priv is. */
struct program {
    struct chain chain;
    step_fn *run[CHAIN_STEPS];
    float parameter[CHAIN_STEPS][CHAIN_PARAMETERS];
    bool still[CHAIN_INPUTS]; /* one number for all elements */
};

bool chain_accepts(const struct step *s, struct str *why)
{
    for (int i = 0; i < s->node->n_in; i++) {
        const struct tensor *t = s->in[i];
        bool fits = tensor_count(t) == 1 || shape_equal(&t->shape, &s->out[0]->shape);
        if (t->dtype == DT_F32 && fits) continue;
        if (why) str_add(why, t->dtype == DT_F32 ? "an operand is broadcast" : "not float32");
        return false;
    }
    return true;
}

/* All operands as the first that has a layout. */
int chain_prepare(struct step *s, struct err *e)
{
    struct program *p = ARENA_NEW(s->arena, struct program);
    int first = -1, laid = -1;
    TRY_MEM(s->priv = p, e);
    TRY(chain_read(&p->chain, s->node, e));
    for (int i = 0; i < p->chain.n; i++) {
        const struct chain_step *step = &p->chain.steps[i];
        if (!(p->run[i] = function_of(step->op->name))) return fail(e, ERR_UNSUPPORTED, "%s", step->op->name);
        for (int k = 0; k < CHAIN_PARAMETERS; k++) p->parameter[i][k] = (float)step->parameter[k];
    }
    for (int i = 0; i < s->node->n_in; i++) {
        p->still[i] = !shape_equal(&s->in[i]->shape, &s->out[0]->shape);
        if (p->still[i]) continue;
        if (first < 0) first = i;
        if (laid < 0 && s->in[i]->layout) laid = i;
    }
    if (first < 0) return fail(e, ERR_UNSUPPORTED, "every operand is one number");
    const struct layout *l = form_keep(s, laid < 0 ? first : laid);
    for (int i = 0; i < s->node->n_in; i++)
        if (!p->still[i]) s->want_in[i] = l;
    s->want_out[0] = l;
    return 0;
}

static void fill(float *to, float x)
{
    for (int i = 0; i < BLOCK; i++) to[i] = x;
}

static void span(void *ctx, int64_t begin, int64_t end)
{
    const struct step *s = ctx;
    const struct program *p = s->priv;
    float still[CHAIN_INPUTS][BLOCK], made[CHAIN_STEPS][BLOCK];
    const float *in[CHAIN_INPUTS], *from[CHAIN_OPERANDS] = { NULL };
    for (int i = 0; i < s->node->n_in; i++)
        if (p->still[i]) fill(still[i], *(const float *)s->in[i]->data);
    for (int64_t at = begin; at < end; at += BLOCK) {
        int64_t n = end - at < BLOCK ? end - at : BLOCK;
        for (int i = 0; i < s->node->n_in; i++) in[i] = p->still[i] ? still[i] : (const float *)s->in[i]->data + at;
        for (int i = 0; i < p->chain.n; i++) {
            const struct chain_step *step = &p->chain.steps[i];
            float *to = i < p->chain.n - 1 ? made[i] : (float *)s->out[0]->data + at;
            for (int k = 0; k < step->n; k++) {
                int operand = step->operand[k];
                from[k] = operand < 0 ? made[-1 - operand] : in[operand];
            }
            p->run[i](from, to, n, p->parameter[i]);
        }
    }
}

int chain_run(const struct step *s, struct err *e)
{
    (void)e;
    team_run(s->threads, tensor_count(s->out[0]), GRAIN, span, (void *)(uintptr_t)s);
    return 0;
}
