/* resize_axis.h - resampling one axis: which input positions an output position is made of, and by how much. */
#ifndef TENREC_OPS_RESIZE_AXIS_H
#define TENREC_OPS_RESIZE_AXIS_H

#include "ops/kernel.h"

enum resize_mode { RESIZE_NEAREST, RESIZE_LINEAR, RESIZE_CUBIC };
enum resize_coordinate {
    COORDINATE_HALF_PIXEL,
    COORDINATE_PYTORCH_HALF_PIXEL,
    COORDINATE_ALIGN_CORNERS,
    COORDINATE_ASYMMETRIC,
    COORDINATE_HALF_PIXEL_SYMMETRIC,
    COORDINATE_TF_CROP_AND_RESIZE,
    COORDINATE_TF_HALF_PIXEL_FOR_NN, /* of opset 11 */
};
enum resize_nearest { NEAREST_ROUND_PREFER_FLOOR, NEAREST_ROUND_PREFER_CEIL, NEAREST_FLOOR, NEAREST_CEIL };

/* How the whole node resamples. */
struct resize_rule {
    int mode, coordinate, nearest; /* of the enums above */
    bool antialias, exclude_outside;
    double cubic_a;
};
/* Position o is the sum of weight[o * taps + k] * input[index[o * taps + k]]. */
struct resize_axis {
    int64_t in, out, taps;
    double scale, roi_start, roi_end; /* given by the caller, as in and out are */
    int64_t *index;
    double *weight;
    bool *outside; /* tf_crop_and_resize: o lies outside of the input; NULL when none does */
    bool identity; /* nothing changes along this axis */
};
int resize_axis_init(struct resize_axis *a, const struct resize_rule *r, struct arena *scratch, struct err *e);
/* The axes of a Resize or ResizeGrad node, set up in its step's scratch memory. */
int resize_axes(const struct step *s, struct resize_axis axes[SHAPE_MAX], struct err *e);
/* (outer, in, inner) to (outer, out, inner), and the transpose of it; the target holds zeros. */
void resize_axis_apply(
    const struct resize_axis *a, int64_t outer, int64_t inner, const double *x, double *y, int threads);
void resize_axis_transpose(
    const struct resize_axis *a, int64_t outer, int64_t inner, const double *dy, double *dx, int threads);

#endif
