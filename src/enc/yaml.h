/* yaml.h - YAML into the trees of JSON, with the line and column of each value kept for messages.
 *
 * One document; the core schema of YAML 1.2 (null, true, false, numbers; yes, no, on and off are words); keys are
 * scalars and occur once; an alias is a copy of what it names, and all copies together are bounded. `.inf`, `-.inf` and
 * `.nan` become these texts: see json_get_number(). Merge keys and foreign tags are refused.
 */
#ifndef TENREC_ENC_YAML_H
#define TENREC_ENC_YAML_H

#include <stddef.h>

#include "base/file.h"
#include "enc/json.h"

struct arena;
struct err;

struct yaml_mark {
    const json_t *parent; /* the mapping or sequence that holds the value; NULL for the root */
    const char *key;      /* in a mapping */
    size_t index;         /* in a sequence */
    unsigned line, column; /* from 1; of the key in a mapping */
};
struct yaml {
    json_t *root; /* owned by the arena */
    struct yaml_mark *marks;
    size_t n, cap;
};

/* `path` is for messages ("path:line:column: what"). Errors: ERR_DATA. An empty document is null. */
int yaml_parse(struct yaml *y, struct arena *a, const char *path, struct bytes text, struct err *e);
/* Where the value under `key` of the mapping `parent`, or at `index` of the sequence (key NULL), stands; NULL if it is
 * not there or inside a copy made by an alias. */
const struct yaml_mark *yaml_find(const struct yaml *y, const json_t *parent, const char *key, size_t index);
/* A scalar as words: numbers in the shortest way that reads back as the same. NULL: null, no scalar, or no memory. */
const char *yaml_scalar_text(struct arena *a, const json_t *v);

#endif
