/* reduction.h - reducing a tensor over any set of axes: {start, step, finish}. One loop for all of them. */
#ifndef TENREC_OPS_REDUCTION_H
#define TENREC_OPS_REDUCTION_H

#include "ops/kernel.h"

struct partial {
    union {
        double f;
        int64_t i;
        uint64_t u;
    };
    double weight; /* a second number */
    int64_t at;    /* index along the reduced axes, row-major */
};

/* Takes n elements x, the first at index `at`, into r[0], r[stride], .. (stride 0: all into one, with
 * rising index; stride 1: n of them, all at the same index). Elements come in row-major order. */
struct reduction {
    enum { START_0, START_1, START_LOWEST, START_HIGHEST } start;
    void (*f)(struct partial *r, int64_t stride, const double *x, int64_t n, int64_t at);
    /* For inputs that are no floats, when given; u for uint64. */
    void (*i)(struct partial *r, int64_t stride, const int64_t *x, int64_t n, int64_t at);
    void (*u)(struct partial *r, int64_t stride, const uint64_t *x, int64_t n, int64_t at);
    double (*finish)(const struct partial *r, double count); /* of f; NULL: r->f */
    bool index;                                              /* the result is `at` */
};

/* y = x reduced over the axes in `mask` (bit d: dimension d); y has as many elements as the other
 * dimensions. */
void reduction_run(
    const struct step *s, const struct reduction *m, const struct tensor *x, struct tensor *y, unsigned mask);

#endif
