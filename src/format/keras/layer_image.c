/* layer_image.c - layers that prepare images; those that augment do nothing when scoring. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "format/keras/keras.h"

/* A number, or one for each channel, which are last in a config. */
static struct value *scalar_or_channels(struct call *c, const char *key, double otherwise, int rank, bool first)
{
    const json_t *v = cfg(c, key);
    if (!json_is_array(v)) return emit_scalar(c->b, c->k->compute, cfg_float(c, key, otherwise));
    struct shape s = { .rank = rank };
    for (int d = 0; d < rank; d++) s.dim[d] = 1;
    s.dim[first ? 1 : rank - 1] = (int64_t)json_array_size(v);
    struct tensor *t = tensor_new(c->k->keep, c->k->compute, &s, c->b->err);
    for (int64_t i = 0; t && i < tensor_count(t); i++)
        tensor_set_f64(t, i, json_number_value(json_array_get(v, (size_t)i)));
    return emit_const(c->b, t);
}

static struct ktensor *lower_rescaling(struct call *c)
{
    bool first;
    int rank = ktensor_rank(c->in[0]);
    struct value *x = ktensor_form(c->in[0], &first);
    x = k_op2(c, "Mul", x, scalar_or_channels(c, "scale", 1, rank, first));
    if (cfg(c, "offset") && !(json_is_number(cfg(c, "offset")) && cfg_float(c, "offset", 0) == 0))
        x = k_op2(c, "Add", x, scalar_or_channels(c, "offset", 0, rank, first));
    return in_form(c, x, first);
}

/* (N, C, H, W) to another size, as tf.image.resize has it: between centres of pixels, without antialiasing. */
static struct value *resized(struct call *c, struct value *x, int64_t height, int64_t width, const char *mode)
{
    static const struct {
        const char *keras, *onnx;
    } modes[] = { { "bilinear", "linear" }, { "nearest", "nearest" }, { "bicubic", "cubic" } };
    const char *how = NULL;
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(modes[i].keras, mode)) how = modes[i].onnx;
    if (!how) return call_fail(c, ERR_UNSUPPORTED, "interpolation \"%.50s\"", mode), NULL;
    if (!x || height < 1 || width < 1) return x ? (call_fail(c, ERR_MODEL, "its height and width"), NULL) : NULL;
    if (x->shape.rank != 4) return call_fail(c, ERR_UNSUPPORTED, "an input of rank %d", x->shape.rank), NULL;
    if (x->shape.dim[2] == height && x->shape.dim[3] == width) return x;
    int64_t axes[] = { 2, 3 }, sizes[] = { height, width };
    bool smooth = cfg_bool(c, "antialias", false) && strcmp(how, "nearest") != 0;
    struct attr attrs[] = { attr_string("mode", how), attr_string("coordinate_transformation_mode", "half_pixel"),
        attr_string("nearest_mode", "round_prefer_ceil"), attr_float("cubic_coeff_a", -0.5),
        attr_int("exclude_outside", !strcmp(how, "cubic") || smooth), attr_ints("axes", axes, 2), { 0 }, { 0 } };
    if (smooth) attrs[6] = attr_int("antialias", 1);
    return emit(c->b, "Resize", attrs, x, NULL, NULL, emit_i64s(c->b, sizes, 2));
}

static struct value *centre(struct call *c, struct value *x, int64_t height, int64_t width)
{
    int64_t h = x->shape.dim[2], w = x->shape.dim[3], top = (h - height) / 2, left = (w - width) / 2;
    if (h != height) x = k_slice(c, x, 2, top, top + height, 1);
    return w != width ? k_slice(c, x, 3, left, left + width, 1) : x;
}

static bool sizes_known(struct call *c, const struct value *x)
{
    if (x && x->shape.rank == 4 && x->shape.dim[2] > 0 && x->shape.dim[3] > 0) return true;
    if (x) call_fail(c, ERR_UNSUPPORTED, "the size of its input is not known; say --input NAME=NxHxWxC");
    return false;
}

/* The largest part of the target's aspect ratio, from the middle, then resized. */
static struct value *smart_resized(struct call *c, struct value *x, int64_t height, int64_t width, const char *mode)
{
    if (!sizes_known(c, x) || height < 1 || width < 1) return NULL;
    int64_t h = x->shape.dim[2], w = x->shape.dim[3];
    int64_t crop_h = (int64_t)((double)(w * height) / (double)width),
            crop_w = (int64_t)((double)(h * width) / (double)height);
    x = centre(c, x, crop_h < h ? crop_h : h, crop_w < w ? crop_w : w);
    return resized(c, x, height, width, mode);
}

