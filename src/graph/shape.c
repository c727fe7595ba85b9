/* shape.c - arithmetic on shapes. */
#include "graph/shape.h"

#include <string.h>

struct shape shape_of(int rank, const int64_t *dims)
{
    struct shape s = { rank, { 0 } };
    if (rank > 0) memcpy(s.dim, dims, (size_t)rank * sizeof *dims);
    return s;
}

bool shape_is_known(const struct shape *s)
{
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0) return false;
    return s->rank >= 0;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank || a->rank < 0) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i] || a->dim[i] == DIM_UNKNOWN) return false;
    return true;
}

int64_t shape_span(const struct shape *s, int from, int to)
{
    int64_t n = 1;
    bool overflow = false;
    if (s->rank < 0) return -1;
    for (int i = from; i < to; i++) {
        if (s->dim[i] < 0) return -1;
        if (!s->dim[i]) return 0;
        overflow |= __builtin_mul_overflow(n, s->dim[i], &n) || n > INT64_MAX / 16;
        if (overflow) n = 1;
    }
    return overflow ? -1 : n;
}

int64_t shape_count(const struct shape *s)
{
    return shape_span(s, 0, s->rank);
}

void shape_strides(const struct shape *s, int64_t *strides)
{
    int64_t step = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= s->dim[i];
    }
}

int shape_axis(int64_t axis, int rank)
{
    if (axis < -(int64_t)rank || axis >= rank) return -1;
    return (int)(axis < 0 ? axis + rank : axis);
}

static bool broadcast_dim(int64_t a, int64_t b, int64_t *out)
{
    if (a == 1 || b == 1) *out = a == 1 ? b : a;
    else if (a >= 0 && b >= 0) return *out = a, a == b;
    else if (a >= 0 || b >= 0) *out = a >= 0 ? a : b;
    else *out = a == b ? a : DIM_UNKNOWN;
    return true;
}

bool shape_broadcast(const struct shape *a, const struct shape *b, struct shape *out)
{
    if (a->rank < 0 || b->rank < 0) return *out = shape_unknown(), true;
    int rank = a->rank > b->rank ? a->rank : b->rank;
    struct shape s = { rank, { 0 } };
    for (int i = 1; i <= rank; i++) {
        int64_t x = i <= a->rank ? a->dim[a->rank - i] : 1, y = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (!broadcast_dim(x, y, &s.dim[rank - i])) return false;
    }
    *out = s;
    return true;
}

bool shape_merge(struct shape *into, const struct shape *other)
{
    if (other->rank < 0) return true;
    if (into->rank < 0) return *into = *other, true;
    if (into->rank != other->rank) return false;
    for (int i = 0; i < into->rank; i++) {
        int64_t *a = &into->dim[i], b = other->dim[i];
        if (*a >= 0 && b >= 0 && *a != b) return false;
        if (*a < 0 && (b >= 0 || *a == DIM_UNKNOWN)) *a = b;
    }
    return true;
}
