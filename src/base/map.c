/* map.c - open addressing over an ordered entry list. */
#include "base/map.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"

struct map map_in(struct arena *a)
{
    return (struct map){ .arena = a };
}

static size_t slot_of(const struct map *m, const char *key)
{
    size_t i = hash_bytes(key, strlen(key)) & (m->n_slots - 1);
    while (m->slots[i] && strcmp(m->entries[m->slots[i] - 1].key, key)) i = (i + 1) & (m->n_slots - 1);
    return i;
}

static bool rehash(struct map *m)
{
    size_t n = m->n_slots ? m->n_slots * 2 : 16;
    unsigned *slots = ARENA_ARRAY(m->arena, n, unsigned);
    if (!slots) return false;
    m->slots = slots;
    m->n_slots = n;
    for (size_t i = 0; i < m->n; i++) m->slots[slot_of(m, m->entries[i].key)] = (unsigned)i + 1;
    return true;
}

struct map_entry *map_find(const struct map *m, const char *key)
{
    if (!m->n) return NULL;
    unsigned i = m->slots[slot_of(m, key)];
    return i ? &m->entries[i - 1] : NULL;
}

void *map_get(const struct map *m, const char *key)
{
    struct map_entry *e = map_find(m, key);
    return e ? e->value : NULL;
}

bool map_set(struct map *m, const char *key, void *value)
{
    struct map_entry *e = map_find(m, key);
    if (e) return e->value = value, true;
    if (m->n * 4 >= m->n_slots * 3 && !rehash(m)) return false;
    struct map_entry fresh = { arena_strdup(m->arena, key), value };
    if (!fresh.key) return false;
    size_t slot = slot_of(m, key);
    if (!ARRAY_PUSH(m->arena, m->entries, m->n, m->cap, fresh)) return false;
    m->slots[slot] = (unsigned)m->n;
    return true;
}
