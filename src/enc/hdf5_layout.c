/* hdf5_layout.c - HDF5: where the data of a dataset lie, and what was done to them. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "enc/hdf5_parts.h"

static int read_chunked(struct hdf5 *h, struct hdf5_layout *l, struct hdf5_cursor *c, unsigned version, struct err *e)
{
    unsigned flags = version > 3 ? (unsigned)hdf5_get(c, 1) : 0, rank = (unsigned)hdf5_get(c, 1);
    if (rank < 1 || rank > HDF5_RANK_MAX + 1)
        return fail(e, ERR_MODEL, "%s: broken HDF5: chunks of rank %u", h->path, rank);
    l->class = HDF5_CHUNKED;
    l->rank = (int)rank - 1;
    if (version == 3) l->address = hdf5_address(c, h);
    unsigned width = version > 3 ? (unsigned)hdf5_get(c, 1) : 4;
    if (width < 1 || width > 8)
        return fail(e, ERR_MODEL, "%s: broken HDF5: sizes of chunks of %u bytes", h->path, width);
    for (unsigned i = 0; i < rank; i++) {
        uint64_t dim = hdf5_get(c, width);
        if (i < rank - 1) l->chunk[i] = dim;
        if (!dim) return fail(e, ERR_MODEL, "%s: broken HDF5: empty chunks", h->path);
    }
    if (version < 4) return 0;
    l->index = (enum hdf5_index)hdf5_get(c, 1);
    if (l->index == HDF5_SINGLE && flags & 2) {
        l->filtered_size = hdf5_length(c, h);
        l->skipped = (unsigned)hdf5_get(c, 4);
    }
    if (l->index == HDF5_FIXED) hdf5_take(c, 1);
    if (l->index == HDF5_EXTENSIBLE) hdf5_take(c, 5);
    if (l->index == HDF5_TREE2) hdf5_take(c, 6);
    l->address = hdf5_address(c, h);
    return 0;
}

/* Versions 1 and 2: the same numbers in another order. */
static int read_old(struct hdf5 *h, struct hdf5_layout *l, struct hdf5_cursor *c, struct err *e)
{
    unsigned rank = (unsigned)hdf5_get(c, 1), class = (unsigned)hdf5_get(c, 1);
    hdf5_take(c, 5);
    if (class != HDF5_COMPACT) l->address = hdf5_address(c, h);
    if (rank < 1 || rank > HDF5_RANK_MAX + 1)
        return fail(e, ERR_MODEL, "%s: broken HDF5: a layout of rank %u", h->path, rank);
    l->class = (enum hdf5_class) class;
    l->rank = (int)rank - 1;
    l->size = UINT64_MAX;
    for (unsigned i = 0; i < rank; i++) {
        uint64_t dim = hdf5_get(c, 4);
        if (i < rank - 1) l->chunk[i] = dim;
        if (!dim) return fail(e, ERR_MODEL, "%s: broken HDF5: empty chunks", h->path);
    }
    if (class != HDF5_COMPACT) return 0;
    uint64_t size = hdf5_get(c, 4);
    l->inside = (struct bytes){ c->p, (size_t)(size < (uint64_t)(c->end - c->p) ? size : (uint64_t)(c->end - c->p)) };
    return 0;
}

int hdf5_read_layout(struct hdf5 *h, struct hdf5_layout *l, struct hdf5_cursor c, struct err *e)
{
    unsigned version = (unsigned)hdf5_get(&c, 1), class;
    if (version < 1 || version > 4)
        return fail(e, ERR_UNSUPPORTED, "%s: HDF5 data layout of version %u; 1 to 4 are read", h->path, version);
    if (version < 3) {
        TRY(read_old(h, l, &c, e));
        class = l->class;
    } else {
        class = (unsigned)hdf5_get(&c, 1);
        l->class = (enum hdf5_class) class;
        if (class == HDF5_COMPACT) {
            uint64_t size = hdf5_get(&c, 2);
            l->inside = (struct bytes){ c.p, (size_t)size };
            hdf5_take(&c, size);
        } else if (class == HDF5_CONTIGUOUS) {
            l->address = hdf5_address(&c, h);
            l->size = hdf5_length(&c, h);
        } else if (class == HDF5_CHUNKED) TRY(read_chunked(h, l, &c, version, e));
    }
    if (c.over) return fail(e, ERR_MODEL, "%s: broken HDF5: a data layout is cut short", h->path);
    if (class > HDF5_CHUNKED)
        return fail(e, ERR_UNSUPPORTED, "%s: HDF5 with data in other files (virtual layout) is not read", h->path);
    return 0;
}

