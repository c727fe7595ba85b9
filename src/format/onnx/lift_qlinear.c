/* lift_qlinear.c - com.microsoft's quantized operators: taken back to reals, computed, quantized again. */
#include <string.h>

#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

/* The tensor, scale and zero point at input i and after it, as reals. */
static struct value *real(struct lift *l, int i)
{
    return emit(l->b, "DequantizeLinear", NO_ATTRS, lift_in(l, i), lift_in(l, i + 1), lift_in(l, i + 2));
}

/* y in the scale and zero point at input i; a zero point that is absent is that of uint8. */
static void quantized(struct lift *l, struct value *y, int i)
{
    lift_result(l, emit(l->b, "QuantizeLinear", NO_ATTRS, y, lift_in(l, i), lift_in(l, i + 1)));
}

static int need(const struct lift *l, int n, struct err *e)
{
    return l->n_in < n ? fail(e, ERR_MODEL, "%d inputs, expected %d", l->n_in, n) : 0;
}

static int binary(struct lift *l, const char *op, struct err *e)
{
    TRY(need(l, 7, e));
    quantized(l, lift_two(l, op, real(l, 0), real(l, 3)), 6);
    return e->code;
}

/* Numbers of 8 bits with one scale and zero point each, as the runtime adds them. */
static int add(struct lift *l, const char *arg, struct err *e)
{
    enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, SCALE, ZERO, INPUTS };
    static const int parameters[] = { A_SCALE, A_ZERO, B_SCALE, B_ZERO, SCALE, ZERO };
    bool single = l->n_in == INPUTS && l->in[A] && l->in[B];
    for (int i = 0; i < 6 && single; i++) {
        const struct value *v = l->in[parameters[i]];
        single = v && shape_count(&v->shape) == 1 && (v->shape.rank == 0 || v->shape.rank == 1);
    }
    if (!single || l->in[A_SCALE]->dtype != DT_F32) return binary(l, "Add", e);
    lift_result(l, builder_emit(l->b, "QuantizedAdd", ATTRS(attr_int("ratios", 1)), l->in, INPUTS));
    return e->code;
}

static int unary(struct lift *l, const char *op, struct err *e)
{
    TRY(need(l, 4, e));
    quantized(l, emit(l->b, op, l->attrs, real(l, 0)), 3);
    return e->code;
}

static int softmax(struct lift *l, const char *arg, struct err *e)
{
    enum { PER_AXIS_SINCE = 13 };
    TRY(need(l, 4, e));
    int rank = l->in[0] ? l->in[0]->shape.rank : -1, axis = rank > 0 ? shape_axis(lift_int(l, "axis", -1), rank) : -1;
    if (axis < 0) return fail(e, ERR_UNSUPPORTED, "an axis of unknown rank");
    if (lift_int(l, "opset", PER_AXIS_SINCE) < PER_AXIS_SINCE && axis != rank - 1)
        return fail(e, ERR_UNSUPPORTED, "a softmax over several axes");
    quantized(l, emit(l->b, "Softmax", ATTRS(attr_int("axis", axis)), real(l, 0)), 3);
    return e->code;
}

/* The mean in steps, with the zero point added before it is rounded, as the runtime's pooling does. */
static void rounded_last(struct lift *l, struct value *y, int i)
{
    struct value *zero = lift_in(l, i + 1), *steps = lift_two(l, "Div", y, lift_in(l, i));
    if (!steps || !zero) return quantized(l, y, i);
    steps = lift_two(l, "Add", steps, emit_cast(l->b, zero, steps->dtype));
    lift_result(l, emit(l->b, "QuantizeLinear", NO_ATTRS, steps, lift_number(l, steps, 1),
                       emit_scalar(l->b, zero->dtype, 0)));
}

/* A value less its zero point, as int32; a zero point of rank 1 counts along the last axis. */
static struct value *whole(struct lift *l, struct value *x, struct value *zero)
{
    x = x ? emit_cast(l->b, x, DT_I32) : NULL;
    return zero ? lift_two(l, "Sub", x, emit_cast(l->b, zero, DT_I32)) : x;
}

/* Means of planes: the sum of whole numbers times one factor, as the runtime has it. NULL without a known size. */
static struct value *plane_means(struct lift *l, bool last, struct value *whole)
{
    const int64_t axes[] = { last ? 1 : 2, last ? 2 : 3 };
    const struct shape *x = &l->in[0]->shape;
    struct value *sx = lift_in(l, 1), *sy = lift_in(l, 3);
    if (!whole || !sx || !sy || x->rank != 4 || x->dim[axes[0]] < 1 || x->dim[axes[1]] < 1) return NULL;
    struct value *sum = lift_two(l, "ReduceSum", whole, emit_i64s(l->b, axes, 2));
    struct value *unit = lift_two(l, "Mul", sy, lift_number(l, sy, (double)(x->dim[axes[0]] * x->dim[axes[1]])));
    return sum ? lift_two(l, "Mul", emit_cast(l->b, sum, sx->dtype), lift_two(l, "Div", sx, unit)) : NULL;
}

