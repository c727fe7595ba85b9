/* results.h - answers to files: a table (CSV, TSV or JSON lines), masks and overlays as PNG, tensors as .npy.
 *
 * Every file is written beside its name and renamed when it is whole: a killed program or a full disk leaves nothing
 * half-written. The table appears when everything is done.
 *
 * CSV and TSV: one row per sample, `path` first and `error` last. In between, per output of the model:
 *   classes   label, score, class; label_2, score_2, class_2; ...     best first; class is the index
 *   a mask    classes ("cat 0.25; dog 0.75": shares of the pixels), mask and overlay (files), where they are written
 *   a tensor  its numbers separated by blanks, or the .npy file when tensors go to a folder
 * With several outputs the names of columns begin with "OUTPUT.".
 *
 * JSON lines: one object per sample:
 *   {"path": .., "row": .., "outputs": {NAME: {"classes": [{"index", "label", "score"}]}
 *     or {"width", "height", "classes": [{"index", "label", "share"}], "mask": FILE, "overlay": FILE}
 *     or {"datatype", "shape", "data": [..]} or {"datatype", "shape", "file": FILE}}, "error": null or text}
 */
#ifndef TENREC_SCORE_RESULTS_H
#define TENREC_SCORE_RESULTS_H

#include "score/pipeline.h"

enum results_format { RESULTS_CSV, RESULTS_TSV, RESULTS_JSONL };

struct results_options {
    const struct model *model;
    const char *out; /* the table's file; NULL: its text goes to write() */
    int (*write)(void *cookie, const void *text, size_t len, struct err *e);
    void *cookie;
    enum results_format format;             /* of the table */
    const char *masks, *overlays, *tensors; /* folders; NULL: not written */
    const char *root; /* cut off a sample's name where files are named after it: the folder scored, or NULL */
    float alpha;      /* weight of an overlay's colours */
};

struct results;
struct results *results_new(const struct results_options *o, struct err *e);
int results_put(struct results *r, const struct scored *s, struct err *e);
/* What waits is given to the file or to write(). */
int results_flush(struct results *r, struct err *e);
/* The table appears. */
int results_finish(struct results *r, struct err *e);
void results_free(struct results *r); /* before results_finish: leaves no table */
long results_rows(const struct results *r);
long results_errors(const struct results *r); /* rows with an error */

#endif
