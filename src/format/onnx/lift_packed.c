/* lift_packed.c - com.microsoft's operators on weights of a few bits, packed in bytes or in blocks of one scale. */
#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

static int need(const struct lift *l, int n, struct err *e)
{
    return l->n_in < n ? fail(e, ERR_MODEL, "%d inputs, expected %d", l->n_in, n) : 0;
}

/* What a weight or another constant holds; NULL for anything else. */
static const struct tensor *content(const struct lift *l, int i)
{
    const struct value *v = lift_in(l, i);
    return v && v->kind != VALUE_NODE ? v->data : NULL;
}

static int check_size(const struct tensor *t, int64_t want, const char *what, struct err *e)
{
    if (t && tensor_count(t) == want) return 0;
    return fail(e, ERR_UNSUPPORTED, "%s must be a constant of %lld elements", what, (long long)want);
}

/* Number i of a row of bytes that hold `bits` each, lowest first. */
static int64_t bits_at(const struct tensor *t, int64_t row_bytes, int64_t row, int64_t i, int64_t bits)
{
    const unsigned char *p = (const unsigned char *)t->data + row * row_bytes;
    return p[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1);
}

/* --- MatMulNBits: b (N, blocks, bytes of a block) of `bits` each, lowest first --- */

struct packed {
    int64_t k, n, bits, block, blocks;
};

/* The zero point of block `at` of column n: packed like b, real, or the middle of the range. */
static double zero_of(const struct packed *p, const struct tensor *zero, int64_t n, int64_t at)
{
    if (!zero) return (double)(1 << (p->bits - 1));
    if (dtype_is_float(zero->dtype)) return tensor_get_f64(zero, n * p->blocks + at);
    return (double)bits_at(zero, (p->blocks * p->bits + 7) / 8, n, at, p->bits);
}

/* (K, N) in the type of the scales. */
static struct tensor *unpacked(struct lift *l, const struct packed *p, const struct tensor *b,
    const struct tensor *scale, const struct tensor *zero, struct err *e)
{
    struct shape s = shape_of(2, (int64_t[]){ p->k, p->n });
    struct tensor *w = tensor_new(l->b->g->arena, scale->dtype, &s, e);
    int64_t row_bytes = p->blocks * p->block * p->bits / 8;
    for (int64_t n = 0; w && n < p->n; n++)
        for (int64_t k = 0; k < p->k; k++) {
            double v = (double)bits_at(b, row_bytes, n, k, p->bits) - zero_of(p, zero, n, k / p->block);
            tensor_set_f64(w, k * p->n + n, v * tensor_get_f64(scale, n * p->blocks + k / p->block));
        }
    return w;
}

static int read_packed(const struct lift *l, struct packed *p, struct err *e)
{
    enum { SIDE_MAX = 1 << 24 };
    *p = (struct packed){ lift_int(l, "K", 0), lift_int(l, "N", 0), lift_int(l, "bits", 4),
        lift_int(l, "block_size", 0) };
    if (p->k < 1 || p->k > SIDE_MAX || p->n < 1 || p->n > SIDE_MAX || p->block < 8 || p->block > SIDE_MAX)
        return fail(e, ERR_MODEL, "K, N or block_size is out of range");
    if (p->bits != 2 && p->bits != 4 && p->bits != 8)
        return fail(e, ERR_UNSUPPORTED, "%lld bits, 2, 4 and 8 are known", (long long)p->bits);
    p->blocks = (p->k + p->block - 1) / p->block;
    return 0;
}

static int n_bits(struct lift *l, const char *arg, struct err *e)
{
    struct packed p;
    TRY(need(l, 3, e));
    TRY(read_packed(l, &p, e));
    const struct tensor *b = l->in[1] ? value_const(l->in[1]) : NULL, *zero = NULL;
    const struct tensor *scale = content(l, 2);
    TRY(check_size(b, p.n * p.blocks * p.block * p.bits / 8, "the packed weight", e));
    TRY(check_size(scale, p.n * p.blocks, "the scales", e));
    if (b->dtype != DT_U8) return fail(e, ERR_MODEL, "the packed weight is %s", dtype_name(b->dtype));
    if (lift_in(l, 3)) {
        zero = content(l, 3);
        bool real_zero = zero && dtype_is_float(zero->dtype);
        TRY(check_size(zero, real_zero ? p.n * p.blocks : p.n * ((p.blocks * p.bits + 7) / 8), "the zero points", e));
    }
    if (lift_in(l, 4)) return fail(e, ERR_UNSUPPORTED, "g_idx: groups in another order");
    struct tensor *w = unpacked(l, &p, b, scale, zero, e);
    if (!w) return e->code;
    struct value *y = lift_two(l, "MatMul", l->in[0], emit_const(l->b, w));
    lift_result(l, lift_in(l, 5) ? lift_two(l, "Add", y, l->in[5]) : y);
    return e->code;
}

