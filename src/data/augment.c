/* augment.c - moving and colouring pixels at random. */
#include "data/augment.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/rng.h"
#include "data/hue.h"
#include "enc/image.h"

#define PI 3.14159265358979323846

double draw_uniform(const struct draws *d, enum stream s)
{
    return rng_uniform(d->seed, d->epoch << 8 | s, d->sample);
}

double draw_signed(const struct draws *d, enum stream s)
{
    return 2 * draw_uniform(d, s) - 1;
}

static bool moves(const struct augment *g)
{
    return g->flip_h > 0 || g->flip_v > 0 || g->crop_scale < 1 || g->degrees > 0 || g->translate > 0 || g->scale > 0 ||
        g->shear > 0 || g->perspective > 0;
}

bool augment_any(const struct augment *g)
{
    return moves(g) || g->brightness > 0 || g->contrast > 0 || g->saturation > 0 || g->hue > 0 || g->noise > 0 ||
        g->blur > 0 || g->cutout > 0;
}

int augment_check(const struct augment *g, struct err *e)
{
    const struct {
        const char *name;
        double value, min, max;
    } rows[] = { { "flip_h", g->flip_h, 0, 1 }, { "flip_v", g->flip_v, 0, 1 }, { "crop_scale", g->crop_scale, 0.01, 1 },
        { "crop_ratio", g->crop_ratio, 1, 10 }, { "degrees", g->degrees, 0, 180 }, { "translate", g->translate, 0, 1 },
        { "scale", g->scale, 0, 0.95 }, { "shear", g->shear, 0, 80 }, { "perspective", g->perspective, 0, 0.4 },
        { "brightness", g->brightness, 0, 1 }, { "contrast", g->contrast, 0, 1 }, { "saturation", g->saturation, 0, 1 },
        { "hue", g->hue, 0, 0.5 }, { "noise", g->noise, 0, 1 }, { "blur", g->blur, 0, 50 },
        { "cutout", g->cutout, 0, 1 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!(rows[i].value >= rows[i].min && rows[i].value <= rows[i].max))
            return fail(
                e, ERR_USAGE, "%s: %g is not between %g and %g", rows[i].name, rows[i].value, rows[i].min, rows[i].max);
    return 0;
}

/* A projective map of the plane; (x, y, 1) is multiplied from the right. */
struct map3 {
    double m[3][3];
};

static struct map3 product(struct map3 a, struct map3 b)
{
    struct map3 r;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) r.m[i][j] = a.m[i][0] * b.m[0][j] + a.m[i][1] * b.m[1][j] + a.m[i][2] * b.m[2][j];
    return r;
}

static struct map3 affine(double a, double b, double c, double d, double x, double y)
{
    return (struct map3){ { { a, b, x }, { c, d, y }, { 0, 0, 1 } } };
}

/* From a place in the result to the place in the image it shows, both from -1 to 1 along each side. `aspect` is width
 * by height, so that turning does not squeeze. As torchvision's RandomResizedCrop and RandomAffine draw. */
static struct map3 movement(const struct augment *g, const struct draws *d, double aspect)
{
    struct map3 m = affine(1, 0, 0, 1, 0, 0);
    if (g->crop_scale < 1) {
        double area = g->crop_scale + (1 - g->crop_scale) * draw_uniform(d, STREAM_CROP);
        double ratio = exp(log(g->crop_ratio) * draw_signed(d, STREAM_CROP_RATIO));
        double w = fmin(sqrt(area * ratio), 1), h = fmin(sqrt(area / ratio), 1);
        double x = (1 - w) * draw_signed(d, STREAM_CROP_X), y = (1 - h) * draw_signed(d, STREAM_CROP_Y);
        m = affine(w, 0, 0, h, x, y);
    }
    double angle = g->degrees * PI / 180 * draw_signed(d, STREAM_ANGLE);
    double zoom = 1 / (1 + g->scale * draw_signed(d, STREAM_SCALE)), c = zoom * cos(angle), s = zoom * sin(angle);
    double tx = tan(g->shear * PI / 180 * draw_signed(d, STREAM_SHEAR_X));
    double ty = tan(g->shear * PI / 180 * draw_signed(d, STREAM_SHEAR_Y));
    struct map3 turn = product(affine(c, -s, s, c, 0, 0), affine(1, tx, ty, 1, 0, 0));
    turn = product(affine(1 / aspect, 0, 0, 1, 0, 0), product(turn, affine(aspect, 0, 0, 1, 0, 0)));
    turn.m[0][2] += 2 * g->translate * draw_signed(d, STREAM_MOVE_X);
    turn.m[1][2] += 2 * g->translate * draw_signed(d, STREAM_MOVE_Y);
    turn.m[2][0] = g->perspective * draw_signed(d, STREAM_CORNERS);
    turn.m[2][1] = g->perspective * draw_signed(d, (enum stream)(STREAM_CORNERS + 1));
    m = product(m, turn);
    double fx = draw_uniform(d, STREAM_FLIP_H) < g->flip_h ? -1 : 1;
    double fy = draw_uniform(d, STREAM_FLIP_V) < g->flip_v ? -1 : 1;
    return product(m, affine(fx, 0, 0, fy, 0, 0));
}

