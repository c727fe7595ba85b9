/* source.c - where rows come from. */
#include "data/source.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "enc/csv.h"

enum { LINE_MAX_BYTES = 1 << 16, MAX_DEPTH = 32, MAX_COLUMNS = 64 };

struct source {
    struct arena *arena;
    enum { SOURCE_LIST, SOURCE_CSV, SOURCE_STREAM } kind;
    const char **list; /* SOURCE_LIST */
    size_t n, cap, at;
    struct csv csv; /* SOURCE_CSV */
    const char *folder;
    struct csv_row first; /* a first row that was no header */
    bool has_first;
    size_t n_columns;
    int column[MAX_COLUMNS];
    const char *names[MAX_COLUMNS];
    char *buffer; /* SOURCE_STREAM */
    size_t filled;
    bool ended;
};

static bool is_sample(const char *name)
{
    static const char *const endings[] = { ".jpg", ".jpeg", ".png", ".npy" };
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t n = strlen(endings[i]);
        if (len > n && !strcasecmp(name + len - n, endings[i])) return true;
    }
    return false;
}

static int walk_folder(struct source *s, const char *dir, int depth, struct err *e)
{
    const char **names;
    size_t n;
    if (depth > MAX_DEPTH) return fail(e, ERR_IO, "%s: folders are nested too deeply", dir);
    TRY(file_list(s->arena, dir, &names, &n, e));
    for (size_t i = 0; i < n; i++) {
        if (names[i][0] == '.') continue;
        const char *path = file_join(s->arena, dir, names[i]);
        TRY_MEM(path, e);
        if (file_is_dir(path)) TRY(walk_folder(s, path, depth + 1, e));
        else if (is_sample(names[i]) && !ARRAY_PUSH(s->arena, s->list, s->n, s->cap, path)) return fail_nomem(e);
    }
    return 0;
}

static int find_column(const struct csv_row *row, const char *name)
{
    for (size_t i = 0; i < row->n; i++)
        if (!strcasecmp(row->fields[i], name)) return (int)i;
    return -1;
}

static void choose_columns(struct source *s, const struct csv_row *row, const char *const *wanted)
{
    static const char *const usual[] = { "image", "path", "file", "filename", NULL };
    for (size_t i = 0; wanted && wanted[i] && s->n_columns < MAX_COLUMNS; i++) {
        int at = find_column(row, wanted[i]);
        if (at < 0) continue;
        s->names[s->n_columns] = wanted[i];
        s->column[s->n_columns++] = at;
    }
    for (size_t i = 0; usual[i] && !s->n_columns; i++) {
        s->column[0] = find_column(row, usual[i]);
        s->n_columns = s->column[0] >= 0;
    }
}

static int open_csv(struct source *s, const char *path, const char *const *wanted, struct err *e)
{
    struct bytes text;
    s->kind = SOURCE_CSV;
    TRY(file_map(s->arena, path, &text, e));
    s->folder = file_dir(s->arena, path);
    TRY_MEM(s->folder, e);
    csv_init(&s->csv, path, text, 0);
    int got = csv_next(&s->csv, s->arena, &s->first, e);
    if (got < 0) return got;
    if (got) choose_columns(s, &s->first, wanted);
    s->has_first = got && !s->n_columns; /* no header: the first column of every row */
    if (!s->n_columns) s->n_columns = 1;
    return 0;
}

static int open_stream(struct source *s, struct err *e)
{
    s->kind = SOURCE_STREAM;
    s->n_columns = 1;
    s->buffer = arena_alloc(s->arena, LINE_MAX_BYTES);
    return s->buffer ? 0 : fail_nomem(e);
}

static int open_list(struct source *s, const char *path, struct err *e)
{
    s->n_columns = 1;
    if (file_is_dir(path)) {
        TRY(walk_folder(s, path, 0, e));
        return s->n ? 0 : fail(e, ERR_DATA, "%s: no .jpg, .png or .npy below it", path);
    }
    if (!file_exists(path)) return fail(e, ERR_IO, "%s: no such file or folder", path);
    const char *copy = arena_strdup(s->arena, path);
    return copy && ARRAY_PUSH(s->arena, s->list, s->n, s->cap, copy) ? 0 : fail_nomem(e);
}