/* --- MatMulBnb4: b (N, K) in a row, two numbers a byte, the first in its upper half; each stands for an entry of a
 * table, times the largest magnitude of its block --- */

/* bitsandbytes' "fp4": sign, and eighths of 1/192, 2/3, 1, 1/3 ... in the order of its bits; and "nf4": quantiles of
 * the normal distribution, scaled to [-1, 1] (Dettmers and others, "QLoRA", appendix E). */
static const float codebooks[2][16] = {
    { 0, 0x1.555556p-8f, 0x1.555556p-1f, 1, 0x1.555556p-2f, 0.5f, 0x1.555556p-3f, 0.25f, 0, -0x1.555556p-8f,
        -0x1.555556p-1f, -1, -0x1.555556p-2f, -0.5f, -0x1.555556p-3f, -0.25f },
    { -1, -0x1.647362p-1f, -0x1.0cd66p-1f, -0x1.94654p-2f, -0x1.23449ap-2f, -0x1.7a6a7ep-3f, -0x1.74f0e2p-4f, 0,
        0x1.45f5fep-4f, 0x1.4995c6p-3f, 0x1.f809bap-3f, 0x1.5a0674p-2f, 0x1.c3497p-2f, 0x1.200f56p-1f, 0x1.722766p-1f,
        1 },
};

static int bnb4(struct lift *l, const char *arg, struct err *e)
{
    enum { SIDE_MAX = 1 << 24, PER_BYTE = 2 };
    int64_t k = lift_int(l, "K", 0), n = lift_int(l, "N", 0), block = lift_int(l, "block_size", 0);
    int64_t kind = lift_int(l, "quant_type", -1);
    TRY(need(l, 3, e));
    if (k < 1 || k > SIDE_MAX || n < 1 || n > SIDE_MAX || block < 1 || block > SIDE_MAX)
        return fail(e, ERR_MODEL, "K, N or block_size is out of range");
    if (kind != 0 && kind != 1) return fail(e, ERR_MODEL, "quant_type is %lld, expected 0 or 1", (long long)kind);
    if (!lift_int(l, "transB", 1)) return fail(e, ERR_UNSUPPORTED, "transB=0");
    const struct tensor *b = content(l, 1), *largest = content(l, 2);
    TRY(check_size(b, (n * k + 1) / PER_BYTE, "the packed weight", e));
    TRY(check_size(largest, (n * k + block - 1) / block, "the largest magnitudes", e));
    if (b->dtype != DT_U8) return fail(e, ERR_MODEL, "the packed weight is %s", dtype_name(b->dtype));
    struct shape s = shape_of(2, (int64_t[]){ k, n });
    struct tensor *w = tensor_new(l->b->g->arena, largest->dtype, &s, e);
    if (!w) return e->code;
    for (int64_t i = 0; i < n * k; i++) {
        int code = ((const unsigned char *)b->data)[i / PER_BYTE] >> (i % PER_BYTE ? 0 : 4) & 15;
        tensor_set_f64(w, i % k * n + i / k, codebooks[kind][code] * tensor_get_f64(largest, i / block));
    }
    lift_result(l, lift_two(l, "MatMul", l->in[0], emit_const(l->b, w)));
    return e->code;
}

/* --- GatherBlockQuantized: data, indices, scales, zero points --- */

