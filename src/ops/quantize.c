/* quantize.c - QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: per tensor, per axis and blocked. */
#include "ops/quantize.h"

#include <math.h>

#include "base/err.h"
#include "base/team.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/cast.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/operand.h"

/* How the scale lies over x, which is (outer, len, inner) around the axis. */
struct grains {
    int64_t outer, len, inner;
    int64_t block;  /* elements along the axis that share a scale */
    int64_t blocks; /* scales along the axis */
    bool whole;     /* one scale for everything */
    bool slices;    /* every (outer, inner) has scales of its own: blocked */
};

static int64_t grain_of(const struct grains *g, int64_t i)
{
    if (g->whole) return 0;
    int64_t block = i / g->inner % g->len / g->block;
    if (!g->slices) return block;
    return (i / (g->inner * g->len) * g->blocks + block) * g->inner + i % g->inner;
}

static int fits(int64_t have, int64_t want, const char *what, struct err *e)
{
    if (have < 0 || want < 0 || have == want) return 0;
    return fail(e, ERR_SHAPE, "%s is %lld, expected %lld", what, (long long)have, (long long)want);
}

/* A scale of x's rank, whose axis is shorter by the block. */
static int check_blocks(
    const struct shape *x, const struct shape *scale, int axis, int64_t block, struct grains *g, struct err *e)
{
    if (block < 1) return fail(e, ERR_SHAPE, "block_size is %lld", (long long)block);
    if (scale->rank != x->rank)
        return fail(e, ERR_SHAPE, "a blocked scale has rank %d, the input %d", scale->rank, x->rank);
    for (int d = 0; d < x->rank; d++) {
        int64_t want = d == axis && x->dim[d] >= 0 ? x->dim[d] / block + (x->dim[d] % block != 0) : x->dim[d];
        TRY(fits(scale->dim[d], want, "a dimension of the scale", e));
    }
    *g = (struct grains){ .block = block, .blocks = scale->dim[axis], .slices = true };
    return 0;
}

static int read_grains(
    const struct node *n, const struct shape *x, const struct shape *scale, struct grains *g, struct err *e)
{
    int64_t block = node_int(n, "block_size");
    *g = (struct grains){ .whole = true };
    if (x->rank < 0 || scale->rank < 0) return 0;
    if (!block && (!scale->rank || (scale->rank == 1 && scale->dim[0] == 1))) return 0;
    int axis = shape_axis(node_int(n, "axis"), x->rank);
    if (axis < 0) return fail(e, ERR_SHAPE, "axis %lld of rank %d", (long long)node_int(n, "axis"), x->rank);
    if (block) TRY(check_blocks(x, scale, axis, block, g, e));
    else if (scale->rank != 1) return fail(e, ERR_SHAPE, "the scale has rank %d, expected 0 or 1", scale->rank);
    else {
        TRY(fits(scale->dim[0], x->dim[axis], "the number of scales", e));
        *g = (struct grains){ .block = 1, .blocks = scale->dim[0] };
    }
    g->outer = shape_span(x, 0, axis);
    g->len = x->dim[axis];
    g->inner = shape_span(x, axis + 1, x->rank);
    return 0;
}

/* x, scale and zero point; the zero point has the shape of the scale. */
static int check_inputs(const struct node *n, struct err *e)
{
    struct grains g;
    struct shape zero;
    TRY(read_grains(n, &n->in[0]->shape, &n->in[1]->shape, &g, e));
    if (!node_in(n, 2)) return 0;
    zero = n->in[2]->shape;
    bool single = shape_count(&zero) == 1 && shape_count(&n->in[1]->shape) == 1;
    if (!single && !shape_merge(&zero, &n->in[1]->shape))
        return fail(e, ERR_SHAPE, "the zero point (%s) has another shape than the scale", n->in[2]->name);
    return 0;
}

