/* source.h - rows to score: a folder, a CSV table, a list of paths on a stream, or one file. Rows come one at a
 * time. */
#ifndef TENREC_DATA_SOURCE_H
#define TENREC_DATA_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct err;

struct source_row {
    const char *id;     /* what the row is called in results: its path as the table has it */
    const char *path;   /* of the first (often only) file */
    const char **paths; /* one per column of source_columns() */
};

struct source;
/* `path`: a folder (all .jpg, .jpeg, .png, .npy below it, in byte order of their paths), a .csv or .tsv (columns
 * named in
 * `wanted`, ends with NULL; else the column image, path, file or filename; else the first; relative paths count
 * from the
 * table's folder), "-" (paths on stdin, a line each), or one file. ERR_IO, ERR_DATA. */
struct source *source_open(struct arena *a, const char *path, const char *const *wanted, struct err *e);
size_t source_columns(const struct source *s);
const char *source_column(const struct source *s, size_t i); /* its name; "" when there is only one unnamed */
/* 1 and the next row (in the arena given here), 0 at the end, negative: ERR_DATA of this row (the next call goes
 * on) or
 * ERR_IO. With a stream, `idle_ms` >= 0 waits at most so long and then gives 2: nothing is there yet. */
int source_next(struct source *s, struct arena *a, int idle_ms, struct source_row *row, struct err *e);
long source_count(const struct source *s); /* rows in all; -1 when it cannot be known beforehand */

#endif
