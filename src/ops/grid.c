/* grid.c - positions of grids as taps, with PyTorch's rules for padding and for gradients at its edges. */
#include "ops/grid.h"

#include <math.h>

/* Mirrors x into [low, high], given doubled as PyTorch has them; *sign is the slope of that. */
static double reflect(double x, double low2, double high2, double *sign)
{
    double low = low2 / 2, span = (high2 - low2) / 2;
    *sign = 1;
    if (span <= 0) return *sign = 0, 0;
    double away = x - low;
    if (away < 0) {
        away = -away;
        *sign = -1;
    }
    double flips = floor(away / span), rest = away - flips * span;
    if (fmod(flips, 2) == 0) return rest + low;
    *sign = -*sign;
    return span - rest + low;
}

static double clip(double x, int64_t size, double *slope)
{
    double last = (double)size - 1;
    if (x > 0 && x < last) return x;
    *slope = 0;
    return x > 0 ? last : 0;
}

/* The position that the padding makes of x. */
static double padded(const struct grid_rule *r, double x, int64_t size, double *slope)
{
    double sign = 1;
    *slope = 1;
    if (r->padding == GRID_ZEROS) return x;
    if (r->padding == GRID_REFLECTION) {
        double edge = 2 * (double)size;
        x = r->align_corners ? reflect(x, 0, edge - 2, &sign) : reflect(x, -1, edge - 1, &sign);
    }
    *slope = sign;
    return clip(x, size, slope);
}

static int64_t inside(double x, int64_t size)
{
    return x >= 0 && x <= (double)size - 1 ? (int64_t)x : -1;
}

/* Keys' cubic with a = -0.75 at distance d, and its derivative by d */
static double cubic(double d, double *slope)
{
    const double a = -0.75;
    if (d <= 1) {
        *slope = (3 * (a + 2) * d - 2 * (a + 3)) * d;
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    }
    *slope = (3 * a * d - 10 * a) * d + 8 * a;
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

static void cubic_taps(struct grid_axis *a, const struct grid_rule *r, double x, int64_t size, double unit)
{
    double first = floor(x) - 1, ignored, slope;
    a->taps = 4;
    for (int k = 0; k < 4; k++) {
        double at = first + k;
        a->weight[k] = cubic(fabs(x - at), &slope);
        a->slope[k] = slope * (x < at ? -unit : unit);
        a->index[k] = inside(padded(r, at, size, &ignored), size);
    }
}

void grid_axis_init(struct grid_axis *a, const struct grid_rule *r, double at, int64_t size)
{
    double unit = (r->align_corners ? (double)size - 1 : (double)size) / 2, slope;
    double x = r->align_corners ? (at + 1) * unit : (at + 1) * unit - 0.5;
    if (!isfinite(x)) x = -100; /* as PyTorch does with what has no position */
    if (r->mode == GRID_CUBIC) {
        cubic_taps(a, r, x, size, unit);
        return;
    }
    x = padded(r, x, size, &slope);
    if (r->mode == GRID_NEAREST) {
        *a = (struct grid_axis){ .taps = 1, .weight = { 1 }, .index = { inside(rint(x), size) } };
        return;
    }
    double low = floor(x);
    *a = (struct grid_axis){ .taps = 2,
        .index = { inside(low, size), inside(low + 1, size) },
        .weight = { low + 1 - x, x - low },
        .slope = { -slope * unit, slope * unit } };
}
