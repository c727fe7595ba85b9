/* winograd.c - convolutions of 3x3 by Winograd's F(4x4, 3x3) (Lavin and Gray 2016, arXiv 1509.09308).
 *
 *   tiles of 6x6 of the input --B--> 36 numbers a channel --36 matrix products--> --A--> 4x4 of the output
 *
 * A few tiles are taken through all of it at a time, by one thread, in memory that stays in its cache. The products sum
 * in fixed order, so bits depend neither on threads nor on the rest of the batch.
 */
#include "backend/cpu/winograd.h"

#include <string.h>

#include "backend/cpu/form.h"
#include "backend/cpu/functions.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/conv_shape.h"

enum { SIDE = 8, WIDE = 16, LINE = 16, CACHE = 1 << 20, MOST_TILES = 96, LEAST_TILES = 16, LEAST_CHANNELS = 64 };

struct wino {
    int64_t before[2], in[2], out[2], tiles[2]; /* height, width */
    int64_t k, n;                               /* channels of the input and of the output */
    int side;                                   /* channels taken at a time: SIDE or WIDE */
    int64_t block;                              /* tiles taken at a time */
    int64_t in_point, out_point;                /* floats from one of the 36 matrices to the next */
    int activation;                             /* place in the list, -1: none */
    float alpha, beta;
};

struct job {
    const struct wino *p;
    struct form x_form, y_form;
    const float *x, *weight, *bias, *residual;
    float *y, *work;
    size_t each; /* floats of work memory a thread */
    int64_t tiles, parts;
};

/* --- the three transforms, SIDE or WIDE channels at a time --- */

/* The polynomials are taken at 0, P, -P, Q, -Q and infinity. These points are exact in binary, and their rounding is a
 * quarter of that at 1 and 2 (largest difference of 64 channels of random numbers: 7 and 28 times a direct sum's). */
#define P 0.625
#define Q 1.5
#define P2 (P * P)
#define Q2 (Q * Q)
#define AT_P (1 / (2 * P2 * (P2 - Q2)))
#define AT_Q (1 / (2 * Q2 * (Q2 - P2)))
static const double G[WINO_IN][3] = { { 1 / (P2 * Q2), 0, 0 }, { AT_P, AT_P * P, AT_P * P2 },
    { AT_P, -AT_P * P, AT_P * P2 }, { AT_Q, AT_Q * Q, AT_Q * Q2 }, { AT_Q, -AT_Q * Q, AT_Q * Q2 }, { 0, 0, 1 } };

struct packing {
    int64_t n, k;
    const float *w;
    float *packed;
};

/* A number of all 36 matrices, for one channel of the input and one of the output (zero past the last). */
static void pack_one(const struct packing *p, int64_t o, int64_t i, float *to)
{
    double half[WINO_IN][3] = { { 0 } };
    const float *w = p->w + (o * p->k + i) * 9;
    for (int a = 0; o < p->n && a < WINO_IN; a++)
        for (int c = 0; c < 3; c++) half[a][c] = G[a][0] * w[c] + G[a][1] * w[3 + c] + G[a][2] * w[6 + c];
    for (int q = 0; q < WINO_POINTS; q++, to += packed_floats(p->k, p->n)) {
        const double *h = half[q / WINO_IN], *g = G[q % WINO_IN];
        *to = (float)(h[0] * g[0] + h[1] * g[1] + h[2] * g[2]);
    }
}

static void pack_panels(void *ctx, int64_t begin, int64_t end)
{
    const struct packing *p = ctx;
    for (int64_t i = begin * p->k; i < end * p->k; i++)
        for (int64_t o = i / p->k * PANEL, l = 0; l < PANEL; l++)
            pack_one(p, o + l, i % p->k, p->packed + i * PANEL + l);
}

void winograd_pack(int64_t n, int64_t k, const float *w, float *packed, int threads)
{
    team_run(threads, panels_of(n), 1, pack_panels, &(struct packing){ n, k, w, packed });
}

/* Six vectors through B, to `apart` from each other. */
INLINE void input_line(const float *const from[WINO_IN], float *restrict to, int64_t apart, int side)
{
    const float p = P, q = Q, p2 = P2, q2 = Q2, sum = P2 + Q2, product = P2 * Q2;
    for (int l = 0; l < side; l++) {
        float a = from[0][l], b = from[1][l], c = from[2][l], e = from[3][l], f = from[4][l], g = from[5][l];
        float even = f - q2 * c, odd = p * (e - q2 * b), even2 = f - p2 * c, odd2 = q * (e - p2 * b);
        to[l] = product * a - sum * c + f;
        to[apart + l] = even + odd;
        to[2 * apart + l] = even - odd;
        to[3 * apart + l] = even2 + odd2;
        to[4 * apart + l] = even2 - odd2;
        to[5 * apart + l] = product * b - sum * e + g;
    }
}

