/* aten_norm.c - normalisation and dropout. */
#include <math.h>

#include "base/err.h"
#include "format/torch/torch.h"

/* A constant in the shape given, for parameters that ONNX wants and PyTorch may leave out. */
static struct value *filled(struct aten_call *c, const struct value *x, int rank, const int64_t *dims, double v)
{
    struct shape s = shape_of(rank, dims);
    if (c->b->err->code) return NULL;
    struct tensor *t = tensor_new(c->b->g->arena, x->dtype, &s, c->b->err);
    for (int64_t i = 0; t && i < tensor_count(t); i++) tensor_set_f64(t, i, v);
    return emit_const(c->b, t);
}

static struct value *or_filled(struct aten_call *c, struct value *given, struct value *x, double v)
{
    int64_t channels = given ? 0 : value_size_pinned(c, x, 1);
    return given ? given : filled(c, x, 1, &channels, v);
}

/* (x - mean) / sqrt(var + epsilon) over these axes */
static struct value *standardise(struct aten_call *c, struct value *x, const int64_t *axes, size_t n, double epsilon)
{
    struct value *centred = emit_op(c, "Sub", x, emit_reduce(c, "ReduceMean", x, axes, n, true));
    struct value *var = emit_reduce(c, "ReduceMean", emit_op(c, "Mul", centred, centred), axes, n, true);
    return emit_op(c, "Div", centred, emit_op(c, "Sqrt", emit_op(c, "Add", var, emit_like(c, var, epsilon))));
}

/* x scale + bias, both (C), along dimension 1; either may be absent */
static struct value *scale_channels(struct aten_call *c, struct value *x, struct value *scale, struct value *bias)
{
    int64_t dims[SHAPE_MAX] = { -1 };
    int rank = value_rank(c, x);
    for (int i = 1; i < rank - 1; i++) dims[i] = 1;
    if (rank < 2) return x;
    if (scale) x = emit_op(c, "Mul", x, emit_reshape(c, scale, dims, (size_t)rank - 1));
    return bias ? emit_op(c, "Add", x, emit_reshape(c, bias, dims, (size_t)rank - 1)) : x;
}

/* The graph keeps batch normalisation in its scoring form whatever mode the model was saved in; a pass turns it.
 * Layers that keep no statistics always take the batch's own. */
static struct value *batch_norm(struct aten_call *c, double momentum, double epsilon)
{
    struct value *x = arg_tensor(c, 0), *scale = arg_tensor(c, 1), *bias = arg_tensor(c, 2);
    struct value *mean = arg_tensor(c, 3), *var = arg_tensor(c, 4);
    int64_t axes[SHAPE_MAX] = { 0 };
    size_t n = 1;
    if (mean && var)
        return emit(c->b, "BatchNormalization",
            ATTRS(attr_float("epsilon", epsilon), attr_float("momentum", 1 - momentum)), x, or_filled(c, scale, x, 1),
            or_filled(c, bias, x, 0), mean, var);
    for (int i = 2; i < value_rank(c, x); i++) axes[n++] = i;
    return scale_channels(c, standardise(c, x, axes, n, epsilon), scale, bias);
}

static struct value *lower_batch_norm(struct aten_call *c)
{
    return batch_norm(c, arg_float(c, 6), arg_float(c, 7));
}

/* (output, save_mean, save_rstd): the last two serve the gradient only. */
static struct value *lower_batch_norm_legit(struct aten_call *c)
{
    give(c, batch_norm(c, arg_float(c, 5), arg_float(c, 6)));
    for (int i = 0; i < 2; i++) give(c, emit_i64s(c->b, NULL, 0));
    return NULL;
}

/* The same with a mode, and with (.., new mean, new var): in the scoring form these are the old ones. */
static struct value *lower_batch_norm_moded(struct aten_call *c)
{
    give(c, batch_norm(c, arg_float(c, 6), arg_float(c, 7)));
    for (int i = 0; i < 2; i++) give(c, emit_i64s(c->b, NULL, 0));
    return NULL;
}
static struct value *lower_batch_norm_functional(struct aten_call *c)
{
    lower_batch_norm_moded(c);
    for (int i = 3; i < 5; i++) give(c, arg_tensor(c, i));
    return NULL;
}

static struct value *lower_instance_norm(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    if (!arg_bool(c, 5)) return batch_norm(c, arg_float(c, 6), arg_float(c, 7));
    return emit(c->b, "InstanceNormalization", ATTRS(attr_float("epsilon", arg_float(c, 7))), x,
        or_filled(c, arg_tensor(c, 1), x, 1), or_filled(c, arg_tensor(c, 2), x, 0));
}

/* Over the last dimensions, as many as normalized_shape has. */
static struct value *layer_norm(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *scale = arg_tensor(c, 2), *bias = arg_tensor(c, 3);
    size_t n;
    const int64_t *dims = arg_ints(c, 1, &n);
    if (n > SHAPE_MAX || c->b->err->code) return aten_fail(c, ERR_SHAPE, "%zu dimensions", n), NULL;
    if (!scale) scale = filled(c, x, (int)n, dims, 1);
    struct attr attrs[] = { attr_int("axis", -(int64_t)n), attr_float("epsilon", arg_float(c, 4)), { 0 } };
    return emit(c->b, "LayerNormalization", attrs, x, scale, bias);
}
static struct value *lower_layer_norm(struct aten_call *c)
{
    return layer_norm(c);
}
static struct value *lower_native_layer_norm(struct aten_call *c)
{
    give(c, layer_norm(c));
    for (int i = 0; i < 2; i++) give(c, emit_i64s(c->b, NULL, 0));
    return NULL;
}

