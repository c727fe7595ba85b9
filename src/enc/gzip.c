/* gzip.c - unpacks gzip files (RFC 1952) through zlib. */
#include "enc/gzip.h"

#include <zlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/bytes.h"

bool gzip_is(struct bytes file)
{
    return file.len >= 18 && file.data[0] == 0x1f && file.data[1] == 0x8b;
}

static voidpf get(voidpf arena, uInt n, uInt size)
{
    return arena_array(arena, n, size);
}

static void keep(voidpf arena, voidpf ptr)
{
    (void)arena, (void)ptr; /* the arena frees it */
}

int gzip_read(struct bytes *out, struct arena *a, const char *path, struct bytes file, struct err *e)
{
    if (!gzip_is(file)) return fail(e, ERR_DATA, "%s: not a gzip file", path);
    size_t size = get_le32(file.data + file.len - 4);
    if (size / 1100 > file.len) /* deflate packs at most 1032 bytes into one */
        return fail(e, ERR_DATA, "%s: %zu bytes cannot unpack to %zu", path, file.len, size);
    if (file.len > UINT32_MAX) return fail(e, ERR_DATA, "%s: larger than 4 GiB packed: unpack it first", path);
    z_stream z = { .zalloc = get, .zfree = keep, .opaque = a };
    unsigned char *data = arena_alloc(a, size + 1);
    TRY_MEM(data, e);
    if (inflateInit2(&z, 15 + 16) != Z_OK) return fail_nomem(e);
    z.next_in = (Bytef *)(uintptr_t)file.data, z.avail_in = (uInt)file.len;
    z.next_out = data, z.avail_out = (uInt)size + 1;
    int code = inflate(&z, Z_FINISH);
    size_t got = z.total_out;
    inflateEnd(&z);
    if (code == Z_MEM_ERROR) return fail_nomem(e);
    if (code != Z_STREAM_END || got != size)
        return fail(e, ERR_DATA, "%s: the gzip file is truncated or damaged (at byte %zu of its contents)", path, got);
    *out = (struct bytes){ data, size };
    return 0;
}
