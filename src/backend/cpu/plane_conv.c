/* plane_conv.c - convolutions of row-major images with few channels a group: depthwise ones, and 1x1.
 *
 * Each row of results adds its taps in their order, LANES results at a time. oneDNN turns such images over to blocks of
 * channels, and back.
 */
#include <string.h>

#include "backend/cpu/activate.h"
#include "backend/cpu/planes.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/conv_core.h"

enum { MOST_CHANNELS = 8, MOST_TAPS = 512 };

/* y[i] = bias + sum of w[t] x[offset[t] + i], for one instruction set with vectors of `width` numbers. x may be read up
 * to a multiple of 16 numbers. */
#define ROW_FUNCTION(name, target, width, vector, load, store, spread, fma) \
    target INLINE void name##_some(int many, const float *x, const int64_t *offset, const float *w, int64_t taps, \
        float bias, float *y) \
    { \
        vector sum[4]; \
        for (int v = 0; v < many; v++) sum[v] = spread(bias); \
        for (int64_t t = 0; t < taps; t++) { \
            vector by = spread(w[t]); \
            for (int v = 0; v < many; v++) sum[v] = fma(by, load(x + offset[t] + v * width), sum[v]); \
        } \
        for (int v = 0; v < many; v++) store(y + v * width, sum[v]); \
    } \
    target static void name##_row(const float *x, const int64_t *offset, const float *w, int64_t taps, float bias, \
        float *y, int64_t n) \
    { \
        int64_t i = 0; \
        for (; i + 4 * width <= n; i += 4 * width) name##_some(4, x + i, offset, w, taps, bias, y + i); \
        for (; i + 2 * width <= n; i += 2 * width) name##_some(2, x + i, offset, w, taps, bias, y + i); \
        for (; i + width <= n; i += width) name##_some(1, x + i, offset, w, taps, bias, y + i); \
        if (i == n) return; \
        float last[width]; \
        name##_some(1, x + i, offset, w, taps, bias, last); \
        memcpy(y + i, last, (size_t)(n - i) * sizeof *y); \
    }

#define LOAD_ONE(p) (*(p))
#define STORE_ONE(p, v) (*(p) = (v))
#define SPREAD_ONE(v) (v)
ROW_FUNCTION(plain, , 1, float, LOAD_ONE, STORE_ONE, SPREAD_ONE, fmaf)

#if defined __x86_64__
#include <immintrin.h>
ROW_FUNCTION(avx2, __attribute__((target("avx2,fma"))), 8, __m256, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps,
    _mm256_fmadd_ps)
ROW_FUNCTION(avx512, __attribute__((target("avx512f"))), 16, __m512, _mm512_loadu_ps, _mm512_storeu_ps,
    _mm512_set1_ps, _mm512_fmadd_ps)
#endif

typedef void row_fn(
    const float *x, const int64_t *offset, const float *w, int64_t taps, float bias, float *y, int64_t n);

static row_fn *best(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f")) return avx512_row;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2_row;
#endif
    return plain_row;
}

struct plane_conv {
    struct planes p;
    struct activation follows;
    row_fn *row;
    int64_t batch, groups, c, m, taps; /* c, m: channels of one group; taps of all c */
    int64_t *offset;                   /* of each tap in the strip */
    bool direct;                       /* 1x1: strips are read where they lie, as one row; not the last one */
    int64_t apart[MOST_CHANNELS];      /* then: of each channel in the image */
};

struct job {
    const struct plane_conv *k;
    const float *x, *w, *bias, *residual;
    float *y, *work;
    int64_t tasks, parts; /* a task: a strip of one group */
};

/* The activation and the residual, while a strip of results is near. */
CLONES static void follow(const struct activation *a, float *y, const float *residual, int64_t n)
{
    for (int64_t i = 0; residual && i < n; i++) y[i] += residual[i];
    activate(a, y, n);
}

/* The results of one output channel of a strip, from rows that lie `step` apart. */
static void run_rows(const struct job *j, const float *x, const int64_t *offset, int64_t step, int64_t channel,
    float *y, int64_t rows, int64_t n)
{
    const struct plane_conv *k = j->k;
    for (int64_t r = 0; r < rows; r++)
        k->row(x + r * step, offset, j->w + channel * k->taps, k->taps, j->bias ? j->bias[channel] : 0, y + r * n, n);
}