/* A type given by number in an attribute; 0: `otherwise`. */
static int read_type(const struct node *n, const char *attr, enum dtype otherwise, enum dtype *t, struct err *e)
{
    int64_t number = node_int(n, attr);
    *t = number ? (enum dtype)number : otherwise;
    if (number && (number != (int)number || !dtype_is_valid((int)number)))
        return fail(e, ERR_MODEL, "%s is %lld, which is no element type", attr, (long long)number);
    return 0;
}

bool quantized_range(enum dtype t, double *low, double *high)
{
    int bits = dtype_bits(t);
    bool is_signed = dtype_kind(t) == KIND_INT;
    *low = is_signed ? -ldexp(1, bits - 1) : 0;
    *high = ldexp(1, is_signed ? bits - 1 : bits) - 1;
    return dtype_is_integer(t) && bits <= 32;
}

static int quantize_infer(struct node *n, struct err *e)
{
    enum dtype t, given = node_in(n, 2) ? n->in[2]->dtype : DT_U8;
    double low, high;
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    if (n->in[1]->dtype != DT_I32) TRY(infer_type(n, 1, TYPES_FLOAT, e));
    TRY(check_inputs(n, e));
    TRY(read_type(n, "output_dtype", given, &t, e));
    if (node_in(n, 2) && given && t && given != t)
        return fail(e, ERR_SHAPE, "the zero point is %s, output_dtype %s", dtype_name(given), dtype_name(t));
    if (t && !quantized_range(t, &low, &high) && !(dtype_is_float(t) && dtype_size(t) == 1))
        return fail(e, ERR_SHAPE, "quantizing to %s", dtype_name(t));
    infer_out(n, 0, t, &n->in[0]->shape);
    return 0;
}

enum { BLOCK = 256 };

struct job {
    struct grains grains;
    const struct tensor *x;
    struct tensor *y;
    const double *scale, *zero;
    enum dtype precision; /* of the quotient, or of the product */
    bool saturate;
    double low, high;
    bool to_float;
};

static void *at(const struct tensor *t, int64_t i)
{
    return (unsigned char *)t->data + (size_t)i * dtype_size(t->dtype);
}

/* As a number of type t would hold it. */
static void rounded(enum dtype t, int64_t n, double *v)
{
    double raw[BLOCK];
    if (t == DT_F64) return;
    store_f64(t, raw, n, v);
    load_f64(t, raw, n, v);
}

static void quantize_span(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    double v[BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load_f64(j->x->dtype, at(j->x, i), n, v);
        for (int64_t k = 0; k < n; k++) v[k] /= j->scale[grain_of(&j->grains, i + k)];
        rounded(j->precision, n, v);
        if (j->to_float) {
            cast_to_float8(j->y->dtype, j->saturate, n, v, at(j->y, i));
            continue;
        }
        for (int64_t k = 0; k < n; k++) {
            double q = rint(v[k]) + (j->zero ? j->zero[grain_of(&j->grains, i + k)] : 0);
            v[k] = isnan(q) ? 0 : fmin(fmax(q, j->low), j->high);
        }
        store_f64(j->y->dtype, at(j->y, i), n, v);
    }
}

static void dequantize_span(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    double v[BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load_f64(j->x->dtype, at(j->x, i), n, v);
        for (int64_t k = 0; k < n; k++) {
            int64_t g = grain_of(&j->grains, i + k);
            v[k] = (v[k] - (j->zero ? j->zero[g] : 0)) * j->scale[g];
        }
        store_f64(j->y->dtype, at(j->y, i), n, v);
    }
}

static int run(const struct step *s, struct job *j, void (*span)(void *, int64_t, int64_t), struct err *e)
{
    struct tensor *zero = step_in(s, 2);
    TRY(read_grains(s->node, &s->in[0]->shape, &s->in[1]->shape, &j->grains, e));
    j->x = s->in[0];
    j->y = s->out[0];
    if (!(j->scale = operand_load(s, s->in[1], e))) return e->code;
    if (zero && !(j->zero = operand_load(s, zero, e))) return e->code;
    team_run(s->threads, tensor_count(j->x), 4096, span, j);
    return 0;
}