/* The map between pixels: centres of pixels lie at halves. */
static struct map3 between_pixels(struct map3 m, int width, int height)
{
    struct map3 to = affine(2.0 / width, 0, 0, 2.0 / height, 1.0 / width - 1, 1.0 / height - 1);
    struct map3 back = affine(width / 2.0, 0, 0, height / 2.0, width / 2.0 - 0.5, height / 2.0 - 0.5);
    return product(back, product(m, to));
}

static void place(const struct map3 *m, int x, int y, double *fx, double *fy)
{
    double w = m->m[2][0] * x + m->m[2][1] * y + m->m[2][2];
    *fx = (m->m[0][0] * x + m->m[0][1] * y + m->m[0][2]) / w;
    *fy = (m->m[1][0] * x + m->m[1][1] * y + m->m[1][2]) / w;
    if (!(w > 1e-6)) *fx = *fy = -2; /* behind the horizon */
}

static double pixel(const struct image *img, int64_t x, int64_t y, int c)
{
    if (x < 0 || y < 0 || x >= img->width || y >= img->height) return 0;
    return img->pixels[((size_t)y * (size_t)img->width + (size_t)x) * (size_t)img->channels + (size_t)c];
}

static int warp(struct image *img, struct arena *a, const struct map3 *m, struct err *e)
{
    struct image out;
    TRY(image_new(&out, a, img->width, img->height, img->channels, 8, 0, e));
    uint8_t *to = out.pixels;
    for (int y = 0; y < img->height; y++) {
        for (int x = 0; x < img->width; x++) {
            double fx, fy;
            place(m, x, y, &fx, &fy);
            bool far = !(fx > -1 && fy > -1 && fx < img->width && fy < img->height);
            int64_t x0 = far ? 0 : (int64_t)floor(fx), y0 = far ? 0 : (int64_t)floor(fy);
            double wx = fx - (double)x0, wy = fy - (double)y0;
            for (int c = 0; c < img->channels; c++) {
                double above = pixel(img, x0, y0, c) * (1 - wx) + pixel(img, x0 + 1, y0, c) * wx;
                double below = pixel(img, x0, y0 + 1, c) * (1 - wx) + pixel(img, x0 + 1, y0 + 1, c) * wx;
                *to++ = far ? 0 : (uint8_t)(above * (1 - wy) + below * wy + 0.5);
            }
        }
    }
    *img = out;
    return 0;
}

static int warp_labels(struct image *mask, struct arena *a, const struct map3 *m, uint8_t outside, struct err *e)
{
    struct image out;
    TRY(image_new(&out, a, mask->width, mask->height, 1, 8, 0, e));
    uint8_t *to = out.pixels;
    for (int y = 0; y < mask->height; y++) {
        for (int x = 0; x < mask->width; x++) {
            double fx, fy;
            place(m, x, y, &fx, &fy);
            fx = floor(fx + 0.5), fy = floor(fy + 0.5);
            bool in = fx >= 0 && fy >= 0 && fx < mask->width && fy < mask->height;
            *to++ = in ? mask->pixels[(size_t)fy * (size_t)mask->width + (size_t)fx] : outside;
        }
    }
    *mask = out;
    return 0;
}

static uint8_t to_byte(double v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5);
}

static double gray(const double *rgb)
{
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
}

static double mean_gray(const struct image *img)
{
    double sum = 0;
    size_t n = (size_t)img->width * (size_t)img->height;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = img->pixels + i * (size_t)img->channels;
        double v[3] = { p[0], img->channels >= 3 ? p[1] : p[0], img->channels >= 3 ? p[2] : p[0] };
        sum += gray(v);
    }
    return sum / (double)n;
}

static void recolour(const struct augment *g, const struct draws *d, struct image *img)
{
    double light = 1 + g->brightness * draw_signed(d, STREAM_BRIGHTNESS);
    double contrast = 1 + g->contrast * draw_signed(d, STREAM_CONTRAST);
    double colour = 1 + g->saturation * draw_signed(d, STREAM_SATURATION), hue = g->hue * draw_signed(d, STREAM_HUE);
    double mean = light * mean_gray(img);
    size_t n = (size_t)img->width * (size_t)img->height;
    int channels = img->channels >= 3 ? 3 : 1; /* alpha stays */
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = img->pixels + i * (size_t)img->channels;
        double v[3];
        for (int c = 0; c < channels; c++) v[c] = mean + (light * p[c] - mean) * contrast;
        if (channels == 3) {
            double base = gray(v);
            for (int c = 0; c < 3; c++) v[c] = base + (v[c] - base) * colour;
        }
        for (int c = 0; c < channels; c++) p[c] = to_byte(v[c]);
        if (channels == 3 && g->hue > 0) hue_turn(p, hue);
    }
}

