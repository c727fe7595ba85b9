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

#if defined __x86_64__
#include <immintrin.h>
#define AVX512 __attribute__((target("avx512f,avx512bw")))

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

AVX512 INLINE __m512 real_term(const struct term *t, int64_t i)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(t->x + i));
    __m512i whole = _mm512_cvtepu8_epi32(_mm_xor_si128(x, _mm_set1_epi8((char)t->flip)));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(whole, _mm512_set1_epi32(t->zero))),
        _mm512_set1_ps(t->scale));
}

/* Sixteen sums as whole numbers: quotient(), bounds, nearest. */
AVX512 INLINE __m512i whole_sums(const struct sum *j, float inverse, int64_t i)
{
    __m512 x = _mm512_add_ps(real_term(&j->a, i), real_term(&j->b, i));
    __m512 by = _mm512_set1_ps(j->step), one = _mm512_set1_ps(inverse), q = _mm512_mul_ps(x, one);
    q = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, by, x), one, q);
    q = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, by, x), one, q);
    q = _mm512_min_ps(_mm512_max_ps(q, _mm512_set1_ps(j->f.low)), _mm512_set1_ps(j->f.high));
    return _mm512_cvtps_epi32(q);
}

/* As add_span(), 64 at a time. Packing works on quarters of vectors, which are put in order at last. */
AVX512 static void add_wide(void *ctx, int64_t begin, int64_t end)
{
    const struct sum *j = ctx;
    const float inverse = 1 / j->step;
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i zero = _mm512_set1_epi8((char)j->f.zero);
    int64_t i = begin;
    for (; i + 64 <= end; i += 64) {
        __m512i low = _mm512_packs_epi32(whole_sums(j, inverse, i), whole_sums(j, inverse, i + 16));
        __m512i high = _mm512_packs_epi32(whole_sums(j, inverse, i + 32), whole_sums(j, inverse, i + 48));
        __m512i mask = _mm512_set1_epi16(255);
        __m512i all = _mm512_packus_epi16(_mm512_and_si512(low, mask), _mm512_and_si512(high, mask));
        _mm512_storeu_si512(j->y + i, _mm512_add_epi8(_mm512_permutexvar_epi32(order, all), zero));
    }
    add_span(ctx, i, end);
}
#else
static bool has_avx512(void)
{
    return false;
}
#define add_wide add_span
#endif

struct ratios {
    const uint8_t *a, *b;
    uint8_t *y;
    int flip_a, flip_b; /* how signed numbers are made from their bytes */
    float ra, rb, rest, low, high;
};

/* In double, where a product of 8 and 24 bits is exact: each rounding to float is that of a fused multiply-add. */
CLONES static void ratios_span(void *ctx, int64_t begin, int64_t end)
{
    const struct ratios j = *(const struct ratios *)ctx;
    for (int64_t i = begin; i < end; i++) {
        double a = (j.a[i] ^ j.flip_a) - j.flip_a, b = (j.b[i] ^ j.flip_b) - j.flip_b;
        float v = (float)(b * j.rb + j.rest);
        j.y[i] = (uint8_t)nearest((float)(a * j.ra + v), j.low, j.high);
    }
}

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
    team_run(s->threads, tensor_count(s->out[0]), GRAIN, ratios_span, &j);
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
