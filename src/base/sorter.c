/* sorter.c - sorting outside of memory: full buffers become sorted runs in a file, the runs are merged by a heap. */
#include "base/sorter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/file.h"

struct run {
    uint64_t at, end;     /* what is not read yet, in the file */
    unsigned char *piece; /* what is read of it */
    size_t next, n;       /* records in `piece` */
};

struct sorter {
    struct arena *arena;
    struct sorter_options o;
    unsigned char *held; /* (cap) records; shared among the runs when they are merged */
    size_t n, cap, next;
    int fd; /* -1: everything fits */
    uint64_t written;
    struct run *runs;
    size_t n_runs, cap_runs;
    size_t *heap; /* of runs, by their next records */
    size_t n_heap;
    bool merging;
};

struct sorter *sorter_new(struct arena *a, const struct sorter_options *o, struct err *e)
{
    struct sorter *s = ARENA_NEW(a, struct sorter);
    if (!s) return fail_nomem(e), NULL;
    *s = (struct sorter){ .arena = a, .o = *o, .cap = o->memory / o->size, .fd = -1 };
    if (s->cap < 2) s->cap = 2;
    return s;
}

static void close_fd(void *fd)
{
    close((int)(intptr_t)fd);
}

static int open_file(struct sorter *s, struct err *e)
{
    s->fd = file_nameless(s->o.folder, e);
    if (s->fd < 0) return s->fd;
    return arena_closer(s->arena, close_fd, (void *)(intptr_t)s->fd) ? fail_nomem(e) : 0;
}

static int put(struct sorter *s, const unsigned char *p, size_t len, struct err *e)
{
    while (len) {
        ssize_t n = pwrite(s->fd, p, len, (off_t)s->written);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return fail(e, ERR_IO, "%s: cannot sort %llu bytes there: %s", s->o.folder ? s->o.folder : "TMPDIR",
                (unsigned long long)(s->written + len), strerror(errno));
        p += n, len -= (size_t)n, s->written += (uint64_t)n;
    }
    return 0;
}

/* What is held becomes a run. */
static int spill(struct sorter *s, struct err *e)
{
    struct run r = { .at = s->written };
    if (s->fd < 0) TRY(open_file(s, e));
    qsort(s->held, s->n, s->o.size, s->o.compare);
    TRY(put(s, s->held, s->n * s->o.size, e));
    r.end = s->written;
    s->n = 0;
    return ARRAY_PUSH(s->arena, s->runs, s->n_runs, s->cap_runs, r) ? 0 : fail_nomem(e);
}

int sorter_add(struct sorter *s, const void *record, struct err *e)
{
    if (!s->held) TRY_MEM(s->held = arena_array(s->arena, s->cap, s->o.size), e);
    if (s->n == s->cap) TRY(spill(s, e));
    memcpy(s->held + s->n++ * s->o.size, record, s->o.size);
    return 0;
}

/* The next records of a run: 0 where it ends. */
static int refill(struct sorter *s, struct run *r, struct err *e)
{
    size_t room = s->cap / s->n_runs * s->o.size, got = 0;
    if (r->end - r->at < room) room = (size_t)(r->end - r->at);
    while (got < room) {
        ssize_t n = pread(s->fd, r->piece + got, room - got, (off_t)r->at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(e, ERR_IO, "cannot read what was sorted: %s", n ? strerror(errno) : "it is cut off");
        got += (size_t)n, r->at += (uint64_t)n;
    }
    r->next = 0, r->n = got / s->o.size;
    return r->n > 0;
}

static const void *first_of(const struct sorter *s, size_t run)
{
    return s->runs[run].piece + s->runs[run].next * s->o.size;
}

/* By their records; equal ones by age, so that the order is a total one. */
static bool before(const struct sorter *s, size_t a, size_t b)
{
    int order = s->o.compare(first_of(s, a), first_of(s, b));
    return order ? order < 0 : a < b;
}

static void sink(struct sorter *s, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
        if (child + 1 < s->n_heap && before(s, s->heap[child + 1], s->heap[child])) child++;
        if (!before(s, s->heap[child], s->heap[i])) return;
        size_t other = s->heap[i];
        s->heap[i] = s->heap[child], s->heap[child] = other;
    }
}

static int begin_merge(struct sorter *s, struct err *e)
{
    s->merging = true;
    if (!s->n_runs) {
        if (s->n) qsort(s->held, s->n, s->o.size, s->o.compare);
        return 0;
    }
    TRY(spill(s, e));
    if (s->n_runs > s->cap) /* a record each is the least */
        return fail(e, ERR_NOMEM, "%zu sorted runs do not fit into %zu bytes", s->n_runs, s->o.memory);
    TRY_MEM(s->heap = ARENA_ARRAY(s->arena, s->n_runs, size_t), e);
    for (size_t i = 0; i < s->n_runs; i++) {
        s->runs[i].piece = s->held + i * (s->cap / s->n_runs) * s->o.size;
        TRY(refill(s, &s->runs[i], e));
        s->heap[s->n_heap++] = i;
    }
    for (size_t i = s->n_heap; i-- > 0;) sink(s, i);
    return 0;
}

/* The record that was given last is done with. */
static int advance(struct sorter *s, struct err *e)
{
    struct run *r = &s->runs[s->heap[0]];
    int more = ++r->next < r->n ? 1 : refill(s, r, e);
    if (!more) s->heap[0] = s->heap[--s->n_heap];
    if (more >= 0) sink(s, 0);
    return more;
}

int sorter_next(struct sorter *s, const void **record, struct err *e)
{
    if (!s->merging) TRY(begin_merge(s, e));
    else if (s->n_heap) TRY(advance(s, e));
    if (!s->n_runs) return s->next < s->n ? (*record = s->held + s->next++ * s->o.size, 1) : 0;
    return s->n_heap ? (*record = first_of(s, s->heap[0]), 1) : 0;
}
