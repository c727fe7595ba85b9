/* protobuf.h - the wire format of protocol buffers: a cursor for reading, a list of pieces for writing. No schemas.
 *
 * Reading: init over the bytes, next until 0; a field of wire type PROTO_SPAN is text, bytes, packed numbers or a
 * message, and the caller knows which. How deep messages nest is the caller's to limit.
 */
#ifndef TENREC_ENC_PROTOBUF_H
#define TENREC_ENC_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

struct arena;
struct err;
struct file_writer;

enum proto_wire { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_SPAN = 2, PROTO_FIXED32 = 5 };

struct proto {
    struct bytes data;
    size_t at;
    const char *path;           /* for messages, like `file` */
    const unsigned char *file;  /* where offset 0 is */
};
struct proto_field {
    uint32_t number;
    enum proto_wire wire;
    uint64_t bits;     /* VARINT, FIXED32, FIXED64: as they are on the wire */
    struct bytes span; /* SPAN */
    size_t at;         /* offset of the field's tag in the file */
};

void proto_init(struct proto *p, const char *path, struct bytes data);
/* A cursor over the message that a SPAN field of `p` holds. */
void proto_enter(struct proto *inner, const struct proto *p, const struct proto_field *field);
/* The next field: 1, 0 at the end, or ERR_MODEL naming the offset. */
int proto_next(struct proto *p, struct proto_field *field, struct err *e);
/* ERR_MODEL unless the field has this wire type: with a wrong one the file is not of the kind it was taken for. */
int proto_expect(const struct proto *p, const struct proto_field *field, enum proto_wire wire, struct err *e);

static inline int64_t proto_int64(const struct proto_field *f)
{
    return (int64_t)f->bits;
}
static inline int64_t proto_zigzag(const struct proto_field *f)
{
    return (int64_t)(f->bits >> 1 ^ -(f->bits & 1));
}
float proto_float(const struct proto_field *f);
double proto_double(const struct proto_field *f);
/* A text field as a terminated string in `a`; one that holds a zero is refused. */
int proto_text(const struct proto *p, const struct proto_field *f, struct arena *a, const char **out, struct err *e);

/* Repeated numbers: each field, packed or not, appends to the list. */
enum proto_number { PROTO_INT32, PROTO_INT64, PROTO_UINT64, PROTO_FLOAT, PROTO_DOUBLE };
struct proto_list {
    union {
        void *items;
        int32_t *i32;
        int64_t *i64;
        uint64_t *u64;
        float *f32;
        double *f64;
    };
    size_t n, cap;
};
int proto_append(const struct proto *p, const struct proto_field *f, struct arena *a, enum proto_number kind,
    struct proto_list *list, struct err *e);

/* Writing. A message is a list of pieces, short ones copied, long ones borrowed; nested messages are written into a
 * message of their own and then moved in, so lengths are known and weights are never copied. Out of memory is sticky:
 * it is told at the end, by proto_bytes and proto_write. */
struct proto_message {
    struct arena *arena;
    struct bytes *pieces;
    size_t n, cap;
    uint64_t size;
    unsigned char *room; /* the rest of the last block for short pieces */
    size_t room_left;
    bool oom;
};
struct proto_message proto_message_in(struct arena *a);
void proto_put_varint(struct proto_message *m, uint32_t number, uint64_t v);
void proto_put_int64(struct proto_message *m, uint32_t number, int64_t v);
void proto_put_float(struct proto_message *m, uint32_t number, float v);
void proto_put_double(struct proto_message *m, uint32_t number, double v);
void proto_put_text(struct proto_message *m, uint32_t number, const char *text);
void proto_put_bytes(struct proto_message *m, uint32_t number, const void *data, size_t len);
/* Like put_bytes, but the data stay the caller's until the message is written. */
void proto_put_borrowed(struct proto_message *m, uint32_t number, const void *data, size_t len);
void proto_put_message(struct proto_message *m, uint32_t number, const struct proto_message *inner);
void proto_put_packed_int64(struct proto_message *m, uint32_t number, const int64_t *v, size_t n);
void proto_put_packed_float(struct proto_message *m, uint32_t number, const float *v, size_t n);
int proto_bytes(const struct proto_message *m, struct arena *a, struct bytes *out, struct err *e);
int proto_write(const struct proto_message *m, struct file_writer *file, struct err *e);

#endif
