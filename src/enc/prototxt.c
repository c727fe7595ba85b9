/* prototxt.c - reading the text format of protocol buffers. */
#include "enc/prototxt.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"

enum {
    NUMBER_MAX = 200, /* characters of a number */
    TELL_MAX = 50,    /* unknown fields that are told of, of names this long at most */
};

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SIGN };
struct token {
    enum token_kind kind;
    const char *text; /* of words, numbers and signs: in the file, not terminated */
    size_t len;
    const char *string; /* decoded, in the arena */
    unsigned line, column;
    size_t at;
};

struct reader {
    struct arena *arena;
    const char *path;
    const char *data;
    size_t len, at;
    size_t line_at; /* where the line began */
    unsigned line;
    struct token next; /* the token that is looked at */
    struct report *report;
    int told;
    struct err *err;
};

static int wrong_at(struct reader *r, unsigned line, unsigned column, const char *what)
{
    return fail(r->err, ERR_MODEL, "%s:%u:%u: %s", r->path, line, column, what);
}

/* What was found instead of what was expected. */
static int unexpected(struct reader *r, const char *expected)
{
    const struct token *t = &r->next;
    if (t->kind == TOKEN_END)
        return fail(
            r->err, ERR_MODEL, "%s:%u:%u: expected %s, but the text ends here", r->path, t->line, t->column, expected);
    int len = t->len > 40 ? 40 : (int)t->len;
    return fail(r->err, ERR_MODEL, "%s:%u:%u: expected %s, found \"%.*s\"", r->path, t->line, t->column, expected, len,
        t->text);
}

/* --- tokens --- */

static unsigned column(const struct reader *r)
{
    return (unsigned)(r->at - r->line_at) + 1;
}

static void skip_blanks(struct reader *r)
{
    for (; r->at < r->len; r->at++) {
        char c = r->data[r->at];
        if (c == '\n') r->line++, r->line_at = r->at + 1;
        else if (c == '#') {
            const char *end = memchr(r->data + r->at, '\n', r->len - r->at);
            r->at = (end ? (size_t)(end - r->data) : r->len) - 1;
        } else if (!strchr(" \t\r\v\f", c) || !c) return;
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '/';
}

/* 1.5e-3: a sign belongs to a number behind its exponent only. */
static bool in_number(const char *text, size_t i)
{
    char c = text[i];
    return isalnum((unsigned char)c) || c == '.' || c == '_' ||
        ((c == '-' || c == '+') && i && (text[i - 1] | 32) == 'e' && (text[1] | 32) != 'x');
}

static int put_utf8(struct str *s, unsigned long code)
{
    if (code < 0x80) str_addc(s, (char)code);
    else if (code < 0x800) str_addc(s, (char)(0xc0 | code >> 6)), str_addc(s, (char)(0x80 | (code & 0x3f)));
    else {
        if (code < 0x10000) str_addc(s, (char)(0xe0 | code >> 12));
        else str_addc(s, (char)(0xf0 | code >> 18)), str_addc(s, (char)(0x80 | (code >> 12 & 0x3f)));
        str_addc(s, (char)(0x80 | (code >> 6 & 0x3f)));
        str_addc(s, (char)(0x80 | (code & 0x3f)));
    }
    return 0;
}

/* At most `max` digits of a base from r->at on. -1: there is none. */
static long digits(struct reader *r, int base, int max)
{
    long v = 0;
    int n = 0;
    for (; n < max && r->at < r->len; n++, r->at++) {
        int c = (unsigned char)r->data[r->at], d = isdigit(c) ? c - '0' : isxdigit(c) ? (c | 32) - 'a' + 10 : 99;
        if (d >= base) break;
        v = v * base + d;
    }
    return n ? v : -1;
}

/* The escape behind a backslash. */
static int escape(struct reader *r, struct str *s)
{
    static const char names[] = "abfnrtv\\'\"?", codes[] = "\a\b\f\n\r\t\v\\'\"?";
    unsigned where = column(r);
    char c = r->data[r->at];
    const char *simple = c ? strchr(names, c) : NULL;
    if (simple) return r->at++, str_addc(s, codes[simple - names]), 0;
    if (c >= '0' && c <= '7') {
        long v = digits(r, 8, 3);
        if (v < 1 || v > 255) return wrong_at(r, r->line, where, "an escape that is no character of a text");
        return str_addc(s, (char)v), 0;
    }
    r->at++;
    long v = c == 'x' || c == 'X' ? digits(r, 16, 2) : c == 'u' ? digits(r, 16, 4) : c == 'U' ? digits(r, 16, 8) : -1;
    bool bare = c == 'x' || c == 'X';
    if (v < 1 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000 && !bare))
        return wrong_at(r, r->line, where, "an escape that is no character of a text");
    return bare ? str_addc(s, (char)v), 0 : put_utf8(s, (unsigned long)v);
}

