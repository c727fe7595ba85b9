/* hdf5_dense.c - HDF5: messages that new files keep out of headers, in a fractal heap under a B-tree of version 2. */
#include <string.h>

#include "enc/hdf5_parts.h"

enum { DEPTH_MAX = 16, ROWS_MAX = 64, HUGE_OBJECT = 1, TINY_OBJECT = 2 };

/* Bytes that hold every number up to v. */
static unsigned width_of(uint64_t v)
{
    unsigned n = 1;
    while (v >>= 8) n++;
    return n;
}

static unsigned log2_of(uint64_t v)
{
    unsigned n = 0;
    while (v >>= 1) n++;
    return n;
}

struct tree {
    uint64_t node_size;
    unsigned type, record, depth;
    unsigned count_width;                /* of a child's number of records */
    unsigned total_width[DEPTH_MAX + 1]; /* and of all below, by the child's depth */
};

static int read_tree_node(
    struct hdf5_records *r, const struct tree *t, uint64_t address, uint64_t n, unsigned depth, struct err *e)
{
    struct hdf5_cursor c;
    TRY(hdf5_span(r->h, address, t->node_size, "a node of a B-tree", &c, e));
    const unsigned char *magic = hdf5_take(&c, 4);
    hdf5_take(&c, 2);
    if (c.over || memcmp(magic, depth ? "BTIN" : "BTLF", 4))
        return hdf5_broken(r->h, address, "no node of a B-tree is here", e);
    if (n > (uint64_t)(c.end - c.p) / t->record) return hdf5_broken(r->h, address, "a B-tree with too many records", e);
    for (uint64_t i = 0; i < n; i++) {
        const unsigned char *p = hdf5_take(&c, t->record);
        TRY(r->take(r, t->type, (struct hdf5_cursor){ p, p + t->record, false }, e));
    }
    for (uint64_t i = 0; depth && i <= n; i++) {
        uint64_t child = hdf5_address(&c, r->h), count = hdf5_get(&c, t->count_width);
        if (depth > 1) hdf5_take(&c, t->total_width[depth - 1]);
        if (c.over) return hdf5_broken(r->h, address, "a node of a B-tree is cut short", e);
        TRY(read_tree_node(r, t, child, count, depth - 1, e));
    }
    return 0;
}

/* How wide the numbers in inner nodes are follows from how many records fit (H5B2hdr.c has the same rule). */
static void tree_widths(struct tree *t, const struct hdf5 *h)
{
    uint64_t most = (t->node_size - 10) / t->record, total = most;
    t->count_width = width_of(most);
    for (unsigned d = 1; d <= t->depth; d++) {
        uint64_t pointer = h->offset_size + t->count_width + t->total_width[d - 1];
        most = t->node_size > 10 + pointer ? (t->node_size - 10 - pointer) / (t->record + pointer) : 0;
        if (__builtin_mul_overflow(most + 1, total, &total)) total = UINT64_MAX / 2;
        total += most;
        t->total_width[d] = width_of(total);
    }
}

int hdf5_each_record(struct hdf5_records *r, uint64_t address, struct err *e)
{
    struct hdf5 *h = r->h;
    struct hdf5_cursor c;
    TRY(hdf5_span(h, address, 18 + (uint64_t)h->offset_size + h->length_size, "a B-tree", &c, e));
    if (memcmp(hdf5_take(&c, 4), "BTHD", 4)) return hdf5_broken(h, address, "no B-tree is here", e);
    hdf5_take(&c, 1);
    struct tree t = { 0 };
    t.type = (unsigned)hdf5_get(&c, 1);
    t.node_size = hdf5_get(&c, 4);
    t.record = (unsigned)hdf5_get(&c, 2);
    t.depth = (unsigned)hdf5_get(&c, 2);
    hdf5_take(&c, 2);
    uint64_t root = hdf5_address(&c, h), n = hdf5_get(&c, 2);
    if (root == HDF5_NOWHERE || !n) return 0;
    if (!t.record || t.node_size < 16 || t.depth > DEPTH_MAX)
        return hdf5_broken(h, address, "a B-tree of impossible sizes", e);
    tree_widths(&t, h);
    return read_tree_node(r, &t, root, n, t.depth, e);
}

