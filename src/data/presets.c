/* presets.c - preprocessing as the users of a framework usually mean it. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "data/preprocess.h"
#include "enc/json.h"

static const double imagenet_mean[] = { 0.485, 0.456, 0.406 }, imagenet_std[] = { 0.229, 0.224, 0.225 };
static const double half[] = { 0.5, 0.5, 0.5 }, one[] = { 1, 1, 1 };
static const double caffe_mean[] = { 103.939, 116.779, 123.68 }; /* BGR, of ImageNet, in 0..255 */

/* How each framework's reference pipeline prepares an image for its image classifiers. */
static const struct preset {
    const char *like, *mode, *interpolation, *color;
    double crop_pct; /* the image is resized to size / crop_pct, then cropped; 1: no crop */
    double rescale;
    const double *mean, *std;
} presets[] = {
    { "torchvision", "shortest_edge", "bilinear", "RGB", 0.875, 255, imagenet_mean, imagenet_std },
    { "torchvision-detection", "exact", "bilinear", "RGB", 1, 255, NULL, NULL }, /* the model normalizes by itself */
    { "timm", "shortest_edge", "bicubic", "RGB", 0.875, 255, imagenet_mean, imagenet_std },
    { "keras", "exact", "nearest", "RGB", 1, 127.5, one, NULL },  /* load_img, then x / 127.5 - 1: mode "tf" */
    { "keras-unit", "exact", "nearest", "RGB", 1, 255, NULL, NULL }, /* ImageDataGenerator(rescale=1/255) */
    { "keras-raw", "exact", "nearest", "RGB", 1, 0, NULL, NULL },    /* the model rescales by itself */
    { "keras-torch", "exact", "nearest", "RGB", 1, 255, imagenet_mean, imagenet_std },
    { "keras-caffe", "exact", "nearest", "BGR", 1, 0, caffe_mean, NULL },
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

enum { ANY_CLASSIFIER = 224 }; /* where the model takes any size */

static json_t *resize_step(const struct preset *p, const char *mode, json_t *size)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:o}", "op", "resize", "mode", mode, "interpolation", p->interpolation,
        "reference", "pillow-9.4", "size", size);
}

/* A map of labels needs all of the image, so nothing is cropped for it; where the model takes any size, nothing is
 * resized either. */
static void add_sizes(json_t *list, const struct preset *p, const struct preset_for *to)
{
    json_int_t height = to->height > 0 ? to->height : ANY_CLASSIFIER, width = to->width > 0 ? to->width : height;
    if (to->whole && (to->height < 1 || to->width < 1)) return;
    if (p->crop_pct == 1 || to->whole || height != width) {
        add(list, resize_step(p, "exact", json_pack("[I,I]", height, width)));
        return;
    }
    add(list, resize_step(p, p->mode, json_integer((json_int_t)floor((double)height / p->crop_pct))));
    add(list, json_pack("{s:s,s:[I,I]}", "op", "center_crop", "size", height, width));
}

static json_t *build(const struct preset *p, const struct preset_for *to)
{
    bool gray = to->channels == 1;
    json_t *list = json_array();
    add(list,
        json_pack("{s:s,s:s,s:s}", "op", "decode", "color_space", gray ? "GRAY" : p->color, "exif_orientation",
            "ignore"));
    add_sizes(list, p, to);
    const double *mean = gray && p->mean && p->mean != one ? half : p->mean, *std = gray && p->std ? half : p->std;
    add_tail(list, p->rescale, "divide", mean, std, gray ? 1 : 3, to->nhwc);
    return list;
}

static int check_channels(int64_t channels, struct err *e)
{
    if (channels == 1 || channels == 3) return 0;
    return fail(e, ERR_USAGE, "the input has %lld channels, an image has 1 or 3", (long long)channels);
}

json_t *preprocess_preset(const char *like, const struct preset_for *to, struct err *e)
{
    if (check_channels(to->channels, e)) return NULL;
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (!strcmp(presets[i].like, like)) return build(&presets[i], to);
    return fail(e, ERR_USAGE,
               "--like: \"%s\" is not one of torchvision, timm, keras, keras-unit, keras-raw, keras-torch, "
               "keras-caffe, caffe",
               like),
           NULL;
}

/* "[640, 480]" or "640" */
static bool parse_imgsz(const char *text, json_int_t size[2])
{
    json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
    for (size_t i = 0; i < 2; i++)
        size[i] = json_integer_value(json_is_array(v) ? json_array_get(v, json_array_size(v) > 1 ? i : 0) : v);
    json_decref(v);
    return size[0] > 0 && size[1] > 0 && size[0] <= 65536 && size[1] <= 65536;
}

/* Their classifiers crop as torchvision's do; all others see the whole image in a letterbox of gray 114. */
json_t *preprocess_from_ultralytics(const char *imgsz, const char *task, const struct preset_for *to, struct err *e)
{
    json_int_t size[2];
    if (check_channels(to->channels, e)) return NULL;
    if (!parse_imgsz(imgsz, size)) return fail(e, ERR_DATA, "metadata imgsz \"%.40s\" is no size", imgsz), NULL;
    bool crop = task && !strcmp(task, "classify");
    json_t *list = json_array();
    add(list, json_pack("{s:s,s:s}", "op", "decode", "color_space", to->channels == 1 ? "GRAY" : "RGB"));
    json_t *resize = json_pack("{s:s,s:s,s:s,s:s}", "op", "resize", "mode", crop ? "shortest_edge" : "letterbox",
        "interpolation", "bilinear", "reference", "pillow-9.4");
    json_object_set_new(resize, "size", crop ? json_integer(size[0]) : json_pack("[I,I]", size[0], size[1]));
    add(list, resize);
    if (crop) add(list, json_pack("{s:s,s:[I,I]}", "op", "center_crop", "size", size[0], size[1]));
    add_tail(list, 255, "divide", NULL, NULL, 3, to->nhwc);
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
