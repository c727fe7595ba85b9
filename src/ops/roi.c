/* roi.c - pooling of regions of interest: RoiAlign, MaxRoiPool and their gradients. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/mover.h"
#include "ops/operand.h"
#include "ops/taps.h"

/* What one kind of region needs; x (N, C, H, W), y (R, C, oh, ow). */
struct region {
    double top, left, height, width; /* in elements of x */
    int64_t image;
};
struct job {
    const struct step *s;
    int64_t channels, rows, cols, out_rows, out_cols;
    int64_t ratio; /* samples per bin along an axis; 0: by the bin's size */
    bool half, max;
    double scale;
    const double *rois;
    const int64_t *images; /* RoiAlign: the image of each region */
    const double *x, *dy;
    double *y, *dx;
    bool listed; /* corners of a region's samples are found once; `corners`: as many at most, memory of each part */
    int64_t regions, parts, corners;
    int64_t *at;
    double *weight;
    struct taps_planes planes; /* of x, and the result */
    const struct tensor *to;
};

/* x at input `x`, regions after it. */
static int check(const struct node *n, int x, int64_t width, int64_t oh, int64_t ow, struct shape *y, struct err *e)
{
    const struct shape *in = &n->in[x]->shape, *rois = &n->in[x + 1]->shape;
    TRY(infer_type(n, x, TYPES_FLOAT, e));
    TRY(infer_type(n, x + 1, TYPES_FLOAT, e));
    TRY(infer_rank(n, x, 4, 4, e));
    TRY(infer_rank(n, x + 1, 2, 2, e));
    if (oh < 1 || ow < 1) return fail(e, ERR_SHAPE, "an output of %lld by %lld", (long long)oh, (long long)ow);
    if (rois->rank == 2 && rois->dim[1] >= 0 && rois->dim[1] != width)
        return fail(
            e, ERR_SHAPE, "regions have %lld numbers, expected %lld", (long long)rois->dim[1], (long long)width);
    *y = shape_of(4,
        (int64_t[]){ rois->rank == 2 ? rois->dim[0] : DIM_UNKNOWN, in->rank == 4 ? in->dim[1] : DIM_UNKNOWN, oh, ow });
    return 0;
}

static int check_gradient(struct node *n, struct shape y, struct err *e)
{
    if (!shape_merge(&y, &n->in[0]->shape)) return fail(e, ERR_SHAPE, "the gradient's shape is not that of the output");
    infer_out(n, 0, n->in[1]->dtype, &n->in[1]->shape);
    return 0;
}

static int open_job(struct job *j, const struct step *s, int at, const struct shape *y, struct err *e)
{
    const struct shape *x = &s->in[at]->shape;
    *j = (struct job){ .s = s,
        .channels = x->dim[1],
        .rows = x->dim[2],
        .cols = x->dim[3],
        .out_rows = y->dim[2],
        .out_cols = y->dim[3],
        .scale = node_float(s->node, "spatial_scale") };
    j->x = operand_load(s, s->in[at], e);
    j->rois = operand_load(s, s->in[at + 1], e);
    if (!j->x || !j->rois) return e->code;
    if (y->dim[0] && (!j->rows || !j->cols || !x->dim[0])) return fail(e, ERR_SHAPE, "the input is empty");
    int64_t width = s->in[at + 1]->shape.dim[1];
    for (int64_t i = 0; i < y->dim[0] * width; i++)
        if (!(fabs(j->rois[i] * j->scale) < 1e7))
            return fail(e, ERR_DATA, "region %lld has an edge at %g", (long long)(i / width), j->rois[i]);
    return 0;
}

/* --- RoiAlign (He et al. 2017): means, or maxima, of bilinear samples in each bin --- */

static int align_rule(const struct node *n, bool *half, bool *max, struct err *e)
{
    const char *mode = node_string(n, "mode"), *shift = node_string(n, "coordinate_transformation_mode");
    *half = !strcmp(shift, "half_pixel");
    *max = !strcmp(mode, "max");
    if (!*max && strcmp(mode, "avg") != 0) return fail(e, ERR_SHAPE, "mode is \"%s\", expected avg or max", mode);
    if (!*half && strcmp(shift, "output_half_pixel") != 0)
        return fail(e, ERR_SHAPE, "coordinate_transformation_mode is \"%s\"", shift);
    if (node_int(n, "sampling_ratio") < 0 || node_int(n, "sampling_ratio") > 1024)
        return fail(e, ERR_SHAPE, "sampling_ratio is %lld", (long long)node_int(n, "sampling_ratio"));
    return 0;
}

