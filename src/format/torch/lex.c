/* lex.c - TorchScript's lexical rules: indentation of spaces, double-quoted strings, C++'s number formats. */
#include "format/torch/lex.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"

static int peek(const struct lexer *l)
{
    return l->at < l->text.len ? l->text.data[l->at] : -1;
}

static int fault(struct lexer *l, const char *what)
{
    return fail(l->err, ERR_MODEL, "%s:%d: %s", l->path, l->line, what);
}

static int emit_token(struct lexer *l, enum token_kind kind)
{
    l->token.kind = kind;
    return 0;
}

/* Spaces at the start of a line against the open blocks. Sets `dedents`, or opens one: returns 1. */
static int indentation(struct lexer *l)
{
    size_t start = l->at;
    while (peek(l) == ' ') l->at++;
    int width = (int)(l->at - start);
    l->line_start = false;
    if (width > l->indents[l->n_indents - 1]) {
        if (l->n_indents == LEX_INDENTS) return fault(l, "blocks are nested too deep");
        l->indents[l->n_indents++] = width;
        return 1;
    }
    while (width < l->indents[l->n_indents - 1]) {
        l->n_indents--;
        l->dedents++;
    }
    return width == l->indents[l->n_indents - 1] ? 0 : fault(l, "this line is indented as no block around it is");
}

static bool is_blank_line(const struct lexer *l)
{
    size_t i = l->at;
    while (i < l->text.len && (l->text.data[i] == ' ' || l->text.data[i] == '\r')) i++;
    return i == l->text.len || l->text.data[i] == '\n' || l->text.data[i] == '#';
}

static void skip_line(struct lexer *l)
{
    while (peek(l) >= 0 && peek(l) != '\n') l->at++;
    if (peek(l) >= 0) l->at++;
    l->line++;
}

static int read_name(struct lexer *l)
{
    size_t start = l->at;
    while (isalnum(peek(l)) || peek(l) == '_' || peek(l) >= 0x80) l->at++;
    l->token.text = arena_strndup(l->arena, (const char *)l->text.data + start, l->at - start);
    TRY_MEM(l->token.text, l->err);
    return emit_token(l, TOKEN_NAME);
}

static int skip_digits(struct lexer *l)
{
    int n = 0;
    for (; isdigit(peek(l)); l->at++) n++;
    return n;
}

/* 12, 1., 0.5, 1e-05, 2.j */
static int read_number(struct lexer *l)
{
    size_t start = l->at;
    bool real = false;
    skip_digits(l);
    if (peek(l) == '.') {
        real = true;
        l->at++;
        skip_digits(l);
    }
    if (peek(l) == 'e' || peek(l) == 'E') {
        real = true;
        l->at++;
        if (peek(l) == '+' || peek(l) == '-') l->at++;
        if (!skip_digits(l)) return fault(l, "a number ends in its exponent");
    }
    char text[400];
    size_t n = l->at - start;
    if (n >= sizeof text) return fault(l, "a number of more than 400 digits");
    memcpy(text, l->text.data + start, n);
    text[n] = 0;
    bool imaginary = peek(l) == 'j';
    if (imaginary) l->at++;
    if (real || imaginary) {
        l->token.real = strtod(text, NULL);
        return emit_token(l, imaginary ? TOKEN_IMAGINARY : TOKEN_FLOAT);
    }
    errno = 0;
    uint64_t v = strtoull(text, NULL, 10);
    if (errno || v > (uint64_t)INT64_MAX + 1) return fault(l, "an int of more than 64 bits");
    l->token.integer = (int64_t)v;
    return emit_token(l, TOKEN_INT);
}

static int escape(struct lexer *l, char *out)
{
    static const char names[] = "\\'\"abfnrtv", chars[] = "\\'\"\a\b\f\n\r\t\v";
    int c = peek(l);
    const char *at = c > 0 ? strchr(names, c) : NULL;
    if (at) {
        l->at++;
        *out = chars[at - names];
        return 0;
    }
    int v = 0, n = 0;
    for (; n < 3 && peek(l) >= '0' && peek(l) <= '7'; n++) v = v * 8 + l->text.data[l->at++] - '0';
    if (!n) return fault(l, "unknown escape in a string");
    *out = (char)v;
    return 0;
}

