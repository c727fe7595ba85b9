/* hdf5_header.c - HDF5: object headers of both versions, and the messages in them. */
#include <string.h>

#include "base/arena.h"
#include "enc/hdf5_parts.h"

enum {
    DATASPACE = 1,
    LINK_INFO = 2,
    DATATYPE = 3,
    FILL_OLD = 4,
    FILL = 5,
    LINK = 6,
    LAYOUT = 8,
    FILTERS = 11,
    ATTRIBUTE = 12,
    CONTINUATION = 16,
    SYMBOL_TABLE = 17,
    ATTRIBUTE_INFO = 21,
    SHARED = 2,       /* flag of a message */
    BLOCKS_MAX = 4096 /* continuations of one header */
};

struct block {
    uint64_t address, len;
};

struct header {
    struct hdf5 *h;
    struct hdf5_object *o;
    struct hdf5_layout *layout;
    struct hdf5_cursor type, fill; /* their messages; p NULL: absent */
    bool has_type, has_space, has_layout, is_group;
    struct block *blocks;
    size_t n_blocks, cap_blocks;
    bool new_style;
    unsigned order; /* bytes of a creation order in each message */
};

static int read_fill(struct header *r, struct hdf5_cursor c, struct err *e)
{
    unsigned version = (unsigned)hdf5_get(&c, 1);
    bool defined;
    if (version < 3) {
        hdf5_take(&c, 2);
        defined = hdf5_get(&c, 1) || version < 2;
    } else defined = hdf5_get(&c, 1) & 32;
    uint64_t size = defined ? hdf5_get(&c, 4) : 0;
    if (size && size <= (uint64_t)(c.end - c.p)) r->layout->fill = (struct bytes){ c.p, (size_t)size };
    return 0;
}

/* "version, flags, [greatest order], heap, tree ..." of links and of attributes */
static int read_dense_info(struct header *r, struct hdf5_cursor c, unsigned order,
    int (*take)(struct hdf5 *h, struct hdf5_object *o, struct hdf5_cursor c, struct err *e), struct err *e)
{
    hdf5_take(&c, 1);
    if (hdf5_get(&c, 1) & 1) hdf5_take(&c, order);
    uint64_t heap = hdf5_address(&c, r->h), tree = hdf5_address(&c, r->h);
    if (c.over) return hdf5_broken(r->h, r->o->address, "a message about dense storage is cut short", e);
    return heap == HDF5_NOWHERE ? 0 : hdf5_read_dense(r->h, r->o, heap, tree, take, e);
}

static int add_block(struct header *r, struct hdf5_cursor c, struct err *e)
{
    struct block b;
    b.address = hdf5_address(&c, r->h);
    b.len = hdf5_length(&c, r->h);
    if (c.over || r->n_blocks == BLOCKS_MAX)
        return hdf5_broken(r->h, r->o->address, "an object header continues without end", e);
    if (r->n_blocks == r->cap_blocks) {
        size_t cap = r->cap_blocks ? 2 * r->cap_blocks : 8;
        struct block *more = ARENA_ARRAY(r->h->arena, cap, struct block);
        TRY_MEM(more, e);
        if (r->n_blocks) memcpy(more, r->blocks, r->n_blocks * sizeof b);
        r->blocks = more;
        r->cap_blocks = cap;
    }
    r->blocks[r->n_blocks++] = b;
    return 0;
}

static int read_message(struct header *r, unsigned type, unsigned flags, struct hdf5_cursor c, struct err *e)
{
    struct hdf5_object *o = r->o;
    uint64_t tree, heap;
    if (flags & SHARED && (type == DATATYPE || type == DATASPACE))
        return fail(e, ERR_UNSUPPORTED, "%s: HDF5 with shared messages (a named datatype) is not read", r->h->path);
    switch (type) {
    case DATASPACE: r->has_space = true; return hdf5_read_space(r->h, &c, &o->space, e);
    case DATATYPE: r->has_type = true; return hdf5_read_type(r->h, &c, &o->type, e);
    case LAYOUT: r->has_layout = true; return hdf5_read_layout(r->h, r->layout, c, e);
    case FILTERS: return hdf5_read_filters(r->h, r->layout, c, e);
    case FILL: return read_fill(r, c, e);
    case ATTRIBUTE: return hdf5_read_attr(r->h, o, c, e);
    case ATTRIBUTE_INFO: return read_dense_info(r, c, 2, hdf5_read_attr, e);
    case LINK: r->is_group = true; return hdf5_read_link(r->h, o, c, e);
    case LINK_INFO: r->is_group = true; return read_dense_info(r, c, 8, hdf5_read_link, e);
    case CONTINUATION: return add_block(r, c, e);
    case SYMBOL_TABLE:
        r->is_group = true;
        tree = hdf5_address(&c, r->h), heap = hdf5_address(&c, r->h);
        return hdf5_read_symbols(r->h, o, tree, heap, e);
    default: return 0;
    }
}