static int align_shape(const struct node *n, int x, struct shape *y, struct err *e)
{
    bool half, max;
    TRY(align_rule(n, &half, &max, e));
    TRY(infer_rank(n, x + 2, 1, 1, e));
    TRY(infer_type(n, x + 2, TYPES_INTEGER, e));
    return check(n, x, 4, node_int(n, "output_height"), node_int(n, "output_width"), y, e);
}

static int align_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(align_shape(n, 0, &y, e));
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

static struct region region_of(const struct job *j, int64_t r)
{
    const double *v = j->rois + 4 * r;
    double shift = j->half ? 0.5 : 0;
    struct region g = { v[1] * j->scale - shift, v[0] * j->scale - shift, (v[3] - v[1]) * j->scale,
        (v[2] - v[0]) * j->scale, j->images[r] };
    if (!j->half) g.height = fmax(g.height, 1), g.width = fmax(g.width, 1);
    return g;
}

/* The four corners around a position; false when it lies outside of the image. */
static bool corners(const struct job *j, double y, double x, int64_t at[4], double weight[4])
{
    if (y < -1 || y > (double)j->rows || x < -1 || x > (double)j->cols) return false;
    y = fmin(fmax(y, 0), (double)(j->rows - 1));
    x = fmin(fmax(x, 0), (double)(j->cols - 1));
    int64_t top = (int64_t)y, left = (int64_t)x;
    double low = y - (double)top, right = x - (double)left;
    for (int k = 0; k < 4; k++) {
        int64_t r = top + k / 2 < j->rows ? top + k / 2 : top, c = left + k % 2 < j->cols ? left + k % 2 : left;
        at[k] = r * j->cols + c;
        weight[k] = (k / 2 ? low : 1 - low) * (k % 2 ? right : 1 - right);
    }
    return true;
}

struct bin {
    int64_t high, wide; /* samples */
    double top, left, step_y, step_x;
};

static struct bin bin_of(const struct job *j, const struct region *g, int64_t row, int64_t col)
{
    double h = g->height / (double)j->out_rows, w = g->width / (double)j->out_cols;
    struct bin b = { j->ratio, j->ratio, g->top + (double)row * h, g->left + (double)col * w, 0, 0 };
    if (!j->ratio) b.high = (int64_t)fmax(ceil(h), 0), b.wide = (int64_t)fmax(ceil(w), 0);
    b.step_y = h / (double)b.high;
    b.step_x = w / (double)b.wide;
    return b;
}

/* Value of a bin in `plane`, or with `dx` the spreading of `d` over it. A maximum is taken over the weighted
 * corners, as ONNX defines it. */
static double visit_bin(const struct job *j, const struct bin *b, const double *plane, double *dx, double d)
{
    double sum = 0, best = -INFINITY, slope = 0;
    int64_t at[4], where = -1, count = b->high * b->wide;
    for (int64_t i = 0; i < count; i++) {
        double weight[4], y = b->top + ((double)(i / b->wide) + 0.5) * b->step_y;
        if (!corners(j, y, b->left + ((double)(i % b->wide) + 0.5) * b->step_x, at, weight)) {
            if (best < 0) best = 0, where = -1;
            continue;
        }
        for (int k = 0; k < 4; k++) {
            double v = weight[k] * plane[at[k]];
            sum += v;
            if (v > best) best = v, where = at[k], slope = weight[k];
            if (dx && !j->max) dx[at[k]] += weight[k] * d / (double)count;
        }
    }
    if (dx && j->max && where >= 0) dx[where] += slope * d;
    if (j->max) return count > 0 ? best : 0;
    return count > 0 ? sum / (double)count : 0;
}

/* Means of one region: where the corners of all samples of its bins lie, and their weights, are found once for all
 * channels; corner t of bin i is number t * bins + i. */
static int64_t find_corners(const struct job *j, const struct region *g, int64_t *at, double *weight)
{
    int64_t bins = j->out_rows * j->out_cols, count = 0;
    for (int64_t i = 0; i < bins; i++) {
        struct bin b = bin_of(j, g, i / j->out_cols, i % j->out_cols);
        count = b.high * b.wide;
        for (int64_t k = 0; k < count; k++) {
            int64_t four[4] = { -1, -1, -1, -1 };
            double of[4] = { 0 }, y = b.top + ((double)(k / b.wide) + 0.5) * b.step_y;
            corners(j, y, b.left + ((double)(k % b.wide) + 0.5) * b.step_x, four, of);
            for (int c = 0; c < 4; c++) at[(4 * k + c) * bins + i] = four[c], weight[(4 * k + c) * bins + i] = of[c];
        }
    }
    return count;
}

