/* bytes_product.c - sums of products of 16-bit numbers, two at a time, by the instruction that every x86-64 has for it.
 *
 * The one for bytes (vpmaddubsw) adds two products in 16 bits, which full 8-bit weights overflow; this one cannot. */
#include "backend/cpu/bytes_product.h"

#include <string.h>

static void plain_rows(int rows, const int16_t *const *x, const struct bytes_taps *t, const int16_t *w,
    int32_t (*sum)[BYTES_PANEL])
{
    memset(sum, 0, (size_t)rows * sizeof *sum);
    for (int64_t k = 0; k < t->n; k++)
        for (int64_t i = 0; i < t->pairs; i++, w += 2 * BYTES_PANEL)
            for (int r = 0; r < rows; r++) {
                const int16_t *from = x[r] + t->tap[k] + 2 * i;
                for (int c = 0; c < BYTES_PANEL; c++) sum[r][c] += from[0] * w[2 * c] + from[1] * w[2 * c + 1];
            }
}

static void plain_deep(int rows, const int16_t *const *x, const struct bytes_taps *t, const int16_t *w,
    int32_t (*sum)[BYTES_PANEL])
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < BYTES_PANEL; i++) {
            int channel = i % 4 + i / 4 % 2 * 8 + i / 8 * 4;
            int32_t total = 0;
            for (int64_t k = 0; k < t->n; k++)
                total += x[r][t->tap[k] + channel] * w[k / 2 * 2 * BYTES_PANEL + 2 * i + k % 2];
            sum[r][channel] = total;
        }
}

#if defined __x86_64__
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#if defined __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

AVX2 INLINE __m256i load(const int16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

AVX2 INLINE void store(int32_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

AVX2 INLINE void some_rows(
    int rows, const int16_t *const *x, const struct bytes_taps *t, const int16_t *w, int32_t (*sum)[BYTES_PANEL])
{
    __m256i low[BYTES_ROWS], high[BYTES_ROWS];
    UNROLL
    for (int r = 0; r < rows; r++) low[r] = high[r] = _mm256_setzero_si256();
    for (int64_t k = 0; k < t->n; k++) {
        const int16_t *from[BYTES_ROWS];
        UNROLL
        for (int r = 0; r < rows; r++) from[r] = x[r] + t->tap[k];
        for (int64_t i = 0; i < t->pairs; i++, w += 2 * BYTES_PANEL) {
            __m256i a = load(w), b = load(w + BYTES_PANEL);
            UNROLL
            for (int r = 0; r < rows; r++) {
                int32_t pair;
                memcpy(&pair, from[r] + 2 * i, sizeof pair);
                __m256i v = _mm256_set1_epi32(pair);
                low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(v, a));
                high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(v, b));
            }
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        store(sum[r], low[r]);
        store(sum[r] + 8, high[r]);
    }
}

AVX2 static void avx2_rows(int rows, const int16_t *const *x, const struct bytes_taps *t, const int16_t *w,
    int32_t (*sum)[BYTES_PANEL])
{
    int r = 0;
    if (rows == BYTES_ROWS) return some_rows(BYTES_ROWS, x, t, w, sum);
    if (rows >= 4) some_rows(4, x, t, w, sum), r = 4;
    if (rows - r >= 2) some_rows(2, x + r, t, w, sum + r), r += 2;
    if (rows > r) some_rows(1, x + r, t, w, sum + r);
}

AVX2 static void avx2_deep(int rows, const int16_t *const *x, const struct bytes_taps *t, const int16_t *w,
    int32_t (*sum)[BYTES_PANEL])
{
    for (int r = 0; r < rows; r++) {
        __m256i low = _mm256_setzero_si256(), high = low;
        for (int64_t k = 0; k < t->n; k += 2) {
            __m256i a = load(x[r] + t->tap[k]), b = k + 1 < t->n ? load(x[r] + t->tap[k + 1]) : a;
            const int16_t *of = w + k * BYTES_PANEL;
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), load(of)));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), load(of + BYTES_PANEL)));
        }
        store(sum[r], _mm256_permute2x128_si256(low, high, 0x20));
        store(sum[r] + 8, _mm256_permute2x128_si256(low, high, 0x31));
    }
}
#endif

static bool has_avx2(void)
{
#if defined __x86_64__
    return __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

#if !defined __x86_64__
#define avx2_rows plain_rows
#define avx2_deep plain_deep
#endif

void bytes_rows(int rows, const int16_t *const *x, const struct bytes_taps *t, const int16_t *w,
    int32_t (*sum)[BYTES_PANEL])
{
    (has_avx2() ? avx2_rows : plain_rows)(rows, x, t, w, sum);
}

void bytes_deep(
    int rows, const int16_t *const *x, const struct bytes_taps *t, const int16_t *w, int32_t (*sum)[BYTES_PANEL])
{
    (has_avx2() ? avx2_deep : plain_deep)(rows, x, t, w, sum);
}

CLONES static void widen_unsigned(const uint8_t *from, int zero, int64_t n, int16_t *to)
{
    for (int64_t i = 0; i < n; i++) to[i] = (int16_t)(from[i] - zero);
}

CLONES static void widen_signed(const int8_t *from, int zero, int64_t n, int16_t *to)
{
    for (int64_t i = 0; i < n; i++) to[i] = (int16_t)(from[i] - zero);
}

void bytes_widen(const void *from, bool is_signed, int zero, int64_t n, int16_t *to)
{
    if (is_signed) widen_signed(from, zero, n, to);
    else widen_unsigned(from, zero, n, to);
}
