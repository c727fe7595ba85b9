/* proto_tree.h - messages of protocol buffers as one tree, whether they were written as text or in the wire format.
 *
 * A schema is a table: one row per field, with its name (text), its number (wire) and what it holds. The readers check
 * values against the rows, so whoever walks the tree need not. Fields without a row are skipped in the wire format, and
 * told of in text, where they were written by hand.
 *
 *   static const struct tree_schema point = { "Point", (const struct tree_row[]){
 *       { "x", 1, TREE_FLOAT }, { "kind", 2, TREE_ENUM, .words = "PLAIN ROUND" }, { 0 } } };
 *
 *   struct tree *t = prototxt_read(a, path, text, &point, NULL, e);      or proto_tree_read(..)
 *   double x = tree_float(t, "x", 0);
 */
#ifndef TENREC_ENC_PROTO_TREE_H
#define TENREC_ENC_PROTO_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

struct arena;
struct err;
struct report;

enum { TREE_DEPTH_MAX = 100 }; /* messages within one another, as protobuf's own readers have it */

enum tree_kind {
    TREE_SKIP,   /* known, and of no interest: neither kept nor told of */
    TREE_INT,    /* whole numbers of any width */
    TREE_BOOL,   /* kept as whole numbers, like */
    TREE_ENUM,   /* these */
    TREE_FLOAT,  /* kept as float */
    TREE_DOUBLE, /* kept as double */
    TREE_TEXT,   /* bytes without a zero */
    TREE_MESSAGE,
};

struct tree_schema;
struct tree_row {
    const char *name;
    unsigned number;
    enum tree_kind kind;
    const struct tree_schema *type; /* of a message */
    const char *words;              /* of an enum, separated by blanks, from 0: "MAX AVE"; "SUM=1 ASUM" begins at 1 */
};
struct tree_schema {
    const char *name;
    const struct tree_row *rows; /* ends with a NULL name */
};

/* All that one message gives of one field, in order. */
struct tree_field {
    const struct tree_row *row;
    size_t n, cap;
    union {
        void *items;
        int64_t *ints;
        float *floats;
        double *doubles;
        const char **texts;
        struct tree **messages;
    };
    struct bytes packed; /* `n` little-endian numbers as they lie in the file, unaligned; then `items` is NULL */
};
struct tree {
    const struct tree_schema *schema;
    const char *path;
    unsigned line, column; /* of a text, from 1; else 0 */
    size_t at;             /* offset in the file */
    struct tree_field *fields;
    size_t n, cap;
};

/* Reads a message in the wire format. Large packed numbers stay in `bytes`. ERR_MODEL; NULL. */
struct tree *proto_tree_read(
    struct arena *a, const char *path, struct bytes bytes, const struct tree_schema *schema, struct err *e);

/* "12:5" or "offset 345": where the message stands, for errors. Lies in `a`; "" when memory is out. */
const char *tree_where(const struct tree *t, struct arena *a);

/* Looking things up. The name must be in the message's schema. A field given more than once counts as given last, as
 * protobuf has it, unless it is asked for item by item. */
const struct tree_field *tree_field(const struct tree *t, const char *name); /* NULL: not given */
size_t tree_count(const struct tree *t, const char *name);
bool tree_has(const struct tree *t, const char *name);
int64_t tree_int(const struct tree *t, const char *name, int64_t otherwise);
double tree_float(const struct tree *t, const char *name, double otherwise);
const char *tree_text(const struct tree *t, const char *name, const char *otherwise);
const struct tree *tree_message(const struct tree *t, const char *name); /* an empty one when it was not given */
int64_t tree_int_at(const struct tree *t, const char *name, size_t i);
double tree_float_at(const struct tree *t, const char *name, size_t i);
const char *tree_text_at(const struct tree *t, const char *name, size_t i);
const struct tree *tree_message_at(const struct tree *t, const char *name, size_t i);
/* The word of an enum's number; NULL if it has none. */
const char *tree_word(const struct tree *t, const char *name, struct arena *a);

/* Making trees: what both readers do. Each gives NULL or ERR_NOMEM when memory is out. */
struct tree *tree_new(struct arena *a, const struct tree_schema *schema, const char *path);
const struct tree_row *tree_row(const struct tree_schema *schema, const char *name);
struct tree_field *tree_field_add(struct arena *a, struct tree *t, const struct tree_row *row);
int tree_add_int(struct arena *a, struct tree_field *f, int64_t v, struct err *e);
int tree_add_float(struct arena *a, struct tree_field *f, double v, struct err *e); /* of both kinds */
int tree_add_text(struct arena *a, struct tree_field *f, const char *text, struct err *e);
struct tree *tree_add_message(struct arena *a, struct tree_field *f, const char *path, struct err *e);
/* The number that a word of an enum stands for; false if there is no such word. */
bool tree_word_number(const struct tree_row *row, const char *word, int64_t *out);

#endif
