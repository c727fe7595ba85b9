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

size_t image_row_bytes(const struct image *img)
{
    return (size_t)img->width * (size_t)(img->channels * img->bits / 8);
}

typedef int decode_fn(struct image *, struct arena *, struct bytes, const struct image_options *, struct err *);

static const struct {
    enum image_format format;
    const char *magic;
    size_t len;
    decode_fn *decode;
} formats[] = {
    { IMAGE_JPEG, "\xff\xd8\xff", 3, jpeg_decode },
    { IMAGE_PNG, "\x89PNG\r\n\x1a\n", 8, png_decode },
};
#define N_FORMATS (sizeof formats / sizeof formats[0])

static size_t find(struct bytes in)
{
    size_t i = 0;
    while (i < N_FORMATS && (in.len < formats[i].len || memcmp(in.data, formats[i].magic, formats[i].len))) i++;
    return i;
}

enum image_format image_recognize(struct bytes in)
{
    size_t i = find(in);
    return i < N_FORMATS ? formats[i].format : IMAGE_UNKNOWN;
}

int image_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e)
{
    size_t i = find(in);
    if (i < N_FORMATS) return formats[i].decode(out, a, in, o, e);
    if (!in.len) return fail(e, ERR_DATA, "empty file");
    return fail(e, ERR_DATA, "neither JPEG nor PNG by its first bytes: convert it");
}
