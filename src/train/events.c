/* events.c - writing event records. */
#include "train/events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/protobuf.h"

struct events {
    FILE *file;
    const char *path;
};

/* Castagnoli's polynomial, reflected, bit by bit: the records are short. */
uint32_t crc32c(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return ~crc;
}

/* As records have it: rotated, and moved so that a CRC of CRCs is no fixed point. */
static void put_crc(unsigned char out[4], const void *data, size_t len)
{
    uint32_t crc = crc32c(data, len), masked = (crc >> 15 | crc << 17) + 0xa282ead8u;
    for (int i = 0; i < 4; i++) out[i] = (unsigned char)(masked >> 8 * i);
}

static int io_error(const struct events *ev, struct err *e)
{
    return fail(e, ERR_IO, "%s: cannot write: %s", ev->path, strerror(errno));
}

static int put_record(struct events *ev, struct proto_message *event, struct arena *a, struct err *e)
{
    struct bytes b;
    unsigned char head[12], tail[4];
    TRY(proto_bytes(event, a, &b, e));
    for (int i = 0; i < 8; i++) head[i] = (unsigned char)((uint64_t)b.len >> 8 * i);
    put_crc(head + 8, head, 8);
    put_crc(tail, b.data, b.len);
    bool good = fwrite(head, 1, 12, ev->file) == 12 && fwrite(b.data, 1, b.len, ev->file) == b.len &&
        fwrite(tail, 1, 4, ev->file) == 4;
    return good ? 0 : io_error(ev, e);
}

static void close_file(void *file)
{
    fclose(file);
}

static struct events *open_at(struct arena *a, const char *folder, double time, struct err *e)
{
    char host[64] = "host";
    struct events *ev = ARENA_NEW(a, struct events);
    gethostname(host, sizeof host - 1);
    if (!ev || !(ev->path = arena_printf(a, "%s/events.out.tfevents.%010.0f.%s", folder, time, host)))
        return fail_nomem(e), NULL;
    if (!(ev->file = fopen(ev->path, "ab"))) return io_error(ev, e), NULL;
    return arena_closer(a, close_file, ev->file) ? fail_nomem(e), NULL : ev;
}

struct events *events_open(struct arena *a, const char *folder, double time, struct err *e)
{
    struct events *ev = open_at(a, folder, time, e);
    if (!ev) return NULL;
    struct proto_message event = proto_message_in(a);
    proto_put_double(&event, 1, time);
    proto_put_text(&event, 3, "brain.Event:2");
    return put_record(ev, &event, a, e) || events_flush(ev, e) ? NULL : ev;
}

int events_scalar(struct events *ev, double time, int64_t step, const char *tag, double value, struct err *e)
{
    struct arena a;
    arena_init(&a, NULL);
    struct proto_message event = proto_message_in(&a), summary = proto_message_in(&a), one = proto_message_in(&a);
    proto_put_text(&one, 1, tag);
    proto_put_float(&one, 2, (float)value);
    proto_put_message(&summary, 1, &one);
    proto_put_double(&event, 1, time);
    proto_put_int64(&event, 2, step);
    proto_put_message(&event, 5, &summary);
    int code = put_record(ev, &event, &a, e);
    arena_release(&a);
    return code;
}

int events_flush(struct events *ev, struct err *e)
{
    return fflush(ev->file) ? io_error(ev, e) : 0;
}
