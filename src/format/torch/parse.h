/* parse.h - the syntax of serialized TorchScript code (what torch writes, not what Python allows), as trees. */
#ifndef TENREC_FORMAT_TORCH_PARSE_H
#define TENREC_FORMAT_TORCH_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

struct arena;
struct err;
struct object;

struct ts_type { /* "Optional[List[int]]", "__torch__.m.C"; "()" is the empty tuple */
    const char *name;
    struct ts_type **args;
    size_t n, cap;
};

enum ts_expr_kind {
    EXPR_NONE,
    EXPR_TRUE,
    EXPR_FALSE,
    EXPR_INT,
    EXPR_FLOAT,
    EXPR_IMAGINARY,
    EXPR_STR,
    EXPR_NAME,
    EXPR_ATTR,
    EXPR_CALL,
    EXPR_INDEX,
    EXPR_SLICE,
    EXPR_LIST,
    EXPR_TUPLE,
    EXPR_DICT,
    EXPR_NEGATIVE,
    EXPR_ADD,
    EXPR_SUB,
    EXPR_ANNOTATE,
    EXPR_UNCHECKED_CAST,
    EXPR_UNINITIALIZED,
    EXPR_ISINSTANCE
};
struct ts_expr {
    enum ts_expr_kind kind;
    int line;
    const char *text; /* NAME; ATTR: of the attribute; STR */
    int64_t integer;
    double real;
    /* ATTR, INDEX, SLICE: the object first; CALL: function, arguments; DICT: key, value, key ..; else operands */
    struct ts_expr **items;
    size_t n, cap;
    const char **keywords; /* CALL: for each of items, NULL or the keyword; NULL: none has one */
    struct ts_type *type;  /* of casts; ISINSTANCE: its arguments are the types */
};

enum ts_stmt_kind {
    STMT_PASS,
    STMT_RETURN,
    STMT_IF,
    STMT_WHILE,
    STMT_FOR,
    STMT_WITH,
    STMT_DEF,
    STMT_ASSIGN,
    STMT_EXPR
};
struct ts_block {
    struct ts_stmt **items;
    size_t n, cap;
};
struct ts_exprs {
    struct ts_expr **items;
    size_t n, cap;
};
struct ts_stmt {
    enum ts_stmt_kind kind;
    int line;
    struct ts_exprs targets, values; /* IF, WHILE, FOR, WITH: condition, count or context in values */
    bool unpack;                     /* ASSIGN: "a, = e" takes a tuple or list apart */
    const char *name;                /* FOR, WITH: the variable, or NULL */
    struct ts_block body, otherwise;
    struct ts_def *def;
};

struct ts_param {
    const char *name;
    struct ts_type *type;      /* NULL: not written */
    struct ts_expr *otherwise; /* NULL: required */
};
struct ts_def {
    const char *name;
    struct ts_file *file;
    int line;
    struct ts_param *params;
    size_t n_params, cap_params;
    struct ts_type *result;
    struct ts_block body;
};

struct ts_member {
    const char *name;
    struct ts_type *type;  /* attribute */
    struct ts_expr *value; /* Final constant or enum member */
};
struct ts_names {
    const char **items;
    size_t n, cap;
};
struct ts_class {
    const char *name; /* "__torch__.m.C" */
    const char *base; /* "Module", "NamedTuple", "Enum", "Interface"; NULL: a plain class */
    struct ts_file *file;
    struct ts_names parameters, buffers;
    struct ts_member *members;
    size_t n_members, cap_members;
    struct ts_def **defs;
    size_t n_defs, cap_defs;
};

struct ts_file {
    const char *path;   /* "code/__torch__/m.py" */
    const char *prefix; /* "__torch__.m" */
    struct ts_class **classes;
    size_t n_classes, cap_classes;
    struct ts_def **defs;
    size_t n_defs, cap_defs;
};

/* Parses one file; everything lies in `a`. NULL: ERR_MODEL with path and line. `path` and `prefix` are kept. */
struct ts_file *ts_parse(struct arena *a, const char *path, const char *prefix, struct bytes text, struct err *e);

#endif
