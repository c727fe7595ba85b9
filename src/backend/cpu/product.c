/* product.c - matrix products against a packed matrix. */
#include "backend/cpu/product.h"

#include <string.h>

#include "base/team.h"

#if defined __x86_64__
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f")))
#define TILE(part) avx512##part
#define TILE_ROWS 6
#define WIDTH 16
#define VECTOR __m512
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define SPREAD _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#include "backend/cpu/product_tile.h"

#define TARGET __attribute__((target("avx2,fma")))
#define TILE(part) avx2##part
#define TILE_ROWS 3
#define WIDTH 8
#define VECTOR __m256
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define SPREAD _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#include "backend/cpu/product_tile.h"
#endif

#include "backend/cpu/product_tile.h"

enum { DEPTH = 256 }; /* so much of a panel stays in the first cache */

typedef void (*panel_function)(
    const struct product *g, const float *a, const float *b, float *c, int64_t c_row, int64_t k);

static panel_function best(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f")) return avx512_panel;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2_panel;
#endif
    return plain_panel;
}

void product_pack(int64_t k, int64_t n, const float *b, int64_t row, int64_t col, float *packed)
{
    for (int64_t p = 0; p < panels_of(n); p++) {
        int64_t cols = n - p * PANEL < PANEL ? n - p * PANEL : PANEL;
        for (int64_t i = 0; i < k; i++, packed += PANEL) {
            const float *from = b + i * row + p * PANEL * col;
            for (int64_t c = 0; c < cols; c++) packed[c] = from[c * col];
            for (int64_t c = cols; c < PANEL; c++) packed[c] = 0;
        }
    }
}

void product_unpack(int64_t k, int64_t n, const float *packed, float *b, int64_t row, int64_t col)
{
    for (int64_t p = 0; p < panels_of(n); p++)
        for (int64_t i = 0; i < k; i++, packed += PANEL)
            for (int64_t c = 0; c < PANEL && p * PANEL + c < n; c++)
                b[i * row + (p * PANEL + c) * col] = packed[c];
}

/* A panel that is not full is worked on a few rows at a time in a place of its own. */
static void narrow_panel(
    panel_function run, const struct product *g, const float *a, const float *b, float *c, int64_t cols, int64_t k)
{
    enum { ROWS = 12 };
    float whole[ROWS * PANEL];
    struct product some = *g;
    for (int64_t r = 0; r < g->m; r += ROWS) {
        some.m = g->m - r < ROWS ? g->m - r : ROWS;
        memset(whole, 0, sizeof whole);
        for (int64_t i = 0; i < some.m; i++)
            memcpy(whole + i * PANEL, c + (r + i) * g->c_row, (size_t)cols * sizeof *c);
        run(&some, a + r * g->a_row, b, whole, PANEL, k);
        for (int64_t i = 0; i < some.m; i++)
            memcpy(c + (r + i) * g->c_row, whole + i * PANEL, (size_t)cols * sizeof *c);
    }
}

void product_panels(const struct product *g, int64_t begin, int64_t end)
{
    panel_function run = best();
    for (int64_t from = 0; from < g->k; from += DEPTH) {
        int64_t k = g->k - from < DEPTH ? g->k - from : DEPTH;
        const float *a = g->a + from * g->a_col;
        for (int64_t p = begin; p < end; p++) {
            const float *b = g->b + (p * g->k + from) * PANEL;
            int64_t cols = g->n - p * PANEL;
            if (cols >= PANEL) run(g, a, b, g->c + p * PANEL, g->c_row, k);
            else narrow_panel(run, g, a, b, g->c + p * PANEL, cols, k);
        }
    }
}

static void part(void *ctx, int64_t begin, int64_t end)
{
    product_panels(ctx, begin, end);
}

/* A panel's rows are shared out when there are more threads than panels are worth. */
static void rows_part(void *ctx, int64_t begin, int64_t end)
{
    struct product g = *(const struct product *)ctx;
    g.a += begin * g.a_row;
    g.c += begin * g.c_row;
    g.m = end - begin;
    product_panels(&g, 0, panels_of(g.n));
}

void product_run(const struct product *g, int threads)
{
    int64_t panels = panels_of(g->n), work = g->k * PANEL;
    if (g->m > panels) team_run(threads, g->m, 1 + 32768 / (work * panels + 1), rows_part, (void *)(uintptr_t)g);
    else team_run(threads, panels, 1 + 32768 / (work * g->m + 1), part, (void *)(uintptr_t)g);
}
