/* conv.h - windows that slide: what convolutions and poolings of Keras share. */
#ifndef TENREC_FORMAT_KERAS_CONV_H
#define TENREC_FORMAT_KERAS_CONV_H

#include "format/keras/keras.h"

struct window {
    int n; /* spatial axes, at most 3 */
    int64_t kernel[3], strides[3], dilations[3];
    const char *padding; /* "valid", "same", "causal" */
};

int window_read(struct call *c, int n, struct window *w);
/* strides, pads or auto_pad, dilations, for x of (N, C, spatial..); how many. `attrs` holds 3, and lives as long as
 * `w` and `pads`. */
int window_attrs(const struct window *w, const struct value *x, int64_t pads[6], struct attr *attrs);
struct value *convolve(
    struct call *c, const struct window *w, struct value *x, struct value *kernel, struct value *bias, int64_t groups);

#endif
