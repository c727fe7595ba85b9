/* winograd_tile.c - the transforms of Winograd's F(4x4, 3x3) (Lavin and Gray 2016, arXiv 1509.09308).
 *
 *   y = A' [(G g G') * (B' x B)] A, so that g's gradient is G' [(A dy A') * (B' x B)] G.
 */
#include "backend/cpu/winograd_tile.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/conv_shape.h"

#define P WINO_P
#define Q WINO_Q
#define P2 (P * P)
#define Q2 (Q * Q)
#define AT_P (1 / (2 * P2 * (P2 - Q2)))
#define AT_Q (1 / (2 * Q2 * (Q2 - P2)))
const double wino_g[WINO_IN][3] = { { 1 / (P2 * Q2), 0, 0 }, { AT_P, AT_P * P, AT_P * P2 },
    { AT_P, -AT_P * P, AT_P * P2 }, { AT_Q, AT_Q * Q, AT_Q * Q2 }, { AT_Q, -AT_Q * Q, AT_Q * Q2 }, { 0, 0, 1 } };

/* --- which tiles there are --- */

int64_t tiling_count(const struct tiling *t)
{
    return t->samples * t->tiles[0] * t->tiles[1];
}

static void cut(struct tiling *t)
{
    for (int i = 0; i < 2; i++) t->tiles[i] = (t->out[i] + WINO_OUT - 1) / WINO_OUT;
}

int tiling_init(struct tiling *t, const struct node *n, const struct shape *x, const struct shape *w, struct err *e)
{
    struct window v;
    if (!cpu_fuses()) return fail(e, ERR_UNSUPPORTED, "no instruction that multiplies and adds");
    if (x->rank != 4 || w->dim[2] != 3 || w->dim[3] != 3) return fail(e, ERR_UNSUPPORTED, "not 3x3");
    if (node_int(n, "group") != 1) return fail(e, ERR_UNSUPPORTED, "groups");
    TRY(window_init(&v, n, x, (int64_t[]){ 3, 3 }, e));
    for (int i = 0; i < 2; i++) {
        int a = WINDOW_AXES - 2 + i;
        if (v.stride[a] != 1 || v.dilation[a] != 1) return fail(e, ERR_UNSUPPORTED, "strides or dilations");
        t->before[i] = v.before[a];
        t->in[i] = v.in[a];
        t->out[i] = v.out[a];
    }
    t->samples = x->dim[0];
    cut(t);
    return 0;
}

void tiling_turn(struct tiling *t)
{
    for (int i = 0; i < 2; i++) {
        int64_t in = t->in[i];
        t->in[i] = t->out[i];
        t->out[i] = in;
        t->before[i] = 2 - t->before[i];
    }
    cut(t);
}

/* In products, 9 for 36: what a tile of one channel and what one filter cost to transform. */
bool tiling_pays(const struct tiling *t, int64_t n, int64_t k)
{
    enum { TILE = 200, FILTER = 2000, LEAST_CHANNELS = 128 };
    int64_t tiles = tiling_count(t), direct = 9 * t->samples * t->out[0] * t->out[1];
    if (n < LEAST_CHANNELS || k < LEAST_CHANNELS) return false;
    return direct - WINO_POINTS * tiles - FILTER > TILE * tiles / n + TILE * tiles / k;
}

struct tile tile_at(const struct tiling *t, int64_t index)
{
    int64_t each = t->tiles[0] * t->tiles[1], inner = index % each;
    return (struct tile){ index / each, inner / t->tiles[1] * WINO_OUT, inner % t->tiles[1] * WINO_OUT };
}

bool image_of(const struct tensor *t, struct image *to)
{
    to->data = t->data;
    return form_of(t, &to->form) && to->form.channels % 8 == 0;
}

/* --- tiles --- */

/* Six vectors `apart` from each other, through B. */
INLINE void input_line(const float *restrict d, int64_t apart, float *restrict to, int64_t by, int side)
{
    const float p = P, q = Q, p2 = P2, q2 = Q2, sum = P2 + Q2, product = P2 * Q2;
    INDEPENDENT
    for (int l = 0; l < side; l++) {
        float a = d[l], b = d[apart + l], c = d[2 * apart + l], e = d[3 * apart + l], f = d[4 * apart + l];
        float g = d[5 * apart + l];
        float even = fmaf(-q2, c, f), odd = fmaf(-q2, b, e), even2 = fmaf(-p2, c, f), odd2 = fmaf(-p2, b, e);
        to[l] = fmaf(product, a, fmaf(-sum, c, f));
        to[by + l] = fmaf(p, odd, even);
        to[2 * by + l] = fmaf(-p, odd, even);
        to[3 * by + l] = fmaf(q, odd2, even2);
        to[4 * by + l] = fmaf(-q, odd2, even2);
        to[5 * by + l] = fmaf(product, b, fmaf(-sum, e, g));
    }
}

