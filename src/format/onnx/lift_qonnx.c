/* lift_qonnx.c - QONNX, the dialect of Brevitas and hls4ml: numbers rounded to any number of bits, channels last. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

static int need(const struct lift *l, int n, struct err *e)
{
    for (int i = 0; i < n; i++)
        if (!lift_in(l, i)) return fail(e, ERR_MODEL, "input %d is missing", i);
    return 0;
}

/* 1 where x is at least 0, else -1. */
static struct value *sides(struct lift *l, struct value *x)
{
    if (!x) return NULL;
    struct value *up = lift_two(l, "GreaterOrEqual", x, lift_number(l, x, 0));
    return emit(l->b, "Where", NO_ATTRS, up, lift_number(l, x, 1), lift_number(l, x, -1));
}

static const char *rounding(const struct lift *l, struct err *e)
{
    static const char *const known[][2] = { { "ROUND", "Round" }, { "CEIL", "Ceil" }, { "FLOOR", "Floor" } };
    const struct attr *mode = lift_attr(l, "rounding_mode");
    const char *name = mode && mode->type == ATTR_STRING ? mode->s : "ROUND";
    for (int i = 0; i < 3; i++)
        if (!strcasecmp(known[i][0], name)) return known[i][1];
    return fail(e, ERR_UNSUPPORTED, "rounding_mode is \"%s\", known are ROUND, CEIL and FLOOR", name), NULL;
}

/* x, scale, zero point, bits: (round(clip(x / scale + zero)) - zero) scale */
static int quant(struct lift *l, const char *arg, struct err *e)
{
    enum { X, SCALE, ZERO, BITS, BITS_MAX = 64 };
    TRY(need(l, BITS + 1, e));
    const struct tensor *t = value_const(l->in[BITS]);
    if (!t || tensor_count(t) != 1 || !(dtype_is_float(t->dtype) || dtype_is_integer(t->dtype)))
        return fail(e, ERR_UNSUPPORTED, "the number of bits is no constant");
    double bits = tensor_get_f64(t, 0), half = ldexp(1, (int)fmin(fmax(bits, 1), BITS_MAX) - 1);
    if (!(bits >= 1 && bits <= BITS_MAX) || bits != floor(bits)) return fail(e, ERR_MODEL, "%g bits", bits);
    bool has_sign = lift_int(l, "signed", 1) != 0, narrow = lift_int(l, "narrow", 1) != 0;
    double least = has_sign ? narrow - half : 0, most = has_sign ? half - 1 : 2 * half - 1 - narrow;
    const char *round = rounding(l, e);
    if (!round) return e->code;
    struct value *y = lift_two(l, "Add", lift_two(l, "Div", l->in[X], l->in[SCALE]), l->in[ZERO]);
    if (has_sign && bits == 1) y = sides(l, y);
    else y = lift_one(l, round, emit(l->b, "Clip", NO_ATTRS, y, lift_number(l, y, least), lift_number(l, y, most)));
    lift_result(l, lift_two(l, "Mul", lift_two(l, "Sub", y, l->in[ZERO]), l->in[SCALE]));
    return e->code;
}

static int bipolar(struct lift *l, const char *arg, struct err *e)
{
    TRY(need(l, 2, e));
    lift_result(l, lift_two(l, "Mul", sides(l, l->in[0]), l->in[1]));
    return e->code;
}

/* (N, .., C) to (N, C, ..), or back. */
static struct value *turned(struct lift *l, struct value *v, bool to_front)
{
    int64_t perm[SHAPE_MAX];
    int rank = v ? v->shape.rank : -1;
    for (int d = 1; d < rank; d++) perm[d] = to_front ? (d == 1 ? rank - 1 : d - 1) : d == rank - 1 ? 1 : d + 1;
    perm[0] = 0;
    return rank > 2 ? lift_permuted(l, v, rank, perm) : v;
}

/* `op`, whose data has its channels last, and a convolution's weights as well. */
static int last(struct lift *l, const char *op, struct err *e)
{
    enum { MOST = 5 };
    struct value *in[MOST] = { NULL };
    TRY(need(l, strcmp(op, "Conv") ? 1 : 2, e));
    if (l->in[0]->shape.rank < 3) return fail(e, ERR_UNSUPPORTED, "an input whose rank is not known, or below 3");
    if (l->n_in > MOST) return fail(e, ERR_MODEL, "%d inputs", l->n_in);
    for (int i = 0; i < l->n_in; i++) in[i] = l->in[i];
    in[0] = turned(l, in[0], true);
    if (!strcmp(op, "Conv")) in[1] = turned(l, in[1], true);
    lift_result(l, turned(l, builder_emit(l->b, op, l->attrs, in, l->n_in), false));
    return e->code;
}

const struct lift_row lift_qonnx_rows[] = {
    { "Quant", 1, LIFT_ANY, quant, NULL, "" },
    { "IntQuant", 1, LIFT_ANY, quant, NULL, "" },
    { "BipolarQuant", 1, LIFT_ANY, bipolar, NULL, "" },
    { NULL },
};
const struct lift_row lift_channels_last_rows[] = {
    { "Conv", 1, LIFT_ANY, last, "Conv", "" },
    { "MaxPool", 1, LIFT_ANY, last, "MaxPool", "" },
    { "BatchNormalization", 1, LIFT_ANY, last, "BatchNormalization", "" },
    { NULL },
};
