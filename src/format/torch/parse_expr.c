/* parse_expr.c - expressions and types of serialized TorchScript. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/torch/parser.h"

int parse_fault(struct parser *p, const char *expected)
{
    const struct token *t = &p->lex.token;
    return fail(p->err, ERR_MODEL, "%s:%d: expected %s, found %s", p->lex.path, t->line, expected, token_describe(t));
}

bool parse_is(const struct parser *p, char op)
{
    return p->lex.token.kind == TOKEN_OP && p->lex.token.op == op;
}

bool parse_is_word(const struct parser *p, const char *word)
{
    return p->lex.token.kind == TOKEN_NAME && !strcmp(p->lex.token.text, word);
}

int parse_take(struct parser *p, char op)
{
    if (!parse_is(p, op)) return 0;
    TRY(lex_next(&p->lex));
    return 1;
}

int parse_take_word(struct parser *p, const char *word)
{
    if (!parse_is_word(p, word)) return 0;
    TRY(lex_next(&p->lex));
    return 1;
}

int parse_expect(struct parser *p, char op)
{
    if (parse_is(p, op)) return lex_next(&p->lex);
    char text[] = { op, 0 };
    return parse_fault(p, op == '>' ? "->" : text);
}

int parse_name(struct parser *p, const char **out)
{
    if (p->lex.token.kind != TOKEN_NAME) return parse_fault(p, "a name");
    *out = p->lex.token.text;
    return lex_next(&p->lex);
}

int parse_enter(struct parser *p)
{
    if (p->depth++ < PARSE_DEPTH) return 0;
    return fail(p->err, ERR_MODEL, "%s:%d: nested deeper than %d", p->lex.path, p->lex.token.line, PARSE_DEPTH);
}

static bool no_memory(struct parser *p)
{
    fail_nomem(p->err);
    return false;
}

/* "a.b.c" as one string */
static int dotted(struct parser *p, const char **out)
{
    TRY(parse_name(p, out));
    while (parse_is(p, '.')) {
        const char *part = NULL;
        TRY(lex_next(&p->lex));
        TRY(parse_name(p, &part));
        *out = arena_printf(p->arena, "%s.%s", *out, part);
        TRY_MEM(*out, p->err);
    }
    return 0;
}

static int type_args(struct parser *p, struct ts_type *t)
{
    TRY(lex_next(&p->lex)); /* [ */
    if (parse_is(p, '(')) { /* Tuple[()] */
        TRY(lex_next(&p->lex));
        TRY(parse_expect(p, ')'));
        return parse_expect(p, ']');
    }
    for (;;) {
        struct ts_type *arg = parse_type(p);
        if (!arg) return p->err->code;
        if (!ARRAY_PUSH(p->arena, t->args, t->n, t->cap, arg)) return fail_nomem(p->err);
        int more = parse_take(p, ',');
        if (more <= 0) return more ? more : parse_expect(p, ']');
    }
}

struct ts_type *parse_type(struct parser *p)
{
    struct ts_type *t = ARENA_NEW(p->arena, struct ts_type);
    if (!t) return fail_nomem(p->err), NULL;
    if (parse_enter(p)) return NULL;
    int code = 0;
    if (parse_is(p, '(')) {
        t->name = "()";
        code = lex_next(&p->lex) ? p->err->code : parse_expect(p, ')');
    } else if (!(code = dotted(p, &t->name)) && parse_is(p, '[')) code = type_args(p, t);
    p->depth--;
    return code ? NULL : t;
}

static struct ts_expr *make(struct parser *p, enum ts_expr_kind kind)
{
    struct ts_expr *x = ARENA_NEW(p->arena, struct ts_expr);
    if (!x) return fail_nomem(p->err), NULL;
    x->kind = kind;
    x->line = p->lex.token.line;
    return x;
}

static bool push(struct parser *p, struct ts_expr *x, struct ts_expr *item)
{
    if (!item) return false;
    return ARRAY_PUSH(p->arena, x->items, x->n, x->cap, item) || no_memory(p);
}

/* Items separated by commas up to `close`, which is taken; `pairs`: with a colon in each. */
static bool items(struct parser *p, struct ts_expr *x, char close, bool pairs)
{
    while (!parse_is(p, close)) {
        if (!push(p, x, parse_expr(p))) return false;
        if (pairs && (parse_expect(p, ':') || !push(p, x, parse_expr(p)))) return false;
        if (!parse_is(p, ',')) break;
        if (lex_next(&p->lex)) return false;
    }
    return !parse_expect(p, close);
}

