/* script_math.c - element-wise operators, comparisons, products and reductions as TorchScript. */
#include <string.h>

#include "base/err.h"
#include "format/torch/aten.h"
#include "format/torch/script.h"
#include "graph/op.h"

static const struct script_row *row_of(const struct node *n)
{
    return script_find(n->op->name);
}

static const char *say_unary(struct script *s, const struct node *n)
{
    return say(s, "torch.%s(%s)", row_of(n)->aten, in(s, n, 0));
}

static const char *say_binary(struct script *s, const struct node *n)
{
    return say(s, "torch.%s(%s, %s)", row_of(n)->aten, in(s, n, 0), in(s, n, 1));
}

/* Of any number of operands. */
static const char *say_chain(struct script *s, const struct node *n)
{
    const char *text = in(s, n, 0);
    for (int i = 1; i < n->n_in; i++) text = assign(s, say(s, "torch.%s(%s, %s)", row_of(n)->aten, text, in(s, n, i)));
    return text;
}

static const char *say_mean(struct script *s, const struct node *n)
{
    return say(s, "torch.div(%s, %d)", say_chain(s, n), n->n_in);
}

static const char *say_div(struct script *s, const struct node *n)
{
    bool whole = !dtype_is_float(n->out[0]->dtype);
    return say(s, "torch.div(%s, %s%s)", in(s, n, 0), in(s, n, 1), whole ? ", rounding_mode=\"trunc\"" : "");
}

static const char *cast(struct script *s, const char *x, enum dtype t)
{
    return say(s, "torch.to(%s, %lld)", x, (long long)dtype_to_torch(t));
}

static const char *say_pow(struct script *s, const struct node *n)
{
    const char *text = say(s, "torch.pow(%s, %s)", in(s, n, 0), in(s, n, 1));
    bool same = value_resolve(n->in[0])->dtype == value_resolve(n->in[1])->dtype;
    return same ? text : cast(s, text, n->out[0]->dtype);
}

static const char *say_mod(struct script *s, const struct node *n)
{
    return say(s, "torch.%s(%s, %s)", node_int(n, "fmod") ? "fmod" : "remainder", in(s, n, 0), in(s, n, 1));
}

static const char *say_cast(struct script *s, const struct node *n)
{
    enum dtype t = n->out[0]->dtype;
    if (dtype_to_torch(t) < 0) return script_cannot(s, n, dtype_name(t));
    return cast(s, in(s, n, 0), t);
}

static const char *say_where(struct script *s, const struct node *n)
{
    return say(s, "torch.where(%s, %s, %s)", in(s, n, 0), in(s, n, 1), in(s, n, 2));
}

static const char *say_clip(struct script *s, const struct node *n)
{
    double low, high;
    const char *x = in(s, n, 0);
    enum dtype t = n->out[0]->dtype;
    bool has_low = node_in(n, 1) != NULL, has_high = node_in(n, 2) != NULL;
    bool numbers = (!has_low || const_number(n, 1, &low)) && (!has_high || const_number(n, 2, &high));
    if (numbers)
        return say(s, "torch.clamp(%s, %s, %s)", x, has_low ? scalar_text(s, t, low) : "None",
            has_high ? scalar_text(s, t, high) : "None");
    if (has_low) x = assign(s, say(s, "torch.maximum(%s, %s)", x, in(s, n, 1)));
    return has_high ? say(s, "torch.minimum(%s, %s)", x, in(s, n, 2)) : x;
}

static const char *say_leaky(struct script *s, const struct node *n)
{
    return say(s, "torch.%s(%s, %s)", row_of(n)->aten, in(s, n, 0), float_text(s, node_float(n, "alpha")));
}

static const char *say_hard_sigmoid(struct script *s, const struct node *n)
{
    return say(s, "torch.clamp(torch.add(torch.mul(%s, %s), %s), 0., 1.)", in(s, n, 0),
        float_text(s, node_float(n, "alpha")), float_text(s, node_float(n, "beta")));
}

static const char *say_selu(struct script *s, const struct node *n)
{
    double alpha = node_float(n, "alpha"), gamma = node_float(n, "gamma");
    return say(s, "torch.mul(torch.elu(%s, %s), %s)", in(s, n, 0), float_text(s, alpha), float_text(s, gamma));
}

static const char *say_swish(struct script *s, const struct node *n)
{
    double alpha = node_has(n, "alpha") ? node_float(n, "alpha") : 1;
    const char *x = in(s, n, 0);
    if (alpha == 1) return say(s, "torch.silu(%s)", x);
    return say(s, "torch.mul(%s, torch.sigmoid(torch.mul(%s, %s)))", x, x, float_text(s, alpha));
}

static const char *say_gelu(struct script *s, const struct node *n)
{
    const char *how = node_string(n, "approximate");
    return say(s, "torch.gelu(%s, approximate=\"%s\")", in(s, n, 0), how ? how : "none");
}

