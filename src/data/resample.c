/* resample.c - the weights of each filter and the two passes over 8-bit and float pixels. */
#include "data/resample.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "enc/image.h"

/* An 8-bit sample, a weight and two bits for sums that overshoot fill an int32. */
enum { FRACTION_BITS = 32 - 8 - 2 }; /* RESAMPLE_ONE */

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x *= M_PI;
    return sin(x) / x;
}

static double filter_box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double filter_bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double filter_hamming(double x)
{
    x = fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x *= M_PI;
    return sin(x) / x * (0.54f + 0.46f * cos(x));
}

/* Keys' cubic convolution with a = -0.5 */
static double filter_bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double filter_lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const struct {
    const char *name;
    double (*weight)(double x);
    double support; /* weights vanish beyond it, in source pixels when not reducing */
} filters[N_RESAMPLE_FILTERS] = {
    [RESAMPLE_NEAREST] = { "nearest", NULL, 0 },
    [RESAMPLE_BOX] = { "box", filter_box, 0.5 },
    [RESAMPLE_BILINEAR] = { "bilinear", filter_bilinear, 1 },
    [RESAMPLE_HAMMING] = { "hamming", filter_hamming, 1 },
    [RESAMPLE_BICUBIC] = { "bicubic", filter_bicubic, 2 },
    [RESAMPLE_LANCZOS] = { "lanczos", filter_lanczos, 3 },
};

int resample_filter_parse(const char *name)
{
    for (int i = 0; i < N_RESAMPLE_FILTERS; i++)
        if (!strcmp(name, filters[i].name)) return i;
    return -1;
}

const char *resample_filter_name(enum resample_filter f)
{
    return filters[f].name;
}

/* For each output position along one axis: which source pixels, with what weights. */
struct window {
    int first, n;
};
struct axis {
    struct window *windows; /* (n_out) */
    double *weights;        /* (n_out, stride), sum 1 in each row */
    int32_t *fixed;         /* the same in fixed point */
    int n_in, n_out, stride;
};

static struct window weigh(const struct axis *axis, int at, float begin, float end, enum resample_filter filter)
{
    double scale = (double)(end - begin) / axis->n_out;
    double stretch = scale < 1.0 ? 1.0 : scale, support = filters[filter].support * stretch;
    double center = begin + (at + 0.5) * scale, inverse = 1.0 / stretch, sum = 0;
    int first = (int)(center - support + 0.5), last = (int)(center + support + 0.5);
    if (first < 0) first = 0;
    if (first > axis->n_in) first = axis->n_in; /* the float box of a very wide image may end past it */
    if (last > axis->n_in) last = axis->n_in;
    double *w = axis->weights + (size_t)at * axis->stride;
    int n = last < first ? 0 : last - first;
    for (int i = 0; i < n; i++) {
        w[i] = filters[filter].weight((i + first - center + 0.5) * inverse);
        sum += w[i];
    }
    for (int i = 0; i < n; i++)
        if (sum != 0.0) w[i] /= sum;
    return (struct window){ first, n };
}

static int axis_init(struct axis *axis, struct arena *a, int n_in, int n_out, float begin, float end,
                     enum resample_filter filter, struct err *e)
{
    double scale = (double)(end - begin) / n_out, stretch = scale < 1.0 ? 1.0 : scale;
    *axis = (struct axis){ .n_in = n_in, .n_out = n_out };
    axis->stride = (int)ceil(filters[filter].support * stretch) * 2 + 1;
    size_t n;
    if (__builtin_mul_overflow((size_t)n_out, (size_t)axis->stride, &n)) return fail_nomem(e);
    TRY_MEM(axis->windows = ARENA_ARRAY(a, n_out, struct window), e);
    TRY_MEM(axis->weights = ARENA_ARRAY(a, n, double), e);
    for (int i = 0; i < n_out; i++) axis->windows[i] = weigh(axis, i, begin, end, filter);
    return 0;
}