struct heap {
    uint64_t address;
    unsigned id_size, offset_width, length_width;
    uint64_t huge_tree, width, start, max_direct, root, rows;
    bool filtered;
};

struct dense {
    struct heap heap;
    struct hdf5_object *o;
    int (*take)(struct hdf5 *h, struct hdf5_object *o, struct hdf5_cursor c, struct err *e);
    uint64_t wanted; /* a huge object, by number */
    struct hdf5_cursor found;
    bool has_found;
};

static int open_heap(struct hdf5 *h, struct heap *p, uint64_t address, struct err *e)
{
    struct hdf5_cursor c;
    uint64_t size = 22 + 12 * (uint64_t)h->length_size + 3 * (uint64_t)h->offset_size;
    TRY(hdf5_span(h, address, size, "a fractal heap", &c, e));
    if (memcmp(hdf5_take(&c, 4), "FRHP", 4)) return hdf5_broken(h, address, "no fractal heap is here", e);
    hdf5_take(&c, 1);
    *p = (struct heap){ .address = address, .id_size = (unsigned)hdf5_get(&c, 2) };
    p->filtered = hdf5_get(&c, 2) != 0;
    hdf5_take(&c, 1);
    uint64_t max_object = hdf5_get(&c, 4);
    hdf5_length(&c, h);
    p->huge_tree = hdf5_address(&c, h);
    hdf5_length(&c, h);
    hdf5_address(&c, h);
    hdf5_take(&c, 8 * (uint64_t)h->length_size);
    p->width = hdf5_get(&c, 2);
    p->start = hdf5_length(&c, h);
    p->max_direct = hdf5_length(&c, h);
    unsigned bits = (unsigned)hdf5_get(&c, 2);
    hdf5_take(&c, 2);
    p->root = hdf5_address(&c, h);
    p->rows = hdf5_get(&c, 2);
    p->offset_width = (bits + 7) / 8;
    p->length_width = (log2_of(p->max_direct) + 7) / 8;
    if (width_of(max_object) < p->length_width) p->length_width = width_of(max_object);
    if (c.over || !p->width || !p->start || p->offset_width < 1 || p->offset_width > 8 || p->length_width < 1 ||
        p->length_width > 8 || p->rows > ROWS_MAX || p->max_direct < p->start)
        return hdf5_broken(h, address, "a fractal heap of impossible sizes", e);
    if (p->filtered)
        return fail(e, ERR_UNSUPPORTED, "%s: HDF5 with packed names (filters on a heap) is not read", h->path);
    return 0;
}

/* The block in which `offset` of the heap lies: its address, and how far into it. */
static int find_block(struct hdf5 *h, const struct heap *p, uint64_t *offset, uint64_t *address, struct err *e)
{
    uint64_t at = p->root, rows = p->rows, left = *offset;
    unsigned direct_rows = log2_of(p->max_direct) - log2_of(p->start) + 2;
    while (rows) {
        uint64_t row = 0, size = p->start, span = p->start;
        if (__builtin_mul_overflow(span, p->width, &span)) break;
        while (left >= span && row < rows) {
            left -= span;
            row++;
            if (row > 1 && (size >> 62 || span >> 62)) break;
            if (row > 1) size *= 2, span *= 2;
        }
        if (row >= rows) break;
        uint64_t column = left / size, index = row * p->width + column;
        left -= column * size;
        struct hdf5_cursor c;
        uint64_t head = 5 + (uint64_t)h->offset_size + p->offset_width;
        TRY(hdf5_span(h, at, head, "a block of a fractal heap", &c, e));
        if (memcmp(hdf5_take(&c, 4), "FHIB", 4)) return hdf5_broken(h, at, "no block of a fractal heap is here", e);
        TRY(hdf5_span(h, at + head + index * h->offset_size, h->offset_size, "a block of a fractal heap", &c, e));
        at = hdf5_address(&c, h);
        if (row < direct_rows) return *offset = left, *address = at, 0;
        unsigned first = log2_of(p->start) + log2_of(p->width), have = log2_of(size);
        rows = have >= first ? have - first + 1 : 0;
        if (!rows) break;
    }
    if (p->rows) return hdf5_broken(h, p->address, "an object lies outside its fractal heap", e);
    return *address = at, 0;
}

