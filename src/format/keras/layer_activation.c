/* layer_activation.c - activations: as layers, and as the word in a layer's config. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/ops.h"

/* One activation; `args` of an operation may carry its numbers. */
struct activation {
    const char *name;
    const char *onnx; /* the operator, where it is one without attributes of its own */
    struct value *(*f)(struct call *c, struct value *x, bool first);
};

static struct value *a_linear(struct call *c, struct value *x, bool first)
{
    return x;
}

static struct value *clip(struct call *c, struct value *x, double low, double high)
{
    return emit(c->b, "Clip", NO_ATTRS, x, k_like(c, x, low), k_like(c, x, high));
}

static struct value *a_relu6(struct call *c, struct value *x, bool first)
{
    return clip(c, x, 0, 6);
}

static struct value *a_hard_tanh(struct call *c, struct value *x, bool first)
{
    return clip(c, x, -1, 1);
}

/* Keras 3 divides by 6, Keras before it multiplies by 0.2. */
static struct value *a_hard_sigmoid(struct call *c, struct value *x, bool first)
{
    double alpha = c->k->version[0] >= 3 ? 1.0 / 6 : 0.2;
    return emit(c->b, "HardSigmoid", ATTRS(attr_float("alpha", alpha), attr_float("beta", 0.5)), x);
}

static struct value *a_leaky_relu(struct call *c, struct value *x, bool first)
{
    const json_t *said = argument(c, 1, "negative_slope") ? argument(c, 1, "negative_slope") : argument(c, 1, "alpha");
    double slope = json_number_value(said);
    return emit(c->b, "LeakyRelu", ATTRS(attr_float("alpha", slope != 0 ? slope : 0.2)), x);
}

static struct value *a_gelu(struct call *c, struct value *x, bool first)
{
    bool tanh = json_is_true(argument(c, 1, "approximate"));
    return emit(c->b, "Gelu", ATTRS(attr_string("approximate", tanh ? "tanh" : "none")), x);
}

static struct value *a_softmax(struct call *c, struct value *x, bool first)
{
    return k_softmax(c, x, first ? 1 : -1);
}

static struct value *a_log_softmax(struct call *c, struct value *x, bool first)
{
    return emit(c->b, "LogSoftmax", ATTRS(attr_int("axis", first ? 1 : -1)), x);
}

static struct value *a_squareplus(struct call *c, struct value *x, bool first)
{
    struct value *root = k_op(c, "Sqrt", k_scaled(c, k_op2(c, "Mul", x, x), 1, 4));
    return k_scaled(c, k_op2(c, "Add", x, root), 0.5, 0);
}

static struct value *a_tanh_shrink(struct call *c, struct value *x, bool first)
{
    return k_op2(c, "Sub", x, k_op(c, "Tanh", x));
}

static struct value *shrink(struct call *c, struct value *x, double bias)
{
    return emit(c->b, "Shrink", ATTRS(attr_float("lambd", 0.5), attr_float("bias", bias)), x);
}

static struct value *a_soft_shrink(struct call *c, struct value *x, bool first)
{
    return shrink(c, x, 0.5);
}

static struct value *a_hard_shrink(struct call *c, struct value *x, bool first)
{
    return shrink(c, x, 0);
}

static struct value *a_sparse_plus(struct call *c, struct value *x, bool first)
{
    struct value *half = k_scaled(c, k_op2(c, "Add", x, k_like(c, x, 1)), 0.5, 0);
    struct value *inner = k_op2(c, "Mul", half, half);
    struct value *high = emit(c->b, "Where", NO_ATTRS, k_op2(c, "Less", x, k_like(c, x, 1)), inner, x);
    return emit(c->b, "Where", NO_ATTRS, k_op2(c, "LessOrEqual", x, k_like(c, x, -1)), k_like(c, x, 0), high);
}

static struct value *a_sparse_sigmoid(struct call *c, struct value *x, bool first)
{
    return clip(c, k_scaled(c, x, 0.5, 0.5), 0, 1);
}

static struct value *a_glu(struct call *c, struct value *x, bool first)
{
    struct attr attrs[] = { attr_int("axis", first ? 1 : -1), attr_int("num_outputs", 2), { 0 } };
    struct node *n = builder_node(c->b, "Split", attrs, &x, 1, 2);
    return n ? k_op2(c, "Mul", n->out[0], k_op(c, "Sigmoid", n->out[1])) : NULL;
}

static struct value *a_threshold(struct call *c, struct value *x, bool first)
{
    double at = json_number_value(argument(c, 1, "threshold")),
           other = json_number_value(argument(c, 2, "default_value"));
    struct value *above = k_op2(c, "Greater", x, k_like(c, x, at));
    return emit(c->b, "Where", NO_ATTRS, above, x, k_like(c, x, other));
}

