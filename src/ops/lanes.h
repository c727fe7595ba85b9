/* lanes.h - operators that work along one axis: every line of elements along it is loaded as doubles (or
 * int64), worked on as a whole, and stored. Lines are independent, so threads share them and results do not
 * depend on how many. */
#ifndef TENREC_OPS_LANES_H
#define TENREC_OPS_LANES_H

#include "ops/kernel.h"

enum { LANES_MAX = 6 };

/* One line of an operand: element k is at f[k * stride]. */
union lane {
    double *f;
    int64_t *i;
};

struct lanes {
    int64_t outer, inner; /* lines before and after the axis: outer * inner in all */
    bool integers;        /* int64 instead of double */
    int n_in, n_out;
    struct {
        const struct tensor *t;
        int64_t len; /* along the axis; the tensor is (outer, len, inner) */
    } on[LANES_MAX]; /* inputs, then outputs */
    /* `line` is outer * inner + its place; `stride` between the elements of it. */
    void (*apply)(const struct lanes *l, int64_t line, int64_t stride, const union lane *x);
    const void *ctx;
};

/* outer and inner of a shape cut at `axis`; returns the length along it. */
int64_t lanes_cut(struct lanes *l, const struct shape *s, int axis);
int lanes_run(const struct step *s, const struct lanes *l, struct err *e);

#endif
