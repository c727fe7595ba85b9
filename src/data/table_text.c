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
    const unsigned char *end = memchr(b.data, '\n', b.len) ? NULL : memchr(b.data, '\r', b.len);
    if (end && end + 1 < b.data + b.len)
        return fail(e, ERR_DATA, "%s: the lines end in a carriage return alone: save it with line feeds", t->path);
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

static bool finds(const struct csv_row *row, const char *text)
{
    for (size_t i = 0; i < row->n; i++)
        if (!strcasecmp(row->fields[i], text)) return true;
    return false;
}

/* Whether the row names an input of the model, or a column as it is usually called. */
static bool names_columns(const struct table *t, const struct csv_row *row)
{
    for (size_t i = 0; t->options.inputs && t->options.inputs[i]; i++)
        if (finds(row, t->options.inputs[i])) return true;
    for (size_t i = 0; i < row->n; i++)
        if (table_usual_name(row->fields[i], false)) return true;
    return false;
}

static bool is_file(const struct table *t, const char *text, struct arena *a)
{
    const char *path = file_join(a, t->folder, text);
    return path && text[0] && file_exists(path) && !file_is_dir(path);
}

/* Neither a header nor a sample: most likely a header with a slip of the pen. */
static int strange(const struct table *t, const struct csv_row *row, struct err *e)
{
    const char *first = row->fields[0], *near = NULL;
    char meant[100] = "";
    for (size_t i = 0; i < row->n && !near; i++) near = table_usual_name(row->fields[i], true);
    if (near) snprintf(meant, sizeof meant, "did you mean \"%s\"? Else ", near);
    return fail(e, ERR_USAGE,
        "%s:%zu: \"%.60s\" is neither the name of a column nor a file: %scall the columns image (or path, file), "
        "label, mask ..., or say what they are for, as in --columns image=%.60s",
        t->path, row->line, first, meant, first[0] ? first : "NAME");
}

/* A first row is a header if columns are asked for by name, or if it names one. Where its first field is a file, or
 * looks like one or like a number, it is a row like the others, and the first column holds paths. 1, 0 or an error. */
static int is_header(const struct table *t, const struct csv_row *row, struct arena *a, struct err *e)
{
    const char *first = row->fields[0];
    if (t->options.columns && t->options.columns[0]) return 1;
    if (is_file(t, first, a)) return 0;
    if (names_columns(t, row)) return 1;
    return strpbrk(first, "./") || strchr("+-0123456789", first[0]) ? 0 : strange(t, row, e);
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
    int header = got > 0 ? is_header(t, &row, &scratch, e) : 0;
    if (header < 0) got = header;
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
    if (c->at) csv.at = c->at, csv.line = c->line;
    csv.row = c->row; /* without the header, as everywhere */
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

/* Columns are the keys of the first lines: one that is often left out may come later. */
static int add_keys(struct table *t, struct arena *a, const struct cursor *c, struct bytes line, struct err *e)
{
    json_t *object, *value;
    const char *key;
    TRY(parse_line(t, a, c, line, &object, e));
    json_object_foreach(object, key, value)
    {
        if (table_find_column(t, key) < 0) TRY(table_add_column(t, key, ROLE_OTHER, e));
    }
    return 0;
}

static int open_jsonl(struct table *t, struct err *e)
{
    struct text *x;
    struct cursor c = { 0 };
    struct bytes line;
    struct err bad = { 0 };
    TRY(map_text(t, &x, e));
    c.at = x->csv.at;
    for (int i = 0; i < TABLE_LOOK && next_line(&x->csv.data, &c, &line); i++) {
        struct arena scratch;
        arena_init(&scratch, t->arena->mem);
        int code = add_keys(t, &scratch, &c, line, &bad);
        arena_release(&scratch);
        if (code && code != ERR_DATA) return fail(e, code, "%s", bad.text);
    }
    if (t->n_columns) return 0; /* a broken line is one row's error */
    return bad.code ? fail(e, bad.code, "%s", bad.text) : fail(e, ERR_DATA, "%s: the table is empty", t->path);
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
