/* hdf5_type.c - HDF5: datatype and dataspace messages, and strings in the global heap. */
#include <string.h>

#include "base/arena.h"
#include "enc/hdf5_parts.h"

enum { FIXED, FLOATING, TIME, STRING, BITS, OPAQUE, COMPOUND, REFERENCE, ENUMERATION, VARIABLE, ARRAY };

/* Only IEEE's layouts: half, single and double. */
static bool is_ieee(struct hdf5_cursor *c, unsigned size)
{
    static const struct {
        unsigned size, exponent, mantissa;
    } known[] = { { 2, 5, 10 }, { 4, 8, 23 }, { 8, 11, 52 } };
    hdf5_take(c, 5);
    unsigned exponent = (unsigned)hdf5_get(c, 1);
    hdf5_take(c, 1);
    unsigned mantissa = (unsigned)hdf5_get(c, 1);
    hdf5_take(c, 4);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].size == size && known[i].exponent == exponent && known[i].mantissa == mantissa) return true;
    return false;
}

int hdf5_read_type(struct hdf5 *h, struct hdf5_cursor *c, struct hdf5_type *t, struct err *e)
{
    unsigned head = (unsigned)hdf5_get(c, 1), bits = (unsigned)hdf5_get(c, 3);
    struct hdf5_type inner;
    *t = (struct hdf5_type){ .kind = 'V', .size = (unsigned)hdf5_get(c, 4) };
    if (c->over || !t->size) return fail(e, ERR_MODEL, "%s: broken HDF5: a datatype is cut short", h->path);
    switch (head & 15) {
    case FIXED:
        t->big_endian = bits & 1;
        if (t->size <= 8 && !(t->size & (t->size - 1))) t->kind = bits & 8 ? 'i' : 'u';
        hdf5_take(c, 4);
        break;
    case FLOATING:
        t->big_endian = bits & 1;
        if (is_ieee(c, t->size)) t->kind = 'f';
        break;
    case STRING: t->kind = 'S'; break;
    case ENUMERATION: /* h5py's bool, and others */
        TRY(hdf5_read_type(h, c, &inner, e));
        if (inner.size == t->size && (inner.kind == 'i' || inner.kind == 'u'))
            *t = inner, t->kind = inner.size == 1 && (bits & 0xffff) == 2 ? 'b' : inner.kind;
        break;
    case VARIABLE:
        if ((bits & 15) == 1 && t->size == 8 + h->offset_size) t->kind = 'O';
        break;
    default: break;
    }
    return 0;
}

int hdf5_read_space(struct hdf5 *h, struct hdf5_cursor *c, struct hdf5_space *s, struct err *e)
{
    unsigned version = (unsigned)hdf5_get(c, 1), rank = (unsigned)hdf5_get(c, 1);
    hdf5_take(c, 1);
    unsigned type = version > 1 ? (unsigned)hdf5_get(c, 1) : rank ? 1 : 0;
    if (version < 2) hdf5_take(c, 5);
    *s = (struct hdf5_space){ .rank = (int)rank, .count = type == 2 ? 0 : 1 };
    if (rank > HDF5_RANK_MAX) return fail(e, ERR_MODEL, "%s: broken HDF5: a dataspace of rank %u", h->path, rank);
    for (unsigned i = 0; i < rank; i++) {
        s->dim[i] = hdf5_length(c, h);
        if (__builtin_mul_overflow(s->count, s->dim[i], &s->count))
            return fail(e, ERR_MODEL, "%s: broken HDF5: a dataspace past all measure", h->path);
    }
    return c->over ? fail(e, ERR_MODEL, "%s: broken HDF5: a dataspace is cut short", h->path) : 0;
}

bool hdf5_bytes_of(const struct hdf5_type *t, const struct hdf5_space *s, uint64_t *out)
{
    return !__builtin_mul_overflow(s->count, (uint64_t)t->size, out) && *out <= SIZE_MAX / 2;
}

/* Object `index` of the global heap at `address`. */
static int heap_object(struct hdf5 *h, uint64_t address, unsigned index, struct bytes *out, struct err *e)
{
    struct hdf5_cursor c;
    TRY(hdf5_span(h, address, 8 + (uint64_t)h->length_size, "a global heap", &c, e));
    if (memcmp(hdf5_take(&c, 4), "GCOL", 4)) return hdf5_broken(h, address, "no global heap is here", e);
    hdf5_take(&c, 4);
    uint64_t size = hdf5_length(&c, h), head = 8 + (uint64_t)h->length_size, room = h->file.len - h->base - address;
    if (size < head || size > room) return hdf5_broken(h, address, "a global heap runs past the end of the file", e);
    c.end += size - head;
    while (c.p < c.end) {
        unsigned found = (unsigned)hdf5_get(&c, 2);
        hdf5_take(&c, 6);
        uint64_t len = hdf5_length(&c, h);
        TRY(hdf5_pay(h, 16, e));
        if (c.over || len > (uint64_t)(c.end - c.p)) break;
        if (found == index) return *out = (struct bytes){ c.p, (size_t)len }, 0;
        if (!found) break; /* the free space at the end */
        hdf5_take(&c, len + 7 < len ? len : (len + 7) & ~UINT64_C(7));
    }
    return hdf5_broken(h, address, "a global heap has no such object", e);
}

static int one_string(
    struct hdf5 *h, const struct hdf5_type *t, const unsigned char *at, const char **out, struct err *e)
{
    struct bytes text = { at, t->size };
    if (t->kind == 'O') {
        struct hdf5_cursor c = { at, at + t->size, false };
        uint64_t len = hdf5_get(&c, 4), address = hdf5_address(&c, h);
        text.len = 0;
        if (len && address) TRY(heap_object(h, address, (unsigned)hdf5_get(&c, 4), &text, e));
        if (len < text.len) text.len = (size_t)len;
    }
    const unsigned char *zero = text.len ? memchr(text.data, 0, text.len) : NULL;
    size_t len = zero ? (size_t)(zero - text.data) : text.len;
    TRY(hdf5_pay(h, len, e));
    TRY_MEM(*out = arena_strndup(h->arena, (const char *)text.data, len), e);
    return 0;
}

int hdf5_strings(struct hdf5 *h, const struct hdf5_attr *a, const char ***out, size_t *n, struct err *e)
{
    *n = (size_t)a->space.count;
    if (!a->space.count || !a->data.len) return *n = 0, 0;
    if (a->type.kind != 'S' && a->type.kind != 'O')
        return fail(e, ERR_MODEL, "%s: an attribute of HDF5 holds no strings where there should be some", h->path);
    TRY_MEM(*out = ARENA_ARRAY(h->arena, *n, const char *), e); /* count * size lies in the file */
    for (size_t i = 0; i < *n; i++) TRY(one_string(h, &a->type, a->data.data + i * a->type.size, &(*out)[i], e));
    return 0;
}
