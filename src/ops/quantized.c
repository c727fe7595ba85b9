/* quantized.c - what plan passes make of operators between quantized tensors: integers in, integers out. */
#include "ops/quantized.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/conv_core.h"
#include "ops/eval.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/kernel.h"
#include "ops/quantize.h"

static int check_bytes(const struct node *n, const int *inputs, int count, struct err *e)
{
    for (int i = 0; i < count; i++) {
        const struct value *v = node_in(n, inputs[i]);
        if (v && v->dtype && v->dtype != DT_U8 && v->dtype != DT_I8)
            return fail(e, ERR_SHAPE, "input %d (%s) is %s, expected int8 or uint8", inputs[i], v->name,
                dtype_name(v->dtype));
    }
    return 0;
}

static int check_scales(const struct node *n, const int *inputs, int count, struct err *e)
{
    for (int i = 0; i < count; i++)
        if (node_in(n, inputs[i])) TRY(infer_type(n, inputs[i], TYPES_FLOAT, e));
    return 0;
}

/* int32 without scales, real without a scale of the result, else of the type of the result's zero point. */
static enum dtype product_type(const struct node *n)
{
    if (!node_in(n, QX_SCALE)) return DT_I32;
    if (!node_in(n, QY_SCALE)) return n->in[QX_SCALE]->dtype;
    return node_in(n, QY_ZERO) ? n->in[QY_ZERO]->dtype : DT_U8;
}

static int check_product(const struct node *n, struct err *e)
{
    static const int bytes[] = { QX, QW, QX_ZERO, QW_ZERO, QY_ZERO };
    static const int scales[] = { QX_SCALE, QW_SCALE, QY_SCALE, QBIAS };
    const struct value *bias = node_in(n, QBIAS);
    TRY(check_bytes(n, bytes, 5, e));
    TRY(check_scales(n, scales, bias && bias->dtype == DT_I32 ? 3 : 4, e));
    if (!node_in(n, QX_SCALE) != !node_in(n, QW_SCALE))
        return fail(e, ERR_SHAPE, "a scale for one of the two factors only");
    if (!node_in(n, QX_SCALE) && (node_in(n, QY_SCALE) || node_in(n, QBIAS)))
        return fail(e, ERR_SHAPE, "a result in integers has no scale and no bias");
    return node_in(n, QBIAS) ? infer_rank(n, QBIAS, 1, 1, e) : 0;
}

/* One number stands for as many as `like` has. */
static struct value *as_many(struct builder *b, struct value *v, const struct value *like)
{
    bool one = shape_count(&v->shape) == 1, many = like->shape.rank == 1 && like->shape.dim[0] != 1;
    return one && many ? emit(b, "Expand", NO_ATTRS, v, emit_i64s(b, like->shape.dim, 1)) : v;
}

static struct value *dequantized(struct builder *b, const struct node *n, int x, int scale, int zero, int axis)
{
    struct value *s = n->in[scale], *z = node_in(n, zero);
    if (z) s = as_many(b, s, z);
    if (z) z = as_many(b, z, n->in[scale]);
    return emit(b, "DequantizeLinear", ATTRS(attr_int("axis", axis)), n->in[x], s, z);
}

static struct value *as_scalar(struct builder *b, struct value *v)
{
    return v && v->shape.rank ? emit(b, "Reshape", NO_ATTRS, v, emit_i64s(b, NULL, 0)) : v;
}

/* Within [low, high], divided by `unit` unless it is NULL. */
static struct value *bounded(struct builder *b, const struct node *n, struct value *y, struct value *unit)
{
    double bound[2] = { node_float(n, "low"), node_float(n, "high") };
    struct value *v[2];
    if (!isfinite(bound[0]) && !isfinite(bound[1])) return y;
    for (int i = 0; i < 2 && y; i++) {
        v[i] = emit_scalar(b, y->dtype, bound[i]);
        if (unit) v[i] = emit2(b, "Div", v[i], as_scalar(b, unit));
    }
    return y ? emit(b, "Clip", NO_ATTRS, y, v[0], v[1]) : NULL;
}

/* Within [low, high], then quantized when there is a scale for it. */
static struct value *finished(struct builder *b, const struct node *n, struct value *y, int scale, int zero)
{
    y = bounded(b, n, y, NULL);
    if (!node_in(n, scale)) return y;
    return emit(b, "QuantizeLinear", NO_ATTRS, y, n->in[scale], node_in(n, zero));
}