struct source *source_open(struct arena *a, const char *path, const char *const *wanted, struct err *e)
{
    struct source *s = ARENA_NEW(a, struct source);
    if (!s) return fail_nomem(e), NULL;
    s->arena = a;
    for (int i = 0; i < MAX_COLUMNS; i++) s->names[i] = "";
    bool table = str_ends(path, ".csv") || str_ends(path, ".tsv");
    int code = !strcmp(path, "-") ? open_stream(s, e) : table ? open_csv(s, path, wanted, e) : open_list(s, path, e);
    return code ? NULL : s;
}

size_t source_columns(const struct source *s)
{
    return s->n_columns;
}

const char *source_column(const struct source *s, size_t i)
{
    return s->names[i];
}

long source_count(const struct source *s)
{
    return s->kind == SOURCE_LIST ? (long)s->n : -1;
}

static int one_path(struct source_row *row, struct arena *a, const char *path, struct err *e)
{
    row->paths = ARENA_ARRAY(a, 1, const char *);
    row->id = row->path = arena_strdup(a, path);
    if (!row->paths || !row->id) return fail_nomem(e);
    row->paths[0] = row->path;
    return 1;
}

static int next_csv(struct source *s, struct arena *a, struct source_row *row, struct err *e)
{
    struct csv_row r = s->first;
    if (!s->has_first) {
        int got = csv_next(&s->csv, a, &r, e);
        if (got <= 0) return got;
    }
    s->has_first = false;
    row->paths = ARENA_ARRAY(a, s->n_columns, const char *);
    TRY_MEM(row->paths, e);
    for (size_t i = 0; i < s->n_columns; i++) {
        if ((size_t)s->column[i] >= r.n)
            return fail(e, ERR_DATA, "%s:%zu: the row has only %zu columns", s->csv.path, r.line, r.n);
        row->paths[i] = file_join(a, s->folder, r.fields[s->column[i]]);
        TRY_MEM(row->paths[i], e);
    }
    row->id = r.fields[s->column[0]];
    row->path = row->paths[0];
    return 1;
}

/* Reads more of stdin: 1 something came, 0 the end, 2 nothing within the time. */
static int fill(struct source *s, int idle_ms, struct err *e)
{
    struct pollfd p = { .fd = 0, .events = POLLIN };
    if (s->filled == LINE_MAX_BYTES) return fail(e, ERR_DATA, "stdin: a line is longer than %d bytes", LINE_MAX_BYTES);
    int ready = poll(&p, 1, idle_ms);
    if (!ready || (ready < 0 && errno == EINTR)) return 2;
    ssize_t n = read(0, s->buffer + s->filled, LINE_MAX_BYTES - s->filled);
    if (n < 0 && errno == EINTR) return 2;
    if (n < 0) return fail(e, ERR_IO, "stdin: %s", strerror(errno));
    s->filled += (size_t)n;
    return n > 0;
}

static int next_line(struct source *s, struct arena *a, int idle_ms, struct source_row *row, struct err *e)
{
    for (;;) {
        char *end = memchr(s->buffer, '\n', s->filled);
        if (end || (s->ended && s->filled)) {
            size_t len = end ? (size_t)(end - s->buffer) : s->filled, used = len + (end != NULL);
            char *line = arena_strndup(a, s->buffer, len);
            TRY_MEM(line, e);
            memmove(s->buffer, s->buffer + used, s->filled - used);
            s->filled -= used;
            while (len && line[len - 1] == '\r') line[--len] = 0;
            if (len) return one_path(row, a, line, e);
            continue;
        }
        if (s->ended) return 0;
        int got = fill(s, idle_ms, e);
        if (got < 0 || got == 2) return got;
        s->ended = !got;
    }
}

int source_next(struct source *s, struct arena *a, int idle_ms, struct source_row *row, struct err *e)
{
    if (s->kind == SOURCE_CSV) return next_csv(s, a, row, e);
    if (s->kind == SOURCE_STREAM) return next_line(s, a, idle_ms, row, e);
    return s->at < s->n ? one_path(row, a, s->list[s->at++], e) : 0;
}
