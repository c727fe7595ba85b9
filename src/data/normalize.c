/* normalize.c - pixels to float32 by one table per channel: there are but 256 values, and each is computed once. */
#include "data/normalize.h"

#include <stddef.h>

#include "base/err.h"
#include "enc/image.h"

static float rescale(int value, const struct normalization *n)
{
    float x = (float)value;
    switch (n->rescale) {
    case RESCALE_DIVIDE: return x / (float)n->factor;
    case RESCALE_MULTIPLY: return (float)((double)value * n->factor);
    case RESCALE_MULTIPLY_FLOAT: return x * (float)n->factor;
    default: return x;
    }
}

static void fill_table(float table[256], const struct normalization *n, int channel)
{
    for (int i = 0; i < 256; i++) {
        float x = rescale(i, n);
        if (n->has_mean) x = x - (float)n->mean[channel];
        if (n->has_std) x = x / (float)n->std[channel];
        if (n->scale != 0) x = x * (float)n->scale;
        table[i] = x;
    }
}

int image_normalize(float *out, const struct image *img, const struct normalization *n, bool planar, struct err *e)
{
    if (img->bits != 8) return fail(e, ERR_DATA, "normalize: pixels have %d bits, 8 are needed", img->bits);
    size_t pixels = (size_t)img->width * (size_t)img->height, channels = (size_t)img->channels;
    for (size_t c = 0; c < channels; c++) {
        if (n->has_std && (float)n->std[c] == 0.0f) return fail(e, ERR_USAGE, "normalize: std of channel %zu is 0", c);
        float table[256];
        fill_table(table, n, (int)c);
        float *to = out + (planar ? c * pixels : c);
        size_t step = planar ? 1 : channels;
        const uint8_t *from = img->pixels + c;
        for (size_t i = 0; i < pixels; i++) to[i * step] = table[from[i * channels]];
    }
    return 0;
}
