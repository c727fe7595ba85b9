/* convert.c - the one load/store table: every numeric type to and from double and int64. */
#include <math.h>
#include <string.h>

#include "base/clones.h"
#include "graph/tensor.h"

float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023, bits;
    if (exponent == 31) bits = sign | 0x7f800000 | fraction << 13;
    else if (exponent) bits = sign | (exponent + 112) << 23 | fraction << 13;
    else {
        float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Rounds a double to a binary float of `ebits` exponent and `fbits` fraction bits, to nearest even; returns its code
 * without the sign. Past the largest finite number it gives `inf`, the code for infinity (or what stands for it). */
static uint32_t encode(double v, int ebits, int fbits, uint32_t inf)
{
    int bias = (1 << (ebits - 1)) - 1, exponent;
    if (v == 0) return 0;
    frexp(v, &exponent); /* v = f * 2^exponent, f in [0.5, 1) */
    int unit = (exponent - 1 < 1 - bias ? 1 - bias : exponent - 1) - fbits;
    double scaled = rint(ldexp(v, -unit)); /* integer number of units in the last place */
    uint64_t n = (uint64_t)scaled;
    uint64_t base = (uint64_t)(unit + fbits + bias - 1) << fbits; /* exponent field below the implicit one */
    uint64_t code = base + n;
    return code > inf ? inf : (uint32_t)code;
}

uint16_t float_to_half(float f)
{
    uint32_t sign = signbit(f) ? 0x8000 : 0;
    if (isnan(f)) return (uint16_t)(sign | 0x7e00);
    if (isinf(f)) return (uint16_t)(sign | 0x7c00);
    return (uint16_t)(sign | encode(fabs((double)f), 5, 10, 0x7c00));
}

static double load_half(uint16_t h)
{
    return (double)half_to_float(h);
}

static uint16_t store_half(double v)
{
    uint32_t sign = signbit(v) ? 0x8000 : 0;
    if (isnan(v)) return (uint16_t)(sign | 0x7e00);
    return (uint16_t)(sign | (isinf(v) ? 0x7c00 : encode(fabs(v), 5, 10, 0x7c00)));
}

static double load_bfloat(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static uint16_t store_bfloat(double v)
{
    uint32_t sign = signbit(v) ? 0x8000 : 0;
    if (isnan(v)) return (uint16_t)(sign | 0x7fc0);
    return (uint16_t)(sign | (isinf(v) ? 0x7f80 : encode(fabs(v), 8, 7, 0x7f80)));
}

/* 8-bit floats (Micikevicius et al. 2022; the FNUZ forms of Noune et al. 2022): bias, and what the special codes
 * mean. */
static double load_f8(uint8_t b, int ebits, int bias)
{
    int fbits = 7 - ebits, exponent = (b & 127) >> fbits, fraction = b & ((1 << fbits) - 1);
    double v = exponent ? ldexp(1 + ldexp(fraction, -fbits), exponent - bias) : ldexp(fraction, 1 - bias - fbits);
    return b & 128 ? -v : v;
}

static double load_e4m3fn(uint8_t b)
{
    return (b & 127) == 127 ? NAN : load_f8(b, 4, 7);
}

static double load_e5m2(uint8_t b)
{
    if ((b & 127) < 124) return load_f8(b, 5, 15);
    return (b & 3) ? NAN : b & 128 ? -INFINITY : INFINITY;
}

static double load_e4m3fnuz(uint8_t b)
{
    return b == 128 ? NAN : load_f8(b, 4, 8);
}

static double load_e5m2fnuz(uint8_t b)
{
    return b == 128 ? NAN : load_f8(b, 5, 16);
}

/* Saturating stores, as ONNX's Cast does by default. */
static uint8_t store_e4m3fn(double v)
{
    uint8_t sign = signbit(v) ? 128 : 0;
    return (uint8_t)(isnan(v) ? sign | 127 : sign | (isinf(v) ? 126 : encode(fabs(v), 4, 3, 126)));
}

static uint8_t store_e5m2(double v)
{
    uint8_t sign = signbit(v) ? 128 : 0;
    return (uint8_t)(isnan(v) ? sign | 127 : sign | (isinf(v) ? 123 : encode(fabs(v), 5, 2, 123)));
}

/* With a bias one larger the codes are those of the value doubled. */
static uint8_t store_fnuz(double v, int ebits)
{
    if (isnan(v)) return 128;
    uint32_t code = isinf(v) ? 127 : encode(fabs(v) * 2, ebits, 7 - ebits, 127);
    return (uint8_t)(code ? code | (signbit(v) ? 128 : 0) : 0);
}

static uint8_t store_e4m3fnuz(double v)
{
    return store_fnuz(v, 4);
}

static uint8_t store_e5m2fnuz(double v)
{
    return store_fnuz(v, 5);
}

/* Without infinities and NaN; the largest is 6 (OCP Microscaling Formats 1.0). NaN becomes -0. */
static double load_e2m1(uint8_t b)
{
    static const double magnitudes[] = { 0, 0.5, 1, 1.5, 2, 3, 4, 6 };
    return b & 8 ? -magnitudes[b & 7] : magnitudes[b & 7];
}

static uint8_t store_e2m1(double v)
{
    if (isnan(v)) return 8;
    return (uint8_t)((signbit(v) ? 8 : 0) | (isinf(v) ? 7 : encode(fabs(v), 2, 1, 7)));
}

/* A power of two and nothing else, 255 is NaN. Stored rounded up and saturated, as ONNX's Cast does by default. */
static double load_e8m0(uint8_t b)
{
    return b == 255 ? NAN : ldexp(1, b - 127);
}

static uint8_t store_e8m0(double v)
{
    int exponent;
    if (isnan(v)) return 255;
    if (isinf(v)) return 254;
    double f = frexp(fabs(v), &exponent); /* |v| = f 2^exponent, f in [0.5, 1) */
    int code = f == 0 ? 0 : exponent + 126 + (f > 0.5);
    return (uint8_t)(code < 0 ? 0 : code > 254 ? 254 : code);
}

/* The low bits of an integer; `half` is the weight of the sign among them. */
static int64_t narrowed(int64_t v, int64_t half)
{
    return ((v & (2 * half - 1)) ^ half) - half;
}

/* float to integer: truncation, with what C leaves undefined defined (NaN 0, out of range the nearest end). */
static int64_t truncated(double v)
{
    if (!(v > -0x1p63)) return isnan(v) ? 0 : INT64_MIN;
    return v < 0x1p63 ? (int64_t)v : INT64_MAX;
}

static uint64_t truncated_u64(double v)
{
    return v >= 0x1p63 ? (v < 0x1p64 ? (uint64_t)v : UINT64_MAX) : (uint64_t)truncated(v);
}

typedef void loader_f64(const void *src, int64_t n, double *dst);
typedef void storer_f64(void *dst, int64_t n, const double *src);
typedef void loader_i64(const void *src, int64_t n, int64_t *dst);
typedef void storer_i64(void *dst, int64_t n, const int64_t *src);

/* id, storage type, stored -> double, double -> stored, stored -> int64, int64 -> stored; x is the element */
#define CONVERT_LIST(X) \
    X(F32, float, (double)x, (float)x, truncated((double)x), (float)x) \
    X(F64, double, x, x, truncated(x), (double)x) \
    X(U8, uint8_t, x, (uint8_t)truncated(x), x, (uint8_t)x) \
    X(I8, int8_t, x, (int8_t)truncated(x), x, (int8_t)x) \
    X(U16, uint16_t, x, (uint16_t)truncated(x), x, (uint16_t)x) \
    X(I16, int16_t, x, (int16_t)truncated(x), x, (int16_t)x) \
    X(U32, uint32_t, x, (uint32_t)truncated(x), x, (uint32_t)x) \
    X(I32, int32_t, x, (int32_t)truncated(x), x, (int32_t)x) \
    X(U64, uint64_t, (double)x, truncated_u64(x), (int64_t)x, (uint64_t)x) \
    X(I64, int64_t, (double)x, truncated(x), x, x) \
    X(BOOL, uint8_t, x != 0, x != 0, x != 0, x != 0) \
    X(F16, uint16_t, load_half(x), store_half(x), truncated(load_half(x)), store_half((double)x)) \
    X(BF16, uint16_t, load_bfloat(x), store_bfloat(x), truncated(load_bfloat(x)), store_bfloat((double)x)) \
    X(F8E4M3FN, uint8_t, load_e4m3fn(x), store_e4m3fn(x), truncated(load_e4m3fn(x)), store_e4m3fn((double)x)) \
    X(F8E4M3FNUZ, uint8_t, load_e4m3fnuz(x), store_e4m3fnuz(x), truncated(load_e4m3fnuz(x)), \
        store_e4m3fnuz((double)x)) \
    X(F8E5M2, uint8_t, load_e5m2(x), store_e5m2(x), truncated(load_e5m2(x)), store_e5m2((double)x)) \
    X(F8E5M2FNUZ, uint8_t, load_e5m2fnuz(x), store_e5m2fnuz(x), truncated(load_e5m2fnuz(x)), \
        store_e5m2fnuz((double)x)) \
    X(F8E8M0, uint8_t, load_e8m0(x), store_e8m0(x), truncated(load_e8m0(x)), store_e8m0((double)x)) \
    X(F4E2M1, uint8_t, load_e2m1(x), store_e2m1(x), truncated(load_e2m1(x)), store_e2m1((double)x)) \
    X(U4, uint8_t, x, (uint8_t)(truncated(x) & 15), x, (uint8_t)(x & 15)) \
    X(I4, int8_t, x, (int8_t)narrowed(truncated(x), 8), x, (int8_t)narrowed(x, 8)) \
    X(U2, uint8_t, x, (uint8_t)(truncated(x) & 3), x, (uint8_t)(x & 3)) \
    X(I2, int8_t, x, (int8_t)narrowed(truncated(x), 2), x, (int8_t)narrowed(x, 2))

#define X(id, type, to_f64, from_f64, to_i64, from_i64) \
    CLONES static void load_f64_##id(const void *src, int64_t n, double *dst) \
    { \
        for (int64_t i = 0; i < n; i++) { \
            type x; \
            memcpy(&x, (const char *)src + (size_t)i * sizeof x, sizeof x); \
            dst[i] = to_f64; \
        } \
    } \
    CLONES static void store_f64_##id(void *dst, int64_t n, const double *src) \
    { \
        for (int64_t i = 0; i < n; i++) { \
            double x = src[i]; \
            ((type *)dst)[i] = from_f64; \
        } \
    } \
    CLONES static void load_i64_##id(const void *src, int64_t n, int64_t *dst) \
    { \
        for (int64_t i = 0; i < n; i++) { \
            type x; \
            memcpy(&x, (const char *)src + (size_t)i * sizeof x, sizeof x); \
            dst[i] = to_i64; \
        } \
    } \
    CLONES static void store_i64_##id(void *dst, int64_t n, const int64_t *src) \
    { \
        for (int64_t i = 0; i < n; i++) { \
            int64_t x = src[i]; \
            ((type *)dst)[i] = from_i64; \
        } \
    }
CONVERT_LIST(X)
#undef X

static const struct {
    loader_f64 *load_f64;
    storer_f64 *store_f64;
    loader_i64 *load_i64;
    storer_i64 *store_i64;
} table[DT_COUNT] = {
#define X(id, type, to_f64, from_f64, to_i64, from_i64) \
    [DT_##id] = { load_f64_##id, store_f64_##id, load_i64_##id, store_i64_##id },
    CONVERT_LIST(X)
#undef X
};

void load_f64(enum dtype t, const void *src, int64_t n, double *dst)
{
    if (table[t].load_f64) table[t].load_f64(src, n, dst);
    else memset(dst, 0, (size_t)n * sizeof *dst);
}

void store_f64(enum dtype t, void *dst, int64_t n, const double *src)
{
    if (table[t].store_f64) table[t].store_f64(dst, n, src);
}

void load_i64(enum dtype t, const void *src, int64_t n, int64_t *dst)
{
    if (table[t].load_i64) table[t].load_i64(src, n, dst);
    else memset(dst, 0, (size_t)n * sizeof *dst);
}

void store_i64(enum dtype t, void *dst, int64_t n, const int64_t *src)
{
    if (table[t].store_i64) table[t].store_i64(dst, n, src);
}

static void *element(const struct tensor *t, int64_t index)
{
    return (unsigned char *)t->data + (size_t)index * dtype_size(t->dtype);
}

double tensor_get_f64(const struct tensor *t, int64_t index)
{
    double v;
    load_f64(t->dtype, element(t, index), 1, &v);
    return v;
}

int64_t tensor_get_i64(const struct tensor *t, int64_t index)
{
    int64_t v;
    load_i64(t->dtype, element(t, index), 1, &v);
    return v;
}

void tensor_set_f64(struct tensor *t, int64_t index, double v)
{
    store_f64(t->dtype, element(t, index), 1, &v);
}

void tensor_set_i64(struct tensor *t, int64_t index, int64_t v)
{
    store_i64(t->dtype, element(t, index), 1, &v);
}

int64_t tensor_packed_bytes(const struct tensor *t)
{
    int64_t bytes = tensor_bytes(t), bits = dtype_bits(t->dtype);
    return bytes < 0 || bits >= 8 ? bytes : bytes / 8 * bits + (bytes % 8 * bits + 7) / 8;
}

void tensor_pack(const struct tensor *t, unsigned char *to)
{
    const unsigned char *from = t->data;
    int bits = dtype_bits(t->dtype), each = 8 / bits, mask = (1 << bits) - 1;
    memset(to, 0, (size_t)tensor_packed_bytes(t));
    for (int64_t i = 0, n = tensor_count(t); i < n; i++)
        to[i / each] = (unsigned char)(to[i / each] | (from[i] & mask) << (i % each * bits));
}

void tensor_unpack(struct tensor *t, const unsigned char *from)
{
    unsigned char *to = t->data;
    int bits = dtype_bits(t->dtype), each = 8 / bits, mask = (1 << bits) - 1;
    int sign = dtype_kind(t->dtype) == KIND_INT ? 1 << (bits - 1) : 0;
    for (int64_t i = 0, n = tensor_count(t); i < n; i++)
        to[i] = (unsigned char)(((from[i / each] >> (i % each * bits) & mask) ^ sign) - sign);
}