/* "(" was seen: a tuple, or an expression in brackets. */
static struct ts_expr *bracketed(struct parser *p)
{
    struct ts_expr *x = make(p, EXPR_TUPLE);
    if (!x || lex_next(&p->lex)) return NULL;
    if (!parse_is(p, ')')) {
        if (!push(p, x, parse_expr(p))) return NULL;
        if (parse_is(p, ')')) return lex_next(&p->lex) ? NULL : x->items[0];
        if (parse_expect(p, ',')) return NULL;
    }
    return items(p, x, ')', false) ? x : NULL;
}

/* annotate(T, e), unchecked_cast(T, e), uninitialized(T): the name and "(" were taken. */
static struct ts_expr *cast(struct parser *p, struct ts_expr *x)
{
    if (!(x->type = parse_type(p))) return NULL;
    if (x->kind != EXPR_UNINITIALIZED && (parse_expect(p, ',') || !push(p, x, parse_expr(p)))) return NULL;
    return parse_take(p, ',') < 0 || parse_expect(p, ')') ? NULL : x;
}

/* isinstance(e, T) or isinstance(e, (T, U)) */
static struct ts_expr *is_instance(struct parser *p, struct ts_expr *x)
{
    if (!push(p, x, parse_expr(p)) || parse_expect(p, ',')) return NULL;
    if (!(x->type = ARENA_NEW(p->arena, struct ts_type))) return no_memory(p), NULL;
    int many = parse_take(p, '(');
    while (many >= 0 && !parse_is(p, ')')) {
        struct ts_type *t = parse_type(p);
        if (!t) return NULL;
        if (!ARRAY_PUSH(p->arena, x->type->args, x->type->n, x->type->cap, t)) return no_memory(p), NULL;
        if (!parse_is(p, ',')) break;
        if (lex_next(&p->lex)) return NULL;
    }
    if (many < 0 || (many && parse_expect(p, ')'))) return NULL;
    return parse_expect(p, ')') ? NULL : x;
}

/* getattr(e, "name") */
static struct ts_expr *get_attribute(struct parser *p, struct ts_expr *x)
{
    if (!push(p, x, parse_expr(p)) || parse_expect(p, ',')) return NULL;
    if (p->lex.token.kind != TOKEN_STR) return parse_fault(p, "a string"), NULL;
    x->text = p->lex.token.text;
    return lex_next(&p->lex) || parse_expect(p, ')') ? NULL : x;
}

static const struct form {
    const char *word;
    enum ts_expr_kind kind;
    struct ts_expr *(*parse)(struct parser *p, struct ts_expr *x);
} forms[] = {
    { "annotate", EXPR_ANNOTATE, cast },
    { "unchecked_cast", EXPR_UNCHECKED_CAST, cast },
    { "uninitialized", EXPR_UNINITIALIZED, cast },
    { "isinstance", EXPR_ISINSTANCE, is_instance },
    { "getattr", EXPR_ATTR, get_attribute },
};

static struct ts_expr *name_or_form(struct parser *p)
{
    static const char *const words[] = { "None", "True", "False" };
    struct ts_expr *x = make(p, EXPR_NAME);
    if (!x || parse_name(p, &x->text)) return NULL;
    for (int i = 0; i < 3; i++)
        if (!strcmp(x->text, words[i])) x->kind = (enum ts_expr_kind)(EXPR_NONE + i);
    for (size_t i = 0; i < sizeof forms / sizeof *forms && parse_is(p, '('); i++) {
        if (strcmp(x->text, forms[i].word)) continue;
        x->kind = forms[i].kind;
        x->text = NULL;
        return lex_next(&p->lex) ? NULL : forms[i].parse(p, x);
    }
    return x;
}

static struct ts_expr *atom(struct parser *p)
{
    const struct token *t = &p->lex.token;
    static const enum ts_expr_kind literals[] = {
        [TOKEN_INT] = EXPR_INT,
        [TOKEN_FLOAT] = EXPR_FLOAT,
        [TOKEN_IMAGINARY] = EXPR_IMAGINARY,
        [TOKEN_STR] = EXPR_STR,
    };
    if (t->kind == TOKEN_NAME) return name_or_form(p);
    if (parse_is(p, '(')) return bracketed(p);
    bool dict = parse_is(p, '{');
    if (parse_is(p, '[') || dict) {
        struct ts_expr *x = make(p, dict ? EXPR_DICT : EXPR_LIST);
        return x && !lex_next(&p->lex) && items(p, x, dict ? '}' : ']', dict) ? x : NULL;
    }
    if (t->kind < TOKEN_INT || t->kind > TOKEN_STR) return parse_fault(p, "an expression"), NULL;
    struct ts_expr *x = make(p, literals[t->kind]);
    if (!x) return NULL;
    x->text = t->text;
    x->integer = t->integer;
    x->real = t->real;
    return lex_next(&p->lex) ? NULL : x;
}