static void align_means(const struct job *j, int64_t r, int64_t *at, double *weight, double *y)
{
    struct region g = region_of(j, r);
    int64_t bins = j->out_rows * j->out_cols, size = j->rows * j->cols, count = find_corners(j, &g, at, weight);
    for (int64_t i = 0; i < bins; i++) y[i] = 0;
    for (int64_t c = 0; c < j->channels; c++) {
        if (count > 0) taps_sum(&j->planes, (g.image * j->channels + c) * size, at, weight, 4 * count, bins, y);
        for (int64_t i = 0; i < bins && count > 0; i++) y[i] /= (double)count;
        store_f64(j->to->dtype, element(j->to, (r * j->channels + c) * bins), bins, y);
    }
}

/* Bin by bin: maxima, and means of regions so large that no list of their corners is kept. */
static void align_bins(const struct job *j, int64_t r)
{
    struct region g = region_of(j, r);
    int64_t bins = j->out_rows * j->out_cols;
    for (int64_t c = 0; c < j->channels; c++) {
        const double *plane = j->x + (g.image * j->channels + c) * j->rows * j->cols;
        for (int64_t i = 0; i < bins; i++) {
            struct bin b = bin_of(j, &g, i / j->out_cols, i % j->out_cols);
            j->y[(r * j->channels + c) * bins + i] = visit_bin(j, &b, plane, NULL, 0);
        }
    }
}

static void align_parts(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t part = begin; part < end; part++)
        for (int64_t r = j->regions * part / j->parts; r < j->regions * (part + 1) / j->parts; r++)
            if (!j->listed) align_bins(j, r);
            else
                align_means(j, r, j->at + part * j->corners, j->weight + part * j->corners,
                    j->y + part * j->out_rows * j->out_cols);
}

/* Without a ratio a bin has as many samples as elements: no region may ask for more than any image has. */
static int check_samples(struct job *j, const struct shape *y, struct err *e)
{
    enum { SAMPLES_MAX = 1 << 24, CORNERS_MAX = 1 << 22 };
    int64_t most = 0;
    for (int64_t r = 0; r < y->dim[0]; r++) {
        struct region g = region_of(j, r);
        struct bin b = bin_of(j, &g, 0, 0);
        if (b.high > 0 && b.wide > SAMPLES_MAX / b.high)
            return fail(e, ERR_DATA, "region %lld is %g by %g elements", (long long)r, g.width, g.height);
        if (b.high * b.wide > most) most = b.high * b.wide;
    }
    j->regions = y->dim[0];
    j->listed = !j->max && most <= CORNERS_MAX / (4 * j->out_rows * j->out_cols);
    j->corners = 4 * most * j->out_rows * j->out_cols;
    return 0;
}

static int open_align(struct job *j, const struct step *s, int at, const struct shape *y, struct err *e)
{
    TRY(open_job(j, s, at, y, e));
    TRY(align_rule(s->node, &j->half, &j->max, e));
    j->ratio = node_int(s->node, "sampling_ratio");
    if (tensor_count(s->in[at + 2]) != y->dim[0])
        return fail(e, ERR_SHAPE, "%lld regions, but %lld batch indices", (long long)y->dim[0],
            (long long)tensor_count(s->in[at + 2]));
    j->images = step_indices(s, at + 2, s->in[at]->shape.dim[0], 0, e);
    return j->images ? check_samples(j, y, e) : e->code;
}

static int align_run(const struct step *s, struct err *e)
{
    struct job j;
    const struct shape *y = &s->out[0]->shape;
    TRY(open_align(&j, s, 0, y, e));
    if (!j.regions) return 0;
    j.parts = s->threads < j.regions ? s->threads : j.regions;
    j.to = s->out[0];
    j.y = operand_zeros(s, j.listed ? j.parts * j.out_rows * j.out_cols : tensor_count(j.to), e);
    if (j.listed) {
        TRY(taps_open(&j.planes, s, s->in[0], e));
        j.at = ARENA_ARRAY(s->scratch, j.parts * j.corners, int64_t);
        j.weight = ARENA_ARRAY(s->scratch, j.parts * j.corners, double);
    }
    if (!j.y || (j.listed && (!j.at || !j.weight))) return fail_nomem(e);
    team_run(s->threads, j.parts, 1, align_parts, &j);
    if (!j.listed) operand_store(s, s->out[0], j.y);
    return 0;
}