static int read_string(struct lexer *l)
{
    size_t start = ++l->at, n = 0;
    const unsigned char *end = start < l->text.len ? l->text.data + start : NULL;
    while (end && end < l->text.data + l->text.len && *end != '"' && *end != '\n') end += *end == '\\' ? 2 : 1;
    if (!end || end >= l->text.data + l->text.len || *end != '"') return fault(l, "a string without an end");
    char *s = arena_alloc(l->arena, (size_t)(end - (l->text.data + start)) + 1);
    TRY_MEM(s, l->err);
    while (peek(l) != '"') {
        if (peek(l) != '\\') {
            s[n++] = (char)l->text.data[l->at++];
            continue;
        }
        l->at++;
        TRY(escape(l, &s[n++]));
    }
    l->at++;
    l->token.text = s;
    return emit_token(l, TOKEN_STR);
}

static int read_op(struct lexer *l)
{
    int c = peek(l);
    l->at++;
    if (c == '-' && peek(l) == '>') {
        l->at++;
        c = '>';
    } else if (!strchr("()[]{},:.=+-", c)) {
        l->at--;
        return fault(l, "a character that TorchScript does not write");
    }
    if (strchr("([{", c)) l->depth++;
    if (strchr(")]}", c) && l->depth) l->depth--;
    l->token.op = (char)c;
    return emit_token(l, TOKEN_OP);
}

/* Between words: blanks, and line ends within brackets. True at the end of a line outside of them. */
static bool skip_blanks(struct lexer *l)
{
    for (;; l->at++) {
        int c = peek(l);
        if (c == '\n' && !l->depth) return true;
        if (c == '\n') l->line++;
        else if (c != ' ' && c != '\t' && c != '\r') return false;
    }
}

static int line_begin(struct lexer *l)
{
    while (l->at < l->text.len && is_blank_line(l)) skip_line(l);
    l->token.line = l->line;
    int opened = indentation(l);
    if (opened) return opened < 0 ? opened : emit_token(l, TOKEN_INDENT);
    return lex_next(l);
}

int lex_next(struct lexer *l)
{
    l->token = (struct token){ .line = l->line };
    if (l->dedents) {
        l->dedents--;
        return emit_token(l, TOKEN_DEDENT);
    }
    if (l->line_start) return line_begin(l);
    bool line_end = skip_blanks(l);
    l->token.line = l->line;
    int c = peek(l);
    if (line_end) {
        l->at++;
        l->line++;
        l->line_start = true;
        return emit_token(l, TOKEN_NEWLINE);
    }
    if (c < 0) return emit_token(l, TOKEN_END);
    if (c == 0) return fault(l, "a zero byte");
    if (isalpha(c) || c == '_' || c >= 0x80) return read_name(l);
    if (isdigit(c)) return read_number(l);
    return c == '"' ? read_string(l) : read_op(l);
}

int lex_init(struct lexer *l, struct arena *a, const char *path, struct bytes text, struct err *e)
{
    *l = (struct lexer){
        .arena = a, .err = e, .path = path, .text = text, .line = 1, .line_start = true, .n_indents = 1
    };
    return lex_next(l);
}

const char *token_describe(const struct token *t)
{
    static const char *const names[] = {
        "the end of the file",
        "a name",
        "an int",
        "a float",
        "an imaginary number",
        "a string",
        "",
        "the end of the line",
        "a block",
        "the end of a block",
    };
    static const char ops[] = "(\0)\0[\0]\0{\0}\0,\0:\0.\0=\0+\0-\0>";
    if (t->kind == TOKEN_NAME) return t->text;
    if (t->kind != TOKEN_OP) return names[t->kind];
    for (size_t i = 0; i < sizeof ops; i += 2)
        if (ops[i] == t->op) return ops + i;
    return "?";
}
