/* bytes_deep.c - depthwise convolutions of bytes by AVX512-VNNI: four rows of a column of the window at a time.
 *
 * For a row of the result and 64 channels, the rows of the image that it sees are interleaved column by column, once;
 * the columns of the window pass over that. Zero points of the image are taken off the sums at the start:
 * sum((x - z) w) = sum(x w) - z sum(w), padding being z.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/quantized.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/conv_core.h"
#include "ops/quantize.h"
#include "ops/quantized.h"

enum { BLOCK = 64, PART = 16 };

/* Weights (m, 1, high, wide) packed: for each channel the sum of its weights and of their magnitudes as int32, filled
 * up to whole blocks; then bytes, (blocks, wide, high / 4, 64, 4), filled up with zeros. */
struct deep_layout {
    struct layout base;
    int64_t m, high, wide;
};

struct deep {
    struct deep_layout w;
    struct finish finish; /* by slot */
    const int32_t *bias;  /* by slot: what is added to sums, where that is whole numbers; else NULL */
    bool saturates;       /* what bounds results is their type, and no sum is scaled beyond int32 */
    int zero;             /* of x */
    int64_t batch, in[2], out[2], before[2], stride[2], dilation[2];
    int64_t each; /* bytes of one thread's work */
};

static const struct backend owner;

static int64_t slots(const struct deep_layout *w)
{
    return (w->m + BLOCK - 1) / BLOCK * BLOCK;
}

/* Fours of rows of the window. */
static int64_t fours(const struct deep_layout *w)
{
    return (w->high + 3) / 4;
}

/* Where the numbers of a channel stand in its block: vector k of four holds channels 4 k + 16 i and on, as unpacking
 * bytes leaves them. */
static int64_t slot_of(int64_t channel)
{
    int64_t k = channel % BLOCK;
    return channel - k + k / 4 % 4 * PART + k / PART * 4 + k % 4;
}

/* --- packing --- */

struct move {
    const struct deep_layout *w;
    const int8_t *from;
    int32_t *sums;
};

static void pack_blocks(void *ctx, int64_t begin, int64_t end)
{
    const struct move *m = ctx;
    const struct deep_layout *w = m->w;
    int64_t n = slots(w), quads = fours(w), size = w->wide * quads * 4 * BLOCK, taps = w->high * w->wide;
    int8_t *bytes = (int8_t *)(m->sums + 2 * n);
    for (int64_t c = begin * BLOCK; c < end * BLOCK && c < w->m; c++) {
        int64_t slot = slot_of(c);
        int8_t *to = bytes + slot / BLOCK * size + slot % BLOCK * 4;
        for (int64_t i = 0; i < taps; i++) {
            int v = m->from[c * taps + i];
            int64_t row = i / w->wide, column = i % w->wide * quads + row / 4;
            to[column * 4 * BLOCK + row % 4] = (int8_t)v;
            m->sums[slot] += v;
            m->sums[n + slot] += abs(v);
        }
    }
}

static int pack_run(const struct step *s, struct err *e)
{
    struct move m = { s->priv, s->in[0]->data, s->out[0]->data };
    memset(m.sums, 0, m.w->base.bytes);
    team_run(s->threads, slots(m.w) / BLOCK, 1, pack_blocks, &m);
    return 0;
}

static int pack_prepare(struct step *s, const struct layout *from, const struct layout *to, struct err *e)
{
    if (from) return fail(e, ERR_UNSUPPORTED, "packed weights have no way back");
    s->priv = (void *)(uintptr_t)to;
    return 0;
}

static bool same(const struct layout *a, const struct layout *b)
{
    const struct deep_layout *x = (const struct deep_layout *)a, *y = (const struct deep_layout *)b;
    return x->m == y->m && x->high == y->high && x->wide == y->wide;
}

static struct layout *copy(const struct layout *l, struct arena *a, struct err *e)
{
    struct deep_layout *to = ARENA_NEW(a, struct deep_layout);
    if (!to) return fail_nomem(e), NULL;
    *to = *(const struct deep_layout *)l;
    return &to->base;
}

static const struct backend owner = {
    .name = "deep",
    .layout_same = same,
    .layout_copy = copy,
    .reorder_prepare = pack_prepare,
    .reorder_run = pack_run,
};

/* --- preparing --- */

static bool has_vnni(void)
{
#if defined __x86_64__
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
#else
    return false;
#endif
}

