/* integer.c - products and convolutions of quantized numbers, written in exact arithmetic of wider types. */
#include <stdint.h>

#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/conv_core.h"
#include "ops/eval.h"
#include "ops/gradient.h"
#include "ops/infer.h"

static int check_byte(const struct node *n, int i, struct err *e)
{
    TRY(infer_type(n, i, TYPES_INTEGER, e));
    const struct value *v = node_in(n, i);
    if (v && v->dtype && dtype_size(v->dtype) > 2)
        return fail(e, ERR_SHAPE, "input %d (%s) is %s, expected 8 bits", i, v->name, dtype_name(v->dtype));
    return 0;
}

/* A zero point has the type of what it belongs to, and one element or one for each of `dim`. */
static int check_zero(const struct node *n, int zero, int of, int64_t dim, struct err *e)
{
    const struct value *v = node_in(n, zero);
    if (!v) return 0;
    if (v->dtype && n->in[of]->dtype && v->dtype != n->in[of]->dtype)
        return fail(e, ERR_SHAPE, "the zero point %s is %s, its tensor %s", v->name, dtype_name(v->dtype),
            dtype_name(n->in[of]->dtype));
    int64_t have = v->shape.rank == 1 ? v->shape.dim[0] : 1;
    if (have > 1 && dim >= 0 && have != dim)
        return fail(e, ERR_SHAPE, "the zero point %s has %lld elements, expected 1 or %lld", v->name, (long long)have,
            (long long)dim);
    return 0;
}

static bool is_single(const struct value *v)
{
    return !v->shape.rank || shape_count(&v->shape) == 1;
}

/* v - zero in type t; a zero point of rank 1 counts along dimension `axis` of `rank`. */
static struct value *centred(struct builder *b, struct value *v, struct value *zero, int axis, int rank, enum dtype t)
{
    struct value *x = emit_cast(b, v, t);
    int64_t dims[SHAPE_MAX];
    if (!zero || b->err->code) return x;
    if (zero->shape.rank < 0) return fail(b->err, ERR_UNSUPPORTED, "needs to know the rank of a zero point"), NULL;
    zero = emit_cast(b, zero, t);
    if (zero && is_single(zero)) zero = emit(b, "Reshape", NO_ATTRS, zero, emit_i64s(b, NULL, 0));
    else if (zero && zero->shape.rank == 1) {
        for (int d = 0; d < rank; d++) dims[d] = d == axis ? -1 : 1;
        zero = emit(b, "Reshape", NO_ATTRS, zero, emit_i64s(b, dims, (size_t)rank));
    }
    return emit2(b, "Sub", x, zero);
}

/* --- MatMulInteger: a, b, a's zero point (one, or one per row), b's (one, or one per column) --- */

static int64_t dim_from_end(const struct value *v, int k)
{
    return v->shape.rank >= k ? v->shape.dim[v->shape.rank - k] : DIM_UNKNOWN;
}

/* The shape of a product, by the rules of MatMul itself. */
static int product_shape(const struct node *n, int a, int b, struct shape *y, struct err *e)
{
    struct value left = *n->in[a], right = *n->in[b], out = { .shape = shape_unknown() };
    struct value *in[] = { &left, &right }, *result = &out;
    left.dtype = right.dtype = DT_I32;
    struct node m = {
        .op = n->graph->ops->find("MatMul"), .n_in = 2, .n_out = 1, .in = in, .out = &result, .name = ""
    };
    m.graph = n->graph;
    TRY(m.op->infer(&m, e));
    *y = out.shape;
    return 0;
}

static int matmul_infer(struct node *n, struct err *e)
{
    struct shape y;
    for (int i = 0; i < 4; i++) TRY(check_byte(n, i, e));
    TRY(check_zero(n, 2, 0, dim_from_end(n->in[0], 2), e));
    TRY(check_zero(n, 3, 1, dim_from_end(n->in[1], 1), e));
    TRY(product_shape(n, 0, 1, &y, e));
    infer_out(n, 0, DT_I32, &y);
    return 0;
}

static int matmul_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *l = n->in[0], *r = n->in[1];
    l = centred(b, l, node_in(n, 2), l->shape.rank - 2, l->shape.rank, DT_I32);
    r = centred(b, r, node_in(n, 3), r->shape.rank - 1, r->shape.rank, DT_I32);
    out[0] = emit2(b, "MatMul", l, r);
    return 0;
}

/* --- ConvInteger: x, w, x's zero point, w's (one, or one per output channel) --- */

