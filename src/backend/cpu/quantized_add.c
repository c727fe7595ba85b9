/* quantized_add.c - sums of two quantized tensors, to the bit as ops/quantized.h says. */
#include <math.h>

#include "backend/cpu/nearest.h"
#include "backend/cpu/quantized.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/quantize.h"
#include "ops/quantized.h"

enum { GRAIN = 1 << 14 };

struct term {
    const uint8_t *x;
    int flip, zero; /* x ^ flip is unsigned; the zero point of that */
    float scale;
};

struct sum {
    struct term a, b;
    uint8_t *y;
    float step; /* of the result */
    struct finish f;
};

bool quantized_add_accepts(const struct step *s, struct str *why)
{
    static const int single[] = { QA_SCALE, QA_ZERO, QB_SCALE, QB_ZERO, QS_SCALE, QS_ZERO };
    bool ones = true, alike = shape_equal(&s->in[QA]->shape, &s->in[QB]->shape);
    for (int i = 0; i < 6; i++) ones = ones && s->in[single[i]] && is_single(s->in[single[i]]);
    if (why && !(ones && alike)) str_add(why, ones ? "terms of different shapes" : "not one scale and zero point each");
    return ones && alike;
}

int quantized_add_prepare(struct step *s, struct err *e)
{
    const struct layout *l = bytes_keep(s, QA);
    s->want_in[QB] = s->want_out[0] = l ? l : bytes_keep(s, QB);
    s->want_in[QA] = s->want_in[QB];
    return 0;
}

static struct term term(const struct step *s, int x, int scale, int zero)
{
    int flip = s->in[x]->dtype == DT_I8 ? 128 : 0;
    return (struct term){ s->in[x]->data, flip, (int)single_value(s->in[zero], 0) + flip,
        (float)single_value(s->in[scale], 1) };
}

INLINE float real_of(const struct term *t, int64_t i)
{
    return (float)((t->x[i] ^ t->flip) - t->zero) * t->scale;
}

CLONES static void add_span(void *ctx, int64_t begin, int64_t end)
{
    const struct sum j = *(const struct sum *)ctx;
    const struct term a = j.a, b = j.b;
    uint8_t *restrict y = j.y;
    for (int64_t i = begin; i < end; i++)
        y[i] = (uint8_t)(nearest((real_of(&a, i) + real_of(&b, i)) / j.step, j.f.low, j.f.high) + j.f.zero);
}

struct ratios {
    const uint8_t *a, *b;
    uint8_t *y;
    int flip_a, flip_b; /* how signed numbers are made from their bytes */
    float ra, rb, rest, low, high;
};

/* Where fmaf() is no instruction it is slow, and gives the same. */
CLONES static void ratios_span(void *ctx, int64_t begin, int64_t end)
{
    const struct ratios j = *(const struct ratios *)ctx;
    for (int64_t i = begin; i < end; i++) {
        float a = (float)((j.a[i] ^ j.flip_a) - j.flip_a), b = (float)((j.b[i] ^ j.flip_b) - j.flip_b);
        j.y[i] = (uint8_t)nearest(fmaf(a, j.ra, fmaf(b, j.rb, j.rest)), j.low, j.high);
    }
}

#if defined __x86_64__
#include <immintrin.h>
#define AVX512 __attribute__((target("avx512f,avx512bw")))

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

/* Sixteen bytes, `flip` making them unsigned, less `zero` of those. */
AVX512 INLINE __m512 whole(const uint8_t *x, int flip, int zero)
{
    __m128i bytes = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)x), _mm_set1_epi8((char)flip));
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(zero)));
}

AVX512 INLINE __m512i rounded(__m512 v, float low, float high)
{
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(low)), _mm512_set1_ps(high)));
}

/* The low bytes of four times sixteen numbers. Packing works on quarters of vectors, which are put in order at last. */
AVX512 INLINE __m512i low_bytes(__m512i a, __m512i b, __m512i c, __m512i d)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i mask = _mm512_set1_epi16(255);
    __m512i low = _mm512_and_si512(_mm512_packs_epi32(a, b), mask);
    __m512i high = _mm512_and_si512(_mm512_packs_epi32(c, d), mask);
    return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high));
}

