/* winograd.c - convolutions of 3x3, and their gradients by the input, by Winograd's F(4x4, 3x3).
 *
 *   tiles of 6x6 of the input --B--> 36 numbers a channel --36 matrix products--> --A--> 4x4 of the output
 *
 * A few tiles are taken through all of it at a time, by one thread, in memory that stays in its cache. The products sum
 * in fixed order, so bits depend neither on threads nor on the rest of the batch. Filters that a training step changes
 * are transformed in every run.
 */
#include "backend/cpu/winograd.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/activate.h"
#include "backend/cpu/winograd_tile.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"

enum { CACHE = 1 << 20, MOST_TILES = 96, LEAST_TILES = 16, LEAST_CHANNELS = 64 };
/* Transformed filters of so many bytes (four times what the weights have) gain a few percent of the time where an image
 * has only the least of tiles: they are not worth the memory there. */
enum { LARGE_FILTERS = 128 << 20 };

struct wino {
    struct tiling t;
    struct filters f; /* n: channels of the output, k: of the input; w stays NULL */
    bool changing;    /* the filters: transformed in every run */
    int64_t block;    /* tiles taken at a time */
    int64_t in_point, out_point; /* floats from one of the 36 matrices to the next */
    struct activation follows;
};

struct job {
    const struct wino *p;
    struct image x, y;
    const float *weight, *bias, *residual;
    float *work;
    size_t each; /* floats of work memory a thread */
    int64_t tiles, parts;
};

void winograd_pack(int64_t n, int64_t k, const float *w, float *packed, int threads)
{
    filters_pack(&(struct filters){ n, k, k * 9, 9, false, w }, packed, threads);
}

/* Six vectors to four, through A. */
INLINE void output_line(const float *restrict d, int64_t apart, float *restrict to, int64_t by, int side)
{
    const float p = WINO_P, q = WINO_Q, p2 = p * p, q2 = q * q, p3 = p2 * p, q3 = q2 * q;
    INDEPENDENT
    for (int l = 0; l < side; l++) {
        float a = d[apart + l], b = d[2 * apart + l], c = d[3 * apart + l], e = d[4 * apart + l];
        float even = a + b, odd = a - b, even2 = c + e, odd2 = c - e;
        to[l] = d[l] + even + even2;
        to[by + l] = fmaf(p, odd, q * odd2);
        to[2 * by + l] = fmaf(p2, even, q2 * even2);
        to[3 * by + l] = fmaf(p3, odd, fmaf(q3, odd2, d[5 * apart + l]));
    }
}

/* From the 36 matrices (block, width) to all channels of 4x4 outputs. */
INLINE void output_channels(const struct job *j, const struct tile *t, const float *from, int64_t point, int side)
{
    const struct wino *p = j->p;
    __attribute__((aligned(64))) float half[WINO_OUT * WINO_IN * 16], v[WINO_OUT * WINO_OUT * 16];
    for (int64_t c = 0; c < p->f.n; c += side) {
        int64_t base = image_at(&j->y, t->sample, c);
        for (int q = 0; q < WINO_IN; q++)
            output_line(from + c + q * point, WINO_IN * point, half + q * side, WINO_IN * side, side);
        for (int r = 0; r < WINO_OUT; r++)
            output_line(half + r * WINO_IN * side, side, v + r * WINO_OUT * side, side, side);
        for (int64_t r = 0; r < WINO_OUT && t->y + r < p->t.out[0]; r++)
            for (int64_t q = 0; q < WINO_OUT && t->x + q < p->t.out[1]; q++) {
                int64_t at = base + ((t->y + r) * p->t.out[1] + t->x + q) * j->y.form.channels;
                float *d = v + (r * WINO_OUT + q) * side;
                for (int l = 0; j->bias && l < side; l++) d[l] += j->bias[c + l];
                for (int l = 0; j->residual && l < side; l++) d[l] += j->residual[at + l];
                activate(&p->follows, d, side);
                memcpy(j->y.data + at, d, (size_t)side * sizeof *d);
            }
    }
}

CLONES static void output_tile(const struct job *j, const struct tile *t, const float *from, int64_t point)
{
    if (image_side(&j->y) == 16) output_channels(j, t, from, point, 16);
    else output_channels(j, t, from, point, 8);
}

