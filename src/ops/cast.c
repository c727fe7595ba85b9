/* cast.c - from one element type to another. */
#include "ops/cast.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "ops/contents.h"
#include "ops/elementwise.h"
#include "ops/gradient.h"
#include "ops/infer.h"

#define ROUND_MODE \
    { \
        .name = "round_mode", .type = ATTR_STRING, .presence = ATTR_DEFAULT, .s = "up", \
        .doc = "to float8_e8m0fnu: up (away from 0), down or nearest" \
    }
static const struct attr_spec cast_attrs[] = {
    ROUND_MODE,
    { .name = "saturate", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = 1, .doc = "to 8-bit floats: 0 overflows" },
    { .name = "to", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "TensorProto.DataType" },
    { 0 },
};

static const struct attr_spec bit_cast_attrs[] = {
    { .name = "to", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "TensorProto.DataType" },
    { 0 },
};

static const struct attr_spec cast_like_attrs[] = {
    ROUND_MODE,
    { .name = "saturate", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = 1, .doc = "to 8-bit floats: 0 overflows" },
    { 0 },
};

static bool is_castable(enum dtype t)
{
    return dtype_kind(t) != KIND_OTHER || t == DT_STRING;
}

static int infer_to(struct node *n, enum dtype to, struct err *e)
{
    enum dtype from = n->in[0]->dtype;
    const char *mode = node_string(n, "round_mode");
    if (strcmp(mode, "up") != 0 && strcmp(mode, "down") != 0 && strcmp(mode, "nearest") != 0)
        return fail(e, ERR_MODEL, "round_mode is \"%s\", expected up, down or nearest", mode);
    if (from != DT_NONE && to != DT_NONE && !(is_castable(from) && is_castable(to)))
        return fail(e, ERR_UNSUPPORTED, "from %s to %s", dtype_name(from), dtype_name(to));
    infer_out(n, 0, to, &n->in[0]->shape);
    return 0;
}

static int cast_infer(struct node *n, struct err *e)
{
    int64_t to = node_int(n, "to");
    if (to != (int)to || !dtype_is_valid((int)to)) return fail(e, ERR_UNSUPPORTED, "element type %lld", (long long)to);
    return infer_to(n, (enum dtype)to, e);
}

static int cast_like_infer(struct node *n, struct err *e)
{
    return infer_to(n, n->in[1]->dtype, e);
}

MAP1(same_f, double, x)
MAP1(same_i, int64_t, x)

/* What 8-bit floats hold past their largest number when they do not saturate. */
static const struct {
    double limit; /* half a unit above the largest number: the first that rounds to more */
    uint8_t code; /* infinity or NaN */
    bool is_signed;
} overflows[DT_COUNT] = {
    [DT_F8E4M3FN] = { 464, 0x7f, true },
    [DT_F8E4M3FNUZ] = { 248, 0x80, false },
    [DT_F8E5M2] = { 61440, 0x7c, true },
    [DT_F8E5M2FNUZ] = { 61440, 0x80, false },
};

void cast_to_float8(enum dtype t, bool saturate, int64_t n, const double *from, void *to)
{
    uint8_t code = overflows[t].code, *codes = to;
    store_f64(t, to, n, from);
    for (int64_t i = 0; code && !saturate && i < n; i++) {
        bool above = fabs(from[i]) > overflows[t].limit || (fabs(from[i]) == overflows[t].limit && code != 0x7f);
        if (above) codes[i] = (uint8_t)(code | (overflows[t].is_signed && from[i] < 0 ? 0x80 : 0));
    }
}

/* The power of two at |v| and, by the mode, the next: how much of the way to it is enough. */
static uint8_t exponent_code(double v, bool saturate, double enough)
{
    int exponent;
    if (isnan(v) || (isinf(v) && !saturate)) return 255;
    if (isinf(v)) return 254;
    double f = frexp(fabs(v), &exponent); /* |v| = f 2^exponent, f in [0.5, 1) */
    int code = f == 0 ? -1 : exponent + 126 + (f > 0.5 && f >= enough);
    if (code >= 0 && code <= 254) return (uint8_t)code;
    return !saturate ? 255 : code < 0 ? 0 : 254;
}