/* Six vectors to four, through A. */
INLINE void output_line(const float *const from[WINO_IN], float *restrict to, int64_t apart, int side)
{
    const float p = P, q = Q, p2 = P2, q2 = Q2, p3 = P2 * P, q3 = Q2 * Q;
    for (int l = 0; l < side; l++) {
        float even = from[1][l] + from[2][l], odd = from[1][l] - from[2][l];
        float even2 = from[3][l] + from[4][l], odd2 = from[3][l] - from[4][l];
        to[l] = from[0][l] + even + even2;
        to[apart + l] = p * odd + q * odd2;
        to[2 * apart + l] = p2 * even + q2 * even2;
        to[3 * apart + l] = p3 * odd + q3 * odd2 + from[5][l];
    }
}

/* Where channel c of position 0 of sample n lies. */
INLINE int64_t place(const struct form *f, int64_t n, int64_t c)
{
    return (n * f->blocks + c / f->channels) * f->positions * f->channels + c % f->channels;
}

struct tile {
    int64_t sample, y, x; /* its first output */
};

static struct tile tile_at(const struct wino *p, int64_t index)
{
    int64_t each = p->tiles[0] * p->tiles[1], inner = index % each;
    return (struct tile){ index / each, inner / p->tiles[1] * WINO_OUT, inner % p->tiles[1] * WINO_OUT };
}

/* One tile's `side` channels into row `row` of the 36 matrices (block, k). */
INLINE void input_tile(const struct job *j, const struct tile *t, int64_t c, float *to, int side)
{
    static const float zeros[WIDE];
    const struct wino *p = j->p;
    const float *x = j->x + place(&j->x_form, t->sample, c), *from[WINO_IN];
    float v[WINO_POINTS * WIDE];
    for (int r = 0; r < WINO_IN; r++) {
        int64_t y = t->y - p->before[0] + r;
        for (int q = 0; q < WINO_IN; q++) {
            int64_t at = t->x - p->before[1] + q;
            bool inside = y >= 0 && y < p->in[0] && at >= 0 && at < p->in[1];
            from[q] = inside ? x + (y * p->in[1] + at) * j->x_form.channels : zeros;
        }
        input_line(from, v + r * WINO_IN * side, side, side);
    }
    for (int q = 0; q < WINO_IN; q++) {
        for (int r = 0; r < WINO_IN; r++) from[r] = v + (r * WINO_IN + q) * side;
        input_line(from, to + q * p->in_point, WINO_IN * p->in_point, side);
    }
}

#define ACTIVATION(name, expression) \
    INLINE void name(float *v, float alpha, float beta, int side) \
    { \
        for (int l = 0; l < side; l++) { \
            float x = v[l]; \
            v[l] = expression; \
        } \
    }
ACTIVATION(relu, x < 0 ? 0 : x)
ACTIVATION(leaky, x < 0 ? alpha * x : x)
ACTIVATION(swish, x *fast_sigmoid(alpha *x))
ACTIVATION(sigmoid, fast_sigmoid(x))
ACTIVATION(clip_low, x < alpha ? alpha : x)
ACTIVATION(clip_high, x > beta ? beta : x)

enum { RELU, LEAKY, SWISH, SIGMOID, CLIP, N_ACTIVATIONS };
static const char *const activations[N_ACTIVATIONS] = { "Relu", "LeakyRelu", "Swish", "Sigmoid", "Clip" };

INLINE void activate(const struct wino *p, float *v, int side)
{
    if (p->activation == RELU) relu(v, 0, 0, side);
    else if (p->activation == LEAKY) leaky(v, p->alpha, 0, side);
    else if (p->activation == SWISH) swish(v, p->alpha, 0, side);
    else if (p->activation == SIGMOID) sigmoid(v, 0, 0, side);
    else if (p->activation == CLIP) clip_low(v, p->alpha, 0, side), clip_high(v, 0, p->beta, side);
}

