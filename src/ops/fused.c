/* fused.c - what plan passes make of several operators: convolutions, products and normalisations with what stands
 * around them, folded normalisations. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/conv_core.h"
#include "ops/eval.h"
#include "ops/infer.h"
#include "ops/mover.h"
#include "ops/operand.h"

/* --- FusedConv: x, weight, bias, residual --- */

#define ACTIVATION_ATTRS \
    { "activation", ATTR_STRING, ATTR_DEFAULT, .s = "", .doc = "an element-wise operator's name; none when empty" }, \
    { "alpha", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "of the activation; Clip: min; Gelu: 1 for the tanh form" }, \
    { "beta", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "of the activation; Clip: max" }

static const struct attr_spec fused_attrs[] = { ACTIVATION_ATTRS, LIKE_CONV_ATTRS, { 0 } };

static int fused_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(infer_same_types(n, 0, n->n_in, e));
    TRY(conv_resolve(n, false, &n->in[0]->shape, &n->in[1]->shape, &y, NULL, e));
    if (node_in(n, 3) && !shape_merge(&y, &n->in[3]->shape))
        return fail(e, ERR_SHAPE, "the residual has another shape than the convolution's result");
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

static struct value *activated(struct builder *b, const struct node *n, struct value *y)
{
    const char *op = node_string(n, "activation");
    double alpha = node_float(n, "alpha"), beta = node_float(n, "beta");
    if (!op[0] || b->err->code) return y;
    if (!strcmp(op, "Clip"))
        return emit(b, op, NO_ATTRS, y, emit_scalar(b, y->dtype, alpha), emit_scalar(b, y->dtype, beta));
    if (!strcmp(op, "Gelu")) return emit(b, op, ATTRS(attr_string("approximate", alpha != 0 ? "tanh" : "none")), y);
    if (!strcmp(op, "LeakyRelu") || !strcmp(op, "Elu") || !strcmp(op, "Swish"))
        return emit(b, op, ATTRS(attr_float("alpha", alpha)), y);
    return emit(b, op, NO_ATTRS, y);
}

static bool is_of_fusion(const char *name)
{
    return !strcmp(name, "activation") || !strcmp(name, "alpha") || !strcmp(name, "beta");
}

static int fused_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct attr attrs[10] = { { 0 } };
    int count = 0;
    for (size_t i = 0; i < n->n_attrs && count < 9; i++)
        if (!is_of_fusion(n->attrs[i].name)) attrs[count++] = n->attrs[i];
    struct value *y = emit(b, "Conv", attrs, n->in[0], n->in[1], node_in(n, 2));
    if (node_in(n, 3)) y = emit(b, "Add", NO_ATTRS, y, n->in[3]);
    out[0] = activated(b, n, y);
    return 0;
}

/* --- FusedMatMul: x (..., k), weight (k, n), bias (n), residual (..., n) --- */

static const struct attr_spec product_attrs[] = {
    ACTIVATION_ATTRS,
    { "transB", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "the weight is (n, k)" },
    { 0 },
};

static int product_infer(struct node *n, struct err *e)
{
    TRY(infer_same_types(n, 0, n->n_in, e));
    TRY(infer_rank(n, 0, 2, SHAPE_MAX, e));
    TRY(infer_rank(n, 1, 2, 2, e));
    struct shape y = n->in[0]->shape;
    const struct shape *w = &n->in[1]->shape;
    bool turned = node_int(n, "transB");
    if (y.rank < 0 || w->rank < 0) {
        y = shape_unknown();
        infer_out(n, 0, n->in[0]->dtype, &y);
        return 0;
    }
    int64_t *last = &y.dim[y.rank - 1], width = w->dim[!turned];
    if (*last >= 0 && w->dim[turned] >= 0 && *last != w->dim[turned])
        return fail(e, ERR_SHAPE, "the left matrix has %lld columns, the right one %lld rows", (long long)*last,
            (long long)w->dim[turned]);
    *last = width;
    struct shape vector = shape_of(1, &width);
    if (node_in(n, 2) && !shape_merge(&vector, &n->in[2]->shape))
        return fail(e, ERR_SHAPE, "the bias is no vector of the result's columns");
    if (node_in(n, 3) && !shape_merge(&y, &n->in[3]->shape))
        return fail(e, ERR_SHAPE, "the residual has another shape than the product");
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

static int product_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *w = n->in[1];
    if (node_int(n, "transB")) w = emit(b, "Transpose", NO_ATTRS, w);
    struct value *y = emit(b, "MatMul", NO_ATTRS, n->in[0], w);
    for (int i = 2; i < 4; i++)
        if (node_in(n, i)) y = emit(b, "Add", NO_ATTRS, y, n->in[i]);
    out[0] = activated(b, n, y);
    return 0;
}