static int quantize_run(const struct step *s, struct err *e)
{
    enum dtype to = s->out[0]->dtype;
    struct job j = { .saturate = node_int(s->node, "saturate") };
    enum dtype scale = s->in[1]->dtype;
    TRY(read_type(s->node, "precision", dtype_is_float(scale) ? scale : DT_F64, &j.precision, e));
    if (!dtype_is_float(j.precision)) return fail(e, ERR_MODEL, "precision is %s", dtype_name(j.precision));
    j.to_float = !quantized_range(to, &j.low, &j.high);
    return run(s, &j, quantize_span, e);
}

static int dequantize_infer(struct node *n, struct err *e)
{
    enum dtype t;
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    TRY(infer_type(n, 1, TYPES_FLOAT, e));
    TRY(check_inputs(n, e));
    if (node_in(n, 2) && n->in[0]->dtype && n->in[2]->dtype && n->in[0]->dtype != n->in[2]->dtype)
        return fail(e, ERR_SHAPE, "the zero point (%s) is %s, the input %s", n->in[2]->name,
            dtype_name(n->in[2]->dtype), dtype_name(n->in[0]->dtype));
    TRY(read_type(n, "output_dtype", n->in[1]->dtype, &t, e));
    if (t && !dtype_is_float(t)) return fail(e, ERR_SHAPE, "dequantizing to %s", dtype_name(t));
    infer_out(n, 0, t, &n->in[0]->shape);
    return 0;
}

static int dequantize_run(const struct step *s, struct err *e)
{
    return run(s, &(struct job){ 0 }, dequantize_span, e);
}

/* Scale or zero point as wide as x needs it to broadcast; x (.., len, ..). */
static struct value *spread(struct builder *b, const struct node *n, struct value *v, const struct grains *g)
{
    if (g->whole) return emit(b, "Reshape", NO_ATTRS, v, emit_i64s(b, NULL, 0));
    int rank = n->in[0]->shape.rank, axis = shape_axis(node_int(n, "axis"), rank);
    int64_t dims[SHAPE_MAX];
    if (!g->slices) {
        for (int d = 0; d < rank; d++) dims[d] = d == axis ? -1 : 1;
        return emit(b, "Reshape", NO_ATTRS, v, emit_i64s(b, dims, (size_t)rank));
    }
    struct shape s = shape_of(1, &g->len);
    struct tensor *index = tensor_new(b->g->arena, DT_I64, &s, b->err);
    if (!index) return NULL;
    for (int64_t i = 0; i < g->len; i++) tensor_set_i64(index, i, i / g->block);
    return emit(b, "Gather", ATTRS(attr_int("axis", axis)), v, emit_const(b, index));
}

static int dequantize_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct grains g;
    enum dtype t = n->in[1]->dtype;
    const struct shape *x = &n->in[0]->shape, *scale = &n->in[1]->shape;
    TRY(read_grains(n, x, scale, &g, b->err));
    if (x->rank < 0 || scale->rank < 0 || (g.slices && g.len < 0))
        return fail(b->err, ERR_UNSUPPORTED, "its expansion needs known ranks, and the length of a blocked axis");
    struct value *v = emit_cast(b, n->in[0], t);
    if (node_in(n, 2)) v = emit2(b, "Sub", v, spread(b, n, emit_cast(b, n->in[2], t), &g));
    v = emit2(b, "Mul", v, spread(b, n, n->in[1], &g));
    out[0] = emit_cast(b, v, n->out[0]->dtype);
    return 0;
}

static int dynamic_infer(struct node *n, struct err *e)
{
    struct shape scalar = shape_of(0, NULL);
    TRY(infer_float(n, e));
    infer_out(n, 0, DT_U8, &n->in[0]->shape);
    infer_out(n, 1, n->in[0]->dtype, &scalar);
    infer_out(n, 2, DT_U8, &scalar);
    return 0;
}

