/* prototxt.h - the text format of protocol buffers, read into a tree by the tables that read the wire format, too.
 *
 * `name: value`, `name { .. }`, `name: { .. }`, `< .. >` for braces, lists `[a, b]`, `#` comments, fields parted by
 * nothing, ',' or ';'. Numbers are decimal, octal or hexadecimal, floats may end in f, and inf and nan are floats;
 * strings stand in ' or ", have C's escapes, and neighbours are joined. Fields that no row knows are checked for their
 * form, and told of in the report.
 */
#ifndef TENREC_ENC_PROTOTXT_H
#define TENREC_ENC_PROTOTXT_H

#include "enc/proto_tree.h"

/* `path` is for messages ("path:line:column: what"). `r` may be NULL. Errors: ERR_MODEL; NULL. */
struct tree *prototxt_read(struct arena *a, const char *path, struct bytes text, const struct tree_schema *schema,
    struct report *r, struct err *e);

#endif
