/* targets.h - how good the answers are, where the table knows better: measures of classes, masks, boxes and numbers.
 *
 * A row leaves a line of text (targets_row), lines are added up (targets_add): so the rows of a job that was killed, or
 * dealt out to several processes, count as those of one.
 *   C TRUTH PREDICTION RANK LOSS [SCORE ...]   a class; probabilities when there are at most TARGETS_SCORES
 *   S LOSS PIXELS TRUTH PREDICTION COUNT ...   a mask: pixels, and the sum of their losses where it is known
 *   R TRUTH ... PREDICTION ...                 numbers
 *   B N CLASS ... M CLASS SCORE MATCHED OUTSIDE ...   boxes of the truth, boxes found (metric/detection.h)
 *   N                                          no target, or one that is no class
 * In front of a line of the second output that is compared stands 1, of the third 2 ...
 */
#ifndef TENREC_SCORE_TARGETS_H
#define TENREC_SCORE_TARGETS_H

#include "base/str.h"
#include "score/pipeline.h"

enum { TARGETS_SCORES = 16 }; /* classes up to which their ROC curves are measured */

struct targets;
/* What an output gives decides which target is wanted: a label, a mask, boxes, numbers. Of several outputs each takes
 * the next column of its kind in the order of the table, of numbers the next as they were named; one that finds none is
 * not compared. The table takes the model's classes. ERR_USAGE when no output has its column. What must be sorted in
 * the end lies in a nameless file in `folder` where it is too much for memory (NULL: $TMPDIR, or /tmp). */
struct targets *targets_new(struct arena *a, const struct model *m, struct table *t, const char *folder, struct err *e);
int targets_row(struct targets *j, const struct scored *s, struct str *out, struct err *e);
int targets_add(struct targets *j, struct bytes lines, struct err *e);
/* {"rows", "without_target", "loss", "accuracy", ...} of the first output compared; where there are more, "outputs" has
 * the same of each of these by its name. Lives as long as the arena. Once. */
int targets_report(struct targets *j, json_t **out, struct err *e);

#endif