static int align_grad(struct grad *g)
{
    const struct node *n = g->node;
    g->dx[0] = emit(g->b, "RoiAlignGrad", n->attrs, g->dy[0], n->in[0], n->in[1], n->in[2]);
    return 0;
}

static int align_grad_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(align_shape(n, 1, &y, e));
    return check_gradient(n, y, e);
}

/* Regions overlap: a channel of all of them is one task. */
static void align_grad_channels(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    int64_t bins = j->out_rows * j->out_cols, size = j->rows * j->cols, regions = j->s->in[0]->shape.dim[0];
    for (int64_t c = begin; c < end; c++)
        for (int64_t r = 0; r < regions; r++) {
            struct region g = region_of(j, r);
            int64_t plane = (g.image * j->channels + c) * size;
            for (int64_t i = 0; i < bins; i++) {
                struct bin b = bin_of(j, &g, i / j->out_cols, i % j->out_cols);
                visit_bin(j, &b, j->x + plane, j->dx + plane, j->dy[(r * j->channels + c) * bins + i]);
            }
        }
}

static int grad_run(const struct step *s, struct job *j, void (*channels)(void *, int64_t, int64_t), struct err *e)
{
    j->dy = operand_load(s, s->in[0], e);
    j->dx = operand_zeros(s, tensor_count(s->out[0]), e);
    if (!j->dy || !j->dx) return e->code;
    team_run(s->threads, j->channels, 1, channels, j);
    operand_store(s, s->out[0], j->dx);
    return 0;
}

static int align_grad_run(const struct step *s, struct err *e)
{
    struct job j;
    TRY(open_align(&j, s, 1, &s->in[0]->shape, e));
    return grad_run(s, &j, align_grad_channels, e);
}

/* --- MaxRoiPool (Girshick 2015): maxima of bins of whole elements; regions (image, left, top, right, bottom) --- */

static int pool_shape_of(const struct node *n, int x, struct shape *y, struct err *e)
{
    size_t count;
    const int64_t *size = node_ints(n, "pooled_shape", &count);
    if (count != 2) return fail(e, ERR_SHAPE, "pooled_shape has %zu entries, expected 2", count);
    return check(n, x, 5, size[0], size[1], y, e);
}

static int pool_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(pool_shape_of(n, 0, &y, e));
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

static int64_t clamp(double v, int64_t most)
{
    return v > 0 ? v < (double)most ? (int64_t)v : most : 0;
}

/* In float, as others do: 5 * 0.9f is 4.5 and becomes 5. */
static double edge(const struct job *j, double v)
{
    return (double)roundf((float)v * (float)j->scale);
}

/* Place of the maximum of bin i of region r in the plane; -1 when the bin is empty. */
static int64_t pool_bin(const struct job *j, int64_t r, int64_t i, const double *plane)
{
    const double *v = j->rois + 5 * r;
    double left = edge(j, v[1]), top = edge(j, v[2]);
    double h = fmax(edge(j, v[4]) - top + 1, 1) / (double)j->out_rows;
    double w = fmax(edge(j, v[3]) - left + 1, 1) / (double)j->out_cols;
    double row = (double)(i / j->out_cols), col = (double)(i % j->out_cols);
    int64_t y1 = clamp(top + ceil((row + 1) * h), j->rows), x1 = clamp(left + ceil((col + 1) * w), j->cols);
    int64_t best = -1;
    for (int64_t y = clamp(top + floor(row * h), j->rows); y < y1; y++)
        for (int64_t x = clamp(left + floor(col * w), j->cols); x < x1; x++)
            if (best < 0 || plane[y * j->cols + x] > plane[best]) best = y * j->cols + x;
    return best;
}

static void pool_visit(const struct job *j, int64_t r, int64_t c)
{
    int64_t bins = j->out_rows * j->out_cols, size = j->rows * j->cols;
    int64_t plane = ((int64_t)j->rois[5 * r] * j->channels + c) * size, to = (r * j->channels + c) * bins;
    for (int64_t i = 0; i < bins; i++) {
        int64_t at = pool_bin(j, r, i, j->x + plane);
        if (j->y) j->y[to + i] = at < 0 ? 0 : j->x[plane + at];
        else if (at >= 0) j->dx[plane + at] += j->dy[to + i];
    }
}

static void pool_planes(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t t = begin; t < end; t++) pool_visit(j, t / j->channels, t % j->channels);
}

static void pool_grad_channels(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t c = begin; c < end; c++)
        for (int64_t r = 0; r < j->s->in[0]->shape.dim[0]; r++) pool_visit(j, r, c);
}

