/* plane_pool.c - maxima and means over windows of row-major images: along rows first, then across them. */
#include <math.h>
#include <string.h>

#include "backend/cpu/planes.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/pool_core.h"

/* to[i] = a[i] with b[i], n of them; `to` may be a. */
typedef void join_fn(const float *a, const float *b, float *to, int64_t n);

#define JOIN(name, expression) \
    CLONES static void name(const float *as, const float *bs, float *to, int64_t n) \
    { \
        INDEPENDENT for (int64_t i = 0; i < n; i++) \
        { \
            float a = as[i], b = bs[i]; \
            to[i] = expression; \
        } \
    }
JOIN(larger, ((b > a) | (b != b)) ? b : a)
JOIN(sum, a + b)
JOIN(share, a / b)

struct plane_pool {
    struct planes p;
    join_fn *join;
    int64_t planes;
    int64_t *rows; /* of means: what each row of results counts for; NULL: of maxima */
    float *counts; /* (rows of results, columns of them): the same where rows count for `rows` */
    size_t floats; /* of work a thread: a strip, and its rows of results along x */
};

struct job {
    const struct plane_pool *k;
    const float *x;
    float *y, *work;
    int64_t tasks, parts;
};

static void run_strip(const struct plane_pool *k, const float *x, float *y, int64_t strip, float *work)
{
    const struct window *w = &k->p.w;
    int64_t n = w->out[2], rows = planes_rows(&k->p, strip), row = k->p.phase * w->stride[2];
    int64_t seen = (rows - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
    float *lines = work + k->p.floats;
    planes_fill(&k->p, x, strip, work);
    for (int64_t r = 0; r < seen; r++) {
        const float *from = work + r * row;
        float *to = lines + r * n;
        if (w->kernel[2] == 1) memcpy(to, from, (size_t)n * sizeof *to);
        for (int64_t t = 1; t < w->kernel[2]; t++)
            k->join(t > 1 ? to : from, from + planes_tap(&k->p, 0, t), to, n);
    }
    for (int64_t r = 0; r < rows; r++) {
        const float *from = lines + r * w->stride[1] * n;
        float *to = y + (strip * k->p.rows + r) * n;
        if (w->kernel[1] == 1) memcpy(to, from, (size_t)n * sizeof *to);
        for (int64_t t = 1; t < w->kernel[1]; t++)
            k->join(t > 1 ? to : from, from + t * w->dilation[1] * n, to, n);
        if (k->counts) share(to, k->counts + k->rows[strip * k->p.rows + r] * n, to, n);
    }
}

static void run_parts(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    const struct plane_pool *k = j->k;
    const struct window *w = &k->p.w;
    for (int64_t part = begin; part < end; part++)
        for (int64_t t = j->tasks * part / j->parts; t < j->tasks * (part + 1) / j->parts; t++) {
            int64_t plane = t / k->p.strips;
            run_strip(k, j->x + plane * w->in[1] * w->in[2], j->y + plane * w->out[1] * w->out[2], t % k->p.strips,
                j->work + part * (int64_t)k->floats);
        }
}

/* What a mean is divided by: a row of counts for each number that rows count for. */
static int count(struct plane_pool *k, const struct step *s, const struct pool *pool, struct err *e)
{
    const struct pool_axis *y = &pool->axis[1], *x = &pool->axis[2];
    int64_t most = k->p.w.kernel[1] + 1;
    k->rows = ARENA_ARRAY(s->arena, y->out, int64_t);
    k->counts = ARENA_ARRAY(s->arena, most * x->out, float);
    if (!k->rows || !k->counts) return fail_nomem(e);
    for (int64_t o = 0; o < y->out; o++) k->rows[o] = y->count[o];
    for (int64_t r = 0; r < most; r++)
        for (int64_t o = 0; o < x->out; o++) k->counts[r * x->out + o] = (float)(r * x->count[o]);
    return 0;
}

/* Every window sees something of the image. */
static int see(const struct pool *pool, struct err *e)
{
    for (int a = 0; a < WINDOW_AXES; a++)
        for (int64_t o = 0; o < pool->axis[a].out; o++)
            if (!pool->axis[a].taps[o]) return fail(e, ERR_UNSUPPORTED, "windows without an input");
    return 0;
}

int plane_pool_prepare(struct step *s, struct err *e)
{
    bool mean = node_is(s->node, "AveragePool");
    const struct shape *x = &s->in[0]->shape;
    int64_t kernel[WINDOW_AXES];
    int spatial;
    struct window w;
    struct pool pool;
    struct plane_pool *k = ARENA_NEW(s->arena, struct plane_pool);
    TRY_MEM(k, e);
    if (s->in[0]->layout) return fail(e, ERR_UNSUPPORTED, "not row-major");
    if (s->node->n_out > 1 || !node_has(s->node, "kernel_shape") || node_int(s->node, "divisor"))
        return fail(e, ERR_UNSUPPORTED, "places, adaptive windows, or a divisor");
    TRY(window_kernel(s->node, x, NULL, kernel, &spatial, e));
    TRY(window_init(&w, s->node, x, kernel, e));
    TRY(planes_init(&k->p, &w, 1, mean ? 0 : -INFINITY, e));
    if (w.kernel[1] > 32 || w.kernel[2] > 32) return fail(e, ERR_UNSUPPORTED, "large windows");
    struct step asks = *s;
    asks.scratch = s->arena;
    TRY(pool_init(&pool, &asks, x, &s->out[0]->shape, e));
    TRY(see(&pool, e));
    k->planes = pool.planes;
    k->join = mean ? sum : larger;
    if (mean) TRY(count(k, s, &pool, e));
    k->floats = k->p.floats + (size_t)(k->p.in_rows * w.out[2]);
    s->work_bytes = k->floats * (size_t)s->threads * sizeof(float);
    s->priv = k;
    return 0;
}

int plane_pool_run(const struct step *s, struct err *e)
{
    const struct plane_pool *k = s->priv;
    struct job j = { k, s->in[0]->data, s->out[0]->data, s->work, k->planes * k->p.strips, s->threads };
    (void)e;
    team_run(s->threads, j.parts, 1, run_parts, &j);
    return 0;
}
