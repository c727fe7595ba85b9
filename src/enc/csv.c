/* csv.c - reading and writing of comma-, tab- and semicolon-separated tables. */
#include "enc/csv.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"

void csv_init(struct csv *c, const char *path, struct bytes data, char separator)
{
    *c = (struct csv){ .data = data, .separator = separator, .path = path };
    if (data.len >= 3 && !memcmp(data.data, "\xef\xbb\xbf", 3)) c->at = 3;
    if (separator) return;
    const unsigned char *line = data.data + c->at, *end = memchr(line, '\n', data.len - c->at);
    size_t len = end ? (size_t)(end - line) : data.len - c->at;
    const char *s = "\t,;"; /* spreadsheets separate by semicolons where the comma is in numbers */
    while (s[1] && !memchr(line, s[0], len)) s++;
    c->separator = memchr(line, s[0], len) ? s[0] : ',';
}

/* The byte at the cursor, or -1 at the end; a carriage return before a line feed is none of the data. */
static int peek(const struct csv *c)
{
    if (c->at >= c->data.len) return -1;
    bool crlf = c->data.data[c->at] == '\r' && c->at + 1 < c->data.len && c->data.data[c->at + 1] == '\n';
    return crlf ? '\n' : c->data.data[c->at];
}

static void skip_line_end(struct csv *c)
{
    if (c->at < c->data.len && c->data.data[c->at] == '\r') c->at++;
    if (c->at < c->data.len) c->at++;
}

struct position {
    size_t line, start; /* of the line that is being read */
};

static int broken(struct csv *c, const struct position *p, size_t at, const char *what, struct err *e)
{
    while (peek(c) >= 0 && peek(c) != '\n') c->at++;
    skip_line_end(c);
    return fail(e, ERR_DATA, "%s:%zu:%zu: row %zu: %s", c->path, p->line, at - p->start + 1, c->row, what);
}

/* A quote that is wrong may have swallowed lines: reading goes on behind the one on which it opened. */
static int unquotable(struct csv *c, const struct position *opened, size_t first, const struct position *p, size_t at,
    const char *what, struct err *e)
{
    c->at = first, c->line = opened->line;
    return broken(c, p, at, what, e);
}

/* A field between quotes; the cursor stands behind the first one. */
static int quoted(struct csv *c, struct position *p, struct arena *a, const char **out, struct err *e)
{
    struct position opened = *p;
    size_t first = c->at, run = first;
    struct str s = str_in(a);
    for (;; c->at++) {
        if (c->at >= c->data.len)
            return unquotable(c, &opened, first, &opened, first - 1, "the quote opened here is never closed", e);
        unsigned char byte = c->data.data[c->at];
        if (!byte) return unquotable(c, &opened, first, p, c->at, "a zero byte; is this text?", e);
        if (byte == '\n') *p = (struct position){ p->line + 1, c->at + 1 }, c->line++;
        if (byte != '"') continue;
        str_addn(&s, (const char *)c->data.data + run, c->at - run);
        c->at++;
        if (c->at >= c->data.len || c->data.data[c->at] != '"') break;
        run = c->at; /* a doubled quote: the second one begins the next run */
    }
    int next = peek(c);
    if (next >= 0 && next != '\n' && next != (unsigned char)c->separator)
        return unquotable(
            c, &opened, first, p, c->at, "text behind the closing quote; double quotes inside a field", e);
    *out = str_done(&s);
    TRY_MEM(*out, e);
    return 0;
}

static int plain(struct csv *c, const struct position *p, struct arena *a, const char **out, struct err *e)
{
    size_t start = c->at;
    for (int byte; (byte = peek(c)) >= 0 && byte != '\n' && byte != (unsigned char)c->separator; c->at++) {
        if (!byte) return broken(c, p, c->at, "a zero byte; is this text?", e);
    }
    *out = arena_strndup(a, (const char *)c->data.data + start, c->at - start);
    TRY_MEM(*out, e);
    return 0;
}

int csv_next(struct csv *c, struct arena *a, struct csv_row *row, struct err *e)
{
    size_t cap = 0;
    for (; peek(c) == '\n'; c->line++) skip_line_end(c);
    if (peek(c) < 0) return 0;
    struct position p = { ++c->line, c->at };
    *row = (struct csv_row){ .row = ++c->row, .line = p.line };
    for (;;) {
        const char *field = NULL;
        bool is_quoted = peek(c) == '"';
        if (is_quoted) c->at++;
        TRY(is_quoted ? quoted(c, &p, a, &field, e) : plain(c, &p, a, &field, e));
        if (!ARRAY_PUSH(a, row->fields, row->n, cap, field)) return fail_nomem(e);
        if (peek(c) != (unsigned char)c->separator) break;
        c->at++;
    }
    skip_line_end(c);
    const char *none = NULL;
    size_t n = row->n;
    if (!ARRAY_PUSH(a, row->fields, row->n, cap, none)) return fail_nomem(e);
    row->n = n;
    return 1;
}

static bool must_quote(const char *field, char separator)
{
    const char special[] = { separator, '"', '\r', '\n', 0 };
    return strpbrk(field, special) != NULL;
}

void csv_put(struct str *out, const char *const *fields, size_t n, char separator)
{
    for (size_t i = 0; i < n; i++) {
        if (i) str_addc(out, separator);
        if (!must_quote(fields[i], separator) && (n > 1 || fields[i][0])) {
            str_add(out, fields[i]);
            continue;
        }
        str_addc(out, '"');
        for (const char *p = fields[i]; *p; p++) {
            if (*p == '"') str_addc(out, '"');
            str_addc(out, *p);
        }
        str_addc(out, '"');
    }
    str_addc(out, '\n');
}
