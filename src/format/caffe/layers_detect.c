/* layers_detect.c - Caffe's layers of object detectors (SSD). */
#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/caffe/layers.h"

enum { RATIOS_MAX = 64 };

struct priors {
    float ratios[RATIOS_MAX];
    int n_ratios;
    size_t n_sizes, n_max;
    float *at;
    float cx, cy, width, height; /* the centre in hand, the image's size */
};

/* 1, then those given and, with `flip`, their inverses; none twice. */
static bool read_ratios(struct caffe_call *c, const struct tree *p, struct priors *r)
{
    size_t n = tree_count(p, "aspect_ratio");
    bool flip = tree_int(p, "flip", 1) != 0;
    r->ratios[r->n_ratios++] = 1;
    for (size_t i = 0; i < n; i++) {
        float ratio = (float)tree_float_at(p, "aspect_ratio", i);
        bool known = false;
        for (int k = 0; k < r->n_ratios; k++) known |= fabsf(ratio - r->ratios[k]) < 1e-6f;
        if (known) continue;
        if (!(ratio > 0) || r->n_ratios + 2 > RATIOS_MAX)
            return caffe_fail(c, ERR_MODEL, "aspect_ratio %g, or more than %d", (double)ratio, RATIOS_MAX), false;
        r->ratios[r->n_ratios++] = ratio;
        if (flip) r->ratios[r->n_ratios++] = 1 / ratio;
    }
    return true;
}

static void put_box(struct priors *r, float width, float height)
{
    *r->at++ = (r->cx - width / 2) / r->width;
    *r->at++ = (r->cy - height / 2) / r->height;
    *r->at++ = (r->cx + width / 2) / r->width;
    *r->at++ = (r->cy + height / 2) / r->height;
}

static void put_cell(struct priors *r, const struct tree *p)
{
    for (size_t s = 0; s < r->n_sizes; s++) {
        float size = (float)tree_float_at(p, "min_size", s);
        put_box(r, size, size);
        if (r->n_max) {
            float side = sqrtf(size * (float)tree_float_at(p, "max_size", s));
            put_box(r, side, side);
        }
        for (int k = 0; k < r->n_ratios; k++)
            if (fabsf(r->ratios[k] - 1) >= 1e-6f) put_box(r, size * sqrtf(r->ratios[k]), size / sqrtf(r->ratios[k]));
    }
}

/* Four numbers for each box, or one for all. */
static bool put_variances(struct caffe_call *c, const struct tree *p, float *out, int64_t n)
{
    size_t given = tree_count(p, "variance");
    if (given > 1 && given != 4) return caffe_fail(c, ERR_MODEL, "%zu variances, expected 1 or 4", given), false;
    for (int64_t i = 0; i < n; i++)
        out[i] = given ? (float)tree_float_at(p, "variance", given == 4 ? (size_t)i % 4 : 0) : 0.1F;
    return true;
}

/* A size of the image: given, or the second bottom's. */
static double image_size(struct caffe_call *c, const struct tree *p, const char *name, int axis)
{
    int64_t size = tree_int(p, name, tree_int(p, "img_size", 0));
    return (double)(size > 0 ? size : caffe_dim(c, c->in[1], axis));
}

