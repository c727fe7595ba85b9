/* bytes_product.h - sums of products of 16-bit numbers that hold 8-bit ones less their zero points: exact in int32. */
#ifndef TENREC_BACKEND_CPU_BYTES_PRODUCT_H
#define TENREC_BACKEND_CPU_BYTES_PRODUCT_H

#include <stdint.h>

#include "backend/cpu/bytes.h"

enum { BYTES_ROWS = 6, BYTES_TERMS_MAX = 32768 /* 255 * 255 times as many fits into 31 bits */ };

/* Where a position of the result finds its inputs: at `tap[t]` from its own place, `pairs` pairs of numbers each. */
struct bytes_taps {
    const int64_t *tap;
    int64_t n, pairs;
};
/* sum[r][panel] for 1 <= rows <= BYTES_ROWS positions; x[r] their places; w one packed panel. */
void bytes_rows(int rows, const int16_t *const *x, const struct bytes_taps *t, const int16_t *w,
    int32_t (*sum)[BYTES_PANEL]);
/* The same where each of 16 channels has a weight of its own (`pairs` is not read). */
void bytes_deep(
    int rows, const int16_t *const *x, const struct bytes_taps *t, const int16_t *w, int32_t (*sum)[BYTES_PANEL]);
/* n bytes less `zero`, as 16-bit numbers. */
void bytes_widen(const void *from, bool is_signed, int zero, int64_t n, int16_t *to);

#endif
