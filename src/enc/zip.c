/* zip.c - reading of zip archives (PKWARE APPNOTE 6.3, zip64 included). */
#include "enc/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/bytes.h"

enum {
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    COMMENT_MAX = 65535,
    ENTRIES_MAX = 1 << 24,
    DEFLATE_RATIO = 1032, /* no deflate stream does better */
};
/* All deflated entries together may declare this many bytes, plus this many for each byte of the file. */
static const uint64_t inflated_base = 1u << 28, inflated_ratio = 64;

bool zip_is(struct bytes file)
{
    return file.len >= 4 && (!memcmp(file.data, "PK\3\4", 4) || !memcmp(file.data, "PK\5\6", 4));
}

struct directory {
    uint64_t at, size, n;
};

/* The record "end of central directory": the last one whose comment fits into the file. */
static const unsigned char *find_end(struct bytes file)
{
    if (file.len < END_SIZE) return NULL;
    size_t last = file.len - END_SIZE;
    size_t first = last > COMMENT_MAX ? last - COMMENT_MAX : 0;
    for (size_t at = last + 1; at-- > first;) {
        const unsigned char *p = file.data + at;
        if (p[0] == 'P' && !memcmp(p, "PK\5\6", 4) && get_le16(p + 20) <= last - at) return p;
    }
    return NULL;
}

static int read_end64(const struct zip *z, size_t end, struct directory *d, struct err *e)
{
    const unsigned char *file = z->file.data;
    if (end < LOCATOR_SIZE + END64_SIZE || memcmp(file + end - LOCATOR_SIZE, "PK\6\7", 4))
        return fail(e, ERR_MODEL, "%s: zip64 locator is missing before offset %zu", z->path, end);
    uint64_t at = get_le64(file + end - LOCATOR_SIZE + 8);
    if (at > end - LOCATOR_SIZE - END64_SIZE || memcmp(file + at, "PK\6\6", 4))
        return fail(e, ERR_MODEL, "%s: zip64 end record is not at offset %llu", z->path, (unsigned long long)at);
    d->n = get_le64(file + at + 32);
    d->size = get_le64(file + at + 40);
    d->at = get_le64(file + at + 48);
    return 0;
}

static int find_directory(const struct zip *z, struct directory *d, struct err *e)
{
    const unsigned char *p = find_end(z->file);
    if (!p) return fail(e, ERR_MODEL, "%s: no zip directory at the end of the file; is it cut short?", z->path);
    size_t end = (size_t)(p - z->file.data);
    unsigned disk = get_le16(p + 4);
    if (disk && disk != 0xffff) return fail(e, ERR_MODEL, "%s: part of a zip of several files", z->path);
    *d = (struct directory){ get_le32(p + 16), get_le32(p + 12), get_le16(p + 10) };
    if (d->at == 0xffffffff || d->size == 0xffffffff || d->n == 0xffff) TRY(read_end64(z, end, d, e));
    if (d->at > end || d->size > end - d->at)
        return fail(e, ERR_MODEL, "%s: zip directory of %llu bytes at offset %llu lies outside the file", z->path,
            (unsigned long long)d->size, (unsigned long long)d->at);
    if (d->n > d->size / CENTRAL_SIZE || d->n > ENTRIES_MAX)
        return fail(e, ERR_MODEL, "%s: zip directory of %llu bytes cannot hold %llu entries", z->path,
            (unsigned long long)d->size, (unsigned long long)d->n);
    return 0;
}

/* The zip64 extra field holds, in this order, those of the three numbers that are all ones in the fixed part. */
static bool read_extra64(const unsigned char *p, size_t len, uint64_t *numbers[3])
{
    bool wanted = *numbers[0] == 0xffffffff || *numbers[1] == 0xffffffff || *numbers[2] == 0xffffffff;
    while (wanted && len >= 4) {
        size_t id = get_le16(p), size = get_le16(p + 2);
        p += 4, len -= 4;
        if (size > len) return false;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*numbers[i] != 0xffffffff) continue;
            if (size < 8) return false;
            *numbers[i] = get_le64(p);
            p += 8, len -= 8, size -= 8;
        }
        if (id == 1) return true;
        p += size, len -= size;
    }
    return true; /* without the field, all ones are the number */
}