/* One direction of a Gaussian blur; pixels beyond the edge are as the edge. */
static void blur_lines(uint8_t *to, const uint8_t *from, int lines, int length, size_t line_step, size_t step,
    const double *weight, int radius)
{
    for (int l = 0; l < lines; l++) {
        for (int i = 0; i < length; i++) {
            double sum = 0;
            for (int k = -radius; k <= radius; k++) {
                int at = i + k < 0 ? 0 : i + k >= length ? length - 1 : i + k;
                sum += weight[k + radius] * from[(size_t)l * line_step + (size_t)at * step];
            }
            to[(size_t)l * line_step + (size_t)i * step] = to_byte(sum);
        }
    }
}

static int blur(struct image *img, struct arena *a, double sigma, struct err *e)
{
    int radius = (int)ceil(3 * sigma);
    struct image half, out;
    double sum = 0, *weight = ARENA_ARRAY(a, 2 * radius + 1, double);
    TRY_MEM(weight, e);
    TRY(image_new(&half, a, img->width, img->height, img->channels, 8, 0, e));
    TRY(image_new(&out, a, img->width, img->height, img->channels, 8, 0, e));
    for (int k = -radius; k <= radius; k++) sum += weight[k + radius] = exp(-k * k / (2 * sigma * sigma));
    for (int k = 0; k <= 2 * radius; k++) weight[k] /= sum;
    size_t px = (size_t)img->channels, row = px * (size_t)img->width;
    for (size_t c = 0; c < px; c++) {
        blur_lines(half.pixels + c, img->pixels + c, img->height, img->width, row, px, weight, radius);
        blur_lines(out.pixels + c, half.pixels + c, img->width, img->height, px, row, weight, radius);
    }
    *img = out;
    return 0;
}

static void add_noise(const struct augment *g, const struct draws *d, struct image *img)
{
    size_t n = (size_t)img->width * (size_t)img->height * (size_t)img->channels;
    uint64_t key = d->seed ^ (uint64_t)(draw_uniform(d, STREAM_NOISE) * 0x1p53);
    for (size_t i = 0; i < n; i++)
        img->pixels[i] = to_byte(img->pixels[i] + 255 * g->noise * rng_normal(key, d->sample, i));
}

static void cut_out(const struct augment *g, const struct draws *d, struct image *img)
{
    int w = (int)(g->cutout * img->width), h = (int)(g->cutout * img->height);
    int left = (int)(draw_uniform(d, STREAM_CUT_X) * img->width) - w / 2;
    int top = (int)(draw_uniform(d, STREAM_CUT_Y) * img->height) - h / 2;
    for (int y = top < 0 ? 0 : top; y < top + h && y < img->height; y++) {
        int x = left < 0 ? 0 : left, end = left + w < img->width ? left + w : img->width;
        size_t px = (size_t)img->channels;
        if (x < end) memset(img->pixels + ((size_t)y * (size_t)img->width + (size_t)x) * px, 0, (size_t)(end - x) * px);
    }
}

static int own_pixels(struct image *img, struct arena *a, struct err *e)
{
    struct image copy;
    TRY(image_new(&copy, a, img->width, img->height, img->channels, 8, 0, e));
    memcpy(copy.pixels, img->pixels, image_row_bytes(img) * (size_t)img->height);
    *img = copy;
    return 0;
}

int augment_image(const struct augment *g, const struct draws *d, struct arena *a, struct image *img,
    struct image *mask, uint8_t outside, struct err *e)
{
    if (img->bits != 8) return fail(e, ERR_DATA, "an image of %d bits cannot be augmented", img->bits);
    if (moves(g)) {
        struct map3 m = movement(g, d, (double)img->width / img->height);
        struct map3 pixels = between_pixels(m, img->width, img->height);
        TRY(warp(img, a, &pixels, e));
        if (mask) TRY(warp_labels(mask, a, &pixels, outside, e));
    } else TRY(own_pixels(img, a, e)); /* a table's own pixels must stay as they are */
    if (g->brightness > 0 || g->contrast > 0 || g->saturation > 0 || g->hue > 0) recolour(g, d, img);
    double sigma = g->blur * draw_uniform(d, STREAM_BLUR);
    if (sigma > 0.1) TRY(blur(img, a, sigma, e));
    if (g->noise > 0) add_noise(g, d, img);
    if (g->cutout > 0) cut_out(g, d, img);
    return 0;
}
