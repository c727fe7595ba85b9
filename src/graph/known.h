/* known.h - partly known contents of small int64 tensors: what shape arithmetic can say before shapes are bound.
 *
 * Each element is a number, a symbol of the graph, or unknown, packed into an int64 with the far negative end set
 * aside.
 */
#ifndef TENREC_GRAPH_KNOWN_H
#define TENREC_GRAPH_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "graph/shape.h"

enum { KNOWN_MAX = 64 }; /* elements; longer tensors carry nothing */
#define KNOWN_UNKNOWN INT64_MIN
#define KNOWN_SYMBOL_END (INT64_MIN + ((int64_t)1 << 32))

static inline bool known_is_number(int64_t k)
{
    return k >= KNOWN_SYMBOL_END;
}
/* Between a dimension and an element of contents. A negative number is no dimension: unknown. */
static inline int64_t known_from_dim(int64_t dim)
{
    return dim >= 0 ? dim : dim == DIM_UNKNOWN ? KNOWN_UNKNOWN : INT64_MIN + 1 + DIM_SYMBOL_INDEX(dim);
}
static inline int64_t dim_from_known(int64_t k)
{
    if (known_is_number(k)) return k >= 0 ? k : DIM_UNKNOWN;
    return k == KNOWN_UNKNOWN ? DIM_UNKNOWN : DIM_SYMBOL(k - INT64_MIN - 1);
}

struct value;
struct arena;
/* Contents of an integer value of known, small size: from its constant or its `known`. Writes at most KNOWN_MAX
 * elements
 * and returns how many there are; -1 when nothing can be said. */
int value_contents(const struct value *v, int64_t out[KNOWN_MAX]);
/* Stores contents on a value (copied to its graph's arena through `a`); nothing when memory is
 * out, which a->failed tells. */
void value_set_contents(struct value *v, struct arena *a, const int64_t *k, int n);

#endif