/* Reads the entry at *at of the directory and moves *at behind it. */
static int read_central(const struct zip *z, const struct directory *d, uint64_t *at, struct zip_entry *out,
    struct bytes *name, struct err *e)
{
    const unsigned char *p = z->file.data + *at;
    uint64_t left = d->at + d->size - *at;
    if (left < CENTRAL_SIZE || memcmp(p, "PK\1\2", 4)) goto broken;
    size_t name_len = get_le16(p + 28), extra_len = get_le16(p + 30), comment_len = get_le16(p + 32);
    if (name_len + extra_len + comment_len > left - CENTRAL_SIZE) goto broken;
    *out = (struct zip_entry){ .method = get_le16(p + 10), .encrypted = p[8] & 1, .crc = get_le32(p + 16),
        .compressed = get_le32(p + 20), .size = get_le32(p + 24), .header = get_le32(p + 42) };
    uint64_t *numbers[3] = { &out->size, &out->compressed, &out->header };
    if (!read_extra64(p + CENTRAL_SIZE + name_len, extra_len, numbers)) goto broken;
    *name = (struct bytes){ p + CENTRAL_SIZE, name_len };
    if (!name_len || memchr(name->data, 0, name_len)) goto broken;
    *at += CENTRAL_SIZE + name_len + extra_len + comment_len;
    return 0;
broken:
    return fail(e, ERR_MODEL, "%s: broken zip directory entry at offset %llu", z->path, (unsigned long long)*at);
}

/* Finds the data through the local header and holds the declared sizes against the file. */
static int place_entry(const struct zip *z, const struct directory *d, struct zip_entry *entry, struct err *e)
{
    const char *why = "its local header is not there";
    const unsigned char *p = z->file.data + entry->header;
    if (entry->header > d->at || d->at - entry->header < LOCAL_SIZE || memcmp(p, "PK\3\4", 4)) goto lying;
    size_t name_len = get_le16(p + 26), extra_len = get_le16(p + 28);
    uint64_t left = d->at - entry->header - LOCAL_SIZE;
    why = "its local header has another name";
    if (name_len > left || name_len != strlen(entry->name) || memcmp(p + LOCAL_SIZE, entry->name, name_len)) goto lying;
    why = "its data reach beyond the directory";
    if (extra_len > left - name_len || entry->compressed > left - name_len - extra_len) goto lying;
    entry->payload = entry->header + LOCAL_SIZE + name_len + extra_len;
    why = "its two sizes differ although it is stored";
    if (entry->method == ZIP_STORED && !entry->encrypted && entry->compressed != entry->size) goto lying;
    why = "no deflated data can inflate to the size it declares";
    if (entry->method == ZIP_DEFLATED && entry->size / DEFLATE_RATIO > entry->compressed) goto lying;
    return 0;
lying:
    return fail(e, ERR_MODEL, "%s: zip entry %s at offset %llu: %s", z->path, entry->name,
        (unsigned long long)entry->header, why);
}

static int by_header(const void *a, const void *b)
{
    const struct zip_entry *x = *(struct zip_entry *const *)a, *y = *(struct zip_entry *const *)b;
    return (x->header > y->header) - (x->header < y->header);
}

/* No two entries share a byte, and all of them inflated stay in proportion to the file. */
static int check_together(const struct zip *z, struct arena *a, struct err *e)
{
    struct zip_entry **order = ARENA_ARRAY(a, z->n, struct zip_entry *);
    TRY_MEM(order, e);
    uint64_t inflated = 0, most = inflated_base + inflated_ratio * z->file.len;
    for (size_t i = 0; i < z->n; i++) {
        order[i] = &z->entries[i];
        if (order[i]->method != ZIP_DEFLATED) continue;
        if (order[i]->size > most - inflated)
            return fail(e, ERR_MODEL, "%s: zip of %zu bytes wants to inflate to more than %llu", z->path, z->file.len,
                (unsigned long long)most);
        inflated += order[i]->size;
    }
    if (z->n) qsort(order, z->n, sizeof *order, by_header);
    for (size_t i = 1; i < z->n; i++)
        if (order[i - 1]->payload + order[i - 1]->compressed > order[i]->header)
            return fail(e, ERR_MODEL, "%s: zip entries %s and %s overlap", z->path, order[i - 1]->name, order[i]->name);
    return 0;
}

