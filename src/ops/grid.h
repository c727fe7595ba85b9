/* grid.h - one axis of sampling at a position: taps, their weights and the slopes of these. */
#ifndef TENREC_OPS_GRID_H
#define TENREC_OPS_GRID_H

#include <stdbool.h>
#include <stdint.h>

enum grid_mode { GRID_LINEAR, GRID_NEAREST, GRID_CUBIC };
enum grid_padding { GRID_ZEROS, GRID_BORDER, GRID_REFLECTION };

struct grid_rule {
    int mode, padding; /* of the enums above */
    bool align_corners;
};
enum { GRID_TAPS = 4 };
struct grid_axis {
    int taps;
    int64_t index[GRID_TAPS]; /* -1: a zero of the padding */
    double weight[GRID_TAPS];
    double slope[GRID_TAPS]; /* of the weight, by the normalised position */
};
/* `at`: the normalised position, -1 and 1 being the borders of an axis of `size` elements. */
void grid_axis_init(struct grid_axis *a, const struct grid_rule *r, double at, int64_t size);

#endif