/* What the plain stores of 8-bit floats do not do. */
static void store_float8(const struct node *n, const struct tensor *x, struct tensor *y)
{
    bool saturate = node_int(n, "saturate") != 0;
    const char *mode = node_string(n, "round_mode");
    double enough = mode[0] == 'u' ? 0 : mode[0] == 'n' ? 0.75 : 1;
    uint8_t *to = y->data;
    for (int64_t i = 0, count = tensor_count(x); i < count; i++) {
        double v = tensor_get_f64(x, i);
        if (y->dtype == DT_F8E8M0) to[i] = exponent_code(v, saturate, enough);
        else cast_to_float8(y->dtype, saturate, 1, &v, to + i);
    }
}

/* Text: numbers as the shortest that reads back, as numpy and ONNX Runtime write them. */
static int print_number(const struct tensor *x, int64_t i, char *text, size_t size)
{
    if (dtype_kind(x->dtype) == KIND_BOOL) return snprintf(text, size, "%s", tensor_get_i64(x, i) ? "True" : "False");
    if (x->dtype == DT_U64) return snprintf(text, size, "%llu", (unsigned long long)tensor_get_i64(x, i));
    if (!dtype_is_float(x->dtype)) return snprintf(text, size, "%lld", (long long)tensor_get_i64(x, i));
    double v = tensor_get_f64(x, i);
    if (isnan(v)) return snprintf(text, size, "NaN");
    if (isinf(v)) return snprintf(text, size, "%s", v < 0 ? "-INF" : "INF");
    int len = 0, digits = x->dtype == DT_F64 ? 17 : 9;
    for (int k = 1; k <= digits; k++) {
        len = snprintf(text, size, "%.*g", k, v);
        double back = strtod(text, NULL);
        if (back == v || (x->dtype != DT_F64 && (float)back == (float)v)) break;
    }
    return len;
}

static int to_text(const struct step *s, struct err *e)
{
    struct string_element *y = s->out[0]->data;
    for (int64_t i = 0; i < tensor_count(s->in[0]); i++) {
        char text[64];
        int len = print_number(s->in[0], i, text, sizeof text);
        TRY_MEM(y[i].text = arena_strdup(s->arena, text), e);
        y[i].len = (size_t)len;
    }
    return 0;
}

static int from_text(const struct step *s, struct err *e)
{
    const struct string_element *x = s->in[0]->data;
    struct tensor *y = s->out[0];
    for (int64_t i = 0; i < tensor_count(y); i++) {
        char text[64] = "", *end = text;
        if (x[i].len && x[i].len < sizeof text) memcpy(text, x[i].text, x[i].len);
        errno = 0;
        long long whole = dtype_is_float(y->dtype) ? 0 : strtoll(text, &end, 10);
        bool exact = end != text && !*end && !errno;
        double v = exact ? 0 : strtod(text, &end);
        if (end == text || *end) return fail(e, ERR_DATA, "element %lld (\"%.40s\") is no number", (long long)i, text);
        if (exact) tensor_set_i64(y, i, whole);
        else tensor_set_f64(y, i, v);
    }
    return 0;
}

static int cast_run(const struct step *s, struct err *e)
{
    enum dtype from = s->in[0]->dtype, to = s->out[0]->dtype;
    if (from == to) {
        memcpy(s->out[0]->data, s->in[0]->data, (size_t)tensor_bytes(s->in[0]));
        return 0;
    }
    if (from == DT_STRING) return from_text(s, e);
    if (to == DT_STRING) return to_text(s, e);
    /* Integers go through int64 (one rounding to a float), but uint64 above its range only as a double. */
    bool as_double = from == DT_U64 && dtype_is_float(to);
    TRY(elementwise_run_on(s, &(struct elementwise){ same_f, as_double ? NULL : same_i }, NULL, s->in, 1, e));
    if (to == DT_F8E8M0 || (overflows[to].code && !node_int(s->node, "saturate")))
        store_float8(s->node, s->in[0], s->out[0]);
    return 0;
}