static bool is_own(const char *name)
{
    return !strcmp(name, "low") || !strcmp(name, "high");
}

#define RANGE_ATTRS \
    { "low", ATTR_FLOAT, ATTR_DEFAULT, .f = -INFINITY, .doc = "the result is at least this" }, \
        { "high", ATTR_FLOAT, ATTR_DEFAULT, .f = INFINITY, .doc = "the result is at most this" }

/* --- from sums to results: see quantized.h --- */

static double number(const struct step *s, int i, double none)
{
    return s->node->n_in > i && s->in[i] ? tensor_get_f64(s->in[i], 0) : none;
}

/* The element that belongs to an output channel. */
static double of_channel(const struct tensor *t, int64_t channel)
{
    return tensor_get_f64(t, tensor_count(t) == 1 ? 0 : channel);
}

bool quantized_adds_first(const struct step *s)
{
    return s->node->n_in > QBIAS && s->in[QBIAS] && s->in[QBIAS]->dtype != DT_I32 && s->in[QY_SCALE];
}

void quantized_rescaling(const struct step *s, int64_t channel, struct rescaling *r)
{
    const struct tensor *bias = s->node->n_in > QBIAS ? s->in[QBIAS] : NULL;
    bool real = bias && bias->dtype != DT_I32, rounded = s->node->n_in > QY_SCALE && s->in[QY_SCALE];
    float sx = (float)number(s, QX_SCALE, 1), sy = (float)number(s, QY_SCALE, 1);
    float sw = (float)of_channel(s->in[QW_SCALE], channel), add = bias ? (float)of_channel(bias, channel) : 0;
    float unit = 1 / sx * (1 / sw);
    if (real && rounded) *r = (struct rescaling){ add * unit, 1 / sy / unit, (float)number(s, QY_ZERO, 0) };
    else *r = (struct rescaling){ real ? 0 : add, sx * sw / sy, real ? add : 0 };
}

static bool all_zero(const struct tensor *t)
{
    for (int64_t i = 0; i < tensor_count(t); i++)
        if (tensor_get_i64(t, i)) return false;
    return true;
}

static int64_t channels_of(const struct step *s)
{
    const struct shape *y = &s->out[0]->shape;
    return y->dim[node_is(s->node, "QuantizedConv") ? 1 : y->rank - 1];
}

const char *quantized_unsettled(const struct step *s, bool zero_comes_late)
{
    const struct tensor *t[QPRODUCT_INPUTS] = { NULL };
    for (int i = 0; i < s->node->n_in; i++) t[i] = s->in[i];
    if (!tensor_count(s->out[0]) || !tensor_count(t[QX])) return "an empty tensor";
    if (t[QW]->dtype != DT_I8) return "weights that are not int8";
    for (int i = QX_ZERO; i <= QY_ZERO; i++) {
        if (t[i] && !t[i]->data && !(i == QX_ZERO && zero_comes_late)) return "scales or zero points that change";
        if (t[i] && i != QW_ZERO && i != QW_SCALE && tensor_count(t[i]) != 1) return "more than one scale of an image";
    }
    if (t[QW_ZERO] && !all_zero(t[QW_ZERO])) return "a zero point of the weight";
    if (t[QBIAS] && !t[QBIAS]->data) return "a bias that changes";
    if (t[QBIAS] && tensor_count(t[QBIAS]) != channels_of(s)) return "a bias that is not one number a channel";
    return NULL;
}

/* One number, or one for each channel, which is dimension `axis` of `rank`. */
static struct value *along(struct builder *b, struct value *v, int axis, int rank)
{
    int64_t dims[SHAPE_MAX];
    if (!v || shape_count(&v->shape) == 1) return v ? as_scalar(b, v) : NULL;
    for (int i = axis; i < rank; i++) dims[i] = i == axis ? -1 : 1;
    return rank - axis == 1 ? v : emit(b, "Reshape", NO_ATTRS, v, emit_i64s(b, dims + axis, (size_t)(rank - axis)));
}