static int open_pool(struct job *j, const struct step *s, int at, const struct shape *y, struct err *e)
{
    TRY(open_job(j, s, at, y, e));
    int64_t images = s->in[at]->shape.dim[0];
    for (int64_t r = 0; r < y->dim[0]; r++)
        if (!(j->rois[5 * r] >= 0 && j->rois[5 * r] < (double)images))
            return fail(e, ERR_DATA, "region %lld is of image %g, there are %lld", (long long)r, j->rois[5 * r],
                (long long)images);
    return 0;
}

static int pool_run(const struct step *s, struct err *e)
{
    struct job j;
    TRY(open_pool(&j, s, 0, &s->out[0]->shape, e));
    if (!(j.y = operand_zeros(s, tensor_count(s->out[0]), e))) return e->code;
    team_run(s->threads, s->out[0]->shape.dim[0] * j.channels, 1, pool_planes, &j);
    operand_store(s, s->out[0], j.y);
    return 0;
}

static int pool_grad(struct grad *g)
{
    g->dx[0] = emit(g->b, "MaxRoiPoolGrad", g->node->attrs, g->dy[0], g->node->in[0], g->node->in[1]);
    return 0;
}

static int pool_grad_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(pool_shape_of(n, 1, &y, e));
    return check_gradient(n, y, e);
}

static int pool_grad_run(const struct step *s, struct err *e)
{
    struct job j;
    TRY(open_pool(&j, s, 1, &s->in[0]->shape, e));
    return grad_run(s, &j, pool_grad_channels, e);
}

static const struct attr_spec align_attrs[] = {
    { "coordinate_transformation_mode", ATTR_STRING, ATTR_DEFAULT, .s = "half_pixel", .doc = "or output_half_pixel" },
    { "mode", ATTR_STRING, ATTR_DEFAULT, .s = "avg", .doc = "avg or max" },
    { "output_height", ATTR_INT, ATTR_DEFAULT, .i = 1 },
    { "output_width", ATTR_INT, ATTR_DEFAULT, .i = 1 },
    { "sampling_ratio", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "samples per bin and axis; 0: one per element" },
    { "spatial_scale", ATTR_FLOAT, ATTR_DEFAULT, .f = 1, .doc = "from the regions' units to elements" },
    { 0 },
};
static const struct attr_spec pool_attrs[] = {
    { "pooled_shape", ATTR_INTS, ATTR_REQUIRED, .doc = "height and width of the output" },
    { "spatial_scale", ATTR_FLOAT, ATTR_DEFAULT, .f = 1, .doc = "from the regions' units to elements" },
    { 0 },
};

const struct op ops_roi[] = {
    { .name = "RoiAlign",
        .doc = "means of bilinear samples in regions, of (x, regions, their images)",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = align_attrs,
        .infer = align_infer,
        .run = align_run,
        .grad = align_grad,
        .samples =
            "f32[2,3,6,5] f32[2,4]{0,0,4,5,1.5,2,3,4} i64{0,1} | output_height=2 output_width=3 sampling_ratio=2; "
            "f32+[1,2,6,6] f32[1,4]{0.3,1,9,9} i64{0} | mode=max output_height=2 output_width=2 "
            "coordinate_transformation_mode=output_half_pixel spatial_scale=0.5" },
    { .name = "RoiAlignGrad",
        .doc = "gradient of RoiAlign by x, of (dy, x, regions, their images)",
        .min_in = 4,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = align_attrs,
        .infer = align_grad_infer,
        .run = align_grad_run,
        .samples = "f32[2,3,2,3] f32[2,3,6,5] f32[2,4]{0,0,4,5,1.5,2,3,4} i64{0,1} | output_height=2 output_width=3" },
    { .name = "MaxRoiPool",
        .doc = "maxima of bins of regions, of (x, regions with their image first)",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = pool_attrs,
        .infer = pool_infer,
        .run = pool_run,
        .grad = pool_grad,
        .samples =
            "f32~[2,3,6,5] f32[2,5]{0,0,0,4,5,1,1.5,2,3,4} | pooled_shape=2,3; f32~[1,2,4,4] f32[1,5]{0,2,2,9,9} | "
            "pooled_shape=3,3 spatial_scale=0.5" },
    { .name = "MaxRoiPoolGrad",
        .doc = "gradient of MaxRoiPool by x, of (dy, x, regions)",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = pool_attrs,
        .infer = pool_grad_infer,
        .run = pool_grad_run,
        .samples = "f32[2,3,2,3] f32~[2,3,6,5] f32[2,5]{0,0,0,4,5,1,1.5,2,3,4} | pooled_shape=2,3" },
    { 0 },
};