/* One argument of a call: "e" or "name = e". */
static bool argument(struct parser *p, struct ts_expr *x)
{
    struct ts_expr *value = parse_expr(p);
    const char *keyword = NULL;
    if (!value) return false;
    if (parse_is(p, '=') && value->kind == EXPR_NAME) {
        keyword = value->text;
        if (lex_next(&p->lex) || !(value = parse_expr(p))) return false;
    }
    if (keyword && !x->keywords && !(x->keywords = ARENA_ARRAY(p->arena, PARSE_ARGS, const char *)))
        return no_memory(p);
    if (keyword && x->n >= PARSE_ARGS) return parse_fault(p, "fewer arguments"), false;
    if (keyword) x->keywords[x->n] = keyword;
    else if (x->keywords) return parse_fault(p, "a keyword argument"), false;
    return push(p, x, value);
}

static struct ts_expr *call(struct parser *p, struct ts_expr *function)
{
    struct ts_expr *x = make(p, EXPR_CALL);
    if (!x || !push(p, x, function) || lex_next(&p->lex)) return NULL;
    while (!parse_is(p, ')')) {
        if (!argument(p, x)) return NULL;
        if (!parse_is(p, ',')) break;
        if (lex_next(&p->lex)) return NULL;
    }
    return parse_expect(p, ')') ? NULL : x;
}

static struct ts_expr *subscript(struct parser *p, struct ts_expr *object)
{
    struct ts_expr *x = make(p, EXPR_INDEX);
    if (!x || !push(p, x, object) || lex_next(&p->lex) || !push(p, x, parse_expr(p))) return NULL;
    if (parse_is(p, ':')) {
        x->kind = EXPR_SLICE;
        if (lex_next(&p->lex) || !push(p, x, parse_expr(p))) return NULL;
    }
    return parse_expect(p, ']') ? NULL : x;
}

static struct ts_expr *attribute(struct parser *p, struct ts_expr *object)
{
    struct ts_expr *x = make(p, EXPR_ATTR);
    if (!x || !push(p, x, object) || lex_next(&p->lex)) return NULL;
    return parse_name(p, &x->text) ? NULL : x;
}

static struct ts_expr *postfix(struct parser *p)
{
    struct ts_expr *x = atom(p);
    for (int chain = 0; x; chain++) { /* a.b.c.. is a tree as deep as it is long */
        if (chain == PARSE_DEPTH) return parse_fault(p, "a shorter chain of attributes and calls"), NULL;
        if (parse_is(p, '.')) x = attribute(p, x);
        else if (parse_is(p, '(')) x = call(p, x);
        else if (parse_is(p, '[')) x = subscript(p, x);
        else return x;
    }
    return NULL;
}

static struct ts_expr *unary(struct parser *p)
{
    if (!parse_is(p, '-')) return postfix(p);
    struct ts_expr *x = make(p, EXPR_NEGATIVE);
    return x && !lex_next(&p->lex) && push(p, x, postfix(p)) ? x : NULL;
}

struct ts_expr *parse_expr(struct parser *p)
{
    if (parse_enter(p)) return NULL;
    struct ts_expr *x = unary(p);
    for (int chain = 0; x && (parse_is(p, '+') || parse_is(p, '-')); chain++) {
        struct ts_expr *sum = make(p, parse_is(p, '+') ? EXPR_ADD : EXPR_SUB);
        if (chain == PARSE_DEPTH) return parse_fault(p, "fewer terms"), NULL;
        x = sum && push(p, sum, x) && !lex_next(&p->lex) && push(p, sum, unary(p)) ? sum : NULL;
    }
    p->depth--;
    return x;
}

bool parse_exprs(struct parser *p, struct ts_exprs *out, bool *trailing)
{
    *trailing = false;
    for (;;) {
        struct ts_expr *x = parse_expr(p);
        if (!x) return false;
        if (!ARRAY_PUSH(p->arena, out->items, out->n, out->cap, x)) return no_memory(p);
        *trailing = false;
        if (!parse_is(p, ',')) return true;
        if (lex_next(&p->lex)) return false;
        *trailing = true;
        if (parse_is(p, '=') || p->lex.token.kind == TOKEN_NEWLINE) return true;
    }
}
