/* csv.h - tables as text: CSV and TSV (RFC 4180), read row by row and written.
 *
 * A broken row is an error that names line and column, and reading can go on behind it with the next call.
 */
#ifndef TENREC_ENC_CSV_H
#define TENREC_ENC_CSV_H

#include <stddef.h>

#include "base/file.h"

struct arena;
struct err;
struct str;

struct csv {
    struct bytes data;
    size_t at;
    char separator;
    size_t row, line; /* rows given so far, lines begun so far */
    const char *path; /* for messages */
};
struct csv_row {
    const char **fields; /* terminated; [n] is NULL */
    size_t n;
    size_t row;  /* from 1, broken ones counted, empty lines not */
    size_t line; /* from 1: where the row begins (a quoted field may span lines) */
};

/* Skips a byte order mark. Separator 0: the first of '\t', ',' and ';' that the first line has, else ','. */
void csv_init(struct csv *c, const char *path, struct bytes data, char separator);
/* The next row, its fields in `a`, which the caller may rewind between rows: 1, 0 at the end, or ERR_DATA. Empty lines
 * are skipped. Rows may differ in their number of fields. */
int csv_next(struct csv *c, struct arena *a, struct csv_row *row, struct err *e);

/* Adds a row and a line feed; fields are quoted where they must be. */
void csv_put(struct str *out, const char *const *fields, size_t n, char separator);

#endif
