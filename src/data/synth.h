/* synth.h - data sets that are drawn: to try a training on, and to test with. The same seed draws the same pixels. */
#ifndef TENREC_DATA_SYNTH_H
#define TENREC_DATA_SYNTH_H

#include <stdint.h>

#include "data/table.h"

struct synth_sample {
    struct image image;  /* RGB, or gray for digits */
    struct image mask;   /* scenes: indexed; pixels NULL: none */
    int class;           /* digits */
    struct box boxes[8]; /* shapes */
    int n_boxes;
};
struct synth_kind {
    const char *name;
    const char *const *classes; /* NULL at the end */
    int size;                   /* usual side in pixels */
    int (*draw)(struct synth_sample *s, struct arena *a, int size, uint64_t seed, uint64_t index, struct err *e);
};
/* digits (class folders), shapes (boxes), scenes (streets with masks); NULL past the end. */
const struct synth_kind *synth_at(size_t i);

#endif
