/* maps.c - element-wise functions of one float32 tensor and their gradients, in whatever layout it has, by vectors. */
#include "backend/cpu/maps.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/form.h"
#include "backend/cpu/functions.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/operand.h"
#include "ops/unary.h"

enum { GRAIN = 1 << 14, BLOCK = 256 };

/* exp(x) of x below 0, down to 0 */
INLINE float vanishing_exp(float x)
{
    return x < -87 ? 0 : fast_exp(x);
}

INLINE float gauss(float x)
{
    return vanishing_exp(-(x * x));
}

/* With w = e^x (e^x + 2), tanh(softplus(x)) is w / (w + 2), and 1 less its square 4 (w + 1) / (w + 2)^2. Past 20 the
 * slope is 1 to the last place. */
INLINE float mish_slope(float x)
{
    float e = fast_exp(x > 20 ? 20 : x), w = e * (e + 2), u = 1 / (w + 2), sigmoid = e / (e + 1);
    float slope = w * u + x * (4 * (w + 1) * (u * u)) * sigmoid;
    return x > 20 ? 1 : slope;
}

/* Of x, or of (dy, x); y may be the first of them. */
typedef void span_fn(const float *first, const float *second, float *y, int64_t n, const float *p);

/* Parameters are copied, because compilers do not read memory that only one side of a choice needs. */
#define VALUE(name, expr) \
    CLONES static void name##_span(const float *first, const float *second, float *y, int64_t n, const float *given) \
    { \
        const float p[] = { given[0], given[1] }; \
        (void)second, (void)p; \
        INDEPENDENT for (int64_t i = 0; i < n; i++) \
        { \
            float x = first[i]; \
            y[i] = expr; \
        } \
    }
/* Slopes first, in a row of their own: else gcc multiplies by what the expression is at its clamps, for lanes that do
 * not need it, and products of the smallest numbers take processors a hundred cycles. */
#define SLOPE(name, expr) \
    CLONES static void name##_span(const float *first, const float *second, float *y, int64_t n, const float *given) \
    { \
        const float p[] = { given[0], given[1] }; \
        float slope[BLOCK]; \
        (void)p; \
        for (int64_t at = 0; at < n; at += BLOCK) { \
            int64_t some = n - at < BLOCK ? n - at : BLOCK; \
            for (int64_t i = 0; i < some; i++) { \
                float x = second[at + i]; \
                slope[i] = expr; \
            } \
            INDEPENDENT for (int64_t i = 0; i < some; i++) y[at + i] = first[at + i] * slope[i]; \
        } \
    }
MAP_LIST(VALUE, SLOPE)

static const struct function {
    const char *op;
    span_fn *span;
} maps[] = {
#define ROW(name, expr) { #name, name##_span },
    MAP_LIST(ROW, ROW)
};

static double minus_sin(double x)
{
    return -sin(x);
}

/* What the C library gives beyond SIN_LIMIT. */
static const struct wave {
    const char *op;
    double (*exact)(double);
    bool is_slope;
} waves[] = { { "Sin", sin, false }, { "Cos", cos, false }, { "SinGrad", cos, true }, { "CosGrad", minus_sin, true } };

struct job {
    const struct function *function;
    const struct wave *wave; /* NULL: none of them */
    const float *first, *second;
    float *y, p[UNARY_PARAMETERS];
};

static void span(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    j->function->span(j->first + begin, j->second ? j->second + begin : NULL, j->y + begin, end - begin, j->p);
}

/* A block at a time, kept because the result may be written over it. */
static void wave_span(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t at = begin; at < end; at += BLOCK) {
        float first[BLOCK], *y = j->y + at;
        int64_t n = end - at < BLOCK ? end - at : BLOCK;
        memcpy(first, j->first + at, (size_t)n * sizeof *first);
        const float *second = j->second ? j->second + at : NULL, *x = j->wave->is_slope ? second : first;
        j->function->span(first, second, y, n, j->p);
        for (int64_t i = 0; i < n; i++)
            if (!(fabsf(x[i]) <= SIN_LIMIT))
                y[i] = (float)((j->wave->is_slope ? (double)first[i] : 1) * j->wave->exact((double)x[i]));
    }
}

/* All of them as the last that has a layout: x, of a gradient. */
static int keep_layout(struct step *s, int n)
{
    int i = n > 1 && s->in[1]->layout ? 1 : 0;
    const struct layout *l = form_keep(s, i);
    for (int k = 0; k < n; k++) s->want_in[k] = l;
    s->want_out[0] = l;
    return 0;
}

int map_prepare(struct step *s, struct err *e)
{
    return keep_layout(s, s->node->n_in);
}

int map_run(const struct step *s, struct err *e)
{
    double p[UNARY_PARAMETERS] = { 0 };
    struct job j = { .first = s->in[0]->data, .y = s->out[0]->data };
    if (s->node->n_in > 1) j.second = s->in[1]->data;
    (void)e;
    unary_parameters(s->node, p);
    for (int i = 0; i < UNARY_PARAMETERS; i++) j.p[i] = (float)p[i];
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        if (!strcmp(maps[i].op, s->node->op->name)) j.function = &maps[i];
    for (size_t i = 0; i < sizeof waves / sizeof *waves; i++)
        if (!strcmp(waves[i].op, s->node->op->name)) j.wave = &waves[i];
    team_run(s->threads, tensor_count(s->in[0]), GRAIN, j.wave ? wave_span : span, &j);
    return 0;
}

/* --- ClipGrad: dy, x, low, high; bounds are tensors of one number each, or absent --- */

CLONES static void clip_span(const float *dy, const float *xs, float *y, int64_t n, const float *p)
{
    INDEPENDENT for (int64_t i = 0; i < n; i++)
    {
        float x = xs[i], low = p[0], high = p[1];
        y[i] = ((x < low) | (x > high)) ? 0 : dy[i];
    }
}

int clip_grad_map_prepare(struct step *s, struct err *e)
{
    return keep_layout(s, 2);
}

int clip_grad_map_run(const struct step *s, struct err *e)
{
    static const struct function clip = { "ClipGrad", clip_span };
    struct job j = { &clip, NULL, s->in[0]->data, s->in[1]->data, s->out[0]->data, { -INFINITY, INFINITY } };
    (void)e;
    for (int k = 0; k < 2; k++)
        if (step_in(s, 2 + k)) j.p[k] = *(const float *)s->in[2 + k]->data;
    team_run(s->threads, tensor_count(s->in[0]), GRAIN, span, &j);
    return 0;
}
