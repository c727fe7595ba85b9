/* norm_core.h - normalising lines of elements by their own statistics: layer, group, instance and RMS
 * normalisation are this with another idea of what a line is, and which weight belongs to which element. */
#ifndef TENREC_OPS_NORM_CORE_H
#define TENREC_OPS_NORM_CORE_H

#include "ops/kernel.h"

/* x is (lines, len). Element k of line l has weight (l % groups) * (len / span) + k / span: layer
 * normalisation has one group and span 1; group normalisation num_groups groups, and the spatial elements
 * as span. */
struct norm {
    int64_t lines, len, groups, span;
    double epsilon;
    bool centred;               /* false: the mean is taken as 0 (RMS) */
    const double *scale, *bias; /* one per weight; NULL: 1, 0 */
};

static inline int64_t norm_weights(const struct norm *m)
{
    return m->groups * (m->len / m->span);
}
/* y = (x - mean) / sqrt(var + epsilon) * scale + bias; mean and inverse (1 / sqrt ..) have one number per
 * line, may be NULL. */
int norm_run(const struct step *s, const struct norm *m, const struct tensor *x, struct tensor *y, struct tensor *mean,
    struct tensor *inverse, struct err *e);
/* dscale and dbias: one number per weight; may be NULL. */
int norm_run_grad(const struct step *s, const struct norm *m, const struct tensor *dy, const struct tensor *x,
    struct tensor *dx, struct tensor *dscale, struct tensor *dbias, struct err *e);

#endif
