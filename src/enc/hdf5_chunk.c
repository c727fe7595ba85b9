/* hdf5_chunk.c - HDF5: data in chunks: finding them, undoing their filters, putting them in place. */
#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "enc/hdf5_parts.h"

enum { DEFLATE = 1, SHUFFLE = 2, FLETCHER32 = 3, LEVELS_MAX = 32 };

struct chunks {
    struct hdf5 *h;
    struct hdf5_object *o;
    unsigned char *out;           /* the whole dataset */
    unsigned char *scratch;       /* one chunk */
    uint64_t size;                /* of a chunk, in bytes */
    uint64_t many[HDF5_RANK_MAX]; /* chunks along each axis */
    uint64_t n;
};

static int inflate_chunk(
    struct hdf5 *h, struct bytes in, unsigned char *out, uint64_t size, uint64_t *len, struct err *e)
{
    z_stream z = { .next_in = (unsigned char *)(uintptr_t)in.data, .avail_in = (unsigned)in.len };
    if (in.len > UINT32_MAX || size > UINT32_MAX)
        return fail(e, ERR_UNSUPPORTED, "%s: HDF5 chunks of more than 4 GB are not read", h->path);
    if (inflateInit(&z) != Z_OK) return fail_nomem(e);
    z.next_out = out;
    z.avail_out = (unsigned)size;
    int code = inflate(&z, Z_FINISH);
    *len = z.total_out;
    inflateEnd(&z);
    if (code == Z_MEM_ERROR) return fail_nomem(e);
    return code == Z_STREAM_END ? 0 : fail(e, ERR_MODEL, "%s: broken HDF5: a deflated chunk is damaged", h->path);
}

/* Byte k of every element lies together. */
static void unshuffle(const unsigned char *in, unsigned char *out, uint64_t size, unsigned width)
{
    uint64_t n = width ? size / width : 0;
    for (unsigned k = 0; k < width; k++)
        for (uint64_t i = 0; i < n; i++) out[i * width + k] = in[k * n + i];
    memcpy(out + n * width, in + n * width, (size_t)(size - n * width));
}

int hdf5_unfilter(struct hdf5 *h, const struct hdf5_object *o, struct bytes stored, unsigned skipped,
    unsigned char *out, uint64_t size, struct err *e)
{
    const struct hdf5_layout *l = o->layout;
    unsigned char *a = arena_alloc(h->arena, (size_t)size + 4);
    TRY_MEM(a, e);
    struct bytes now = stored;
    for (int i = l->n_filters - 1; i >= 0; i--) {
        if (skipped >> i & 1) continue;
        if (l->filter[i].id == FLETCHER32) now.len = now.len < 4 ? 0 : now.len - 4;
        else if (l->filter[i].id == DEFLATE) {
            uint64_t len;
            unsigned char *to = now.data == a ? out : a;
            TRY(inflate_chunk(h, now, to, size + (to == a ? 4 : 0), &len, e));
            now = (struct bytes){ to, (size_t)len };
        } else if (l->filter[i].id == SHUFFLE) {
            unsigned char *to = now.data == a ? out : a;
            if (now.len > size) break;
            unshuffle(now.data, to, now.len, l->filter[i].value);
            now.data = to;
        } else
            return fail(e, ERR_UNSUPPORTED,
                "%s: HDF5 data packed by filter %u %s; deflate, shuffle and fletcher32 are read", h->path,
                l->filter[i].id, l->filter[i].name);
    }
    if (now.len != size)
        return fail(e, ERR_MODEL, "%s: broken HDF5: a chunk holds %zu bytes instead of %llu", h->path, now.len,
            (unsigned long long)size);
    if (now.data != out) memcpy(out, now.data, now.len);
    return 0;
}

/* Row by row, without what hangs over the edges. */
static void place(struct chunks *k, const uint64_t *at)
{
    const struct hdf5_object *o = k->o;
    const struct hdf5_layout *l = o->layout;
    int rank = o->space.rank;
    uint64_t width = o->type.size, i[HDF5_RANK_MAX] = { 0 }, have[HDF5_RANK_MAX];
    for (int d = 0; d < rank; d++) {
        uint64_t left = o->space.dim[d] - at[d];
        have[d] = left < l->chunk[d] ? left : l->chunk[d];
    }
    if (!rank) {
        memcpy(k->out, k->scratch, (size_t)width);
        return;
    }
    for (;;) {
        uint64_t from = 0, to = 0;
        for (int d = 0; d < rank; d++) from = from * l->chunk[d] + i[d], to = to * o->space.dim[d] + at[d] + i[d];
        memcpy(k->out + to * width, k->scratch + from * width, (size_t)(have[rank - 1] * width));
        int d = rank - 2;
        while (d >= 0 && ++i[d] == have[d]) i[d--] = 0;
        if (d < 0) return;
    }
}