int zip_open(struct zip *z, struct arena *a, const char *path, struct bytes file, struct err *e)
{
    *z = (struct zip){ .path = path, .file = file, .by_name = map_in(a) };
    struct directory d = { 0 };
    TRY(find_directory(z, &d, e));
    z->entries = ARENA_ARRAY(a, d.n, struct zip_entry);
    TRY_MEM(z->entries, e);
    uint64_t at = d.at;
    for (; z->n < d.n; z->n++) {
        struct zip_entry *entry = &z->entries[z->n];
        struct bytes name = { 0 };
        TRY(read_central(z, &d, &at, entry, &name, e));
        entry->name = arena_strndup(a, (const char *)name.data, name.len);
        TRY_MEM(entry->name, e);
        if (map_find(&z->by_name, entry->name))
            return fail(e, ERR_MODEL, "%s: two zip entries are called %s", path, entry->name);
        if (!map_set(&z->by_name, entry->name, entry)) return fail_nomem(e);
        TRY(place_entry(z, &d, entry, e));
    }
    return check_together(z, a, e);
}

const struct zip_entry *zip_find(const struct zip *z, const char *name)
{
    return map_get(&z->by_name, name);
}

static void *inflate_alloc(void *arena, unsigned n, unsigned size)
{
    return arena_array(arena, n, size);
}

static void inflate_free(void *arena, void *ptr)
{
    (void)arena, (void)ptr; /* the arena is rewound */
}

/* Inflates exactly out_left bytes from exactly in_left. Returns Z_STREAM_END when the stream ends just there. */
static int inflate_all(z_stream *s, uint64_t in_left, uint64_t out_left)
{
    const uint64_t most = 1u << 30; /* zlib counts in unsigned */
    int code = Z_OK;
    while (code == Z_OK) {
        if (!s->avail_in) in_left -= s->avail_in = (unsigned)(in_left < most ? in_left : most);
        if (!s->avail_out) out_left -= s->avail_out = (unsigned)(out_left < most ? out_left : most);
        code = inflate(s, Z_NO_FLUSH); /* Z_BUF_ERROR when either side is used up */
    }
    bool all = !s->avail_in && !in_left && !s->avail_out && !out_left;
    return code == Z_STREAM_END && !all ? Z_DATA_ERROR : code;
}

static int inflate_entry(const struct zip *z, const struct zip_entry *entry, struct arena *a, struct bytes *out,
    struct err *e)
{
    unsigned char *to = arena_alloc(a, entry->size);
    TRY_MEM(to, e);
    struct arena_mark mark = arena_mark(a); /* zlib's own memory goes back after use */
    z_stream s = { .zalloc = inflate_alloc, .zfree = inflate_free, .opaque = a, .next_out = to };
    s.next_in = (unsigned char *)(uintptr_t)(z->file.data + entry->payload);
    int code = inflateInit2(&s, -MAX_WBITS);
    if (code == Z_OK) code = inflate_all(&s, entry->compressed, entry->size);
    inflateEnd(&s);
    arena_rewind(a, mark);
    if (code == Z_MEM_ERROR) return fail_nomem(e);
    if (code != Z_STREAM_END)
        return fail(e, ERR_MODEL, "%s: zip entry %s at offset %llu: its deflated data are broken or not %llu bytes",
            z->path, entry->name, (unsigned long long)entry->payload, (unsigned long long)entry->size);
    *out = (struct bytes){ to, entry->size };
    return 0;
}

int zip_read(const struct zip *z, const struct zip_entry *entry, struct arena *a, uint64_t limit, unsigned flags,
    struct bytes *out, struct err *e)
{
    if (entry->encrypted || (entry->method != ZIP_STORED && entry->method != ZIP_DEFLATED))
        return fail(e, ERR_UNSUPPORTED, "%s: zip entry %s is %s (method %u); only stored and deflated ones are read",
            z->path, entry->name, entry->encrypted ? "encrypted" : "compressed in another way", entry->method);
    if (entry->size > limit || entry->size > SIZE_MAX / 2)
        return fail(e, ERR_MODEL, "%s: zip entry %s has %llu bytes, more than the %llu allowed for it", z->path,
            entry->name, (unsigned long long)entry->size, (unsigned long long)limit);
    *out = (struct bytes){ z->file.data + entry->payload, entry->size };
    if (entry->method == ZIP_DEFLATED) TRY(inflate_entry(z, entry, a, out, e));
    bool check = entry->method == ZIP_DEFLATED || flags & ZIP_CHECK_CRC;
    if (check && crc32_z(0, out->data, out->len) != entry->crc)
        return fail(e, ERR_MODEL, "%s: zip entry %s at offset %llu: wrong checksum; the file is damaged", z->path,
            entry->name, (unsigned long long)entry->payload);
    return 0;
}
