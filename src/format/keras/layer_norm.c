/* layer_norm.c - normalizations. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/keras.h"

enum { CHANNELS_MAX = 1 << 22 }; /* of constants that stand for weights a layer does without */

/* A weight of one number for each channel, or what stands for it where the layer has none. */
static struct value *per_channel(struct call *c, const char *role, int64_t n, double otherwise)
{
    if (has_weight(c, role)) return weight(c, role, 1, &n, NULL);
    struct shape s = shape_of(1, &n);
    if (n < 0 || n > CHANNELS_MAX)
        return call_fail(c, ERR_SHAPE, "the number of channels is not known, or past all measure"), NULL;
    struct tensor *t = tensor_new(c->k->keep, c->k->compute, &s, c->b->err);
    for (int64_t i = 0; t && i < n; i++) tensor_set_f64(t, i, otherwise);
    return emit_const(c->b, t);
}

/* The one axis that `axis` names, in [1, rank). */
static int one_axis(struct call *c, int rank, int64_t otherwise)
{
    const json_t *v = cfg(c, "axis");
    if (json_is_array(v) && json_array_size(v) == 1) v = json_array_get(v, 0);
    int axis = shape_axis(json_is_integer(v) ? json_integer_value(v) : otherwise, rank);
    if (json_is_array(v) || axis < 1) return call_fail(c, ERR_UNSUPPORTED, "its axis in an input of rank %d", rank), -1;
    return axis;
}

/* The axis to place 1, where operators want channels, and back. */
static struct value *swapped(struct call *c, struct value *x, int axis)
{
    int64_t perm[SHAPE_MAX];
    int rank = x ? x->shape.rank : 0;
    for (int d = 0; d < rank; d++) perm[d] = d == 1 ? axis : d == axis ? 1 : d;
    return x ? k_transpose(c, x, perm, rank) : NULL;
}

/* The input with the channels at 1, which `axis` names; `first`: it has a form of its own for that. */
static struct value *channels_at_1(struct call *c, int axis, bool *first)
{
    int rank = ktensor_rank(c->in[0]);
    *first = axis == rank - 1 && rank > 2;
    return *first ? as_first(c, c->in[0]) : swapped(c, as_plain(c, c->in[0]), axis);
}

static struct ktensor *channels_back(struct call *c, struct value *y, int axis, bool first)
{
    return first ? ktensor_first(c, y) : ktensor_plain(c, swapped(c, y, axis));
}

static struct ktensor *lower_batch_norm(struct call *c)
{
    bool first;
    int axis = one_axis(c, ktensor_rank(c->in[0]), -1);
    if (axis < 0) return NULL;
    int64_t n = ktensor_dim(c->in[0], axis);
    struct value *x = channels_at_1(c, axis, &first);
    struct value *gamma = per_channel(c, "gamma", n, 1), *beta = per_channel(c, "beta", n, 0);
    struct value *mean = weight(c, "moving_mean", 1, &n, NULL), *var = weight(c, "moving_variance", 1, &n, NULL);
    struct attr attrs[] = { attr_float("epsilon", cfg_float(c, "epsilon", 1e-3)),
        attr_float("momentum", cfg_float(c, "momentum", 0.99)), { 0 } };
    return channels_back(c, emit(c->b, "BatchNormalization", attrs, x, gamma, beta, mean, var), axis, first);
}

/* The axes of a layer normalization, ascending; how many. */
static int norm_axes(struct call *c, int rank, int64_t *axes)
{
    const json_t *v = cfg(c, "axis");
    int n = 0;
    for (int d = 0; d < rank; d++) {
        bool in = !v && d == rank - 1;
        for (size_t i = 0; i < (json_is_array(v) ? json_array_size(v) : v != NULL); i++) {
            const json_t *a = json_is_array(v) ? json_array_get(v, i) : v;
            in |= json_is_integer(a) && shape_axis(json_integer_value(a), rank) == d;
        }
        if (in) axes[n++] = d;
    }
    return n;
}

static struct ktensor *lower_layer_norm(struct call *c)
{
    struct ktensor *t = c->in[0];
    int rank = ktensor_rank(t);
    int64_t axes[SHAPE_MAX], perm[SHAPE_MAX], back[SHAPE_MAX], dims[SHAPE_MAX];
    int n = norm_axes(c, rank, axes), at = 0;
    struct value *x = as_plain(c, t);
    if (!n || !x) return c->b->err->code ? NULL : (call_fail(c, ERR_UNSUPPORTED, "its axes"), NULL);
    for (int d = 0; d < rank; d++) {
        bool in = false;
        for (int i = 0; i < n; i++) in |= axes[i] == d;
        if (!in) perm[at++] = d;
    }
    for (int i = 0; i < n; i++) dims[i] = ktensor_dim(t, (int)axes[i]), perm[at++] = axes[i];
    for (int d = 0; d < rank; d++) back[perm[d]] = d;
    struct value *scale = weight(c, "gamma", n, dims, NULL), *bias = weight(c, "beta", n, dims, NULL);
    struct attr attrs[] = { attr_float("epsilon", cfg_float(c, "epsilon", 1e-3)), attr_int("axis", -n), { 0 } };
    if (!scale && !c->b->err->code) { /* ones */
        struct shape s = shape_of(n, dims);
        if (!shape_is_known(&s) || shape_count(&s) > CHANNELS_MAX || shape_count(&s) < 0)
            return call_fail(c, ERR_SHAPE, "its axes have no known sizes"), NULL;
        struct tensor *one = tensor_new(c->k->keep, c->k->compute, &s, c->b->err);
        for (int64_t i = 0; one && i < tensor_count(one); i++) tensor_set_f64(one, i, 1);
        scale = emit_const(c->b, one);
    }
    x = k_transpose(c, x, perm, rank);
    if (cfg_bool(c, "rms_scaling", false) || !strcmp(c->layer->class_name, "RMSNormalization"))
        x = emit(c->b, "RMSNormalization", attrs, x, scale);
    else x = emit(c->b, "LayerNormalization", attrs, x, scale, bias);
    return ktensor_plain(c, k_transpose(c, x, back, rank));
}

