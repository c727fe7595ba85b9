/* op_image.c - operations of Keras 3 and of tf.keras on images: poolings, sizes, colours, borders. Each is what a layer
 * does too, with the numbers among its arguments. */
#include <string.h>

#include "base/err.h"
#include "enc/json.h"
#include "format/keras/ops.h"

/* The layer of that name with `config` in place of its own. */
static struct ktensor *as_layer(struct call *c, const char *class_name, json_t *config)
{
    struct layer layer = *c->layer;
    struct call inner = *c;
    struct ktensor *t = first_tensor(c);
    if (!config) return fail_nomem(c->b->err), NULL;
    if (json_own(&c->k->scratch, config, c->b->err) || !t) return NULL;
    layer.row = layer_row_find(class_name);
    layer.config = inner.config = config;
    inner.layer = &layer;
    inner.in[0] = t;
    inner.n_in = 1;
    inner.args = inner.kwargs = NULL;
    return layer.row->lower(&inner);
}

/* Arguments by the names that the layer's config has them under. */
static json_t *config_from(struct call *c, const char *const (*names)[2], size_t n)
{
    json_t *config = json_object();
    for (size_t i = 0; config && i < n; i++) {
        const json_t *v = op_argument(c, i + 1, names[i][0]);
        if (v && json_object_set_nocheck(config, names[i][1], (json_t *)(uintptr_t)v)) return json_decref(config), NULL;
    }
    return config;
}

static struct ktensor *lower_pool(struct call *c)
{
    static const char *const names[][2] = { { "pool_size ksize", "pool_size" }, { "strides", "strides" },
        { "padding", "padding" }, { "data_format", "data_format" } };
    static const char *const layers[2][3] = { { "MaxPooling1D", "MaxPooling2D", "MaxPooling3D" },
        { "AveragePooling1D", "AveragePooling2D", "AveragePooling3D" } };
    struct ktensor *t = first_tensor(c);
    int axes = t ? ktensor_rank(t) - 2 : 0;
    if (axes < 1 || axes > 3) return t ? (call_fail(c, ERR_SHAPE, "its input is no image"), NULL) : NULL;
    return as_layer(c, layers[!strcmp(c->layer->row->onnx, "AveragePool")][axes - 1], config_from(c, names, 4));
}

static struct ktensor *lower_resize(struct call *c)
{
    static const char *const names[][2] = { { "size", "size" }, { "interpolation method", "interpolation" },
        { "antialias", "antialias" }, { "crop_to_aspect_ratio", "crop_to_aspect_ratio" },
        { "pad_to_aspect_ratio", "pad_to_aspect_ratio" }, { "fill_mode", "fill_mode" }, { "fill_value", "fill_value" },
        { "data_format", "data_format" } };
    if (op_bool(c, 99, "preserve_aspect_ratio", false))
        return call_fail(c, ERR_UNSUPPORTED, "preserve_aspect_ratio"), NULL;
    json_t *config = config_from(c, names, 8);
    int64_t size[2];
    if (op_ints(c, json_object_get(config, "size"), size, 2) != 2) {
        json_decref(config);
        return call_fail(c, ERR_UNSUPPORTED, "a size that is not two whole numbers"), NULL;
    }
    if (config && (json_object_set_new_nocheck(config, "height", json_integer(size[0])) ||
                      json_object_set_new_nocheck(config, "width", json_integer(size[1]))))
        json_decref(config), config = NULL;
    return as_layer(c, "Resizing", config);
}

/* 0.2989 red + 0.5870 green + 0.1140 blue, which keeps its axis */
static struct ktensor *lower_grey(struct call *c)
{
    static const double weights[] = { 0.2989, 0.587, 0.114 };
    const char *format = json_string_value(op_argument(c, 1, "data_format"));
    struct ktensor *t = first_tensor(c);
    struct value *x = t ? as_plain(c, t) : NULL, *sum = NULL;
    int64_t axis = format && !strcmp(format, "channels_first") ? -3 : -1;
    for (int i = 0; i < 3 && x; i++) {
        struct value *one = k_scaled(c, k_slice(c, x, axis, i, i + 1, 1), weights[i], 0);
        sum = sum ? k_op2(c, "Add", sum, one) : one;
    }
    return ktensor_plain(c, sum);
}

/* A border taken away, or added; the sizes that are wanted say what is not said of it. */
static struct ktensor *lower_border(struct call *c)
{
    bool pad = !strcmp(c->layer->row->onnx, "Pad");
    struct ktensor *t = first_tensor(c);
    const char *format = json_string_value(op_argument(c, 7, "data_format"));
    int64_t side[2][2];
    bool first = format && !strcmp(format, "channels_first");
    static const char *const sides[2][2][2] = { { { "top_cropping", "bottom_cropping" },
                                                    { "left_cropping", "right_cropping" } },
        { { "top_padding", "bottom_padding" }, { "left_padding", "right_padding" } } };
    static const char *const sizes[] = { "target_height", "target_width" };
    if (!t || ktensor_rank(t) != 4) return t ? (call_fail(c, ERR_UNSUPPORTED, "an input without batch"), NULL) : NULL;
    for (int d = 0; d < 2; d++) {
        int64_t target = op_int(c, 5 + (size_t)d, sizes[d], -1), have = ktensor_dim(t, 1 + first + d), known = 0;
        for (int k = 0; k < 2; k++) {
            side[d][k] = op_int(c, (size_t)(1 + d + 2 * k), sides[pad][d][k], -1);
            known += side[d][k] >= 0 ? side[d][k] : 0;
        }
        for (int k = 0; k < 2; k++)
            if (side[d][k] < 0)
                side[d][k] = target < 0 || have < 0 ? -1 : (pad ? target - have : have - target) - known;
        if (side[d][0] < 0 || side[d][1] < 0)
            return call_fail(c, ERR_UNSUPPORTED, "a border that does not follow from its arguments"), NULL;
    }
    return as_layer(c, pad ? "ZeroPadding2D" : "Cropping2D",
        json_pack("{s:[[I,I],[I,I]], s:s}", pad ? "padding" : "cropping", (json_int_t)side[0][0],
            (json_int_t)side[0][1], (json_int_t)side[1][0], (json_int_t)side[1][1], "data_format",
            first ? "channels_first" : "channels_last"));
}

const struct layer_row keras_ops_image[] = {
    { "MaxPool max_pool", lower_pool, .onnx = "MaxPool" },
    { "AveragePool average_pool", lower_pool, .onnx = "AveragePool" },
    { "Resize resize", lower_resize },
    { "RGBToGrayscale rgb_to_grayscale", lower_grey },
    { "CropImages crop_images", lower_border, .onnx = "Slice" },
    { "PadImages pad_images", lower_border, .onnx = "Pad" },
    { NULL },
};
