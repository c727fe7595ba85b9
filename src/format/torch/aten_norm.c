/* aten_norm.c - normalisation and dropout. */
#include "base/err.h"
#include "format/torch/aten.h"

/* A constant vector as long as x has channels, for the parameters that BatchNormalization wants and PyTorch may
 * leave out. */
static struct value *channel_vector(struct aten_call *c, struct value *x, double v)
{
    int64_t channels = value_size_pinned(c, x, 1);
    if (c->b->err->code) return NULL;
    struct shape s = shape_of(1, &channels);
    struct tensor *t = tensor_new(c->b->g->arena, x->dtype, &s, c->b->err);
    for (int64_t i = 0; t && i < channels; i++) tensor_set_f64(t, i, v);
    return emit_const(c->b, t);
}

/* The graph keeps batch normalisation in its scoring form whatever mode the model was saved in; a pass turns it. */
static struct value *lower_batch_norm(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *scale = arg_tensor(c, 1), *bias = arg_tensor(c, 2);
    struct value *mean = arg_tensor(c, 3), *var = arg_tensor(c, 4);
    if (!mean || !var) return aten_fail(c, ERR_UNSUPPORTED, "without running statistics"), NULL;
    if (!scale) scale = channel_vector(c, x, 1);
    if (!bias) bias = channel_vector(c, x, 0);
    return emit(c->b, "BatchNormalization",
        ATTRS(attr_float("epsilon", arg_float(c, 7)), attr_float("momentum", 1 - arg_float(c, 6))), x, scale, bias,
        mean, var);
}

static struct value *lower_dropout(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return emit(
        c->b, "Dropout", NO_ATTRS, x, emit_scalar(c->b, DT_F32, arg_float(c, 1)), emit_scalar(c->b, DT_BOOL, 0));
}

const struct aten_row aten_norm[] = {
    { "batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool "
      "training, "
      "float momentum, float eps, bool cudnn_enabled) -> Tensor",
        lower_batch_norm },
    { "dropout(Tensor input, float p, bool train) -> Tensor", lower_dropout },
    { 0 },
};
