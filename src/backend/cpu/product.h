/* product.h - matrix products against a packed matrix.
 *
 * Every element of the result is c + (a[0] b[0] + a[1] b[1] + ...) + (...) ..., fused multiply-adds in this order, a
 * bracket for each DEPTH products: its bits depend neither on the instruction set, nor on threads, nor on the other
 * rows.
 */
#ifndef TENREC_BACKEND_CPU_PRODUCT_H
#define TENREC_BACKEND_CPU_PRODUCT_H

#include "backend/cpu/cpu.h"

/* A packed (k, n) matrix is cut into panels of PANEL columns, the last filled up with zeros; a panel is (k, PANEL). */
enum { PANEL = 32 };
static inline int64_t panels_of(int64_t n)
{
    return (n + PANEL - 1) / PANEL;
}
static inline int64_t packed_floats(int64_t k, int64_t n)
{
    return panels_of(n) * PANEL * k;
}
/* Element (r, c) of the matrix is b[r * row + c * col]. */
void product_pack(int64_t k, int64_t n, const float *b, int64_t row, int64_t col, float *packed);
void product_unpack(int64_t k, int64_t n, const float *packed, float *b, int64_t row, int64_t col);

/* c (m, n) += a (m, k) b (k, n), b packed; `fresh`: c = a b, whatever lay there. */
struct product {
    int64_t m, n, k;
    bool fresh, far; /* far: b lies outside the caches, and its panels are asked for one by one in their order */
    const float *a;
    int64_t a_row, a_col; /* element (r, i) of a is a[r * a_row + i * a_col] */
    const float *b;
    float *c;
    int64_t c_row;
};
void product_panels(const struct product *g, int64_t begin, int64_t end); /* of the panels of b */
void product_run(const struct product *g, int threads);

#endif