bool bytes_deep_accepts(const struct step *s, struct str *why)
{
    const char *text = quantized_unsettled(s, false);
    if (!has_vnni()) text = "no instructions for 8-bit products";
    else if (!text && s->in[QX]->dtype != DT_U8) text = "signed images";
    else if (!text && (!is_byte(s->out[0]) || s->node->n_in <= QY_SCALE || !s->in[QY_SCALE]))
        text = "results that are not bytes";
    if (text && why) str_add(why, text);
    return !text;
}

/* What turns sums into results, by slot; nothing past the last channel. */
static int settle_finish(struct step *s, struct deep *d, struct err *e)
{
    int64_t n = slots(&d->w), have = tensor_count(s->in[QW_SCALE]);
    const struct tensor *bias = s->node->n_in > QBIAS ? s->in[QBIAS] : NULL;
    float *all = ARENA_ARRAY(s->arena, 3 * n, float), most = 0;
    int32_t *whole = ARENA_ARRAY(s->arena, n, int32_t);
    if (!all || !whole) return fail_nomem(e);
    if (have != 1 && have != d->w.m) return fail(e, ERR_UNSUPPORTED, "scales that belong to no output channel");
    for (int64_t i = 0; i < d->w.m; i++) {
        struct rescaling r;
        int64_t slot = slot_of(i);
        quantized_rescaling(s, i, &r);
        all[slot] = r.before, all[n + slot] = r.factor, all[2 * n + slot] = r.after;
        if (bias && bias->dtype == DT_I32) whole[slot] = (int32_t)tensor_get_i64(bias, i);
        most = fmaxf(most, fabsf(r.factor));
    }
    struct finish *f = &d->finish;
    float zero = (float)single_value(s->node->n_in > QY_ZERO ? s->in[QY_ZERO] : NULL, 0);
    bool first = quantized_adds_first(s);
    double least = 0, largest = 0;
    *f = (struct finish){ .to = s->out[0]->dtype, .before = all, .factor = all + n, .after = all + 2 * n };
    f->zero = first ? 0 : (int)zero;
    finish_range(f, node_float(s->node, "low"), node_float(s->node, "high"), single_value(s->in[QY_SCALE], 1),
        first ? zero : 0);
    quantized_range(f->to, &least, &largest);
    d->bias = first ? NULL : whole;
    d->saturates = f->low + (float)f->zero <= least && f->high + (float)f->zero >= largest && most < 64;
    return 0;
}

static int settle_window(struct step *s, struct deep *d, struct err *e)
{
    struct shape y;
    struct conv c = { 0 };
    TRY(conv_resolve(s->node, false, &s->in[QX]->shape, &s->in[QW]->shape, &y, &c, e));
    const struct window *v = &c.window;
    if (c.groups < 2 || c.m > 1 || c.c > 1) return fail(e, ERR_UNSUPPORTED, "not depthwise");
    if (v->spatial > 2) return fail(e, ERR_UNSUPPORTED, "three spatial dimensions");
    for (int i = 0; i < 2; i++) {
        int a = WINDOW_AXES - 2 + i;
        d->in[i] = v->in[a], d->out[i] = v->out[a];
        d->before[i] = v->before[a];
        d->stride[i] = v->stride[a], d->dilation[i] = v->dilation[a];
        if (v->before[a] < 0 || v->after[a] < 0) return fail(e, ERR_UNSUPPORTED, "a padding that crops");
    }
    d->batch = c.batch;
    const int64_t *kernel = v->kernel + WINDOW_AXES - 2;
    d->w = (struct deep_layout){ { &owner, 0, 0, 0 }, c.groups, kernel[0], kernel[1] };
    return 0;
}

/* oneDNN is faster where blocks are far from full, the more so where few columns of the window see each column. */
static bool is_better(const struct deep *d)
{
    return d->w.m * 8 >= slots(&d->w) * (d->stride[1] > 1 ? 7 : 6);
}

/* Columns of the padded image. */
static int64_t columns(const struct deep *d)
{
    return (d->out[1] - 1) * d->stride[1] + (d->w.wide - 1) * d->dilation[1] + 1;
}

