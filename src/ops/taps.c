/* taps.c - weighted sums of elements that lie anywhere in a plane. */
#include "ops/taps.h"

#include "base/clones.h"
#include "base/err.h"
#include "ops/operand.h"

int taps_open(struct taps_planes *p, const struct step *s, const struct tensor *t, struct err *e)
{
    *p = (struct taps_planes){ t->dtype == DT_F32 ? t->data : NULL, NULL };
    if (!p->narrow) p->wide = operand_load(s, t, e);
    return e->code;
}

/* FOUR taps at a time, and the others, so that sums stay in registers. */
#define TAPS(name, type) \
    INLINE double name##_tap(const type *x, const int64_t *at, const double *weight) \
    { \
        int64_t k = *at < 0 ? 0 : *at; \
        double v = *weight * (double)x[k]; \
        return *at < 0 ? 0 : v; \
    } \
    CLONES static void name( \
        const type *x, const int64_t *at, const double *weight, int64_t taps, int64_t n, double *restrict y) \
    { \
        int64_t t = 0; \
        for (; t + FOUR <= taps; t += FOUR, at += FOUR * n, weight += FOUR * n) { \
            for (int64_t i = 0; i < n; i++) { \
                double sum = t ? y[i] : 0; \
                for (int64_t k = 0; k < FOUR; k++) sum += name##_tap(x, at + k * n + i, weight + k * n + i); \
                y[i] = sum; \
            } \
        } \
        for (; t < taps; t++, at += n, weight += n) { \
            for (int64_t i = 0; i < n; i++) y[i] = (t ? y[i] : 0) + name##_tap(x, at + i, weight + i); \
        } \
    }
enum { FOUR = 4 };
TAPS(narrow, float)
TAPS(wide, double)

#if defined __x86_64__
#include <immintrin.h>
/* The same with the instruction that loads eight numbers from eight places. */
__attribute__((target("avx512f,avx512vl"))) static void gathered(
    const float *x, const int64_t *at, const double *weight, int64_t taps, int64_t n, double *y)
{
    for (int64_t i = 0; i < n; i += 8) {
        __mmask8 some = n - i < 8 ? (__mmask8)((1 << (n - i)) - 1) : 0xff;
        __m512d sum = _mm512_setzero_pd();
        for (int64_t t = i; t < taps * n; t += n) {
            __m512i k = _mm512_maskz_loadu_epi64(some, at + t);
            __mmask8 inside = _mm512_mask_cmpge_epi64_mask(some, k, _mm512_setzero_si512());
            __m256 v = _mm512_mask_i64gather_ps(_mm256_setzero_ps(), inside, k, x, sizeof *x);
            __m512d by = _mm512_maskz_loadu_pd(inside, weight + t);
            sum = _mm512_add_pd(sum, _mm512_mul_pd(by, _mm512_cvtps_pd(v)));
        }
        _mm512_mask_storeu_pd(y + i, some, sum);
    }
}

static bool has_gather(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
}
#else
#define gathered narrow
#define has_gather() false
#endif

void taps_sum(const struct taps_planes *p, int64_t plane, const int64_t *at, const double *weight, int64_t taps,
    int64_t n, double *y)
{
    if (p->narrow && has_gather()) gathered(p->narrow + plane, at, weight, taps, n, y);
    else if (p->narrow) narrow(p->narrow + plane, at, weight, taps, n, y);
    else wide(p->wide + plane, at, weight, taps, n, y);
}