/* The messages of one block. */
static int read_messages(struct header *r, struct hdf5_cursor c, struct err *e)
{
    size_t head = r->new_style ? 4 + r->order : 8;
    while ((size_t)(c.end - c.p) >= head) { /* less is a gap */
        unsigned type = (unsigned)hdf5_get(&c, r->new_style ? 1 : 2), size = (unsigned)hdf5_get(&c, 2);
        unsigned flags = (unsigned)hdf5_get(&c, 1);
        hdf5_take(&c, r->new_style ? r->order : 3);
        if (size > (size_t)(c.end - c.p))
            return hdf5_broken(r->h, r->o->address, "a message of an object header is cut short", e);
        TRY(read_message(r, type, flags, (struct hdf5_cursor){ c.p, c.p + size, false }, e));
        hdf5_take(&c, size);
    }
    return 0;
}

static int read_old(struct header *r, struct err *e)
{
    struct hdf5_cursor c;
    TRY(hdf5_span(r->h, r->o->address, 16, "an object header", &c, e));
    if (hdf5_get(&c, 1) != 1) return hdf5_broken(r->h, r->o->address, "no object header is here", e);
    hdf5_take(&c, 7);
    uint64_t size = hdf5_get(&c, 4);
    TRY(hdf5_span(r->h, r->o->address + 16, size, "an object header", &c, e));
    return read_messages(r, c, e);
}

static int read_new(struct header *r, struct err *e)
{
    struct hdf5_cursor c;
    TRY(hdf5_span(r->h, r->o->address, 6, "an object header", &c, e));
    hdf5_take(&c, 4);
    unsigned version = (unsigned)hdf5_get(&c, 1), flags = (unsigned)hdf5_get(&c, 1);
    if (version != 2) return hdf5_broken(r->h, r->o->address, "an object header of unknown version", e);
    unsigned width = 1u << (flags & 3), skip = (flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0);
    r->new_style = true;
    r->order = flags & 4 ? 2 : 0;
    uint64_t at = r->o->address + 6;
    TRY(hdf5_span(r->h, at, skip + width, "an object header", &c, e));
    hdf5_take(&c, skip);
    uint64_t size = hdf5_get(&c, width);
    TRY(hdf5_span(r->h, at + skip + width, size, "an object header", &c, e));
    return read_messages(r, c, e);
}

/* Continuations: bare in old files; behind "OCHK" and before a checksum in new ones. */
static int read_block(struct header *r, struct block b, struct err *e)
{
    struct hdf5_cursor c;
    TRY(hdf5_span(r->h, b.address, b.len, "a continuation of an object header", &c, e));
    if (r->new_style) {
        if (b.len < 8 || memcmp(c.p, "OCHK", 4))
            return hdf5_broken(r->h, b.address, "no continuation of an object header is here", e);
        c.p += 4;
        c.end -= 4;
    }
    return read_messages(r, c, e);
}

int hdf5_read_header(struct hdf5 *h, struct hdf5_object *o, struct err *e)
{
    struct header r = { .h = h, .o = o, .layout = ARENA_NEW(h->arena, struct hdf5_layout) };
    struct hdf5_cursor c;
    TRY_MEM(r.layout, e);
    *r.layout = (struct hdf5_layout){ .address = HDF5_NOWHERE };
    TRY(hdf5_span(h, o->address, 4, "an object header", &c, e));
    TRY(memcmp(c.p, "OHDR", 4) ? read_old(&r, e) : read_new(&r, e));
    for (size_t i = 0; i < r.n_blocks; i++) TRY(read_block(&r, r.blocks[i], e));
    o->layout = r.layout;
    bool dataset = r.has_type && r.has_space && r.has_layout;
    o->kind = dataset ? HDF5_DATASET : r.is_group ? HDF5_GROUP : HDF5_OTHER;
    return 0;
}

