/* pool_core.c - windows resolved to lists of positions, and the loops over them. */
#include "ops/pool_core.h"

#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"

static int axis_lists(struct pool_axis *a, const struct step *s, struct err *e)
{
    a->first = ARENA_ARRAY(s->scratch, a->out, int64_t);
    a->taps = ARENA_ARRAY(s->scratch, a->out, int64_t);
    a->count = ARENA_ARRAY(s->scratch, a->out, int64_t);
    return a->first && a->taps && a->count ? 0 : fail_nomem(e);
}

/* Taps k with 0 <= start + k * step < end, k in [0, kernel): how many; *first is the smallest. */
static int64_t taps_inside(int64_t start, int64_t step, int64_t kernel, int64_t end, int64_t *first)
{
    int64_t lo = start < 0 ? (-start + step - 1) / step : 0, hi = end > start ? (end - 1 - start) / step + 1 : 0;
    if (hi > kernel) hi = kernel;
    *first = start + lo * step;
    return hi > lo ? hi - lo : 0;
}

static int sliding(struct pool *p, const struct step *s, const struct shape *x, struct err *e)
{
    int64_t kernel[WINDOW_AXES], ignored;
    int spatial;
    struct window w;
    bool include = node_int(s->node, "count_include_pad") != 0;
    TRY(window_kernel(s->node, x, NULL, kernel, &spatial, e));
    TRY(window_init(&w, s->node, x, kernel, e));
    for (int d = 0; d < WINDOW_AXES; d++) {
        struct pool_axis *a = &p->axis[d];
        *a = (struct pool_axis){ .in = w.in[d], .out = w.out[d], .step = w.dilation[d] };
        TRY(axis_lists(a, s, e));
        for (int64_t o = 0; o < a->out; o++) {
            int64_t start = o * w.stride[d] - w.before[d];
            a->taps[o] = taps_inside(start, a->step, w.kernel[d], a->in, &a->first[o]);
            int64_t reach = w.before[d] + a->in + w.after[d]; /* the padded input; a window may hang out of it */
            a->count[o] = include ? taps_inside(o * w.stride[d], a->step, w.kernel[d], reach, &ignored) : a->taps[o];
        }
    }
    return 0;
}

/* PyTorch's adaptive windows: floor(o * in / out) to ceil((o + 1) * in / out). */
static int adaptive_axis(struct pool_axis *a, const struct step *s, int64_t in, int64_t out, struct err *e)
{
    *a = (struct pool_axis){ .in = in, .out = out, .step = 1 };
    TRY(axis_lists(a, s, e));
    for (int64_t o = 0; o < out; o++) {
        a->first[o] = o * in / out;
        a->taps[o] = a->count[o] = ((o + 1) * in + out - 1) / out - a->first[o];
    }
    return 0;
}

static int adaptive(struct pool *p, const struct step *s, const struct shape *x, const struct shape *y, struct err *e)
{
    bool global = shape_span(y, 2, y->rank) == 1; /* any number of axes */
    int spatial = global ? 1 : x->rank - 2;
    if (spatial > WINDOW_AXES) return fail(e, ERR_UNSUPPORTED, "more than %d spatial dimensions", WINDOW_AXES);
    for (int d = 0; d < WINDOW_AXES; d++) {
        int k = d - (WINDOW_AXES - spatial) + 2;
        int64_t in = k < 2 ? 1 : global ? shape_span(x, 2, x->rank) : x->dim[k], out = k < 2 || global ? 1 : y->dim[k];
        TRY(adaptive_axis(&p->axis[d], s, in, out, e));
    }
    return 0;
}

int pool_init(struct pool *p, const struct step *s, const struct shape *x, const struct shape *y, struct err *e)
{
    *p = (struct pool){ .planes = shape_span(x, 0, 2),
        .divisor = (double)node_int(s->node, "divisor"),
        .p = (double)node_int(s->node, "p"),
        .first_axis_fastest = node_int(s->node, "storage_order") == 1 };
    return node_has(s->node, "kernel_shape") ? sliding(p, s, x, e) : adaptive(p, s, x, y, e);
}

struct job {
    const struct pool *p;
    const double *x, *y, *dy;
    double *out; /* y or dx */
    int64_t *index;
    double lowest;
    /* one window: o is its position, at its offset in the planes of outputs */
    void (*one)(const struct job *j, int64_t plane, const int64_t *o, int64_t at);
};

static int64_t in_size(const struct pool *p)
{
    return p->axis[0].in * p->axis[1].in * p->axis[2].in;
}

static int64_t out_size(const struct pool *p)
{
    return p->axis[0].out * p->axis[1].out * p->axis[2].out;
}

/* A row of taps of a window: tap (z, y) of the first two axes. Offset in the plane of its first element. */
static int64_t row_of(const struct pool *p, const int64_t *o, int64_t z, int64_t y)
{
    const struct pool_axis *a = p->axis;
    return ((a[0].first[o[0]] + z * a[0].step) * a[1].in + a[1].first[o[1]] + y * a[1].step) * a[2].in +
        a[2].first[o[2]];
}

static void planes(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    const struct pool_axis *a = j->p->axis;
    for (int64_t plane = begin; plane < end; plane++) {
        int64_t o[WINDOW_AXES], at = plane * out_size(j->p);
        for (o[0] = 0; o[0] < a[0].out; o[0]++)
            for (o[1] = 0; o[1] < a[1].out; o[1]++)
                for (o[2] = 0; o[2] < a[2].out; o[2]++) j->one(j, plane, o, at++);
    }
}