static const char *say_softsign(struct script *s, const struct node *n)
{
    return say(s, "torch.div(%s, torch.add(torch.abs(%s), 1.))", in(s, n, 0), in(s, n, 0));
}

/* The slope broadcasts as any operand does; PyTorch's prelu knows channels only. */
static const char *say_prelu(struct script *s, const struct node *n)
{
    const char *x = in(s, n, 0);
    return say(s, "torch.where(torch.ge(%s, 0), %s, torch.mul(%s, %s))", x, x, x, in(s, n, 1));
}

static const char *say_threshold(struct script *s, const struct node *n)
{
    return say(s, "torch.threshold(%s, %s, 0.)", in(s, n, 0), float_text(s, node_float(n, "alpha")));
}

static const char *say_softmax(struct script *s, const struct node *n)
{
    return say(s, "torch.%s(%s, %lld)", row_of(n)->aten, in(s, n, 0), (long long)node_int(n, "axis"));
}

/* The axes of a reduction: all of them when none are given. NULL: not known. */
static const char *axes_text(struct script *s, const struct node *n, bool *nothing)
{
    size_t count;
    const int64_t *axes = const_ints(s, n, 1, &count);
    int64_t all[SHAPE_MAX];
    int rank = script_rank(value_resolve(n->in[0]));
    *nothing = false;
    if (node_in(n, 1) && !axes) return NULL;
    if (count) return int_list(s, axes, count);
    if (node_int(n, "noop_with_empty_axes")) return *nothing = true, "[]";
    if (rank < 0) return NULL;
    for (int i = 0; i < rank; i++) all[i] = i;
    return int_list(s, all, (size_t)rank);
}

/* What is done to the elements before, and to the result after, stands in the name: "abs sum", "square sum sqrt". */
static const char *say_reduce(struct script *s, const struct node *n)
{
    bool nothing;
    const char *axes = axes_text(s, n, &nothing), *x = in(s, n, 0), *plan = row_of(n)->aten;
    if (!axes) return script_cannot(s, n, "axes that are not constant");
    if (!strncmp(plan, "square ", 7)) x = assign(s, say(s, "torch.mul(%s, %s)", x, x));
    if (!strncmp(plan, "abs ", 4)) x = assign(s, say(s, "torch.abs(%s)", x));
    const char *op = strchr(plan, ' ') && strncmp(plan, "sum ", 4) ? strchr(plan, ' ') + 1 : plan;
    size_t len = strcspn(op, " ");
    if (!nothing && script_rank(value_resolve(n->in[0])) != 0)
        x = assign(
            s, say(s, "torch.%.*s(%s, %s, %s)", (int)len, op, x, axes, node_int(n, "keepdims") ? "True" : "False"));
    const char *after = op[len] ? op + len + 1 : NULL;
    x = after ? assign(s, say(s, "torch.%s(%s)", after, x)) : x;
    return dtype_is_float(n->out[0]->dtype) || strcmp(plan, "sum") ? x : cast(s, x, n->out[0]->dtype);
}

/* PyTorch's product takes one axis. */
static const char *say_prod(struct script *s, const struct node *n)
{
    size_t count;
    const int64_t *axes = const_ints(s, n, 1, &count);
    bool keep = node_int(n, "keepdims");
    const char *x = in(s, n, 0);
    if (!axes && !node_in(n, 1) && !keep) return say(s, "torch.prod(%s)", x);
    if (!axes || (count > 1 && !keep)) return script_cannot(s, n, "these axes");
    for (size_t i = 0; i < count; i++)
        x = assign(s, say(s, "torch.prod(%s, %lld, %s)", x, (long long)axes[i], keep ? "True" : "False"));
    return x;
}

static const char *say_arg(struct script *s, const struct node *n)
{
    if (node_int(n, "select_last_index")) return script_cannot(s, n, "the last of equal ones");
    return say(s, "torch.%s(%s, %lld, %s)", row_of(n)->aten, in(s, n, 0), (long long)node_int(n, "axis"),
        node_int(n, "keepdims") ? "True" : "False");
}

static const char *say_cumsum(struct script *s, const struct node *n)
{
    if (node_int(n, "exclusive") || node_int(n, "reverse")) return script_cannot(s, n, "this direction");
    return say(s, "torch.cumsum(%s, %s)", in(s, n, 0), int_argument(s, n, 1));
}

static const char *say_gemm(struct script *s, const struct node *n)
{
    double alpha = node_float(n, "alpha"), beta = node_float(n, "beta");
    const struct value *c = node_in(n, 2);
    const char *a = in(s, n, 0), *b = in(s, n, 1);
    if (node_int(n, "transA")) a = assign(s, say(s, "torch.t(%s)", a));
    if (node_int(n, "transB") && alpha == 1 && (!c || (beta == 1 && script_rank(c) == 1)))
        return say(s, "torch.linear(%s, %s, %s)", a, b, in(s, n, 2));
    if (node_int(n, "transB")) b = assign(s, say(s, "torch.t(%s)", b));
    if (!c) return say(s, "torch.mul(torch.mm(%s, %s), %s)", a, b, float_text(s, alpha));
    return say(
        s, "torch.addmm(%s, %s, %s, beta=%s, alpha=%s)", in(s, n, 2), a, b, float_text(s, beta), float_text(s, alpha));
}