/* x / sqrt(mean of squares + eps), times the weight */
static struct value *lower_rms_norm(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *scale = arg_tensor(c, 2);
    size_t n = arg_len(c, 1);
    int64_t axes[SHAPE_MAX];
    for (size_t i = 0; i < n && i < SHAPE_MAX; i++) axes[i] = (int64_t)i - (int64_t)n;
    double epsilon = arg_given(c, 3) ? arg_float(c, 3) : 1.1920928955078125e-07; /* of float32 */
    struct value *mean = emit_reduce(c, "ReduceMean", emit_op(c, "Mul", x, x), axes, n, true);
    struct value *y = emit_op(c, "Div", x, emit_op(c, "Sqrt", emit_op(c, "Add", mean, emit_like(c, mean, epsilon))));
    return scale ? emit_op(c, "Mul", y, scale) : y;
}

static struct value *lower_group_norm(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return emit(c->b, "GroupNormalization",
        ATTRS(attr_int("num_groups", arg_int(c, 1)), attr_float("epsilon", arg_float(c, 4))), x,
        or_filled(c, arg_tensor(c, 2), x, 1), or_filled(c, arg_tensor(c, 3), x, 0));
}

/* (output, mean, rstd), as above */
static struct value *lower_native_group_norm(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    give(c,
        emit(c->b, "GroupNormalization",
            ATTRS(attr_int("num_groups", arg_int(c, 6)), attr_float("epsilon", arg_float(c, 7))), x,
            or_filled(c, arg_tensor(c, 1), x, 1), or_filled(c, arg_tensor(c, 2), x, 0)));
    for (int i = 0; i < 2; i++) give(c, emit_i64s(c->b, NULL, 0));
    return NULL;
}

static struct value *dropout(struct aten_call *c, struct value *x)
{
    return emit_op(c, "Dropout", x, emit_scalar(c->b, DT_F32, arg_float(c, 1)), emit_scalar(c->b, DT_BOOL, 0));
}

static struct value *lower_dropout(struct aten_call *c)
{
    return dropout(c, arg_tensor(c, 0));
}

/* Whole channels are dropped: a mask (N, C, 1, ..) of ones goes through the dropout and multiplies. */
static struct value *lower_feature_dropout(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *sizes[SHAPE_MAX];
    int rank = value_rank(c, x);
    if (rank < 2) return aten_fail(c, ERR_SHAPE, "a tensor of rank %d", rank), NULL;
    for (int i = 0; i < rank; i++) sizes[i] = i < 2 ? value_size(c, x, i) : emit_i64(c->b, 1);
    struct value *ones = emit_filled(c, emit_concat_ints(c, sizes, (size_t)rank), x->dtype, 1);
    return emit_op(c, "Mul", x, dropout(c, ones));
}

/* Ones with probability p, zeros else: p times a Dropout of ones, which is p itself as long as nothing drops. So
 * is what stochastic depth makes of it, divided by p, the identity. */
static struct value *lower_bernoulli(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    double p = arg_float(c, 1);
    if (!x || c->b->err->code) return NULL;
    struct value *ones = emit_filled(c, emit_shape_of(c, x), x->dtype, 1);
    ones = emit_op(c, "Dropout", ones, emit_scalar(c->b, DT_F32, 1 - p), emit_scalar(c->b, DT_BOOL, 0));
    return emit_op(c, "Mul", ones, emit_scalar(c->b, x->dtype, p));
}

#define DROPOUT(name, ...) \
    { \
        name "(Tensor input, float p, bool train) -> Tensor", __VA_ARGS__ \
    }
#define STATISTICS "Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
#define MODED STATISTICS "bool training, float momentum, float eps) -> "
#define LAYER "(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, "

const struct aten_row aten_norm[] = {
    { "batch_norm(Tensor input, " STATISTICS "bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor",
        lower_batch_norm },
    { "_native_batch_norm_legit_no_training(Tensor input, Tensor? weight, Tensor? bias, Tensor running_mean, "
      "Tensor running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
        lower_batch_norm_legit },
    { "native_batch_norm(Tensor input, " MODED "(Tensor, Tensor, Tensor)", lower_batch_norm_moded },
    { "_native_batch_norm_legit(Tensor input, " MODED "(Tensor, Tensor, Tensor)", lower_batch_norm_moded },
    { "_native_batch_norm_legit_functional(Tensor input, " MODED "(Tensor, Tensor, Tensor, Tensor, Tensor)",
        lower_batch_norm_functional },
    { "instance_norm(Tensor input, " STATISTICS "bool use_input_stats, float momentum, float eps, "
      "bool cudnn_enabled) -> Tensor",
        lower_instance_norm },
    { "layer_norm" LAYER "float eps=1e-05, bool cudnn_enable=True) -> Tensor", lower_layer_norm },
    { "native_layer_norm" LAYER "float eps=1e-05) -> (Tensor, Tensor, Tensor)", lower_native_layer_norm },
    { "rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor",
        lower_rms_norm },
    { "group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, "
      "bool cudnn_enabled=True) -> Tensor",
        lower_group_norm },
    { "native_group_norm(Tensor input, Tensor? weight, Tensor? bias, int N, int C, int HxW, int group, float eps) -> "
      "(Tensor, Tensor, Tensor)",
        lower_native_group_norm },
    DROPOUT("dropout", lower_dropout),
    DROPOUT("alpha_dropout", lower_identity),
    DROPOUT("feature_dropout", lower_feature_dropout),
    DROPOUT("feature_alpha_dropout", lower_identity),
    { "bernoulli.p(Tensor self, float p=0.5, *, Generator? generator=None) -> Tensor", lower_bernoulli },
    { 0 },
};