AVX512 INLINE __m512i add_sixteen(const struct sum *j, float inverse, int64_t i)
{
    __m512 a = _mm512_mul_ps(whole(j->a.x + i, j->a.flip, j->a.zero), _mm512_set1_ps(j->a.scale));
    __m512 b = _mm512_mul_ps(whole(j->b.x + i, j->b.flip, j->b.zero), _mm512_set1_ps(j->b.scale));
    __m512 x = _mm512_add_ps(a, b), by = _mm512_set1_ps(j->step), one = _mm512_set1_ps(inverse);
    __m512 q = _mm512_mul_ps(x, one); /* quotient() */
    q = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, by, x), one, q);
    q = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, by, x), one, q);
    return rounded(q, j->f.low, j->f.high);
}

/* As add_span(). */
AVX512 static void add_wide(void *ctx, int64_t begin, int64_t end)
{
    const struct sum *j = ctx;
    const float inverse = 1 / j->step;
    const __m512i zero = _mm512_set1_epi8((char)j->f.zero);
    int64_t i = begin;
    for (; i + 64 <= end; i += 64) {
        __m512i all = low_bytes(add_sixteen(j, inverse, i), add_sixteen(j, inverse, i + 16),
            add_sixteen(j, inverse, i + 32), add_sixteen(j, inverse, i + 48));
        _mm512_storeu_si512(j->y + i, _mm512_add_epi8(all, zero));
    }
    add_span(ctx, i, end);
}

AVX512 INLINE __m512i ratios_sixteen(const struct ratios *j, int64_t i)
{
    __m512 a = whole(j->a + i, j->flip_a, j->flip_a), b = whole(j->b + i, j->flip_b, j->flip_b);
    __m512 v = _mm512_fmadd_ps(b, _mm512_set1_ps(j->rb), _mm512_set1_ps(j->rest));
    return rounded(_mm512_fmadd_ps(a, _mm512_set1_ps(j->ra), v), j->low, j->high);
}

/* As ratios_span(). */
AVX512 static void ratios_wide(void *ctx, int64_t begin, int64_t end)
{
    const struct ratios *j = ctx;
    int64_t i = begin;
    for (; i + 64 <= end; i += 64)
        _mm512_storeu_si512(j->y + i, low_bytes(ratios_sixteen(j, i), ratios_sixteen(j, i + 16),
            ratios_sixteen(j, i + 32), ratios_sixteen(j, i + 48)));
    ratios_span(ctx, i, end);
}
#else
static bool has_avx512(void)
{
    return false;
}
#define add_wide add_span
#define ratios_wide ratios_span
#endif

static void run_ratios(const struct step *s)
{
    float step = (float)single_value(s->in[QS_SCALE], 1), zero = (float)single_value(s->in[QS_ZERO], 0);
    double least = 0, most = 0;
    struct ratios j = { .a = s->in[QA]->data, .b = s->in[QB]->data, .y = s->out[0]->data,
        .flip_a = s->in[QA]->dtype == DT_I8 ? 128 : 0, .flip_b = s->in[QB]->dtype == DT_I8 ? 128 : 0,
        .ra = (float)single_value(s->in[QA_SCALE], 1) / step, .rb = (float)single_value(s->in[QB_SCALE], 1) / step };
    float za = (float)single_value(s->in[QA_ZERO], 0), zb = (float)single_value(s->in[QB_ZERO], 0);
    j.rest = zero - (j.ra * za + j.rb * zb);
    quantized_range(s->out[0]->dtype, &least, &most);
    j.low = (float)least, j.high = (float)most;
    team_run(s->threads, tensor_count(s->out[0]), GRAIN, has_avx512() ? ratios_wide : ratios_span, &j);
}

int quantized_add_run(const struct step *s, struct err *e)
{
    if (node_int(s->node, "ratios")) return run_ratios(s), 0;
    struct sum j = { .a = term(s, QA, QA_SCALE, QA_ZERO), .b = term(s, QB, QB_SCALE, QB_ZERO), .y = s->out[0]->data,
        .f = { .to = s->out[0]->dtype } };
    double step = single_value(s->in[QS_SCALE], 1);
    j.f.zero = (int)single_value(s->in[QS_ZERO], 0);
    finish_range(&j.f, node_float(s->node, "low"), node_float(s->node, "high"), step, 0);
    j.step = (float)step;
    bool wide = has_avx512() && quotient_serves(j.step) && j.a.scale < 0x1p60f && j.b.scale < 0x1p60f;
    team_run(s->threads, tensor_count(s->out[0]), GRAIN, wide ? add_wide : add_span, &j);
    return 0;
}
