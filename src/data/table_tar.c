/* table_tar.c - tar files with samples in them (WebDataset): entries that differ only behind the first dot of their
 * name are one sample, and what is behind the dot is the column: 0001.jpg, 0001.cls. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "data/table_kinds.h"

enum { BLOCK = 512, NAME_MAX_BYTES = 4096, TEXT_MAX = 1 << 20 };

struct shards {
    struct shard {
        const char *path;
        struct bytes file;
    } * list;
    size_t n, cap;
};

static bool is_packed(const char *path)
{
    static const char *const endings[] = { ".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar.bz2" };
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (str_ends(path, endings[i])) return true;
    return false;
}

static bool is_tar(const char *path, struct bytes head)
{
    return str_ends(path, ".tar") || is_packed(path);
}

static int add_shard(struct table *t, struct shards *s, const char *path, struct err *e)
{
    struct shard one = { .path = arena_strdup(t->arena, path) };
    TRY_MEM(one.path, e);
    TRY(table_map(t, path, &one.file, e));
    return ARRAY_PUSH(t->arena, s->list, s->n, s->cap, one) ? 0 : fail_nomem(e);
}

/* "shards-{000..010}.tar": the numbers keep their width. Returns how many there were; 0: no braces. */
static int add_braces(struct table *t, struct shards *s, struct err *e)
{
    const char *open = strchr(t->path, '{'), *dots = open ? strstr(open, "..") : NULL,
               *close = dots ? strchr(dots, '}') : NULL;
    if (!close) return 0;
    long first = strtol(open + 1, NULL, 10), last = strtol(dots + 2, NULL, 10);
    if (first < 0 || last < first || last - first > 100000)
        return fail(e, ERR_USAGE, "%s: {FIRST..LAST} with at most 100000 shards is wanted", t->path);
    for (long i = first; i <= last; i++) {
        const char *path = arena_printf(
            t->arena, "%.*s%0*ld%s", (int)(open - t->path), t->path, (int)(dots - open) - 1, i, close + 1);
        TRY_MEM(path, e);
        TRY(add_shard(t, s, path, e));
    }
    return (int)s->n;
}

static int add_matches(struct table *t, struct shards *s, struct err *e)
{
    glob_t g = { 0 };
    int found = glob(t->path, 0, NULL, &g), code = 0;
    for (size_t i = 0; !found && i < g.gl_pathc && !code; i++) code = add_shard(t, s, g.gl_pathv[i], e);
    globfree(&g);
    TRY(code);
    return s->n ? 0 : fail(e, ERR_IO, "%s: no such file", t->path);
}

struct entry {
    const char *name;
    struct bytes data;
    bool regular;
    uint64_t next; /* offset behind it */
};

static int damaged(const struct shard *s, uint64_t at, const char *what, struct err *e)
{
    return fail(e, ERR_DATA, "%s: at byte %llu: %s", s->path, (unsigned long long)at, what);
}

/* Octal digits, or base 256 where the first bit is set (GNU). */
static uint64_t tar_number(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    if (p[0] & 0x80) {
        for (size_t i = 1; i < n; i++) v = v << 8 | p[i];
        return v;
    }
    for (size_t i = 0; i < n && p[i]; i++)
        if (p[i] >= '0' && p[i] <= '7') v = v * 8 + (uint64_t)(p[i] - '0');
    return v;
}

static bool sums_up(const unsigned char *head)
{
    uint64_t sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : head[i];
    return sum == tar_number(head + 148, 8);
}

/* One header with its data: 1, 0 at the end of the archive. */
static int read_block(const struct shard *s, uint64_t at, struct entry *out, const unsigned char **head, struct err *e)
{
    if (at >= s->file.len) return 0;
    if (s->file.len - at < BLOCK) return damaged(s, at, "the file ends within a header", e);
    const unsigned char *h = s->file.data + at;
    if (!h[0]) return 0;
    if (!sums_up(h)) return damaged(s, at, "no tar header here", e);
    uint64_t size = tar_number(h + 124, 12);
    if (size > s->file.len - at - BLOCK) return damaged(s, at, "the file ends within this entry", e);
    out->data = (struct bytes){ h + BLOCK, (size_t)size };
    out->next = at + BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    out->regular = h[156] == '0' || h[156] == 0 || h[156] == '7';
    *head = h;
    return 1;
}

/* "path=" of a pax header ("27 path=a/b.jpg\n"). */
static const char *pax_path(struct bytes data, struct arena *a)
{
    const char *text = arena_strndup(a, (const char *)data.data, data.len < TEXT_MAX ? data.len : TEXT_MAX);
    const char *path = text ? strstr(text, " path=") : NULL;
    return path ? arena_strndup(a, path + 6, strcspn(path + 6, "\n")) : NULL;
}

