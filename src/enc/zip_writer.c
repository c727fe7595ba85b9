/* zip_writer.c - writing of zip archives with stored, aligned entries, as PyTorch lays them out. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "enc/bytes.h"
#include "enc/zip.h"

enum {
    ALIGNMENT = 64,
    LOCAL_SIZE = 30,
    EXTRA64_SIZE = 20,
    FLAG_UTF8 = 0x0800,
    FIXED_DATE = 0x21, /* 1980-01-01: equal contents give equal files */
    VERSION = 20,
    VERSION64 = 45,
};
static const uint64_t ones = 0xffffffff; /* stands in a 32-bit field when the number is in the zip64 one */

struct zip_written {
    const char *name;
    size_t name_len;
    uint64_t header, size;
    uint32_t crc;
};

void zip_writer_init(struct zip_writer *w, struct arena *a, struct file_writer *file)
{
    *w = (struct zip_writer){ .arena = a, .file = file, .names = map_in(a) };
}

static uint64_t low(uint64_t v)
{
    return v < ones ? v : ones;
}

/* The fields that local header and directory share, from "version needed" to the length of the name. */
static unsigned char *put_common(unsigned char *p, const struct zip_written *entry, bool is64)
{
    p = put_le(p, is64 ? VERSION64 : VERSION, 2);
    p = put_le(p, FLAG_UTF8, 2);
    p = put_le(p, ZIP_STORED, 2);
    p = put_le(p, 0, 2);
    p = put_le(p, FIXED_DATE, 2);
    p = put_le(p, entry->crc, 4);
    p = put_le(p, low(entry->size), 4);
    p = put_le(p, low(entry->size), 4);
    return put_le(p, entry->name_len, 2);
}

int zip_writer_begin(struct zip_writer *w, const char *name, uint64_t size, struct err *e)
{
    struct zip_written entry = { name, strlen(name), w->file->at, size, 0 };
    if (w->open || !entry.name_len || entry.name_len > 0xffff || map_find(&w->names, name))
        return fail(e, ERR_FAILED, "%s: cannot begin zip entry \"%s\": %s", w->file->path, name,
            w->open ? "another one is open" : "its name is empty, too long or taken");
    if (!map_set(&w->names, name, w)) return fail_nomem(e);
    entry.name = map_find(&w->names, name)->key;
    bool is64 = size >= ones;
    size_t before = LOCAL_SIZE + entry.name_len + (is64 ? EXTRA64_SIZE : 0) + 4;
    size_t pad = (ALIGNMENT - (size_t)((entry.header + before) % ALIGNMENT)) % ALIGNMENT;
    unsigned char *buf = arena_alloc(w->arena, before + pad), *p = buf;
    if (!buf || !ARRAY_PUSH(w->arena, w->entries, w->n, w->cap, entry)) return fail_nomem(e);
    memcpy(p, "PK\3\4", 4);
    p = put_common(p + 4, &entry, is64);
    p = put_le(p, before + pad - LOCAL_SIZE - entry.name_len, 2);
    memcpy(p, entry.name, entry.name_len);
    p += entry.name_len;
    if (is64) p = put_le(put_le(put_le(put_le(p, 1, 2), 16, 2), size, 8), size, 8);
    memcpy(p, "FB", 2);
    p = put_le(p + 2, pad, 2);
    memset(p, 'Z', pad);
    w->left = size;
    w->open = true;
    return file_writer_put(w->file, buf, before + pad, e);
}

int zip_writer_put(struct zip_writer *w, const void *data, size_t len, struct err *e)
{
    if (!w->open || len > w->left)
        return fail(e, ERR_FAILED, "%s: more data for a zip entry than it was begun with", w->file->path);
    struct zip_written *entry = &w->entries[w->n - 1];
    entry->crc = (uint32_t)crc32_z(entry->crc, data, len);
    w->left -= len;
    return file_writer_put(w->file, data, len, e);
}

