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

enum { SIDE = 8, CACHE = 1 << 20, LEAST_TILES = 36, LEAST_CHANNELS = 64 };

struct wino {
    int64_t before[2], in[2], out[2], tiles[2]; /* height, width */
    int64_t k, n;                               /* channels of the input and of the output */
    int64_t block;                              /* tiles taken at a time */
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

/* --- the three transforms, SIDE channels at a time --- */

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

/* Six vectors `apart` from each other, through B. */
INLINE void input_line(float *v, int apart)
{
    const float p = P, q = Q, p2 = P2, q2 = Q2, sum = P2 + Q2, product = P2 * Q2;
    for (int l = 0; l < SIDE; l++) {
        float *d = v + l, a = d[0], b = d[apart], c = d[2 * apart], e = d[3 * apart], f = d[4 * apart];
        float g = d[5 * apart], even = f - q2 * c, odd = p * (e - q2 * b), even2 = f - p2 * c, odd2 = q * (e - p2 * b);
        d[0] = product * a - sum * c + f;
        d[apart] = even + odd;
        d[2 * apart] = even - odd;
        d[3 * apart] = even2 + odd2;
        d[4 * apart] = even2 - odd2;
        d[5 * apart] = product * b - sum * e + g;
    }
}

/* Six vectors to four, through A. */
INLINE void output_line(float *v, int apart)
{
    const float p = P, q = Q, p2 = P2, q2 = Q2, p3 = P2 * P, q3 = Q2 * Q;
    for (int l = 0; l < SIDE; l++) {
        float *d = v + l, even = d[apart] + d[2 * apart], odd = d[apart] - d[2 * apart];
        float even2 = d[3 * apart] + d[4 * apart], odd2 = d[3 * apart] - d[4 * apart];
        d[0] = d[0] + even + even2;
        d[apart] = p * odd + q * odd2;
        d[2 * apart] = p2 * even + q2 * even2;
        d[3 * apart] = p3 * odd + q3 * odd2 + d[5 * apart];
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

/* One tile's SIDE channels into row `row` of the 36 matrices (block, k). */
CLONES static void input_tile(const struct job *j, const struct tile *t, int64_t c, float *to)
{
    const struct wino *p = j->p;
    float v[WINO_POINTS * SIDE];
    const float *x = j->x + place(&j->x_form, t->sample, c);
    for (int r = 0; r < WINO_IN; r++)
        for (int q = 0; q < WINO_IN; q++) {
            int64_t y = t->y - p->before[0] + r, at = t->x - p->before[1] + q;
            float *d = v + (r * WINO_IN + q) * SIDE;
            bool inside = y >= 0 && y < p->in[0] && at >= 0 && at < p->in[1];
            if (inside) memcpy(d, x + (y * p->in[1] + at) * j->x_form.channels, SIDE * sizeof *d);
            else memset(d, 0, SIDE * sizeof *d);
        }
    for (int r = 0; r < WINO_IN; r++) input_line(v + r * WINO_IN * SIDE, SIDE);
    for (int q = 0; q < WINO_IN; q++) input_line(v + q * SIDE, WINO_IN * SIDE);
    for (int q = 0; q < WINO_POINTS; q++) memcpy(to + q * p->block * p->k, v + q * SIDE, SIDE * sizeof *to);
}

#define ACTIVATION(name, expression) \
    INLINE void name(float *v, float alpha, float beta) \
    { \
        for (int l = 0; l < SIDE; l++) { \
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

INLINE void activate(const struct wino *p, float *v)
{
    if (p->activation == RELU) relu(v, 0, 0);
    else if (p->activation == LEAKY) leaky(v, p->alpha, 0);
    else if (p->activation == SWISH) swish(v, p->alpha, 0);
    else if (p->activation == SIGMOID) sigmoid(v, 0, 0);
    else if (p->activation == CLIP) clip_low(v, p->alpha, 0), clip_high(v, 0, p->beta);
}

/* The same way back: from the 36 matrices (block, width) to SIDE channels of 4x4 outputs. */
CLONES static void output_tile(const struct job *j, const struct tile *t, int64_t c, const float *from, int64_t point)
{
    const struct wino *p = j->p;
    float v[WINO_POINTS * SIDE];
    int64_t base = place(&j->y_form, t->sample, c);
    for (int q = 0; q < WINO_POINTS; q++) memcpy(v + q * SIDE, from + q * point, SIDE * sizeof *v);
    for (int q = 0; q < WINO_IN; q++) output_line(v + q * SIDE, WINO_IN * SIDE);
    for (int r = 0; r < WINO_OUT; r++) output_line(v + r * WINO_IN * SIDE, SIDE);
    for (int64_t r = 0; r < WINO_OUT && t->y + r < p->out[0]; r++)
        for (int64_t q = 0; q < WINO_OUT && t->x + q < p->out[1]; q++) {
            int64_t at = base + ((t->y + r) * p->out[1] + t->x + q) * j->y_form.channels;
            float *d = v + (r * WINO_IN + q) * SIDE;
            for (int l = 0; j->bias && l < SIDE; l++) d[l] += j->bias[c + l];
            for (int l = 0; j->residual && l < SIDE; l++) d[l] += j->residual[at + l];
            activate(p, d);
            memcpy(j->y + at, d, SIDE * sizeof *d);
        }
}

/* --- the whole, a block of tiles at a time --- */

static void block(const struct job *j, int64_t first, int64_t count, float *work)
{
    const struct wino *p = j->p;
    int64_t width = panels_of(p->n) * PANEL;
    float *in = work, *out = work + WINO_POINTS * p->block * p->k;
    for (int64_t i = 0; i < count; i++) {
        struct tile t = tile_at(p, first + i);
        for (int64_t c = 0; c < p->k; c += SIDE) input_tile(j, &t, c, in + i * p->k + c);
    }
    memset(out, 0, (size_t)(WINO_POINTS * p->block * width) * sizeof *out);
    for (int q = 0; q < WINO_POINTS; q++) {
        struct product g = { .m = count, .n = width, .k = p->k, .a = in + q * p->block * p->k, .a_row = p->k,
            .a_col = 1, .b = j->weight + q * packed_floats(p->k, p->n), .c = out + q * p->block * width,
            .c_row = width };
        product_panels(&g, 0, width / PANEL);
    }
    for (int64_t i = 0; i < count; i++) {
        struct tile t = tile_at(p, first + i);
        for (int64_t c = 0; c < p->n; c += SIDE) output_tile(j, &t, c, out + i * width + c, p->block * width);
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

static int64_t block_size(const struct wino *p)
{
    int64_t n = CACHE / ((int64_t)sizeof(float) * WINO_POINTS * (p->k + panels_of(p->n) * PANEL)) / 6 * 6;
    return n < 12 ? 12 : n > 96 ? 96 : n;
}

static size_t work_floats(const struct wino *p)
{
    return (size_t)(WINO_POINTS * p->block * (p->k + panels_of(p->n) * PANEL));
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
    p->block = block_size(p);
    if (!(s->want_out[0] = l->backend->layout_alike(l, &s->out[0]->shape, s->arena, e))) return e->code;
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
