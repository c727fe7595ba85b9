/* presets.c - preprocessing as the users of a framework usually mean it, and from the files that describe
 * it. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "data/preprocess.h"
#include "enc/json.h"

static const double imagenet_mean[] = { 0.485, 0.456, 0.406 }, imagenet_std[] = { 0.229, 0.224, 0.225 };
static const double half[] = { 0.5, 0.5, 0.5 };
static const double caffe_mean[] = { 103.939, 116.779, 123.68 }; /* BGR, of ImageNet, in 0..255 */

/* How each framework's reference pipeline prepares an image for its image classifiers. */
static const struct preset {
    const char *like, *mode, *interpolation, *color;
    double crop_pct; /* the image is resized to size / crop_pct, then cropped; 1: no crop */
    double rescale;
    const double *mean, *std;
} presets[] = {
    { "torchvision", "shortest_edge", "bilinear", "RGB", 0.875, 255, imagenet_mean, imagenet_std },
    { "timm", "shortest_edge", "bicubic", "RGB", 0.875, 255, imagenet_mean, imagenet_std },
    { "keras", "exact", "nearest", "RGB", 1, 127.5, NULL, NULL }, /* load_img, then x / 127.5 - 1 */
    { "caffe", "exact", "bilinear", "BGR", 1, 0, caffe_mean, NULL },
};

static json_t *numbers(const double *v, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_real(v[i]));
    return list;
}

static void add(json_t *list, json_t *step)
{
    json_array_append_new(list, step);
}

static void add_tail(
    json_t *list, double rescale, const char *arithmetic, const double *mean, const double *std, int n, bool nhwc)
{
    if (rescale > 0)
        add(list, json_pack("{s:s,s:f,s:s}", "op", "rescale", "factor", rescale, "arithmetic", arithmetic));
    if (mean || std) {
        json_t *step = json_pack("{s:s}", "op", "normalize");
        if (mean) json_object_set_new(step, "mean", numbers(mean, n));
        if (std) json_object_set_new(step, "std", numbers(std, n));
        add(list, step);
    }
    add(list, json_pack("{s:s,s:s}", "op", "layout", "layout", nhwc ? "NHWC" : "NCHW"));
}

/* A map of labels needs all of the image, so nothing is cropped for it; where the model takes any size,
 * nothing is resized either. */
static json_t *build(const struct preset *p, int64_t channels, int64_t height, int64_t width, bool nhwc, bool whole)
{
    json_t *list = json_array();
    add(list,
        json_pack("{s:s,s:s,s:s}", "op", "decode", "color_space", channels == 1 ? "GRAY" : p->color, "exif_orientation",
            "ignore"));
    bool crop = p->crop_pct < 1 && height == width && !whole;
    if (height > 0 && width > 0) {
        json_t *resize = json_pack("{s:s,s:s,s:s,s:s}", "op", "resize", "mode", crop ? p->mode : "exact",
            "interpolation", p->interpolation, "reference", "pillow-9.4");
        json_t *size = crop ? json_integer((json_int_t)floor((double)height / p->crop_pct))
                            : json_pack("[I,I]", (json_int_t)height, (json_int_t)width);
        json_object_set_new(resize, "size", size);
        add(list, resize);
    }
    if (crop) add(list, json_pack("{s:s,s:[I,I]}", "op", "center_crop", "size", (json_int_t)height, (json_int_t)width));
    bool keras = !strcmp(p->like, "keras");
    const double one[] = { 1, 1, 1 };
    add_tail(list, p->rescale, "divide",
        keras                          ? one
            : channels == 1 && p->mean ? half
                                       : p->mean,
        channels == 1 && p->std ? half : p->std, channels == 1 ? 1 : 3, nhwc);
    return list;
}

json_t *preprocess_preset(
    const char *like, int64_t channels, int64_t height, int64_t width, bool nhwc, bool whole, struct err *e)
{
    if (channels != 1 && channels != 3)
        return fail(e, ERR_USAGE, "the input has %lld channels, an image has 1 or 3", (long long)channels), NULL;
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (!strcmp(presets[i].like, like)) return build(&presets[i], channels, height, width, nhwc, whole);
    return fail(e, ERR_USAGE, "--like: \"%s\" is not one of torchvision, timm, keras, caffe", like), NULL;
}

