/* conv_shape.h - sliding windows: strides, dilations, padding and sizes of convolutions and poolings, resolved once. */
#ifndef TENREC_OPS_CONV_SHAPE_H
#define TENREC_OPS_CONV_SHAPE_H

#include "graph/graph.h"

struct err;

/* Position o of the small side (`out`) sees positions o * stride - before + k * dilation of the large side (`in`), for
 * k in [0, kernel). There are always three axes; unused ones come first and have size 1. Sizes that are not known are
 * negative (a dimension of the graph), and so is an `out` that follows from them. */
enum { WINDOW_AXES = 3 };
struct window {
    int spatial; /* axes in use: the last `spatial` ones */
    int64_t in[WINDOW_AXES], out[WINDOW_AXES];
    int64_t kernel[WINDOW_AXES], stride[WINDOW_AXES], dilation[WINDOW_AXES];
    int64_t before[WINDOW_AXES], after[WINDOW_AXES]; /* padding; negative crops */
};

/* The attributes of an operator that stands for a Conv with more around it. */
#define LIKE_CONV_ATTRS \
    { "auto_pad", ATTR_STRING, ATTR_DEFAULT, .s = "NOTSET", .doc = "as Conv's" }, \
        { "dilations", ATTR_INTS, .doc = "as Conv's" }, \
        { "group", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "as Conv's" }, \
        { "kernel_shape", ATTR_INTS, .doc = "as Conv's" }, { "pads", ATTR_INTS, .doc = "as Conv's" }, \
        { "strides", ATTR_INTS, .doc = "as Conv's" }

/* Reads strides, dilations, pads, auto_pad (and ceil_mode, where the operator has it) of a node. `x` is the shape of
 * the large side with batch and channels in front, its rank known; `kernel` has rank - 2 sizes, -1 where not known. */
int window_init(struct window *w, const struct node *n, const struct shape *x, const int64_t *kernel, struct err *e);
/* For ConvTranspose: `x` is the small side; output_padding and output_shape are read as well. */
int window_init_transposed(
    struct window *w, const struct node *n, const struct shape *x, const int64_t *kernel, struct err *e);
/* Kernel sizes from the attribute kernel_shape and, when `weight` is not NULL, its dimensions from 2 on, which must
 * agree with it. *spatial, the number of axes: from `x` or, when its rank is not known, from what is left; else -1. */
int window_kernel(const struct node *n, const struct shape *x, const struct shape *weight, int64_t kernel[WINDOW_AXES],
    int *spatial, struct err *e);
/* The range [lo, hi) of small positions whose tap k lies inside the large side; returns what to add to o * stride. */
int64_t window_range(const struct window *w, int axis, int64_t k, int64_t *lo, int64_t *hi);
/* An int list attribute with one entry per axis in use, each at least `min`, into the last slots; others get `none`. */
int window_ints(
    const struct node *n, const char *name, int spatial, int64_t min, int64_t none, int64_t *to, struct err *e);

#endif
