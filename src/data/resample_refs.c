/* resample_refs.c - resizing as OpenCV and torchvision's tensors do it: their arithmetic, in their order. */
#include "data/resample_refs.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/image.h"

enum { COEF_BITS = 11, COEF_ONE = 1 << COEF_BITS };

/* Along one axis: two neighbours and the weight of the second. */
struct pair {
    int first, second;
    float weight;
};

static uint8_t clamp_byte(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static int within(int i, int n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Where output i lies between source pixels, between their centres: the first one, and the weight of the second. */
static float between_centres(int i, double scale, int *at)
{
    float x = (float)((i + 0.5) * scale - 0.5);
    *at = (int)floorf(x);
    return x - (float)*at;
}

/* The same where areas are enlarged: a pixel is one source pixel, or the part of it that reaches into the next. */
static float between_areas(int i, double scale, int *at)
{
    *at = (int)floor(i * scale);
    float w = (float)((i + 1) - (*at + 1) * (1.0 / scale));
    return w <= 0 ? 0 : w - floorf(w);
}

typedef float between_fn(int i, double scale, int *at);

/* cv::resize: the position in float. Along rows the weight of what lies outside is 0; down columns the edge is taken
 * twice, which rounds differently. */
static struct pair *opencv_pairs(struct arena *a, int n_in, int n_out, between_fn *between, bool columns)
{
    struct pair *p = ARENA_ARRAY(a, n_out, struct pair);
    double scale = 1.0 / ((double)n_out / n_in);
    for (int i = 0; p && i < n_out; i++) {
        int at;
        float w = between(i, scale, &at);
        if (!columns && (at < 0 || at >= n_in - 1)) w = 0;
        p[i] = (struct pair){ within(at, n_in), within(at + (columns || at >= 0), n_in), w };
    }
    return p;
}

static int coefficient(float w)
{
    return (int)lrintf(w * COEF_ONE);
}

/* One output row of the horizontal pass, as integers of 11 fractional bits. */
static void opencv_row(const struct image *in, int y, const struct pair *xs, int width, int *out)
{
    const uint8_t *row = in->pixels + (size_t)y * image_row_bytes(in);
    int n = in->channels;
    for (int x = 0; x < width; x++) {
        int w0 = coefficient(1.f - xs[x].weight), w1 = coefficient(xs[x].weight);
        for (int c = 0; c < n; c++) *out++ = row[xs[x].first * n + c] * w0 + row[xs[x].second * n + c] * w1;
    }
}

static int opencv_two(
    struct image *out, const struct image *in, between_fn *between, struct arena *a, struct err *e)
{
    struct pair *xs = opencv_pairs(a, in->width, out->width, between, false);
    struct pair *ys = opencv_pairs(a, in->height, out->height, between, true);
    size_t n = image_row_bytes(out);
    int *rows[2] = { ARENA_ARRAY(a, n, int), ARENA_ARRAY(a, n, int) }, have[2] = { -1, -1 };
    if (!xs || !ys || !rows[0] || !rows[1]) return fail_nomem(e);
    for (int y = 0; y < out->height; y++) {
        int want[2] = { ys[y].first, ys[y].second };
        if (have[1] == want[0] && have[0] != want[0]) { /* the lower row of before is the upper one of now */
            int *swap = rows[0];
            rows[0] = rows[1], rows[1] = swap;
            have[0] = want[0], have[1] = -1;
        }
        for (int k = 0; k < 2; k++)
            if (have[k] != want[k]) opencv_row(in, want[k], xs, out->width, rows[k]), have[k] = want[k];
        int w0 = coefficient(1.f - ys[y].weight), w1 = coefficient(ys[y].weight);
        uint8_t *to = out->pixels + (size_t)y * n;
        for (size_t i = 0; i < n; i++)
            to[i] = (uint8_t)((((w0 * (rows[0][i] >> 4)) >> 16) + ((w1 * (rows[1][i] >> 4)) >> 16) + 2) >> 2);
    }
    return 0;
}

static int opencv_linear(struct image *out, const struct image *in, struct arena *a, struct err *e)
{
    return opencv_two(out, in, between_centres, a, e);
}

/* Which source pixels an output pixel covers, and how much of each (cv::computeResizeAreaTab). */
struct cover {
    int from, to;
    float weight;
};

static struct cover *area_covers(struct arena *a, int n_in, int n_out, int *n)
{
    double scale = 1.0 / ((double)n_out / n_in);
    struct cover *t = ARENA_ARRAY(a, (size_t)n_in * 2 + (size_t)n_out, struct cover);
    *n = 0;
    for (int i = 0; t && i < n_out; i++) {
        double begin = i * scale, end = begin + scale;
        double cell = scale < n_in - begin ? scale : n_in - begin;
        int first = (int)ceil(begin), last = (int)floor(end);
        if (last > n_in - 1) last = n_in - 1;
        if (first > last) first = last;
        if (first - begin > 1e-3) t[(*n)++] = (struct cover){ first - 1, i, (float)((first - begin) / cell) };
        for (int k = first; k < last; k++) t[(*n)++] = (struct cover){ k, i, (float)(1.0 / cell) };
        if (end - last > 1e-3) {
            double rest = end - last < 1 ? end - last : 1;
            if (rest > cell) rest = cell;
            t[(*n)++] = (struct cover){ last, i, (float)(rest / cell) };
        }
    }
    return t;
}

/* Whole numbers of pixels: sums of integers, one product. */
static void area_blocks(struct image *out, const struct image *in, int across, int down)
{
    int n = in->channels;
    size_t row = image_row_bytes(in);
    float scale = 1.f / (float)(across * down);
    uint8_t *to = out->pixels;
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++)
            for (int c = 0; c < n; c++) {
                int sum = 0;
                for (int v = 0; v < down; v++)
                    for (int u = 0; u < across; u++)
                        sum += in->pixels[(size_t)(y * down + v) * row + (size_t)((x * across + u) * n + c)];
                *to++ = across == 2 && down == 2 ? (uint8_t)((sum + 2) >> 2) : clamp_byte(lrintf((float)sum * scale));
            }
}

static int area_any(struct image *out, const struct image *in, struct arena *a, struct err *e)
{
    int nx, ny, n = in->channels;
    struct cover *xs = area_covers(a, in->width, out->width, &nx), *ys = area_covers(a, in->height, out->height, &ny);
    size_t width = image_row_bytes(out);
    float *line = ARENA_ARRAY(a, width, float), *sum = ARENA_ARRAY(a, width, float);
    if (!xs || !ys || !line || !sum) return fail_nomem(e);
    for (int k = 0; k < ny; k++) {
        const uint8_t *row = in->pixels + (size_t)ys[k].from * image_row_bytes(in);
        bool first = !k || ys[k].to != ys[k - 1].to, last = k == ny - 1 || ys[k].to != ys[k + 1].to;
        memset(line, 0, width * sizeof *line);
        for (int i = 0; i < nx; i++)
            for (int c = 0; c < n; c++) line[xs[i].to * n + c] += row[xs[i].from * n + c] * xs[i].weight;
        for (size_t i = 0; i < width; i++) sum[i] = first ? ys[k].weight * line[i] : sum[i] + ys[k].weight * line[i];
        for (size_t i = 0; last && i < width; i++)
            out->pixels[(size_t)ys[k].to * width + i] = clamp_byte(lrintf(sum[i]));
    }
    return 0;
}

static int opencv_area(struct image *out, const struct image *in, struct arena *a, struct err *e)
{
    if (out->width > in->width || out->height > in->height) return opencv_two(out, in, between_areas, a, e);
    int across = in->width / out->width, down = in->height / out->height;
    if (across * out->width != in->width || down * out->height != in->height) return area_any(out, in, a, e);
    area_blocks(out, in, across, down);
    return 0;
}

/* ATen's upsample_bilinear2d (align_corners=False): positions and weights in float. */
static struct pair *torch_pairs(struct arena *a, int n_in, int n_out)
{
    struct pair *p = ARENA_ARRAY(a, n_out, struct pair);
    float scale = (float)n_in / (float)n_out;
    for (int i = 0; p && i < n_out; i++) {
        float x = scale * ((float)i + 0.5f) - 0.5f;
        if (x < 0) x = 0;
        int at = (int)x;
        if (at > n_in - 1) at = n_in - 1;
        float w = x - (float)at;
        p[i] = (struct pair){ at, at + (at < n_in - 1), w < 0 ? 0 : w > 1 ? 1 : w };
    }
    return p;
}

static int torch_linear(struct image *out, const struct image *in, struct arena *a, struct err *e)
{
    struct pair *xs = torch_pairs(a, in->width, out->width), *ys = torch_pairs(a, in->height, out->height);
    if (!xs || !ys) return fail_nomem(e);
    int n = in->channels;
    size_t row = image_row_bytes(in);
    uint8_t *to = out->pixels;
    for (int y = 0; y < out->height; y++) {
        const uint8_t *upper = in->pixels + (size_t)ys[y].first * row, *lower = in->pixels + (size_t)ys[y].second * row;
        for (int x = 0; x < out->width; x++)
            for (int c = 0; c < n; c++) {
                int l = xs[x].first * n + c, r = xs[x].second * n + c;
                float wx = xs[x].weight, wy = ys[y].weight;
                float top = upper[l] * (1.f - wx) + upper[r] * wx, bottom = lower[l] * (1.f - wx) + lower[r] * wx;
                *to++ = clamp_byte(nearbyintf(top * (1.f - wy) + bottom * wy));
            }
    }
    return 0;
}

/* ATen's antialiased triangle filter: first and number of source pixels, and weights that sum to 1, in float. */
struct taps {
    int *first, *n;
    float *weights; /* (n_out, stride) */
    int stride;
};

static int torch_taps(struct taps *t, struct arena *a, int n_in, int n_out, struct err *e)
{
    float scale = (float)n_in / (float)n_out, support = scale >= 1.f ? scale : 1.f;
    float invert = scale >= 1.f ? 1.f / scale : 1.f;
    t->stride = (int)ceilf(support) * 2 + 1;
    t->first = ARENA_ARRAY(a, n_out, int), t->n = ARENA_ARRAY(a, n_out, int);
    t->weights = ARENA_ARRAY(a, (size_t)n_out * (size_t)t->stride, float);
    if (!t->first || !t->n || !t->weights) return fail_nomem(e);
    for (int i = 0; i < n_out; i++) {
        float center = scale * ((float)i + 0.5f), total = 0;
        int first = (int)(center - support + 0.5f), last = (int)(center + support + 0.5f);
        if (first < 0) first = 0;
        if (last > n_in) last = n_in;
        float *w = t->weights + (size_t)i * (size_t)t->stride;
        for (int k = 0; k < last - first; k++) {
            float x = fabsf(((float)(k + first) - center + 0.5f) * invert);
            total += w[k] = x < 1.f ? 1.f - x : 0.f;
        }
        for (int k = 0; k < last - first; k++)
            if (total != 0.f) w[k] /= total;
        t->first[i] = first, t->n[i] = last - first;
    }
    return 0;
}

static int torch_antialias(struct image *out, const struct image *in, struct arena *a, struct err *e)
{
    struct taps x, y;
    TRY(torch_taps(&x, a, in->width, out->width, e));
    TRY(torch_taps(&y, a, in->height, out->height, e));
    int n = in->channels;
    size_t from_row = image_row_bytes(in), row = image_row_bytes(out);
    float *lines = arena_array(a, (size_t)in->height * row, sizeof *lines); /* (in height, out width, channels) */
    TRY_MEM(lines, e);
    for (int v = 0; v < in->height; v++)
        for (int i = 0; i < out->width; i++)
            for (int c = 0; c < n; c++) {
                const float *w = x.weights + (size_t)i * (size_t)x.stride;
                const uint8_t *p = in->pixels + (size_t)v * from_row + (size_t)(x.first[i] * n + c);
                float sum = p[0] * w[0];
                for (int k = 1; k < x.n[i]; k++) sum += p[k * n] * w[k];
                lines[(size_t)v * row + (size_t)(i * n + c)] = sum;
            }
    for (int i = 0; i < out->height; i++)
        for (size_t k = 0; k < row; k++) {
            const float *w = y.weights + (size_t)i * (size_t)y.stride;
            float sum = lines[(size_t)y.first[i] * row + k] * w[0];
            for (int j = 1; j < y.n[i]; j++) sum += lines[(size_t)(y.first[i] + j) * row + k] * w[j];
            out->pixels[(size_t)i * row + k] = clamp_byte(nearbyintf(sum));
        }
    return 0;
}

typedef int resize_fn(struct image *out, const struct image *in, struct arena *a, struct err *e);
static resize_fn *const methods[N_RESAMPLE_REFERENCES][N_RESAMPLE_METHODS] = {
    [RESAMPLE_OPENCV] = { [METHOD_LINEAR] = opencv_linear, [METHOD_AREA] = opencv_area },
    [RESAMPLE_TORCHVISION] = { [METHOD_LINEAR] = torch_linear, [METHOD_LINEAR_ANTIALIAS] = torch_antialias },
};

int image_resize_as(struct image *out, struct arena *a, const struct image *in, int64_t width, int64_t height,
    enum resample_reference reference, enum resample_method method, struct err *e)
{
    struct image img;
    resize_fn *resize = methods[reference][method];
    if (!resize || in->bits != 8)
        return fail(e, ERR_UNSUPPORTED, "resize: this reference does not have this interpolation of 8-bit images");
    TRY(image_new(&img, a, width, height, in->channels, 8, 0, e));
    /* halving both sides, OpenCV takes the mean of four pixels for linear interpolation, too */
    bool halves = reference == RESAMPLE_OPENCV && width * 2 == in->width && height * 2 == in->height;
    TRY((halves ? opencv_area : resize)(&img, in, a, e));
    img.orientation = in->orientation;
    *out = img;
    return 0;
}