static const char *say_einsum(struct script *s, const struct node *n)
{
    struct str list = str_in(s->arena);
    for (int i = 0; i < n->n_in; i++) str_addf(&list, "%s%s", i ? ", " : "", in(s, n, i));
    const char *text = str_done(&list), *equation = node_string(n, "equation");
    return text && equation ? say(s, "torch.einsum(\"%s\", [%s])", equation, text) : NULL;
}

const struct script_row script_math[] = {
    { "Abs", say_unary, "abs" },
    { "Acos", say_unary, "acos" },
    { "Acosh", say_unary, "acosh" },
    { "Asin", say_unary, "asin" },
    { "Asinh", say_unary, "asinh" },
    { "Atan", say_unary, "atan" },
    { "Atanh", say_unary, "atanh" },
    { "BitwiseNot", say_unary, "bitwise_not" },
    { "Ceil", say_unary, "ceil" },
    { "Cos", say_unary, "cos" },
    { "Cosh", say_unary, "cosh" },
    { "Erf", say_unary, "erf" },
    { "Exp", say_unary, "exp" },
    { "Floor", say_unary, "floor" },
    { "HardSwish", say_unary, "hardswish" },
    { "IsInf", say_unary, "isinf" },
    { "IsNaN", say_unary, "isnan" },
    { "Log", say_unary, "log" },
    { "LogSigmoid", say_unary, "log_sigmoid" },
    { "Mish", say_unary, "mish" },
    { "Neg", say_unary, "neg" },
    { "Not", say_unary, "logical_not" },
    { "Reciprocal", say_unary, "reciprocal" },
    { "Relu", say_unary, "relu" },
    { "Round", say_unary, "round" },
    { "Sigmoid", say_unary, "sigmoid" },
    { "Sign", say_unary, "sign" },
    { "Sin", say_unary, "sin" },
    { "Sinh", say_unary, "sinh" },
    { "Softplus", say_unary, "softplus" },
    { "Sqrt", say_unary, "sqrt" },
    { "Tan", say_unary, "tan" },
    { "Tanh", say_unary, "tanh" },
    { "Add", say_binary, "add" },
    { "And", say_binary, "logical_and" },
    { "BitwiseAnd", say_binary, "bitwise_and" },
    { "BitwiseOr", say_binary, "bitwise_or" },
    { "BitwiseXor", say_binary, "bitwise_xor" },
    { "Equal", say_binary, "eq" },
    { "FloorDiv", say_binary, "floor_divide" },
    { "Greater", say_binary, "gt" },
    { "GreaterOrEqual", say_binary, "ge" },
    { "Less", say_binary, "lt" },
    { "LessOrEqual", say_binary, "le" },
    { "MatMul", say_binary, "matmul" },
    { "Mul", say_binary, "mul" },
    { "Or", say_binary, "logical_or" },
    { "Remainder", say_binary, "remainder" },
    { "Sub", say_binary, "sub" },
    { "Xor", say_binary, "logical_xor" },
    { "Max", say_chain, "maximum" },
    { "Min", say_chain, "minimum" },
    { "Sum", say_chain, "add" },
    { "Mean", say_mean, "add" },
    { "Div", say_div },
    { "Pow", say_pow },
    { "Mod", say_mod },
    { "Cast", say_cast },
    { "Where", say_where },
    { "Clip", say_clip },
    { "LeakyRelu", say_leaky, "leaky_relu" },
    { "Elu", say_leaky, "elu" },
    { "Celu", say_leaky, "celu" },
    { "HardSigmoid", say_hard_sigmoid },
    { "Selu", say_selu },
    { "Swish", say_swish },
    { "Gelu", say_gelu },
    { "Softsign", say_softsign },
    { "PRelu", say_prelu },
    { "ThresholdedRelu", say_threshold },
    { "Softmax", say_softmax, "softmax" },
    { "LogSoftmax", say_softmax, "log_softmax" },
    { "ReduceSum", say_reduce, "sum" },
    { "ReduceMean", say_reduce, "mean" },
    { "ReduceMax", say_reduce, "amax" },
    { "ReduceMin", say_reduce, "amin" },
    { "ReduceL1", say_reduce, "abs sum" },
    { "ReduceL2", say_reduce, "square sum sqrt" },
    { "ReduceSumSquare", say_reduce, "square sum" },
    { "ReduceLogSum", say_reduce, "sum log" },
    { "ReduceLogSumExp", say_reduce, "logsumexp" },
    { "ReduceProd", say_prod },
    { "ArgMax", say_arg, "argmax" },
    { "ArgMin", say_arg, "argmin" },
    { "CumSum", say_cumsum },
    { "Gemm", say_gemm },
    { "Einsum", say_einsum },
    { 0 },
};
