/* op_math.c - operations of Keras 3 (keras.ops) and of tf.keras that compute. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "format/keras/ops.h"

/* Both operands in one form and type. */
static bool both(struct call *c, struct value *v[2], bool *first)
{
    static const char *const names[] = { "x x1 a", "y x2 b" };
    const json_t *arg[2];
    struct ktensor *t[2];
    enum dtype type = DT_NONE;
    int rank = -1;
    for (size_t i = 0; i < 2; i++) {
        arg[i] = op_argument(c, i, names[i]);
        t[i] = arg[i]     ? tensor_of(c, arg[i])
            : i < c->n_in ? c->in[i]
                          : NULL; /* a layer that is mapped has no arguments */
        if (!arg[i] && !t[i]) return call_fail(c, ERR_MODEL, "it has not two arguments"), false;
        if (t[i] && !type) type = ktensor_type(t[i]);
    }
    *first = true;
    for (size_t i = 0; i < 2; i++) {
        if (t[i]) *first &= !t[i]->plain && (rank < 0 || rank == ktensor_rank(t[i])), rank = ktensor_rank(t[i]);
        else *first &= json_is_number(arg[i]);
    }
    for (size_t i = 0; i < 2; i++)
        v[i] = t[i] ? (*first ? as_first(c, t[i]) : as_plain(c, t[i])) : operand(c, arg[i], type);
    if (!v[0] || !v[1]) return false;
    if (v[0]->dtype != v[1]->dtype) {
        bool other = !dtype_is_float(v[0]->dtype) && dtype_is_float(v[1]->dtype);
        enum dtype to = v[other]->dtype;
        if (v[other]->dtype == DT_BOOL) to = v[!other]->dtype;
        for (size_t i = 0; i < 2; i++) v[i] = emit_cast(c->b, v[i], to);
    }
    return !c->b->err->code;
}

static struct ktensor *lower_binary(struct call *c)
{
    struct value *v[2];
    bool first;
    return both(c, v, &first) ? in_form(c, k_op2(c, c->layer->row->onnx, v[0], v[1]), first) : NULL;
}

/* Whole numbers divide to floats. */
static struct ktensor *lower_divide(struct call *c)
{
    struct value *v[2];
    bool first;
    if (!both(c, v, &first)) return NULL;
    for (int i = 0; i < 2; i++)
        if (!dtype_is_float(v[i]->dtype)) v[i] = emit_cast(c->b, v[i], c->k->compute);
    return in_form(c, k_op2(c, "Div", v[0], v[1]), first);
}

static struct ktensor *lower_not_equal(struct call *c)
{
    struct value *v[2];
    bool first;
    return both(c, v, &first) ? in_form(c, k_op(c, "Not", k_op2(c, "Equal", v[0], v[1])), first) : NULL;
}

static struct ktensor *lower_squared_difference(struct call *c)
{
    struct value *v[2];
    bool first;
    if (!both(c, v, &first)) return NULL;
    struct value *d = k_op2(c, "Sub", v[0], v[1]);
    return in_form(c, k_op2(c, "Mul", d, d), first);
}

static struct ktensor *lower_logical(struct call *c)
{
    struct value *v[2];
    bool first;
    if (!both(c, v, &first)) return NULL;
    return in_form(
        c, k_op2(c, c->layer->row->onnx, emit_cast(c->b, v[0], DT_BOOL), emit_cast(c->b, v[1], DT_BOOL)), first);
}

static struct value *unary(struct call *c, struct value *x)
{
    return k_op(c, c->layer->row->onnx, x);
}

static struct ktensor *lower_unary(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    return t ? each_element(c, t, unary) : NULL;
}

static struct value *square(struct call *c, struct value *x)
{
    return k_op2(c, "Mul", x, x);
}

static struct value *rsqrt(struct call *c, struct value *x)
{
    return k_op(c, "Reciprocal", k_op(c, "Sqrt", x));
}

static struct value *log1p_of(struct call *c, struct value *x)
{
    return k_op(c, "Log", k_scaled(c, x, 1, 1));
}

static struct value *expm1_of(struct call *c, struct value *x)
{
    return k_scaled(c, k_op(c, "Exp", x), 1, -1);
}

static struct value *log2_of(struct call *c, struct value *x)
{
    return k_scaled(c, k_op(c, "Log", x), 1 / M_LN2, 0);
}

static struct value *log10_of(struct call *c, struct value *x)
{
    return k_scaled(c, k_op(c, "Log", x), 1 / M_LN10, 0);
}

static struct value *exp2_of(struct call *c, struct value *x)
{
    return k_op2(c, "Pow", k_like(c, x, 2), x);
}

static struct value *trunc_of(struct call *c, struct value *x)
{
    return k_op2(c, "Mul", k_op(c, "Sign", x), k_op(c, "Floor", k_op(c, "Abs", x)));
}

