/* protobuf.c - reading the wire format of protocol buffers. */
#include "enc/protobuf.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/bytes.h"

enum { FIELD_MAX = (1 << 29) - 1 };

void proto_init(struct proto *p, const char *path, struct bytes data)
{
    *p = (struct proto){ .data = data, .path = path, .file = data.data };
}

void proto_enter(struct proto *inner, const struct proto *p, const struct proto_field *field)
{
    *inner = (struct proto){ .data = field->span, .path = p->path, .file = p->file };
}

/* Reads a varint at *at; false when it runs past the end or past 64 bits. */
static bool read_varint(struct bytes data, size_t *at, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && *at < data.len; shift += 7) {
        unsigned char byte = data.data[(*at)++];
        if (shift == 63 && byte > 1) return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return *out = v, true;
    }
    return false;
}

static int broken(const struct proto *p, size_t at, const char *what, struct err *e)
{
    return fail(e, ERR_MODEL, "%s: offset %zu: %s; this is no protobuf message, or it is damaged", p->path, at, what);
}

static bool read_fixed(struct proto *p, size_t size, uint64_t *out)
{
    if (p->data.len - p->at < size) return false;
    *out = get_le(p->data.data + p->at, size);
    p->at += size;
    return true;
}

static bool read_span(struct proto *p, struct bytes *out)
{
    uint64_t len = 0;
    if (!read_varint(p->data, &p->at, &len) || len > p->data.len - p->at) return false;
    *out = (struct bytes){ p->data.data + p->at, (size_t)len };
    p->at += (size_t)len;
    return true;
}

int proto_next(struct proto *p, struct proto_field *f, struct err *e)
{
    if (p->at >= p->data.len) return 0;
    size_t at = (size_t)(p->data.data - p->file) + p->at;
    uint64_t tag = 0;
    if (!read_varint(p->data, &p->at, &tag)) return broken(p, at, "a field's tag is cut short", e);
    *f = (struct proto_field){ .number = (uint32_t)(tag >> 3), .wire = tag & 7, .at = at };
    if (!f->number || tag >> 3 > FIELD_MAX) return broken(p, at, "impossible field number", e);
    bool whole = false;
    switch (f->wire) {
    case PROTO_VARINT: whole = read_varint(p->data, &p->at, &f->bits); break;
    case PROTO_FIXED64: whole = read_fixed(p, 8, &f->bits); break;
    case PROTO_FIXED32: whole = read_fixed(p, 4, &f->bits); break;
    case PROTO_SPAN: whole = read_span(p, &f->span); break;
    default: return broken(p, at, tag & 4 ? "the end of a group" : "a group (nothing writes them any more)", e);
    }
    return whole ? 1 : broken(p, at, "a field reaches beyond the end of its message", e);
}

int proto_expect(const struct proto *p, const struct proto_field *f, enum proto_wire wire, struct err *e)
{
    static const char *const names[] = { "varint", "fixed64", "length-delimited", "group", "group", "fixed32" };
    if (f->wire == wire) return 0;
    return fail(e, ERR_MODEL, "%s: offset %zu: field %u is %s, expected %s; this is another kind of message", p->path,
        f->at, f->number, names[f->wire], names[wire]);
}

static float float_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float v;
    memcpy(&v, &low, sizeof v);
    return v;
}

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

float proto_float(const struct proto_field *f)
{
    return float_of(f->bits);
}

double proto_double(const struct proto_field *f)
{
    return double_of(f->bits);
}

int proto_text(const struct proto *p, const struct proto_field *f, struct arena *a, const char **out, struct err *e)
{
    TRY(proto_expect(p, f, PROTO_SPAN, e));
    if (f->span.len && memchr(f->span.data, 0, f->span.len)) return broken(p, f->at, "a zero byte in a text", e);
    *out = arena_strndup(a, (const char *)f->span.data, f->span.len);
    TRY_MEM(*out, e);
    return 0;
}

/* How each kind of number stands alone, and how large it is in memory. */
static const struct {
    enum proto_wire wire;
    size_t size;
} numbers[] = {
    [PROTO_INT32] = { PROTO_VARINT, 4 },
    [PROTO_INT64] = { PROTO_VARINT, 8 },
    [PROTO_UINT64] = { PROTO_VARINT, 8 },
    [PROTO_FLOAT] = { PROTO_FIXED32, 4 },
    [PROTO_DOUBLE] = { PROTO_FIXED64, 8 },
};

static bool reserve(struct proto_list *list, struct arena *a, size_t more, size_t size)
{
    if (more <= list->cap - list->n) return true;
    size_t cap = list->n + more > list->cap * 2 ? list->n + more : list->cap * 2;
    void *items = arena_array(a, cap, size);
    if (!items) return false;
    if (list->n) memcpy(items, list->items, list->n * size);
    list->items = items, list->cap = cap;
    return true;
}

static void add(struct proto_list *list, enum proto_number kind, uint64_t bits)
{
    size_t i = list->n++;
    if (numbers[kind].size == 8)
        memcpy((char *)list->items + i * 8, &bits, 8);
    else
        list->i32[i] = (int32_t)(uint32_t)bits; /* floats, too: the same 32 bits */
}

static size_t count_varints(struct bytes span)
{
    size_t n = 0;
    for (size_t i = 0; i < span.len; i++) n += span.data[i] < 0x80;
    return n;
}

int proto_append(const struct proto *p, const struct proto_field *f, struct arena *a, enum proto_number kind,
    struct proto_list *list, struct err *e)
{
    enum proto_wire wire = numbers[kind].wire;
    size_t size = numbers[kind].size;
    if (f->wire != PROTO_SPAN) {
        TRY(proto_expect(p, f, wire, e));
        if (!reserve(list, a, 1, size)) return fail_nomem(e);
        return add(list, kind, f->bits), 0;
    }
    size_t n = wire == PROTO_VARINT ? count_varints(f->span) : f->span.len / size;
    if (wire != PROTO_VARINT && f->span.len % size) return broken(p, f->at, "packed numbers with a rest", e);
    if (!reserve(list, a, n, size)) return fail_nomem(e);
    if (wire != PROTO_VARINT) {
        for (size_t i = 0; i < n; i++) add(list, kind, get_le(f->span.data + i * size, size));
        return 0;
    }
    for (size_t at = 0; at < f->span.len;) {
        uint64_t bits = 0;
        if (!read_varint(f->span, &at, &bits)) return broken(p, f->at, "a packed number is cut short or too long", e);
        add(list, kind, bits);
    }
    return 0;
}
