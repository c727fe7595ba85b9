/* targets_boxes.h - the part of targets.h that compares boxes. */
#ifndef TENREC_SCORE_TARGETS_BOXES_H
#define TENREC_SCORE_TARGETS_BOXES_H

#include "base/str.h"
#include "metric/detection.h"
#include "score/pipeline.h"

struct box_targets {
    struct arena *arena;
    int64_t classes;
    uint64_t *truths; /* (classes) that are not ignored */
    struct detection *found;
    size_t n, cap;
};
int box_targets_init(struct box_targets *b, struct arena *a, int64_t classes, struct err *e);
/* Adds "B N CLASS ... M CLASS SCORE MATCHED OUTSIDE ..." to `out`: 1, or 0 when the row has no readable boxes. */
int box_targets_row(const struct box_targets *b, const struct scored *s, size_t output, int column, struct arena *a,
    struct str *out, struct err *e);
/* The line behind its "B". */
int box_targets_add(struct box_targets *b, const char *line, struct err *e);
int box_targets_report(const struct box_targets *b, const struct model *m, struct arena *a, json_t *o, struct err *e);

#endif
