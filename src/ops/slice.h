/* slice.h - what a Slice takes out of its input, for kernels that find the input in a layout of their own. */
#ifndef TENREC_OPS_SLICE_H
#define TENREC_OPS_SLICE_H

#include "ops/kernel.h"

/* A part of a tensor: its shape, the steps between its elements, and the offset of its first one, in elements. */
struct slice_part {
    struct shape shape;
    int64_t stride[SHAPE_MAX], offset;
};
/* Of a Slice's step whose starts, ends, axes and steps are there. p->stride: the input's strides, as it lies; they
 * become the part's. ERR_SHAPE where the part is not of the output's shape. */
int slice_part_of(const struct step *s, struct slice_part *p, struct err *e);

#endif