/* The chunk whose first element is `at`, stored in `len` bytes at an address. */
static int take_chunk(
    struct chunks *k, const uint64_t *at, uint64_t address, uint64_t len, unsigned skipped, struct err *e)
{
    struct hdf5 *h = k->h;
    uint64_t room = h->file.len - h->base;
    for (int d = 0; d < k->o->space.rank; d++)
        if (at[d] >= k->o->space.dim[d] || at[d] % k->o->layout->chunk[d]) return 0; /* left over from a larger time */
    if (address == HDF5_NOWHERE) return 0;
    if (address > room || len > room - address)
        return hdf5_broken(h, k->o->address, "a chunk lies outside the file", e);
    if (len > UINT32_MAX || k->size > h->fuel + h->file.len * UINT64_C(1032))
        return hdf5_broken(h, k->o->address, "a chunk past all measure", e);
    TRY(hdf5_pay(h, 16 + len, e));
    struct arena_mark mark = arena_mark(h->arena);
    int code = hdf5_unfilter(
        h, k->o, (struct bytes){ h->file.data + h->base + address, (size_t)len }, skipped, k->scratch, k->size, e);
    arena_rewind(h->arena, mark);
    TRY(code);
    place(k, at);
    return 0;
}

static int read_node(struct chunks *k, uint64_t address, unsigned above, struct err *e)
{
    struct hdf5 *h = k->h;
    struct hdf5_cursor c;
    int rank = k->o->space.rank;
    uint64_t head = 8 + 2 * (uint64_t)h->offset_size, entry = 8 + 8 * ((uint64_t)rank + 1) + h->offset_size;
    TRY(hdf5_span(h, address, head, "a B-tree node", &c, e));
    if (memcmp(hdf5_take(&c, 4), "TREE", 4)) return hdf5_broken(h, address, "no B-tree node is here", e);
    unsigned type = (unsigned)hdf5_get(&c, 1), level = (unsigned)hdf5_get(&c, 1);
    uint64_t n = hdf5_get(&c, 2);
    if (type != 1 || level >= above) return hdf5_broken(h, address, "a B-tree of chunks that is none", e);
    TRY(hdf5_span(h, address + head, n * entry, "a B-tree node", &c, e));
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at[HDF5_RANK_MAX], len = hdf5_get(&c, 4);
        unsigned skipped = (unsigned)hdf5_get(&c, 4);
        for (int d = 0; d < rank; d++) at[d] = hdf5_get(&c, 8);
        hdf5_get(&c, 8);
        uint64_t child = hdf5_address(&c, h);
        TRY(level ? read_node(k, child, level, e) : take_chunk(k, at, child, len, skipped, e));
    }
    return 0;
}

/* The first element of the n-th chunk in row-major order. */
static void place_of(const struct chunks *k, uint64_t n, uint64_t *at)
{
    for (int d = k->o->space.rank; d-- > 0; n /= k->many[d]) at[d] = n % k->many[d] * k->o->layout->chunk[d];
}

static int read_single(struct chunks *k, struct err *e)
{
    const struct hdf5_layout *l = k->o->layout;
    uint64_t at[HDF5_RANK_MAX] = { 0 };
    return take_chunk(k, at, l->address, l->filtered_size ? l->filtered_size : k->size, l->skipped, e);
}

static int read_implicit(struct chunks *k, struct err *e)
{
    uint64_t at[HDF5_RANK_MAX];
    for (uint64_t i = 0; i < k->n; i++) {
        place_of(k, i, at);
        TRY(take_chunk(k, at, k->o->layout->address + i * k->size, k->size, ~0u, e));
    }
    return 0;
}

