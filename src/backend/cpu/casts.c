/* casts.c - float32 to narrower floats and whole numbers, and back, by vectors. */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/str.h"
#include "base/team.h"

enum { GRAIN = 1 << 14, BLOCK = 256 };

typedef void cast_fn(const void *x, void *y, int64_t n);

union bits {
    float f;
    uint32_t u;
};

#define CAST(name, from, to, expr) \
    CLONES static void name(const void *restrict in, void *restrict out, int64_t n) \
    { \
        const from *xs = in; \
        to *y = out; \
        for (int64_t i = 0; i < n; i++) { \
            from x = xs[i]; \
            y[i] = (to)(expr); \
        } \
    }

/* The upper half, one more when the lower is past the middle, or in the middle and the upper odd. NaN stays one. */
INLINE uint32_t bfloat_of(uint32_t v)
{
    uint32_t rounded = (v + 0x7fff + (v >> 16 & 1)) >> 16, nan = (v >> 16 & 0x8000) | 0x7fc0;
    return (v & 0x7fffffff) > 0x7f800000 ? nan : rounded;
}

/* Below the normal halves, adding 1/2 rounds to their unit, 2^-24; above, the 13 bits that go are rounded to even. */
INLINE uint32_t half_of(uint32_t v)
{
    uint32_t a = v & 0x7fffffff, h = (a + 0xfff + (a >> 13 & 1) - (112u << 23)) >> 13;
    union bits tiny = { .u = a };
    tiny.f += 0.5f;
    h = a < 0x38800000 ? tiny.u - 0x3f000000 : h; /* 2^-14 */
    h = a >= 0x477ff000 ? 0x7c00 : h;             /* 65520 is the first that rounds to infinity */
    h = a > 0x7f800000 ? 0x7e00 : h;
    return (v >> 16 & 0x8000) | h;
}

INLINE uint32_t of_half(uint32_t h)
{
    uint32_t a = h & 0x7fff, v = (a << 13) + (112u << 23);
    union bits tiny = { .f = (float)(int32_t)a * 0x1p-24f };
    v = a < 0x400 ? tiny.u : v;
    v = a >= 0x7c00 ? (a << 13) | 0x7f800000 : v;
    v = a > 0x7c00 ? v | 0x400000 : v; /* a NaN that is quiet */
    return (h & 0x8000) << 16 | v;
}

CAST(f32_bf16, uint32_t, uint16_t, bfloat_of(x))
CAST(bf16_f32, uint16_t, uint32_t, (uint32_t)x << 16)
CAST(f32_f16, uint32_t, uint16_t, half_of(x))
CAST(f16_f32, uint16_t, uint32_t, of_half(x))
CAST(f32_i32, float, int32_t, x)
CAST(f32_u8, float, uint8_t, (int32_t)x)
CAST(f32_i64, float, int64_t, x)
CAST(f32_bool, float, uint8_t, x != 0)
CAST(i32_f32, int32_t, float, x)
CAST(i64_f32, int64_t, float, x)
CAST(u8_f32, uint8_t, float, x)
CAST(bool_f32, uint8_t, float, x != 0)
CAST(bool_i64, uint8_t, int64_t, x != 0)
CAST(i32_i64, int32_t, int64_t, x)
CAST(i64_i32, int64_t, int32_t, x)

/* limit: magnitudes from there on, and NaN, go the way of all types; 0: there are none. */
static const struct cast {
    enum dtype from, to;
    cast_fn *run;
    float limit;
} casts[] = {
    { DT_F32, DT_BF16, f32_bf16, 0 },
    { DT_BF16, DT_F32, bf16_f32, 0 },
    { DT_F32, DT_F16, f32_f16, 0 },
    { DT_F16, DT_F32, f16_f32, 0 },
    { DT_F32, DT_I32, f32_i32, 0x1p31f },
    { DT_F32, DT_U8, f32_u8, 0x1p31f },
    { DT_F32, DT_I64, f32_i64, 0x1p63f },
    { DT_F32, DT_BOOL, f32_bool, 0 },
    { DT_I32, DT_F32, i32_f32, 0 },
    { DT_I64, DT_F32, i64_f32, 0 },
    { DT_U8, DT_F32, u8_f32, 0 },
    { DT_BOOL, DT_F32, bool_f32, 0 },
    { DT_BOOL, DT_I64, bool_i64, 0 },
    { DT_I32, DT_I64, i32_i64, 0 },
    { DT_I64, DT_I32, i64_i32, 0 },
};

struct job {
    const struct cast *cast;
    const struct tensor *x, *y;
};

static const struct cast *find(const struct step *s)
{
    for (size_t i = 0; i < sizeof casts / sizeof *casts; i++)
        if (casts[i].from == s->in[0]->dtype && casts[i].to == s->out[0]->dtype) return &casts[i];
    return NULL;
}

CLONES static uint32_t any_beyond(const float *x, int64_t n, float limit)
{
    uint32_t any = 0;
    for (int64_t i = 0; i < n; i++) any |= !(fabsf(x[i]) < limit);
    return any;
}

static void span(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    const struct cast *c = j->cast;
    for (int64_t i = begin; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        const unsigned char *x = (unsigned char *)j->x->data + i * (int64_t)dtype_size(c->from);
        unsigned char *y = (unsigned char *)j->y->data + i * (int64_t)dtype_size(c->to);
        if (c->limit > 0 && any_beyond((const float *)(const void *)x, n, c->limit)) {
            double v[BLOCK];
            load_f64(c->from, x, n, v);
            store_f64(c->to, y, n, v);
        } else {
            c->run(x, y, n);
        }
    }
}

bool casts_accepts(const struct step *s, struct str *why)
{
    if (find(s)) return true;
    if (why) str_add(why, "between these types");
    return false;
}

int casts_run(const struct step *s, struct err *e)
{
    struct job j = { find(s), s->in[0], s->out[0] };
    (void)e;
    team_run(s->threads, tensor_count(s->in[0]), GRAIN, span, &j);
    return 0;
}