/* The range of x, widened to hold 0, over 255 steps. */
static int dynamic_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *x = n->in[0], *zero = emit_scalar(b, x->dtype, 0), *steps = emit_scalar(b, x->dtype, 255);
    struct value *low = emit2(b, "Min", emit(b, "ReduceMin", ATTRS(attr_int("keepdims", 0)), x), zero);
    struct value *high = emit2(b, "Max", emit(b, "ReduceMax", ATTRS(attr_int("keepdims", 0)), x), zero);
    struct value *range = emit2(b, "Sub", high, low), *flat = emit2(b, "Equal", range, zero);
    out[1] = emit(b, "Where", NO_ATTRS, flat, emit_scalar(b, x->dtype, 1), emit2(b, "Div", range, steps));
    struct value *at = emit1(b, "Neg", emit2(b, "Div", low, out[1]));
    at = emit1(b, "Round", emit(b, "Clip", NO_ATTRS, at, zero, steps));
    out[2] = emit_cast(b, at, DT_U8);
    out[0] = emit(b, "QuantizeLinear", NO_ATTRS, x, out[1], out[2]);
    return 0;
}

static const struct attr_spec quantize_attrs[] = {
    { "axis", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "of the scales, when there are several" },
    { "block_size", ATTR_INT, ATTR_DEFAULT, .i = 0,
        .doc = "elements along the axis that share a scale; 0: not blocked" },
    { "output_dtype", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "0: of the zero point, else uint8" },
    { "precision", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "type of the quotient; 0: of the scale" },
    { "saturate", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "to 8-bit floats: 0 overflows" },
    { 0 },
};
static const struct attr_spec dequantize_attrs[] = {
    { "axis", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "of the scales, when there are several" },
    { "block_size", ATTR_INT, ATTR_DEFAULT, .i = 0,
        .doc = "elements along the axis that share a scale; 0: not blocked" },
    { "output_dtype", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "0: of the scale" },
    { 0 },
};

const struct op ops_quantize[] = {
    { .name = "QuantizeLinear",
        .doc = "round(x / scale) + zero point, saturated, of (x, scale, zero point)",
        .min_in = 2,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = quantize_attrs,
        .infer = quantize_infer,
        .run = quantize_run,
        .samples = "f32[2,3,4] f32{0.1} u8{9}; f32[2,3,4] f32{0.1,0.2,0.3} i8{1,-2,3}; f32[6] f32[]{0.01}; f32[3,7] "
                   "f32+[3,3] i8<9>[3,3] | block_size=3; f32[5] f32{0.5} | output_dtype=17; f16[5] f16{0.02} u16{7}; "
                   "f32{-900,3,nan} f32{0.01} | output_dtype=19 saturate=0; i32[5] f32{0.5} | output_dtype=5 axis=0; "
                   "i32<99>[6] i32{4} i8{3}" },
    { .name = "DequantizeLinear",
        .doc = "(x - zero point) * scale, of (x, scale, zero point)",
        .min_in = 2,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_UNPACKS,
        .attrs = dequantize_attrs,
        .infer = dequantize_infer,
        .run = dequantize_run,
        .expand = dequantize_expand,
        .samples = "u8<200>[2,3,4] f32{0.1} u8{9}; i8[2,3,4] f32+[3] i8{1,-2,3}; i8[3,7] f32+[3,3] i8[3,3] | "
                   "block_size=3; u8<200>[2,3] f32+[] ; i32[4,2] f32+[4] | axis=0; f8_e5m2[5] f32{0.5}" },
    { .name = "DynamicQuantizeLinear",
        .doc = "x as uint8 over its own range, the scale and the zero point",
        .min_in = 1,
        .max_in = 1,
        .min_out = 3,
        .max_out = 3,
        .infer = dynamic_infer,
        .expand = dynamic_expand,
        .samples = "f32[2,3,4] | smooth=1; f32+[7] | smooth=1; f32{0,0} | smooth=1" },
    { 0 },
};