static int axis_fix(struct axis *axis, struct arena *a, struct err *e)
{
    size_t n = (size_t)axis->n_out * (size_t)axis->stride;
    TRY_MEM(axis->fixed = ARENA_ARRAY(a, n, int32_t), e);
    for (size_t i = 0; i < n; i++) {
        double w = axis->weights[i] * (1 << FRACTION_BITS);
        axis->fixed[i] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    return 0;
}

int resample_matrix(double *out, struct arena *a, int n_in, int n_out, enum resample_filter filter, struct err *e)
{
    struct axis axis;
    TRY(axis_init(&axis, a, n_in, n_out, 0, (float)n_in, filter, e));
    TRY(axis_fix(&axis, a, e));
    memset(out, 0, (size_t)n_out * (size_t)n_in * sizeof *out);
    for (int i = 0; i < n_out; i++) {
        const int32_t *w = axis.fixed + (size_t)i * (size_t)axis.stride;
        double *row = out + (size_t)i * (size_t)n_in + axis.windows[i].first;
        for (int k = 0; k < axis.windows[i].n; k++) row[k] = w[k];
    }
    return 0;
}

static uint8_t round_sum(int32_t sum)
{
    int32_t v = sum >> FRACTION_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* What both passes share. `channels` 0 means one float per pixel. */
struct pass {
    const struct axis *axis;
    const void *in;
    void *out;
    int in_width, out_width, channels, first_row;
};

#define HALF (1 << (FRACTION_BITS - 1))

static inline __attribute__((always_inline)) void across_row(const struct pass *p, const uint8_t *in, uint8_t *out,
                                                             int channels)
{
    for (int x = 0; x < p->out_width; x++, out += channels) {
        struct window win = p->axis->windows[x];
        const int32_t *w = p->axis->fixed + (size_t)x * p->axis->stride;
        const uint8_t *px = in + (size_t)win.first * channels;
        int32_t sum[4] = { HALF, HALF, HALF, HALF };
        for (int i = 0; i < win.n; i++, px += channels)
            for (int c = 0; c < channels; c++) sum[c] += px[c] * w[i];
        for (int c = 0; c < channels; c++) out[c] = round_sum(sum[c]);
    }
}

/* Rows [begin, end) of the result come from the source rows first_row + the same. */
static void across(void *ctx, int64_t begin, int64_t end)
{
    const struct pass *p = ctx;
    size_t in_row = (size_t)p->in_width * p->channels, out_row = (size_t)p->out_width * p->channels;
    for (int64_t y = begin; y < end; y++) {
        const uint8_t *in = (const uint8_t *)p->in + (size_t)(y + p->first_row) * in_row;
        uint8_t *out = (uint8_t *)p->out + (size_t)y * out_row;
        switch (p->channels) { /* a constant count makes the inner loop straight code */
        case 1: across_row(p, in, out, 1); break;
        case 2: across_row(p, in, out, 2); break;
        case 3: across_row(p, in, out, 3); break;
        default: across_row(p, in, out, 4);
        }
    }
}

/* Source rows are numbered from first_row: the first pass made only those that are needed. */
static void down(void *ctx, int64_t begin, int64_t end)
{
    enum { STRIP = 512 };
    const struct pass *p = ctx;
    size_t row = (size_t)p->out_width * p->channels;
    int32_t sum[STRIP];
    for (int64_t y = begin; y < end; y++) {
        struct window win = p->axis->windows[y];
        const int32_t *w = p->axis->fixed + (size_t)y * p->axis->stride;
        const uint8_t *in = (const uint8_t *)p->in + (size_t)(win.first - p->first_row) * row;
        uint8_t *out = (uint8_t *)p->out + (size_t)y * row;
        for (size_t x = 0; x < row; x += STRIP) {
            size_t n = row - x < STRIP ? row - x : STRIP;
            for (size_t i = 0; i < n; i++) sum[i] = HALF;
            for (int k = 0; k < win.n; k++)
                for (size_t i = 0; i < n; i++) sum[i] += in[(size_t)k * row + x + i] * w[k];
            for (size_t i = 0; i < n; i++) out[x + i] = round_sum(sum[i]);
        }
    }
}

static void across_float(void *ctx, int64_t begin, int64_t end)
{
    const struct pass *p = ctx;
    for (int64_t y = begin; y < end; y++) {
        const float *in = (const float *)p->in + (size_t)(y + p->first_row) * p->in_width;
        float *out = (float *)p->out + (size_t)y * p->out_width;
        for (int x = 0; x < p->out_width; x++) {
            struct window win = p->axis->windows[x];
            const double *w = p->axis->weights + (size_t)x * p->axis->stride;
            double sum = 0;
            for (int i = 0; i < win.n; i++) sum += in[win.first + i] * w[i];
            out[x] = (float)sum;
        }
    }
}

static void down_float(void *ctx, int64_t begin, int64_t end)
{
    const struct pass *p = ctx;
    for (int64_t y = begin; y < end; y++) {
        struct window win = p->axis->windows[y];
        const double *w = p->axis->weights + (size_t)y * p->axis->stride;
        const float *in = (const float *)p->in + (size_t)(win.first - p->first_row) * p->out_width;
        float *out = (float *)p->out + (size_t)y * p->out_width;
        for (int x = 0; x < p->out_width; x++) {
            double sum = 0;
            for (int i = 0; i < win.n; i++) sum += in[(size_t)i * p->out_width + x] * w[i];
            out[x] = (float)sum;
        }
    }
}

static int check_box(const struct resample_box *b, int width, int height, struct err *e)
{
    if (b->left >= 0 && b->top >= 0 && b->right <= (float)width && b->bottom <= (float)height && b->right > b->left &&
        b->bottom > b->top)
        return 0;
    return fail(e, ERR_DATA, "resize: box (%g, %g, %g, %g) is empty or outside the image of %d x %d", (double)b->left,
                (double)b->top, (double)b->right, (double)b->bottom, width, height);
}

struct job {
    const void *in;
    void *out;
    int in_w, in_h, out_w, out_h;
    int channels; /* 0: float */
    enum resample_filter filter;
    struct resample_box box;
    int threads;
};

/* Columns first, and only the rows that the second pass reads; a pass that would change nothing is left out. */
static int run_passes(const struct job *j, struct arena *a, struct err *e)
{
    const struct resample_box *b = &j->box;
    bool need_x = j->out_w != j->in_w || b->left != 0 || b->right != (float)j->out_w;
    bool need_y = j->out_h != j->in_h || b->top != 0 || b->bottom != (float)j->out_h;
    size_t pixel = j->channels ? (size_t)j->channels : sizeof(float);
    struct axis x, y;
    TRY(axis_init(&x, a, j->in_w, j->out_w, b->left, b->right, j->filter, e));
    TRY(axis_init(&y, a, j->in_h, j->out_h, b->top, b->bottom, j->filter, e));
    if (j->channels) TRY(axis_fix(&x, a, e));
    if (j->channels) TRY(axis_fix(&y, a, e));
    struct window last = y.windows[j->out_h - 1];
    int first = need_y ? y.windows[0].first : 0, rows = need_y ? last.first + last.n - first : j->in_h;
    struct pass p = { &x, j->in, j->out, j->in_w, j->out_w, j->channels, first };
    if (need_x) {
        if (need_y) TRY_MEM(p.out = arena_array(a, (size_t)rows, (size_t)j->out_w * pixel), e);
        team_run(j->threads, rows, 8, j->channels ? across : across_float, &p);
        p.in = p.out;
    } else {
        p.first_row = 0;
    }
    p.axis = &y, p.out = j->out;
    if (need_y) team_run(j->threads, j->out_h, 8, j->channels ? down : down_float, &p);
    else if (!need_x) memcpy(j->out, j->in, (size_t)j->in_h * (size_t)j->in_w * pixel);
    return 0;
}

/* Source position of each of n output positions, -1 outside. Pillow adds up the steps; so the sum's error counts. */
static int *nearest_table(struct arena *a, int n, int n_in, float begin, float end)
{
    int *table = ARENA_ARRAY(a, n, int);
    double step = (double)(end - begin) / n, at = begin + step * 0.5;
    for (int i = 0; table && i < n; i++, at += step) table[i] = at >= 0 && (int)at < n_in ? (int)at : -1;
    return table;
}

int resample_nearest(void *out, int out_w, int out_h, const void *in, int in_w, int in_h, size_t size,
                     const struct resample_box *box, struct arena *a, struct err *e)
{
    struct resample_box b = box ? *box : (struct resample_box){ 0, 0, (float)in_w, (float)in_h };
    if (out_w < 1 || out_h < 1) return fail(e, ERR_DATA, "resize to %d x %d: sides must be positive", out_w, out_h);
    TRY(check_box(&b, in_w, in_h, e));
    int *xs = nearest_table(a, out_w, in_w, b.left, b.right), *ys = nearest_table(a, out_h, in_h, b.top, b.bottom);
    if (!xs || !ys) return fail_nomem(e);
    unsigned char *to = out;
    const unsigned char *from = in;
    for (int y = 0; y < out_h; y++)
        for (int x = 0; x < out_w; x++, to += size) {
            if (xs[x] < 0 || ys[y] < 0) memset(to, 0, size);
            else memcpy(to, from + ((size_t)ys[y] * (size_t)in_w + (size_t)xs[x]) * size, size);
        }
    return 0;
}

int image_resize(struct image *out, struct arena *a, const struct image *in, int64_t width, int64_t height,
                 enum resample_filter filter, const struct resample_box *box, int threads, struct err *e)
{
    struct resample_box b = box ? *box : (struct resample_box){ 0, 0, (float)in->width, (float)in->height };
    TRY(check_box(&b, in->width, in->height, e));
    if (in->bits != 8 && filter != RESAMPLE_NEAREST)
        return fail(e, ERR_UNSUPPORTED, "resize (%s) of 16-bit pixels: convert them to 8 bits first",
                    filters[filter].name);
    struct image img;
    TRY(image_new(&img, a, width, height, in->channels, in->bits, 0, e));
    if (filter == RESAMPLE_NEAREST) {
        TRY(resample_nearest(img.pixels, img.width, img.height, in->pixels, in->width, in->height,
                             (size_t)(in->channels * in->bits / 8), &b, a, e));
    } else {
        struct job j = { in->pixels, img.pixels, in->width, in->height, img.width, img.height,
                         in->channels, filter, b, threads };
        TRY(run_passes(&j, a, e));
    }
    img.palette = in->palette, img.n_palette = in->n_palette, img.orientation = in->orientation;
    *out = img;
    return 0;
}

int plane_resize(struct plane *out, struct arena *a, const struct plane *in, int width, int height,
                 enum resample_filter filter, const struct resample_box *box, int threads, struct err *e)
{
    struct resample_box b = box ? *box : (struct resample_box){ 0, 0, (float)in->width, (float)in->height };
    if (width < 1 || height < 1) return fail(e, ERR_DATA, "resize to %d x %d: sides must be positive", width, height);
    TRY(check_box(&b, in->width, in->height, e));
    struct plane result = { width, height, arena_array(a, (size_t)width * (size_t)height, sizeof(float)) };
    TRY_MEM(result.values, e);
    struct job j = { in->values, result.values, in->width, in->height, width, height, 0, filter, b, threads };
    if (filter == RESAMPLE_NEAREST)
        TRY(resample_nearest(result.values, width, height, in->values, in->width, in->height, sizeof(float), &b, a, e));
    else TRY(run_passes(&j, a, e));
    *out = result;
    return 0;
}