/* A size of Hugging Face: a number, {"shortest_edge": n} or {"height": h, "width": w}. */
static json_t *resize_step(const json_t *size, const char *interpolation)
{
    const json_t *edge = json_is_integer(size) ? size : json_object_get(size, "shortest_edge");
    json_t *step = json_pack(
        "{s:s,s:s,s:s}", "op", "resize", "interpolation", interpolation, "reference", "pillow-9.4");
    json_object_set_new(step, "mode", json_string(edge ? "shortest_edge" : "exact"));
    if (edge) json_object_set(step, "size", (json_t *)(uintptr_t)edge);
    else
        json_object_set_new(
            step, "size", json_pack("[O,O]", json_object_get(size, "height"), json_object_get(size, "width")));
    return step;
}

static bool is_on(const json_t *config, const char *key, bool fallback)
{
    const json_t *v = json_object_get(config, key);
    return v ? json_is_true(v) : fallback;
}

json_t *preprocess_from_huggingface(const json_t *config, bool nhwc, struct err *e)
{
    static const char *const resample[] = { "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming" };
    const json_t *size = json_object_get(config, "size"), *crop = json_object_get(config, "crop_size");
    json_int_t filter = json_object_get(config, "resample") ? json_integer_value(json_object_get(config, "resample"))
                                                            : 2;
    if (filter < 0 || filter > 5) return fail(e, ERR_USAGE, "preprocessor_config.json: resample is no filter"), NULL;
    bool square = json_is_object(size) && !json_object_get(size, "shortest_edge") &&
        !(json_is_integer(json_object_get(size, "height")) && json_is_integer(json_object_get(size, "width")));
    if (is_on(config, "do_resize", size != NULL) && (!size || square))
        return fail(e, ERR_USAGE, "preprocessor_config.json: size is not understood"), NULL;
    json_t *list = json_array();
    add(list, json_pack("{s:s,s:s}", "op", "decode", "color_space", "RGB"));
    if (is_on(config, "do_resize", size != NULL)) add(list, resize_step(size, resample[filter]));
    if (is_on(config, "do_center_crop", false) && crop) {
        const json_t *h = json_is_object(crop) ? json_object_get(crop, "height") : crop;
        const json_t *w = json_is_object(crop) ? json_object_get(crop, "width") : crop;
        add(list, json_pack("{s:s,s:[O,O]}", "op", "center_crop", "size", h, w));
    }
    if (is_on(config, "do_rescale", true)) {
        double f = json_number_value(json_object_get(config, "rescale_factor"));
        add(list,
            json_pack("{s:s,s:f,s:s}", "op", "rescale", "factor", f > 0 ? f : 1.0 / 255, "arithmetic", "multiply"));
    }
    if (is_on(config, "do_normalize", true) && json_object_get(config, "image_mean"))
        add(list,
            json_pack("{s:s,s:O,s:O}", "op", "normalize", "mean", json_object_get(config, "image_mean"), "std",
                json_object_get(config, "image_std")));
    add(list, json_pack("{s:s,s:s}", "op", "layout", "layout", nhwc ? "NHWC" : "NCHW"));
    return list;
}

static json_t *step_named(json_t *list, const char *op, size_t len)
{
    size_t i;
    json_t *step;
    json_array_foreach(list, i, step)
    {
        const char *name = json_string_value(json_object_get(step, "op"));
        if (name && strlen(name) == len && !strncmp(name, op, len)) return step;
    }
    return NULL;
}

/* The step that a list for images of any size may want: behind the decoder. */
static json_t *insert_resize(json_t *list)
{
    json_t *step = json_pack("{s:s,s:s,s:s,s:s}", "op", "resize", "mode", "shortest_edge", "interpolation", "bilinear",
        "reference", "pillow-9.4");
    if (!step_named(list, "decode", 6) || json_array_insert_new(list, 1, step)) return NULL;
    return step;
}

int preprocess_override(json_t *list, const char *key, const char *value, struct err *e)
{
    const char *dot = strchr(key, '.');
    json_t *step = dot ? step_named(list, key, (size_t)(dot - key)) : NULL;
    if (!step && !strcmp(key, "resize.size")) step = insert_resize(list);
    if (!step)
        return fail(e, ERR_USAGE, "\"%s\": there is no such step; say STEP.PARAMETER, as in resize.size=320", key);
    json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
    json_object_set_new(step, dot + 1, v ? v : json_string(value));
    return 0;
}