static void run_strip(const struct job *j, int64_t group, int64_t strip, float *work)
{
    const struct plane_conv *k = j->k;
    const struct window *w = &k->p.w;
    int64_t out = w->out[1] * w->out[2], rows = planes_rows(&k->p, strip), first = strip * k->p.rows * w->out[2];
    const float *x = j->x + group * k->c * w->in[1] * w->in[2];
    bool direct = k->direct && group * k->p.strips + strip < j->tasks - 1;
    if (!direct) planes_fill(&k->p, x, strip, work);
    for (int64_t m = 0; m < k->m; m++) {
        int64_t channel = group % k->groups * k->m + m, at = (group * k->m + m) * out + first;
        if (direct) run_rows(j, x + first, k->apart, 0, channel, j->y + at, 1, rows * w->out[2]);
        else run_rows(j, work, k->offset, planes_row(&k->p), channel, j->y + at, rows, w->out[2]);
        follow(&k->follows, j->y + at, j->residual ? j->residual + at : NULL, rows * w->out[2]);
    }
}

static void run_parts(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t part = begin; part < end; part++)
        for (int64_t t = j->tasks * part / j->parts; t < j->tasks * (part + 1) / j->parts; t++)
            run_strip(j, t / j->k->p.strips, t % j->k->p.strips, j->work + part * (int64_t)j->k->p.floats);
}

static int find_taps(struct plane_conv *k, const struct step *s, struct err *e)
{
    const struct window *w = &k->p.w;
    int64_t plane = k->p.in_rows * k->p.phase * w->stride[2], n = 0;
    k->taps = k->c * w->kernel[1] * w->kernel[2];
    if (k->taps > MOST_TAPS) return fail(e, ERR_UNSUPPORTED, "a large kernel");
    TRY_MEM(k->offset = ARENA_ARRAY(s->arena, k->taps, int64_t), e);
    for (int64_t c = 0; c < k->c; c++)
        for (int64_t y = 0; y < w->kernel[1]; y++)
            for (int64_t x = 0; x < w->kernel[2]; x++) k->offset[n++] = c * plane + planes_tap(&k->p, y, x);
    k->direct = k->taps == k->c && w->out[2] >= PLANES_LANES;
    for (int a = 1; a < WINDOW_AXES; a++) k->direct &= w->in[a] == w->out[a] && w->stride[a] == 1 && !w->before[a];
    for (int64_t c = 0; c < k->c; c++) k->apart[c] = c * w->in[1] * w->in[2];
    return 0;
}

/* in: x, weight, bias, residual */
int plane_conv_prepare(struct step *s, struct err *e)
{
    struct conv c = { 0 };
    struct shape y;
    struct plane_conv *k = ARENA_NEW(s->arena, struct plane_conv);
    TRY_MEM(k, e);
    if (s->in[0]->layout || !cpu_fuses()) return fail(e, ERR_UNSUPPORTED, "not row-major, or no fused products");
    TRY(conv_resolve(s->node, false, &s->in[0]->shape, &s->in[1]->shape, &y, &c, e));
    if (c.groups == 1 || c.c > MOST_CHANNELS || (c.c > 1 && c.window.kernel[1] * c.window.kernel[2] > 1))
        return fail(e, ERR_UNSUPPORTED, "neither depthwise nor a 1x1 of small groups");
    k->batch = c.batch, k->groups = c.groups, k->c = c.c, k->m = c.m;
    k->row = best();
    TRY(activation_of(s->node, &k->follows, e));
    TRY(planes_init(&k->p, &c.window, c.c, 0, e));
    TRY(find_taps(k, s, e));
    s->work_bytes = k->p.floats * (size_t)s->threads * sizeof(float);
    s->priv = k;
    return 0;
}

int plane_conv_run(const struct step *s, struct err *e)
{
    const struct plane_conv *k = s->priv;
    struct job j = { .k = k, .x = s->in[0]->data, .w = s->in[1]->data, .y = s->out[0]->data, .work = s->work,
        .tasks = k->batch * k->groups * k->p.strips, .parts = s->threads };
    (void)e;
    if (s->node->n_in > 2 && s->in[2]) j.bias = s->in[2]->data;
    if (s->node->n_in > 3 && s->in[3]) j.residual = s->in[3]->data;
    team_run(s->threads, j.parts, 1, run_parts, &j);
    return 0;
}
