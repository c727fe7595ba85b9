/* protobuf_writer.c - writing the wire format of protocol buffers as a list of pieces. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "enc/bytes.h"
#include "enc/protobuf.h"

enum {
    FIRST_BLOCK = 64,
    LAST_BLOCK = 1 << 16,
    BORROW_FROM = 256, /* numbers shorter than this are copied */
    VARINT_MAX = 10,
};

struct proto_message proto_message_in(struct arena *a)
{
    return (struct proto_message){ .arena = a };
}

static void add_piece(struct proto_message *m, const unsigned char *data, size_t len)
{
    struct bytes piece = { data, len };
    if (m->oom || !ARRAY_PUSH(m->arena, m->pieces, m->n, m->cap, piece)) m->oom = true;
}

/* Copies into the last block; what follows the last piece there becomes part of it. */
static void copy(struct proto_message *m, const void *data, size_t len)
{
    m->size += len;
    if (m->oom || !len) return;
    if (len > m->room_left) {
        size_t block = m->n ? LAST_BLOCK : FIRST_BLOCK;
        if (block > m->size) block = (size_t)m->size;
        if (block < len) block = len;
        if (block < FIRST_BLOCK) block = FIRST_BLOCK;
        m->room = arena_alloc(m->arena, block);
        m->room_left = block;
        if (!m->room) {
            m->oom = true;
            return;
        }
    }
    memcpy(m->room, data, len);
    struct bytes *last = m->n ? &m->pieces[m->n - 1] : NULL;
    if (last && last->data + last->len == m->room)
        last->len += len;
    else
        add_piece(m, m->room, len);
    m->room += len;
    m->room_left -= len;
}

static size_t encode(unsigned char *p, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) p[n++] = (unsigned char)(v | 0x80);
    p[n++] = (unsigned char)v;
    return n;
}

static void put_number(struct proto_message *m, uint64_t v)
{
    unsigned char buf[VARINT_MAX];
    copy(m, buf, encode(buf, v));
}

static void put_tag(struct proto_message *m, uint32_t number, enum proto_wire wire)
{
    put_number(m, (uint64_t)number << 3 | wire);
}

static void put_fixed(struct proto_message *m, uint32_t number, enum proto_wire wire, uint64_t bits, size_t size)
{
    unsigned char buf[8];
    put_tag(m, number, wire);
    put_le(buf, bits, size);
    copy(m, buf, size);
}

void proto_put_varint(struct proto_message *m, uint32_t number, uint64_t v)
{
    put_tag(m, number, PROTO_VARINT);
    put_number(m, v);
}

void proto_put_int64(struct proto_message *m, uint32_t number, int64_t v)
{
    proto_put_varint(m, number, (uint64_t)v); /* negative ones take ten bytes, as the format has it */
}

void proto_put_float(struct proto_message *m, uint32_t number, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_fixed(m, number, PROTO_FIXED32, bits, 4);
}

void proto_put_double(struct proto_message *m, uint32_t number, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_fixed(m, number, PROTO_FIXED64, bits, 8);
}

void proto_put_bytes(struct proto_message *m, uint32_t number, const void *data, size_t len)
{
    put_tag(m, number, PROTO_SPAN);
    put_number(m, len);
    copy(m, data, len);
}

void proto_put_text(struct proto_message *m, uint32_t number, const char *text)
{
    proto_put_bytes(m, number, text, strlen(text));
}

void proto_put_borrowed(struct proto_message *m, uint32_t number, const void *data, size_t len)
{
    if (len < BORROW_FROM) {
        proto_put_bytes(m, number, data, len);
        return;
    }
    put_tag(m, number, PROTO_SPAN);
    put_number(m, len);
    m->size += len;
    add_piece(m, data, len);
}

void proto_put_message(struct proto_message *m, uint32_t number, const struct proto_message *inner)
{
    put_tag(m, number, PROTO_SPAN);
    put_number(m, inner->size);
    m->oom = m->oom || inner->oom;
    for (size_t i = 0; i < inner->n; i++) {
        if (inner->pieces[i].len < BORROW_FROM) {
            copy(m, inner->pieces[i].data, inner->pieces[i].len);
            continue;
        }
        m->size += inner->pieces[i].len;
        add_piece(m, inner->pieces[i].data, inner->pieces[i].len);
    }
}

void proto_put_packed_int64(struct proto_message *m, uint32_t number, const int64_t *v, size_t n)
{
    unsigned char buf[VARINT_MAX];
    uint64_t len = 0;
    for (size_t i = 0; i < n; i++) len += encode(buf, (uint64_t)v[i]);
    put_tag(m, number, PROTO_SPAN);
    put_number(m, len);
    for (size_t i = 0; i < n; i++) put_number(m, (uint64_t)v[i]);
}

void proto_put_packed_float(struct proto_message *m, uint32_t number, const float *v, size_t n)
{
    put_tag(m, number, PROTO_SPAN);
    put_number(m, (uint64_t)n * 4);
    for (size_t i = 0; i < n; i++) {
        unsigned char buf[4];
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        put_le(buf, bits, 4);
        copy(m, buf, 4);
    }
}

int proto_bytes(const struct proto_message *m, struct arena *a, struct bytes *out, struct err *e)
{
    unsigned char *p = m->oom || m->size > SIZE_MAX / 2 ? NULL : arena_alloc(a, (size_t)m->size);
    TRY_MEM(p, e);
    *out = (struct bytes){ p, (size_t)m->size };
    for (size_t i = 0; i < m->n; i++) {
        memcpy(p, m->pieces[i].data, m->pieces[i].len);
        p += m->pieces[i].len;
    }
    return 0;
}

int proto_write(const struct proto_message *m, struct file_writer *file, struct err *e)
{
    if (m->oom) return fail_nomem(e);
    for (size_t i = 0; i < m->n; i++) TRY(file_writer_put(file, m->pieces[i].data, m->pieces[i].len, e));
    return 0;
}