int bytes_deep_prepare(struct step *s, struct err *e)
{
    struct deep *d = ARENA_NEW(s->arena, struct deep);
    TRY_MEM(d, e);
    TRY(settle_window(s, d, e));
    if (!s->named && !is_better(d)) return fail(e, ERR_UNSUPPORTED, "oneDNN is held to be faster");
    TRY(settle_finish(s, d, e));
    int64_t n = slots(&d->w), size = fours(&d->w) * 4;
    d->zero = (int)single_value(s->node->n_in > QX_ZERO ? s->in[QX_ZERO] : NULL, 0);
    d->each = columns(d) * size * BLOCK;
    d->w.base.bytes = (size_t)(2 * n * (int64_t)sizeof(int32_t) + d->w.wide * size * n);
    s->work_bytes = (size_t)(n * (int64_t)sizeof(int32_t) + d->each * s->threads);
    s->want_in[QW] = &d->w.base;
    s->priv = d;
    TRY(bytes_want_last(s, QX, e));
    return bytes_last_layout(s->arena, s->out[0], &s->want_out[0], e);
}

/* --- running --- */

/* start: by slot, the bias less what the zero point of x adds. `quick`: each sum, its bias included, is exact in
 * float32, so that it is scaled, rounded and saturated, and nothing else. */
struct job {
    const struct deep *d;
    const int32_t *start;
    bool quick;
    const int8_t *w;
    const uint8_t *x;
    uint8_t *y, *work;
    int64_t units, parts;
};

#if defined __x86_64__
#include <immintrin.h>
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))

/* Four rows of 64 bytes, side by side. */
VNNI INLINE void interleave(__m512i r0, __m512i r1, __m512i r2, __m512i r3, uint8_t *to)
{
    __m512i a = _mm512_unpacklo_epi8(r0, r1), b = _mm512_unpackhi_epi8(r0, r1);
    __m512i c = _mm512_unpacklo_epi8(r2, r3), d = _mm512_unpackhi_epi8(r2, r3);
    _mm512_storeu_si512(to, _mm512_unpacklo_epi16(a, c));
    _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi16(a, c));
    _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi16(b, d));
    _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi16(b, d));
}

/* Rows [first, first + 4) of the window for one row of the result, all columns. What is outside is read from 64 zero
 * points, over and over. */
VNNI static void gather_rows(
    const struct job *j, const uint8_t *x, int64_t row, int64_t first, __mmask64 there, uint8_t *to, int64_t size)
{
    const struct deep *d = j->d;
    int64_t m = d->w.m, all = columns(d), left = d->before[1], end = left + d->in[1];
    const __m512i zero = _mm512_set1_epi8((char)d->zero);
    uint8_t outside[BLOCK];
    const uint8_t *from[4];
    int64_t step[4];
    _mm512_storeu_si512(outside, zero);
    for (int k = 0; k < 4; k++) {
        int64_t r = row * d->stride[0] - d->before[0] + (first + k) * d->dilation[0];
        bool inside = first + k < d->w.high && r >= 0 && r < d->in[0];
        from[k] = inside ? x + r * d->in[1] * m : outside;
        step[k] = inside ? m : 0;
    }
    if (left > all) left = all;
    if (end > all) end = all;
    for (int64_t i = 0; i < left; i++) interleave(zero, zero, zero, zero, to + i * size);
    for (int64_t i = left; i < end; i++) {
        __m512i r0 = _mm512_maskz_loadu_epi8(there, from[0]), r1 = _mm512_maskz_loadu_epi8(there, from[1]);
        __m512i r2 = _mm512_maskz_loadu_epi8(there, from[2]), r3 = _mm512_maskz_loadu_epi8(there, from[3]);
        for (int k = 0; k < 4; k++) from[k] += step[k];
        interleave(r0, r1, r2, r3, to + i * size);
    }
    for (int64_t i = end; i < all; i++) interleave(zero, zero, zero, zero, to + i * size);
}

/* Sixteen sums as whole numbers, which packing brings within what a byte holds less its zero point. */
VNNI INLINE __m512i finished(const struct finish *f, int64_t slot, __m512i sum, bool quick)
{
    __m512 v = _mm512_cvtepi32_ps(sum), factor = _mm512_loadu_ps(f->factor + slot);
    if (quick) return _mm512_cvtps_epi32(_mm512_mul_ps(v, factor));
    v = _mm512_mul_ps(_mm512_add_ps(v, _mm512_loadu_ps(f->before + slot)), factor);
    v = _mm512_add_ps(v, _mm512_loadu_ps(f->after + slot));
    v = _mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(f->low)), _mm512_set1_ps(f->high));
    return _mm512_cvtps_epi32(v);
}