static struct value *finite_of(struct call *c, struct value *x)
{
    return k_op(c, "Not", k_op2(c, "Or", k_op(c, "IsInf", x), k_op(c, "IsNaN", x)));
}

static struct value *not_of(struct call *c, struct value *x)
{
    return k_op(c, "Not", emit_cast(c->b, x, DT_BOOL));
}

static struct value *same(struct call *c, struct value *x)
{
    return x;
}

static struct ktensor *lower_computed(struct call *c)
{
    static const struct {
        const char *name;
        struct value *(*f)(struct call *c, struct value *x);
    } known[] = { { "square", square }, { "rsqrt", rsqrt }, { "log1p", log1p_of },
        { "expm1", expm1_of }, { "log2", log2_of }, { "log10", log10_of }, { "exp2", exp2_of }, { "trunc", trunc_of },
        { "isfinite", finite_of }, { "is_finite", finite_of }, { "logical_not", not_of },
        { "identity", same }, { "stop_gradient", same }, { "copy", same }, { "ctc", same } };
    char name[64];
    struct ktensor *t = first_tensor(c);
    op_name(c, name);
    for (size_t i = 0; t && i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name)) return each_element(c, t, known[i].f);
    return NULL;
}

/* Activations, by their names in either spelling. */
static struct ktensor *lower_activation(struct call *c)
{
    char name[64];
    bool first;
    struct ktensor *t = first_tensor(c);
    if (!t) return NULL;
    const json_t *axis = op_argument(c, 1, "axis");
    op_name(c, name);
    bool soft = !strcmp(name, "softmax") || !strcmp(name, "log_softmax");
    if (soft && axis && !(json_is_integer(axis) && json_integer_value(axis) == -1)) {
        int64_t axes[SHAPE_MAX];
        int n = op_ints(c, axis, axes, SHAPE_MAX);
        return n < 0 ? NULL : ktensor_plain(c, k_softmax_over(c, as_plain(c, t), axes, n, *name == 'l'));
    }
    struct call numbers = *c;
    if (c->layer->mapped) numbers.config = numbers.args = numbers.kwargs = NULL;
    struct value *x = ktensor_form(t, &first), *y = activate_named(&numbers, name, x, first);
    return in_form(c, y, first);
}

/* Axes in Keras' order, or all; how many, -1 on an error. */
static int axes_of(struct call *c, int rank, int64_t *axes)
{
    const json_t *given = op_argument(c, 1, "axis reduction_indices");
    int n = given ? op_ints(c, given, axes, SHAPE_MAX) : rank;
    for (int i = 0; i < n; i++) {
        if (!given) axes[i] = i;
        axes[i] = shape_axis(axes[i], rank);
        if (axes[i] < 0) return call_fail(c, ERR_MODEL, "its axis is not one of the input's"), -1;
    }
    return n;
}

static struct ktensor *lower_reduce(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    int64_t axes[SHAPE_MAX];
    if (!t) return NULL;
    bool keep = op_bool(c, 2, "keepdims keep_dims", false), logical = !strcmp(c->layer->row->onnx, "any");
    bool all = !strcmp(c->layer->row->onnx, "all");
    int rank = ktensor_rank(t), n = axes_of(c, rank, axes);
    if (n < 0) return NULL;
    bool spatial = !t->plain && !logical && !all &&
        n == rank - 2; /* all between batch and channels: no need to move them */
    for (int i = 0; i < n; i++) spatial &= axes[i] >= 1 && axes[i] < rank - 1;
    if (spatial) {
        for (int i = 0; i < n; i++) axes[i]++;
        return in_form(c, k_reduce(c, c->layer->row->onnx, t->first, axes, n, keep), keep);
    }
    struct value *x = as_plain(c, t);
    if (!logical && !all) return ktensor_plain(c, k_reduce(c, c->layer->row->onnx, x, axes, n, keep));
    x = emit_cast(c->b, emit_cast(c->b, x, DT_BOOL), DT_F32);
    return ktensor_plain(
        c, emit_cast(c->b, k_reduce(c, logical ? "ReduceMax" : "ReduceMin", x, axes, n, keep), DT_BOOL));
}

/* Variance and standard deviation, of all numbers (not of a sample). */
static struct ktensor *lower_variance(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    int64_t axes[SHAPE_MAX];
    if (!t) return NULL;
    int n = axes_of(c, ktensor_rank(t), axes);
    if (n < 0) return NULL;
    char name[64];
    struct value *x = as_plain(c, t), *d = k_op2(c, "Sub", x, k_reduce(c, "ReduceMean", x, axes, n, true));
    struct value *v = k_reduce(
        c, "ReduceMean", k_op2(c, "Mul", d, d), axes, n, op_bool(c, 2, "keepdims keep_dims", false));
    return ktensor_plain(c, strstr(op_name(c, name), "std") ? k_op(c, "Sqrt", v) : v);
}

