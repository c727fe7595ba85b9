/* hdf5_writer.c - writing HDF5 files.
 *
 * Order in the file: superblock, headers of all objects, the heap of strings, data of datasets. Headers do not change
 * their size with the addresses in them, so they are made twice: once to measure, once with what came of it. */
#include "enc/hdf5_writer.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "enc/bytes.h"

enum {
    SUPERBLOCK_SIZE = 48,
    DATA_ALIGNMENT = 64,
    HEAP_MIN = 4096,
    HEAP_HEAD = 16, /* of the collection, and of each text in it */
    REFERENCE_SIZE = 16,
    MESSAGE_MAX = 0xffff, /* bytes of one message in a header */
    TEXTS_MAX = 0xffff,
    DEPTH_MAX = 32,
};
enum message { SPACE = 1, LINK_INFO = 2, TYPE = 3, FILL = 5, LINK = 6, LAYOUT = 8, GROUP_INFO = 10, ATTRIBUTE = 12 };
static const uint64_t nowhere = UINT64_MAX;

struct hdf5_text {
    const char *text;
    size_t len;
};
struct made_attr {
    const char *name;
    size_t first, n; /* of the texts */
    bool scalar;
};
struct hdf5_made {
    bool dataset;
    struct map links; /* name -> struct hdf5_made */
    struct made_attr *attrs;
    size_t n_attrs, cap_attrs;
    struct hdf5_type type;
    struct hdf5_space space;
    const void *data;
    uint64_t bytes, at; /* of the data */
    uint64_t header;    /* its address */
};

static struct hdf5_made *made(struct hdf5_writer *w, struct err *e)
{
    struct hdf5_made *m = ARENA_NEW(w->arena, struct hdf5_made);
    if (!m) return fail_nomem(e), NULL;
    m->links = map_in(w->arena);
    return m;
}

int hdf5_writer_init(struct hdf5_writer *w, struct arena *a, struct err *e)
{
    *w = (struct hdf5_writer){ .arena = a };
    return (w->root = made(w, e)) ? 0 : e->code;
}

static struct hdf5_made *child(
    struct hdf5_writer *w, struct hdf5_made *parent, const char *name, bool dataset, struct err *e)
{
    struct hdf5_made *m = map_get(&parent->links, name);
    if (parent->dataset || (m && (dataset || m->dataset)))
        return fail(e, ERR_FAILED, "HDF5: two objects are called \"%s\"", name), NULL;
    if (m) return m;
    if (!(m = made(w, e))) return NULL;
    m->dataset = dataset;
    return map_set(&parent->links, name, m) ? m : (fail_nomem(e), NULL);
}

struct hdf5_made *hdf5_make_group(struct hdf5_writer *w, struct hdf5_made *parent, const char *name, struct err *e)
{
    struct hdf5_made *m = parent ? parent : w->root;
    for (size_t len; *name && m; name += len + (name[len] == '/')) {
        const char *part = arena_strndup(w->arena, name, len = strcspn(name, "/"));
        if (!part) return fail_nomem(e), NULL;
        if (len) m = child(w, m, part, false, e);
    }
    return m;
}

int hdf5_make_dataset(struct hdf5_writer *w, struct hdf5_made *parent, const char *name, struct hdf5_type type,
    struct hdf5_space space, const void *data, struct err *e)
{
    if (!strchr("fiu", type.kind) || (type.kind == 'f' && type.size != 2 && type.size != 4 && type.size != 8))
        return fail(e, ERR_UNSUPPORTED, "HDF5: numbers of this type are not written (dataset \"%s\")", name);
    struct hdf5_made *m = child(w, parent, name, true, e);
    if (!m) return e->code;
    m->type = type;
    m->space = space;
    m->data = data;
    m->bytes = type.size;
    for (int d = 0; d < space.rank; d++)
        if (__builtin_mul_overflow(m->bytes, space.dim[d], &m->bytes))
            return fail(e, ERR_UNSUPPORTED, "HDF5: too large");
    return 0;
}

