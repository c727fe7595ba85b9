/* file.h - files: mapped for reading, written beside their name, synced and renamed. */
#ifndef TENREC_BASE_FILE_H
#define TENREC_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

struct bytes { /* a span somebody else owns */
    const unsigned char *data;
    size_t len;
};

/* Maps a regular file read-only for as long as the arena lives. Errors: ERR_IO with the path and
 * cause, ERR_DATA for what is no regular file. */
int file_map(struct arena *a, const char *path, struct bytes *out, struct err *e);
/* The same for the files of rows, small ones of which are read: nothing that comes and goes is better mapped. */
int file_load(struct arena *a, const char *path, struct bytes *out, struct err *e);
/* What file_map() gave, all of it: its pages are given back, and come again when they are read. */
void file_forget(struct bytes mapped);
/* A hint that the file will be read soon. `blocks`, 0 at first, remembers what this thread had read from disks: true
 * where this file had to be; false: it is in memory already. */
bool file_expect(const char *path, long *blocks);
/* Reads all of a file or stream ("-" is stdin) into the arena, at most `limit` bytes. */
int file_read(struct arena *a, const char *path, size_t limit, struct bytes *out, struct err *e);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
int file_mkdirs(const char *path, struct err *e);
const char *file_base(const char *path);                         /* after the last '/' */
char *file_dir(struct arena *a, const char *path);               /* "." when there is none */
char *file_join(struct arena *a, const char *dir, const char *name);
/* False for absolute paths and for any ".." component: what a model file may name. */
bool file_is_inside(const char *relative);
/* Entries of a directory, sorted by bytes ("." and ".." left out). */
int file_list(struct arena *a, const char *dir, const char ***names, size_t *n, struct err *e);

/* A file being written: PATH and missing folders before it: at commit whole and synced; abort leaves what was there. */
struct file_writer {
    int fd;
    char *path, *temp; /* in the arena given at open */
    uint64_t at;       /* bytes written so far */
};
int file_writer_open(struct file_writer *w, struct arena *a, const char *path, struct err *e);
int file_writer_put(struct file_writer *w, const void *data, size_t len, struct err *e);
int file_writer_commit(struct file_writer *w, struct err *e); /* on failure it aborts */
void file_writer_abort(struct file_writer *w);                /* harmless after commit */
/* A file that somebody else has written whole (a library) takes the place of `path`; on failure it is removed. */
int file_replace(const char *temp, const char *path, struct err *e);
/* A file without a name, for what does not fit into memory, in `folder` (NULL: $TMPDIR, or /tmp): its descriptor, or
 * ERR_IO. It is gone when that is closed. */
int file_nameless(const char *folder, struct err *e);
/* open, put, commit */
int file_write(struct arena *a, const char *path, const void *data, size_t len, struct err *e);

#endif
