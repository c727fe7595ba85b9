/* hdf5_group.c - HDF5: old groups, whose links are a symbol table: a B-tree of version 1 and a heap of names. */
#include <string.h>

#include "base/arena.h"
#include "enc/hdf5_parts.h"

enum { LEVELS_MAX = 32 };

struct table {
    struct hdf5 *h;
    struct hdf5_object *o;
    struct hdf5_cursor names; /* the heap's data */
};

static int open_heap(struct table *t, uint64_t address, struct err *e)
{
    struct hdf5 *h = t->h;
    struct hdf5_cursor c;
    TRY(hdf5_span(h, address, 8 + 2 * (uint64_t)h->length_size + h->offset_size, "a local heap", &c, e));
    if (memcmp(hdf5_take(&c, 4), "HEAP", 4)) return hdf5_broken(h, address, "no local heap is here", e);
    hdf5_take(&c, 4);
    uint64_t size = hdf5_length(&c, h);
    hdf5_length(&c, h);
    return hdf5_span(h, hdf5_address(&c, h), size, "a local heap", &t->names, e);
}

/* A name, or the target of a soft link. */
static int heap_text(struct table *t, uint64_t offset, char **out, struct err *e)
{
    size_t size = (size_t)(t->names.end - t->names.p);
    const unsigned char *p = t->names.p + (offset < size ? offset : 0);
    const unsigned char *end = offset < size ? memchr(p, 0, size - (size_t)offset) : NULL;
    if (!end) return hdf5_broken(t->h, t->o->address, "a link's name lies outside its heap", e);
    TRY(hdf5_pay(t->h, (uint64_t)(end - p), e));
    TRY_MEM(*out = arena_strndup(t->h->arena, (const char *)p, (size_t)(end - p)), e);
    return 0;
}

static int read_entry(struct table *t, struct hdf5_cursor *c, struct err *e)
{
    struct hdf5 *h = t->h;
    struct hdf5_link *l = ARENA_NEW(h->arena, struct hdf5_link);
    uint64_t name_at = hdf5_address(c, h);
    char *name, *soft = NULL;
    TRY_MEM(l, e);
    l->address = hdf5_address(c, h);
    unsigned cached = (unsigned)hdf5_get(c, 4);
    hdf5_take(c, 4);
    uint64_t target = hdf5_get(c, 4);
    hdf5_take(c, 12);
    TRY(heap_text(t, name_at, &name, e));
    if (cached == 2) TRY(heap_text(t, target, &soft, e));
    l->soft = soft;
    return map_set(&t->o->links, name, l) ? 0 : fail_nomem(e);
}

static int read_leaf(struct table *t, uint64_t address, struct err *e)
{
    struct hdf5 *h = t->h;
    struct hdf5_cursor c;
    TRY(hdf5_span(h, address, 8, "a symbol table node", &c, e));
    if (memcmp(hdf5_take(&c, 4), "SNOD", 4)) return hdf5_broken(h, address, "no symbol table node is here", e);
    hdf5_take(&c, 2);
    uint64_t n = hdf5_get(&c, 2);
    TRY(hdf5_span(h, address + 8, n * (2 * (uint64_t)h->offset_size + 24), "a symbol table node", &c, e));
    for (uint64_t i = 0; i < n; i++) TRY(read_entry(t, &c, e));
    return 0;
}

static int read_node(struct table *t, uint64_t address, unsigned above, struct err *e)
{
    struct hdf5 *h = t->h;
    struct hdf5_cursor c;
    TRY(hdf5_span(h, address, 8 + 2 * (uint64_t)h->offset_size, "a B-tree node", &c, e));
    if (memcmp(hdf5_take(&c, 4), "TREE", 4)) return hdf5_broken(h, address, "no B-tree node is here", e);
    unsigned type = (unsigned)hdf5_get(&c, 1), level = (unsigned)hdf5_get(&c, 1);
    uint64_t n = hdf5_get(&c, 2), head = 8 + 2 * (uint64_t)h->offset_size;
    if (type || level >= above) return hdf5_broken(h, address, "a B-tree of links that is none", e);
    TRY(hdf5_span(h, address + head, n * (h->offset_size + (uint64_t)h->length_size), "a B-tree node", &c, e));
    for (uint64_t i = 0; i < n; i++) {
        hdf5_length(&c, h); /* the key */
        uint64_t child = hdf5_address(&c, h);
        TRY(level ? read_node(t, child, level, e) : read_leaf(t, child, e));
    }
    return 0;
}

int hdf5_read_symbols(struct hdf5 *h, struct hdf5_object *o, uint64_t tree, uint64_t heap, struct err *e)
{
    struct table t = { h, o, { 0 } };
    TRY(open_heap(&t, heap, e));
    return read_node(&t, tree, LEVELS_MAX, e);
}
