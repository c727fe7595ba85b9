/* results.h - answers to files: a table (CSV, TSV, JSON lines, SQLite, .npy), masks and overlays as PNG, tensors as
 * .npy.
 *
 * Every file is written beside its name and renamed when it is whole: a killed program or a full disk leaves nothing
 * half-written. With `job` set the rows are kept in finished pieces (parts.h), so that a killed job goes on where it
 * was; the table appears when all of them are there.
 *
 * CSV, TSV and SQLite (table `results`): one row per sample, `path` (or `id`, when the table has such a column) first,
 * then columns carried along, and `error` last. In between, per output of the model:
 *   classes   label, score, class; label_2, score_2, class_2; ...     best first; class is the index
 *   a mask    classes ("cat 0.25; dog 0.75": shares of the pixels), mask and overlay (files), where they are written
 *   boxes     objects (how many), boxes ([[label, score, left, top, right, bottom], ...] in pixels of the image),
 *             overlay
 *   a tensor  its numbers separated by blanks, or the .npy file when tensors go to a folder
 * With several outputs the names of columns begin with "OUTPUT.". With `old_names` label, score, class and mask
 * are _predName_, _predP_, _predClass_ and _predImg_, and boxes have columns of their own: _nObjects_, then for k from
 * 0 on, as many as there can be, _Object{k}_, _P_Object{k}_, _Object{k}_x, _y (the centre), _width, _height: shares of
 * the image's sides.
 *
 * JSON lines: one object per sample:
 *   {"path": .., "row": .., "columns": {..}, "outputs": {NAME: {"classes": [{"index", "label", "score"}]}
 *     or {"width", "height", "classes": [{"index", "label", "share"}], "mask": FILE, "overlay": FILE}
 *     or {"width", "height", "boxes": [{"index", "label", "score", "box": [left, top, right, bottom]}], "overlay"}
 *     or {"datatype", "shape", "data": [..]} or {"datatype", "shape", "file": FILE}}, "error": null or text}
 *
 * .npy: float32 (rows, numbers), what the model's one output was before postprocessing; a row with an error is NaN.
 */
#ifndef TENREC_SCORE_RESULTS_H
#define TENREC_SCORE_RESULTS_H

#include "score/pipeline.h"

struct targets;

enum results_format { RESULTS_CSV, RESULTS_TSV, RESULTS_JSONL, RESULTS_SQLITE, RESULTS_NPY };

struct results_options {
    const struct model *model;
    const struct table *table;
    const int *carry; /* columns of the table that go along */
    size_t n_carry;
    bool old_names;
    struct targets *targets; /* compares with targets; NULL: nobody does */
    const char *job;         /* what the job is (parts.h); NULL: the table is written in one go */
    int shard, shards;       /* from 1 */
    bool restart;
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
/* What the pipeline must keep for the results: raw outputs, the pixels that the model saw. */
void results_needs(const struct results *r, bool *outputs, bool *seen);
/* Whether this row is still to be done; if not, results_pass() it. Rows come in order. */
bool results_wants(struct results *r, int64_t row);
int results_pass(struct results *r, const char *id, int64_t row, struct err *e);
int results_put(struct results *r, const struct scored *s, struct err *e);
/* What waits is given to the file or to write(). */
int results_flush(struct results *r, struct err *e);
/* The table of `total` rows appears, unless shards are missing: then *missing rows are. */
int results_finish(struct results *r, int64_t total, int64_t *missing, struct err *e);
/* The job ends early: pieces are kept for the next time; without them the table appears as far as it is. */
int results_pause(struct results *r, struct err *e);
void results_free(struct results *r); /* before results_finish: leaves no table */
long results_rows(const struct results *r);
long results_errors(const struct results *r);       /* rows with an error; after results_finish: of the whole table */
int64_t results_resumed(const struct results *r);   /* rows that an earlier run has done */
const char *results_parts(const struct results *r); /* the folder of the pieces, or NULL */

#endif