static const struct activation activations[] = {
    { "linear", NULL, a_linear },
    { "identity", NULL, a_linear },
    { "relu", "Relu" },
    { "relu6", NULL, a_relu6 },
    { "tanh", "Tanh" },
    { "sigmoid", "Sigmoid" },
    { "exponential", "Exp" },
    { "softplus", "Softplus" },
    { "softsign", "Softsign" },
    { "selu", "Selu" },
    { "elu", "Elu" },
    { "celu", "Celu" },
    { "gelu", NULL, a_gelu },
    { "silu", "Swish" },
    { "swish", "Swish" },
    { "mish", "Mish" },
    { "hard_sigmoid", NULL, a_hard_sigmoid },
    { "hard_silu", "HardSwish" },
    { "hard_swish", "HardSwish" },
    { "hard_tanh", NULL, a_hard_tanh },
    { "leaky_relu", NULL, a_leaky_relu },
    { "softmax", NULL, a_softmax },
    { "log_softmax", NULL, a_log_softmax },
    { "log_sigmoid", "LogSigmoid" },
    { "squareplus", NULL, a_squareplus },
    { "tanh_shrink", NULL, a_tanh_shrink },
    { "soft_shrink", NULL, a_soft_shrink },
    { "hard_shrink", NULL, a_hard_shrink },
    { "sparse_plus", NULL, a_sparse_plus },
    { "sparse_sigmoid", NULL, a_sparse_sigmoid },
    { "glu", NULL, a_glu },
    { "threshold", NULL, a_threshold },
    { NULL },
};

static const struct activation *find(const char *name)
{
    for (const struct activation *a = activations; a->name; a++)
        if (!strcmp(a->name, name)) return a;
    return NULL;
}

bool is_activation(const char *name)
{
    return find(name) != NULL;
}

const char *activation_at(size_t i)
{
    return i < sizeof activations / sizeof *activations ? activations[i].name : NULL;
}

const char *activation_name(const json_t *spec)
{
    if (!spec || json_is_null(spec)) return "linear";
    const char *name = class_of(spec), *inner = json_string_value(config_of(spec));
    return name && !strcmp(name, "function") && inner ? inner : name ? name : "?";
}

struct value *activate_named(struct call *c, const char *name, struct value *x, bool first)
{
    const struct activation *a = find(name);
    if (!a) return call_fail(c, ERR_UNSUPPORTED, "unknown activation %.100s", name), NULL;
    return a->f ? a->f(c, x, first) : k_op(c, a->onnx, x);
}

struct value *activate(struct call *c, const json_t *spec, struct value *x, bool first)
{
    const char *name = activation_name(spec);
    const struct layer_row *row = find(name) || !json_is_object(spec) ? NULL : layer_row_find(name);
    struct call plain = *c;
    if (!x || !row || row->weights || row->flags & LAYER_MODEL) {
        plain.config = plain.args = plain.kwargs = NULL; /* the numbers of its layer are not the activation's */
        return activate_named(&plain, name, x, first);
    }
    plain.config = config_of(spec); /* a layer as an activation */
    plain.in[0] = in_form(c, x, first);
    plain.n_in = 1;
    struct ktensor *out = plain.in[0] ? row->lower(&plain) : NULL;
    return !out ? NULL : first ? as_first(c, out) : as_plain(c, out);
}

struct ktensor *activate_tensor(struct call *c, const char *key, struct ktensor *t)
{
    bool first;
    if (!t) return NULL;
    struct value *v = ktensor_form(t, &first), *out = activate(c, json_object_get(c->config, key), v, first);
    return out == v ? t : in_form(c, out, first);
}

static struct ktensor *lower_activation(struct call *c)
{
    bool first;
    struct value *v = ktensor_form(c->in[0], &first);
    return in_form(c, activate(c, json_object_get(c->config, "activation"), v, first), first);
}

/* f(x) = x up to max_value from threshold on, negative_slope (x - threshold) below */
static struct value *relu(struct call *c, struct value *x)
{
    double threshold = cfg_float(c, "threshold", cfg_float(c, "theta", 0)), slope = cfg_float(c, "negative_slope", 0);
    const json_t *max = cfg(c, "max_value");
    double most = cfg_float(c, "max_value", 0);
    if (threshold == 0 && slope == 0 && !max) return k_op(c, "Relu", x);
    if (threshold == 0 && slope == 0) return clip(c, x, 0, most);
    if (threshold == 0 && !max) return emit(c->b, "LeakyRelu", ATTRS(attr_float("alpha", slope)), x);
    struct value *high = max ? emit(c->b, "Min", NO_ATTRS, x, k_like(c, x, most)) : x;
    struct value *low = k_scaled(c, x, slope, -slope * threshold);
    return emit(c->b, "Where", NO_ATTRS, k_op2(c, "GreaterOrEqual", x, k_like(c, x, threshold)), high, low);
}

