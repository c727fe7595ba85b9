/* lift_arith.c - older spellings of arithmetic, activations and reductions. */
#include <string.h>

#include "base/err.h"
#include "format/onnx/lift.h"

/* Before opset 7: b is broadcast only if `broadcast` says so, with its first dimension at `axis` of a. */
static int legacy_broadcast(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *axis_attr = lift_attr(l, "axis");
    int64_t axis = axis_attr ? axis_attr->i : 0;
    bool broadcast = lift_int(l, "broadcast", 0) != 0;
    lift_drop(l, "axis");
    lift_drop(l, "broadcast");
    if (!broadcast || !axis_attr || l->n_in < 2 || !l->in[0] || !l->in[1]) return 0;
    int a = l->in[0]->shape.rank, b = l->in[1]->shape.rank;
    if (a < 0 || b < 0) return fail(e, ERR_UNSUPPORTED, "broadcast at an axis of an input of unknown rank");
    if (axis < 0) axis += a;
    if (axis < 0 || axis + b > a)
        return fail(e, ERR_SHAPE, "axis %lld: rank %d does not fit into rank %d", (long long)axis, b, a);
    int64_t axes[SHAPE_MAX];
    size_t n = 0;
    for (int i = b; axis + i < a; i++) axes[n++] = i;
    if (n) l->in[1] = emit(l->b, "Unsqueeze", NO_ATTRS, l->in[1], lift_ints(l, "axes", axes, n));
    return 0;
}

/* Before opset 7 a slope of rank 1 belonged to axis 1. */
static int prelu(struct lift *l, const char *arg, struct err *e)
{
    if (l->n_in < 2 || !l->in[0] || !l->in[1]) return 0;
    int rank = l->in[0]->shape.rank;
    const struct shape *slope = &l->in[1]->shape;
    if (slope->rank != 1 || slope->dim[0] == 1 || rank <= 2) return 0;
    int64_t axes[SHAPE_MAX];
    for (int i = 1; i < rank - 1; i++) axes[i - 1] = i;
    l->in[1] = emit(l->b, "Unsqueeze", NO_ATTRS, l->in[1], lift_ints(l, "axes", axes, (size_t)rank - 2));
    return 0;
}

static enum dtype input_type(const struct lift *l)
{
    return l->n_in && l->in[0] && l->in[0]->dtype != DT_NONE ? l->in[0]->dtype : DT_F32;
}

static int clip(struct lift *l, const char *arg, struct err *e)
{
    static const char *const names[] = { "min", "max" };
    for (int i = 0; i < 2; i++) {
        const struct attr *a = lift_attr(l, names[i]);
        if (a) lift_input(l, i + 1, emit_scalar(l->b, input_type(l), a->f));
        lift_drop(l, names[i]);
    }
    return 0;
}

/* Cast-1 names the type in words. */
static int cast(struct lift *l, const char *arg, struct err *e)
{
    static const char *const names[] = { "", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING",
        "BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128" };
    const struct attr *a = lift_attr(l, "to");
    if (!a || a->type != ATTR_STRING) return 0;
    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i], a->s)) return lift_set(l, attr_int("to", (int64_t)i), e);
    return fail(e, ERR_UNSUPPORTED, "to=\"%s\" names no element type", a->s);
}

/* Selu-1 had shorter constants. */
static int selu(struct lift *l, const char *arg, struct err *e)
{
    if (!lift_attr(l, "alpha")) TRY(lift_set(l, attr_float("alpha", 1.6732f), e));
    if (!lift_attr(l, "gamma")) TRY(lift_set(l, attr_float("gamma", 1.0507f), e));
    return 0;
}

static bool ones_after(const struct shape *s, int axis)
{
    for (int i = axis + 1; i < s->rank; i++)
        if (s->dim[i] != 1) return false;
    return true;
}

/* Before opset 13 everything from `axis` on was one axis. */
static int softmax(struct lift *l, const char *arg, struct err *e)
{
    struct value *x = l->n_in ? l->in[0] : NULL;
    int64_t axis = lift_int(l, "axis", 1);
    if (!x) return 0;
    int rank = x->shape.rank, at = rank > 0 ? shape_axis(axis, rank) : -1;
    if (rank > 0 && at < 0) return fail(e, ERR_SHAPE, "axis is %lld, but the input has rank %d", (long long)axis, rank);
    if (at >= 0 && ones_after(&x->shape, at)) return lift_set(l, attr_int("axis", at), e);
    struct value *flat = emit(l->b, "Flatten", ATTRS(attr_int("axis", axis)), x);
    struct value *y = emit(l->b, l->op, ATTRS(attr_int("axis", 1)), flat);
    lift_result(l, emit(l->b, "Reshape", NO_ATTRS, y, emit(l->b, "Shape", NO_ATTRS, x)));
    return 0;
}

