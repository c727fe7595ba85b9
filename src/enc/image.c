/* image.c - recognises an image by its content and hands it to its decoder; allocates images. */
#include "enc/image.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"

int image_new(struct image *img, struct arena *a, int64_t width, int64_t height, int channels, int bits,
              uint64_t max_pixels, struct err *e)
{
    uint64_t limit = max_pixels ? max_pixels : IMAGE_MAX_PIXELS, n;
    if (width < 1 || height < 1 || width > INT32_MAX || height > INT32_MAX)
        return fail(e, ERR_DATA, "image of %lld x %lld: each side must be 1 .. 2147483647", (long long)width,
                    (long long)height);
    if (__builtin_mul_overflow((uint64_t)width, (uint64_t)height, &n) || n > limit)
        return fail(e, ERR_DATA, "image of %lld x %lld has more than %llu pixels: raise the limit to use it",
                    (long long)width, (long long)height, (unsigned long long)limit);
    if (__builtin_mul_overflow(n, (uint64_t)channels * (unsigned)bits / 8, &n) || n > SIZE_MAX) return fail_nomem(e);
    *img = (struct image){ (int)width, (int)height, channels, bits, arena_alloc(a, (size_t)n), .orientation = 1 };
    TRY_MEM(img->pixels, e);
    return 0;
}

int image_expand_palette(struct image *img, struct arena *a, uint64_t max_pixels, struct err *e)
{
    int channels = 3;
    for (int i = 0; i < img->n_palette; i++)
        if (img->palette[i * 4 + 3] != 255) channels = 4;
    struct image out = { img->width, img->height, channels, 8 };
    if (img->pixels) TRY(image_new(&out, a, img->width, img->height, channels, 8, max_pixels, e));
    size_t n = img->pixels ? (size_t)img->width * (size_t)img->height : 0;
    for (size_t i = 0; i < n; i++) memcpy(out.pixels + i * channels, img->palette + img->pixels[i] * 4, channels);
    out.orientation = img->orientation, out.warnings = img->warnings;
    *img = out;
    return 0;
}

size_t image_row_bytes(const struct image *img)
{
    return (size_t)img->width * (size_t)(img->channels * img->bits / 8);
}

typedef int decode_fn(struct image *, struct arena *, struct bytes, const struct image_options *, struct err *);

static const struct {
    enum image_format format;
    const char *magic; /* '?' fits any byte */
    size_t len;
    decode_fn *decode;
} formats[] = {
    { IMAGE_JPEG, "\xff\xd8\xff", 3, jpeg_decode },
    { IMAGE_PNG, "\x89PNG\r\n\x1a\n", 8, png_decode },
    { IMAGE_WEBP, "RIFF????WEBP", 12, webp_decode },
    { IMAGE_GIF, "GIF8?a", 6, gif_decode },
    { IMAGE_TIFF, "II*\0", 4, tiff_decode },
    { IMAGE_TIFF, "MM\0*", 4, tiff_decode },
    { IMAGE_TIFF, "II+\0\b\0\0\0", 8, tiff_decode },
    { IMAGE_TIFF, "MM\0+\0\b\0\0", 8, tiff_decode },
    { IMAGE_BMP, "BM????\0\0\0\0", 10, bmp_decode },
    { IMAGE_PNM, "P1", 2, pnm_decode },
    { IMAGE_PNM, "P2", 2, pnm_decode },
    { IMAGE_PNM, "P3", 2, pnm_decode },
    { IMAGE_PNM, "P4", 2, pnm_decode },
    { IMAGE_PNM, "P5", 2, pnm_decode },
    { IMAGE_PNM, "P6", 2, pnm_decode },
    { IMAGE_JPEG2000, "\0\0\0\fjP  \r\n\x87\n", 12, jpeg2000_decode },
    { IMAGE_JPEG2000, "\xff\x4f\xff\x51", 4, jpeg2000_decode },
};
#define N_FORMATS (sizeof formats / sizeof formats[0])

static bool begins(struct bytes in, const char *magic, size_t len)
{
    if (in.len <= len) return false;
    for (size_t i = 0; i < len; i++)
        if (magic[i] != '?' && in.data[i] != (unsigned char)magic[i]) return false;
    return magic[0] != 'P' || strchr(" \t\r\n#", in.data[2]); /* two letters alone are no proof */
}

static size_t find(struct bytes in)
{
    size_t i = 0;
    while (i < N_FORMATS && !begins(in, formats[i].magic, formats[i].len)) i++;
    return i;
}

enum image_format image_recognize(struct bytes in)
{
    size_t i = find(in);
    return i < N_FORMATS ? formats[i].format : IMAGE_UNKNOWN;
}

const char *image_format_name(enum image_format f)
{
    static const char *const names[] = { "unknown", "JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP", "PNM", "JPEG 2000" };
    return names[f];
}

int image_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e)
{
    static const struct image_options defaults = { 0 };
    size_t i = find(in);
    if (i < N_FORMATS) {
        TRY(formats[i].decode(out, a, in, o ? o : &defaults, e));
        bool empty = out->width < 1 || out->height < 1; /* refused before, unless only the header was read */
        return empty ? fail(e, ERR_DATA, "image of %d x %d: each side must be at least 1", out->width, out->height) : 0;
    }
    if (!in.len) return fail(e, ERR_DATA, "empty file");
    return fail(
        e, ERR_DATA, "no image by its first bytes: JPEG, JPEG 2000, PNG, WebP, TIFF, GIF, BMP and PNM can be read");
}