static int read_string(struct reader *r, struct str *s)
{
    unsigned line = r->line, from = column(r);
    char quote = r->data[r->at++];
    while (r->at < r->len) {
        char c = r->data[r->at];
        if (c == quote) return r->at++, 0;
        if (c == '\n') return wrong_at(r, line, from, "a string that does not end on its line");
        if (!c) return wrong_at(r, r->line, column(r), "a zero byte in a string");
        r->at++;
        if (c != '\\') str_addc(s, c);
        else if (r->at < r->len) TRY(escape(r, s));
    }
    return wrong_at(r, line, from, "a string that does not end");
}

/* Strings that stand beside one another are one. */
static int read_strings(struct reader *r)
{
    struct token *t = &r->next;
    struct str s = str_in(r->arena);
    t->kind = TOKEN_STRING;
    do {
        TRY(read_string(r, &s));
        t->len = r->at - t->at;
        skip_blanks(r);
    } while (r->at < r->len && (r->data[r->at] == '"' || r->data[r->at] == '\''));
    TRY_MEM(t->string = str_done(&s), r->err);
    return 0;
}

static int advance(struct reader *r)
{
    struct token *t = &r->next;
    skip_blanks(r);
    *t = (struct token){ .text = r->data + r->at, .line = r->line, .column = column(r), .at = r->at };
    if (r->at == r->len) return 0;
    char c = r->data[r->at];
    if (c == '"' || c == '\'') return read_strings(r);
    bool number = isdigit((unsigned char)c) ||
        (c == '.' && r->at + 1 < r->len && isdigit((unsigned char)r->data[r->at + 1]));
    t->kind = number ? TOKEN_NUMBER : isalpha((unsigned char)c) || c == '_' ? TOKEN_WORD : TOKEN_SIGN;
    t->len = 1;
    if (t->kind == TOKEN_SIGN && !strchr("{}<>[]:,;-", c))
        return wrong_at(r, t->line, t->column, "a character that has no meaning here");
    while (t->kind != TOKEN_SIGN && r->at + t->len < r->len &&
        (number ? in_number(t->text, t->len) : is_word(t->text[t->len])))
        t->len++;
    r->at += t->len;
    return 0;
}

static bool is_sign(const struct reader *r, char c)
{
    return r->next.kind == TOKEN_SIGN && *r->next.text == c;
}

static int accept(struct reader *r, char c)
{
    if (!is_sign(r, c)) return 0;
    TRY(advance(r));
    return 1;
}

/* --- values --- */