/* Four vectors to six, through A: the transpose of winograd.c's way back. */
INLINE void gradient_line(const float *restrict d, int64_t apart, float *restrict to, int64_t by, int side)
{
    const float p = P, q = Q, p2 = P2, q2 = Q2, p3 = P2 * P, q3 = Q2 * Q;
    INDEPENDENT
    for (int l = 0; l < side; l++) {
        float a = d[l], b = d[apart + l], c = d[2 * apart + l], e = d[3 * apart + l];
        float even = fmaf(p2, c, a), odd = fmaf(p3, e, p * b), even2 = fmaf(q2, c, a), odd2 = fmaf(q3, e, q * b);
        to[l] = a;
        to[by + l] = even + odd;
        to[2 * by + l] = even - odd;
        to[3 * by + l] = even2 + odd2;
        to[4 * by + l] = even2 - odd2;
        to[5 * by + l] = e;
    }
}

/* `size` x `size` pixels of `side` channels: where they lie, or a copy with zeros for what is outside of the image. */
struct square {
    const float *at;
    int64_t row, column; /* apart */
};

INLINE struct square square_of(
    const struct image *i, const int64_t *sizes, const struct tile *t, int64_t c, int size, int side, float *copy)
{
    int64_t channels = i->form.channels;
    const float *from = i->data + image_at(i, t->sample, c) + (t->y * sizes[1] + t->x) * channels;
    if (t->y >= 0 && t->x >= 0 && t->y + size <= sizes[0] && t->x + size <= sizes[1])
        return (struct square){ from, sizes[1] * channels, channels };
    for (int r = 0; r < size; r++)
        for (int q = 0; q < size; q++) {
            int64_t y = t->y + r, x = t->x + q;
            bool inside = y >= 0 && y < sizes[0] && x >= 0 && x < sizes[1];
            float *d = copy + (r * size + q) * side;
            if (inside) memcpy(d, from + (r * sizes[1] + q) * channels, (size_t)side * sizeof *d);
            else memset(d, 0, (size_t)side * sizeof *d);
        }
    return (struct square){ copy, size * side, side };
}

#define ALIGNED __attribute__((aligned(64)))

INLINE void input_channels(
    const struct tiling *t, const struct image *x, struct tile at, int side, float *to, int64_t point, int64_t panel)
{
    ALIGNED float v[WINO_POINTS * 16], copy[WINO_POINTS * 16];
    at.y -= t->before[0], at.x -= t->before[1];
    for (int64_t c = 0; c < x->form.blocks * x->form.channels; c += side) {
        struct square s = square_of(x, t->in, &at, c, WINO_IN, side, copy);
        float *d = to + c / PANEL * panel + c % PANEL;
        for (int q = 0; q < WINO_IN; q++) input_line(s.at + q * s.column, s.row, v + q * side, WINO_IN * side, side);
        for (int r = 0; r < WINO_IN; r++)
            input_line(v + r * WINO_IN * side, side, d + r * WINO_IN * point, point, side);
    }
}

CLONES static void input_sides(
    const struct tiling *t, const struct image *x, struct tile at, float *to, int64_t point, int64_t panel)
{
    if (image_side(x) == 16) input_channels(t, x, at, 16, to, point, panel);
    else input_channels(t, x, at, 8, to, point, panel);
}

void tile_input(const struct tiling *t, const struct image *x, int64_t index, float *to, int64_t point, int64_t panel)
{
    input_sides(t, x, tile_at(t, index), to, point, panel);
}

INLINE void gradient_channels(
    const struct tiling *t, const struct image *dy, struct tile at, int side, float *to, int64_t point)
{
    ALIGNED float v[WINO_IN * WINO_OUT * 16], copy[WINO_OUT * WINO_OUT * 16];
    for (int64_t c = 0; c < dy->form.blocks * dy->form.channels; c += side) {
        struct square s = square_of(dy, t->out, &at, c, WINO_OUT, side, copy);
        for (int q = 0; q < WINO_OUT; q++)
            gradient_line(s.at + q * s.column, s.row, v + q * side, WINO_OUT * side, side);
        for (int r = 0; r < WINO_IN; r++)
            gradient_line(v + r * WINO_OUT * side, side, to + c + r * WINO_IN * point, point, side);
    }
}