int zip_writer_end(struct zip_writer *w, struct err *e)
{
    if (!w->open || w->left)
        return fail(e, ERR_FAILED, "%s: zip entry ended %llu bytes early", w->file->path, (unsigned long long)w->left);
    const struct zip_written *entry = &w->entries[w->n - 1];
    unsigned char crc[4], *p = crc;
    put_le(crc, entry->crc, 4);
    off_t at = (off_t)entry->header + 14;
    while (p < crc + 4) {
        ssize_t n = pwrite(w->file->fd, p, (size_t)(crc + 4 - p), at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(e, ERR_IO, "%s: cannot write: %s", w->file->path, strerror(errno));
        p += n, at += n;
    }
    w->open = false;
    return 0;
}

int zip_writer_add(struct zip_writer *w, const char *name, const void *data, size_t len, struct err *e)
{
    TRY(zip_writer_begin(w, name, len, e));
    if (len) TRY(zip_writer_put(w, data, len, e));
    return zip_writer_end(w, e);
}

static int put_central(struct zip_writer *w, const struct zip_written *entry, struct err *e)
{
    unsigned char buf[46 + 28], *p = buf;
    unsigned extra = (entry->size >= ones ? 16 : 0) + (entry->header >= ones ? 8 : 0);
    memcpy(p, "PK\1\2", 4);
    p = put_le(p + 4, VERSION, 2);
    p = put_common(p, entry, extra);
    p = put_le(p, extra ? extra + 4 : 0, 2);
    p = put_le(p, 0, 2 + 2 + 2); /* comment, disk, internal attributes */
    p = put_le(p, 0, 4);         /* external attributes */
    p = put_le(p, low(entry->header), 4);
    TRY(file_writer_put(w->file, buf, (size_t)(p - buf), e));
    TRY(file_writer_put(w->file, entry->name, entry->name_len, e));
    if (!extra) return 0;
    p = put_le(put_le(buf, 1, 2), extra, 2);
    if (entry->size >= ones) p = put_le(put_le(p, entry->size, 8), entry->size, 8);
    if (entry->header >= ones) p = put_le(p, entry->header, 8);
    return file_writer_put(w->file, buf, (size_t)(p - buf), e);
}

/* The zip64 end record and its locator. */
static unsigned char *put_end64(unsigned char *p, uint64_t n, uint64_t at, uint64_t size)
{
    memcpy(p, "PK\6\6", 4);
    p = put_le(p + 4, 44, 8); /* bytes that follow in this record */
    p = put_le(put_le(p, VERSION64, 2), VERSION64, 2);
    p = put_le(put_le(p, 0, 4), 0, 4);
    p = put_le(put_le(p, n, 8), n, 8);
    p = put_le(put_le(p, size, 8), at, 8);
    memcpy(p, "PK\6\7", 4);
    p = put_le(p + 4, 0, 4);
    return put_le(put_le(p, at + size, 8), 1, 4);
}

int zip_writer_finish(struct zip_writer *w, struct err *e)
{
    if (w->open) return fail(e, ERR_FAILED, "%s: the last zip entry was not ended", w->file->path);
    uint64_t at = w->file->at;
    for (size_t i = 0; i < w->n; i++) TRY(put_central(w, &w->entries[i], e));
    uint64_t size = w->file->at - at, n = w->n < 0xffff ? w->n : 0xffff;
    unsigned char buf[56 + 20 + 22], *p = buf;
    if (n == 0xffff || size >= ones || at >= ones) p = put_end64(p, w->n, at, size);
    memcpy(p, "PK\5\6", 4);
    p = put_le(p + 4, 0, 4);
    p = put_le(put_le(p, n, 2), n, 2);
    p = put_le(put_le(p, low(size), 4), low(at), 4);
    p = put_le(p, 0, 2);
    return file_writer_put(w->file, buf, (size_t)(p - buf), e);
}
