/* conv.h - the shapes of a convolution as oneDNN sees them. */
#ifndef TENREC_BACKEND_DNNL_CONV_H
#define TENREC_BACKEND_DNNL_CONV_H

#include "backend/dnnl/compat.h"

struct node;
struct shape;

/* Its four tensors: asked for (any), and row-major. */
struct conv_shapes {
    struct conv_desc any, plain;
};
/* x: of the large side; y: of the small one. For a transposed convolution x is the output. */
int conv_shapes_of(const struct node *n, bool transposed, const struct shape *x, const struct shape *w,
    const struct shape *y, bool bias, struct conv_shapes *s, struct err *e);

#endif
