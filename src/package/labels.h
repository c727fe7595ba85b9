/* labels.h - names of classes, from whatever file has them. */
#ifndef TENREC_PACKAGE_LABELS_H
#define TENREC_PACKAGE_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

struct arena;
struct err;

struct labels {
    const char **names; /* by class index; "" where the file leaves one out */
    size_t n;
};

/* Text (one a line), CSV/TSV (with a header: the column `label`, `name` or `class`, at index `id` or
 * `index` if there is such a column; else the last column), JSON (a list; {"0": "cat"}, {"0": ["n02123",
 * "cat"]} as index_to_name.json has it; an object with `id2label` or `labels`), or the Python dictionary
 * that exporters put into ONNX metadata ("{0: 'person', 1: 'car'}"). Recognised by content and extension.
 * Errors: ERR_DATA. */
int labels_parse(struct labels *l, struct arena *a, const char *path, struct bytes text, struct err *e);
int labels_read(struct labels *l, struct arena *a, const char *path, struct err *e);
/* At most `length` characters (of UTF-8) of each; 0: all of it. */
int labels_shorten(struct labels *l, struct arena *a, int64_t length, struct err *e);

#endif
