/* writers.h - what the files that write results share: the state of a job, the files of a sample. */
#ifndef TENREC_SCORE_WRITERS_H
#define TENREC_SCORE_WRITERS_H

#include "base/str.h"
#include "score/results.h"

/* What the postprocessing of an output leaves, known before the first answer. */
struct result_output {
    const char *name, *prefix; /* prefix: of column names, "" or "NAME." */
    enum answer_kind kind;
    int64_t k; /* ANSWER_CLASSES, ANSWER_BOXES: how many at most */
    bool both; /* one number says two classes */
};

/* Files written for one answer, as the table names them: relative to the folder given. NULL: none. */
struct result_files {
    const char *mask, *overlay, *tensor;
};

struct parts;
struct piece;

struct results {
    struct arena arena;
    struct results_options o;
    struct result_output *outputs;
    size_t n_outputs, n_shown; /* n_shown: those that are answers of their own */
    bool upright; /* the samples are turned by their EXIF orientation */
    struct file_writer file;
    bool open; /* `file` is */
    struct parts *parts;
    double rest; /* no piece is saved before this time */
    struct arena page; /* of the texts that wait */
    struct str text, targets;
    int64_t first, n, bad; /* the piece that waits: its first row, how many, how many of them with an error */
    uint64_t *taken;       /* hashes of the names of files given away; 0: free */
    size_t n_taken, cap_taken;
    long rows, errors;
    int64_t resumed;
};

/* Results of a whole job on their way into the last file, a piece at a time. */
struct join {
    struct results *r;
    struct arena arena;
    struct file_writer file;
    int64_t rows, errors, numbers; /* numbers: in a row of an array */
    void *state;
};
struct join_format {
    int (*check)(const char *path, struct err *e); /* before the first row: can it be written there? Or NULL */
    int (*begin)(struct join *j, struct err *e);
    int (*add)(struct join *j, struct bytes rows, struct err *e);
    int (*end)(struct join *j, struct err *e);
    void (*abort)(struct join *j); /* after a failure of any of them */
};
extern const struct join_format join_text, join_sqlite, join_npy;

/* Chooses the names of one row's files for one output, whether or not they will be written: so they depend on the table
 * alone, not on what was done before. Relative to their folders. */
int result_files_name(struct results *r, const char *id, int64_t row, size_t output, struct arena *scratch,
    struct result_files *names, struct err *e);
/* One answer's files, named so; `scratch` is rewound by the caller. */
int result_files_write(struct results *r, const struct scored *s, size_t output, struct arena *scratch,
    const struct result_files *names, struct result_files *files, struct err *e);

/* Adds to r->text. */
/* Whether fields are separated by tabs, and what the first column is called. */
char result_separator(const struct results *r);
const char *result_id_name(const struct results *r);
int result_csv_header(struct results *r, struct arena *scratch, struct err *e);
/* The names of the header's columns; `affinity` (may be NULL) gets SQL's type of each. */
int result_csv_columns(
    struct results *r, struct arena *a, const char ***names, const char ***affinity, size_t *n, struct err *e);
int result_csv_row(
    struct results *r, const struct scored *s, const struct result_files *files, struct arena *scratch, struct err *e);
int result_jsonl_row(
    struct results *r, const struct scored *s, const struct result_files *files, struct arena *scratch, struct err *e);

/* Text as UTF-8: where it is none (names of files may be anything), its bytes beyond ASCII become U+FFFD. NULL: no
 * memory. */
const char *result_utf8(struct arena *a, const char *text);
/* Text as JSON; a number with so many digits (coordinates need no more). */
json_t *result_text(struct arena *a, const char *text);
double result_round(double v, int digits);
/* The label of a class, or its number where there is none; in the arena. NULL: no memory. */
const char *result_label(const struct results *r, struct arena *a, int64_t index);
/* Shares of the labels in a mask, largest first (ties: smaller label first). */
struct share {
    int32_t label;
    double share;
};
int result_shares(const struct answer *answer, struct arena *a, struct share **out, size_t *n, struct err *e);

#endif
