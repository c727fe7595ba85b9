/* mask.h - label maps on their way back to the user: to the original size, onto the image, in colours. */
#ifndef TENREC_DATA_MASK_H
#define TENREC_DATA_MASK_H

#include <stdint.h>

struct arena;
struct err;
struct image;

/* 256 RGB colours of Pascal VOC: the bits of the label, three at a time, become red, green, blue from the highest bit
 * down. */
void palette_voc(uint8_t palette[256 * 3]);

/* Label maps are resized by resample_nearest() of resample.h, labels being bytes (1) or int32 (4). */

struct overlay {
    const uint8_t *palette; /* (n_colors, 3) RGB; labels beyond it begin again */
    int n_colors;
    float alpha;            /* weight of the colour, 0 .. 1 */
    int32_t background;     /* this label is left transparent; -1: none */
    int32_t ignore;         /* and this one */
};
/* Paints the labels (height, width) over an 8-bit RGB image, in place, rounding as Pillow's Image.blend does. */
int mask_overlay(struct image *img, const int32_t *labels, const struct overlay *o, struct err *e);
/* An indexed image of labels 0 .. 255 with a palette (NULL: palette_voc) for png_write(). Others are an error. */
int mask_to_image(struct image *out, struct arena *a, const int32_t *labels, int width, int height,
                  const uint8_t *palette, struct err *e);

#endif