int hdf5_read_filters(struct hdf5 *h, struct hdf5_layout *l, struct hdf5_cursor c, struct err *e)
{
    unsigned version = (unsigned)hdf5_get(&c, 1), n = (unsigned)hdf5_get(&c, 1);
    if (version == 1) hdf5_take(&c, 6);
    if (n > HDF5_FILTERS_MAX) return fail(e, ERR_MODEL, "%s: broken HDF5: %u filters", h->path, n);
    for (unsigned i = 0; i < n; i++) {
        unsigned id = (unsigned)hdf5_get(&c, 2), len = version == 1 || id >= 256 ? (unsigned)hdf5_get(&c, 2) : 0;
        hdf5_take(&c, 2);
        unsigned values = (unsigned)hdf5_get(&c, 2);
        const unsigned char *name = hdf5_take(&c, version == 1 ? (len + 7) & ~7u : len);
        if (c.over) return fail(e, ERR_MODEL, "%s: broken HDF5: filters are cut short", h->path);
        l->filter[i].id = id;
        snprintf(l->filter[i].name, sizeof l->filter[i].name, "%.*s", (int)(len < 31 ? len : 31), (const char *)name);
        for (unsigned k = 0; k < values; k++) {
            unsigned v = (unsigned)hdf5_get(&c, 4);
            if (!k) l->filter[i].value = v;
        }
        if (version == 1 && values % 2) hdf5_take(&c, 4);
    }
    l->n_filters = (int)n;
    return c.over ? fail(e, ERR_MODEL, "%s: broken HDF5: filters are cut short", h->path) : 0;
}

static int fill(struct hdf5 *h, const struct hdf5_object *o, uint64_t size, unsigned char **out, struct err *e)
{
    if (size > h->inflate)
        return fail(e, ERR_MODEL, "%s: an HDF5 dataset of %llu bytes is too large for a file of %zu", h->path,
            (unsigned long long)size, h->file.len);
    h->inflate -= size;
    TRY_MEM(*out = arena_alloc(h->arena, (size_t)size), e);
    struct bytes f = o->layout->fill;
    for (uint64_t at = 0; f.len == o->type.size && at < size; at += f.len) memcpy(*out + at, f.data, f.len);
    return 0;
}

static void swap(unsigned char *p, uint64_t size, unsigned width)
{
    for (uint64_t at = 0; at + width <= size; at += width)
        for (unsigned i = 0; i < width / 2; i++) {
            unsigned char t = p[at + i];
            p[at + i] = p[at + width - 1 - i];
            p[at + width - 1 - i] = t;
        }
}

static int read_plain(struct hdf5 *h, struct hdf5_object *o, uint64_t size, struct err *e)
{
    const struct hdf5_layout *l = o->layout;
    uint64_t room = h->file.len - h->base;
    unsigned char *made;
    if (l->class == HDF5_COMPACT) {
        if (size > l->inside.len) return hdf5_broken(h, o->address, "compact data are cut short", e);
        o->data = (struct bytes){ l->inside.data, (size_t)size };
        return 0;
    }
    if (l->address == HDF5_NOWHERE) { /* nothing was ever written */
        TRY(fill(h, o, size, &made, e));
        o->data = (struct bytes){ made, (size_t)size };
        return 0;
    }
    if (size > l->size || l->address > room || size > room - l->address)
        return fail(e, ERR_MODEL, "%s: broken HDF5: data of %llu bytes at offset %llu lie outside the file of %zu",
            h->path, (unsigned long long)size, (unsigned long long)l->address, h->file.len);
    o->data = (struct bytes){ h->file.data + h->base + l->address, (size_t)size };
    return 0;
}

static int read_chunked_data(struct hdf5 *h, struct hdf5_object *o, uint64_t size, struct err *e)
{
    const struct hdf5_layout *l = o->layout;
    uint64_t chunk = o->type.size;
    unsigned char *made;
    if (l->rank != o->space.rank) return hdf5_broken(h, o->address, "chunks of another rank than the data", e);
    for (int i = 0; i < l->rank; i++)
        if (__builtin_mul_overflow(chunk, l->chunk[i], &chunk))
            return hdf5_broken(h, o->address, "chunks past all measure", e);
    TRY(fill(h, o, size, &made, e));
    if (l->address != HDF5_NOWHERE && size) TRY(hdf5_read_chunks(h, o, made, chunk, e));
    o->data = (struct bytes){ made, (size_t)size };
    return 0;
}

int hdf5_read(struct hdf5 *h, struct hdf5_object *o, struct bytes *out, struct err *e)
{
    uint64_t size;
    if (o->kind != HDF5_DATASET) return fail(e, ERR_MODEL, "%s: broken HDF5: a group where data should be", h->path);
    if (!hdf5_bytes_of(&o->type, &o->space, &size)) return hdf5_broken(h, o->address, "data past all measure", e);
    if (!o->data.data) {
        TRY(o->layout->class == HDF5_CHUNKED ? read_chunked_data(h, o, size, e) : read_plain(h, o, size, e));
        if (o->type.big_endian && o->type.size > 1 && o->data.len) {
            unsigned char *turned = arena_alloc(h->arena, o->data.len);
            TRY_MEM(turned, e);
            memcpy(turned, o->data.data, o->data.len);
            swap(turned, o->data.len, o->type.size);
            o->data.data = turned;
        }
    }
    *out = o->data;
    return 0;
}
