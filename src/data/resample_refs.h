/* resample_refs.h - resizing as other libraries do it, each named with its version.
 *
 *   opencv-4.6               cv2.resize of 8-bit images, INTER_LINEAR and INTER_AREA: bit for bit
 *   torchvision-0.14-tensor  functional.resize of a uint8 tensor, bilinear, with or without antialias: torch 1.13's
 *                            interpolate() in float32, rounded half to even. Its vector code fuses multiply and add,
 *                            which decides near ties: measured, under 1 in 1000 samples differ, by 1
 */
#ifndef TENREC_DATA_RESAMPLE_REFS_H
#define TENREC_DATA_RESAMPLE_REFS_H

#include <stdint.h>

struct arena;
struct err;
struct image;

enum resample_reference { RESAMPLE_PILLOW, RESAMPLE_OPENCV, RESAMPLE_TORCHVISION, N_RESAMPLE_REFERENCES };
enum resample_method { METHOD_LINEAR, METHOD_LINEAR_ANTIALIAS, METHOD_AREA, N_RESAMPLE_METHODS };

/* An 8-bit image of 1 .. 4 channels; ERR_UNSUPPORTED for what the reference does not have. */
int image_resize_as(struct image *out, struct arena *a, const struct image *in, int64_t width, int64_t height,
    enum resample_reference reference, enum resample_method method, struct err *e);

#endif
