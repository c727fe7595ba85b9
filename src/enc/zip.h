/* zip.h - zip archives: read by their central directory, written with payloads that can be mapped.
 *
 * Reading believes the central directory only (PyTorch leaves sizes and checksums out of the local headers). At open
 * every entry is checked against the file: inside it, not overlapping another, same name in both headers, names unique,
 * declared sizes possible. Names are whatever the archive says: who makes files of them asks file_is_inside() first.
 */
#ifndef TENREC_ENC_ZIP_H
#define TENREC_ENC_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "base/map.h"

struct arena;
struct err;

enum zip_method { ZIP_STORED = 0, ZIP_DEFLATED = 8 };

struct zip_entry {
    const char *name; /* owned by the archive's arena */
    unsigned method;  /* enum zip_method, or one that zip_read refuses */
    bool encrypted;
    uint32_t crc;
    uint64_t header;           /* offset of the local header in the file */
    uint64_t payload;          /* offset of the first byte of data in the file */
    uint64_t compressed, size; /* bytes of data in the file, and when inflated */
};
struct zip {
    const char *path; /* for messages; owned by the caller, like the bytes of the file */
    struct bytes file;
    struct zip_entry *entries; /* in the order of the directory */
    size_t n;
    struct map by_name;
};

/* Do the bytes begin like an archive? */
bool zip_is(struct bytes file);
/* Reads the directory; entries and names live in `a`. Errors: ERR_MODEL. */
int zip_open(struct zip *z, struct arena *a, const char *path, struct bytes file, struct err *e);
const struct zip_entry *zip_find(const struct zip *z, const char *name); /* NULL when absent */

enum zip_read_flags { ZIP_CHECK_CRC = 1 }; /* stored data are checked when asked, inflated data always */
/* The data of one entry: stored ones are a span of the file, not copied; deflated ones are inflated into `a`.
 * An entry larger than `limit` bytes is refused. */
int zip_read(const struct zip *z, const struct zip_entry *entry, struct arena *a, uint64_t limit, unsigned flags,
    struct bytes *out, struct err *e);

/* Writing: stored entries whose data begin at multiples of 64 in the file. The same calls give the same bytes. */
struct file_writer;
struct zip_written;
struct zip_writer {
    struct arena *arena;
    struct file_writer *file; /* belongs to the caller, who commits or aborts it */
    struct zip_written *entries;
    size_t n, cap;
    struct map names;
    uint64_t left; /* bytes that the entry begun still wants */
    bool open;
};
void zip_writer_init(struct zip_writer *w, struct arena *a, struct file_writer *file);
/* Begins an entry of exactly `size` bytes, given by any number of puts before the end. */
int zip_writer_begin(struct zip_writer *w, const char *name, uint64_t size, struct err *e);
int zip_writer_put(struct zip_writer *w, const void *data, size_t len, struct err *e);
int zip_writer_end(struct zip_writer *w, struct err *e);
int zip_writer_add(struct zip_writer *w, const char *name, const void *data, size_t len, struct err *e);
/* Writes the central directory; the file is an archive only after it. */
int zip_writer_finish(struct zip_writer *w, struct err *e);

#endif
