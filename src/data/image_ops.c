/* image_ops.c - windows (crops and pads) and the arithmetic of target sizes. */
#include "data/image_ops.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/image.h"

static size_t pixel_bytes(const struct image *img)
{
    return (size_t)(img->channels * img->bits / 8);
}

/* A black image with everything of `in` but its size and pixels. */
static int like(struct image *out, struct arena *a, const struct image *in, int64_t width, int64_t height,
                struct err *e)
{
    struct image img;
    TRY(image_new(&img, a, width, height, in->channels, in->bits, 0, e));
    struct image made = *in;
    made.width = img.width, made.height = img.height, made.pixels = img.pixels;
    *out = made;
    return 0;
}

static void fill_image(struct image *img, const uint8_t *fill)
{
    size_t n = (size_t)img->width * (size_t)img->height;
    uint16_t *wide = (uint16_t *)(void *)img->pixels;
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < img->channels; c++) {
            if (img->bits == 16) *wide++ = fill[c];
            else img->pixels[i * (size_t)img->channels + (size_t)c] = fill[c];
        }
}

int image_window(struct image *out, struct arena *a, const struct image *in, int64_t left, int64_t top, int64_t width,
                 int64_t height, const uint8_t *fill, struct err *e)
{
    struct image img;
    TRY(like(&img, a, in, width, height, e));
    if (fill) fill_image(&img, fill);
    /* the part of the window that lies inside, in source pixels */
    int64_t x0 = left > 0 ? left : 0, y0 = top > 0 ? top : 0, x1, y1;
    if (__builtin_add_overflow(left, width, &x1) || x1 > in->width) x1 = in->width;
    if (__builtin_add_overflow(top, height, &y1) || y1 > in->height) y1 = in->height;
    size_t px = pixel_bytes(in), from_row = image_row_bytes(in), to_row = image_row_bytes(&img);
    for (int64_t y = y0; x0 < x1 && y < y1; y++)
        memcpy(img.pixels + (size_t)(y - top) * to_row + (size_t)(x0 - left) * px,
               in->pixels + (size_t)y * from_row + (size_t)x0 * px, (size_t)(x1 - x0) * px);
    *out = img;
    return 0;
}

/* Python's round(): half to even. The default rounding mode is assumed, as everywhere. */
static int64_t round_even(double x)
{
    return (int64_t)nearbyint(x);
}

int64_t image_center(int64_t have, int64_t want)
{
    return want > have ? -((want - have) / 2) : round_even((double)(have - want) / 2.0);
}

int image_center_crop(struct image *out, struct arena *a, const struct image *in, int width, int height,
                      struct err *e)
{
    return image_window(
        out, a, in, image_center(in->width, width), image_center(in->height, height), width, height, NULL, e);
}

/* a * b / c as a real number: exact up to the division, as in Python, for products below 2^53. */
static double scaled(int64_t a, int64_t b, int64_t c)
{
    double x = (double)a * (double)b / (double)c;
    return x < 1e15 ? x : 1e15; /* far beyond what image_new() accepts */
}

static struct extent sides(struct extent like_this, int64_t shorter, int64_t longer)
{
    if (shorter < 1) shorter = 1;
    return like_this.width > like_this.height ? (struct extent){ longer, shorter } : (struct extent){ shorter, longer };
}

struct extent extent_shortest_edge(struct extent in, int64_t size, int64_t max_size)
{
    int64_t shorter = in.width > in.height ? in.height : in.width, longer = in.width + in.height - shorter;
    int64_t to_long = (int64_t)scaled(size, longer, shorter);
    if (!max_size || to_long <= max_size) return sides(in, size, to_long);
    return sides(in, (int64_t)scaled(max_size, size, to_long), max_size);
}

struct extent extent_longest_edge(struct extent in, int64_t size, bool round)
{
    int64_t shorter = in.width > in.height ? in.height : in.width, longer = in.width + in.height - shorter;
    double exact = scaled(size, shorter, longer);
    return sides(in, round ? round_even(exact) : (int64_t)exact, size);
}

struct letterbox letterbox_fit(struct extent in, struct extent out, bool grow, bool center_it)
{
    double x = (double)out.width / (double)in.width, y = (double)out.height / (double)in.height;
    double scale = x < y ? x : y;
    if (!grow && scale > 1) scale = 1;
    struct letterbox l = { .out_width = out.width, .out_height = out.height, .scale = scale };
    l.width = round_even((double)in.width * scale), l.height = round_even((double)in.height * scale);
    if (l.width < 1) l.width = 1;
    if (l.height < 1) l.height = 1;
    if (center_it) l.left = (out.width - l.width) / 2, l.top = (out.height - l.height) / 2;
    return l;
}

void image_dot(struct image *img, int64_t x, int64_t y, const uint8_t color[3])
{
    if (x < 0 || y < 0 || x >= img->width || y >= img->height) return;
    memcpy(img->pixels + ((size_t)y * (size_t)img->width + (size_t)x) * 3, color, 3);
}

void image_frame(struct image *img, const double box[4], const uint8_t color[3])
{
    int64_t at[4];
    for (int i = 0; i < 4; i++) at[i] = (int64_t)fmin(fmax(box[i], 0), i & 1 ? img->height - 1 : img->width - 1);
    for (int64_t x = at[0]; x <= at[2]; x++) image_dot(img, x, at[1], color), image_dot(img, x, at[3], color);
    for (int64_t y = at[1]; y <= at[3]; y++) image_dot(img, at[0], y, color), image_dot(img, at[2], y, color);
}