/* Version 1 pads each part to a multiple of 8. */
static struct hdf5_cursor part(struct hdf5_cursor *c, unsigned size, unsigned version)
{
    unsigned whole = version == 1 ? (size + 7) & ~7u : size;
    const unsigned char *p = c->p;
    size_t left = (size_t)(c->end - p);
    if (whole > left && size <= left) whole = (unsigned)left;
    hdf5_take(c, whole);
    return c->over ? (struct hdf5_cursor){ p, p, true } : (struct hdf5_cursor){ p, p + size, false };
}

int hdf5_read_attr(struct hdf5 *h, struct hdf5_object *o, struct hdf5_cursor c, struct err *e)
{
    struct hdf5_attr *a = ARENA_NEW(h->arena, struct hdf5_attr);
    unsigned version = (unsigned)hdf5_get(&c, 1), flags = (unsigned)hdf5_get(&c, 1);
    unsigned name_size = (unsigned)hdf5_get(&c, 2), type_size = (unsigned)hdf5_get(&c, 2);
    unsigned space_size = (unsigned)hdf5_get(&c, 2);
    uint64_t size;
    TRY_MEM(a, e);
    if (version > 2) hdf5_take(&c, 1);
    if (version < 1 || version > 3) return hdf5_broken(h, o->address, "an attribute of unknown version", e);
    struct hdf5_cursor name = part(&c, name_size, version), type = part(&c, type_size, version);
    struct hdf5_cursor space = part(&c, space_size, version);
    if (c.over) return hdf5_broken(h, o->address, "an attribute is cut short", e);
    if (version > 1 && flags & 3) return 0; /* of a shared type: none that is asked for here */
    char *text = arena_strndup(h->arena, (const char *)name.p, (size_t)(name.end - name.p));
    TRY_MEM(text, e);
    TRY(hdf5_read_type(h, &type, &a->type, e));
    TRY(hdf5_read_space(h, &space, &a->space, e));
    if (!hdf5_bytes_of(&a->type, &a->space, &size) || size > (uint64_t)(c.end - c.p))
        return fail(e, ERR_MODEL, "%s: broken HDF5: the attribute %.100s is cut short", h->path, text);
    a->data = (struct bytes){ c.p, (size_t)size };
    return map_set(&o->attrs, text, a) ? 0 : fail_nomem(e);
}

int hdf5_read_link(struct hdf5 *h, struct hdf5_object *o, struct hdf5_cursor c, struct err *e)
{
    hdf5_take(&c, 1);
    unsigned flags = (unsigned)hdf5_get(&c, 1), type = flags & 8 ? (unsigned)hdf5_get(&c, 1) : 0;
    hdf5_take(&c, (flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0));
    uint64_t len = hdf5_get(&c, 1u << (flags & 3));
    struct hdf5_link *l = ARENA_NEW(h->arena, struct hdf5_link);
    TRY_MEM(l, e);
    if (c.over || len > (uint64_t)(c.end - c.p)) return hdf5_broken(h, o->address, "a link is cut short", e);
    char *name = arena_strndup(h->arena, (const char *)hdf5_take(&c, len), (size_t)len);
    TRY_MEM(name, e);
    TRY(hdf5_pay(h, len, e));
    if (type == 0) l->address = hdf5_address(&c, h);
    else if (type == 1) {
        uint64_t size = hdf5_get(&c, 2);
        const unsigned char *text = c.over ? NULL : hdf5_take(&c, size);
        if (c.over) return hdf5_broken(h, o->address, "a link is cut short", e);
        TRY_MEM(l->soft = arena_strndup(h->arena, (const char *)text, (size_t)size), e);
    } else return 0; /* into another file: not followed */
    if (c.over) return hdf5_broken(h, o->address, "a link is cut short", e);
    return map_set(&o->links, name, l) ? 0 : fail_nomem(e);
}
