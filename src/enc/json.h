/* json.h - JSON through jansson: parsed with located errors, owned by an arena, printed in one canonical form. */
#ifndef TENREC_ENC_JSON_H
#define TENREC_ENC_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"

struct arena;
struct err;

/* Parses an object or array; a key twice in one object is an error. The tree lives as long as `a`. `path` is for
 * messages, which give line and column. Errors: ERR_DATA. */
int json_parse(struct arena *a, const char *path, struct bytes text, json_t **out, struct err *e);
/* Gives a reference to the arena, which drops it at its end. Takes it also on failure (ERR_NOMEM, also for NULL). */
int json_own(struct arena *a, json_t *tree, struct err *e);
/* Sorted keys, two spaces of indentation, numbers that read back to the same bits, a line feed at the end: equal trees
 * give equal text. Keys in the order of their making with JSON_IN_ORDER. */
enum json_print_flags { JSON_IN_ORDER = 1, JSON_ONE_LINE = 2 };
int json_print(const json_t *tree, unsigned flags, struct arena *a, struct bytes *out, struct err *e);
/* A number, or one of the texts ".inf", "-.inf", ".nan" that stand for what JSON cannot say. */
bool json_get_number(const json_t *value, double *out);

#endif