/* y = swish(a) * b */
static int swiglu(struct lift *l, const char *arg, struct err *e)
{
    if (l->n_in != 2 || !l->in[0] || !l->in[1]) return fail(e, ERR_MODEL, "two inputs are expected");
    struct value *gate = emit(l->b, "Swish", ATTRS(attr_float("alpha", lift_float(l, "alpha", 1))), l->in[0]);
    lift_result(l, emit(l->b, "Mul", NO_ATTRS, gate, l->in[1]));
    return e->code;
}

/* y = alpha * x + beta */
static int affine(struct lift *l, const char *arg, struct err *e)
{
    enum dtype t = input_type(l);
    double alpha = lift_float(l, "alpha", 1), beta = lift_float(l, "beta", 0);
    struct value *y = emit(l->b, "Mul", NO_ATTRS, l->in[0], emit_scalar(l->b, t, alpha));
    lift_result(l, emit(l->b, "Add", NO_ATTRS, y, emit_scalar(l->b, t, beta)));
    return 0;
}

/* y = scale * x */
static int scale(struct lift *l, const char *arg, struct err *e)
{
    double k = lift_float(l, "scale", 1);
    lift_result(l, emit(l->b, "Mul", NO_ATTRS, l->in[0], emit_scalar(l->b, input_type(l), k)));
    return 0;
}

/* y = alpha * tanh(beta * x) */
static int scaled_tanh(struct lift *l, const char *arg, struct err *e)
{
    enum dtype t = input_type(l);
    struct value *x = emit(l->b, "Mul", NO_ATTRS, l->in[0], emit_scalar(l->b, t, lift_float(l, "beta", 1)));
    x = emit(l->b, "Tanh", NO_ATTRS, x);
    lift_result(l, emit(l->b, "Mul", NO_ATTRS, x, emit_scalar(l->b, t, lift_float(l, "alpha", 1))));
    return 0;
}

/* y = alpha * ln(1 + exp(beta * x)) */
static int parametric_softplus(struct lift *l, const char *arg, struct err *e)
{
    enum dtype t = input_type(l);
    struct value *x = emit(l->b, "Mul", NO_ATTRS, l->in[0], emit_scalar(l->b, t, lift_float(l, "beta", 1)));
    x = emit(l->b, "Softplus", NO_ATTRS, x);
    lift_result(l, emit(l->b, "Mul", NO_ATTRS, x, emit_scalar(l->b, t, lift_float(l, "alpha", 1))));
    return 0;
}

/* x (N, C, H, W): y = scale * x + bias[c] */
static int image_scaler(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *bias = lift_attr(l, "bias");
    struct value *y = emit(
        l->b, "Mul", NO_ATTRS, l->in[0], emit_scalar(l->b, input_type(l), lift_float(l, "scale", 1)));
    if (bias && bias->type == ATTR_FLOATS) {
        struct shape s = shape_of(4, (int64_t[]){ 1, (int64_t)bias->n, 1, 1 });
        struct tensor *t = tensor_new(l->b->g->arena, input_type(l), &s, e);
        if (!t) return e->code;
        store_f64(t->dtype, t->data, (int64_t)bias->n, bias->floats);
        y = emit(l->b, "Add", NO_ATTRS, y, emit_const(l->b, t));
    }
    lift_result(l, y);
    return 0;
}

#define REDUCE(name, last) \
    { \
        "Reduce" name, 1, last, lift_attr_to_input, "axes 1" \
    }
#define BINARY(name) \
    { \
        name, 1, 6, legacy_broadcast \
    }

const struct lift_row lift_arith_rows[] = {
    BINARY("Add"),
    BINARY("Sub"),
    BINARY("Mul"),
    BINARY("Div"),
    BINARY("Pow"),
    BINARY("And"),
    BINARY("Or"),
    BINARY("Xor"),
    BINARY("Equal"),
    BINARY("Greater"),
    BINARY("Less"),
    { "PRelu", 1, 6, prelu },
    { "Gemm", 1, 6, lift_drop_attr, "broadcast" },
    { "Clip", 1, 10, clip },
    { "Cast", 1, 5, cast },
    { "Selu", 1, 5, selu },
    { "Swish", 24, LIFT_ANY, NULL, NULL, "" },
    { "SwiGLU", 28, LIFT_ANY, swiglu, NULL, "" },
    { "Softmax", 1, 12, softmax },
    { "LogSoftmax", 1, 12, softmax },
    { "Hardmax", 1, 12, softmax },
    REDUCE("Sum", 12),
    REDUCE("Mean", 17),
    REDUCE("Max", 17),
    REDUCE("Min", 17),
    REDUCE("Prod", 17),
    REDUCE("L1", 17),
    REDUCE("L2", 17),
    REDUCE("LogSum", 17),
    REDUCE("LogSumExp", 17),
    REDUCE("SumSquare", 17),
    { "TopK", 1, 9, lift_attr_to_input, "k 1" },
    { "Affine", 1, 9, affine, NULL, "" },
    { "Scale", 1, 9, scale, NULL, "" },
    { "ScaledTanh", 1, 9, scaled_tanh, NULL, "" },
    { "ParametricSoftplus", 1, 9, parametric_softplus, NULL, "" },
    { "ImageScaler", 1, 9, image_scaler, NULL, "" },
    { NULL },
};
