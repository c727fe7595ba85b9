/* table_folder.c - samples that are files: a folder (class = directory), a glob, one file, or paths on stdin. */
#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "data/table_kinds.h"

enum { LINE_MAX_BYTES = 1 << 16, MAX_DEPTH = 32 };

/* Files in order; each is its folder and its name, so that a long path is kept once. */
struct files {
    struct file {
        const char *dir, *name;
    } * list;
    size_t n, cap;
    size_t root; /* length of the table's own path with its slash: the class is what follows up to the next slash */
};

static bool is_sample(const char *name)
{
    static const char *const endings[] = { ".jpg", ".jpeg", ".png", ".npy", ".webp", ".bmp", ".ppm", ".pgm", ".gif",
        ".tif", ".tiff", ".jp2", ".j2k" };
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t n = strlen(endings[i]);
        if (len > n && !strcasecmp(name + len - n, endings[i])) return true;
    }
    return false;
}

static int by_path(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    int dir = strcmp(x->dir, y->dir);
    return dir ? dir : strcmp(x->name, y->name);
}

/* A folder on the way down. */
struct way {
    const struct way *up;
    struct stat is;
};

/* Whether a link leads back up: what is below has been seen. */
static bool is_loop(const struct way *w)
{
    for (const struct way *up = w->up; up; up = up->up)
        if (up->is.st_dev == w->is.st_dev && up->is.st_ino == w->is.st_ino) return true;
    return false;
}

static int walk(struct table *t, struct files *f, const char *dir, int depth, const struct way *up, struct err *e)
{
    const char **names;
    size_t n;
    struct way here = { .up = up };
    if (stat(dir, &here.is)) return fail(e, ERR_IO, "%s: %s", dir, strerror(errno));
    if (is_loop(&here)) return 0;
    if (depth > MAX_DEPTH) return fail(e, ERR_IO, "%s: folders are nested too deeply", dir);
    TRY(file_list(t->arena, dir, &names, &n, e));
    for (size_t i = 0; i < n; i++) {
        struct file file = { dir, names[i] };
        size_t begin = f->n;
        if (names[i][0] == '.') continue;
        const char *below = file_join(t->arena, dir, names[i]);
        TRY_MEM(below, e);
        if (!file_is_dir(below)) {
            if (is_sample(names[i]) && !ARRAY_PUSH(t->arena, f->list, f->n, f->cap, file)) return fail_nomem(e);
            continue;
        }
        TRY(walk(t, f, below, depth + 1, &here, e));
        /* Within a class as os.walk() sorted by folder gives them, which is how torchvision lists it. */
        if (depth == 0 && f->n > begin) qsort(f->list + begin, f->n - begin, sizeof *f->list, by_path);
    }
    return 0;
}

static bool has_classes(const struct files *f)
{
    size_t below = 0;
    for (size_t i = 0; i < f->n; i++) below += strlen(f->list[i].dir) >= f->root;
    return below > 0;
}

static int open_files(struct table *t, struct files *f, struct err *e)
{
    t->state = f;
    t->count = (int64_t)f->n;
    for (size_t i = 0; i < f->n; i++) {
        uint64_t part[] = { t->stamp, hash_bytes(f->list[i].dir, strlen(f->list[i].dir)),
            hash_bytes(f->list[i].name, strlen(f->list[i].name)) };
        t->stamp = hash_bytes(part, sizeof part);
    }
    TRY(table_add_column(t, "", ROLE_IMAGE, e));
    return f->root && has_classes(f) ? table_add_column(t, "label", ROLE_LABEL, e) : 0;
}

static int open_folder(struct table *t, struct err *e)
{
    struct files *f = ARENA_NEW(t->arena, struct files);
    TRY_MEM(f, e);
    size_t len = strlen(t->path);
    f->root = len + (t->path[len - 1] != '/');
    TRY(walk(t, f, t->path, 0, NULL, e));
    if (!f->n) return fail(e, ERR_DATA, "%s: no images and no .npy below it", t->path);
    return open_files(t, f, e);
}

static int read_file(struct table *t, struct cursor *c, struct arena *a, struct cell *cells, int idle_ms, struct err *e)
{
    const struct files *f = t->state;
    if (c->at >= f->n) return 0;
    const struct file *file = &f->list[c->at++];
    TRY_MEM(cells[0].text = file->dir[0] ? file_join(a, file->dir, file->name) : file->name, e);
    if (t->n_columns < 2 || strlen(file->dir) < f->root) return 1;
    const char *class = file->dir + f->root;
    TRY_MEM(cells[1].text = arena_strndup(a, class, strcspn(class, "/")), e);
    return 1;
}

