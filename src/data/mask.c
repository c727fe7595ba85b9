/* mask.c - palettes, overlays and indexed images of label maps. */
#include "data/mask.h"

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/image.h"

void palette_voc(uint8_t palette[256 * 3])
{
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++) {
            int v = 0;
            for (int k = 0; k < 3; k++) v |= (i >> (3 * k + c) & 1) << (7 - k);
            palette[i * 3 + c] = (uint8_t)v;
        }
}

int mask_overlay(struct image *img, const int32_t *labels, const struct overlay *o, struct err *e)
{
    if (img->channels != 3 || img->bits != 8) return fail(e, ERR_DATA, "overlay: the image must be 8-bit RGB");
    if (o->n_colors < 1 || !(o->alpha >= 0 && o->alpha <= 1))
        return fail(e, ERR_USAGE, "overlay: needs a colour and alpha 0 .. 1, not %d and %g", o->n_colors,
                    (double)o->alpha);
    size_t n = (size_t)img->width * (size_t)img->height;
    for (size_t i = 0; i < n; i++) {
        int32_t label = labels[i];
        if (label < 0 || label == o->background || label == o->ignore) continue;
        const uint8_t *color = o->palette + (size_t)(label % o->n_colors) * 3;
        for (size_t c = 0; c < 3; c++) {
            uint8_t *p = img->pixels + i * 3 + c;
            *p = (uint8_t)((float)*p + o->alpha * (float)(color[c] - *p));
        }
    }
    return 0;
}

int mask_to_image(struct image *out, struct arena *a, const int32_t *labels, int width, int height,
                  const uint8_t *palette, struct err *e)
{
    uint8_t voc[256 * 3];
    struct image img;
    TRY(image_new(&img, a, width, height, 1, 8, 0, e));
    TRY_MEM(img.palette = arena_alloc(a, 256 * 4), e);
    img.n_palette = 256;
    if (!palette) palette_voc(voc), palette = voc;
    for (int i = 0; i < 256; i++) {
        for (int c = 0; c < 3; c++) img.palette[i * 4 + c] = palette[i * 3 + c];
        img.palette[i * 4 + 3] = 255;
    }
    size_t n = (size_t)width * (size_t)height;
    for (size_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] > 255)
            return fail(e, ERR_DATA, "label %d at pixel (%zu, %zu): an indexed PNG holds 0 .. 255", labels[i],
                        i % (size_t)width, i / (size_t)width);
        img.pixels[i] = (uint8_t)labels[i];
    }
    *out = img;
    return 0;
}