static int parse_whole(struct reader *r, bool negative, int64_t *out)
{
    char text[NUMBER_MAX + 1], *end;
    const struct token *t = &r->next;
    if (t->kind != TOKEN_NUMBER || t->len > NUMBER_MAX) return unexpected(r, "a whole number");
    memcpy(text, t->text, t->len);
    text[t->len] = 0;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (*end) return unexpected(r, "a whole number");
    if (errno || v > (uint64_t)INT64_MAX + negative) return unexpected(r, "a whole number of at most 64 bits");
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

static bool is_text(const struct token *t, const char *text)
{
    return t->len == strlen(text) && !strncasecmp(t->text, text, t->len);
}

static int parse_float(struct reader *r, bool negative, double *out)
{
    char text[NUMBER_MAX + 1], *end;
    const struct token *t = &r->next;
    double v = 0;
    if (t->kind == TOKEN_WORD && (is_text(t, "inf") || is_text(t, "infinity"))) v = INFINITY;
    else if (t->kind == TOKEN_WORD && is_text(t, "nan")) v = NAN;
    else if (t->kind != TOKEN_NUMBER || t->len > NUMBER_MAX) return unexpected(r, "a number");
    else {
        memcpy(text, t->text, t->len);
        text[t->len] = 0;
        v = strtod(text, &end);
        if (end == text || (*end && strcasecmp(end, "f"))) return unexpected(r, "a number");
    }
    *out = negative ? -v : v;
    return 0;
}

static int parse_bool(struct reader *r, int64_t *out)
{
    static const char *const words[] = { "false", "true", "f", "t", "0", "1" };
    for (int i = 0; i < 6; i++)
        if (r->next.kind != TOKEN_STRING && is_text(&r->next, words[i])) return *out = i & 1, 0;
    return unexpected(r, "true or false");
}

static int parse_enum(struct reader *r, const struct tree_row *row, bool negative, int64_t *out)
{
    if (r->next.kind == TOKEN_NUMBER) return parse_whole(r, negative, out);
    if (r->next.kind == TOKEN_WORD) {
        char *word = arena_strndup(r->arena, r->next.text, r->next.len);
        TRY_MEM(word, r->err);
        if (tree_word_number(row, word, out)) return 0;
    }
    char expected[400];
    snprintf(expected, sizeof expected, "%s to be one of %s", row->name, row->words);
    return unexpected(r, expected);
}

static int parse_scalar(struct reader *r, struct tree_field *f)
{
    int64_t whole = 0;
    double v = 0;
    const struct tree_row *row = f->row;
    if (row->kind == TREE_TEXT) {
        if (r->next.kind != TOKEN_STRING) return unexpected(r, "a string in quotes");
        TRY(tree_add_text(r->arena, f, r->next.string, r->err));
        return advance(r);
    }
    int negative = accept(r, '-');
    TRY(negative);
    if (row->kind == TREE_FLOAT || row->kind == TREE_DOUBLE) {
        TRY(parse_float(r, negative, &v));
        TRY(tree_add_float(r->arena, f, v, r->err));
        return advance(r);
    }
    if (row->kind == TREE_BOOL && negative) return unexpected(r, "true or false");
    if (row->kind == TREE_BOOL) TRY(parse_bool(r, &whole));
    else if (row->kind == TREE_ENUM) TRY(parse_enum(r, row, negative, &whole));
    else TRY(parse_whole(r, negative, &whole));
    TRY(tree_add_int(r->arena, f, whole, r->err));
    return advance(r);
}

static int skip_value(struct reader *r, int depth);
static int parse_fields(struct reader *r, struct tree *t, char end, int depth);

/* A message in braces or angle brackets; `t` NULL: only its form is checked. */
static int parse_message(struct reader *r, struct tree *t, int depth)
{
    char end = is_sign(r, '<') ? '>' : '}';
    if (!is_sign(r, '{') && !is_sign(r, '<')) return unexpected(r, "a message in braces");
    if (depth >= TREE_DEPTH_MAX)
        return wrong_at(r, r->next.line, r->next.column, "messages nest deeper than any program would write them");
    TRY(advance(r));
    TRY(parse_fields(r, t, end, depth + 1));
    return advance(r);
}

static int parse_one(struct reader *r, struct tree_field *f, int depth)
{
    if (!f) return skip_value(r, depth);
    if (f->row->kind != TREE_MESSAGE) return parse_scalar(r, f);
    struct tree *inner = tree_add_message(r->arena, f, r->path, r->err);
    if (!inner) return r->err->code;
    inner->line = r->next.line, inner->column = r->next.column, inner->at = r->next.at;
    return parse_message(r, inner, depth);
}

/* One value, or a list of values. */
static int parse_value(struct reader *r, struct tree_field *f, int depth)
{
    int list = accept(r, '[');
    TRY(list);
    if (!list) return parse_one(r, f, depth);
    int more = !is_sign(r, ']');
    while (more) {
        TRY(parse_one(r, f, depth));
        TRY(more = accept(r, ','));
    }
    if (!is_sign(r, ']')) return unexpected(r, "',' or ']'");
    return advance(r);
}

static int skip_value(struct reader *r, int depth)
{
    TRY(accept(r, '-'));
    if (r->next.kind == TOKEN_SIGN) return parse_message(r, NULL, depth);
    return r->next.kind == TOKEN_END ? unexpected(r, "a value") : advance(r);
}

/* The name of a field; [a.b.c] is that of an extension. */
static int parse_name(struct reader *r, const char **name)
{
    int extension = accept(r, '[');
    TRY(extension);
    if (r->next.kind != TOKEN_WORD) return unexpected(r, "the name of a field");
    TRY_MEM(*name = arena_strndup(r->arena, r->next.text, r->next.len), r->err);
    TRY(advance(r));
    if (!extension) return 0;
    if (!is_sign(r, ']')) return unexpected(r, "']'");
    return advance(r);
}

static void tell_unknown(struct reader *r, const struct tree *t, const char *name, const struct token *at)
{
    const char *names[400];
    size_t n = 0;
    char where[64];
    if (!r->report || r->told++ >= TELL_MAX || strlen(name) > TELL_MAX) return;
    for (const struct tree_row *row = t->schema->rows; row->name && n < 400; row++) names[n++] = row->name;
    const char *close = str_closest(name, names, n);
    snprintf(where, sizeof where, "%u:%u", at->line, at->column);
    report_add(r->report, REPORT_WARNING, where, "%s has no field \"%s\"%s%s%s: ignored", t->schema->name, name,
        close ? " (did you mean \"" : "", close ? close : "", close ? "\"?)" : "");
}

static int parse_field(struct reader *r, struct tree *t, int depth)
{
    struct token at = r->next;
    const char *name = NULL;
    struct tree_field *f = NULL;
    TRY(parse_name(r, &name));
    const struct tree_row *row = t ? tree_row(t->schema, name) : NULL;
    if (t && !row) tell_unknown(r, t, name, &at);
    if (row && row->kind != TREE_SKIP) TRY_MEM(f = tree_field_add(r->arena, t, row), r->err);
    int colon = accept(r, ':');
    TRY(colon);
    if (!colon && !is_sign(r, '{') && !is_sign(r, '<')) return unexpected(r, "':'");
    TRY(parse_value(r, f, depth));
    int separated = accept(r, ',');
    if (!separated) separated = accept(r, ';');
    return separated < 0 ? separated : 0;
}

/* Fields up to the sign `end`, which is left, or to the end of the text. */
static int parse_fields(struct reader *r, struct tree *t, char end, int depth)
{
    while (r->next.kind != TOKEN_END && !(end && is_sign(r, end))) TRY(parse_field(r, t, depth));
    if (end && r->next.kind == TOKEN_END) return unexpected(r, end == '}' ? "'}'" : "'>'");
    return 0;
}

struct tree *prototxt_read(struct arena *a, const char *path, struct bytes text, const struct tree_schema *schema,
    struct report *report, struct err *e)
{
    struct reader r = { .arena = a,
        .path = path,
        .data = (const char *)text.data,
        .len = text.len,
        .line = 1,
        .report = report,
        .err = e };
    if (text.len >= 3 && !memcmp(text.data, "\xef\xbb\xbf", 3)) r.at = r.line_at = 3;
    struct tree *t = tree_new(a, schema, path);
    if (!t) return fail_nomem(e), NULL;
    t->line = t->column = 1;
    return advance(&r) || parse_fields(&r, t, 0, 0) ? NULL : t;
}
