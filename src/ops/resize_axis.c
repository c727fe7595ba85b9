/* resize_axis.c - weights of resampling, by the formulas of ONNX's Resize, and their application. */
#include "ops/resize_axis.h"

#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"

/* Where output position o lies in the input. */
static double coordinate(const struct resize_axis *a, int rule, int64_t o)
{
    double x = (double)o, in = (double)a->in, out = (double)a->out, middle = (x + 0.5) / a->scale - 0.5;
    switch (rule) {
    case COORDINATE_PYTORCH_HALF_PIXEL: return a->out > 1 ? middle : 0;
    case COORDINATE_ALIGN_CORNERS: return a->out > 1 ? x * (in - 1) / (out - 1) : 0;
    case COORDINATE_ASYMMETRIC: return x / a->scale;
    case COORDINATE_TF_HALF_PIXEL_FOR_NN: return (x + 0.5) / a->scale;
    case COORDINATE_HALF_PIXEL_SYMMETRIC: return in / 2 * (1 - out / (a->scale * in)) + middle;
    case COORDINATE_TF_CROP_AND_RESIZE:
        if (a->out == 1) return 0.5 * (a->roi_start + a->roi_end) * (in - 1);
        return a->roi_start * (in - 1) + x * (a->roi_end - a->roi_start) * (in - 1) / (out - 1);
    default: return middle;
    }
}

/* To float first, as the frameworks compute: a scale of 1.2f must not miss an integer by a hair. */
static double nearest(double at, int rule)
{
    double x = (double)(float)at;
    if (rule == NEAREST_ROUND_PREFER_FLOOR) return ceil(x - 0.5);
    if (rule == NEAREST_ROUND_PREFER_CEIL) return floor(x + 0.5);
    return rule == NEAREST_FLOOR ? floor(x) : ceil(x);
}

static double triangle(double d)
{
    return d < 1 ? 1 - d : 0;
}

/* Keys, "Cubic convolution interpolation", 1981; d >= 0 */
static double keys(double d, double a)
{
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* Half the width of the filter, in input positions; `shrink` <= 1 stretches it against aliasing. */
static double shrink_of(const struct resize_axis *a, const struct resize_rule *r)
{
    return r->antialias && a->scale < 1 ? a->scale : 1;
}

static int64_t taps_of(const struct resize_axis *a, const struct resize_rule *r)
{
    if (r->mode == RESIZE_NEAREST) return 1;
    double wide = 2 * ceil((r->mode == RESIZE_CUBIC ? 2 : 1) / shrink_of(a, r));
    return wide > 1e9 ? INT64_MAX / 64 : (int64_t)wide;
}

static int64_t clamp(double at, int64_t in)
{
    return at > 0 ? at < (double)in - 1 ? (int64_t)at : in - 1 : 0;
}

static void fill_filter(
    const struct resize_axis *a, const struct resize_rule *r, double x, int64_t *index, double *weight)
{
    double shrink = shrink_of(a, r), sum = 0, first = floor(x) - (double)(a->taps / 2 - 1);
    for (int64_t k = 0; k < a->taps; k++) {
        double at = first + (double)k, d = fabs(at - x) * shrink;
        bool dropped = r->exclude_outside && (at < 0 || at > (double)a->in - 1);
        weight[k] = dropped ? 0 : r->mode == RESIZE_CUBIC ? keys(d, r->cubic_a) : triangle(d);
        index[k] = clamp(at, a->in);
        sum += weight[k];
    }
    for (int64_t k = 0; k < a->taps && sum != 0; k++) weight[k] /= sum;
}

int resize_axis_init(struct resize_axis *a, const struct resize_rule *r, struct arena *scratch, struct err *e)
{
    a->taps = taps_of(a, r);
    int64_t total;
    if (__builtin_mul_overflow(a->taps, a->out, &total)) return fail_nomem(e);
    a->index = ARENA_ARRAY(scratch, total, int64_t);
    a->weight = ARENA_ARRAY(scratch, total, double);
    bool crop = r->coordinate == COORDINATE_TF_CROP_AND_RESIZE;
    a->outside = crop ? ARENA_ARRAY(scratch, a->out, bool) : NULL;
    if (!a->index || !a->weight || (crop && !a->outside)) return fail_nomem(e);
    a->identity = a->in == a->out;
    for (int64_t o = 0; o < a->out; o++) {
        double x = coordinate(a, r->coordinate, o), *weight = &a->weight[o * a->taps];
        int64_t *index = &a->index[o * a->taps];
        if (crop) a->outside[o] = x < 0 || x > (double)a->in - 1;
        if (r->mode != RESIZE_NEAREST) fill_filter(a, r, x, index, weight);
        else *weight = 1, *index = clamp(nearest(x, r->nearest), a->in);
        for (int64_t k = 0; k < a->taps; k++) a->identity &= weight[k] == 0 || (weight[k] == 1 && index[k] == o);
    }
    return 0;
}

struct job {
    const struct resize_axis *a;
    int64_t inner;
    const double *from;
    double *to;
};

static void apply_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    const struct resize_axis *a = j->a;
    for (int64_t t = begin; t < end; t++) {
        const double *x = j->from + t / a->out * a->in * j->inner;
        double *y = j->to + t * j->inner;
        for (int64_t k = t % a->out * a->taps, last = k + a->taps; k < last; k++) {
            double w = a->weight[k];
            const double *row = x + a->index[k] * j->inner;
            for (int64_t i = 0; w != 0 && i < j->inner; i++) y[i] += w * row[i];
        }
    }
}

void resize_axis_apply(
    const struct resize_axis *a, int64_t outer, int64_t inner, const double *x, double *y, int threads)
{
    team_run(threads, outer * a->out, 1 + 1024 / (inner + 1), apply_rows, &(struct job){ a, inner, x, y });
}

static void transpose_planes(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    const struct resize_axis *a = j->a;
    for (int64_t t = begin * a->out; t < end * a->out; t++) {
        double *dx = j->to + t / a->out * a->in * j->inner;
        const double *dy = j->from + t * j->inner;
        for (int64_t k = t % a->out * a->taps, last = k + a->taps; k < last; k++) {
            double *row = dx + a->index[k] * j->inner;
            for (int64_t i = 0; i < j->inner; i++) row[i] += a->weight[k] * dy[i];
        }
    }
}

void resize_axis_transpose(
    const struct resize_axis *a, int64_t outer, int64_t inner, const double *dy, double *dx, int threads)
{
    team_run(threads, outer, 1, transpose_planes, &(struct job){ a, inner, dy, dx });
}