/* --- FusedNormalization: x, scale, bias, mean, variance, more pieces of x --- */

enum { PIECES = 5 }; /* the place of the second piece */

static const struct attr_spec norm_attrs[] = {
    ACTIVATION_ATTRS,
    { "epsilon", ATTR_FLOAT, ATTR_DEFAULT, .f = 1e-5, .doc = "added to the variance" },
    { 0 },
};

/* Adds the channels of another piece. */
static int join_channels(const struct node *n, int i, struct shape *y, struct err *e)
{
    if (!n->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
    struct shape x = n->in[i]->shape;
    int64_t had = y->dim[1], more = x.rank > 1 ? x.dim[1] : DIM_UNKNOWN;
    if (x.rank > 1) x.dim[1] = had;
    if (!shape_merge(y, &x)) return fail(e, ERR_SHAPE, "input %d differs from the first in more than channels", i);
    if (had < 0 || more < 0) y->dim[1] = DIM_UNKNOWN;
    else if (__builtin_add_overflow(had, more, &y->dim[1])) return fail(e, ERR_SHAPE, "the result is too large");
    return 0;
}

static int norm_infer(struct node *n, struct err *e)
{
    TRY(infer_same_types(n, 0, n->n_in, e));
    TRY(infer_rank(n, 0, 2, SHAPE_MAX, e));
    struct shape y = n->in[0]->shape;
    for (int i = PIECES; i < n->n_in && y.rank >= 0; i++) TRY(join_channels(n, i, &y, e));
    for (int i = 1; i < PIECES; i++) {
        struct shape vector = shape_of(1, &(int64_t){ y.rank < 0 ? DIM_UNKNOWN : y.dim[1] });
        if (!shape_merge(&vector, &n->in[i]->shape))
            return fail(e, ERR_SHAPE, "input %d is no vector of the result's channels", i);
    }
    return infer_sized(n, 0, n->in[0]->dtype, &y, e);
}

static int norm_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *x = n->in[0], **pieces = ARENA_ARRAY(b->g->arena, n->n_in, struct value *);
    TRY_MEM(pieces, b->err);
    pieces[0] = x;
    for (int i = PIECES; i < n->n_in; i++) pieces[i - PIECES + 1] = n->in[i];
    if (n->n_in > PIECES) x = builder_emit(b, "Concat", ATTRS(attr_int("axis", 1)), pieces, n->n_in - PIECES + 1);
    const struct attr epsilon = attr_float("epsilon", node_float(n, "epsilon"));
    out[0] = activated(b, n,
        emit(b, "BatchNormalization", ATTRS(epsilon), x, n->in[1], n->in[2], n->in[3], n->in[4]));
    return 0;
}

/* --- a normalisation by fixed statistics, folded into the weight and bias in front of it --- */

static const struct attr_spec folded_attrs[] = {
    { "axis", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "of the weight: which dimension is the output's channels" },
    { "epsilon", ATTR_FLOAT, ATTR_DEFAULT, .f = 1e-5, .doc = "added to the variance" },
    { 0 },
};

