/* transform.c - what Caffe did to images before the net saw them, as steps of preprocessing.
 *
 * A layer of data says it (transform_param: (x - mean) * scale, channels in OpenCV's order, 0 to 255); a deploy net
 * does not, and is guessed to be one of ImageNet's classifiers. A mean image counts as its mean colour, as Caffe's own
 * classifying programs have it.
 */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "enc/json.h"
#include "format/caffe/caffe.h"

enum { CHANNELS = 3 };

struct look {
    double scale, mean[CHANNELS];
    int n_mean;
    int64_t height, width; /* of the whole image */
    int64_t crop;          /* of what the net sees; 0: all */
};

static const char *const data_params[] = { "transform_param", "data_param", "image_data_param", "window_data_param" };

/* A parameter that stood in the layer's own message before transform_param was made. */
static const struct tree *param_with(const struct caffe_layer *l, const char *name)
{
    static const struct tree none;
    for (size_t i = 0; l && i < sizeof data_params / sizeof *data_params; i++) {
        const struct tree *t = caffe_layer_param(l, data_params[i]);
        if (t->schema && tree_row(t->schema, name) && tree_has(t, name)) return t;
    }
    return &none;
}

/* The mean colour of a mean image, and its size. */
static int read_mean(struct caffe *n, const char *path, struct look *k)
{
    struct bytes file;
    TRY(file_map(n->arena, path, &file, n->err));
    const struct tree *blob = proto_tree_read(n->arena, path, file, &caffe_blob_schema, n->err);
    const struct tensor *t = blob ? caffe_blob_tensor(n->arena, blob, NULL, n->err) : NULL;
    if (!t) return err_prefix(n->err, "the mean image %s", path);
    int rank = t->shape.rank;
    int64_t channels = rank >= 3 ? t->shape.dim[rank - 3] : 0,
            pixels = rank >= 3 ? shape_span(&t->shape, rank - 2, rank) : 0;
    if (channels != n->first.dim[1] || channels > CHANNELS || pixels < 1 || tensor_count(t) != channels * pixels)
        return fail(n->err, ERR_MODEL, "%s: a mean of %lld channels for a net that sees %lld", path,
            (long long)channels, (long long)n->first.dim[1]);
    for (k->n_mean = 0; k->n_mean < channels; k->n_mean++) {
        double sum = 0;
        for (int64_t i = 0; i < pixels; i++) sum += (double)((const float *)t->data)[k->n_mean * pixels + i];
        k->mean[k->n_mean] = sum / (double)pixels;
    }
    k->height = t->shape.dim[rank - 2], k->width = t->shape.dim[rank - 1];
    report_add(n->report, REPORT_NOTE, "", "the mean image %s counts as its mean colour", path);
    return 0;
}

static int find_mean(struct caffe *n, const char *name, struct look *k)
{
    char *dir = file_dir(n->arena, n->file->path), *path = dir ? file_join(n->arena, dir, file_base(name)) : NULL;
    TRY_MEM(path, n->err);
    if (!n->file->beside && file_exists(path)) return read_mean(n, path, k);
    report_add(n->report, REPORT_WARNING, "",
        "the mean image %s does not lie beside the net: nothing is subtracted (--set normalize.mean=[B,G,R])", name);
    return 0;
}

static int read_look(struct caffe *n, struct look *k)
{
    const struct caffe_layer *l = n->source;
    const struct tree *means = param_with(l, "mean_value"), *file = param_with(l, "mean_file");
    k->scale = tree_float(param_with(l, "scale"), "scale", 1);
    k->crop = tree_int(param_with(l, "crop_size"), "crop_size", 0);
    size_t given = tree_count(means, "mean_value");
    if (given > CHANNELS || (given > 1 && (int64_t)given != n->first.dim[1]))
        return fail(
            n->err, ERR_MODEL, "%s: %zu mean_value for %lld channels", l->where, given, (long long)n->first.dim[1]);
    for (size_t i = 0; i < given; i++) k->mean[k->n_mean++] = tree_float_at(means, "mean_value", i);
    return tree_has(file, "mean_file") ? find_mean(n, tree_text(file, "mean_file", ""), k) : 0;
}

static json_t *normalize_step(const struct look *k)
{
    json_t *step = json_pack("{s:s}", "op", "normalize"), *mean = json_array();
    for (int i = 0; i < k->n_mean; i++) json_array_append_new(mean, json_real(k->mean[i]));
    if (k->n_mean) json_object_set_new(step, "mean", mean);
    else json_decref(mean);
    if (k->scale != 1) json_object_set_new(step, "scale", json_real(k->scale));
    return step;
}

static json_t *make_steps(const struct caffe *n, const struct look *k)
{
    json_t *list = json_array();
    bool larger = k->crop && (k->height > k->crop || k->width > k->crop);
    json_int_t height = larger ? k->height : n->first.dim[2], width = larger ? k->width : n->first.dim[3];
    json_array_append_new(list,
        json_pack("{s:s,s:s,s:s}", "op", "decode", "color_space", n->first.dim[1] == 1 ? "GRAY" : "BGR",
            "exif_orientation", "ignore"));
    json_array_append_new(list,
        json_pack("{s:s,s:s,s:s,s:s,s:[I,I]}", "op", "resize", "mode", "exact", "interpolation", "bilinear",
            "reference", "pillow-9.4", "size", height, width));
    if (larger)
        json_array_append_new(list,
            json_pack("{s:s,s:[I,I],s:s}", "op", "center_crop", "size", (json_int_t)k->crop, (json_int_t)k->crop,
                "rounding", "floor"));
    if (k->n_mean || k->scale != 1) json_array_append_new(list, normalize_step(k));
    return list;
}

int caffe_transform(struct caffe *n)
{
    struct look k = { .scale = 1, .mean = { 103.939, 116.779, 123.68 } };
    bool image = n->first.rank == 4 && (n->first.dim[1] == 1 || n->first.dim[1] == 3) && n->first.dim[2] <= 65536 &&
        n->first.dim[3] <= 65536;
    struct bytes text;
    if (!image) return 0;
    if (n->source) TRY(read_look(n, &k));
    else {
        k.n_mean = n->first.dim[1] == 3 ? 3 : 0;
        report_add(n->report, REPORT_GUESS, "", "preprocess: %s (--preprocess, --like or --set say better)",
            k.n_mean ? "BGR, 0 to 255, less ImageNet's mean, as Caffe's classifiers have it" : "gray, 0 to 255");
    }
    json_t *list = make_steps(n, &k);
    TRY(json_own(n->arena, list, n->err));
    TRY(json_print(list, JSON_ONE_LINE, n->keep, &text, n->err));
    void *value = (void *)(uintptr_t)text.data;
    return map_set(&n->graph->metadata, "tenrec.preprocess", value) ? 0 : fail_nomem(n->err);
}
