/* product.c - matrix products against a packed matrix. */
#include "backend/cpu/product.h"

#include <math.h>
#include <string.h>

#include "base/team.h"

/* Of the k rows of a panel that come next, the part that `high` rows of `a` are of all. */
INLINE void fetch_ahead(int64_t row, int64_t high, int64_t rows, const float *next, int64_t k)
{
    enum { LINE = 16 };
    int64_t lines = k * PANEL / LINE;
    for (int64_t i = lines * row / rows; i < lines * (row + high) / rows; i++)
        __builtin_prefetch(next + i * LINE, 0, 3);
}

/* Elements from .. from + k of the sums of some panels, for one instruction set with vectors of `width` numbers: `high`
 * rows of a panel at a time; of the 4, 2 and 1 rows that are left so many panels that their sums fill the registers. */
#define PANEL_FUNCTIONS(name, target, high, of_four, of_two, of_one, width, vector, load, store, spread, fma) \
    target INLINE void name##_block( \
        int rows, int panels, const struct product *g, int64_t row, int64_t panel, int64_t from, int64_t k) \
    { \
        const float *a = g->a + row * g->a_row + from * g->a_col, *b = g->b + (panel * g->k + from) * PANEL; \
        float *c = g->c + row * g->c_row + panel * PANEL; \
        bool fresh = g->fresh && !from; \
        vector sum[high][SIDE][PANEL / width]; \
        for (int r = 0; r < rows; r++) \
            for (int p = 0; p < panels; p++) \
                for (int v = 0; v < PANEL / width; v++) sum[r][p][v] = (vector){ 0 }; \
        for (int r = 0; r < rows && !fresh; r++) /* what lies there is on its way while the sums are made */ \
            for (int v = 0; v < panels * PANEL; v += 16) __builtin_prefetch(c + r * g->c_row + v, 1); \
        for (int64_t i = 0; i < k; i++) \
            for (int r = 0; r < rows; r++) { \
                vector x = spread(a[r * g->a_row + i * g->a_col]); \
                for (int p = 0; p < panels; p++) \
                    for (int v = 0; v < PANEL / width; v++) \
                        sum[r][p][v] = fma(x, load(b + (p * g->k + i) * PANEL + v * width), sum[r][p][v]); \
            } \
        for (int r = 0; r < rows; r++) \
            for (int p = 0; p < panels; p++) \
                for (int v = 0; v < PANEL / width; v++) { \
                    float *to = c + r * g->c_row + p * PANEL + v * width; \
                    vector old = fresh ? (vector){ 0 } : load(to); \
                    store(to, old + sum[r][p][v]); \
                } \
    } \
    target INLINE void name##_left(int rows, int wide, const struct product *g, int64_t *row, int64_t panel, \
        int64_t panels, int64_t from, int64_t k) \
    { \
        for (; *row + rows <= g->m; *row += rows) { \
            int64_t p = 0; \
            for (; p + wide <= panels; p += wide) name##_block(rows, wide, g, *row, panel + p, from, k); \
            for (; wide > 1 && p < panels; p++) name##_block(rows, 1, g, *row, panel + p, from, k); \
        } \
    } \
    target static void name##_panels(const struct product *g, int64_t begin, int64_t end, int64_t from, int64_t k) \
    { \
        for (int64_t p = begin; p < end; p += SIDE) { \
            int64_t panels = end - p < SIDE ? end - p : SIDE, r = g->m / high * high; \
            for (int64_t q = p; q < p + panels; q++) \
                for (int64_t h = 0; h < r; h += high) { \
                    if (g->far) fetch_ahead(h, high, r, g->b + (q * g->k + from + k) * PANEL, k); \
                    name##_block(high, 1, g, h, q, from, k); \
                } \
            if (high > 4) name##_left(4, of_four, g, &r, p, panels, from, k); \
            name##_left(2, of_two, g, &r, p, panels, from, k); \
            name##_left(1, of_one, g, &r, p, panels, from, k); \
        } \
    }
enum { SIDE = 4 }; /* panels that are worked on together at most */

#define LOAD_ONE(p) (*(p))
#define STORE_ONE(p, v) (*(p) = (v))
#define SPREAD_ONE(v) (v)
PANEL_FUNCTIONS(plain, , 4, 1, 1, 1, 1, float, LOAD_ONE, STORE_ONE, SPREAD_ONE, fmaf)

#if defined __x86_64__
#include <immintrin.h>
PANEL_FUNCTIONS(avx2, __attribute__((target("avx2,fma"))), 3, 1, 1, 2, 8, __m256, _mm256_loadu_ps, _mm256_storeu_ps,
    _mm256_set1_ps, _mm256_fmadd_ps)
PANEL_FUNCTIONS(avx512, __attribute__((target("avx512f"))), 8, 2, 4, 4, 16, __m512, _mm512_loadu_ps, _mm512_storeu_ps,
    _mm512_set1_ps, _mm512_fmadd_ps)
#endif

enum { DEPTH = 128 }; /* so much of a panel stays in the first cache, and sums of so many numbers round little */

typedef void (*panels_function)(
    const struct product *g, int64_t begin, int64_t end, int64_t from, int64_t k);

static panels_function best(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f")) return avx512_panels;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2_panels;
#endif
    return plain_panels;
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
static void narrow_panel(panels_function run, const struct product *g, int64_t panel, int64_t from, int64_t k)
{
    enum { ROWS = 16 };
    float whole[ROWS * PANEL] = { 0 };
    struct product some = *g;
    size_t bytes = (size_t)(g->n - panel * PANEL) * sizeof *g->c;
    some.b = g->b + panel * g->k * PANEL;
    some.c = whole;
    some.c_row = PANEL;
    for (int64_t r = 0; r < g->m; r += ROWS) {
        float *c = g->c + r * g->c_row + panel * PANEL;
        some.m = g->m - r < ROWS ? g->m - r : ROWS;
        some.a = g->a + r * g->a_row;
        for (int64_t i = 0; i < some.m; i++) memcpy(whole + i * PANEL, c + i * g->c_row, bytes);
        run(&some, 0, 1, from, k);
        for (int64_t i = 0; i < some.m; i++) memcpy(c + i * g->c_row, whole + i * PANEL, bytes);
    }
}

void product_panels(const struct product *g, int64_t begin, int64_t end)
{
    panels_function run = best();
    int64_t full = g->n / PANEL < end ? g->n / PANEL : end;
    for (int64_t from = 0; from < g->k; from += DEPTH) {
        int64_t k = g->k - from < DEPTH ? g->k - from : DEPTH;
        run(g, begin, full, from, k);
        if (full < end) narrow_panel(run, g, full, from, k);
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