static int conv_infer(struct node *n, struct err *e)
{
    struct shape y;
    for (int i = 0; i < 4; i++) TRY(check_byte(n, i, e));
    TRY(check_zero(n, 2, 0, 1, e));
    TRY(check_zero(n, 3, 1, n->in[1]->shape.rank > 0 ? n->in[1]->shape.dim[0] : DIM_UNKNOWN, e));
    TRY(conv_resolve(n, false, &n->in[0]->shape, &n->in[1]->shape, &y, NULL, e));
    infer_out(n, 0, DT_I32, &y);
    return 0;
}

/* The narrowest float in which a sum of `terms` products of two differences of 8-bit numbers is exact. */
static enum dtype exact_type(int64_t terms, const struct value *x, const struct value *w)
{
    enum { EXACT_IN_FLOAT = (1 << 24) / (255 * 255) };
    bool bytes = dtype_size(x->dtype) == 1 && dtype_size(w->dtype) == 1;
    return bytes && terms >= 0 && terms <= EXACT_IN_FLOAT ? DT_F32 : DT_F64;
}

static int conv_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *x = n->in[0], *w = n->in[1];
    enum dtype t = exact_type(w->shape.rank > 1 ? shape_span(&w->shape, 1, w->shape.rank) : -1, x, w);
    x = centred(b, x, node_in(n, 2), 1, x->shape.rank, t);
    w = centred(b, w, node_in(n, 3), 0, w->shape.rank, t);
    out[0] = emit_cast(b, emit(b, "Conv", n->n_attrs ? n->attrs : NO_ATTRS, x, w), DT_I32);
    return 0;
}

/* --- QLinearMatMul and QLinearConv: every tensor with its scale and zero point behind it --- */

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO, BIAS };

/* An 8-bit float, which QLinearMatMul takes as well. */
static bool is_small_float(const struct value *v)
{
    return v && dtype_is_float(v->dtype) && dtype_size(v->dtype) == 1;
}

static int check_scales(const struct node *n, bool floats, struct err *e)
{
    static const int bytes[] = { A, A_ZERO, B, B_ZERO, Y_ZERO }, scales[] = { A_SCALE, B_SCALE, Y_SCALE };
    for (int i = 0; i < 5; i++)
        if (!floats || !is_small_float(node_in(n, bytes[i]))) TRY(check_byte(n, bytes[i], e));
    for (int i = 0; i < 3; i++) TRY(infer_type(n, scales[i], TYPES_FLOAT, e));
    return 0;
}

/* sum * (a's scale * b's scale), quantized; several scales of b count along dimension `axis`. */
static struct value *requantized(struct builder *b, const struct node *n, struct value *sum, int axis)
{
    enum dtype t = n->in[A_SCALE]->dtype;
    if (b->err->code) return NULL;
    int rank = sum->shape.rank;
    struct value *scale = emit2(b, "Mul", n->in[A_SCALE], emit_cast(b, n->in[B_SCALE], t));
    int64_t dims[SHAPE_MAX];
    for (int d = 0; d < rank; d++) dims[d] = d == axis ? -1 : 1;
    if (is_single(n->in[B_SCALE]) && is_single(n->in[A_SCALE]))
        scale = emit(b, "Reshape", NO_ATTRS, scale, emit_i64s(b, NULL, 0));
    else if (n->in[B_SCALE]->shape.rank == 1 && rank > 0 && is_single(n->in[A_SCALE]))
        scale = emit(b, "Reshape", NO_ATTRS, scale, emit_i64s(b, dims, (size_t)rank));
    struct value *real = emit2(b, "Mul", emit_cast(b, sum, t), scale);
    return emit(b, "QuantizeLinear", NO_ATTRS, real, n->in[Y_SCALE], n->in[Y_ZERO]);
}

static int qmatmul_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(check_scales(n, true, e));
    TRY(product_shape(n, A, B, &y, e));
    infer_out(n, 0, n->in[Y_ZERO]->dtype, &y);
    return 0;
}

static int qmatmul_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *l = n->in[A], *r = n->in[B], *sum;
    enum dtype t = n->in[A_SCALE]->dtype;
    if (!is_small_float(l) && !is_small_float(r))
        sum = emit(b, "MatMulInteger", NO_ATTRS, l, r, n->in[A_ZERO], n->in[B_ZERO]);
    else
        sum = emit2(b, "MatMul", centred(b, l, n->in[A_ZERO], l->shape.rank - 2, l->shape.rank, t),
            centred(b, r, n->in[B_ZERO], r->shape.rank - 1, r->shape.rank, t));
    out[0] = requantized(b, n, sum, sum ? sum->shape.rank - 1 : 0);
    return 0;
}

