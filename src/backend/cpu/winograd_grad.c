/* winograd_grad.c - the gradient of 3x3 filters by Winograd's F(4x4, 3x3): a quarter of the products.
 *
 *   tiles of x --B--> 36 numbers a channel   \
 *                                              36 matrix products, summed over tiles --G--> gradients of 3x3
 *   tiles of dy --A--> 36 numbers a channel  /
 *
 * Some tiles at a time are transformed by all threads, then their products added by all threads: the sums run in the
 * order of the tiles, so bits do not depend on threads.
 */
#include "backend/cpu/winograd.h"
#include "backend/cpu/winograd_tile.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"

struct job {
    struct tiling t;
    struct image x, dy;
    int64_t n, k;       /* channels of dy and of x */
    int64_t block;      /* tiles taken at a time */
    float *u, *v, *sum; /* 36 times: x in panels (tiles, PANEL); dy (tiles, n); (n, k) */
    int64_t u_point, v_point; /* from one of the 36 to the next */
    int64_t first, count;
};

static void transform(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t i = begin; i < end; i++) {
        tile_input(&j->t, &j->x, j->first + i, j->u + i * PANEL, j->u_point, j->count * PANEL);
        tile_gradient(&j->t, &j->dy, j->first + i, j->v + i * j->n, j->v_point);
    }
}

static void multiply(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    int64_t panels = panels_of(j->k);
    for (int64_t i = begin; i < end; i++) {
        int64_t q = i / panels;
        struct product g = { .m = j->n, .n = j->k, .k = j->count, .a = j->v + q * j->v_point, .a_row = 1,
            .a_col = j->n, .b = j->u + q * j->u_point,
            .c = j->sum + q * j->n * j->k, .c_row = j->k, .fresh = !j->first };
        product_panels(&g, i % panels, i % panels + 1);
    }
}

/* Large sums are read and written for more tiles at a time. */
static int64_t block_size(const struct job *j)
{
    enum { CACHE = 1 << 20, LEAST = 64, MOST = 256 };
    int64_t tile = WINO_POINTS * (j->k + j->n), tiles = tiling_count(&j->t), n = CACHE / tile / 8 * 8;
    if (WINO_POINTS * j->n * j->k > CACHE || n > MOST) n = MOST;
    else if (n < LEAST) n = LEAST;
    return n < tiles ? n : tiles;
}

static size_t place(struct job *j, float *work)
{
    j->u_point = panels_of(j->k) * PANEL * j->block + WINO_LINE;
    j->v_point = j->n * j->block + WINO_LINE;
    int64_t u = WINO_POINTS * j->u_point, v = WINO_POINTS * j->v_point;
    j->u = work;
    if (work) j->v = work + u, j->sum = j->v + v;
    return (size_t)(u + v + WINO_POINTS * j->n * j->k);
}

/* in: dy, x, something shaped as the weight */
int winograd_weight_prepare(struct step *s, struct err *e)
{
    struct job *j = ARENA_NEW(s->arena, struct job);
    TRY_MEM(j, e);
    TRY(tiling_init(&j->t, s->node, &s->in[1]->shape, &s->out[0]->shape, e));
    j->n = s->out[0]->shape.dim[0];
    j->k = s->out[0]->shape.dim[1];
    if (!tiling_pays(&j->t, j->n, j->k)) return fail(e, ERR_UNSUPPORTED, "the transforms would not pay");
    if (!image_of(s->in[0], &j->dy) || !image_of(s->in[1], &j->x))
        return fail(e, ERR_UNSUPPORTED, "no channels side by side");
    for (int i = 0; i < 3; i++) s->want_in[i] = s->in[i]->layout;
    j->block = block_size(j);
    s->work_bytes = place(j, NULL) * sizeof(float);
    s->priv = j;
    return 0;
}

int winograd_weight_run(const struct step *s, struct err *e)
{
    struct job j = *(const struct job *)s->priv;
    place(&j, s->work);
    image_of(s->in[0], &j.dy);
    image_of(s->in[1], &j.x);
    int64_t tiles = tiling_count(&j.t);
    for (j.first = 0; j.first < tiles; j.first += j.block) {
        j.count = tiles - j.first < j.block ? tiles - j.first : j.block;
        team_run(s->threads, j.count, 4, transform, &j);
        team_run(s->threads, WINO_POINTS * panels_of(j.k), 1, multiply, &j);
    }
    filters_gradient(j.n, j.k, j.sum, s->out[0]->data, s->threads);
    return 0;
}
