/* image_convert.c - from any decoded image to 8-bit gray, RGB, BGR or RGBA, by Pillow's rules. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/image.h"

/* The channels of pixel i of 8 or 16 bits, as they are. */
static void load(const struct image *img, size_t i, unsigned v[4])
{
    const uint16_t *wide = (const uint16_t *)(const void *)img->pixels;
    size_t n = (size_t)img->channels;
    for (size_t c = 0; c < n; c++) v[c] = img->bits == 16 ? wide[i * n + c] : img->pixels[i * n + c];
}

static bool is_key(const struct image *img, const unsigned v[4])
{
    if (!img->has_key || img->channels % 2 == 0) return false;
    for (int c = 0; c < img->channels; c++)
        if (v[c] != img->key[c]) return false;
    return true;
}

/* Pixel i as 8-bit RGBA. */
static void load_rgba(const struct image *img, size_t i, uint8_t rgba[4])
{
    unsigned v[4] = { 0 };
    load(img, i, v);
    if (img->palette) {
        memcpy(rgba, img->palette + (v[0] & 255) * 4, 4);
        return;
    }
    bool opaque = !is_key(img, v);
    bool clip = img->channels == 1; /* else the high byte */
    if (img->bits == 16)
        for (int c = 0; c < img->channels; c++) v[c] = !clip ? v[c] >> 8 : v[c] > 255 ? 255 : v[c];
    bool color = img->channels >= 3;
    for (int c = 0; c < 3; c++) rgba[c] = (uint8_t)v[color ? c : 0];
    rgba[3] = (uint8_t)(img->channels % 2 ? opaque * 255 : (int)v[img->channels - 1]);
}

static uint8_t luma(const uint8_t *rgb)
{
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

static void store(uint8_t *to, const uint8_t *rgba, enum image_color color)
{
    switch (color) {
    case IMAGE_GRAY: to[0] = luma(rgba); break;
    case IMAGE_BGR: to[0] = rgba[2], to[1] = rgba[1], to[2] = rgba[0]; break;
    case IMAGE_RGBA: memcpy(to, rgba, 4); break;
    default: memcpy(to, rgba, 3);
    }
}

static const int channels_of[N_IMAGE_COLORS] = { [IMAGE_GRAY] = 1, [IMAGE_RGB] = 3, [IMAGE_BGR] = 3, [IMAGE_RGBA] = 4 };

int image_convert(struct image *out, struct arena *a, const struct image *in, enum image_color color, struct err *e)
{
    int channels = channels_of[color];
    if (in->bits == 8 && in->channels == channels && !in->palette && color != IMAGE_BGR) {
        *out = *in;
        out->has_key = false;
        return 0;
    }
    struct image img;
    TRY(image_new(&img, a, in->width, in->height, channels, 8, UINT64_MAX, e));
    size_t n = (size_t)in->width * (size_t)in->height;
    for (size_t i = 0; i < n; i++) {
        uint8_t rgba[4];
        load_rgba(in, i, rgba);
        store(img.pixels + i * (size_t)channels, rgba, color);
    }
    img.orientation = in->orientation, img.warnings = in->warnings;
    *out = img;
    return 0;
}

int image_to_8bit(struct image *out, struct arena *a, const struct image *in, struct err *e)
{
    struct image img = *in;
    if (in->bits == 16) {
        TRY(image_new(&img, a, in->width, in->height, in->channels, 8, UINT64_MAX, e));
        img.orientation = in->orientation, img.warnings = in->warnings;
        const uint16_t *wide = (const uint16_t *)(const void *)in->pixels;
        size_t n = (size_t)in->width * (size_t)in->height * (size_t)in->channels;
        for (size_t i = 0; i < n; i++) img.pixels[i] = (uint8_t)(wide[i] >> 8);
    }
    *out = img;
    return 0;
}

void image_swap_red_blue(struct image *img)
{
    if (img->channels < 3 || img->bits != 8) return;
    size_t n = (size_t)img->width * (size_t)img->height, step = (size_t)img->channels;
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = img->pixels + i * step, red = p[0];
        p[0] = p[2], p[2] = red;
    }
}