static int qconv_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(check_scales(n, false, e));
    if (node_in(n, BIAS)) TRY(infer_rank(n, BIAS, 1, 1, e));
    TRY(infer_type(n, BIAS, TYPES_INTEGER, e));
    TRY(conv_resolve(n, false, &n->in[A]->shape, &n->in[B]->shape, &y, NULL, e));
    infer_out(n, 0, n->in[Y_ZERO]->dtype, &y);
    return 0;
}

static int qconv_expand(struct builder *b, const struct node *n, struct value **out)
{
    const struct attr *attrs = n->n_attrs ? n->attrs : NO_ATTRS;
    struct value *sum = emit(b, "ConvInteger", attrs, n->in[A], n->in[B], n->in[A_ZERO], n->in[B_ZERO]);
    if (node_in(n, BIAS) && sum) {
        int64_t dims[SHAPE_MAX];
        for (int d = 0; d < sum->shape.rank; d++) dims[d] = d == 1 ? -1 : 1;
        if (sum->shape.rank < 0) return fail(b->err, ERR_UNSUPPORTED, "needs to know the rank of its input");
        struct value *bias = emit(b, "Reshape", NO_ATTRS, n->in[BIAS], emit_i64s(b, dims, (size_t)sum->shape.rank));
        sum = emit2(b, "Add", sum, emit_cast(b, bias, DT_I32));
    }
    out[0] = requantized(b, n, sum, 1);
    return 0;
}

const struct op ops_integer[] = {
    { .name = "MatMulInteger",
        .doc = "(a - a's zero point) (b - b's zero point) of 8-bit matrices, as int32",
        .min_in = 2,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .infer = matmul_infer,
        .expand = matmul_expand,
        .samples = "u8<200>[3,4] i8[4,5]; u8<200>[2,3,4] u8<200>[4,5] u8{7} u8{1,2,3,4,5}; i8[3,4] i8[4,2] i8{1,2,3} "
                   "i8{-3}; u8[2,300] i8[300,3] u8{128}" },
    { .name = "ConvInteger",
        .doc = "Convolution of 8-bit numbers, of (x, weight, zero points), as int32",
        .min_in = 2,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .attrs = conv_attrs,
        .infer = conv_infer,
        .expand = conv_expand,
        .samples = "u8<200>[2,3,6,5] i8[4,3,3,3] | strides=2,2 pads=1,1,1,1; u8<200>[1,4,5] u8<99>[2,2,3] u8{7} "
                   "u8{3,4} | group=2 pads=1,0; i8[1,80,3,3] i8[2,80,2,2] i8{-1}" },
    { .name = "QLinearMatMul",
        .doc = "product of quantized matrices, quantized: a, b and y with scale and zero point each",
        .min_in = 8,
        .max_in = 8,
        .min_out = 1,
        .max_out = 1,
        .infer = qmatmul_infer,
        .expand = qmatmul_expand,
        .samples = "u8<200>[3,4] f32{0.1} u8{9} u8<200>[4,5] f32{0.05} u8{100} f32{0.3} u8{128}; i8[2,3,4] f32[]{0.1} "
                   "i8[]{1} i8[4,2] f32{0.5,0.25} i8{0,1} f32[]{0.3} i8[]{-9}; f8_e4m3[3,4] f32{0.5} f8_e4m3{0} "
                   "f8_e5m2[4,2] f32{0.5} f8_e5m2{0} f32{0.3} f8_e4m3{0}" },
    { .name = "QLinearConv",
        .doc = "convolution of quantized numbers, quantized: x, w and y with scale and zero point each; bias",
        .min_in = 8,
        .max_in = 9,
        .min_out = 1,
        .max_out = 1,
        .attrs = conv_attrs,
        .infer = qconv_infer,
        .expand = qconv_expand,
        .samples = "u8<200>[1,3,6,5] f32{0.1} u8{9} i8[4,3,3,3] f32{0.05,0.1,0.2,0.3} i8{0,0,0,1} f32{0.3} u8{128} "
                   "i32[4] | pads=1,1,1,1; u8<200>[1,2,7] f32[]{0.1} u8[]{9} u8<99>[2,2,3] f32[]{0.05} u8[]{50} "
                   "f32[]{0.3} u8[]{128}" },
    { 0 },
};
