/* file.c - mapping, listing and atomic writing of files. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"

enum { READ_BELOW = 64 << 10 };

struct mapping {
    void *at;
    size_t len;
};

static void unmap(void *ptr)
{
    struct mapping *m = ptr;
    munmap(m->at, m->len);
}

static int open_regular(const char *path, size_t *size, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not wait for who writes into it */
    if (fd < 0) return fail(e, ERR_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return fail(e, ERR_DATA, "%s: not a regular file", path);
    }
    *size = (size_t)st.st_size;
    return fd;
}

static int map_fd(struct arena *a, int fd, const char *path, size_t size, struct bytes *out, struct err *e)
{
    *out = (struct bytes){ (const unsigned char *)"", size };
    if (!size) return 0;
    void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) return fail(e, ERR_IO, "%s: cannot map: %s", path, strerror(errno));
    struct mapping *m = ARENA_NEW(a, struct mapping);
    if (!m) {
        munmap(at, size);
        return fail_nomem(e);
    }
    *m = (struct mapping){ at, size };
    out->data = at;
    return arena_closer(a, unmap, m) ? fail_nomem(e) : 0;
}

int file_map(struct arena *a, const char *path, struct bytes *out, struct err *e)
{
    size_t size;
    int fd = open_regular(path, &size, e);
    if (fd < 0) return fd;
    int code = map_fd(a, fd, path, size, out, e);
    close(fd);
    return code;
}

void file_forget(struct bytes mapped)
{
    if (mapped.len) madvise((void *)(uintptr_t)mapped.data, mapped.len, MADV_DONTNEED);
}

