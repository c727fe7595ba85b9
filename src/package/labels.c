/* labels.c - reading class names. */
#include "package/labels.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "enc/csv.h"
#include "enc/json.h"

enum { MAX_LABELS = 1 << 20 };

struct growing {
    struct arena *arena;
    const char **names;
    size_t n, cap;
};

static int put(struct growing *g, long long index, const char *name, size_t len, struct err *e)
{
    if (index < 0 || index >= MAX_LABELS) return fail(e, ERR_DATA, "class index %lld is out of range", index);
    char *copy = arena_strndup(g->arena, name, len);
    TRY_MEM(copy, e);
    while (g->n <= (size_t)index)
        if (!ARRAY_PUSH(g->arena, g->names, g->n, g->cap, "")) return fail_nomem(e);
    g->names[index] = copy;
    return 0;
}

static int from_lines(struct growing *g, struct bytes text, struct err *e)
{
    const char *p = (const char *)text.data, *end = p + text.len;
    while (p < end) {
        const char *line = p, *stop = memchr(p, '\n', (size_t)(end - p));
        p = stop ? stop + 1 : end;
        size_t len = (size_t)((stop ? stop : end) - line);
        while (len && (line[len - 1] == '\r' || line[len - 1] == ' ')) len--;
        if (len || p < end) TRY(put(g, (long long)g->n, line, len, e));
    }
    return 0;
}

/* The name in a value: a text, or the last text of a list (["n01440764", "tench"]). */
static const char *name_in(const json_t *v)
{
    if (json_is_array(v) && json_array_size(v)) v = json_array_get(v, json_array_size(v) - 1);
    return json_string_value(v);
}

static int from_json(struct growing *g, const json_t *root, struct err *e)
{
    static const char *const inside[] = { "id2label", "labels", "label_names", "categories" };
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        if (json_object_get(root, inside[i])) root = json_object_get(root, inside[i]);
    const char *key;
    json_t *v;
    size_t i;
    json_array_foreach(root, i, v)
    {
        const char *name = name_in(v);
        if (!name) return fail(e, ERR_DATA, "label %zu is no text", i);
        TRY(put(g, (long long)i, name, strlen(name), e));
    }
    json_object_foreach((json_t *)(uintptr_t)root, key, v)
    {
        char *end;
        long long index = strtoll(key, &end, 10);
        const char *name = name_in(v);
        if (end == key || *end || !name) return fail(e, ERR_DATA, "\"%s\" is no class index with a name", key);
        TRY(put(g, index, name, strlen(name), e));
    }
    return 0;
}

/* {0: 'person', 1: "traffic light"}: numbers and quoted texts; never evaluated. */
static int from_python(struct growing *g, struct bytes text, struct err *e)
{
    const char *p = (const char *)text.data, *end = p + text.len;
    for (;;) {
        while (p < end && strchr(" \n\r\t{,", *p)) p++;
        if (p >= end || *p == '}') return 0;
        long long index = 0;
        const char *digits = p;
        while (p < end && *p >= '0' && *p <= '9' && index < MAX_LABELS) index = index * 10 + (*p++ - '0');
        while (p < end && (*p == ':' || *p == ' ')) p++;
        if (p == digits || p >= end || (*p != '\'' && *p != '"'))
            return fail(e, ERR_DATA, "no dictionary of class names");
        char quote = *p++;
        const char *name = p;
        while (p < end && *p != quote) p++;
        if (p >= end) return fail(e, ERR_DATA, "a class name does not end");
        TRY(put(g, index, name, (size_t)(p++ - name), e));
    }
}

static int column_of(const struct csv_row *row, const char *const *names)
{
    for (; *names; names++)
        for (size_t i = 0; i < row->n; i++)
            if (!strcasecmp(row->fields[i], *names)) return (int)i;
    return -1;
}

static int from_csv(struct growing *g, const char *path, struct bytes text, struct err *e)
{
    static const char *const label_names[] = { "label", "name", "class", "labels", NULL };
    static const char *const index_names[] = { "id", "index", "class_id", NULL };
    struct csv table;
    struct csv_row row;
    csv_init(&table, path, text, 0);
    int label = -1, index = -1, got;
    for (bool first = true; (got = csv_next(&table, g->arena, &row, e)) > 0; first = false) {
        if (first && (label = column_of(&row, label_names)) >= 0) {
            index = column_of(&row, index_names);
            continue;
        }
        size_t at = label >= 0 ? (size_t)label : row.n - 1;
        if (at >= row.n || (index >= 0 && (size_t)index >= row.n))
            return fail(e, ERR_DATA, "row %zu has %zu columns", row.line, row.n);
        long long i = index >= 0 ? strtoll(row.fields[index], NULL, 10) : (long long)g->n;
        TRY(put(g, i, row.fields[at], strlen(row.fields[at]), e));
    }
    return got;
}

int labels_parse(struct labels *l, struct arena *a, const char *path, struct bytes text, struct err *e)
{
    struct growing g = { .arena = a };
    size_t at = 0;
    int code;
    while (at < text.len && strchr(" \n\r\t", text.data[at])) at++;
    bool tree = at < text.len && (text.data[at] == '{' || text.data[at] == '[');
    if (tree) {
        json_t *root;
        struct err ignored = { 0 };
        code = json_parse(a, path, text, &root, &ignored) ? from_python(&g, text, e) : from_json(&g, root, e);
    } else if (str_ends(path, ".csv") || str_ends(path, ".tsv")) {
        code = from_csv(&g, path, text, e);
    } else {
        code = from_lines(&g, text, e);
    }
    if (code < 0) return err_prefix(e, "%s", path);
    *l = (struct labels){ g.names, g.n };
    return 0;
}

int labels_read(struct labels *l, struct arena *a, const char *path, struct err *e)
{
    struct bytes text;
    TRY(file_read(a, path, (size_t)64 << 20, &text, e));
    return labels_parse(l, a, path, text, e);
}

int labels_shorten(struct labels *l, struct arena *a, int64_t length, struct err *e)
{
    for (size_t i = 0; length > 0 && i < l->n; i++) {
        const char *end = l->names[i];
        int64_t left = length;
        for (; *end; end++)
            if ((*end & 0xc0) != 0x80 && !left--) break; /* the first byte of a character too many */
        if (*end && !(l->names[i] = arena_strndup(a, l->names[i], (size_t)(end - l->names[i])))) return fail_nomem(e);
    }
    return 0;
}
