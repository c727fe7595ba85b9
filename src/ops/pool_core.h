/* pool_core.h - poolings over windows of up to three axes, forward and backward, plane by plane. */
#ifndef TENREC_OPS_POOL_CORE_H
#define TENREC_OPS_POOL_CORE_H

#include "ops/conv_shape.h"
#include "ops/kernel.h"

/* Output position o of an axis sees input positions first[o] + i * step, i in [0, taps[o]), all inside the input. */
struct pool_axis {
    int64_t in, out, step;
    int64_t *first, *taps;
    int64_t *count; /* what o counts for in a mean */
};
struct pool {
    struct pool_axis axis[WINDOW_AXES];
    int64_t planes;          /* batch * channels */
    double divisor;          /* of means; 0: the product of the axes' counts */
    double p;                /* of the norm */
    bool first_axis_fastest; /* how an index counts the positions of a plane */
};

/* From a node's attributes: sliding windows when it has kernel_shape, else adaptive windows from x's shape to y's. */
int pool_init(struct pool *p, const struct step *s, const struct shape *x, const struct shape *y, struct err *e);

/* x, dx: (planes, in...); y, dy: (planes, out...), as doubles. `lowest` is the maximum of nothing; index may be NULL.
 * The first of equal maxima wins, NaN before all (PyTorch). Gradients are added to dx, which holds zeros. */
void pool_max(const struct pool *p, const double *x, double *y, int64_t *index, double lowest, int threads);
void pool_average(const struct pool *p, const double *x, double *y, int threads);
void pool_norm(const struct pool *p, const double *x, double *y, int threads);
void pool_max_grad(const struct pool *p, const double *dy, const double *x, double *dx, int threads);
void pool_average_grad(const struct pool *p, const double *dy, double *dx, int threads);
void pool_norm_grad(const struct pool *p, const double *dy, const double *x, const double *y, double *dx, int threads);

#endif