/* `room`: bytes for a start; one more than there are spares the growing. */
static int read_fd(
    struct arena *a, int fd, const char *path, size_t room, size_t limit, struct bytes *out, struct err *e)
{
    unsigned char *buf = NULL;
    size_t n = 0, cap = 0;
    for (;;) {
        if (n == cap) {
            size_t want = cap ? cap * 2 : room;
            unsigned char *p = arena_alloc(a, want);
            TRY_MEM(p, e);
            if (n) memcpy(p, buf, n);
            buf = p, cap = want;
        }
        ssize_t got = read(fd, buf + n, cap - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(e, ERR_IO, "%s: %s", path, strerror(errno));
        if (!got) break;
        n += (size_t)got;
        if (n > limit) return fail(e, ERR_DATA, "%s: larger than the limit of %zu bytes", path, limit);
    }
    *out = (struct bytes){ buf, n };
    return 0;
}

/* Mapping interrupts every processor that the process runs on when it ends: dearer than a copy of a small file. */
int file_load(struct arena *a, const char *path, struct bytes *out, struct err *e)
{
    size_t size;
    int fd = open_regular(path, &size, e);
    if (fd < 0) return fd;
    int code = size < READ_BELOW ? read_fd(a, fd, path, size + 1, READ_BELOW, out, e)
                                 : map_fd(a, fd, path, size, out, e);
    close(fd);
    return code;
}

bool file_expect(const char *path, long *blocks)
{
    struct rusage used = { 0 };
    long before = *blocks;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    close(fd);
    if (!getrusage(RUSAGE_THREAD, &used)) *blocks = used.ru_inblock;
    return *blocks != before;
}

int file_read(struct arena *a, const char *path, size_t limit, struct bytes *out, struct err *e)
{
    if (!strcmp(path, "-")) return read_fd(a, 0, "stdin", READ_BELOW, limit, out, e);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(e, ERR_IO, "%s: %s", path, strerror(errno));
    int code = read_fd(a, fd, path, READ_BELOW, limit, out, e);
    close(fd);
    return code;
}

bool file_exists(const char *path)
{
    return !access(path, F_OK);
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

int file_mkdirs(const char *path, struct err *e)
{
    char buf[4096];
    size_t len = strlen(path);
    if (len >= sizeof buf) return fail(e, ERR_IO, "%s: name too long", path);
    memcpy(buf, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (buf[i] != '/' && buf[i]) continue;
        char c = buf[i];
        buf[i] = 0;
        if (mkdir(buf, 0777) && errno != EEXIST) return fail(e, ERR_IO, "%s: %s", buf, strerror(errno));
        buf[i] = c;
    }
    return file_is_dir(path) ? 0 : fail(e, ERR_IO, "%s: exists and is no folder", path);
}

const char *file_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *file_dir(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return arena_strdup(a, ".");
    return slash == path ? arena_strdup(a, "/") : arena_strndup(a, path, (size_t)(slash - path));
}

char *file_join(struct arena *a, const char *dir, const char *name)
{
    if (name[0] == '/' || !strcmp(dir, ".")) return arena_strdup(a, name);
    return arena_printf(a, "%s%s%s", dir, dir[0] && dir[strlen(dir) - 1] == '/' ? "" : "/", name);
}

bool file_is_inside(const char *relative)
{
    if (!relative[0] || relative[0] == '/' || strchr(relative, '\\')) return false;
    for (const char *p = relative; *p;) {
        size_t len = strcspn(p, "/");
        if (len == 2 && p[0] == '.' && p[1] == '.') return false;
        p += len + (p[len] == '/');
    }
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int file_list(struct arena *a, const char *dir, const char ***names, size_t *n, struct err *e)
{
    DIR *d = opendir(dir);
    if (!d) return fail(e, ERR_IO, "%s: %s", dir, strerror(errno));
    size_t cap = 0;
    *names = NULL, *n = 0;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        const char *name = arena_strdup(a, entry->d_name);
        if (!name || !ARRAY_PUSH(a, *names, *n, cap, name)) {
            closedir(d);
            return fail_nomem(e);
        }
    }
    closedir(d);
    if (*n) qsort(*names, *n, sizeof **names, by_bytes);
    return 0;
}

int file_writer_open(struct file_writer *w, struct arena *a, const char *path, struct err *e)
{
    *w = (struct file_writer){ .fd = -1 };
    w->path = arena_strdup(a, path);
    w->temp = arena_printf(a, "%s.%ld.part", path, (long)getpid());
    if (!w->path || !w->temp) return fail_nomem(e);
    w->fd = open(w->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0 && errno == ENOENT) {
        const char *dir = file_dir(a, path);
        TRY_MEM(dir, e);
        TRY(file_mkdirs(dir, e));
        w->fd = open(w->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
    return w->fd < 0 ? fail(e, ERR_IO, "%s: cannot create: %s", path, strerror(errno)) : 0;
}

int file_writer_put(struct file_writer *w, const void *data, size_t len, struct err *e)
{
    const unsigned char *p = data;
    while (len) {
        ssize_t n = write(w->fd, p, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(e, ERR_IO, "%s: cannot write: %s", w->path, strerror(errno));
        p += n, len -= (size_t)n, w->at += (uint64_t)n;
    }
    return 0;
}

static void sync_folder(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd); /* some file systems cannot; the rename itself is done */
    close(fd);
}

int file_writer_commit(struct file_writer *w, struct err *e)
{
    int bad = fsync(w->fd) ? errno : 0;
    if (close(w->fd) && !bad) bad = errno;
    w->fd = -1;
    if (!bad && rename(w->temp, w->path)) bad = errno;
    if (bad) {
        unlink(w->temp);
        return fail(e, ERR_IO, "%s: cannot write: %s", w->path, strerror(bad));
    }
    sync_folder(w->path);
    return 0;
}

int file_replace(const char *temp, const char *path, struct err *e)
{
    int fd = open(temp, O_RDONLY | O_CLOEXEC), bad = fd < 0 ? errno : 0;
    if (!bad && fsync(fd)) bad = errno;
    if (fd >= 0) close(fd);
    if (!bad && rename(temp, path)) bad = errno;
    if (bad) {
        unlink(temp);
        return fail(e, ERR_IO, "%s: cannot write: %s", path, strerror(bad));
    }
    sync_folder(path);
    return 0;
}

void file_writer_abort(struct file_writer *w)
{
    if (w->fd < 0) return;
    close(w->fd);
    unlink(w->temp);
    w->fd = -1;
}

int file_nameless(const char *folder, struct err *e)
{
    char name[4096];
    const char *tmp = getenv("TMPDIR");
    if (!folder) folder = tmp && tmp[0] ? tmp : "/tmp";
    snprintf(name, sizeof name, "%s/tenrec-XXXXXX", folder);
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0) return fail(e, ERR_IO, "%s: cannot create a file there: %s", folder, strerror(errno));
    unlink(name);
    return fd;
}

int file_write(struct arena *a, const char *path, const void *data, size_t len, struct err *e)
{
    struct file_writer w;
    TRY(file_writer_open(&w, a, path, e));
    if (file_writer_put(&w, data, len, e)) {
        file_writer_abort(&w);
        return e->code;
    }
    return file_writer_commit(&w, e);
}