/* The next entry with its whole name, whichever of the three ways to write long ones it takes. */
static int next_entry(const struct shard *s, uint64_t at, struct arena *a, struct entry *out, struct err *e)
{
    const unsigned char *h = NULL;
    const char *longer = NULL;
    for (int i = 0; i < 8; i++) {
        int got = read_block(s, at, out, &h, e);
        if (got <= 0) return got;
        if (h[156] == 'L' && out->data.len < NAME_MAX_BYTES)
            longer = arena_strndup(a, (const char *)out->data.data, out->data.len);
        else if (h[156] == 'x') longer = pax_path(out->data, a);
        else if (h[156] != 'g') break;
        at = out->next;
    }
    const char *name = arena_strndup(a, (const char *)h, 100), *prefix = "";
    if (!memcmp(h + 257, "ustar", 5) && h[345] && !longer) prefix = arena_strndup(a, (const char *)h + 345, 155);
    if (!name || !prefix) return fail_nomem(e);
    out->name = longer ? longer : prefix[0] ? arena_printf(a, "%s/%s", prefix, name) : name;
    TRY_MEM(out->name, e);
    return 1;
}

/* Length of the sample's key: up to the first dot behind the last slash; 0: no sample. */
static size_t key_length(const char *name)
{
    const char *base = file_base(name), *dot = strchr(base, '.');
    return dot && dot > base && dot[1] ? (size_t)(dot - name) : 0;
}

/* Calls `take` for every entry of the sample at the cursor, and moves on: 1, 0 at the end of all shards. */
static int walk_sample(const struct shards *s, struct cursor *c, struct arena *a,
    int (*take)(void *cookie, const struct entry *entry, const char *column, struct err *e), void *cookie,
    const char **key, struct err *e)
{
    struct entry entry;
    *key = NULL;
    while (c->line < s->n) {
        int got = next_entry(&s->list[c->line], c->at, a, &entry, e);
        if (got <= 0) {
            if (*key && !got) return 1; /* the shard ends, the next call begins with the next one */
            file_forget(s->list[c->line].file);
            c->line++, c->at = 0;
            TRY(got);
            continue;
        }
        size_t len = entry.regular ? key_length(entry.name) : 0;
        if (len && *key && (strlen(*key) != len || strncmp(*key, entry.name, len))) return 1;
        if (len && !*key) TRY_MEM(*key = arena_strndup(a, entry.name, len), e);
        c->at = entry.next;
        if (len) TRY(take(cookie, &entry, entry.name + len + 1, e));
    }
    return *key != NULL;
}

static int take_column(void *cookie, const struct entry *entry, const char *column, struct err *e)
{
    if (table_find_column(cookie, column) >= 0) return 0;
    return table_add_column(cookie, column, str_ends(column, "npy") ? ROLE_SEQUENCE : ROLE_OTHER, e);
}

/* A sample need not have all files: the next ones may bring columns that the first one lacks. What is broken there is
 * told when it is read. */
static int look_further(struct table *t, const struct shards *s, struct cursor *c, struct err *e)
{
    struct err bad = { 0 };
    int got = 1;
    for (int i = 1; i < TABLE_LOOK && got; i++) {
        const char *key;
        struct arena scratch;
        arena_init(&scratch, t->arena->mem);
        got = walk_sample(s, c, &scratch, take_column, t, &key, &bad);
        arena_release(&scratch);
        if (got == ERR_NOMEM) return fail_nomem(e);
        err_clear(&bad);
    }
    return 0;
}

static int open_tar(struct table *t, struct err *e)
{
    struct shards *s = t->state = ARENA_NEW(t->arena, struct shards);
    struct cursor c = { 0 };
    const char *key;
    if (is_packed(t->path))
        return fail(e, ERR_UNSUPPORTED, "%s: shards are read where they lie, not compressed: unpack it to a .tar (JPEG "
            "and PNG hardly become smaller)", t->path);
    TRY_MEM(s, e);
    int braces = add_braces(t, s, e);
    TRY(braces);
    if (!braces) TRY(add_matches(t, s, e));
    TRY(table_add_column(t, "__key__", ROLE_ID, e));
    int got = walk_sample(s, &c, t->arena, take_column, t, &key, e);
    TRY(got);
    if (!got) return fail(e, ERR_DATA, "%s: no samples in it (files named KEY.EXTENSION)", t->path);
    return look_further(t, s, &c, e);
}

struct taking {
    const struct table *t;
    struct arena *arena;
    struct cell *cells;
};

static bool is_text(const char *column)
{
    static const char *const names[] = { "cls", "txt", "json", "id", "index", "label", "class" };
    const char *dot = strrchr(column, '.'), *ending = dot ? dot + 1 : column;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(ending, names[i])) return true;
    return false;
}

static int take_cell(void *cookie, const struct entry *entry, const char *column, struct err *e)
{
    struct taking *w = cookie;
    size_t len = entry->data.len;
    int i = table_find_column(w->t, column);
    if (i < 0) return 0; /* the first samples have no such file: nobody asked for it */
    w->cells[i].bytes = entry->data;
    if (!is_text(column) || len > TEXT_MAX) return 0;
    while (len && strchr(" \t\r\n", entry->data.data[len - 1])) len--;
    TRY_MEM(w->cells[i].text = arena_strndup(w->arena, (const char *)entry->data.data, len), e);
    return 0;
}

static int read_tar(struct table *t, struct cursor *c, struct arena *a, struct cell *cells, int idle_ms, struct err *e)
{
    struct taking w = { t, a, cells };
    const char *key;
    int got = walk_sample(t->state, c, a, take_cell, &w, &key, e);
    if (got > 0) cells[0].text = key;
    return got;
}

const struct table_kind table_tar = { "tar", is_tar, open_tar, read_tar };
