/* map.h - string to pointer, in an arena; keeps insertion order, so walking it gives the same order every time. */
#ifndef TENREC_BASE_MAP_H
#define TENREC_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct map_entry {
    const char *key; /* owned by the map's arena */
    void *value;
};
struct map {
    struct arena *arena;
    struct map_entry *entries; /* in insertion order */
    size_t n, cap;
    unsigned *slots; /* index + 1 into entries, 0 when free */
    size_t n_slots;
};

struct map map_in(struct arena *a);
bool map_set(struct map *m, const char *key, void *value); /* copies the key; false when out of memory */
void *map_get(const struct map *m, const char *key);       /* NULL when absent */
struct map_entry *map_find(const struct map *m, const char *key);

#endif
