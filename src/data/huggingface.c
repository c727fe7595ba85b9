/* huggingface.c - preprocessing from a Hugging Face preprocessor_config.json, as its image processors do it with numpy
 * and Pillow. */
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "data/preprocess.h"
#include "enc/json.h"

/* Processors that read a plain number in `size` as the shorter edge; the others make a square of it. */
static const struct family {
    const char *name;
    double grow; /* the edge becomes int(grow * size) */
} edge_families[] = {
    { "CLIP", 1 }, { "ChineseCLIP", 1 }, { "ConvNext", 1 }, { "ConvNeXT", 1 }, { "Levit", 256.0 / 224 },
    { "MobileNetV1", 1 }, { "MobileNetV2", 1 }, { "MobileViT", 1 }, { "PoolFormer", 1 }, { "Bit", 1 },
};

struct reading {
    const json_t *config;
    json_t *list;
    const struct family *family; /* NULL: makes squares, or is not named */
    struct err *e;
};

static int bad(struct reading *r, const char *key)
{
    return fail(r->e, ERR_USAGE, "preprocessor_config.json: \"%s\" is not understood", key);
}

/* NULL for null, too */
static const json_t *get(const struct reading *r, const char *key)
{
    const json_t *v = json_object_get(r->config, key);
    return json_is_null(v) ? NULL : v;
}

static bool is_on(const struct reading *r, const char *key, bool fallback)
{
    const json_t *v = get(r, key);
    return v ? json_is_true(v) : fallback;
}

static const struct family *family_of(const struct reading *r)
{
    const json_t *type = get(r, "image_processor_type");
    const char *name = json_string_value(type ? type : get(r, "feature_extractor_type"));
    for (size_t i = 0; name && i < sizeof edge_families / sizeof *edge_families; i++) {
        size_t len = strlen(edge_families[i].name);
        if (strncmp(name, edge_families[i].name, len)) continue;
        if (str_starts(name + len, "ImageProcessor") || str_starts(name + len, "FeatureExtractor"))
            return &edge_families[i];
    }
    return NULL;
}

/* What is switched on must be known; what only concerns training labels is not. */
static int check_switches(struct reading *r)
{
    static const char *const known[] = { "do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb",
        "do_flip_channel_order", "do_reduce_labels" };
    const char *key;
    json_t *v;
    if (!json_is_object(r->config)) return bad(r, "");
    json_object_foreach((json_t *)(uintptr_t)r->config, key, v)
    {
        bool ok = !json_is_true(v) || strncmp(key, "do_", 3);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) ok = ok || !strcmp(key, known[i]);
        if (!ok) return bad(r, key);
    }
    return is_on(r, "rescale_offset", false) ? bad(r, "rescale_offset") : 0;
}

static void put(struct reading *r, json_t *step)
{
    json_array_append_new(r->list, step);
}

static void put_crop(struct reading *r, json_int_t height, json_int_t width)
{
    put(r, json_pack("{s:s,s:[I,I],s:s}", "op", "center_crop", "size", height, width, "rounding", "floor"));
}

static int put_resize_to(struct reading *r, const char *mode, json_t *size)
{
    static const char *const filters[] = { "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming" };
    const json_t *resample = get(r, "resample");
    json_int_t filter = resample ? json_integer_value(resample) : 2;
    json_t *step = json_pack(
        "{s:s,s:s,s:s,s:o}", "op", "resize", "mode", mode, "reference", "pillow-9.4", "size", size);
    put(r, step);
    if (filter < 0 || filter > 5 || (resample && !json_is_integer(resample))) return bad(r, "resample");
    json_object_set_new(step, "interpolation", json_string(filters[filter]));
    return 0;
}

