/* fourier.c - Fourier transforms: each even length is split in two (Cooley and Tukey 1965), the odd rest summed. */
#include "ops/fourier.h"

#include <math.h>

#include "base/arena.h"
#include "base/err.h"

int fourier_init(struct fourier *f, int64_t n, bool inverse, struct arena *a, struct err *e)
{
    *f = (struct fourier){ n, ARENA_ARRAY(a, 2 * n, double) };
    TRY_MEM(f->turn, e);
    for (int64_t k = 0; k < n; k++) {
        double at = 2 * M_PI * (double)k / (double)n;
        f->turn[2 * k] = cos(at);
        f->turn[2 * k + 1] = inverse ? sin(at) : -sin(at);
    }
    return 0;
}

/* `every`: n / len, the step through the table of turns. */
static void direct(const struct fourier *f, int64_t len, int64_t every, const double *x, double *y)
{
    for (int64_t k = 0; k < len; k++) {
        double re = 0, im = 0;
        for (int64_t i = 0; i < len; i++) {
            const double *turn = &f->turn[2 * (i * k % len * every)];
            re += x[2 * i] * turn[0] - x[2 * i + 1] * turn[1];
            im += x[2 * i] * turn[1] + x[2 * i + 1] * turn[0];
        }
        y[2 * k] = re;
        y[2 * k + 1] = im;
    }
}

/* x (len) to y (len); x is overwritten. */
static void transform(const struct fourier *f, int64_t len, int64_t every, double *x, double *y)
{
    if (len % 2) {
        direct(f, len, every, x, y);
        return;
    }
    int64_t half = len / 2;
    for (int64_t i = 0; i < half; i++)
        for (int p = 0; p < 2; p++) {
            y[2 * i + p] = x[4 * i + p];
            y[2 * (half + i) + p] = x[4 * i + 2 + p];
        }
    transform(f, half, 2 * every, y, x);
    transform(f, half, 2 * every, y + 2 * half, x + 2 * half);
    for (int64_t k = 0; k < half; k++) {
        const double *turn = &f->turn[2 * (k * every)], *a = &x[2 * k], *b = &x[2 * (half + k)];
        double re = b[0] * turn[0] - b[1] * turn[1], im = b[0] * turn[1] + b[1] * turn[0];
        y[2 * k] = a[0] + re;
        y[2 * k + 1] = a[1] + im;
        y[2 * (half + k)] = a[0] - re;
        y[2 * (half + k) + 1] = a[1] - im;
    }
}

void fourier_apply(const struct fourier *f, double *x, double *y)
{
    transform(f, f->n, 1, x, y);
}
