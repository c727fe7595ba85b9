/* writers.h - what the files that write results share: the state of a job, the files of a sample. */
#ifndef TENREC_SCORE_WRITERS_H
#define TENREC_SCORE_WRITERS_H

#include "base/str.h"
#include "score/results.h"

/* What the postprocessing of an output leaves, known before the first answer. */
struct result_output {
    const char *name, *prefix; /* prefix: of column names, "" or "NAME." */
    enum answer_kind kind;
    int64_t k; /* ANSWER_CLASSES: how many at most */
};

/* Files written for one answer, as the table names them: relative to the folder given. NULL: none. */
struct result_files {
    const char *mask, *overlay, *tensor;
};

struct results {
    struct arena arena;
    struct results_options o;
    struct result_output *outputs;
    size_t n_outputs;
    bool upright; /* the samples are turned by their EXIF orientation */
    struct file_writer file;
    bool open;         /* `file` is */
    struct arena page; /* of the text that waits */
    struct str text;
    uint64_t *taken; /* hashes of the names of files given away; 0: free */
    size_t n_taken, cap_taken;
    long rows, errors;
};

/* One answer's files; `scratch` is rewound by the caller. */
int result_files_write(struct results *r, const struct scored *s, size_t output, struct arena *scratch,
    struct result_files *files, struct err *e);

/* Adds to r->text. */
int result_csv_header(struct results *r, struct arena *scratch, struct err *e);
int result_csv_row(
    struct results *r, const struct scored *s, const struct result_files *files, struct arena *scratch, struct err *e);
int result_jsonl_row(
    struct results *r, const struct scored *s, const struct result_files *files, struct arena *scratch, struct err *e);

/* The label of a class, or its number where there is none; in the arena. NULL: no memory. */
const char *result_label(const struct results *r, struct arena *a, int64_t index);
/* Shares of the labels in a mask, largest first (ties: smaller label first). */
struct share {
    int32_t label;
    double share;
};
int result_shares(const struct answer *answer, struct arena *a, struct share **out, size_t *n, struct err *e);

#endif
