/* shape.h - ranks and dimensions; a dimension is a number, a named symbol of its graph, or unknown. */
#ifndef TENREC_GRAPH_SHAPE_H
#define TENREC_GRAPH_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

enum { SHAPE_MAX = 8, RANK_UNKNOWN = -1 };

/* >= 0: that many; DIM_UNKNOWN; below it a symbol: equal codes are the same (unknown) number. */
enum { DIM_UNKNOWN = -1 };
#define DIM_SYMBOL(index) ((int64_t)-2 - (index))
#define DIM_SYMBOL_INDEX(dim) ((int)(-2 - (dim)))

struct shape {
    int rank; /* RANK_UNKNOWN: nothing is known */
    int64_t dim[SHAPE_MAX];
};

static inline struct shape shape_unknown(void)
{
    return (struct shape){ RANK_UNKNOWN, { 0 } };
}
struct shape shape_of(int rank, const int64_t *dims);
bool shape_is_known(const struct shape *s);                     /* rank and every dimension are numbers */
bool shape_equal(const struct shape *a, const struct shape *b); /* symbols equal by code; unknown equals nothing */
/* Number of elements; -1 when not known or past INT64_MAX / 16. */
int64_t shape_count(const struct shape *s);
int64_t shape_span(const struct shape *s, int from, int to); /* product of dims [from, to); -1 when not known */
/* Row-major strides in elements; `strides` holds s->rank numbers. */
void shape_strides(const struct shape *s, int64_t *strides);
/* axis in [-rank, rank) to [0, rank), else -1. */
int shape_axis(int64_t axis, int rank);
/* Numpy broadcasting of two shapes; symbols and unknowns give the best that can be said. False when impossible. */
bool shape_broadcast(const struct shape *a, const struct shape *b, struct shape *out);
/* What two descriptions of one value agree on: numbers win over symbols, symbols over unknown. False on conflict. */
bool shape_merge(struct shape *into, const struct shape *other);

#endif