/* The smallest frame of the target's aspect ratio, with the image in its middle, then resized. */
static struct value *framed(struct call *c, struct value *x, int64_t height, int64_t width, const char *mode)
{
    if (!sizes_known(c, x) || height < 1 || width < 1) return NULL;
    int64_t h = x->shape.dim[2], w = x->shape.dim[3];
    int64_t frame_h = (int64_t)((double)(w * height) / (double)width),
            frame_w = (int64_t)((double)(h * width) / (double)height);
    int64_t high = frame_h > h ? (frame_h - h) / 2 : 0, wide = frame_w > w && !high ? (frame_w - w) / 2 : 0;
    int64_t pads[] = { 0, 0, high, wide, 0, 0, high, wide }; /* of an odd rest one is dropped, as Keras does */
    if (strcmp(cfg_string(c, "fill_mode", "constant"), "constant"))
        return call_fail(c, ERR_UNSUPPORTED, "fill_mode \"%.50s\"", cfg_string(c, "fill_mode", "")), NULL;
    struct value *fill = k_like(c, x, cfg_float(c, "fill_value", 0));
    if (high || wide) x = emit(c->b, "Pad", NO_ATTRS, x, emit_i64s(c->b, pads, 8), fill);
    return resized(c, x, height, width, mode);
}

static struct ktensor *lower_resizing(struct call *c)
{
    int64_t h = cfg_int(c, "height", -1), w = cfg_int(c, "width", -1);
    const char *mode = cfg_string(c, "interpolation", "bilinear");
    struct value *x = spatial_in(c, c->in[0]);
    if (cfg_bool(c, "pad_to_aspect_ratio", false)) return spatial_out(c, framed(c, x, h, w, mode));
    bool crop = cfg_bool(c, "crop_to_aspect_ratio", false);
    return spatial_out(c, crop ? smart_resized(c, x, h, w, mode) : resized(c, x, h, w, mode));
}

/* The middle; images that are too small are enlarged first. */
static struct ktensor *lower_center_crop(struct call *c)
{
    int64_t h = cfg_int(c, "height", -1), w = cfg_int(c, "width", -1);
    struct value *x = spatial_in(c, c->in[0]);
    if (!sizes_known(c, x) || h < 1 || w < 1) return NULL;
    bool enough = x->shape.dim[2] >= h && x->shape.dim[3] >= w;
    return spatial_out(c, enough ? centre(c, x, h, w) : smart_resized(c, x, h, w, "bilinear"));
}

/* The middle until Keras 3.5, the whole image since. */
static struct ktensor *lower_random_crop(struct call *c)
{
    const int *v = c->k->version;
    if (v[0] > 3 || (v[0] == 3 && v[1] >= 6)) return c->in[0];
    int64_t h = cfg_int(c, "height", -1), w = cfg_int(c, "width", -1);
    return spatial_out(c, smart_resized(c, spatial_in(c, c->in[0]), h, w, "bilinear"));
}

/* Each channel of each image stretched over the whole range, in scoring too; what is flat stays. */
static struct ktensor *lower_auto_contrast(struct call *c)
{
    const json_t *range = cfg(c, "value_range");
    double low = 0, high = 255;
    struct value *x = spatial_in(c, c->in[0]);
    int64_t axes[] = { 2, 3 };
    if (json_array_size(range) == 2) {
        low = json_number_value(json_array_get(range, 0));
        high = json_number_value(json_array_get(range, 1));
    }
    if (!x || x->shape.rank != 4) return x ? (call_fail(c, ERR_UNSUPPORTED, "an input without batch"), NULL) : NULL;
    struct value *least = k_reduce(c, "ReduceMin", x, axes, 2, true);
    struct value *width = k_op2(c, "Sub", k_reduce(c, "ReduceMax", x, axes, 2, true), least);
    struct value *flat = k_op2(c, "Equal", width, k_like(c, width, 0));
    struct value *y = k_op2(c, "Div", k_scaled(c, k_op2(c, "Sub", x, least), high - low, 0), width);
    y = emit(c->b, "Clip", NO_ATTRS, k_scaled(c, y, 1, low), k_like(c, y, low), k_like(c, y, high));
    return spatial_out(c, emit(c->b, "Where", NO_ATTRS, flat, x, y));
}

static struct ktensor *lower_identity(struct call *c)
{
    return c->in[0];
}

const struct layer_row keras_layers_image[] = {
    { "Rescaling", lower_rescaling },
    { "Resizing", lower_resizing },
    { "CenterCrop", lower_center_crop },
    { "RandomCrop", lower_random_crop },
    { "AutoContrast", lower_auto_contrast },
    { "RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast RandomBrightness RandomHeight RandomWidth "
      "RandomSaturation RandomHue RandomGrayscale RandomColorJitter RandomColorDegeneration RandomPosterization "
      "RandomSharpness RandomShear RandomGaussianBlur RandomPerspective RandomElasticTransform RandomErasing "
      "RandomInvert RandomApply RandomChoice RandAugment AugMix Solarization MixUp CutMix",
        lower_identity, .flags = LAYER_KEEPS_MASK },
    { NULL },
};
