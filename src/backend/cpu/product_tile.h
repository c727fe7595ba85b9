/* product_tile.h - a few rows of one panel; included once for each instruction set, which defines these
 * macros; in plain C when it does not. */
#include <math.h>

#include "backend/cpu/product.h"

#ifndef TARGET
#define TARGET
#define TILE(part) plain##part
#define TILE_ROWS 2
#define WIDTH 1
#define VECTOR float
#define LOAD(p) (*(p))
#define STORE(p, v) (*(p) = (v))
#define SPREAD(v) (v)
#define FMA fmaf
#endif

TARGET INLINE void TILE(_rows)(int rows, const struct product *g, const float *a, const float *b, float *c, int64_t c_row,
    int64_t k)
{
    VECTOR sum[TILE_ROWS][PANEL / WIDTH];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < PANEL / WIDTH; v++) sum[r][v] = LOAD(c + r * c_row + v * WIDTH);
    for (int64_t i = 0; i < k; i++)
        for (int r = 0; r < rows; r++) {
            VECTOR x = SPREAD(a[r * g->a_row + i * g->a_col]);
            for (int v = 0; v < PANEL / WIDTH; v++) sum[r][v] = FMA(x, LOAD(b + i * PANEL + v * WIDTH), sum[r][v]);
        }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < PANEL / WIDTH; v++) STORE(c + r * c_row + v * WIDTH, sum[r][v]);
}

TARGET static void TILE(_panel)(const struct product *g, const float *a, const float *b, float *c, int64_t c_row, int64_t k)
{
    int64_t r = 0;
    for (; r + TILE_ROWS <= g->m; r += TILE_ROWS)
        TILE(_rows)(TILE_ROWS, g, a + r * g->a_row, b, c + r * c_row, c_row, k);
    for (; r + 2 <= g->m; r += 2) TILE(_rows)(2, g, a + r * g->a_row, b, c + r * c_row, c_row, k);
    for (; r < g->m; r++) TILE(_rows)(1, g, a + r * g->a_row, b, c + r * c_row, c_row, k);
}

#undef TARGET
#undef TILE
#undef TILE_ROWS
#undef WIDTH
#undef VECTOR
#undef LOAD
#undef STORE
#undef SPREAD
#undef FMA