/* --- the whole, a block of tiles at a time --- */

/* Tiles that are taken through it together, and the memory for that. */
struct lot {
    const struct job *j;
    int64_t first, count;
    float *in, *out;
};

static struct lot lot_at(const struct job *j, int64_t first, int64_t end, float *work)
{
    int64_t left = end - first, most = j->p->block;
    return (struct lot){ j, first, left < most ? left : most, work, work + WINO_POINTS * j->p->in_point };
}

static void lot_in(void *ctx, int64_t begin, int64_t end)
{
    const struct lot *l = ctx;
    const struct wino *p = l->j->p;
    for (int64_t i = begin; i < end; i++)
        tile_input(&p->t, &l->j->x, l->first + i, l->in + i * p->f.k, p->in_point, PANEL);
}

/* Of some of the 36 points. */
static void lot_products(void *ctx, int64_t begin, int64_t end)
{
    const struct lot *l = ctx;
    const struct wino *p = l->j->p;
    int64_t k = p->f.k, width = panels_of(p->f.n) * PANEL;
    for (int64_t q = begin; q < end; q++) {
        struct product g = { .m = l->count, .n = width, .k = k, .a = l->in + q * p->in_point, .a_row = k, .a_col = 1,
            .b = l->j->weight + q * packed_floats(k, p->f.n), .c = l->out + q * p->out_point, .c_row = width,
            .fresh = true, .far = true };
        for (int64_t i = 0; i < width / PANEL; i++) product_panels(&g, i, i + 1);
    }
}

static void lot_out(void *ctx, int64_t begin, int64_t end)
{
    const struct lot *l = ctx;
    const struct wino *p = l->j->p;
    for (int64_t i = begin; i < end; i++) {
        struct tile t = tile_at(&p->t, l->first + i);
        output_tile(l->j, &t, l->out + i * panels_of(p->f.n) * PANEL, p->out_point);
    }
}

/* Each thread has tiles of its own. */
static void apart(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t part = begin; part < end; part++) {
        int64_t from = j->tiles * part / j->parts, to = j->tiles * (part + 1) / j->parts;
        for (int64_t at = from; at < to; at += j->p->block) {
            struct lot l = lot_at(j, at, to, j->work + (size_t)part * j->each);
            lot_in(&l, 0, l.count);
            lot_products(&l, 0, WINO_POINTS);
            lot_out(&l, 0, l.count);
        }
    }
}

/* All threads have the same tiles, and each of the filters' matrices is read by one of them. */
static void together(const struct job *j, int threads)
{
    for (int64_t at = 0; at < j->tiles; at += j->p->block) {
        struct lot l = lot_at(j, at, j->tiles, j->work);
        team_run(threads, l.count, 1, lot_in, &l);
        team_run(threads, WINO_POINTS, 1, lot_products, &l);
        team_run(threads, l.count, 1, lot_out, &l);
    }
}

/* Filters that never change are transformed once; then what does not depend on the batch alone decides, so that a
 * sample has the same bits in every batch. Those that this plan changes are the training step's. */
static int pays(const struct step *s, struct wino *p, struct err *e)
{
    const struct value *weight = s->node->in[1];
    const struct tiling *t = &p->t;
    p->changing = !s->in[1]->data;
    if (p->changing && !(weight->kind == VALUE_STATE && weight->next) && !node_is(s->node, "ConvGradInput"))
        return fail(e, ERR_UNSUPPORTED, "a weight that others change");
    int64_t bytes = WINO_POINTS * packed_floats(p->f.k, p->f.n) * (int64_t)sizeof(float);
    int64_t least = bytes < LARGE_FILTERS ? LEAST_TILES : LEAST_TILES + 1;
    if (p->changing ? tiling_pays(t, p->f.n, p->f.k) : t->tiles[0] * t->tiles[1] >= least) return 0;
    return fail(e, ERR_UNSUPPORTED, "the transforms would not pay");
}

/* So many tiles are taken at a time that what is read of them and of the weights is of one size at least, or as many as
 * stay in the cache. */
