/* array.h - growable arrays in an arena: three plain members (pointer, count, capacity) and one macro. */
#ifndef TENREC_BASE_ARRAY_H
#define TENREC_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* Makes room for one more item of `size` bytes; *items may move. False when out of memory. */
bool array_grow(struct arena *a, void **items, size_t n, size_t *cap, size_t size);

/* ARRAY_PUSH(arena, x->items, x->n, x->cap, item): true on success. `n` and `cap` are size_t lvalues. */
#define ARRAY_PUSH(arena, items, n, cap, item) \
    (array_grow((arena), (void **)(void *)&(items), (n), &(cap), sizeof *(items)) && ((items)[(n)++] = (item), true))

#endif