/* weight, scale, variance */
static int weight_infer(struct node *n, struct err *e)
{
    TRY(infer_same_types(n, 0, 3, e));
    TRY(infer_rank(n, 1, 1, 1, e));
    TRY(infer_rank(n, 2, 1, 1, e));
    const struct shape *w = &n->in[0]->shape;
    int axis = infer_axis(n, "axis", w->rank, e);
    if (axis < 0) return e->code ? e->code : infer_same(n, e);
    for (int i = 1; i < 3; i++) {
        int64_t have = n->in[i]->shape.rank == 1 ? n->in[i]->shape.dim[0] : DIM_UNKNOWN;
        if (have >= 0 && w->dim[axis] >= 0 && have != w->dim[axis])
            return fail(e, ERR_SHAPE, "input %d has %lld elements for %lld channels", i, (long long)have,
                (long long)w->dim[axis]);
    }
    return infer_same(n, e);
}

enum { FOLD_BLOCK = 512, FOLD_GRAIN = 16384 };

struct fold {
    const struct tensor *from;
    struct tensor *to;
    const double *factor; /* one a channel */
    int64_t channels, inner;
};

/* By blocks that stay in the cache: a weight can be of any size, and this is work of the start. */
static void fold_elements(void *ctx, int64_t begin, int64_t end)
{
    const struct fold *f = ctx;
    size_t size = dtype_size(f->from->dtype);
    double block[FOLD_BLOCK];
    for (int64_t at = begin, n; at < end; at += n) {
        n = end - at < FOLD_BLOCK ? end - at : FOLD_BLOCK;
        load_f64(f->from->dtype, (const char *)f->from->data + (size_t)at * size, n, block);
        for (int64_t i = 0; i < n;) {
            int64_t row = (at + i) / f->inner, last = (row + 1) * f->inner - at;
            double factor = f->factor[row % f->channels];
            for (last = last < n ? last : n; i < last; i++) block[i] *= factor;
        }
        store_f64(f->to->dtype, (char *)f->to->data + (size_t)at * size, n, block);
    }
}

/* weight * scale / sqrt(variance + epsilon), in double, rounded once */
static int weight_run(const struct step *s, struct err *e)
{
    const struct shape *w = &s->in[0]->shape;
    int axis = shape_axis(node_int(s->node, "axis"), w->rank);
    int64_t channels = w->dim[axis];
    const double *scale = operand_load(s, s->in[1], e), *variance = operand_load(s, s->in[2], e);
    double *factor = operand_zeros(s, channels, e), epsilon = node_float(s->node, "epsilon");
    if (!scale || !variance || !factor) return e->code;
    for (int64_t c = 0; c < channels; c++) factor[c] = scale[c] / sqrt(variance[c] + epsilon);
    struct fold f = { s->in[0], s->out[0], factor, channels, shape_span(w, axis + 1, w->rank) };
    team_run(s->threads, tensor_count(s->in[0]), FOLD_GRAIN, fold_elements, &f);
    return 0;
}

/* scale, shift, mean, variance; bias where there was one */
static int bias_infer(struct node *n, struct err *e)
{
    struct shape same = n->in[0]->shape;
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        TRY(infer_rank(n, i, 1, 1, e));
        if (!shape_merge(&same, &n->in[i]->shape)) return fail(e, ERR_SHAPE, "input %d has another length", i);
    }
    infer_out(n, 0, n->in[0]->dtype, &n->in[0]->shape);
    return infer_same_types(n, 0, n->n_in, e);
}

/* (bias - mean) * scale / sqrt(variance + epsilon) + shift */
static int bias_run(const struct step *s, struct err *e)
{
    int64_t count = tensor_count(s->out[0]);
    const double *v[5] = { NULL };
    double *to = operand_zeros(s, count, e), epsilon = node_float(s->node, "epsilon");
    for (int i = 0; i < s->node->n_in; i++)
        if (s->in[i] && !(v[i] = operand_load(s, s->in[i], e))) return e->code;
    if (!to) return e->code;
    for (int64_t c = 0; c < count; c++)
        to[c] = ((v[4] ? v[4][c] : 0) - v[2][c]) * (v[0][c] / sqrt(v[3][c] + epsilon)) + v[1][c];
    operand_store(s, s->out[0], to);
    return 0;
}

