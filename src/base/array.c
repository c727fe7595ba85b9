/* array.c - growth of arena arrays, by doubling. */
#include "base/array.h"

#include <string.h>

#include "base/arena.h"

bool array_grow(struct arena *a, void **items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return true;
    size_t want = *cap ? *cap * 2 : 8;
    void *p = arena_array(a, want, size);
    if (!p) return false;
    void *old;
    memcpy(&old, items, sizeof old);
    if (n) memcpy(p, old, n * size);
    memcpy(items, &p, sizeof p);
    *cap = want;
    return true;
}