/* "FAHD": one array of addresses, with sizes and masks where there are filters; pages are not read. */
static int read_fixed(struct chunks *k, struct err *e)
{
    struct hdf5 *h = k->h;
    struct hdf5_cursor c;
    uint64_t address = k->o->layout->address, at[HDF5_RANK_MAX];
    TRY(hdf5_span(h, address, 8 + (uint64_t)h->length_size + h->offset_size, "a fixed array", &c, e));
    if (memcmp(hdf5_take(&c, 4), "FAHD", 4)) return hdf5_broken(h, address, "no fixed array is here", e);
    hdf5_take(&c, 1);
    unsigned filtered = (unsigned)hdf5_get(&c, 1), entry = (unsigned)hdf5_get(&c, 1), bits = (unsigned)hdf5_get(&c, 1);
    uint64_t n = hdf5_length(&c, h), block = hdf5_address(&c, h);
    unsigned least = h->offset_size + (filtered ? 5 : 0);
    if (n < k->n || entry < least || entry > least + 7)
        return hdf5_broken(h, address, "a fixed array of another size than the data", e);
    if (bits < 64 && n > UINT64_C(1) << bits)
        return fail(e, ERR_UNSUPPORTED, "%s: HDF5 data in more than %llu chunks are not read in this layout", h->path,
            1ull << bits);
    if (block == HDF5_NOWHERE) return 0;
    if (n > h->file.len) return hdf5_broken(h, address, "a fixed array past the end of the file", e);
    TRY(hdf5_span(h, block, 6 + (uint64_t)h->offset_size + n * entry, "a fixed array", &c, e));
    if (memcmp(hdf5_take(&c, 4), "FADB", 4)) return hdf5_broken(h, block, "no block of a fixed array is here", e);
    hdf5_take(&c, 2 + (uint64_t)h->offset_size);
    for (uint64_t i = 0; i < k->n; i++) {
        uint64_t chunk = hdf5_address(&c, h), len = filtered ? hdf5_get(&c, entry - h->offset_size - 4) : k->size;
        unsigned skipped = filtered ? (unsigned)hdf5_get(&c, 4) : ~0u;
        place_of(k, i, at);
        TRY(take_chunk(k, at, chunk, len, skipped, e));
    }
    return 0;
}

/* Records of types 10 and 11: address, [size, mask,] place in chunks. */
static int take_record(struct hdf5_records *r, unsigned type, struct hdf5_cursor c, struct err *e)
{
    struct chunks *k = r->cookie;
    int rank = k->o->space.rank;
    uint64_t at[HDF5_RANK_MAX], address = hdf5_address(&c, r->h), len = k->size;
    unsigned skipped = ~0u;
    size_t rest = (size_t)(c.end - c.p);
    if (type != 10 && type != 11) return hdf5_broken(r->h, k->o->address, "a B-tree of chunks that is none", e);
    if (type == 11) {
        size_t width = rest - 4 - 8 * (size_t)rank;
        if (rest < 4 + 8 * (size_t)rank || width < 1 || width > 8)
            return hdf5_broken(r->h, k->o->address, "a B-tree of chunks that is none", e);
        len = hdf5_get(&c, (unsigned)width);
        skipped = (unsigned)hdf5_get(&c, 4);
    }
    for (int d = 0; d < rank; d++)
        if (__builtin_mul_overflow(hdf5_get(&c, 8), k->o->layout->chunk[d], &at[d])) return 0;
    if (c.over) return hdf5_broken(r->h, k->o->address, "a B-tree of chunks that is none", e);
    return take_chunk(k, at, address, len, skipped, e);
}

int hdf5_read_chunks(struct hdf5 *h, struct hdf5_object *o, unsigned char *out, uint64_t chunk_size, struct err *e)
{
    struct chunks k = { .h = h, .o = o, .out = out, .size = chunk_size, .n = 1 };
    uint64_t room = (uint64_t)h->file.len * 1032;
    for (int d = 0; d < o->space.rank; d++) {
        k.many[d] = o->space.dim[d] / o->layout->chunk[d] + (o->space.dim[d] % o->layout->chunk[d] != 0);
        k.n *= k.many[d]; /* no more than elements */
    }
    if (chunk_size > room) return hdf5_broken(h, o->address, "chunks larger than the file can hold", e);
    struct arena_mark mark = arena_mark(h->arena);
    TRY_MEM(k.scratch = arena_alloc(h->arena, (size_t)chunk_size), e);
    struct hdf5_records records = { h, take_record, &k };
    int code;
    switch (o->layout->index) {
    case HDF5_TREE1: code = read_node(&k, o->layout->address, LEVELS_MAX, e); break;
    case HDF5_SINGLE: code = read_single(&k, e); break;
    case HDF5_IMPLICIT: code = read_implicit(&k, e); break;
    case HDF5_FIXED: code = read_fixed(&k, e); break;
    case HDF5_TREE2: code = hdf5_each_record(&records, o->layout->address, e); break;
    default:
        code = fail(e, ERR_UNSUPPORTED,
            "%s: HDF5 data that can grow, written with libver=\"latest\", are not read; "
            "write them without it",
            h->path);
    }
    arena_rewind(h->arena, mark);
    return code;
}