VNNI INLINE void row(const struct job *j, int64_t block, const uint8_t *work, __mmask64 there, uint8_t *y, int64_t wide,
    int64_t quads, bool quick)
{
    const struct deep *d = j->d;
    int64_t slot = block * BLOCK, size = quads * 4 * BLOCK, next = d->stride[1] * size, across = d->dilation[1] * size;
    const int8_t *weight = j->w + block * wide * size;
    const __m512i zero = _mm512_set1_epi16((short)d->finish.zero);
    const bool is_signed = d->finish.to == DT_I8;
    for (int64_t i = 0; i < d->out[1]; i++, work += next, y += d->w.m) {
        __m512i sum[4];
        for (int k = 0; k < 4; k++) sum[k] = _mm512_loadu_si512(j->start + slot + PART * k);
        for (int64_t c = 0; c < wide * quads; c++) {
            const uint8_t *x = work + c / quads * across + c % quads * 4 * BLOCK;
            const int8_t *w = weight + c * 4 * BLOCK;
            for (int k = 0; k < 4; k++, x += BLOCK, w += BLOCK)
                sum[k] = _mm512_dpbusd_epi32(sum[k], _mm512_loadu_si512(x), _mm512_loadu_si512(w));
        }
        for (int k = 0; k < 4; k++) sum[k] = finished(&d->finish, slot + PART * k, sum[k], quick);
        sum[0] = _mm512_adds_epi16(_mm512_packs_epi32(sum[0], sum[1]), zero);
        sum[2] = _mm512_adds_epi16(_mm512_packs_epi32(sum[2], sum[3]), zero);
        sum[0] = is_signed ? _mm512_packs_epi16(sum[0], sum[2]) : _mm512_packus_epi16(sum[0], sum[2]);
        _mm512_mask_storeu_epi8(y, there, sum[0]);
    }
}

VNNI static void unit(const struct job *j, int64_t u, uint8_t *work)
{
    const struct deep *d = j->d;
    int64_t blocks = slots(&d->w) / BLOCK, block = u % blocks, line = u / blocks % d->out[0];
    int64_t sample = u / blocks / d->out[0], first = block * BLOCK, left = d->w.m - first, quads = fours(&d->w);
    __mmask64 there = left < BLOCK ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
    const uint8_t *x = j->x + sample * d->in[0] * d->in[1] * d->w.m + first;
    uint8_t *y = j->y + (sample * d->out[0] + line) * d->out[1] * d->w.m + first;
    for (int64_t k = 0; k < quads; k++)
        gather_rows(j, x, line, 4 * k, there, work + k * 4 * BLOCK, quads * 4 * BLOCK);
    if (d->w.wide == 3 && quads == 1 && j->quick) row(j, block, work, there, y, 3, 1, true);
    else row(j, block, work, there, y, d->w.wide, quads, j->quick);
}
#else
static void unit(const struct job *j, int64_t u, uint8_t *work)
{
}
#endif

static void parts(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t i = begin; i < end; i++)
        for (int64_t u = j->units * i / j->parts; u < j->units * (i + 1) / j->parts; u++)
            unit(j, u, j->work + i * j->d->each);
}

/* The largest magnitude that float32 holds with all whole numbers below it. */
enum { EXACT = 1 << 24 };

int bytes_deep_run(const struct step *s, struct err *e)
{
    const struct deep *d = s->priv;
    int64_t n = slots(&d->w), most = 0;
    const int32_t *sums = s->in[QW]->data;
    int32_t *start = s->work;
    for (int64_t i = 0; i < n && d->bias; i++) {
        int64_t bound = (int64_t)sums[n + i] * 255 + llabs(d->bias[i]);
        most = bound > most ? bound : most;
    }
    struct job j = { d, start, d->bias && d->saturates && most <= EXACT, (const int8_t *)(sums + 2 * n),
        s->in[QX]->data, s->out[0]->data, (uint8_t *)(start + n), 0, s->threads };
    for (int64_t i = 0; i < n; i++) start[i] = (j.quick ? d->bias[i] : 0) - d->zero * sums[i];
    j.units = d->batch * d->out[0] * (n / BLOCK);
    team_run(s->threads, j.parts, 1, parts, &j);
    return 0;
}
