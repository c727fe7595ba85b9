/* table.h - rows of samples, wherever they lie, and what their columns mean: one description for scoring, training and
 * embedding.
 *
 * A table is opened from a path: a folder (class = directory), a glob, .csv/.tsv/.jsonl, an IDX, .npy or .npz file,
 * tar shards, an SQLite database, "-" (paths on stdin), or one file. Every kind gives the same thing: named columns, a
 * role for each, and rows of cells. A cell is text (a path, a name, numbers), bytes that the table itself holds, or an
 * array; nobody but row_image(), row_numbers() ... below need know which.
 *
 * Reading in order (scoring): table_next() until it gives 0. Memory does not grow with the number of rows.
 * Reading in any order (training): table_index() once, then table_row(i) from any number of threads.
 *
 *     struct table *t = table_open(&arena, "pets/", &(struct table_options){ 0 }, &e);
 *     TRY(table_index(t, &e));                       // counts rows, numbers the classes
 *     int image = table_column(t, ROLE_IMAGE, 0), label = table_column(t, ROLE_LABEL, 0); // -1: there is none
 *     TRY(table_row(t, i, &scratch, &row, &e));
 *     TRY(row_image(t, &row, image, &scratch, NULL, &img, &e));
 *     TRY(row_class(t, &row, label, &class, &e));
 *
 * A row that is broken is ERR_DATA with its place in the text; the rows behind it can be read all the same.
 */
#ifndef TENREC_DATA_TABLE_H
#define TENREC_DATA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "enc/image.h"
#include "graph/tensor.h"

struct arena;
struct err;

/* What a column is for. In option texts and configurations the names are lower-case: "image", "mask" ... */
#define ROLE_LIST(X) \
    X(IMAGE, image) \
    X(MASK, mask)         /* labels of pixels: an image of indices */ \
    X(LABEL, label)       /* a class, by name or number */ \
    X(BOXES, boxes)       /* classes with boxes: a YOLO text file, Pascal VOC's XML, or JSON in the cell */ \
    X(NUMBERS, numbers)   /* one or more numbers; several columns make one list */ \
    X(SEQUENCE, sequence) /* an array: .npy, or numbers in the cell */ \
    X(ID, id)             /* what the row is called in results */ \
    X(OTHER, other)       /* carried along */
enum role {
#define X(name, text) ROLE_##name,
    ROLE_LIST(X)
#undef X
        N_ROLES
};

struct column {
    const char *name; /* as the table has it; "" for the one column of a list of paths */
    enum role role;
    int input; /* of the model that is fed with it (table_options.inputs); -1: none, so numbers are targets */
    int place; /* among those that table_options.columns names, from 1; 0: it does not */
};

struct table_options {
    /* "ROLE=NAME[,NAME...]" or "ROLE:INPUT=NAME", or several of them with commas between: NULL at the end. Or NULL:
     * roles by the usual names (image, path, file; mask; label, class; boxes; id; ...). NAME may hold * and ?. What is
     * said here is not guessed any more. */
    const char *const *columns;
    const char *const *inputs; /* names of the model's inputs, NULL at the end; or NULL. A column of an input's name
                                * feeds it; inputs left over take image, then sequence columns in order */
    const bool *tensors;       /* by input: it takes no image, so a column of its name is a sequence; NULL: none */
    const char *query;         /* SQLite: the SELECT; NULL: all of the only table */
    const char *labels;        /* IDX: the file of labels; NULL: the usual name beside it, if it is there */
};

struct table;
/* ERR_IO, ERR_DATA (not a table, nothing in it), ERR_USAGE (a column that is not there: lists those there are). */
struct table *table_open(struct arena *a, const char *path, const struct table_options *o, struct err *e);
const char *table_path(const struct table *t);
const char *table_kind(const struct table *t); /* "folder", "csv", "idx" ... */
size_t table_columns(const struct table *t);
const struct column *table_column_at(const struct table *t, size_t i);
/* Their names, for messages. NULL: no memory. */
const char *table_column_list(const struct table *t, struct arena *a);
/* The n-th column (from 0) of a role, or -1. */
int table_column(const struct table *t, enum role role, size_t n);
/* The n-th column of numbers that feed no input, as table_options.columns orders them, or -1. */
int table_numbers(const struct table *t, size_t n);
/* Rows in all; -1 while that is not known: before table_index() for text, always for stdin. */
int64_t table_count(const struct table *t);
/* How much of the table table_next() has read, 0 .. 1; negative where that cannot be said. */
double table_share(const struct table *t);
/* Whether rows come as they like (stdin): they cannot be read a second time. */
bool table_is_stream(const struct table *t);
/* Changes when the files that the table consists of do: names of samples for folders, size and time of files. */
uint64_t table_stamp(const struct table *t);

