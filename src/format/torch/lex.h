/* lex.h - words of serialized TorchScript code, pulled one by one. */
#ifndef TENREC_FORMAT_TORCH_LEX_H
#define TENREC_FORMAT_TORCH_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

struct arena;
struct err;

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_INT,
    TOKEN_FLOAT,
    TOKEN_IMAGINARY,
    TOKEN_STR,
    TOKEN_OP,
    TOKEN_NEWLINE,
    TOKEN_INDENT,
    TOKEN_DEDENT
};
struct token {
    enum token_kind kind;
    int line;
    char op;          /* OP: the character; '>' for "->" */
    const char *text; /* NAME, STR: terminated, in the arena */
    int64_t integer;  /* INT: as unsigned 64 bits, so that the most negative number can follow a minus */
    double real;      /* FLOAT, IMAGINARY */
};

enum { LEX_INDENTS = 64 };
struct lexer {
    struct arena *arena;
    struct err *err;
    const char *path; /* "code/__torch__/m.py" */
    struct bytes text;
    size_t at;
    int line, depth; /* depth of brackets: within them lines do not count */
    bool line_start;
    int indents[LEX_INDENTS], n_indents;
    int dedents;        /* still to be told */
    struct token token; /* the present one */
};

/* Reads the first word. Errors: ERR_MODEL with path and line. */
int lex_init(struct lexer *l, struct arena *a, const char *path, struct bytes text, struct err *e);
int lex_next(struct lexer *l);
const char *token_describe(const struct token *t);

#endif