/* The largest less the smallest. */
static struct ktensor *lower_range(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    int64_t axes[SHAPE_MAX];
    int n = t ? axes_of(c, ktensor_rank(t), axes) : -1;
    bool keep = op_bool(c, 2, "keepdims", false);
    if (n < 0) return NULL;
    struct value *x = as_plain(c, t);
    return ktensor_plain(
        c, k_op2(c, "Sub", k_reduce(c, "ReduceMax", x, axes, n, keep), k_reduce(c, "ReduceMin", x, axes, n, keep)));
}

static struct ktensor *lower_count(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    int64_t axes[SHAPE_MAX];
    int n = t ? axes_of(c, ktensor_rank(t), axes) : -1;
    if (n < 0) return NULL;
    struct value *x = emit_cast(c->b, emit_cast(c->b, as_plain(c, t), DT_BOOL), DT_I32);
    return ktensor_plain(c, k_reduce(c, "ReduceSum", x, axes, n, op_bool(c, 2, "keepdims", false)));
}

static struct ktensor *lower_arg(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    if (!t) return NULL;
    struct attr attrs[] = { attr_int("axis", op_int(c, 1, "axis", -1)),
        attr_int("keepdims", op_bool(c, 2, "keepdims", false)), { 0 } };
    return ktensor_plain(c, emit_cast(c->b, emit(c->b, c->layer->row->onnx, attrs, as_plain(c, t)), DT_I32));
}

static struct value *turned(struct call *c, struct value *x)
{
    int64_t perm[SHAPE_MAX];
    int rank = x ? x->shape.rank : 0;
    for (int d = 0; d < rank; d++) perm[d] = d < rank - 2 ? d : d == rank - 2 ? rank - 1 : rank - 2;
    return rank > 1 ? k_transpose(c, x, perm, rank) : x;
}

static struct ktensor *lower_matmul(struct call *c)
{
    struct value *v[2];
    bool first;
    if (!both(c, v, &first)) return NULL;
    if (first) v[0] = as_plain(c, c->in[0]), v[1] = as_plain(c, c->in[1]);
    if (op_bool(c, 2, "transpose_a", false)) v[0] = turned(c, v[0]);
    if (op_bool(c, 3, "transpose_b", false)) v[1] = turned(c, v[1]);
    return ktensor_plain(c, k_op2(c, "MatMul", v[0], v[1]));
}

static struct ktensor *lower_einsum(struct call *c)
{
    struct value *v[CALL_INPUTS];
    const char *equation = json_string_value(op_argument(c, 99, "subscripts equation"));
    if (!equation) equation = json_string_value(json_array_get(c->args, 0));
    if (!equation) return call_fail(c, ERR_MODEL, "it has no equation"), NULL;
    for (size_t i = 0; i < c->n_in; i++) v[i] = as_plain(c, c->in[i]);
    return ktensor_plain(c, builder_emit(c->b, "Einsum", ATTRS(attr_string("equation", equation)), v, (int)c->n_in));
}

static struct ktensor *lower_clip(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    bool first;
    const json_t *low = op_argument(c, 1, "x_min clip_value_min a_min min_value"),
                 *high = op_argument(c, 2, "x_max clip_value_max a_max max_value");
    if (!t) return NULL;
    struct value *x = ktensor_form(t, &first);
    struct value *limits[2] = { json_is_number(low) ? k_like(c, x, json_number_value(low)) : NULL,
        json_is_number(high) ? k_like(c, x, json_number_value(high)) : NULL };
    return in_form(c, emit(c->b, "Clip", NO_ATTRS, x, limits[0], limits[1]), first);
}

static struct ktensor *lower_where(struct call *c)
{
    const json_t *x1 = op_argument(c, 1, "x1 x"), *x2 = op_argument(c, 2, "x2 y");
    struct value *condition = operand(c, op_argument(c, 0, "condition"), DT_BOOL);
    struct ktensor *t1 = tensor_of(c, x1), *t2 = tensor_of(c, x2);
    enum dtype type = t1 ? ktensor_type(t1) : t2 ? ktensor_type(t2) : c->k->compute;
    struct value *a = operand(c, x1, type), *b = operand(c, x2, type);
    return ktensor_plain(c, emit(c->b, "Where", NO_ATTRS, emit_cast(c->b, condition, DT_BOOL), a, b));
}

static struct ktensor *lower_cast(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    const char *name = json_string_value(op_argument(c, 1, "dtype"));
    enum dtype to = name ? dtype_from_name(name) : DT_NONE;
    if (!t) return NULL;
    if (name && strstr(name, "float16")) to = c->k->compute; /* computed in float32 here */
    return to ? ktensor_cast(c, t, to) : (call_fail(c, ERR_UNSUPPORTED, "a cast to %.50s", name ? name : "?"), NULL);
}

