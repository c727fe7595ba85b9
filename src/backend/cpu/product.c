/* product.c - matrix products against a packed matrix. */
#include "backend/cpu/product.h"

#include <math.h>
#include <string.h>

#include "base/team.h"

/* A panel by name##_panel, a few rows at a time, for one instruction set: vectors of `width` numbers, and so many rows
 * that their sums stay in registers. */
#define PANEL_FUNCTIONS(name, target, high, width, vector, load, store, spread, fma) \
    target INLINE void name##_rows(int rows, const struct product *g, bool fresh, const float *a, const float *b, \
        float *c, int64_t c_row, int64_t k) \
    { \
        vector sum[high][PANEL / width]; \
        for (int r = 0; r < rows; r++) \
            for (int v = 0; v < PANEL / width; v++) sum[r][v] = fresh ? (vector){ 0 } : load(c + r * c_row + v * width); \
        for (int64_t i = 0; i < k; i++) \
            for (int r = 0; r < rows; r++) { \
                vector x = spread(a[r * g->a_row + i * g->a_col]); \
                for (int v = 0; v < PANEL / width; v++) \
                    sum[r][v] = fma(x, load(b + i * PANEL + v * width), sum[r][v]); \
            } \
        for (int r = 0; r < rows; r++) \
            for (int v = 0; v < PANEL / width; v++) store(c + r * c_row + v * width, sum[r][v]); \
    } \
    target static void name##_panel(const struct product *g, bool fresh, const float *a, const float *b, float *c, \
        int64_t c_row, int64_t k) \
    { \
        int64_t r = 0; \
        for (; r + high <= g->m; r += high) \
            name##_rows(high, g, fresh, a + r * g->a_row, b, c + r * c_row, c_row, k); \
        for (; r + 2 <= g->m; r += 2) name##_rows(2, g, fresh, a + r * g->a_row, b, c + r * c_row, c_row, k); \
        for (; r < g->m; r++) name##_rows(1, g, fresh, a + r * g->a_row, b, c + r * c_row, c_row, k); \
    }

#define LOAD_ONE(p) (*(p))
#define STORE_ONE(p, v) (*(p) = (v))
#define SPREAD_ONE(v) (v)
PANEL_FUNCTIONS(plain, , 2, 1, float, LOAD_ONE, STORE_ONE, SPREAD_ONE, fmaf)

#if defined __x86_64__
#include <immintrin.h>
PANEL_FUNCTIONS(avx2, __attribute__((target("avx2,fma"))), 3, 8, __m256, _mm256_loadu_ps, _mm256_storeu_ps,
    _mm256_set1_ps, _mm256_fmadd_ps)
PANEL_FUNCTIONS(avx512, __attribute__((target("avx512f"))), 6, 16, __m512, _mm512_loadu_ps, _mm512_storeu_ps,
    _mm512_set1_ps, _mm512_fmadd_ps)
#endif

enum { DEPTH = 256 }; /* so much of a panel stays in the first cache */

typedef void (*panel_function)(
    const struct product *g, bool fresh, const float *a, const float *b, float *c, int64_t c_row, int64_t k);

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
static void narrow_panel(panel_function run, const struct product *g, bool fresh, const float *a, const float *b,
    float *c, int64_t cols, int64_t k)
{
    enum { ROWS = 12 };
    float whole[ROWS * PANEL];
    struct product some = *g;
    for (int64_t r = 0; r < g->m; r += ROWS) {
        some.m = g->m - r < ROWS ? g->m - r : ROWS;
        memset(whole, 0, sizeof whole);
        for (int64_t i = 0; i < some.m; i++)
            memcpy(whole + i * PANEL, c + (r + i) * g->c_row, (size_t)cols * sizeof *c);
        run(&some, fresh, a + r * g->a_row, b, whole, PANEL, k);
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
        bool fresh = g->fresh && !from;
        for (int64_t p = begin; p < end; p++) {
            const float *b = g->b + (p * g->k + from) * PANEL;
            int64_t cols = g->n - p * PANEL;
            if (cols >= PANEL) run(g, fresh, a, b, g->c + p * PANEL, g->c_row, k);
            else narrow_panel(run, g, fresh, a, b, g->c + p * PANEL, cols, k);
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