/* The result of sums whose channels are dimension `axis`, in the very steps of quantized_rescaling(). */
static struct value *rescaled(struct builder *b, const struct node *n, struct value *sum, int axis)
{
    struct value *bias = node_in(n, QBIAS), *sy = node_in(n, QY_SCALE), *zero = node_in(n, QY_ZERO);
    struct value *sx = n->in[QX_SCALE], *sw = n->in[QW_SCALE];
    if (!sum) return NULL;
    int rank = sum->shape.rank;
    enum dtype t = sx->dtype;
    struct value *one = emit_scalar(b, t, 1), *add = along(b, bias, axis, rank);
    bool real = bias && bias->dtype != DT_I32;
    if (bias && !real) sum = emit2(b, "Add", sum, add);
    sum = emit_cast(b, sum, t);
    struct value *unit = emit2(b, "Mul", as_scalar(b, sx), along(b, sw, axis, rank));
    if (!sy) {
        sum = emit2(b, "Mul", sum, unit);
        return bounded(b, n, real ? emit2(b, "Add", sum, add) : sum, NULL);
    }
    if (!real) {
        sum = emit2(b, "Mul", sum, emit2(b, "Div", unit, as_scalar(b, sy)));
        return emit(b, "QuantizeLinear", NO_ATTRS, bounded(b, n, sum, sy), one, zero);
    }
    unit = emit2(b, "Mul", emit2(b, "Div", one, as_scalar(b, sx)),
        emit2(b, "Div", one, along(b, sw, axis, rank)));
    sum = emit2(b, "Add", sum, emit2(b, "Mul", add, unit));
    sum = emit2(b, "Mul", sum, emit2(b, "Div", emit2(b, "Div", one, as_scalar(b, sy)), unit));
    sum = bounded(b, n, sum, sy);
    if (zero) sum = emit2(b, "Add", sum, as_scalar(b, emit_cast(b, zero, t)));
    return emit(b, "QuantizeLinear", NO_ATTRS, sum, one,
        emit_scalar(b, zero ? zero->dtype : DT_U8, 0));
}

/* --- QuantizedConv --- */

static const struct attr_spec conv_own_attrs[] = {
    RANGE_ATTRS,
    LIKE_CONV_ATTRS,
    { 0 },
};

static int conv_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(check_product(n, e));
    TRY(conv_resolve(n, false, &n->in[QX]->shape, &n->in[QW]->shape, &y, NULL, e));
    infer_out(n, 0, product_type(n), &y);
    return 0;
}

static int conv_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct attr attrs[8] = { { 0 } };
    int count = 0;
    for (size_t i = 0; i < n->n_attrs && count < 7; i++)
        if (!is_own(n->attrs[i].name)) attrs[count++] = n->attrs[i];
    struct value *sum = emit(b, "ConvInteger", attrs, n->in[QX], n->in[QW], node_in(n, QX_ZERO), node_in(n, QW_ZERO));
    out[0] = node_in(n, QX_SCALE) ? rescaled(b, n, sum, 1) : sum;
    return 0;
}

/* --- QuantizedGemm: rows x (..., K) times a matrix, (K, N) or turned --- */

static const struct attr_spec gemm_own_attrs[] = {
    RANGE_ATTRS,
    { "transB", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "the matrix is (N, K)" },
    { 0 },
};

static int gemm_infer(struct node *n, struct err *e)
{
    TRY(check_product(n, e));
    TRY(infer_rank(n, QX, 1, SHAPE_MAX, e));
    TRY(infer_rank(n, QW, 2, 2, e));
    struct shape y = n->in[QX]->shape, w = n->in[QW]->shape;
    bool turned = node_int(n, "transB");
    if (y.rank > 0 && w.rank == 2) {
        int64_t have = y.dim[y.rank - 1], want = w.dim[turned];
        if (have >= 0 && want >= 0 && have != want)
            return fail(e, ERR_SHAPE, "rows of %lld numbers times a matrix of %lld", (long long)have, (long long)want);
        y.dim[y.rank - 1] = w.dim[!turned];
    }
    if (w.rank < 0 && y.rank > 0) y.dim[y.rank - 1] = DIM_UNKNOWN;
    infer_out(n, 0, product_type(n), &y);
    return 0;
}

static struct value *turned(struct builder *b, struct value *w, bool turn)
{
    return turn ? emit(b, "Transpose", ATTRS(attr_ints("perm", (int64_t[]){ 1, 0 }, 2)), w) : w;
}

