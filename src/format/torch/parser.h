/* parser.h - what the two halves of the TorchScript parser share. */
#ifndef TENREC_FORMAT_TORCH_PARSER_H
#define TENREC_FORMAT_TORCH_PARSER_H

#include "format/torch/lex.h"
#include "format/torch/parse.h"

enum {
    PARSE_DEPTH = 200, /* of nested expressions and blocks */
    PARSE_ARGS = 64    /* of a call that has keyword arguments */
};

struct parser {
    struct lexer lex;
    struct arena *arena;
    struct err *err;
    struct ts_file *file;
    int depth;
};

int parse_fault(struct parser *p, const char *expected);
bool parse_is(const struct parser *p, char op);
bool parse_is_word(const struct parser *p, const char *word);
/* Takes it if it is there: 1, 0, or an error. */
int parse_take(struct parser *p, char op);
int parse_take_word(struct parser *p, const char *word);
int parse_expect(struct parser *p, char op);
int parse_name(struct parser *p, const char **out);
int parse_enter(struct parser *p); /* one level deeper; the caller does p->depth-- */

struct ts_type *parse_type(struct parser *p); /* NULL on errors, like parse_expr */
struct ts_expr *parse_expr(struct parser *p);
/* "a, b, c": false on errors; *trailing: it ended in a comma. */
bool parse_exprs(struct parser *p, struct ts_exprs *out, bool *trailing);

#endif
