/* gemm.c - the reference matrix product. Every sum runs over k in order, whatever the tiles and threads. */
#include "ops/gemm.h"

#include <string.h>

#include "base/team.h"
#include "graph/tensor.h"

enum { TILE_M = 32, TILE_N = 64, TILE_K = 64 };

union word {
    double f;
    int64_t i;
};

struct tile {
    int64_t m, n, k; /* used part */
    union word a[TILE_M * TILE_K], b[TILE_K * TILE_N], y[TILE_M * TILE_N];
};

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void load(enum dtype t, const void *from, int64_t offset, int64_t n, union word *to)
{
    const unsigned char *p = (const unsigned char *)from + (size_t)offset * dtype_size(t);
    if (dtype_is_float(t)) load_f64(t, p, n, &to->f);
    else load_i64(t, p, n, &to->i);
}

/* A rows x cols piece at `offset` into `to`, whose rows are `pitch` apart. */
static void load_tile(enum dtype t, const void *from, int64_t offset, int64_t row, int64_t col, int64_t rows,
    int64_t cols, union word *to, int64_t pitch)
{
    union word line[TILE_N > TILE_K ? TILE_N : TILE_K];
    if (col == 1 || row != 1) {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c += col == 1 ? cols : 1)
                load(t, from, offset + r * row + c * col, col == 1 ? cols : 1, to + r * pitch + c);
        return;
    }
    for (int64_t c = 0; c < cols; c++) {
        load(t, from, offset + c * col, rows, line);
        for (int64_t r = 0; r < rows; r++) to[r * pitch + c] = line[r];
    }
}

static void multiply_f(struct tile *t)
{
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t k = 0; k < t->k; k++) {
            double a = t->a[i * TILE_K + k].f;
            const union word *b = &t->b[k * TILE_N];
            union word *y = &t->y[i * TILE_N];
            for (int64_t j = 0; j < t->n; j++) y[j].f += a * b[j].f;
        }
}

static void multiply_i(struct tile *t)
{
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t k = 0; k < t->k; k++) {
            uint64_t a = (uint64_t)t->a[i * TILE_K + k].i;
            for (int64_t j = 0; j < t->n; j++) {
                union word *y = &t->y[i * TILE_N + j];
                y->i = (int64_t)((uint64_t)y->i + a * (uint64_t)t->b[k * TILE_N + j].i);
            }
        }
}

static void scale(const struct gemm *g, struct tile *t, bool floats)
{
    if (g->alpha == 1) return;
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t j = 0; j < t->n; j++) {
            union word *y = &t->y[i * TILE_N + j];
            if (floats) y->f *= g->alpha;
            else y->i = (int64_t)((double)y->i * g->alpha);
        }
}

static void add_c(const struct gemm *g, struct tile *t, int64_t row, int64_t col, bool floats)
{
    union word c[TILE_N];
    if (!g->c || g->beta == 0) return;
    for (int64_t i = 0; i < t->m; i++) {
        union word *y = &t->y[i * TILE_N];
        load_tile(g->type, g->c, (row + i) * g->c_row + col * g->c_col, 0, g->c_col, 1, t->n, c, 0);
        for (int64_t j = 0; j < t->n; j++)
            if (floats) y[j].f += g->beta * c[j].f;
            else
                y[j].i = (int64_t)((uint64_t)y[j].i +
                    (uint64_t)(g->beta == 1 ? c[j].i : (int64_t)(g->beta * (double)c[j].i)));
    }
}

static void store(const struct gemm *g, struct tile *t, int64_t batch, int64_t row, int64_t col, bool floats)
{
    for (int64_t i = 0; i < t->m; i++) {
        size_t offset = (size_t)((batch * g->m + row + i) * g->n + col) * dtype_size(g->type);
        void *to = (unsigned char *)g->y + offset;
        if (floats) store_f64(g->type, to, t->n, &t->y[i * TILE_N].f);
        else store_i64(g->type, to, t->n, &t->y[i * TILE_N].i);
    }
}

static void one_tile(const struct gemm *g, int64_t batch, int64_t row, int64_t col)
{
    struct tile t;
    bool floats = dtype_is_float(g->type);
    int64_t a = (g->a_batch ? g->a_batch[batch] : 0) + row * g->a_row,
            b = (g->b_batch ? g->b_batch[batch] : 0) + col * g->b_col;
    t.m = min(TILE_M, g->m - row);
    t.n = min(TILE_N, g->n - col);
    memset(t.y, 0, sizeof t.y);
    for (int64_t k = 0; k < g->k; k += TILE_K) {
        t.k = min(TILE_K, g->k - k);
        load_tile(g->type, g->a, a + k * g->a_col, g->a_row, g->a_col, t.m, t.k, t.a, TILE_K);
        load_tile(g->type, g->b, b + k * g->b_row, g->b_row, g->b_col, t.k, t.n, t.b, TILE_N);
        if (floats) multiply_f(&t);
        else multiply_i(&t);
    }
    scale(g, &t, floats);
    add_c(g, &t, row, col, floats);
    store(g, &t, batch, row, col, floats);
}

static void tiles(void *ctx, int64_t begin, int64_t end)
{
    const struct gemm *g = ctx;
    int64_t rows = (g->m + TILE_M - 1) / TILE_M, cols = (g->n + TILE_N - 1) / TILE_N;
    for (int64_t t = begin; t < end; t++) one_tile(g, t / (rows * cols), t / cols % rows * TILE_M, t % cols * TILE_N);
}

void gemm_run(const struct gemm *g, int threads)
{
    int64_t rows = (g->m + TILE_M - 1) / TILE_M, cols = (g->n + TILE_N - 1) / TILE_N;
    team_run(threads, g->batch * rows * cols, 1, tiles, (void *)(uintptr_t)g);
}