static bool is_folder(const char *path, struct bytes head)
{
    return file_is_dir(path);
}

const struct table_kind table_folder = { "folder", is_folder, open_folder, read_file };

static bool is_glob(const char *path, struct bytes head)
{
    return strpbrk(path, "*?[") && !file_exists(path);
}

static int open_glob(struct table *t, struct err *e)
{
    glob_t g = { 0 };
    struct files *f = ARENA_NEW(t->arena, struct files);
    TRY_MEM(f, e);
    int code = glob(t->path, 0, NULL, &g);
    for (size_t i = 0; !code && i < g.gl_pathc; i++) {
        struct file file = { "", arena_strdup(t->arena, g.gl_pathv[i]) };
        if (!file.name || !ARRAY_PUSH(t->arena, f->list, f->n, f->cap, file)) code = GLOB_NOSPACE;
    }
    globfree(&g);
    if (code == GLOB_NOSPACE) return fail_nomem(e);
    if (code || !f->n) return fail(e, ERR_IO, "%s: no file fits", t->path);
    qsort(f->list, f->n, sizeof *f->list, by_path);
    return open_files(t, f, e);
}

const struct table_kind table_glob = { "glob", is_glob, open_glob, read_file };

/* Whatever else is there is one sample. */
static bool is_one(const char *path, struct bytes head)
{
    return file_exists(path);
}

static int open_one(struct table *t, struct err *e)
{
    struct files *f = ARENA_NEW(t->arena, struct files);
    struct file file = { "", t->path };
    if (!f || !ARRAY_PUSH(t->arena, f->list, f->n, f->cap, file)) return fail_nomem(e);
    return open_files(t, f, e);
}

const struct table_kind table_one = { "file", is_one, open_one, read_file };

struct stream {
    char buffer[LINE_MAX_BYTES];
    size_t filled;
    bool ended;
    char separator; /* a zero byte once one came: names may hold line feeds (find -print0) */
};

static bool is_stream(const char *path, struct bytes head)
{
    return !strcmp(path, "-");
}

static int open_stream(struct table *t, struct err *e)
{
    struct stream *s = t->state = ARENA_NEW(t->arena, struct stream);
    TRY_MEM(s, e);
    s->separator = '\n';
    return table_add_column(t, "", ROLE_IMAGE, e);
}

/* Reads more of stdin: 1 something came, 0 the end, 2 nothing within the time. */
static int fill(struct stream *s, int idle_ms, struct err *e)
{
    struct pollfd p = { .fd = 0, .events = POLLIN };
    if (s->filled == LINE_MAX_BYTES) {
        s->filled = 0;
        return fail(e, ERR_DATA, "stdin: a line is longer than %d bytes", LINE_MAX_BYTES);
    }
    int ready = poll(&p, 1, idle_ms);
    if (!ready || (ready < 0 && errno == EINTR)) return 2;
    ssize_t n = read(0, s->buffer + s->filled, LINE_MAX_BYTES - s->filled);
    if (n < 0 && errno == EINTR) return 2;
    if (n < 0) return fail(e, ERR_IO, "stdin: %s", strerror(errno));
    s->filled += (size_t)n;
    return n > 0;
}

static int read_line(struct table *t, struct cursor *c, struct arena *a, struct cell *cells, int idle_ms, struct err *e)
{
    struct stream *s = t->state;
    for (;;) {
        if (memchr(s->buffer, 0, s->filled)) s->separator = 0;
        char *end = memchr(s->buffer, s->separator, s->filled);
        if (end || (s->ended && s->filled)) {
            size_t len = end ? (size_t)(end - s->buffer) : s->filled, used = len + (end != NULL);
            char *line = arena_strndup(a, s->buffer, len);
            TRY_MEM(line, e);
            memmove(s->buffer, s->buffer + used, s->filled - used);
            s->filled -= used;
            while (s->separator && len && line[len - 1] == '\r') line[--len] = 0;
            cells[0].text = line;
            if (len) return 1;
            continue;
        }
        if (s->ended) return 0;
        int got = fill(s, idle_ms, e);
        if (got < 0 || got == 2) return got;
        s->ended = !got;
    }
}

const struct table_kind table_stdin = { "stdin", is_stream, open_stream, read_line, .in_order_only = true };