static int gemm_expand(struct builder *b, const struct node *n, struct value **out)
{
    bool turn = node_int(n, "transB");
    struct value *w = turned(b, n->in[QW], turn);
    struct value *sum = emit(b, "MatMulInteger", NO_ATTRS, n->in[QX], w, node_in(n, QX_ZERO), node_in(n, QW_ZERO));
    out[0] = node_in(n, QX_SCALE) && sum ? rescaled(b, n, sum, sum->shape.rank - 1) : sum;
    return 0;
}

/* --- QuantizedAdd --- */

static const struct attr_spec add_own_attrs[] = {
    RANGE_ATTRS,
    { "ratios", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "1: in steps of the result, as ONNX Runtime's QLinearAdd" },
    { 0 },
};

static int add_infer(struct node *n, struct err *e)
{
    static const int bytes[] = { QA, QA_ZERO, QB, QB_ZERO, QS_ZERO }, scales[] = { QA_SCALE, QB_SCALE, QS_SCALE };
    struct shape y = n->in[QA]->shape;
    TRY(check_bytes(n, bytes, 5, e));
    TRY(check_scales(n, scales, 3, e));
    if (node_int(n, "ratios") && (isfinite(node_float(n, "low")) || isfinite(node_float(n, "high"))))
        return fail(e, ERR_MODEL, "ratios=1 with low or high");
    bool fits = node_int(n, "ratios") ? shape_broadcast(&n->in[QA]->shape, &n->in[QB]->shape, &y)
                                      : shape_merge(&y, &n->in[QB]->shape);
    if (!fits) return fail(e, ERR_SHAPE, "the shapes of the two terms do not fit");
    infer_out(n, 0, n->in[QS_ZERO]->dtype, &y);
    return 0;
}

/* x times a factor plus y, rounded to float32 once: what fmaf() gives, as the product of 8 and 24 bits is exact. */
static struct value *fused(struct builder *b, struct value *x, struct value *factor, struct value *y)
{
    enum dtype t = y ? y->dtype : DT_F32;
    struct value *wide = emit2(b, "Mul", emit_cast(b, x, DT_F64), emit_cast(b, as_scalar(b, factor), DT_F64));
    return emit_cast(b, emit2(b, "Add", wide, emit_cast(b, y, DT_F64)), t);
}

/* round(a ra + (b rb + rest)), ra = sa / s, rb = sb / s, rest = zero - (ra za + rb zb); see quantized.h */
static int add_ratios(struct builder *b, const struct node *n, struct value **out)
{
    enum dtype t = n->in[QS_SCALE]->dtype;
    struct value *step = n->in[QS_SCALE], *zero[3], *one = emit_scalar(b, t, 1);
    static const int zeros[] = { QA_ZERO, QB_ZERO, QS_ZERO };
    for (int i = 0; i < 3; i++) zero[i] = as_scalar(b, emit_cast(b, n->in[zeros[i]], t));
    struct value *ra = as_scalar(b, emit2(b, "Div", n->in[QA_SCALE], step));
    struct value *rb = as_scalar(b, emit2(b, "Div", n->in[QB_SCALE], step));
    struct value *rest = emit2(b, "Add", emit2(b, "Mul", ra, zero[0]), emit2(b, "Mul", rb, zero[1]));
    rest = emit2(b, "Sub", zero[2], rest);
    struct value *y = fused(b, n->in[QA], ra, fused(b, n->in[QB], rb, rest));
    out[0] = emit(b, "QuantizeLinear", NO_ATTRS, y, one, emit_scalar(b, n->in[QS_ZERO]->dtype, 0));
    return 0;
}

static int add_expand(struct builder *b, const struct node *n, struct value **out)
{
    if (node_int(n, "ratios")) return add_ratios(b, n, out);
    struct value *x = dequantized(b, n, QA, QA_SCALE, QA_ZERO, 1), *y = dequantized(b, n, QB, QB_SCALE, QB_ZERO, 1);
    out[0] = finished(b, n, emit2(b, "Add", x, y), QS_SCALE, QS_ZERO);
    return 0;
}

/* --- QuantizedLookup: any function of one byte --- */

static int lookup_infer(struct node *n, struct err *e)
{
    TRY(check_bytes(n, (int[]){ 0, 1 }, 2, e));
    TRY(infer_rank(n, 1, 1, 1, e));
    int64_t len = n->in[1]->shape.rank == 1 ? n->in[1]->shape.dim[0] : -1;
    if (len >= 0 && len != 256) return fail(e, ERR_SHAPE, "a table of %lld entries, expected 256", (long long)len);
    infer_out(n, 0, n->in[1]->dtype, &n->in[0]->shape);
    return 0;
}