int hdf5_make_strings(struct hdf5_writer *w, struct hdf5_made *object, const char *name, const char *const *texts,
    size_t n, bool scalar, struct err *e)
{
    struct made_attr a = { .name = arena_strdup(w->arena, name), .first = w->n_texts, .n = n, .scalar = scalar };
    if (!a.name || !ARRAY_PUSH(w->arena, object->attrs, object->n_attrs, object->cap_attrs, a)) return fail_nomem(e);
    for (size_t i = 0; i < n; i++) {
        struct hdf5_text t = { texts[i], strlen(texts[i]) };
        if (!ARRAY_PUSH(w->arena, w->texts, w->n_texts, w->cap_texts, t)) return fail_nomem(e);
    }
    if (w->n_texts >= TEXTS_MAX || n * REFERENCE_SIZE > MESSAGE_MAX - 512)
        return fail(e, ERR_UNSUPPORTED, "HDF5: too many strings in attribute \"%s\"", name);
    return 0;
}

static void put(struct str *s, uint64_t v, size_t n)
{
    unsigned char bytes[8];
    put_le(bytes, v, n);
    str_addn(s, (const char *)bytes, n);
}

/* Bob Jenkins' lookup3, which the specification names for all checksums of metadata. */
#define ROTATED(x, k) (((x) << (k)) | ((x) >> (32 - (k))))

static uint32_t checksum(const unsigned char *p, size_t len)
{
    uint32_t a = 0xdeadbeef + (uint32_t)len, b = a, c = a;
    for (; len > 12; len -= 12, p += 12) {
        a += get_le32(p), b += get_le32(p + 4), c += get_le32(p + 8);
        a -= c, a ^= ROTATED(c, 4), c += b;
        b -= a, b ^= ROTATED(a, 6), a += c;
        c -= b, c ^= ROTATED(b, 8), b += a;
        a -= c, a ^= ROTATED(c, 16), c += b;
        b -= a, b ^= ROTATED(a, 19), a += c;
        c -= b, c ^= ROTATED(b, 4), b += a;
    }
    if (!len) return c;
    a += (uint32_t)get_le(p, len < 4 ? len : 4);
    if (len > 4) b += (uint32_t)get_le(p + 4, len < 8 ? len - 4 : 4);
    if (len > 8) c += (uint32_t)get_le(p + 8, len - 8);
    c ^= b, c -= ROTATED(b, 14);
    a ^= c, a -= ROTATED(c, 11);
    b ^= a, b -= ROTATED(a, 25);
    c ^= b, c -= ROTATED(b, 16);
    a ^= c, a -= ROTATED(c, 4);
    b ^= a, b -= ROTATED(a, 14);
    c ^= b, c -= ROTATED(b, 24);
    return c;
}

static void put_space(struct str *s, int rank, const uint64_t *dim)
{
    put(s, 2, 1);
    put(s, (uint64_t)rank, 1);
    put(s, 0, 1);
    put(s, rank > 0, 1); /* scalar or simple */
    for (int d = 0; d < rank; d++) put(s, dim[d], 8);
}

static void put_float_type(struct str *s, unsigned size)
{
    const struct {
        unsigned size, sign, exponent, bits, mantissa, bias;
    } forms[] = { { 2, 15, 10, 5, 10, 15 }, { 4, 31, 23, 8, 23, 127 }, { 8, 63, 52, 11, 52, 1023 } }, *f = forms;
    while (f->size != size) f++;
    put(s, 0x11, 1); /* version 1, class 1 */
    put(s, 0x20, 1); /* the highest bit of the mantissa is implied */
    put(s, f->sign, 2);
    put(s, size, 4);
    put(s, 0, 2);
    put(s, 8 * size, 2);
    put(s, f->exponent, 1);
    put(s, f->bits, 1);
    put(s, 0, 1);
    put(s, f->mantissa, 1);
    put(s, f->bias, 4);
}

static void put_type(struct str *s, struct hdf5_type t)
{
    if (t.kind == 'f') {
        put_float_type(s, t.size);
        return;
    }
    put(s, 0x10, 1); /* version 1, class 0 */
    put(s, t.kind == 'i' ? 8 : 0, 3);
    put(s, t.size, 4);
    put(s, 0, 2);
    put(s, 8 * t.size, 2);
}

static void put_string_type(struct str *s)
{
    put(s, 0x19, 1);   /* version 1, class 9: of variable length */
    put(s, 0x0101, 3); /* a string, ending in NUL, UTF-8 */
    put(s, REFERENCE_SIZE, 4);
    put_type(s, (struct hdf5_type){ 'u', 1, false });
}

/* A message in place of its text: kind and length go in front. */
static void put_message(struct str *header, enum message kind, const struct str *body)
{
    put(header, kind, 1);
    put(header, body->len, 2);
    put(header, 0, 1);
    str_addn(header, body->s, body->len);
}

