/* augment.h - random changes of images for training, on pixels, image and mask together.
 *
 * Every draw is a pure function of (seed, epoch, sample, what it is for), so neither threads nor a resume change it.
 * All that moves pixels is composed into one perspective map, and the image is sampled once.
 */
#ifndef TENREC_DATA_AUGMENT_H
#define TENREC_DATA_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;
struct image;

/* Strengths; 0 (crop_scale: 1) is none at all. */
struct augment {
    double flip_h, flip_v;                        /* probabilities */
    double crop_scale, crop_ratio;                /* smallest share of the area, largest aspect ratio of a crop */
    double degrees, translate, scale, shear;      /* up to: angle, share of sides, share, angle */
    double perspective;                           /* corners move by up to this share of the sides */
    double brightness, contrast, saturation, hue; /* up to this share more or less; hue: of the circle */
    double noise, blur, cutout;                   /* deviation in shares of white; radius; side as a share */
};
enum stream {
    STREAM_ORDER,
    STREAM_FLIP_H,
    STREAM_FLIP_V,
    STREAM_CROP,
    STREAM_CROP_RATIO,
    STREAM_CROP_X,
    STREAM_CROP_Y,
    STREAM_ANGLE,
    STREAM_MOVE_X,
    STREAM_MOVE_Y,
    STREAM_SCALE,
    STREAM_SHEAR_X,
    STREAM_SHEAR_Y,
    STREAM_CORNERS,
    STREAM_BRIGHTNESS = STREAM_CORNERS + 2,
    STREAM_CONTRAST,
    STREAM_SATURATION,
    STREAM_HUE,
    STREAM_NOISE,
    STREAM_BLUR,
    STREAM_CUT_X,
    STREAM_CUT_Y,
    STREAM_MIX, /* and the one behind it: of a batch, not of a sample */
};
struct draws {
    uint64_t seed, epoch, sample;
};
double draw_uniform(const struct draws *d, enum stream s); /* [0, 1) */
double draw_signed(const struct draws *d, enum stream s);  /* [-1, 1) */

bool augment_any(const struct augment *g);
/* ERR_USAGE names the strength that cannot be. */
int augment_check(const struct augment *g, struct err *e);
/* Changes an 8-bit image in place (its pixels may be replaced by others in the arena), and its mask (one channel; NULL:
 * none) by the same movements; what comes from outside the mask is `outside`, of the image black. */
int augment_image(const struct augment *g, const struct draws *d, struct arena *a, struct image *img,
    struct image *mask, uint8_t outside, struct err *e);

#endif