/* `side` channels of one output: bias, residual, activation. */
INLINE void finish(const struct job *j, int64_t c, int64_t at, float *d, int side)
{
    for (int l = 0; j->bias && l < side; l++) d[l] += j->bias[c + l];
    for (int l = 0; j->residual && l < side; l++) d[l] += j->residual[at + l];
    activate(j->p, d, side);
    memcpy(j->y + at, d, (size_t)side * sizeof *d);
}

/* The same way back: from the 36 matrices (block, width) to `side` channels of 4x4 outputs. */
INLINE void output_tile(const struct job *j, const struct tile *t, int64_t c, const float *product, int side)
{
    const struct wino *p = j->p;
    const float *from[WINO_IN];
    float v[WINO_OUT * WINO_IN * WIDE], d[WINO_OUT * WIDE];
    int64_t base = place(&j->y_form, t->sample, c);
    for (int q = 0; q < WINO_IN; q++) {
        for (int r = 0; r < WINO_IN; r++) from[r] = product + (r * WINO_IN + q) * p->out_point;
        output_line(from, v + q * side, WINO_IN * side, side);
    }
    for (int64_t r = 0; r < WINO_OUT && t->y + r < p->out[0]; r++) {
        for (int q = 0; q < WINO_IN; q++) from[q] = v + (r * WINO_IN + q) * side;
        output_line(from, d, side, side);
        for (int64_t q = 0; q < WINO_OUT && t->x + q < p->out[1]; q++)
            finish(j, c, base + ((t->y + r) * p->out[1] + t->x + q) * j->y_form.channels, d + q * side, side);
    }
}

/* All channels of one tile, WIDE at a time where they lie so. */
CLONES static void input_channels(const struct job *j, const struct tile *t, float *to)
{
    if (j->p->side == WIDE)
        for (int64_t c = 0; c < j->p->k; c += WIDE) input_tile(j, t, c, to + c, WIDE);
    else
        for (int64_t c = 0; c < j->p->k; c += SIDE) input_tile(j, t, c, to + c, SIDE);
}

CLONES static void output_channels(const struct job *j, const struct tile *t, const float *product)
{
    if (j->p->side == WIDE)
        for (int64_t c = 0; c < j->p->n; c += WIDE) output_tile(j, t, c, product + c, WIDE);
    else
        for (int64_t c = 0; c < j->p->n; c += SIDE) output_tile(j, t, c, product + c, SIDE);
}

/* --- the whole, a block of tiles at a time --- */

static void block(const struct job *j, int64_t first, int64_t count, float *work)
{
    const struct wino *p = j->p;
    int64_t width = panels_of(p->n) * PANEL;
    float *in = work, *out = work + WINO_POINTS * p->in_point;
    for (int64_t i = 0; i < count; i++) {
        struct tile t = tile_at(p, first + i);
        input_channels(j, &t, in + i * p->k);
    }
    for (int q = 0; q < WINO_POINTS; q++) {
        struct product g = { .m = count, .n = width, .k = p->k, .fresh = true, .a = in + q * p->in_point,
            .a_row = p->k, .a_col = 1, .b = j->weight + q * packed_floats(p->k, p->n), .c = out + q * p->out_point,
            .c_row = width };
        product_panels(&g, 0, width / PANEL);
    }
    for (int64_t i = 0; i < count; i++) {
        struct tile t = tile_at(p, first + i);
        output_channels(j, &t, out + i * width);
    }
}

static void blocks(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t part = begin; part < end; part++) {
        int64_t from = j->tiles * part / j->parts, to = j->tiles * (part + 1) / j->parts;
        for (int64_t at = from; at < to; at += j->p->block)
            block(j, at, to - at < j->p->block ? to - at : j->p->block, j->work + (size_t)part * j->each);
    }
}

static int find_activation(const struct node *n, struct wino *p, struct err *e)
{
    const char *name = node_is(n, "FusedConv") ? node_string(n, "activation") : "";
    p->activation = -1;
    if (!name[0]) return 0;
    for (int i = 0; i < N_ACTIVATIONS; i++)
        if (!strcmp(name, activations[i])) p->activation = i;
    p->alpha = (float)node_float(n, "alpha");
    p->beta = (float)node_float(n, "beta");
    return p->activation < 0 ? fail(e, ERR_UNSUPPORTED, "the activation %s", name) : 0;
}