/* A constant of bytes whose last dimension holds `last` numbers of `bits`, as a byte each. */
static struct value *spread_bits(struct lift *l, const struct tensor *t, int64_t last, int64_t bits, struct err *e)
{
    int rank = t->shape.rank;
    struct shape s = t->shape;
    if (rank < 1 || s.dim[rank - 1] != (last * bits + 7) / 8)
        return fail(e, ERR_SHAPE, "a row of %lld bytes for %lld numbers of %lld bits",
                   (long long)(rank < 1 ? 1 : s.dim[rank - 1]), (long long)last, (long long)bits), NULL;
    int64_t row_bytes = s.dim[rank - 1];
    s.dim[rank - 1] = last;
    struct tensor *u = tensor_new(l->b->g->arena, DT_U8, &s, e);
    for (int64_t i = 0; u && i < tensor_count(u); i++)
        ((unsigned char *)u->data)[i] = (unsigned char)bits_at(t, row_bytes, i / last, i % last, bits);
    return u ? emit_const(l->b, u) : NULL;
}

/* Bytes: data and zero points that share them, and the middle of the range where there is no zero point. */
static int unpack_bytes(struct lift *l, struct value **data, struct value **zero, struct err *e)
{
    int64_t bits = lift_int(l, "bits", 4);
    const struct tensor *d = content(l, 0), *z = content(l, 3);
    const struct shape *s = &l->in[2]->shape;
    if (bits != 2 && bits != 4 && bits != 8)
        return fail(e, ERR_MODEL, "bits is %lld, expected 2, 4 or 8", (long long)bits);
    if (!d || (lift_in(l, 3) && !z)) return fail(e, ERR_UNSUPPORTED, "data or zero points that are no constants");
    if (d->shape.rank < 1 || s->rank != d->shape.rank || !shape_is_known(s))
        return fail(e, ERR_SHAPE, "scales of another rank than the data");
    if (z && z->dtype != DT_U8) return fail(e, ERR_MODEL, "the zero points are %s", dtype_name(z->dtype));
    int64_t per = 8 / bits, last = d->shape.dim[d->shape.rank - 1];
    if (last > INT64_MAX / per) return fail(e, ERR_SHAPE, "rows of %lld bytes", (long long)last);
    if (bits < 8 && !(*data = spread_bits(l, d, last * per, bits, e))) return e->code;
    if (z && bits < 8 && !(*zero = spread_bits(l, z, s->dim[s->rank - 1], bits, e))) return e->code;
    if (z) return 0;
    *zero = emit(l->b, "Expand", NO_ATTRS, emit_scalar(l->b, DT_U8, 1 << (bits - 1)),
        emit_i64s(l->b, s->dim, (size_t)s->rank));
    return e->code;
}

static struct value *taken(struct lift *l, struct value *from, int64_t axis)
{
    return from ? emit(l->b, "Gather", ATTRS(attr_int("axis", axis)), from, l->in[1]) : NULL;
}

/* What is taken is taken first and dequantized then, so that no table of real numbers is needed. */
static int gather_blocks(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 3, e));
    for (int i = 0; i < 3; i++)
        if (!l->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
    struct value *data = l->in[0], *scale = l->in[2], *zero = lift_in(l, 3);
    if (data->dtype == DT_U8) TRY(unpack_bytes(l, &data, &zero, e));
    int rank = data->shape.rank, more = l->in[1]->shape.rank - 1;
    if (rank < 0 || more < -1) return fail(e, ERR_UNSUPPORTED, "data or indices of unknown rank");
    int from = shape_axis(lift_int(l, "gather_axis", 0), rank);
    int along = shape_axis(lift_int(l, "quantize_axis", 1), rank);
    if (from < 0 || along < 0) return fail(e, ERR_SHAPE, "gather_axis or quantize_axis is no axis of rank %d", rank);
    bool apart = from != along;
    struct value *x = apart ? taken(l, data, from) : data, *s = apart ? taken(l, scale, from) : scale,
                 *z = apart ? taken(l, zero, from) : zero;
    const struct attr *blocks = ATTRS(attr_int("axis", apart && along > from ? along + more : along),
        attr_int("block_size", lift_int(l, "block_size", 128)));
    struct value *y = emit(l->b, "DequantizeLinear", blocks, x, s, z);
    lift_result(l, apart ? y : taken(l, y, from));
    return e->code;
}

const struct lift_row lift_packed_rows[] = {
    { "GatherBlockQuantized", 1, LIFT_ANY, gather_blocks, NULL, "" },
    { "MatMulNBits", 1, LIFT_ANY, n_bits, NULL, "" },
    { "MatMulBnb4", 1, LIFT_ANY, bnb4, NULL, "" },
    { NULL },
};