struct cell {
    const char *text;           /* as the table has it; NULL: empty */
    const char *path;           /* the file meant by it; NULL: none */
    struct bytes bytes;         /* contents that the table holds (BLOB, tar entry); data NULL: none */
    const struct tensor *array; /* one row of an array, without the row's dimension; NULL: none */
};
struct row {
    int64_t index;      /* from 0, broken rows counted */
    const char *id;     /* what it is called in results: the cell of ROLE_ID, else the path, else its number */
    const char *where;  /* "pets.csv:12", for messages */
    struct cell *cells; /* (table_columns) */
};
/* The next row, in the arena (which the caller may rewind between rows): 1, 0 at the end; negative: ERR_DATA of this
 * row alone (row->index, id and where are set; the next call goes on), or ERR_IO, ERR_NOMEM. For stdin, `idle_ms` >= 0
 * waits at most so long and then gives 2: nothing is there yet. */
int table_next(struct table *t, struct arena *a, int idle_ms, struct row *row, struct err *e);
/* Reads the table once: afterwards its count is known, table_row() works and classes are numbered. 32 bytes a row for
 * text; nothing for folders and arrays. ERR_USAGE for stdin. */
int table_index(struct table *t, struct err *e);
/* Row i of an indexed table; any thread. Errors as of table_next(). */
int table_row(struct table *t, int64_t i, struct arena *a, struct row *row, struct err *e);

/* Names of the classes, by number. Directories: in Python's sort order (by code points). Labels that are all whole
 * numbers from 0 to 65535 are classes as they stand; other texts are numbered in sorted order. */
struct classes {
    const char **names;
    size_t n;
};
const struct classes *table_classes(const struct table *t);
/* Takes the classes of a model or another split instead (copied; before or after table_index()). */
int table_set_classes(struct table *t, const char *const *names, size_t n, struct err *e);

/* The contents of cells. `column` is a place in table_columns(). Errors begin with row->where. ERR_DATA, ERR_IO. */
int row_bytes(
    const struct table *t, const struct row *row, int column, struct arena *a, struct bytes *out, struct err *e);
/* Pixels: a file or bytes decoded (options may be NULL), or an array of uint8: (H, W), (H, W, 1..4) or (1..4, H, W). */
int row_image(const struct table *t, const struct row *row, int column, struct arena *a,
    const struct image_options *options, struct image *out, struct err *e);
/* One channel of labels, 8 or 16 bits: gray as it is, of palette images the indices. */
int row_mask(
    const struct table *t, const struct row *row, int column, struct arena *a, struct image *out, struct err *e);
/* The number of the class; -1 where the cell is empty. ERR_DATA for a name that is no class. */
int row_class(const struct table *t, const struct row *row, int column, int64_t *out, struct err *e);
/* The numbers of all table_numbers(). */
int row_numbers(const struct table *t, const struct row *row, struct arena *a, double **out, size_t *n, struct err *e);
/* The numbers in one cell, whatever its column is for: text or an array. */
int row_cell_numbers(const struct table *t, const struct row *row, int column, struct arena *a, double **out,
    size_t *n, struct err *e);
/* An array: .npy file or bytes, a row of an array, or numbers in text (rank 1, float32). No row dimension is added.
 * Where several columns of numbers feed the same input: the numbers of all of them. */
int row_tensor(
    const struct table *t, const struct row *row, int column, struct arena *a, struct tensor **out, struct err *e);
struct box {
    int64_t class;
    double x, y, width, height; /* centre and size as shares of the image's sides, 0 .. 1, as YOLO has them */
    bool ignored;               /* Pascal VOC's "difficult": neither a hit nor a miss */
};
/* Boxes: lines "class x y width height" (file, bytes or text), a JSON list of such lists or of objects with those
 * names, or Pascal VOC's XML, whose names of classes are those of the table (class -1 where it has none yet). An empty
 * or absent text is no box. */
int row_boxes(const struct table *t, const struct row *row, int column, struct arena *a, struct box **out, size_t *n,
    struct err *e);

#endif
