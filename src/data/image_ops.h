/* image_ops.h - what is done to an image between its decoder and the model, and its result's way back.
 *
 * Every operation makes a new image in the arena (pixels may be shared with the input when nothing changes) and is
 * bit
 * for bit equal to the reference named at it. Errors: ERR_DATA for sizes that cannot be, ERR_NOMEM.
 */
#ifndef TENREC_DATA_IMAGE_OPS_H
#define TENREC_DATA_IMAGE_OPS_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;
struct image;

/* The window of width x height whose corner is pixel (left, top) of `in`; outside of `in` it is `fill` (NULL: 0), one
 * value per channel. Crops (Pillow's Image.crop) and pads alike. */
int image_window(struct image *out, struct arena *a, const struct image *in, int64_t left, int64_t top, int64_t width,
                 int64_t height, const uint8_t *fill, struct err *e);
/* Where the window of center_crop begins along one side; below 0: it is larger than the image. */
int64_t image_center(int64_t have, int64_t want);
/* torchvision.transforms.functional.center_crop: pads with 0 where the crop is larger. */
int image_center_crop(struct image *out, struct arena *a, const struct image *in, int width, int height,
                      struct err *e);

struct extent {
    int64_t width, height;
};
/* torchvision's Resize(size, max_size): the shorter side becomes `size`, the longer int(size * long / short);
 * max_size
 * 0: none, else neither exceeds it. */
struct extent extent_shortest_edge(struct extent in, int64_t size, int64_t max_size);
/* The longer side becomes `size`, the shorter size * short / long, down or to nearest (half to even), at least 1. */
struct extent extent_longest_edge(struct extent in, int64_t size, bool round);

/* Where an image lies in a letterbox; boxes go back by x' = (x - left) / scale. */
struct letterbox {
    int64_t left, top;            /* first pixel of the image in the result */
    int64_t width, height;        /* of the scaled image */
    int64_t out_width, out_height;
    double scale;                 /* result pixels per source pixel */
};
/* The rule of YOLO's letterbox: scale = min over the sides (at most 1 unless `grow`), sides rounded half to even, the
 * odd pixel of padding right and below; or, not `center`ed, everything right and below. */
struct letterbox letterbox_fit(struct extent in, struct extent out, bool grow, bool center);

/* A pixel of an RGB image of 8 bits; nothing where it lies outside. */
void image_dot(struct image *img, int64_t x, int64_t y, const uint8_t color[3]);
/* The frame of a box (left, top, right, bottom), one pixel wide, cut off at the sides of the image. */
void image_frame(struct image *img, const double box[4], const uint8_t color[3]);

#endif