/* What does not depend on the batch alone decides, so that a sample has the same bits in every batch. */
static int check(const struct step *s, struct wino *p, struct err *e)
{
    const struct shape *x = &s->in[0]->shape, *w = &s->in[1]->shape, *y = &s->out[0]->shape;
    struct window v;
    if (x->rank != 4 || w->dim[2] != 3 || w->dim[3] != 3) return fail(e, ERR_UNSUPPORTED, "not 3x3");
    if (node_int(s->node, "group") != 1) return fail(e, ERR_UNSUPPORTED, "groups");
    if (!s->in[1]->data) return fail(e, ERR_UNSUPPORTED, "a weight that changes");
    TRY(window_init(&v, s->node, x, (int64_t[]){ 3, 3 }, e));
    for (int i = 0; i < 2; i++) {
        int a = WINDOW_AXES - 2 + i;
        if (v.stride[a] != 1 || v.dilation[a] != 1) return fail(e, ERR_UNSUPPORTED, "strides or dilations");
        p->before[i] = v.before[a];
        p->in[i] = x->dim[2 + i];
        p->out[i] = y->dim[2 + i];
        p->tiles[i] = (p->out[i] + WINO_OUT - 1) / WINO_OUT;
    }
    p->k = w->dim[1];
    p->n = w->dim[0];
    if (p->k % SIDE || p->n % SIDE || p->k < LEAST_CHANNELS || p->n < LEAST_CHANNELS)
        return fail(e, ERR_UNSUPPORTED, "few channels, or no multiple of %d", SIDE);
    if (p->tiles[0] * p->tiles[1] < LEAST_TILES) return fail(e, ERR_UNSUPPORTED, "too small an image");
    return find_activation(s->node, p, e);
}

/* So many tiles are taken at a time that what is read of them and of the weights is of one size at least, or as many as
 * stay in the cache. The matrices begin a line later each, lest all their lines fall into one set of it. */
static void block_size(struct wino *p)
{
    int64_t width = panels_of(p->n) * PANEL, even = p->k * width / (p->k + width);
    int64_t n = CACHE / ((int64_t)sizeof(float) * WINO_POINTS * (p->k + width));
    if (n < even) n = even;
    p->block = n < 12 ? 12 : n > MOST_TILES ? MOST_TILES : n / 6 * 6;
    p->in_point = p->block * p->k + LINE;
    p->out_point = p->block * width + LINE;
}

static size_t work_floats(const struct wino *p)
{
    return (size_t)(WINO_POINTS * (p->in_point + p->out_point));
}

/* in: x, weight, bias, residual */
int winograd_prepare(struct step *s, struct err *e)
{
    struct wino *p = ARENA_NEW(s->arena, struct wino);
    struct form f;
    TRY_MEM(p, e);
    TRY(check(s, p, e));
    const struct layout *l = form_keep(s, 0);
    if (!l || !form_of(s->in[0], &f) || f.channels % SIDE) return fail(e, ERR_UNSUPPORTED, "no channels side by side");
    block_size(p);
    p->side = f.channels % WIDE || p->k % WIDE || p->n % WIDE ? SIDE : WIDE;
    s->want_out[0] = l->backend->layout_alike(l, &s->out[0]->shape, s->arena, e);
    if (e->code) return e->code;
    struct tensor y = { .dtype = DT_F32, .shape = s->out[0]->shape, .layout = s->want_out[0] };
    if (!form_of(&y, &f) || f.channels % SIDE) return fail(e, ERR_UNSUPPORTED, "no channels side by side");
    if (!(s->want_in[1] = panel_layout_winograd(s->arena, p->n, p->k, e))) return e->code;
    if (s->node->n_in > 3 && s->in[3]) s->want_in[3] = s->want_out[0];
    s->work_bytes = work_floats(p) * sizeof(float) * (size_t)s->threads;
    s->priv = p;
    return 0;
}

int winograd_run(const struct step *s, struct err *e)
{
    const struct wino *p = s->priv;
    struct job j = { .p = p, .x = s->in[0]->data, .weight = s->in[1]->data, .y = s->out[0]->data, .work = s->work,
        .each = work_floats(p), .tiles = s->in[0]->shape.dim[0] * p->tiles[0] * p->tiles[1], .parts = s->threads };
    if (s->node->n_in > 2 && s->in[2]) j.bias = s->in[2]->data;
    if (s->node->n_in > 3 && s->in[3]) j.residual = s->in[3]->data;
    form_of(s->in[0], &j.x_form);
    form_of(s->out[0], &j.y_form);
    team_run(s->threads, j.parts, 1, blocks, &j);
    return 0;
}