/* Poolings, whose channels may come last. */
static int pool(struct lift *l, const char *op, struct err *e)
{
    static const int64_t to_front[] = { 0, 3, 1, 2 }, to_back[] = { 0, 2, 3, 1 };
    bool last = lift_int(l, "channels_last", 0) != 0;
    TRY(need(l, 4, e));
    if (last && (!l->in[0] || l->in[0]->shape.rank != 4))
        return fail(e, ERR_UNSUPPORTED, "an input that is not of rank 4");
    lift_drop(l, "channels_last");
    struct value *x = last ? lift_permuted(l, real(l, 0), 4, to_front) : real(l, 0);
    struct value *y = emit(l->b, op, l->attrs, x);
    y = last ? lift_permuted(l, y, 4, to_back) : y;
    if (!strcmp(op, "AveragePool")) rounded_last(l, y, 3);
    else quantized(l, y, 3);
    return e->code;
}

static int global_average(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 4, e));
    struct value *x = l->in[0], *y = NULL;
    if (x) y = plane_means(l, lift_int(l, "channels_last", 0) != 0, whole(l, x, lift_in(l, 2)));
    if (!y) return e->code ? e->code : pool(l, "GlobalAveragePool", e);
    struct value *zero = lift_in(l, 4);
    lift_result(l, emit(l->b, "QuantizeLinear", NO_ATTRS, y, lift_number(l, y, 1), zero));
    return e->code;
}

static int reduce_mean(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *axes = lift_attr(l, "axes");
    TRY(need(l, 4, e));
    struct value *list = axes && axes->type == ATTR_INTS ? emit_i64s(l->b, axes->ints, axes->n) : NULL;
    struct value *y = emit(
        l->b, "ReduceMean", ATTRS(attr_int("keepdims", lift_int(l, "keepdims", 1))), real(l, 0), list);
    quantized(l, y, 3);
    return e->code;
}

/* The result's scale and zero point, then tensor, scale and zero point of each part. */
static int concat(struct lift *l, const char *arg, struct err *e)
{
    enum { PARTS_MAX = 1024 };
    struct value *parts[PARTS_MAX];
    int n = (l->n_in - 2) / 3;
    if (n < 1 || l->n_in != 2 + 3 * n || n > PARTS_MAX) return fail(e, ERR_MODEL, "%d inputs", l->n_in);
    for (int i = 0; i < n; i++) parts[i] = real(l, 2 + 3 * i);
    quantized(l, builder_emit(l->b, "Concat", l->attrs, parts, n), 0);
    return e->code;
}

/* condition, x and y with scale and zero point each, then the result's */
static int where(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 8, e));
    quantized(l, emit(l->b, "Where", NO_ATTRS, l->in[0], real(l, 1), real(l, 4)), 7);
    return e->code;
}

/* a, scale, zero; b, scale, zero (one or one per column); c (int32); y's scale and zero: real without them */
static int qgemm(struct lift *l, const char *arg, struct err *e)
{
    static const int64_t swapped[] = { 1, 0 };
    TRY(need(l, 6, e));
    for (int i = 0; i < 6; i++)
        if (!l->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
    struct value *a = l->in[0], *b = l->in[3];
    if (lift_int(l, "transA", 0)) a = lift_permuted(l, a, 2, swapped);
    if (lift_int(l, "transB", 0)) b = lift_permuted(l, b, 2, swapped);
    struct value *sum = lift_two(l, "MatMul", whole(l, a, l->in[2]), whole(l, b, l->in[5]));
    if (lift_in(l, 6)) sum = lift_two(l, "Add", sum, l->in[6]);
    struct value *scale = lift_two(l, "Mul", l->in[1], l->in[4]);
    double alpha = lift_float(l, "alpha", 1);
    if (alpha != 1) scale = lift_two(l, "Mul", scale, lift_number(l, scale, alpha));
    struct value *y = sum ? lift_two(l, "Mul", emit_cast(l->b, sum, l->in[1]->dtype), scale) : NULL;
    if (lift_in(l, 7)) quantized(l, y, 7);
    else lift_result(l, y);
    return e->code;
}

static void scaled(struct lift *l, struct value *sum, struct value *scale, struct value *bias)
{
    struct value *y = sum && scale ? lift_two(l, "Mul", emit_cast(l->b, sum, scale->dtype), scale) : NULL;
    lift_result(l, bias ? lift_two(l, "Add", y, bias) : y);
}

/* a, b, scales of both, zero points of both, bias */
static int to_float(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 4, e));
    struct value *sum = emit(l->b, "MatMulInteger", NO_ATTRS, l->in[0], l->in[1], lift_in(l, 4), lift_in(l, 5));
    scaled(l, sum, lift_two(l, "Mul", l->in[2], l->in[3]), lift_in(l, 6));
    return e->code;
}