static void block_size(struct wino *p)
{
    int64_t k = p->f.k, width = panels_of(p->f.n) * PANEL, even = k * width / (k + width);
    int64_t n = CACHE / ((int64_t)sizeof(float) * WINO_POINTS * (k + width));
    if (n < even) n = even;
    p->block = n < 12 ? 12 : n > MOST_TILES ? MOST_TILES : n / 6 * 6;
    p->in_point = p->block * k + WINO_LINE;
    p->out_point = p->block * width + WINO_LINE;
}

static size_t part_floats(const struct wino *p)
{
    return (size_t)(WINO_POINTS * (p->in_point + p->out_point));
}

static size_t filter_floats(const struct wino *p)
{
    return p->changing ? (size_t)(WINO_POINTS * packed_floats(p->f.k, p->f.n)) : 0;
}

static int prepare(struct step *s, struct wino *p, struct err *e)
{
    struct image image;
    const int64_t n = p->f.n, k = p->f.k;
    if (k % 8 || n % 8 || k < LEAST_CHANNELS || n < LEAST_CHANNELS)
        return fail(e, ERR_UNSUPPORTED, "few channels, or no multiple of 8");
    TRY(pays(s, p, e));
    const struct layout *l = form_keep(s, 0);
    if (!l || !image_of(s->in[0], &image)) return fail(e, ERR_UNSUPPORTED, "no channels side by side");
    block_size(p);
    s->want_out[0] = l->backend->layout_alike(l, &s->out[0]->shape, s->arena, e);
    if (e->code) return e->code;
    struct tensor y = { .dtype = DT_F32, .shape = s->out[0]->shape, .layout = s->want_out[0] };
    if (!image_of(&y, &image)) return fail(e, ERR_UNSUPPORTED, "no channels side by side");
    if (!p->changing && !(s->want_in[1] = panel_layout_winograd(s->arena, n, k, e))) return e->code;
    s->work_bytes = (part_floats(p) * (size_t)s->threads + filter_floats(p)) * sizeof(float);
    s->priv = p;
    return 0;
}

/* in: x, weight, bias, residual */
int winograd_prepare(struct step *s, struct err *e)
{
    struct wino *p = ARENA_NEW(s->arena, struct wino);
    const struct shape *w = &s->in[1]->shape;
    TRY_MEM(p, e);
    TRY(tiling_init(&p->t, s->node, &s->in[0]->shape, w, e));
    p->f = (struct filters){ w->dim[0], w->dim[1], w->dim[1] * 9, 9, false, NULL };
    TRY(activation_of(s->node, &p->follows, e));
    TRY(prepare(s, p, e));
    if (s->node->n_in > 3 && s->in[3]) s->want_in[3] = s->want_out[0];
    return 0;
}

/* in: dy, weight, something shaped as x */
int winograd_input_prepare(struct step *s, struct err *e)
{
    struct wino *p = ARENA_NEW(s->arena, struct wino);
    const struct shape *w = &s->in[1]->shape;
    TRY_MEM(p, e);
    TRY(tiling_init(&p->t, s->node, &s->out[0]->shape, w, e));
    tiling_turn(&p->t);
    p->f = (struct filters){ w->dim[1], w->dim[0], 9, w->dim[1] * 9, true, NULL };
    TRY(prepare(s, p, e));
    if (!p->changing) return fail(e, ERR_UNSUPPORTED, "a weight that never changes");
    s->want_in[2] = s->in[2]->layout;
    return 0;
}

int winograd_run(const struct step *s, struct err *e)
{
    const struct wino *p = s->priv;
    struct job j = { .p = p, .weight = s->in[1]->data, .work = s->work, .each = part_floats(p),
        .tiles = tiling_count(&p->t), .parts = s->threads };
    if (p->changing) {
        struct filters f = p->f;
        f.w = j.weight;
        float *packed = j.work + j.each * (size_t)s->threads;
        filters_pack(&f, packed, s->threads);
        j.weight = packed;
    }
    bool gradient = node_is(s->node, "ConvGradInput");
    if (!gradient && s->node->n_in > 2 && s->in[2]) j.bias = s->in[2]->data;
    if (!gradient && s->node->n_in > 3 && s->in[3]) j.residual = s->in[3]->data;
    image_of(s->in[0], &j.x);
    image_of(s->out[0], &j.y);
    if (s->threads > 1 && j.tiles < p->block * s->threads) together(&j, s->threads);
    else team_run(s->threads, j.parts, 1, apart, &j);
    return 0;
}
