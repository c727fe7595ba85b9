/* normalize.h - the last step of preprocessing: 8-bit pixels to the float32 values that a model reads. */
#ifndef TENREC_DATA_NORMALIZE_H
#define TENREC_DATA_NORMALIZE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct image;

/* Frameworks scale by 1/255 in three ways that differ in the last bit. */
enum rescale {
    RESCALE_NONE,
    RESCALE_DIVIDE,         /* (float)x / (float)factor: torchvision ToTensor (255), Keras (127.5) */
    RESCALE_MULTIPLY,       /* (float)((double)x * factor): Hugging Face image processors (numpy) */
    RESCALE_MULTIPLY_FLOAT, /* (float)x * (float)factor: TensorFlow, the Keras Rescaling layer */
};

struct normalization {
    enum rescale rescale;
    double factor;
    bool has_mean, has_std;
    double mean[4], std[4]; /* (x - mean) / std in float32, per channel: torchvision's Normalize */
    double scale;           /* and times this, as Caffe has it; 0: nothing */
};

/* out is (channels, height, width) when `planar`, else (height, width, channels). Errors: ERR_DATA for 16 bits,
 * ERR_USAGE for a zero std. */
int image_normalize(float *out, const struct image *img, const struct normalization *n, bool planar, struct err *e);

#endif