/* a (real), b, its scale and zero point, bias */
static int dynamic(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 3, e));
    struct node *n = builder_node(l->b, "DynamicQuantizeLinear", NO_ATTRS, l->in, 1, 3);
    if (!n) return e->code;
    struct value *sum = emit(l->b, "MatMulInteger", NO_ATTRS, n->out[0], l->in[1], n->out[2], lift_in(l, 3));
    scaled(l, sum, lift_two(l, "Mul", n->out[1], l->in[2]), lift_in(l, 4));
    return e->code;
}

/* (value - zero) * scale of weights (directions, inputs, outputs), turned to (directions, outputs, inputs); a scale and
 * a zero point for each direction, or for each output of it. */
static struct value *turned_weight(struct lift *l, struct value *w, struct value *scale, struct value *zero)
{
    if (!w || !scale) return NULL;
    const int64_t axes[] = { 1, 2 };
    size_t missing = scale->shape.rank == 1 ? 2 : 1;
    w = emit_cast(l->b, w, DT_I32);
    if (zero) w = lift_two(l, "Sub", w, lift_unsqueezed(l, emit_cast(l->b, zero, DT_I32), axes, missing));
    w = w ? lift_two(l, "Mul", emit_cast(l->b, w, scale->dtype), lift_unsqueezed(l, scale, axes, missing)) : NULL;
    return lift_permuted(l, w, 3, (int64_t[]){ 0, 2, 1 });
}

/* x in the steps of its own range. */
static struct value *in_steps(struct lift *l, struct value *x)
{
    struct node *n = builder_node(l->b, "DynamicQuantizeLinear", NO_ATTRS, &x, 1, 3);
    return n ? emit(l->b, "DequantizeLinear", NO_ATTRS, n->out[0], n->out[1], n->out[2]) : NULL;
}

/* LSTM's inputs with w and r quantized and turned; behind them their scales and zero points. The inputs are rounded to
 * 8 bits as the runtime does; the hidden state, which it rounds at each step, is not. */
static int dynamic_lstm(struct lift *l, const char *arg, struct err *e)
{
    enum { X, W, R, INPUTS = 8, W_SCALE = INPUTS, W_ZERO, R_SCALE, R_ZERO };
    struct value *in[INPUTS];
    TRY(need(l, R_SCALE + 1, e));
    for (int i = 0; i < 3; i++)
        if (!l->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
    for (int i = 0; i < INPUTS; i++) in[i] = l->in[i];
    in[X] = in_steps(l, l->in[X]);
    in[W] = turned_weight(l, l->in[W], lift_in(l, W_SCALE), lift_in(l, W_ZERO));
    in[R] = turned_weight(l, l->in[R], lift_in(l, R_SCALE), lift_in(l, R_ZERO));
    if (!in[X] || !in[W] || !in[R]) return e->code ? e->code : fail(e, ERR_MODEL, "a scale is missing");
    struct node *n = builder_node(l->b, "LSTM", l->attrs, in, INPUTS, 3);
    if (!n) return e->code;
    lift_result(l, n->out[0]);
    for (int i = 1; i < l->n_out && i < 3; i++) l->out[i] = n->out[i];
    return 0;
}

const struct lift_row lift_qlinear_rows[] = {
    { "QLinearAdd", 1, LIFT_ANY, add, NULL, "" },
    { "QLinearMul", 1, LIFT_ANY, binary, "Mul", "" },
    { "QLinearSigmoid", 1, LIFT_ANY, unary, "Sigmoid", "" },
    { "QLinearLeakyRelu", 1, LIFT_ANY, unary, "LeakyRelu", "" },
    { "QLinearSoftmax", 1, LIFT_ANY, softmax, NULL, "" },
    { "QLinearAveragePool", 1, LIFT_ANY, pool, "AveragePool", "" },
    { "QLinearGlobalAveragePool", 1, LIFT_ANY, global_average, NULL, "" },
    { "QLinearReduceMean", 1, LIFT_ANY, reduce_mean, NULL, "" },
    { "QLinearConcat", 1, LIFT_ANY, concat, NULL, "" },
    { "QLinearWhere", 1, LIFT_ANY, where, NULL, "" },
    { "QGemm", 1, LIFT_ANY, qgemm, NULL, "" },
    { "MatMulIntegerToFloat", 1, LIFT_ANY, to_float, NULL, "" },
    { "DynamicQuantizeMatMul", 1, LIFT_ANY, dynamic, NULL, "" },
    { "DynamicQuantizeLSTM", 1, LIFT_ANY, dynamic_lstm, NULL, "" },
    { NULL },
};