/* (1, 2, boxes * 4): the boxes of every cell as parts of the image, then their variances (Liu et al., "SSD", 2016). */
static struct value *lower_prior_box(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "prior_box_param");
    struct priors r = { .n_sizes = tree_count(p, "min_size"), .n_max = tree_count(p, "max_size") };
    if (!r.n_sizes || (r.n_max && r.n_max != r.n_sizes))
        return caffe_fail(c, ERR_MODEL, "%zu min_size and %zu max_size", r.n_sizes, r.n_max);
    if (!read_ratios(c, p, &r) || caffe_rank(c, c->in[0]) != 4 || caffe_rank(c, c->in[1]) != 4)
        return caffe_fail(c, ERR_MODEL, "the inputs are no images");
    int64_t rows = caffe_dim(c, c->in[0], 2), columns = caffe_dim(c, c->in[0], 3), n;
    r.height = (float)image_size(c, p, "img_h", 2), r.width = (float)image_size(c, p, "img_w", 3);
    if (c->b->err->code) return NULL;
    float step = (float)tree_float(p, "step", 0), offset = (float)tree_float(p, "offset", 0.5);
    float step_h = (float)tree_float(p, "step_h", (double)(step > 0 ? step : r.height / (float)rows));
    float step_w = (float)tree_float(p, "step_w", (double)(step > 0 ? step : r.width / (float)columns));
    int64_t per_cell = (int64_t)r.n_sizes * (r.n_ratios + (r.n_max > 0)) * 4;
    if (rows > 1 << 14 || columns > 1 << 14 || __builtin_mul_overflow(rows * columns, per_cell, &n) || n > 1 << 26)
        return caffe_fail(c, ERR_MODEL, "%lld x %lld cells are too many", (long long)rows, (long long)columns);
    struct shape s = shape_of(3, (int64_t[]){ 1, 2, n });
    struct tensor *t = tensor_new(c->b->g->arena, DT_F32, &s, c->b->err);
    if (!t || !put_variances(c, p, (float *)t->data + n, n)) return NULL;
    r.at = t->data;
    for (int64_t i = 0; i < rows * columns; i++) {
        r.cx = ((float)(i % columns) + offset) * step_w, r.cy = ((float)(i / columns) + offset) * step_h;
        put_cell(&r, p);
    }
    for (int64_t i = 0; i < n && tree_int(p, "clip", 0); i++) {
        float *v = (float *)t->data + i;
        *v = *v < 0 ? 0 : *v > 1 ? 1 : *v;
    }
    return emit_const(c->b, t);
}

static struct value *lower_detection(struct caffe_call *c)
{
    static const char *const codes[] = { NULL, "corner", "center_size", "corner_size" };
    const struct tree *p = caffe_param(c, "detection_output_param"), *nms = tree_message(p, "nms_param");
    int64_t code = tree_int(p, "code_type", 1);
    if (code < 1 || code > 3) return caffe_fail(c, ERR_MODEL, "code_type %lld", (long long)code);
    return builder_emit(c->b, "DetectionOutput",
        ATTRS(attr_int("num_classes", tree_int(p, "num_classes", 0)),
            attr_int("share_location", tree_int(p, "share_location", 1) != 0),
            attr_int("background", tree_int(p, "background_label_id", 0)), attr_string("code", codes[code]),
            attr_int("variance_encoded", tree_int(p, "variance_encoded_in_target", 0) != 0),
            attr_float("iou_threshold", tree_float(nms, "nms_threshold", 0.3)),
            attr_float("eta", tree_float(nms, "eta", 1)), attr_int("top_k", tree_int(nms, "top_k", -1)),
            attr_int("keep_top_k", tree_int(p, "keep_top_k", -1)),
            attr_int("pad", 1), /* as OpenCV runs it: of one size, where Caffe has as many rows as it finds boxes */
            attr_float("score_threshold", tree_float(p, "confidence_threshold", -INFINITY))),
        c->in, 3);
}

/* Maxima of regions: rows of image, left, top, right, bottom. */
static struct value *lower_roi_pooling(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "roi_pooling_param");
    int64_t size[] = { tree_int(p, "pooled_h", 0), tree_int(p, "pooled_w", 0) }, rows[] = { -1, 5 };
    if (size[0] < 1 || size[1] < 1 || size[0] > 1 << 16 || size[1] > 1 << 16)
        return caffe_fail(c, ERR_MODEL, "pooled_h %lld, pooled_w %lld", (long long)size[0], (long long)size[1]);
    struct value *regions = caffe_rank(c, c->in[1]) == 2 ? c->in[1] : caffe_reshaped(c, c->in[1], rows, 2);
    return emit(c->b, "MaxRoiPool",
        ATTRS(attr_ints("pooled_shape", size, 2), attr_float("spatial_scale", tree_float(p, "spatial_scale", 1))),
        c->in[0], regions);
}

const struct caffe_row caffe_detect[] = {
    { "PriorBox", lower_prior_box, 2, 2, 0, NULL },
    { "ROIPooling", lower_roi_pooling, 2, 2, 0, "MaxRoiPool" },
    { "DetectionOutput", lower_detection, 3, 3, 0, "DetectionOutput" },
    { 0 },
};
