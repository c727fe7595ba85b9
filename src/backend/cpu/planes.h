/* planes.h - windows over row-major planes: strips of a plane with its padding, so that rows need no special edges. */
#ifndef TENREC_BACKEND_CPU_PLANES_H
#define TENREC_BACKEND_CPU_PLANES_H

#include "backend/cpu/cpu.h"
#include "ops/conv_shape.h"

/* A strip holds what some rows of results see of `count` planes one behind the other. Of each row the elements that
 * are `stride` apart lie together, stride times `phase` of them: so neighbouring results read neighbours at every tap,
 * up to a multiple of PLANES_LANES results. */
enum { PLANES_LANES = 16 };
struct planes {
    struct window w; /* over the last two axes */
    int64_t count;
    int64_t rows, strips;   /* rows of results a strip; strips of a plane */
    int64_t in_rows, phase; /* rows of a plane in the strip, floats of one phase of a row */
    float padding;
    size_t floats; /* of a strip */
};

int planes_init(struct planes *p, const struct window *w, int64_t count, float padding, struct err *e);
/* x: the first of the planes. */
void planes_fill(const struct planes *p, const float *x, int64_t strip, float *to);
/* Where tap (y, x) of the first result of row 0 of the strip lies in the first plane; of row r, `planes_row` r
 * further. */
int64_t planes_tap(const struct planes *p, int64_t y, int64_t x);
int64_t planes_row(const struct planes *p);
/* Rows of results that the strip has. */
int64_t planes_rows(const struct planes *p, int64_t strip);

#endif