const struct op ops_fused[] = {
    { .name = "FusedConv",
        .doc = "Conv of (x, weight, bias), plus a residual, through an activation",
        .min_in = 2,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = fused_attrs,
        .infer = fused_infer,
        .run = step_run_expanded,
        .expand = fused_expand,
        .samples = "f32[2,3,8,8] f32[16,3,3,3] f32[16] f32[2,16,4,4] | strides=2,2 pads=1,1,1,1 activation=Relu; "
                   "f32[2,16,5,5] f32[8,16,1,1] - f32[2,8,5,5] | activation=Clip alpha=-0.5 beta=0.75; "
                   "f32[1,16,5,5] f32[16,1,3,3] f32[16] | group=16 pads=1,1,1,1 activation=Swish alpha=1; "
                   "f32[1,8,5,5] f32[8,1,3,3] f32[8] f32[1,8,3,3] | group=8; f32[1,3,9] f32[4,3,3] | "
                   "activation=LeakyRelu alpha=0.1; f32[2,6,5,5] f32[4,3,3,3] f32[4] f32[2,4,3,3] | group=2 "
                   "activation=HardSwish; f32[1,3,7,7] f32[5,3,3,3] f32[5] f32[1,5,5,5] | activation=Gelu" },
    { .name = "FusedMatMul",
        .doc = "x (..., k) times weight (k, n), plus bias and residual, through an activation",
        .min_in = 2,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = product_attrs,
        .infer = product_infer,
        .run = step_run_expanded,
        .expand = product_expand,
        .samples = "f32[2,3,8] f32[8,16] f32[16] f32[2,3,16] | activation=Gelu; f32[5,7] f32[9,7] f32[9] | transB=1 "
                   "activation=Relu; f32[1,4,6] f32[6,5] - f32[1,4,5]; f32[3,70] f32[70,40] f32[40] | activation=Clip "
                   "alpha=-0.5 beta=0.75" },
    { .name = "FusedNormalization",
        .doc = "x and pieces, joined along channels, normalized and through an activation, of (x, scale, bias, mean, "
               "variance, pieces ...)",
        .min_in = PIECES,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_INPLACE,
        .attrs = norm_attrs,
        .infer = norm_infer,
        .run = step_run_expanded,
        .expand = norm_expand,
        .samples = "f32[2,3,4,5] f32[3] f32[3] f32[3] f32+[3] | activation=Relu; f32[2,3,7] f32[9] f32[9] f32[9] "
                   "f32+[9] f32[2,4,7] f32[2,2,7] | epsilon=0.01; f32[3,4] f32[6] f32[6] f32[6] f32+[6] f32[3,2] | "
                   "activation=Relu" },
    { .name = "FoldedWeight",
        .doc = "weight * scale / sqrt(variance + epsilon), of (weight, scale, variance)",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = folded_attrs,
        .infer = weight_infer,
        .run = weight_run,
        .samples = "f32[4,3,2,2] f32[4] f32+[4] | epsilon=0.001; f32[3,4,2] f32[4] f32+[4] | axis=1" },
    { .name = "FoldedBias",
        .doc = "(bias - mean) * scale / sqrt(variance + epsilon) + shift, of (scale, shift, mean, variance, bias)",
        .min_in = 4,
        .max_in = 5,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = folded_attrs + 1,
        .infer = bias_infer,
        .run = bias_run,
        .samples = "f32[4] f32[4] f32[4] f32+[4] f32[4]; f32[3] f32[3] f32[3] f32+[3] | epsilon=0.01" },
    { 0 },
};
