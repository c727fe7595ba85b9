/* layer_shape.c - layers that move, cut, pad and repeat. */
#include <string.h>

#include "base/err.h"
#include "format/keras/keras.h"

/* Are all spatial sizes 1, so that the order of dimensions does not matter? */
static bool is_pixel(const struct ktensor *t)
{
    for (int d = 1; d < ktensor_rank(t) - 1; d++)
        if (ktensor_dim(t, d) != 1) return false;
    return true;
}

static struct ktensor *lower_flatten(struct call *c)
{
    struct ktensor *t = c->in[0];
    int64_t perm[SHAPE_MAX];
    int rank = ktensor_rank(t);
    if (rank == 1) return ktensor_plain(c, k_unsqueeze(c, as_plain(c, t), 1));
    struct value *x = !t->plain && is_pixel(t) ? t->first : as_plain(c, t);
    if (cfg(c, "data_format") && !channels_last(c) && rank > 2) { /* what comes out is as if channels were last */
        for (int d = 0; d < rank; d++) perm[d] = d == 0 ? 0 : d == rank - 1 ? 1 : d + 1;
        x = k_transpose(c, x, perm, rank);
    }
    return ktensor_plain(c, rank == 2 ? x : emit(c->b, "Flatten", NO_ATTRS, x));
}

static struct ktensor *lower_reshape(struct call *c)
{
    int64_t dims[SHAPE_MAX] = { 0 }; /* 0: the batch as it is */
    const json_t *target = cfg(c, "target_shape");
    int n = json_is_array(target) ? (int)json_array_size(target) : 1;
    if (!target || n > SHAPE_MAX - 1) return call_fail(c, ERR_MODEL, "its target_shape"), NULL;
    if (n && cfg_ints(c, "target_shape", n, -1, dims + 1)) return NULL;
    for (int i = 1; i <= n; i++)
        if (dims[i] == 0) return call_fail(c, ERR_UNSUPPORTED, "a target_shape with an empty dimension"), NULL;
    return ktensor_plain(c, k_reshape(c, as_plain(c, c->in[0]), dims, n + 1));
}

/* dims count from 1, without the batch */
static struct ktensor *lower_permute(struct call *c)
{
    int rank = ktensor_rank(c->in[0]);
    int64_t perm[SHAPE_MAX] = { 0 };
    bool seen[SHAPE_MAX] = { true };
    if (rank < 2 || cfg_ints(c, "dims", rank - 1, 1, perm + 1)) return call_fail(c, ERR_MODEL, "its dims"), NULL;
    for (int d = 1; d < rank; d++) {
        if (perm[d] < 1 || perm[d] >= rank || seen[perm[d]])
            return call_fail(c, ERR_MODEL, "its dims are no permutation"), NULL;
        seen[perm[d]] = true;
    }
    return ktensor_plain(c, k_transpose(c, as_plain(c, c->in[0]), perm, rank));
}

/* The tensor in its form, and where its first spatial axis is in that. */
static struct value *spatial(struct call *c, int *at, bool *first)
{
    struct ktensor *t = c->in[0];
    int rank = ktensor_rank(t), n = c->layer->row->axes;
    if (rank != n + 2) return call_fail(c, ERR_SHAPE, "its input has rank %d, expected %d", rank, n + 2), NULL;
    struct value *x = ktensor_form(t, first);
    *at = *first || !channels_last(c) ? 2 : 1;
    if (*first && !channels_last(c)) x = as_plain(c, t), *first = false;
    return x;
}

static struct ktensor *lower_pad(struct call *c)
{
    int64_t by[3][2], pads[2 * SHAPE_MAX] = { 0 };
    int at, n = c->layer->row->axes, rank = n + 2;
    bool first;
    if (cfg_pairs(c, "padding", n, 1, by)) return NULL;
    struct value *x = spatial(c, &at, &first);
    for (int i = 0; i < n; i++) pads[at + i] = by[i][0], pads[rank + at + i] = by[i][1];
    return in_form(c, x ? emit(c->b, "Pad", NO_ATTRS, x, emit_i64s(c->b, pads, (size_t)(2 * rank))) : NULL, first);
}

static struct ktensor *lower_crop(struct call *c)
{
    int64_t by[3][2];
    int at, n = c->layer->row->axes;
    bool first;
    if (cfg_pairs(c, "cropping", n, 1, by)) return NULL;
    struct value *x = spatial(c, &at, &first);
    for (int i = 0; i < n && x; i++)
        if (by[i][0] || by[i][1]) x = k_slice(c, x, at + i, by[i][0], by[i][1] ? -by[i][1] : INT64_MAX, 1);
    return in_form(c, x, first);
}

/* Repeats pixels, or interpolates between their centres; Keras on TensorFlow 1 did so between their corners. */
static struct ktensor *lower_upsample(struct call *c)
{
    int64_t size[3];
    int n = c->layer->row->axes;
    const char *key = cfg(c, "length") ? "length" : "size", *mode = cfg_string(c, "interpolation", "nearest");
    if (cfg_ints(c, key, n, 2, size)) return NULL;
    struct shape s = shape_of(1, (int64_t[]){ n + 2 });
    struct tensor *scales = tensor_new(c->k->keep, DT_F32, &s, c->b->err);
    for (int i = 0; scales && i < n + 2; i++) tensor_set_f64(scales, i, i < 2 ? 1 : (double)size[i - 2]);
    bool linear = !strcmp(mode, "bilinear"), old = c->k->version[0] == 2 && c->k->version[1] < 3 && !c->k->tf;
    bool cubic = !strcmp(mode, "bicubic");
    if (!linear && !cubic && strcmp(mode, "nearest"))
        return call_fail(c, ERR_UNSUPPORTED, "interpolation \"%.50s\" (nearest, bilinear and bicubic are)", mode), NULL;
    const char *where = linear && old ? "asymmetric" : linear || cubic ? "half_pixel" : "asymmetric";
    struct attr attrs[] = { attr_string("mode",
                                linear      ? "linear"
                                    : cubic ? "cubic"
                                            : "nearest"),
        attr_string("coordinate_transformation_mode", where), attr_string("nearest_mode", "floor"),
        attr_float("cubic_coeff_a", -0.5), attr_int("exclude_outside", cubic), { 0 } };
    struct value *x = channels_last(c) || n == 1 ? as_first(c, c->in[0]) : as_plain(c, c->in[0]);
    struct value *y = emit(c->b, "Resize", attrs, x, NULL, emit_const(c->b, scales));
    return in_form(c, y, channels_last(c) || n == 1);
}

const struct layer_row keras_layers_shape[] = {
    { "Flatten", lower_flatten, .flags = LAYER_ANY_TYPE },
    { "Reshape", lower_reshape, .flags = LAYER_ANY_TYPE },
    { "Permute", lower_permute, .flags = LAYER_ANY_TYPE },
    { "ZeroPadding1D", lower_pad, .axes = 1 },
    { "ZeroPadding2D", lower_pad, .axes = 2 },
    { "ZeroPadding3D", lower_pad, .axes = 3 },
    { "Cropping1D", lower_crop, .axes = 1 },
    { "Cropping2D", lower_crop, .axes = 2 },
    { "Cropping3D", lower_crop, .axes = 3 },
    { "UpSampling1D", lower_upsample, .axes = 1 },
    { "UpSampling2D", lower_upsample, .axes = 2 },
    { "UpSampling3D", lower_upsample, .axes = 3 },
    { NULL },
};
