/* gemm.h - the reference matrix product: tiles of doubles or int64, any strides, any type, no memory of its own. */
#ifndef TENREC_OPS_GEMM_H
#define TENREC_OPS_GEMM_H

#include <stdint.h>

#include "graph/dtype.h"

/* y[i] (m, n) = alpha * a[i] (m, k) * b[i] (k, n) + beta * c (m, n), for i in [0, batch). Strides are in elements. */
struct gemm {
    enum dtype type; /* of all operands; integers wrap in 64 bits and then as a cast does */
    int64_t batch, m, n, k;
    const void *a, *b, *c;            /* c may be NULL; it is the same for the whole batch */
    const int64_t *a_batch, *b_batch; /* offset of each matrix of the batch; NULL: always 0 */
    int64_t a_row, a_col, b_row, b_col, c_row, c_col;
    double alpha, beta;
    void *y; /* row-major */
};
void gemm_run(const struct gemm *g, int threads);

#endif