static struct ktensor *lower_relu(struct call *c)
{
    return each_element(c, c->in[0], relu);
}

static struct value *leaky(struct call *c, struct value *x)
{
    double alpha = cfg_float(c, "negative_slope", cfg_float(c, "alpha", 0.3));
    return emit(c->b, "LeakyRelu", ATTRS(attr_float("alpha", alpha)), x);
}

static struct ktensor *lower_leaky(struct call *c)
{
    return each_element(c, c->in[0], leaky);
}

static struct value *elu(struct call *c, struct value *x)
{
    return emit(c->b, "Elu", ATTRS(attr_float("alpha", cfg_float(c, "alpha", 1))), x);
}

static struct ktensor *lower_elu(struct call *c)
{
    return each_element(c, c->in[0], elu);
}

/* x where it is above theta, else 0 */
static struct value *thresholded(struct call *c, struct value *x)
{
    return emit(c->b, "ThresholdedRelu", ATTRS(attr_float("alpha", cfg_float(c, "theta", 1))), x);
}

static struct ktensor *lower_thresholded(struct call *c)
{
    return each_element(c, c->in[0], thresholded);
}

/* alpha has the input's shape without the batch, and 1 where axes share it. */
static struct ktensor *lower_prelu(struct call *c)
{
    struct ktensor *t = c->in[0];
    int rank = ktensor_rank(t), perm[SHAPE_MAX];
    int64_t dims[SHAPE_MAX];
    const json_t *shared = cfg(c, "shared_axes"), *axis;
    size_t i;
    bool first = !t->plain;
    for (int d = 1; d < rank; d++) dims[d - 1] = ktensor_dim(t, d);
    json_array_foreach(shared, i, axis)
    {
        json_int_t a = json_integer_value(axis);
        if (a >= 1 && a < rank) dims[a - 1] = 1;
    }
    for (int d = 0; d < rank - 1; d++) perm[d] = d == 0 ? rank - 2 : d - 1; /* (H, W, C) to (C, H, W) */
    struct value *alpha = weight(c, "alpha", rank - 1, dims, first ? perm : NULL), *x = ktensor_form(t, &first);
    return in_form(c, emit(c->b, "PRelu", NO_ATTRS, x, alpha), first);
}

static struct ktensor *lower_softmax(struct call *c)
{
    const json_t *axis = cfg(c, "axis");
    int64_t axes[SHAPE_MAX] = { -1 };
    int n = axis ? op_ints(c, axis, axes, SHAPE_MAX) : 1, rank = ktensor_rank(c->in[0]);
    struct ktensor *mask = tensor_argument(c, 1, "mask");
    if (n < 1) return c->b->err->code ? NULL : (call_fail(c, ERR_MODEL, "it has no axis"), NULL);
    bool channels = n == 1 && (axes[0] == -1 || axes[0] == rank - 1);
    if (channels && !mask && !c->in[0]->plain) return ktensor_first(c, k_softmax(c, c->in[0]->first, 1));
    struct value *x = as_plain(c, c->in[0]);
    if (mask) { /* what is masked loses 10^9, as Keras has it */
        struct value *off = k_op(c, "Not", emit_cast(c->b, as_plain(c, mask), DT_BOOL));
        x = x ? k_op2(c, "Add", x, k_scaled(c, emit_cast(c->b, off, x->dtype), -1e9, 0)) : NULL;
    }
    return ktensor_plain(c, k_softmax_over(c, x, axes, n, false));
}

const struct layer_row keras_layers_activation[] = {
    { "Activation", lower_activation, .flags = LAYER_KEEPS_MASK },
    { "ReLU", lower_relu, .flags = LAYER_KEEPS_MASK },
    { "LeakyReLU", lower_leaky, .flags = LAYER_KEEPS_MASK },
    { "ELU", lower_elu, .flags = LAYER_KEEPS_MASK },
    { "ThresholdedReLU", lower_thresholded, .flags = LAYER_KEEPS_MASK },
    { "PReLU", lower_prelu, "alpha", LAYER_KEEPS_MASK },
    { "Softmax", lower_softmax, .flags = LAYER_KEEPS_MASK },
    { NULL },
};