/* {"height": h, "width": w}, a number, or {"shortest_edge": n}: *edge is 0 for the first, else the number. */
static int read_size(struct reading *r, const char *key, json_int_t *edge, json_int_t size[2])
{
    const json_t *v = get(r, key), *shortest = json_object_get(v, "shortest_edge");
    json_int_t number = json_integer_value(shortest ? shortest : v);
    *edge = number;
    size[0] = size[1] = number;
    if (json_is_object(v) && !shortest) {
        size[0] = json_integer_value(json_object_get(v, "height"));
        size[1] = json_integer_value(json_object_get(v, "width"));
    } else if (!shortest && !r->family) {
        *edge = 0;
    }
    bool fits = size[0] > 0 && size[1] > 0 && size[0] <= 65536 && size[1] <= 65536;
    return fits && !json_object_get(v, "longest_edge") ? 0 : bad(r, key);
}

/* ConvNeXT's rule (ResNet has it too): small sizes are resized larger by 1 / crop_pct and cropped, large ones are made
 * square at once. */
static int put_convnext(struct reading *r, json_int_t edge, double crop_pct)
{
    if (edge >= 384) return put_resize_to(r, "exact", json_pack("[I,I]", edge, edge));
    TRY(put_resize_to(r, "shortest_edge", json_integer((json_int_t)((double)edge / crop_pct))));
    put_crop(r, edge, edge);
    return 0;
}

static int put_resize(struct reading *r, bool *cropped)
{
    json_int_t edge, size[2];
    double crop_pct = 1;
    const json_t *pct = get(r, "crop_pct");
    bool convnext = r->family && !strncmp(r->family->name, "ConvNe", 6);
    if (!is_on(r, "do_resize", get(r, "size") != NULL)) return 0;
    TRY(read_size(r, "size", &edge, size));
    if (pct && (!json_get_number(pct, &crop_pct) || !(crop_pct > 0.01 && crop_pct <= 1))) return bad(r, "crop_pct");
    *cropped = convnext || (pct && !get(r, "crop_size"));
    if (*cropped) return put_convnext(r, size[0], pct ? crop_pct : 224.0 / 256);
    if (pct && size[0] == size[1]) edge = (json_int_t)((double)size[0] / crop_pct);
    else if (edge && r->family) edge = (json_int_t)(r->family->grow * (double)edge);
    return edge ? put_resize_to(r, "shortest_edge", json_integer(edge))
                : put_resize_to(r, "exact", json_pack("[I,I]", size[0], size[1]));
}

static int put_numbers(struct reading *r)
{
    if (is_on(r, "do_rescale", true)) {
        double factor = 1.0 / 255;
        const json_t *v = get(r, "rescale_factor");
        if (v && (!json_get_number(v, &factor) || factor <= 0)) return bad(r, "rescale_factor");
        put(r, json_pack("{s:s,s:f,s:s}", "op", "rescale", "factor", factor, "arithmetic", "multiply"));
    }
    const json_t *mean = get(r, "image_mean"), *std = get(r, "image_std");
    if (!is_on(r, "do_normalize", mean != NULL)) return 0;
    if (!mean || !std) return bad(r, mean ? "image_std" : "image_mean");
    put(r, json_pack("{s:s,s:O,s:O}", "op", "normalize", "mean", mean, "std", std));
    return 0;
}

static int put_all(struct reading *r)
{
    bool cropped = false;
    json_int_t edge, size[2];
    TRY(check_switches(r));
    r->family = family_of(r);
    const char *color = is_on(r, "do_flip_channel_order", false) ? "BGR" : "RGB";
    put(r, json_pack("{s:s,s:s}", "op", "decode", "color_space", color));
    TRY(put_resize(r, &cropped));
    if (!cropped && is_on(r, "do_center_crop", get(r, "crop_size") != NULL)) {
        TRY(read_size(r, "crop_size", &edge, size));
        put_crop(r, size[0], size[1]);
    }
    return put_numbers(r);
}

json_t *preprocess_from_huggingface(const json_t *config, struct err *e)
{
    struct reading r = { .config = config, .list = json_array(), .e = e };
    if (!put_all(&r)) return r.list;
    json_decref(r.list);
    return NULL;
}
