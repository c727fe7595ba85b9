/* winograd_tile.h - the transforms of Winograd's F(4x4, 3x3), one tile of all channels at a time. */
#ifndef TENREC_BACKEND_CPU_WINOGRAD_TILE_H
#define TENREC_BACKEND_CPU_WINOGRAD_TILE_H

#include "backend/cpu/form.h"
#include "backend/cpu/product.h"

enum { WINO_IN = 6, WINO_OUT = 4, WINO_POINTS = WINO_IN * WINO_IN };
/* Each of the 36 matrices of tiles begins a line later, lest all their lines fall into one set of the cache. */
enum { WINO_LINE = 16 };

/* The polynomials are taken at 0, P, -P, Q, -Q and infinity. These points are exact in binary, and their rounding is a
 * quarter of that at 1 and 2 (largest difference of 64 channels of random numbers: 7 and 28 times a direct sum's). */
#define WINO_P 0.625
#define WINO_Q 1.5
extern const double wino_g[WINO_IN][3];

/* A convolution of 3x3, step 1: its large side, its small one in tiles of WINO_OUT x WINO_OUT. Height, width. */
struct tiling {
    int64_t before[2], in[2], out[2], tiles[2];
    int64_t samples;
};
int64_t tiling_count(const struct tiling *t);
/* The convolution of a node by its large side's shape and its weight's. ERR_UNSUPPORTED: another kind. */
int tiling_init(struct tiling *t, const struct node *n, const struct shape *x, const struct shape *w, struct err *e);
/* The convolution by the turned filters that gives the gradient of the large side. */
void tiling_turn(struct tiling *t);
/* Whether so few products make up for the transforms: of filters that change with every run, of n by k channels. */
bool tiling_pays(const struct tiling *t, int64_t n, int64_t k);

struct tile {
    int64_t sample, y, x; /* its first output */
};
struct tile tile_at(const struct tiling *t, int64_t index);

struct image {
    struct form form;
    float *data;
};
/* Whether its channels lie side by side, in groups that the transforms can take. */
bool image_of(const struct tensor *t, struct image *to);
/* Where channel c of position 0 of sample n lies. */
INLINE int64_t image_at(const struct image *i, int64_t n, int64_t c)
{
    const struct form *f = &i->form;
    return (n * f->blocks + c / f->channels) * f->positions * f->channels + c % f->channels;
}
/* Channels that are taken at a time: a part of PANEL. */
INLINE int image_side(const struct image *i)
{
    return i->form.channels % 16 ? 8 : 16;
}

/* 36 numbers a channel of the tile, `point` apart; of panels of channels that are `panel` apart. */
void tile_input(const struct tiling *t, const struct image *x, int64_t index, float *to, int64_t point, int64_t panel);
/* The same of 4x4 numbers of the small side, by the transform that is the transpose of the way back. */
void tile_gradient(const struct tiling *t, const struct image *dy, int64_t index, float *to, int64_t point);

/* Filters of n by k channels: of these the 9 numbers lie together, turned round where `turned`. */
struct filters {
    int64_t n, k, n_step, k_step;
    bool turned;
    const float *w;
};
/* WINO_POINTS packed matrices (k, n), in double, rounded once. */
void filters_pack(const struct filters *f, float *packed, int threads);
/* Gradients by the 36 matrices (n, k) to those by the filters, (n, k, 3, 3). */
void filters_gradient(int64_t n, int64_t k, const float *points, float *dw, int threads);

#endif
