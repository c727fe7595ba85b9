/* planes.c - strips of planes, with their padding. */
#include "backend/cpu/planes.h"

#include <string.h>

#include "base/err.h"

/* A strip stays in the second cache, and its rows that two strips share are few. */
enum { FLOATS = 1 << 14, LEAST_ROWS = 8, LEAST_WIDTH = 12 };

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int planes_init(struct planes *p, const struct window *w, int64_t count, float padding, struct err *e)
{
    *p = (struct planes){ .w = *w, .count = count, .padding = padding };
    if (w->in[0] != 1 || w->out[0] != 1 || w->kernel[0] != 1) return fail(e, ERR_UNSUPPORTED, "three axes");
    for (int a = 1; a < WINDOW_AXES; a++)
        if (w->before[a] < 0 || w->after[a] < 0) return fail(e, ERR_UNSUPPORTED, "a padding that crops");
    if (w->out[2] < LEAST_WIDTH) return fail(e, ERR_UNSUPPORTED, "short rows");
    int64_t reach = (w->kernel[1] - 1) * w->dilation[1] + 1, last = (w->kernel[2] - 1) * w->dilation[2];
    p->phase = (w->out[2] + PLANES_LANES - 1) / PLANES_LANES * PLANES_LANES + last / w->stride[2] + 1;
    if (w->stride[2] > 8 || p->phase > 1 << 16 || reach > 256 || count > 64)
        return fail(e, ERR_UNSUPPORTED, "large windows or rows");
    int64_t row = count * planes_row(p) / w->stride[1];
    p->rows = (FLOATS / row - reach) / w->stride[1] + 1;
    if (p->rows < LEAST_ROWS) p->rows = LEAST_ROWS;
    p->rows = smaller(p->rows, w->out[1]);
    p->strips = (w->out[1] + p->rows - 1) / p->rows;
    p->in_rows = (p->rows - 1) * w->stride[1] + reach;
    p->floats = (size_t)(count * p->in_rows * p->phase * w->stride[2]);
    return 0;
}

int64_t planes_row(const struct planes *p)
{
    return p->phase * p->w.stride[2] * p->w.stride[1];
}

int64_t planes_tap(const struct planes *p, int64_t y, int64_t x)
{
    int64_t at = x * p->w.dilation[2], apart = p->w.stride[2];
    return y * p->w.dilation[1] * p->phase * apart + at % apart * p->phase + at / apart;
}

int64_t planes_rows(const struct planes *p, int64_t strip)
{
    return smaller(p->rows, p->w.out[1] - strip * p->rows);
}

static void fill(float *to, int64_t n, float v)
{
    for (int64_t i = 0; i < n; i++) to[i] = v;
}

/* n of them, `apart` apart. */
CLONES static void take(float *restrict to, const float *restrict from, int64_t n, int64_t apart)
{
    if (apart == 2)
        for (int64_t i = 0; i < n; i++) to[i] = from[2 * i];
    else
        for (int64_t i = 0; i < n; i++) to[i] = from[apart * i];
}

/* A row of the input, by phases. */
static void fill_row(const struct planes *p, const float *row, float *to)
{
    int64_t apart = p->w.stride[2], before = p->w.before[2], in = p->w.in[2];
    for (int64_t k = 0; k < apart; k++, to += p->phase) {
        int64_t low = before > k ? (before - k + apart - 1) / apart : 0, high = (in + before - k + apart - 1) / apart;
        low = smaller(low, p->phase);
        high = smaller(high < low ? low : high, p->phase);
        const float *from = row + low * apart + k - before;
        fill(to, low, p->padding);
        if (apart == 1) memcpy(to + low, from, (size_t)(high - low) * sizeof *to);
        else take(to + low, from, high - low, apart);
        fill(to + high, p->phase - high, p->padding);
    }
}

void planes_fill(const struct planes *p, const float *x, int64_t strip, float *to)
{
    const struct window *w = &p->w;
    int64_t size = p->phase * w->stride[2], first = strip * p->rows * w->stride[1] - w->before[1];
    int64_t rows = p->in_rows - (p->rows - planes_rows(p, strip)) * w->stride[1];
    for (int64_t c = 0; c < p->count; c++)
        for (int64_t r = 0; r < rows; r++) {
            int64_t at = first + r;
            float *row = to + (c * p->in_rows + r) * size;
            if (at < 0 || at >= w->in[1]) fill(row, size, p->padding);
            else fill_row(p, x + (c * w->in[1] + at) * w->in[2], row);
        }
}
