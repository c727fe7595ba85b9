/* bytes_pool.c - MaxPool of bytes with their channels last: down the rows, then along them, whole rows at a time. */
#include <string.h>

#include "backend/cpu/quantized.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/conv_shape.h"

enum { WIDE = 64, HIGH = 1, ALONG = 2 /* axes of struct window */ };

struct pool {
    struct window w;
    int64_t channels, columns; /* of a padded row */
    bool is_signed;
};

struct job {
    const struct pool *p;
    const uint8_t *x;
    uint8_t *y, *work;
    int64_t rows, parts;
};

/* Of one of two rows that a thread works on: padded, and what copies of WIDE bytes reach past it. */
static int64_t row_bytes(const struct pool *p)
{
    return p->columns * p->channels + WIDE;
}

CLONES static void take_larger(uint8_t *restrict y, const uint8_t *restrict x, int64_t n, uint8_t flip)
{
    for (int64_t i = 0; i < n; i++) {
        uint8_t a = y[i] ^ flip, b = x[i] ^ flip;
        y[i] = (a > b ? a : b) ^ flip;
    }
}

/* n times `size` bytes from places `step` apart to places side by side. Of what is copied too much, the next one is
 * written over, as long as there is a next one. */
CLONES static void copy_every(uint8_t *y, const uint8_t *x, int64_t n, int64_t size, int64_t step)
{
    const uint8_t *end = y + n * size;
    int64_t whole = (size + WIDE - 1) / WIDE * WIDE;
    for (; y < end && end - y >= whole; y += size, x += step)
        for (int64_t k = 0; k < whole; k += WIDE) memcpy(y + k, x + k, WIDE);
    for (; y < end; y += size, x += step) memcpy(y, x, (size_t)size);
}

/* The largest of the rows that row `index` of all results sees, then of so many columns from each one on. */
static void pool_row(const struct job *j, int64_t index, uint8_t *down)
{
    const struct pool *p = j->p;
    const struct window *w = &p->w;
    int64_t c = p->channels, line = w->in[ALONG] * c, sample = index / w->out[HIGH];
    int64_t first = index % w->out[HIGH] * w->stride[HIGH] - w->before[HIGH];
    int64_t width = ((w->out[ALONG] - 1) * w->stride[ALONG] + 1) * c;
    uint8_t flip = p->is_signed ? 128 : 0, *across = down + row_bytes(p); /* ^ flip: 0 is the smallest */
    memset(down, flip, (size_t)row_bytes(p));
    for (int64_t k = 0; k < w->kernel[HIGH]; k++) {
        int64_t r = first + k * w->dilation[HIGH];
        if (r < 0 || r >= w->in[HIGH]) continue;
        take_larger(down + w->before[ALONG] * c, j->x + (sample * w->in[HIGH] + r) * line, line, flip);
    }
    memcpy(across, down, (size_t)width);
    for (int64_t k = 1; k < w->kernel[ALONG]; k++)
        take_larger(across, down + k * w->dilation[ALONG] * c, width, flip);
    copy_every(j->y + index * w->out[ALONG] * c, across, w->out[ALONG], c, w->stride[ALONG] * c);
}

static void parts(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t i = begin; i < end; i++)
        for (int64_t r = j->rows * i / j->parts; r < j->rows * (i + 1) / j->parts; r++)
            pool_row(j, r, j->work + i * 2 * row_bytes(j->p));
}

int bytes_pool_prepare(struct step *s, struct err *e)
{
    struct pool *p = ARENA_NEW(s->arena, struct pool);
    int64_t kernel[WINDOW_AXES];
    int spatial;
    TRY_MEM(p, e);
    if (s->node->n_out > 1) return fail(e, ERR_UNSUPPORTED, "the positions of the maxima are wanted");
    TRY(window_kernel(s->node, &s->in[0]->shape, NULL, kernel, &spatial, e));
    TRY(window_init(&p->w, s->node, &s->in[0]->shape, kernel, e));
    const struct window *w = &p->w;
    if (spatial > 2) return fail(e, ERR_UNSUPPORTED, "three spatial dimensions");
    for (int a = HIGH; a <= ALONG; a++)
        if (w->before[a] < 0 || w->after[a] < 0) return fail(e, ERR_UNSUPPORTED, "a padding that crops");
    int64_t seen = (w->out[ALONG] - 1) * w->stride[ALONG] + (w->kernel[ALONG] - 1) * w->dilation[ALONG] + 1;
    int64_t there = w->before[ALONG] + w->in[ALONG];
    p->columns = seen > there ? seen : there;
    p->channels = s->in[0]->shape.dim[1];
    p->is_signed = s->in[0]->dtype == DT_I8;
    s->work_bytes = (size_t)(2 * row_bytes(p) * s->threads);
    s->priv = p;
    TRY(bytes_want_last(s, 0, e));
    return bytes_last_layout(s->arena, s->out[0], &s->want_out[0], e);
}

int bytes_pool_run(const struct step *s, struct err *e)
{
    const struct pool *p = s->priv;
    struct job j = { p, s->in[0]->data, s->out[0]->data, s->work, s->out[0]->shape.dim[0] * p->w.out[HIGH],
        s->threads };
    team_run(s->threads, j.parts, 1, parts, &j);
    return 0;
}
