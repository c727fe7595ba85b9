/* hdf5_parts.h - what the parts of the HDF5 reader share: a cursor over a structure, and who reads which. */
#ifndef TENREC_ENC_HDF5_PARTS_H
#define TENREC_ENC_HDF5_PARTS_H

#include "base/err.h"
#include "enc/bytes.h"
#include "enc/hdf5.h"

#define HDF5_NOWHERE UINT64_MAX /* an address that is none */

/* Reads structures; past the end every number is 0 and `over` is set: one check at the end will do. */
struct hdf5_cursor {
    const unsigned char *p, *end;
    bool over;
};
static inline const unsigned char *hdf5_take(struct hdf5_cursor *c, uint64_t n)
{
    static const unsigned char zeros[8];
    if (n > (uint64_t)(c->end - c->p)) return c->over = true, c->p = c->end, n <= 8 ? zeros : NULL;
    c->p += n;
    return c->p - n;
}
static inline uint64_t hdf5_get(struct hdf5_cursor *c, unsigned n) /* n: 1 to 8 */
{
    return get_le(hdf5_take(c, n), n);
}
/* An address, with all ones as HDF5_NOWHERE. */
static inline uint64_t hdf5_address(struct hdf5_cursor *c, const struct hdf5 *h)
{
    uint64_t v = hdf5_get(c, h->offset_size);
    return h->offset_size < 8 && v == (UINT64_C(1) << 8 * h->offset_size) - 1 ? HDF5_NOWHERE : v;
}
static inline uint64_t hdf5_length(struct hdf5_cursor *c, const struct hdf5 *h)
{
    return hdf5_get(c, h->length_size);
}

/* `len` bytes at an address, paid for in fuel. `what` names them. */
int hdf5_span(struct hdf5 *h, uint64_t address, uint64_t len, const char *what, struct hdf5_cursor *out, struct err *e);
int hdf5_pay(struct hdf5 *h, uint64_t bytes, struct err *e);
int hdf5_broken(const struct hdf5 *h, uint64_t address, const char *what, struct err *e);

/* hdf5_header.c */
int hdf5_read_header(struct hdf5 *h, struct hdf5_object *o, struct err *e);
int hdf5_read_attr(struct hdf5 *h, struct hdf5_object *o, struct hdf5_cursor c, struct err *e);
int hdf5_read_link(struct hdf5 *h, struct hdf5_object *o, struct hdf5_cursor c, struct err *e);

/* hdf5_type.c */
int hdf5_read_type(struct hdf5 *h, struct hdf5_cursor *c, struct hdf5_type *t, struct err *e);
int hdf5_read_space(struct hdf5 *h, struct hdf5_cursor *c, struct hdf5_space *s, struct err *e);
bool hdf5_bytes_of(const struct hdf5_type *t, const struct hdf5_space *s, uint64_t *out); /* false: past all measure */

/* hdf5_group.c */
int hdf5_read_symbols(struct hdf5 *h, struct hdf5_object *o, uint64_t tree, uint64_t heap, struct err *e);

/* hdf5_dense.c: messages in a fractal heap, each handed to `take`; `record` skips to the heap's identifier. */
int hdf5_read_dense(struct hdf5 *h, struct hdf5_object *o, uint64_t heap, uint64_t tree,
    int (*take)(struct hdf5 *h, struct hdf5_object *o, struct hdf5_cursor c, struct err *e), struct err *e);
/* Walks a B-tree of version 2: each record is handed to `take`. */
struct hdf5_records {
    struct hdf5 *h;
    int (*take)(struct hdf5_records *r, unsigned type, struct hdf5_cursor record, struct err *e);
    void *cookie;
};
int hdf5_each_record(struct hdf5_records *r, uint64_t tree, struct err *e);

/* hdf5_layout.c */
enum hdf5_class { HDF5_COMPACT, HDF5_CONTIGUOUS, HDF5_CHUNKED };
enum hdf5_index { HDF5_TREE1, HDF5_SINGLE, HDF5_IMPLICIT, HDF5_FIXED, HDF5_EXTENSIBLE, HDF5_TREE2 };
enum { HDF5_FILTERS_MAX = 8 };
struct hdf5_layout {
    enum hdf5_class class;
    enum hdf5_index index;
    uint64_t address;
    uint64_t size;       /* contiguous */
    struct bytes inside; /* compact */
    int rank;            /* chunked, without the element's own dimension */
    uint64_t chunk[HDF5_RANK_MAX];
    uint64_t filtered_size; /* of a single chunk */
    unsigned skipped;       /* filters of it, as bits */
    int n_filters;
    struct {
        unsigned id, value; /* value: the first of the filter's numbers */
        char name[32];
    } filter[HDF5_FILTERS_MAX]; /* in the order of writing */
    struct bytes fill;          /* one element; empty: zeros */
};
int hdf5_read_layout(struct hdf5 *h, struct hdf5_layout *l, struct hdf5_cursor c, struct err *e);
int hdf5_read_filters(struct hdf5 *h, struct hdf5_layout *l, struct hdf5_cursor c, struct err *e);

/* hdf5_chunk.c: one chunk at `address`, `stored` bytes long, unfiltered into `out` (of `size` bytes). */
int hdf5_unfilter(struct hdf5 *h, const struct hdf5_object *o, struct bytes stored, unsigned skipped,
    unsigned char *out, uint64_t size, struct err *e);
int hdf5_read_chunks(struct hdf5 *h, struct hdf5_object *o, unsigned char *out, uint64_t chunk_size, struct err *e);

#endif