static int64_t cast_known(const int64_t *k)
{
    return k[0];
}

static int cast_contents(struct node *n, struct err *e)
{
    enum dtype from = n->in[0]->dtype, to = n->out[0]->dtype;
    if (to == DT_BOOL || !(dtype_is_integer(from) || from == DT_BOOL) || n->n_in > 1) return 0;
    return contents_map(n, cast_known);
}

static int bit_cast_infer(struct node *n, struct err *e)
{
    enum dtype from = n->in[0]->dtype;
    int64_t to = node_int(n, "to");
    if (to != (int)to || !dtype_is_valid((int)to) || to == DT_STRING)
        return fail(e, ERR_UNSUPPORTED, "element type %lld", (long long)to);
    if (from == DT_STRING || (from && dtype_bits(from) != dtype_bits((enum dtype)to)))
        return fail(
            e, ERR_SHAPE, "the bits of %s as %s, which has not as many", dtype_name(from), dtype_name((enum dtype)to));
    infer_out(n, 0, (enum dtype)to, &n->in[0]->shape);
    return 0;
}

/* Elements of fewer than 8 bits lie in bytes that also hold their sign: through the packed form. */
static int bit_cast_run(const struct step *s, struct err *e)
{
    size_t len = (size_t)tensor_packed_bytes(s->in[0]);
    if (dtype_bits(s->in[0]->dtype) >= 8) return memcpy(s->out[0]->data, s->in[0]->data, len), 0;
    unsigned char *packed = arena_alloc(s->scratch, len);
    TRY_MEM(packed, e);
    tensor_pack(s->in[0], packed);
    tensor_unpack(s->out[0], packed);
    return 0;
}

static int cast_grad(struct grad *g)
{
    if (grad_wanted(g, 0)) g->dx[0] = emit_cast(g->b, g->dy[0], g->node->in[0]->dtype);
    return 0;
}

const struct op ops_cast[] = {
    { .name = "Cast",
        .doc = "the same values in another type",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = cast_attrs,
        .infer = cast_infer,
        .contents = cast_contents,
        .run = cast_run,
        .grad = cast_grad,
        .samples = "f32[2,3,5] | to=11; f64[7] | to=1; f32~[9] | to=7; i64<9>[3] | to=1; f32{-1.5,0,2} | to=9; "
                   "f32{-900,3,inf,nan} | to=17; f32{-900,3,inf,nan} | to=19 saturate=0; string{1.5,-2} | to=1; "
                   "f32{1.5,0.1,nan} | to=8; u64{18446744073709551615} | to=11; bool<2>[5] | to=2; f16[5] | to=16; "
                   "i64{-9,7,8} | to=22; "
                   "f32{-9,0.3,5,nan} | to=23; f32{0,1.5,1e39,3} | to=24 round_mode=nearest saturate=0; "
                   "int4[5] | to=1; uint2[7] | to=2; f8_e8m0[4] | to=1; float4_e2m1fn[5] | to=10" },
    { .name = "CastLike",
        .doc = "the values of the first input in the type of the second",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = cast_like_attrs,
        .infer = cast_like_infer,
        .run = cast_run,
        .grad = cast_grad,
        .samples = "f32[2,3] f64[]; i64<9>[3] f32[2]; f32~[9] i32{1}" },
    { .name = "BitCast",
        .doc = "the same bits as another type of that size",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = bit_cast_attrs,
        .infer = bit_cast_infer,
        .run = bit_cast_run,
        .samples = "u32<9>[2,3] | to=6; i64<9>[3] | to=11; bool<2>[5] | to=2; uint4<9>[5] | to=22; int4[5] | to=23" },
    { 0 },
};