#define ANY .flags = LAYER_ANY_TYPE
#define BINARY(names, op) \
    { \
        names, lower_binary, ANY, .onnx = op \
    }
#define LOGICAL(names, op) \
    { \
        names, lower_logical, ANY, .onnx = op \
    }
#define UNARY(names, op) \
    { \
        names, lower_unary, ANY, .onnx = op \
    }
#define REDUCE(names, op) \
    { \
        names, lower_reduce, ANY, .onnx = op \
    }

const struct layer_row keras_ops_math[] = {
    BINARY("Add add AddV2 bias_add BiasAdd", "Add"),
    BINARY("Subtract subtract sub Sub", "Sub"),
    BINARY("Multiply multiply mul Mul", "Mul"),
    BINARY("Mod mod floormod", "Remainder"),
    BINARY("Power power pow Pow", "Pow"),
    BINARY("Maximum maximum", "Max"),
    BINARY("Minimum minimum", "Min"),
    BINARY("Equal equal", "Equal"),
    BINARY("Greater greater", "Greater"),
    BINARY("GreaterEqual greater_equal", "GreaterOrEqual"),
    BINARY("Less less", "Less"),
    BINARY("LessEqual less_equal", "LessOrEqual"),
    BINARY("FloorDivide floor_divide floordiv", "FloorDiv"),
    { "Divide TrueDivide divide truediv true_divide realdiv RealDiv", lower_divide, ANY },
    { "NotEqual not_equal", lower_not_equal, ANY },
    { "SquaredDifference squared_difference", lower_squared_difference, ANY },
    LOGICAL("LogicalAnd logical_and", "And"),
    LOGICAL("LogicalOr logical_or", "Or"),
    LOGICAL("LogicalXor logical_xor", "Xor"),
    UNARY("Abs Absolute abs absolute", "Abs"),
    UNARY("Negative negative neg", "Neg"),
    UNARY("Exp exp", "Exp"),
    UNARY("Log log", "Log"),
    UNARY("Sqrt sqrt", "Sqrt"),
    UNARY("Sin sin", "Sin"),
    UNARY("Cos cos", "Cos"),
    UNARY("Tan tan", "Tan"),
    UNARY("Arcsin arcsin asin", "Asin"),
    UNARY("Arccos arccos acos", "Acos"),
    UNARY("Arctan arctan atan", "Atan"),
    UNARY("Arcsinh arcsinh asinh", "Asinh"),
    UNARY("Arccosh arccosh acosh", "Acosh"),
    UNARY("Arctanh arctanh atanh", "Atanh"),
    UNARY("Sinh sinh", "Sinh"),
    UNARY("Cosh cosh", "Cosh"),
    UNARY("Floor floor", "Floor"),
    UNARY("Ceil ceil", "Ceil"),
    UNARY("Round round", "Round"),
    UNARY("Sign sign", "Sign"),
    UNARY("Erf erf", "Erf"),
    UNARY("Reciprocal reciprocal", "Reciprocal"),
    UNARY("Isnan isnan is_nan", "IsNaN"),
    UNARY("Isinf isinf is_inf", "IsInf"),
    { "Square square Rsqrt rsqrt Log1p log1p Expm1 expm1 Log2 log2 Log10 log10 Exp2 exp2 Trunc trunc Isfinite "
      "isfinite is_finite LogicalNot logical_not Identity identity StopGradient stop_gradient Copy ctc",
        lower_computed, ANY },
    { "(activation)", lower_activation, ANY },
    REDUCE("Mean mean reduce_mean", "ReduceMean"),
    REDUCE("Sum sum reduce_sum", "ReduceSum"),
    REDUCE("Max max amax Amax reduce_max", "ReduceMax"),
    REDUCE("Min min amin Amin reduce_min", "ReduceMin"),
    REDUCE("Prod prod reduce_prod", "ReduceProd"),
    REDUCE("Logsumexp logsumexp reduce_logsumexp", "ReduceLogSumExp"),
    REDUCE("Any any reduce_any", "any"),
    REDUCE("All all reduce_all", "all"),
    { "Var var reduce_variance Std std reduce_std", lower_variance, ANY },
    { "Ptp ptp", lower_range, ANY },
    { "CountNonzero count_nonzero", lower_count, ANY },
    { "Argmax argmax", lower_arg, ANY, .onnx = "ArgMax" },
    { "Argmin argmin", lower_arg, ANY, .onnx = "ArgMin" },
    { "Matmul matmul MatMul", lower_matmul, ANY },
    { "Einsum einsum", lower_einsum, ANY },
    { "Clip clip clip_by_value", lower_clip, ANY },
    { "Where where where_v2", lower_where, ANY },
    { "Cast cast", lower_cast, ANY },
    { NULL },
};
