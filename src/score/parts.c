/* parts.c - finished pieces of a job in a folder. */
#include "score/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"

struct range {
    int64_t first, n;
};

struct parts {
    struct arena *arena;
    struct parts_options o;
    const char *folder, *job_path;
    int entered; /* the open folder; everybody who works there shares its lock */
    struct range *ranges; /* by first row */
    size_t n, cap, at;    /* at: the first one that does not end before the row asked for */
    int64_t done;
};

static int by_first(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* "000000000256-000000000512.part": rows [256, 512). */
static bool parse_name(const char *name, struct range *r)
{
    int64_t end;
    int used = 0;
    if (sscanf(name, "%12" SCNd64 "-%12" SCNd64 ".part%n", &r->first, &end, &used) != 2 || !used || name[used])
        return false;
    r->n = end - r->first;
    return r->first >= 0 && r->n > 0;
}

static const char *piece_path(const struct parts *p, struct arena *a, const struct range *r)
{
    return arena_printf(a, "%s/%012" PRId64 "-%012" PRId64 ".part", p->folder, r->first, r->first + r->n);
}

static int list_pieces(struct parts *p, struct err *e)
{
    const char **names;
    size_t n;
    struct range r;
    p->n = 0;
    TRY(file_list(p->arena, p->folder, &names, &n, e));
    for (size_t i = 0; i < n; i++)
        if (parse_name(names[i], &r) && !ARRAY_PUSH(p->arena, p->ranges, p->n, p->cap, r)) return fail_nomem(e);
    if (p->n) qsort(p->ranges, p->n, sizeof *p->ranges, by_first);
    return 0;
}

/* The first line in which two descriptions of jobs part. */
static int other_job(const struct parts *p, struct bytes there, struct err *e)
{
    const char *ours = p->o.job, *theirs = arena_strndup(p->arena, (const char *)there.data, there.len);
    TRY_MEM(theirs, e);
    size_t a = 0, b = 0;
    while (*ours && *theirs) {
        a = strcspn(ours, "\n"), b = strcspn(theirs, "\n");
        if (a != b || strncmp(ours, theirs, a)) break;
        ours += a + (ours[a] != 0), theirs += b + (theirs[b] != 0);
    }
    a = strcspn(ours, "\n"), b = strcspn(theirs, "\n");
    return fail(e, ERR_USAGE,
        "%s holds the unfinished results of another job (\"%.*s\" there, \"%.*s\" now): give the same model, table and "
        "options to finish it, or --restart to throw it away",
        p->folder, (int)b, theirs, (int)a, ours);
}

static int remove_pieces(struct parts *p, struct err *e)
{
    const char **names;
    size_t n;
    TRY(file_list(p->arena, p->folder, &names, &n, e));
    for (size_t i = 0; i < n; i++) {
        const char *path = file_join(p->arena, p->folder, names[i]);
        TRY_MEM(path, e);
        unlink(path);
    }
    return 0;
}

static void close_later(void *fd)
{
    close((int)(intptr_t)fd);
}

/* Whether the folder that is open still stands under its name: another process may just have removed it. */
static bool is_still(const struct parts *p, int fd)
{
    struct stat ours, there;
    while (flock(fd, LOCK_SH) && errno == EINTR) continue;
    return !fstat(fd, &ours) && !stat(p->folder, &there) && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Makes the folder where it is missing, and stays in it until the end: whoever finds it empty leaves it to others. */
static int enter_folder(struct parts *p, struct err *e)
{
    const char *above = file_dir(p->arena, p->folder);
    TRY_MEM(above, e);
    TRY(file_mkdirs(above, e));
    for (;;) {
        if (mkdir(p->folder, 0777) && errno != EEXIST) return fail(e, ERR_IO, "%s: %s", p->folder, strerror(errno));
        int fd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT) return fail(e, ERR_IO, "%s: %s", p->folder, strerror(errno));
        if (fd < 0) continue;
        p->entered = fd;
        if (is_still(p, fd)) return arena_closer(p->arena, close_later, (void *)(intptr_t)fd) ? fail_nomem(e) : 0;
        close(fd);
    }
}

/* The first process's stays, also where several come at once: they queue at its lock. */
static int write_job(const struct parts *p, struct err *e)
{
    const char *ours = arena_printf(p->arena, "%s.%ld", p->job_path, (long)getpid());
    TRY_MEM(ours, e);
    TRY(file_write(p->arena, ours, p->o.job, strlen(p->o.job), e));
    bool bad = link(ours, p->job_path) && errno != EEXIST && rename(ours, p->job_path);
    if (bad) fail(e, ERR_IO, "%s: cannot write: %s", p->job_path, strerror(errno));
    unlink(ours);
    return e->code;
}

static int open_folder(struct parts *p, struct err *e)
{
    struct bytes there;
    TRY(enter_folder(p, e));
    if (p->o.restart) TRY(remove_pieces(p, e));
    if (!file_exists(p->job_path)) TRY(write_job(p, e));
    TRY(file_read(p->arena, p->job_path, 1 << 20, &there, e));
    if (there.len != strlen(p->o.job) || memcmp(there.data, p->o.job, there.len)) return other_job(p, there, e);
    return list_pieces(p, e);
}

struct parts *parts_open(struct arena *a, const struct parts_options *o, struct err *e)
{
    struct parts *p = ARENA_NEW(a, struct parts);
    if (!p) return fail_nomem(e), NULL;
    p->arena = a;
    p->o = *o;
    p->folder = arena_printf(a, "%s.parts", o->out);
    p->job_path = arena_printf(a, "%s.parts/job", o->out);
    if (!p->folder || !p->job_path) return fail_nomem(e), NULL;
    if (open_folder(p, e)) return NULL;
    for (size_t i = 0; i < p->n; i++) p->done += p->ranges[i].n;
    return p;
}

int64_t parts_done(const struct parts *p)
{
    return p->done;
}

const char *parts_folder(const struct parts *p)
{
    return p->folder;
}

bool parts_wants(struct parts *p, int64_t row)
{
    while (p->at < p->n && p->ranges[p->at].first + p->ranges[p->at].n <= row) p->at++;
    bool done = p->at < p->n && p->ranges[p->at].first <= row;
    return !done && row / PARTS_BLOCK % p->o.shards == p->o.shard - 1;
}

int parts_save(struct parts *p, const struct piece *piece, struct err *e)
{
    struct arena a;
    struct file_writer w;
    char head[128];
    struct range r = { piece->first, piece->n };
    arena_init(&a, p->arena->mem);
    int len = snprintf(head, sizeof head, "errors %" PRId64 " results %zu targets %zu\n", piece->errors,
        piece->results.len, piece->targets.len);
    const char *path = piece_path(p, &a, &r);
    int code = path ? file_writer_open(&w, &a, path, e) : fail_nomem(e);
    if (!code) {
        code = file_writer_put(&w, head, (size_t)len, e);
        if (!code) code = file_writer_put(&w, piece->results.data, piece->results.len, e);
        if (!code) code = file_writer_put(&w, piece->targets.data, piece->targets.len, e);
        if (!code) code = file_writer_commit(&w, e);
        else file_writer_abort(&w);
    }
    arena_release(&a);
    return code;
}

static int read_piece(const struct parts *p, const struct range *r, struct arena *a, struct piece *out, struct err *e)
{
    struct bytes file;
    int used = 0;
    const char *path = piece_path(p, a, r);
    TRY_MEM(path, e);
    TRY(file_map(a, path, &file, e));
    const char *head = arena_strndup(a, (const char *)file.data, file.len < 128 ? file.len : 128);
    TRY_MEM(head, e);
    *out = (struct piece){ .first = r->first, .n = r->n };
    int got = sscanf(head, "errors %" SCNd64 " results %zu targets %zu%n", &out->errors, &out->results.len,
        &out->targets.len, &used);
    size_t begin = (size_t)used + 1;
    if (got != 3 || !used || head[used] != '\n' || out->results.len > file.len - begin ||
        out->targets.len != file.len - begin - out->results.len)
        return fail(e, ERR_DATA, "%s: damaged: remove it and run the job again", path);
    out->results.data = file.data + begin;
    out->targets.data = file.data + begin + out->results.len;
    return 0;
}

static int each_piece(
    struct parts *p, int (*each)(void *, const struct piece *, struct err *), void *cookie, struct err *e)
{
    for (size_t i = 0; i < p->n; i++) {
        struct arena a;
        struct piece piece;
        arena_init(&a, p->arena->mem);
        int code = read_piece(p, &p->ranges[i], &a, &piece, e);
        if (!code) code = each(cookie, &piece, e);
        arena_release(&a);
        TRY(code);
    }
    return 1;
}

static int close_fd(int fd, int code)
{
    close(fd);
    return code;
}

int parts_join(struct parts *p, int64_t total, int (*each)(void *cookie, const struct piece *piece, struct err *e),
    void *cookie, int64_t *missing, struct err *e)
{
    struct stat st;
    int fd = open(p->job_path, O_RDONLY | O_CLOEXEC);
    *missing = 0;
    if (fd < 0) return 0;
    if (!flock(fd, LOCK_EX) && !fstat(fd, &st) && !st.st_nlink) return close_fd(fd, 0);
    int code = list_pieces(p, e);
    int64_t at = 0;
    for (size_t i = 0; i < p->n && !code; i++) {
        if (p->ranges[i].first > at) *missing += p->ranges[i].first - at;
        if (p->ranges[i].first < at)
            code = fail(e, ERR_DATA, "%s: pieces overlap at row %lld: use --restart", p->folder, (long long)at);
        at = p->ranges[i].first + p->ranges[i].n;
    }
    if (at < total) *missing += total - at;
    if (!code && at > total)
        code = fail(e, ERR_DATA, "%s: holds %lld rows, the table has only %lld: use --restart", p->folder,
            (long long)at, (long long)total);
    if (code || *missing) return close_fd(fd, code);
    code = each_piece(p, each, cookie, e);
    if (code < 0) return close_fd(fd, code);
    /* the lock goes with the process or with parts_remove(): nobody else may join before the table is in place */
    return arena_closer(p->arena, close_later, (void *)(intptr_t)fd) ? fail_nomem(e) : 1;
}

void parts_remove(struct parts *p)
{
    struct err ignored = { 0 };
    remove_pieces(p, &ignored);
    rmdir(p->folder);
}

void parts_tidy(struct parts *p)
{
    struct err ignored = { 0 };
    if (!file_is_dir(p->folder) || flock(p->entered, LOCK_EX | LOCK_NB)) return;
    if (!list_pieces(p, &ignored) && !p->n) parts_remove(p);
}