static void put_attr(struct str *header, const struct hdf5_writer *w, const struct made_attr *a, uint64_t heap)
{
    struct str type = str_in(w->arena), body = str_in(w->arena);
    put_string_type(&type);
    put(&body, 3, 1);
    put(&body, 0, 1);
    put(&body, strlen(a->name) + 1, 2);
    put(&body, type.len, 2);
    put(&body, a->scalar ? 4 : 12, 2);
    put(&body, 1, 1); /* the name is UTF-8 */
    str_addn(&body, a->name, strlen(a->name) + 1);
    str_addn(&body, type.s, type.len);
    put_space(&body, !a->scalar, &(uint64_t){ a->n });
    for (size_t i = 0; i < a->n; i++) {
        put(&body, w->texts[a->first + i].len, 4);
        put(&body, heap, 8);
        put(&body, a->first + i + 1, 4);
    }
    put_message(header, ATTRIBUTE, &body);
}

static void put_link(struct str *header, struct arena *a, const char *name, uint64_t address)
{
    struct str body = str_in(a);
    put(&body, 1, 1);
    put(&body, 0x11, 1); /* two bytes of length; the character set is said */
    put(&body, 1, 1);    /* UTF-8 */
    put(&body, strlen(name), 2);
    str_add(&body, name);
    put(&body, address, 8);
    put_message(header, LINK, &body);
}

static void put_group(struct str *messages, struct hdf5_writer *w, const struct hdf5_made *m)
{
    struct str info = str_in(w->arena), group = str_in(w->arena);
    put(&info, 0, 2);
    put(&info, nowhere, 8);
    put(&info, nowhere, 8);
    put_message(messages, LINK_INFO, &info);
    put(&group, 0, 2);
    put_message(messages, GROUP_INFO, &group);
    for (size_t i = 0; i < m->links.n; i++) {
        const struct hdf5_made *to = m->links.entries[i].value;
        put_link(messages, w->arena, m->links.entries[i].key, to->header);
    }
}

static void put_dataset(struct str *messages, struct hdf5_writer *w, const struct hdf5_made *m)
{
    struct str space = str_in(w->arena), type = str_in(w->arena), fill = str_in(w->arena), layout = str_in(w->arena);
    put_space(&space, m->space.rank, m->space.dim);
    put_message(messages, SPACE, &space);
    put_type(&type, m->type);
    put_message(messages, TYPE, &type);
    put(&fill, 3, 1);
    put(&fill, 0x0a, 1); /* memory is taken late, filled only if a value was set: none was */
    put_message(messages, FILL, &fill);
    put(&layout, 3, 1);
    put(&layout, 1, 1); /* contiguous */
    put(&layout, m->bytes ? m->at : nowhere, 8);
    put(&layout, m->bytes, 8);
    put_message(messages, LAYOUT, &layout);
}

/* Headers of `m` and all below, appended to `out`, which begins behind the superblock. */
static int put_headers(
    struct str *out, struct hdf5_writer *w, struct hdf5_made *m, uint64_t heap, int depth, struct err *e)
{
    struct str messages = str_in(w->arena);
    if (depth > DEPTH_MAX) return fail(e, ERR_FAILED, "HDF5: groups nested too deep");
    for (size_t i = 0; i < m->links.n; i++) TRY(put_headers(out, w, m->links.entries[i].value, heap, depth + 1, e));
    if (m->dataset) put_dataset(&messages, w, m);
    else put_group(&messages, w, m);
    for (size_t i = 0; i < m->n_attrs; i++) put_attr(&messages, w, &m->attrs[i], heap);
    m->header = SUPERBLOCK_SIZE + out->len;
    size_t begin = out->len;
    str_add(out, "OHDR");
    put(out, 2, 1);
    put(out, 2, 1); /* four bytes of length */
    put(out, messages.len, 4);
    str_addn(out, messages.s, messages.len);
    if (out->oom || messages.oom) return fail_nomem(e);
    put(out, checksum((const unsigned char *)out->s + begin, out->len - begin), 4);
    return out->oom ? fail_nomem(e) : 0;
}

static void pad(struct str *s, size_t to)
{
    while (!s->oom && s->len % to) str_addc(s, 0);
}