static int take_huge(struct hdf5_records *r, unsigned type, struct hdf5_cursor c, struct err *e)
{
    struct dense *d = r->cookie;
    uint64_t address = hdf5_address(&c, r->h), len = hdf5_length(&c, r->h), id = hdf5_length(&c, r->h);
    if (type != 1 || c.over || id != d->wanted || d->has_found) return 0;
    d->has_found = true;
    return hdf5_span(r->h, address, len, "a large object", &d->found, e);
}

/* The object that a heap identifier names. */
static int heap_object(struct hdf5 *h, struct dense *d, struct hdf5_cursor id, struct hdf5_cursor *out, struct err *e)
{
    const struct heap *p = &d->heap;
    unsigned head = (unsigned)hdf5_get(&id, 1), kind = head >> 4 & 3;
    if (kind == TINY_OBJECT) {
        uint64_t len = (head & 15) + 1;
        const unsigned char *data = len <= (uint64_t)(id.end - id.p) ? id.p : NULL;
        if (!data) return hdf5_broken(h, p->address, "a small object is cut short", e);
        return *out = (struct hdf5_cursor){ data, data + len, false }, 0;
    }
    if (kind == HUGE_OBJECT) {
        struct hdf5_records r = { h, take_huge, d };
        size_t width = (size_t)(id.end - id.p);
        d->wanted = hdf5_get(&id, width < 8 ? (unsigned)width : 8);
        d->has_found = false;
        TRY(hdf5_each_record(&r, p->huge_tree, e));
        return d->has_found ? (*out = d->found, 0) : hdf5_broken(h, p->address, "a large object is missing", e);
    }
    uint64_t offset = hdf5_get(&id, p->offset_width), len = hdf5_get(&id, p->length_width), block = 0;
    if (id.over) return hdf5_broken(h, p->address, "an identifier of a heap is cut short", e);
    TRY(find_block(h, p, &offset, &block, e));
    if (offset > h->file.len || block > h->file.len)
        return hdf5_broken(h, p->address, "an object lies outside its fractal heap", e);
    return hdf5_span(h, block + offset, len, "an object of a fractal heap", out, e);
}

/* Links have type 5 (by name) or 6 (in order), attributes 8 and 9. */
static int take_message(struct hdf5_records *r, unsigned type, struct hdf5_cursor c, struct err *e)
{
    struct dense *d = r->cookie;
    struct hdf5_cursor message;
    if (type == 5) hdf5_take(&c, 4);
    if (type == 6) hdf5_take(&c, 8);
    if (type < 5 || type > 9 || type == 7) return hdf5_broken(r->h, d->heap.address, "a B-tree of unknown records", e);
    const unsigned char *id = hdf5_take(&c, d->heap.id_size);
    if (c.over) return hdf5_broken(r->h, d->heap.address, "a record is cut short", e);
    TRY(heap_object(r->h, d, (struct hdf5_cursor){ id, id + d->heap.id_size, false }, &message, e));
    return d->take(r->h, d->o, message, e);
}

int hdf5_read_dense(struct hdf5 *h, struct hdf5_object *o, uint64_t heap, uint64_t tree,
    int (*take)(struct hdf5 *h, struct hdf5_object *o, struct hdf5_cursor c, struct err *e), struct err *e)
{
    struct dense d = { .o = o, .take = take };
    struct hdf5_records r = { h, take_message, &d };
    TRY(open_heap(h, &d.heap, heap, e));
    return hdf5_each_record(&r, tree, e);
}