static struct ktensor *lower_group_norm(struct call *c)
{
    bool first;
    int axis = one_axis(c, ktensor_rank(c->in[0]), -1);
    if (axis < 0) return NULL;
    int64_t n = ktensor_dim(c->in[0], axis), groups = cfg_int(c, "groups", 32);
    struct value *x = channels_at_1(c, axis, &first), *scale = per_channel(c, "gamma", n, 1);
    struct attr attrs[] = { attr_float("epsilon", cfg_float(c, "epsilon", 1e-3)),
        attr_int("num_groups", groups < 0 ? n : groups), { 0 } };
    return channels_back(
        c, emit(c->b, "GroupNormalization", attrs, x, scale, per_channel(c, "beta", n, 0)), axis, first);
}

/* x / sqrt(max(sum of squares, 1e-12)) */
static struct ktensor *lower_unit_norm(struct call *c)
{
    int64_t axes[SHAPE_MAX];
    int n = norm_axes(c, ktensor_rank(c->in[0]), axes);
    struct value *x = as_plain(c, c->in[0]);
    struct value *sum = k_reduce(c, "ReduceSumSquare", x, axes, n, true);
    sum = emit(c->b, "Max", NO_ATTRS, sum, k_like(c, sum, 1e-12));
    return ktensor_plain(c, k_op2(c, "Div", x, k_op(c, "Sqrt", sum)));
}

/* Numbers of a config, however nested, as a constant of shape `dims`. */
static int flatten(struct call *c, const json_t *v, struct tensor *t, int64_t *at, int depth)
{
    size_t i;
    json_t *item;
    if (json_is_number(v) && *at < tensor_count(t)) return tensor_set_f64(t, (*at)++, json_number_value(v)), 0;
    if (!json_is_array(v) || depth > 8) return call_fail(c, ERR_MODEL, "its mean and variance do not fit the input");
    json_array_foreach((json_t *)(uintptr_t)v, i, item) TRY(flatten(c, item, t, at, depth + 1));
    return 0;
}

static struct value *statistic(struct call *c, const char *role, int rank, const int64_t *axes, int n)
{
    struct shape s = { .rank = rank };
    int64_t dims[SHAPE_MAX], at = 0, one;
    for (int d = 0; d < rank; d++) s.dim[d] = 1;
    for (int i = 0; i < n; i++) s.dim[axes[i]] = dims[i] = ktensor_dim(c->in[0], (int)axes[i]);
    if (has_weight(c, role)) return weight_as(c, role, n, dims, NULL, rank, s.dim);
    const json_t *v = cfg(c, role);
    for (int d = 0; json_is_number(v) && d < rank; d++) s.dim[d] = 1;
    if (!shape_is_known(&s) || shape_count(&s) > CHANNELS_MAX || shape_count(&s) < 0)
        return call_fail(c, ERR_SHAPE, "its axes have no known sizes"), NULL;
    struct tensor *t = tensor_new(c->k->keep, c->k->compute, &s, c->b->err);
    if (!t || flatten(c, v, t, &at, 0)) return NULL;
    one = tensor_count(t);
    for (int64_t i = at; at == 1 && i < one; i++) tensor_set_f64(t, i, tensor_get_f64(t, 0));
    if (at != 1 && at != one)
        return call_fail(c, ERR_MODEL, "its %s has %lld numbers, expected %lld", role, (long long)at, (long long)one),
               NULL;
    return emit_const(c->b, t);
}

/* (x - mean) / max(sqrt(variance), 1e-7) */
static struct ktensor *lower_normalization(struct call *c)
{
    int rank = ktensor_rank(c->in[0]), n = 0;
    int64_t axes[SHAPE_MAX];
    if (cfg(c, "axis")) n = norm_axes(c, rank, axes); /* null: one number for all */
    struct value *x = as_plain(c, c->in[0]), *mean = statistic(c, "mean", rank, axes, n);
    struct value *deviation = k_op(c, "Sqrt", statistic(c, "variance", rank, axes, n));
    deviation = emit(c->b, "Max", NO_ATTRS, deviation, k_like(c, deviation, 1e-7));
    if (cfg_bool(c, "invert", false)) return ktensor_plain(c, k_op2(c, "Add", mean, k_op2(c, "Mul", x, deviation)));
    return ktensor_plain(c, k_op2(c, "Div", k_op2(c, "Sub", x, mean), deviation));
}

const struct layer_row keras_layers_norm[] = {
    { "BatchNormalization SyncBatchNormalization BatchNormalizationV1 BatchNormalizationV2", lower_batch_norm,
        "gamma?scale beta?center moving_mean! moving_variance!", LAYER_KEEPS_MASK },
    { "LayerNormalization", lower_layer_norm, "gamma?scale beta?center&~rms_scaling", LAYER_KEEPS_MASK },
    { "RMSNormalization", lower_layer_norm, "gamma", LAYER_KEEPS_MASK },
    { "GroupNormalization", lower_group_norm, "gamma?scale beta?center", LAYER_KEEPS_MASK },
    { "UnitNormalization", lower_unit_norm, .flags = LAYER_KEEPS_MASK },
    { "Normalization", lower_normalization, "mean?~mean! variance?~mean! -count?~mean!" },
    { NULL },
};
