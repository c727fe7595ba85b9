/* table_text.c - tables as text: CSV and TSV, JSON lines. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "data/table_kinds.h"
#include "enc/csv.h"
#include "enc/json.h"

struct text {
    struct csv csv; /* at the first row that is no header; its data are the whole file */
};

static int map_text(struct table *t, struct text **out, struct err *e)
{
    struct bytes b;
    TRY(table_map(t, t->path, &b, e));
    if (b.len >= 2 && ((b.data[0] == 0xff && b.data[1] == 0xfe) || (b.data[0] == 0xfe && b.data[1] == 0xff)))
        return fail(e, ERR_DATA, "%s: the text is UTF-16: save it as UTF-8", t->path);
    TRY_MEM(*out = t->state = ARENA_NEW(t->arena, struct text), e);
    TRY_MEM(t->folder = file_dir(t->arena, t->path), e);
    csv_init(&(*out)->csv, t->path, b, 0);
    t->lines = true;
    t->size = b.len;
    return 0;
}

static bool is_csv(const char *path, struct bytes head)
{
    return str_ends(path, ".csv") || str_ends(path, ".tsv");
}

static bool finds(const struct table *t, const struct csv_row *row, const char *text)
{
    for (size_t i = 0; i < row->n; i++)
        if (!strcasecmp(row->fields[i], text)) return true;
    return false;
}

/* A first row is a header if it names an input, or a column that something is usually called; or if columns are asked
 * for by name. Else it is a row like the others, and the first column holds paths. */
static bool is_header(const struct table *t, const struct csv_row *row)
{
    static const char *const known[] = { "image", "img", "path", "file", "filename", "filepath", "image_path",
        "img_path", "_image_", "mask", "label", "class", "target", "_label_", "id", "boxes" };
    if (t->options.columns && t->options.columns[0]) return true;
    for (size_t i = 0; t->options.inputs && t->options.inputs[i]; i++)
        if (finds(t, row, t->options.inputs[i])) return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (finds(t, row, known[i])) return true;
    return false;
}

static int open_csv(struct table *t, struct err *e)
{
    struct text *x;
    struct csv_row row;
    TRY(map_text(t, &x, e));
    struct csv start = x->csv;
    struct arena scratch;
    arena_init(&scratch, t->arena->mem);
    int got = csv_next(&x->csv, &scratch, &row, e);
    if (got == 0) got = fail(e, ERR_DATA, "%s: the table is empty", t->path);
    bool header = got > 0 && is_header(t, &row);
    for (size_t i = 0; got > 0 && i < row.n; i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", i + 1);
        const char *name = header ? row.fields[i] : i ? number : "";
        int code = table_add_column(t, name, !header && !i ? ROLE_IMAGE : ROLE_OTHER, e);
        if (code) got = code;
    }
    arena_release(&scratch);
    TRY(got);
    if (!header) x->csv = start;
    return 0;
}

/* Whether rows can do without this column. */
static bool is_optional(const struct column *c)
{
    return c->role == ROLE_OTHER && c->input < 0;
}

static int read_csv(struct table *t, struct cursor *c, struct arena *a, struct cell *cells, int idle_ms, struct err *e)
{
    struct csv csv = ((const struct text *)t->state)->csv;
    struct csv_row row;
    if (c->at) csv.at = c->at, csv.line = c->line, csv.row = c->row;
    int got = csv_next(&csv, a, &row, e);
    *c = (struct cursor){ csv.at, csv.line, c->row, got > 0 ? row.line : csv.line };
    if (got <= 0) return got;
    for (size_t i = t->n_columns; i < row.n; i++)
        if (row.fields[i][0])
            return fail(e, ERR_DATA, "%s:%zu: the row has %zu fields, the table %zu columns: quote what holds a '%c'",
                t->path, row.line, row.n, t->n_columns, csv.separator);
    for (size_t i = row.n; i < t->n_columns; i++)
        if (!is_optional(&t->columns[i]))
            return fail(e, ERR_DATA, "%s:%zu: the row has only %zu of %zu columns: \"%s\" is missing", t->path,
                row.line, row.n, t->n_columns, t->columns[i].name);
    for (size_t i = 0; i < row.n && i < t->n_columns; i++) cells[i].text = row.fields[i];
    return 1;
}

const struct table_kind table_csv = { "csv", is_csv, open_csv, read_csv };

static bool is_jsonl(const char *path, struct bytes head)
{
    return str_ends(path, ".jsonl") || str_ends(path, ".ndjson");
}

/* The next line that is not empty: 1, or 0 at the end. */
static int next_line(const struct bytes *b, struct cursor *c, struct bytes *line)
{
    while (c->at < b->len) {
        const unsigned char *p = b->data + c->at, *end = memchr(p, '\n', b->len - c->at);
        size_t len = end ? (size_t)(end - p) : b->len - c->at;
        c->at += len + (end != NULL);
        c->line++;
        while (len && strchr(" \t\r", p[len - 1])) len--;
        c->begun = c->line;
        *line = (struct bytes){ p, len };
        if (len) return 1;
    }
    return 0;
}

static int parse_line(
    struct table *t, struct arena *a, const struct cursor *c, struct bytes line, json_t **out, struct err *e)
{
    char where[600];
    snprintf(where, sizeof where, "%.500s:%llu", t->path, (unsigned long long)c->line);
    TRY(json_parse(a, where, line, out, e));
    return json_is_object(*out) ? 0 : fail(e, ERR_DATA, "%s: each line must be an object {\"image\": ...}", where);
}

static int open_jsonl(struct table *t, struct err *e)
{
    struct text *x;
    struct cursor c = { 0 };
    struct bytes line;
    json_t *object, *value;
    const char *key;
    TRY(map_text(t, &x, e));
    c.at = x->csv.at;
    if (!next_line(&x->csv.data, &c, &line)) return fail(e, ERR_DATA, "%s: the table is empty", t->path);
    TRY(parse_line(t, t->arena, &c, line, &object, e));
    json_object_foreach(object, key, value) TRY(table_add_column(t, key, ROLE_OTHER, e));
    return 0;
}

static const char *text_of(const json_t *value, struct arena *a, struct err *e)
{
    if (json_is_string(value)) return json_string_value(value);
    if (!value || json_is_null(value)) return NULL;
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *copy = text ? arena_strdup(a, text) : NULL;
    free(text);
    if (!copy) fail_nomem(e);
    return copy;
}

static int read_jsonl(
    struct table *t, struct cursor *c, struct arena *a, struct cell *cells, int idle_ms, struct err *e)
{
    const struct text *x = t->state;
    struct bytes line;
    json_t *object;
    if (!c->at) c->at = x->csv.at;
    if (!next_line(&x->csv.data, c, &line)) return 0;
    TRY(parse_line(t, a, c, line, &object, e));
    for (size_t i = 0; i < t->n_columns; i++) {
        cells[i].text = text_of(json_object_get(object, t->columns[i].name), a, e);
        if (e->code) return e->code;
        if (!cells[i].text && t->columns[i].input >= 0)
            return fail(
                e, ERR_DATA, "%s:%llu: \"%s\" is missing", t->path, (unsigned long long)c->line, t->columns[i].name);
    }
    return 1;
}

const struct table_kind table_jsonl = { "jsonl", is_jsonl, open_jsonl, read_jsonl };
