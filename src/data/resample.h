/* resample.h - resizing, bit for bit as Pillow 9.4 (Image.resize) does it.
 *
 * Two passes, columns first, each a weighted sum over a window that grows with the reduction (antialiasing). Samples
 * of 8 bits are summed in int32 with weights of 22 fractional bits and rounded after each pass, so the order of the
 * passes and the fixed point are part of the result. Channels are independent (Pillow's own "RGBA" and "LA"
 * premultiply: not done here).
 */
#ifndef TENREC_DATA_RESAMPLE_H
#define TENREC_DATA_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct image;

enum resample_filter {
    RESAMPLE_NEAREST,
    RESAMPLE_BOX,
    RESAMPLE_BILINEAR,
    RESAMPLE_HAMMING,
    RESAMPLE_BICUBIC,
    RESAMPLE_LANCZOS,
    N_RESAMPLE_FILTERS,
};
/* "nearest" .. "lanczos"; -1 for an unknown name. */
int resample_filter_parse(const char *name);
const char *resample_filter_name(enum resample_filter f);

/* The part of the source that becomes the whole result, in pixels; sides need not be integers. */
struct resample_box {
    float left, top, right, bottom;
};

/* Resizes an 8-bit image of 1 .. 4 channels (nearest: 16 bits too) into a new one. box: NULL for all of it. The
 * palette
 * goes along; only nearest makes sense for indices. Temporary rows are left in the arena. Errors: ERR_DATA,
 * ERR_UNSUPPORTED, ERR_NOMEM. */
int image_resize(struct image *out, struct arena *a, const struct image *in, int64_t width, int64_t height,
                 enum resample_filter filter, const struct resample_box *box, int threads, struct err *e);

/* The weights of one pass over 8-bit samples: `out` (n_out, n_in), whole numbers, RESAMPLE_ONE is 1. No nearest. */
enum { RESAMPLE_ONE = 1 << 22 };
int resample_matrix(
    double *out, struct arena *a, int n_in, int n_out, enum resample_filter filter, struct err *e);

/* One float channel (Pillow's mode "F"): sums in double, rounded to float after each pass. `out` is (height,
 * width). */
struct plane {
    int width, height;
    float *values; /* (height, width) */
};
int plane_resize(struct plane *out, struct arena *a, const struct plane *in, int width, int height,
                 enum resample_filter filter, const struct resample_box *box, int threads, struct err *e);

/* Nearest neighbour for pixels of `size` bytes (label maps of int32: 4). out is (out_h, out_w), in is (in_h, in_w).
 * */
int resample_nearest(void *out, int out_w, int out_h, const void *in, int in_w, int in_h, size_t size,
                     const struct resample_box *box, struct arena *a, struct err *e);

#endif