CLONES static void gradient_sides(
    const struct tiling *t, const struct image *dy, struct tile at, float *to, int64_t point)
{
    if (image_side(dy) == 16) gradient_channels(t, dy, at, 16, to, point);
    else gradient_channels(t, dy, at, 8, to, point);
}

void tile_gradient(const struct tiling *t, const struct image *dy, int64_t index, float *to, int64_t point)
{
    gradient_sides(t, dy, tile_at(t, index), to, point);
}

/* --- filters --- */

struct packing {
    const struct filters *f;
    float *packed;
};

/* Channel i of the input and a panel of the output's (zeros past the last). */
CLONES static void pack_row(const struct filters *f, int64_t panel, int64_t i, float *packed)
{
    float w[9][PANEL] = { { 0 } };
    double half[WINO_IN][3][PANEL];
    const float *from = f->w + panel * PANEL * f->n_step + i * f->k_step;
    for (int64_t l = 0; l < PANEL && panel * PANEL + l < f->n; l++, from += f->n_step)
        for (int t = 0; t < 9; t++) w[t][l] = from[f->turned ? 8 - t : t];
    for (int a = 0; a < WINO_IN; a++)
        for (int c = 0; c < 3; c++)
            for (int l = 0; l < PANEL; l++)
                half[a][c][l] = wino_g[a][0] * w[c][l] + wino_g[a][1] * w[3 + c][l] + wino_g[a][2] * w[6 + c][l];
    float *to = packed + (panel * f->k + i) * PANEL;
    for (int q = 0; q < WINO_POINTS; q++, to += packed_floats(f->k, f->n)) {
        double(*h)[PANEL] = half[q / WINO_IN];
        const double *g = wino_g[q % WINO_IN];
        for (int l = 0; l < PANEL; l++) to[l] = (float)(h[0][l] * g[0] + h[1][l] * g[1] + h[2][l] * g[2]);
    }
}

static void pack_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct packing *p = ctx;
    for (int64_t i = begin; i < end; i++) pack_row(p->f, i / p->f->k, i % p->f->k, p->packed);
}

void filters_pack(const struct filters *f, float *packed, int threads)
{
    team_run(threads, panels_of(f->n) * f->k, 32, pack_rows, &(struct packing){ f, packed });
}

struct unpacking {
    int64_t n, k;
    const float *points;
    float *dw;
};

/* Filters [c, c + PANEL) of output o. */
INLINE void unpack_some(const struct unpacking *u, int64_t o, int64_t c, int lanes)
{
    float half[3][WINO_IN][PANEL], whole[9][PANEL];
    const float *m = u->points + o * u->k + c;
    for (int r = 0; r < 3; r++)
        for (int b = 0; b < WINO_IN; b++)
            for (int l = 0; l < lanes; l++) {
                float sum = 0;
                for (int a = 0; a < WINO_IN; a++) sum += (float)wino_g[a][r] * m[(a * WINO_IN + b) * u->n * u->k + l];
                half[r][b][l] = sum;
            }
    for (int t = 0; t < 9; t++)
        for (int l = 0; l < lanes; l++) {
            float sum = 0;
            for (int b = 0; b < WINO_IN; b++) sum += (float)wino_g[b][t % 3] * half[t / 3][b][l];
            whole[t][l] = sum;
        }
    float *to = u->dw + (o * u->k + c) * 9;
    for (int l = 0; l < lanes; l++)
        for (int t = 0; t < 9; t++) to[l * 9 + t] = whole[t][l];
}

CLONES static void unpack_outputs(void *ctx, int64_t begin, int64_t end)
{
    const struct unpacking *u = ctx;
    for (int64_t o = begin; o < end; o++)
        for (int64_t c = 0; c < u->k; c += PANEL) {
            if (u->k - c >= PANEL) unpack_some(u, o, c, PANEL);
            else unpack_some(u, o, c, (int)(u->k - c));
        }
}

void filters_gradient(int64_t n, int64_t k, const float *points, float *dw, int threads)
{
    team_run(threads, n, 1, unpack_outputs, &(struct unpacking){ n, k, points, dw });
}