static int lookup_run(const struct step *s, struct err *e)
{
    const unsigned char *x = s->in[0]->data, *table = s->in[1]->data;
    unsigned char *y = s->out[0]->data;
    unsigned flip = s->in[0]->dtype == DT_I8 ? 128 : 0; /* entry 0 belongs to the smallest number */
    for (int64_t i = 0; i < tensor_count(s->in[0]); i++) y[i] = table[x[i] ^ flip];
    return 0;
}

const struct op ops_quantized[] = {
    { .name = "QuantizedConv",
        .doc = "Conv of quantized numbers: x, weight, zero points; scales of x and weight; scale and zero point of the "
               "result; bias. A real result without the former, sums as int32 without scales",
        .min_in = 2,
        .max_in = QPRODUCT_INPUTS,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = conv_own_attrs,
        .infer = conv_infer,
        .run = step_run_expanded,
        .expand = conv_expand,
        .samples =
            "u8<256>[1,3,6,5] i8[4,3,3,3] u8{9} i8{0} f32{0.1} f32{0.05,0.1,0.2,0.3} f32{0.3} u8{128} f32[4] | "
            "pads=1,1,1,1; u8<200>[2,4,7] u8<256>[6,2,2] u8{100} u8{1,99,128,7,255,0} f32{0.1} f32{0.05} f32{4} "
            "i8{-3} | group=2 low=0; i8[2,5,9,8] i8[3,5,1,1] i8{-3} - f32{0.1} f32{0.5} - - f32[3] | strides=2,2 "
            "high=2; u8<256>[1,20,6,6] i8[20,1,3,3] u8{3} i8{0} f32{0.1} f32{0.05} f32{0.3} u8{9} f32[20] | "
            "group=20 pads=1,0,2,1 low=0 high=6; u8<256>[2,3,8,7] u8<256>[4,3,2,3] u8{255} u8{9} | dilations=2,1; "
            "i8[1,6,4,4] i8[12,1,2,2] - - | group=6" },
    { .name = "QuantizedGemm",
        .doc = "rows of quantized numbers times a matrix of them: inputs as QuantizedConv's",
        .min_in = 2,
        .max_in = QPRODUCT_INPUTS,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = gemm_own_attrs,
        .infer = gemm_infer,
        .run = step_run_expanded,
        .expand = gemm_expand,
        .samples = "u8<256>[3,40] i8[40,5] u8{9} i8{0} f32{0.1} f32{0.05,0.1,0.2,0.3,0.4} f32{0.9} u8{128} f32[5]; "
                   "i8[2,3,7] u8<256>[18,7] i8{-4} u8{100} f32{0.1} f32{0.25} - - f32[18] | transB=1; u8<256>[13,33] "
                   "u8<256>[33,4] u8{200} u8{1,2,255,0}; u8<256>[9] i8[9,2] u8{0} - f32{0.1} f32{0.2,0.1} "
                   "f32{0.5} i8{0} | low=0" },
    { .name = "QuantizedAdd",
        .doc = "sum of two quantized tensors of one shape, quantized: each with scale and zero point",
        .min_in = 8,
        .max_in = 8,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = add_own_attrs,
        .infer = add_infer,
        .run = step_run_expanded,
        .expand = add_expand,
        .samples = "u8<256>[2,3,5] f32{0.1} u8{9} u8<256>[2,3,5] f32{0.3} u8{200} f32{0.2} u8{120}; i8[7] f32{0.1} "
                   "i8{-3} u8<200>[7] f32[]{0.02} u8[]{0} f32{0.1} i8{-128} | low=0; u8<256>[2,3,5] f32{0.1} u8{9} "
                   "u8<256>[2,3,5] f32{0.3} u8{200} f32{0.2} u8{120} | ratios=1; i8[2,3,5] f32{0.05} i8{-9} i8[3,1] "
                   "f32[]{0.1} i8[]{4} f32{0.1} i8{7} | ratios=1" },
    { .name = "QuantizedLookup",
        .doc = "a table of 256 entries at the place of each byte; entry 0 belongs to the smallest",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .infer = lookup_infer,
        .run = lookup_run,
        .samples = "u8<256>[2,3,70] i8[256]; i8[300] u8<256>[256]" },
    { 0 },
};