/* One collection of the global heap: texts by number, from 1 on. */
static void put_heap(struct str *s, const struct hdf5_writer *w)
{
    size_t size = HEAP_HEAD + HEAP_HEAD;
    for (size_t i = 0; i < w->n_texts; i++) size += HEAP_HEAD + (w->texts[i].len + 7) / 8 * 8;
    size_t all = size < HEAP_MIN ? HEAP_MIN : size, used = HEAP_HEAD;
    str_add(s, "GCOL");
    put(s, 1, 4);
    put(s, all, 8);
    for (size_t i = 0; i < w->n_texts; i++) {
        put(s, i + 1, 2);
        put(s, 1, 2);
        put(s, 0, 4);
        put(s, w->texts[i].len, 8);
        str_addn(s, w->texts[i].text, w->texts[i].len);
        pad(s, 8);
        used += HEAP_HEAD + (w->texts[i].len + 7) / 8 * 8;
    }
    put(s, 0, 8); /* object 0: what is free */
    put(s, all - used, 8);
    for (size_t left = all - used - HEAP_HEAD; left; left--) str_addc(s, 0);
}

/* Where data lie, in the order of headers. */
static uint64_t place(struct hdf5_made *m, uint64_t at)
{
    for (size_t i = 0; i < m->links.n; i++) at = place(m->links.entries[i].value, at);
    if (!m->dataset || !m->bytes) return at;
    m->at = (at + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
    return m->at + m->bytes;
}

/* Everything before the data, but the superblock. */
static int put_metadata(struct hdf5_writer *w, struct str *out, uint64_t heap, struct err *e)
{
    TRY(put_headers(out, w, w->root, heap, 0, e));
    pad(out, 8);
    if (w->n_texts) put_heap(out, w);
    return w->arena->failed ? fail_nomem(e) : 0; /* a part that has no memory would be shorter */
}

static uint64_t heap_place(struct hdf5_writer *w, struct err *e)
{
    struct str headers = str_in(w->arena);
    put_headers(&headers, w, w->root, 0, 0, e);
    return SUPERBLOCK_SIZE + (headers.len + 7) / 8 * 8;
}

int hdf5_writer_layout(struct hdf5_writer *w, struct err *e)
{
    struct str out = str_in(w->arena);
    uint64_t heap = heap_place(w, e);
    if (e->code || put_metadata(w, &out, heap, e)) return e->code;
    w->size = place(w->root, SUPERBLOCK_SIZE + out.len);
    return 0;
}

static int put_superblock(struct hdf5_writer *w, struct str *s, struct err *e)
{
    str_addn(s, "\x89HDF\r\n\x1a\n", 8);
    put(s, 2, 1);
    put(s, 8, 1); /* bytes of addresses, and of lengths */
    put(s, 8, 1);
    put(s, 0, 1);
    put(s, 0, 8);
    put(s, nowhere, 8);
    put(s, w->size, 8);
    put(s, w->root->header, 8);
    if (s->oom) return fail_nomem(e);
    put(s, checksum((const unsigned char *)s->s, s->len), 4);
    return s->oom ? fail_nomem(e) : 0;
}

struct writing {
    int (*put)(void *cookie, const void *data, size_t len, struct err *e);
    void *cookie;
    uint64_t at;
};

static int put_data(struct writing *x, const struct hdf5_made *m, struct err *e)
{
    static const char zeros[DATA_ALIGNMENT];
    for (size_t i = 0; i < m->links.n; i++) TRY(put_data(x, m->links.entries[i].value, e));
    if (!m->dataset || !m->bytes) return 0;
    if (m->at > x->at) TRY(x->put(x->cookie, zeros, (size_t)(m->at - x->at), e));
    x->at = m->at + m->bytes;
    return x->put(x->cookie, m->data, (size_t)m->bytes, e);
}

int hdf5_writer_write(struct hdf5_writer *w,
    int (*put_bytes)(void *cookie, const void *data, size_t len, struct err *e), void *cookie, struct err *e)
{
    struct str head = str_in(w->arena), out = str_in(w->arena);
    uint64_t heap = heap_place(w, e);
    if (e->code || put_metadata(w, &out, heap, e) || put_superblock(w, &head, e)) return e->code;
    struct writing x = { put_bytes, cookie, head.len + out.len };
    TRY(put_bytes(cookie, head.s, head.len, e));
    TRY(put_bytes(cookie, out.s, out.len, e));
    return put_data(&x, w->root, e);
}