/* Offset of the maximum in the plane, -1 when the window is empty. */
static int64_t argmax(const struct pool *p, const double *x, const int64_t *o, double *max)
{
    const struct pool_axis *a = p->axis;
    int64_t best = -1;
    for (int64_t z = 0; z < a[0].taps[o[0]]; z++)
        for (int64_t y = 0; y < a[1].taps[o[1]]; y++) {
            int64_t at = row_of(p, o, z, y);
            for (int64_t i = 0; i < a[2].taps[o[2]]; i++, at += a[2].step)
                if (best < 0 || x[at] > *max || isnan(x[at])) *max = x[best = at];
        }
    return best;
}

static void max_one(const struct job *j, int64_t plane, const int64_t *o, int64_t at)
{
    const struct pool *p = j->p;
    j->out[at] = j->lowest;
    int64_t best = argmax(p, j->x + plane * in_size(p), o, &j->out[at]);
    if (!j->index) return;
    if (p->first_axis_fastest && best >= 0) {
        int64_t w = p->axis[2].in, h = p->axis[1].in, d = p->axis[0].in;
        best = best / (h * w) + best / w % h * d + best % w * d * h;
    }
    j->index[at] = best < 0 ? -1 : plane * in_size(p) + best;
}

static void max_grad_one(const struct job *j, int64_t plane, const int64_t *o, int64_t at)
{
    double max;
    int64_t best = argmax(j->p, j->x + plane * in_size(j->p), o, &max);
    if (best >= 0) j->out[plane * in_size(j->p) + best] += j->dy[at];
}

static double divisor(const struct pool *p, const int64_t *o)
{
    if (p->divisor) return p->divisor;
    return (double)(p->axis[0].count[o[0]] * p->axis[1].count[o[1]] * p->axis[2].count[o[2]]);
}

static void average_one(const struct job *j, int64_t plane, const int64_t *o, int64_t at)
{
    const struct pool_axis *a = j->p->axis;
    const double *x = j->x + plane * in_size(j->p);
    double sum = 0, by = divisor(j->p, o);
    for (int64_t z = 0; z < a[0].taps[o[0]]; z++)
        for (int64_t y = 0; y < a[1].taps[o[1]]; y++) {
            const double *row = x + row_of(j->p, o, z, y);
            for (int64_t i = 0; i < a[2].taps[o[2]]; i++) sum += row[i * a[2].step];
        }
    j->out[at] = by ? sum / by : 0;
}

static void average_grad_one(const struct job *j, int64_t plane, const int64_t *o, int64_t at)
{
    const struct pool_axis *a = j->p->axis;
    double *dx = j->out + plane * in_size(j->p), by = divisor(j->p, o), share = by ? j->dy[at] / by : 0;
    for (int64_t z = 0; z < a[0].taps[o[0]]; z++)
        for (int64_t y = 0; y < a[1].taps[o[1]]; y++) {
            double *row = dx + row_of(j->p, o, z, y);
            for (int64_t i = 0; i < a[2].taps[o[2]]; i++) row[i * a[2].step] += share;
        }
}

static void norm_one(const struct job *j, int64_t plane, const int64_t *o, int64_t at)
{
    const struct pool_axis *a = j->p->axis;
    const double *x = j->x + plane * in_size(j->p);
    double sum = 0;
    for (int64_t z = 0; z < a[0].taps[o[0]]; z++)
        for (int64_t y = 0; y < a[1].taps[o[1]]; y++) {
            const double *row = x + row_of(j->p, o, z, y);
            for (int64_t i = 0; i < a[2].taps[o[2]]; i++) sum += pow(fabs(row[i * a[2].step]), j->p->p);
        }
    j->out[at] = pow(sum, 1 / j->p->p);
}

/* dx += dy * sign(x) * (|x| / y)^(p - 1) */
static void norm_grad_one(const struct job *j, int64_t plane, const int64_t *o, int64_t at)
{
    const struct pool_axis *a = j->p->axis;
    int64_t base = plane * in_size(j->p);
    if (!j->y[at]) return;
    for (int64_t z = 0; z < a[0].taps[o[0]]; z++)
        for (int64_t y = 0; y < a[1].taps[o[1]]; y++) {
            int64_t k = base + row_of(j->p, o, z, y);
            for (int64_t i = 0; i < a[2].taps[o[2]]; i++, k += a[2].step)
                j->out[k] += j->dy[at] * copysign(pow(fabs(j->x[k]) / j->y[at], j->p->p - 1), j->x[k]);
        }
}

static void each_plane(const struct job *j, int threads)
{
    team_run(threads, j->p->planes, 1, planes, (void *)(uintptr_t)j);
}

void pool_max(const struct pool *p, const double *x, double *y, int64_t *index, double lowest, int threads)
{
    each_plane(&(struct job){ .p = p, .x = x, .out = y, .index = index, .lowest = lowest, .one = max_one }, threads);
}

void pool_average(const struct pool *p, const double *x, double *y, int threads)
{
    each_plane(&(struct job){ .p = p, .x = x, .out = y, .one = average_one }, threads);
}

void pool_norm(const struct pool *p, const double *x, double *y, int threads)
{
    each_plane(&(struct job){ .p = p, .x = x, .out = y, .one = norm_one }, threads);
}

void pool_max_grad(const struct pool *p, const double *dy, const double *x, double *dx, int threads)
{
    each_plane(&(struct job){ .p = p, .dy = dy, .x = x, .out = dx, .one = max_grad_one }, threads);
}

void pool_average_grad(const struct pool *p, const double *dy, double *dx, int threads)
{
    each_plane(&(struct job){ .p = p, .dy = dy, .out = dx, .one = average_grad_one }, threads);
}

void pool_norm_grad(const struct pool *p, const double *dy, const double *x, const double *y, double *dx, int threads)
{
    each_plane(&(struct job){ .p = p, .dy = dy, .x = x, .y = y, .out = dx, .one = norm_grad_one }, threads);
}
