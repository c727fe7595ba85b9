/* parse.c - files, classes, functions and statements of serialized TorchScript. */
#include "format/torch/parse.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/torch/parser.h"

static int newline(struct parser *p)
{
    if (p->lex.token.kind == TOKEN_END) return 0;
    return p->lex.token.kind == TOKEN_NEWLINE ? lex_next(&p->lex) : parse_fault(p, "the end of the line");
}

static int token_expect(struct parser *p, enum token_kind kind, const char *what)
{
    return p->lex.token.kind == kind ? lex_next(&p->lex) : parse_fault(p, what);
}

static int parse_block(struct parser *p, struct ts_block *out);

static int push_expr(struct parser *p, struct ts_exprs *list, struct ts_expr *x)
{
    if (!x) return p->err->code;
    return ARRAY_PUSH(p->arena, list->items, list->n, list->cap, x) ? 0 : fail_nomem(p->err);
}

static int parse_params(struct parser *p, struct ts_def *d)
{
    TRY(parse_expect(p, '('));
    while (!parse_is(p, ')')) {
        struct ts_param param = { 0 };
        TRY(parse_name(p, &param.name));
        int typed = parse_take(p, ':');
        if (typed < 0 || (typed && !(param.type = parse_type(p)))) return p->err->code;
        int has_default = parse_take(p, '=');
        if (has_default < 0 || (has_default && !(param.otherwise = parse_expr(p)))) return p->err->code;
        if (!ARRAY_PUSH(p->arena, d->params, d->n_params, d->cap_params, param)) return fail_nomem(p->err);
        if (!parse_is(p, ',')) break;
        TRY(lex_next(&p->lex));
    }
    return parse_expect(p, ')');
}

static int parse_def(struct parser *p, struct ts_def **out)
{
    struct ts_def *d = *out = ARENA_NEW(p->arena, struct ts_def);
    TRY_MEM(d, p->err);
    d->file = p->file;
    d->line = p->lex.token.line;
    TRY(lex_next(&p->lex)); /* def */
    TRY(parse_name(p, &d->name));
    TRY(parse_params(p, d));
    int result = parse_take(p, '>');
    if (result < 0 || (result && !(d->result = parse_type(p)))) return p->err->code;
    TRY(parse_expect(p, ':'));
    return parse_block(p, &d->body);
}

static int parse_return(struct parser *p, struct ts_stmt *s)
{
    bool trailing;
    TRY(lex_next(&p->lex));
    if (p->lex.token.kind != TOKEN_NEWLINE && !parse_exprs(p, &s->values, &trailing)) return p->err->code;
    return newline(p);
}

static int parse_if(struct parser *p, struct ts_stmt *s)
{
    TRY(lex_next(&p->lex));
    TRY(push_expr(p, &s->values, parse_expr(p)));
    TRY(parse_expect(p, ':'));
    TRY(parse_block(p, &s->body));
    if (!parse_is_word(p, "else")) return 0;
    TRY(lex_next(&p->lex));
    TRY(parse_expect(p, ':'));
    return parse_block(p, &s->otherwise);
}

static int parse_while(struct parser *p, struct ts_stmt *s)
{
    TRY(lex_next(&p->lex));
    TRY(push_expr(p, &s->values, parse_expr(p)));
    TRY(parse_expect(p, ':'));
    return parse_block(p, &s->body);
}

/* for i in range(n): the only kind there is */
static int parse_for(struct parser *p, struct ts_stmt *s)
{
    TRY(lex_next(&p->lex));
    TRY(parse_name(p, &s->name));
    if (!parse_is_word(p, "in")) return parse_fault(p, "in");
    TRY(lex_next(&p->lex));
    if (!parse_is_word(p, "range")) return parse_fault(p, "range");
    TRY(lex_next(&p->lex));
    TRY(parse_expect(p, '('));
    TRY(push_expr(p, &s->values, parse_expr(p)));
    TRY(parse_expect(p, ')'));
    TRY(parse_expect(p, ':'));
    return parse_block(p, &s->body);
}

static int parse_with(struct parser *p, struct ts_stmt *s)
{
    TRY(lex_next(&p->lex));
    TRY(push_expr(p, &s->values, parse_expr(p)));
    if (parse_is_word(p, "as")) {
        TRY(lex_next(&p->lex));
        TRY(parse_name(p, &s->name));
    }
    TRY(parse_expect(p, ':'));
    return parse_block(p, &s->body);
}

static int parse_pass(struct parser *p, struct ts_stmt *s)
{
    (void)s;
    TRY(lex_next(&p->lex));
    return newline(p);
}

static int parse_inner_def(struct parser *p, struct ts_stmt *s)
{
    return parse_def(p, &s->def);
}

static int check_targets(struct parser *p, const struct ts_stmt *s)
{
    for (size_t i = 0; i < s->targets.n; i++)
        if (s->targets.items[i]->kind != EXPR_NAME && s->targets.items[i]->kind != EXPR_ATTR)
            return fail(p->err, ERR_MODEL, "%s:%d: this cannot be assigned to", p->lex.path, s->line);
    return 0;
}

/* "e", "a = e", "a : T = e", "a, b, = e", "a, b = e, f" */
static int parse_simple(struct parser *p, struct ts_stmt *s)
{
    bool trailing;
    if (!parse_exprs(p, &s->values, &trailing)) return p->err->code;
    s->kind = STMT_EXPR;
    if (parse_is(p, ':')) {
        TRY(lex_next(&p->lex));
        if (!parse_type(p)) return p->err->code;
        if (!parse_is(p, '=')) return parse_fault(p, "=");
    }
    if (parse_is(p, '=')) {
        s->kind = STMT_ASSIGN;
        s->unpack = trailing;
        s->targets = s->values;
        s->values = (struct ts_exprs){ 0 };
        TRY(check_targets(p, s));
        TRY(lex_next(&p->lex));
        if (!parse_exprs(p, &s->values, &trailing)) return p->err->code;
    }
    return newline(p);
}

static int parse_stmt(struct parser *p, struct ts_stmt *s)
{
    static const struct {
        const char *word;
        enum ts_stmt_kind kind;
        int (*parse)(struct parser *p, struct ts_stmt *s);
    } words[] = {
        { "pass", STMT_PASS, parse_pass },
        { "return", STMT_RETURN, parse_return },
        { "if", STMT_IF, parse_if },
        { "while", STMT_WHILE, parse_while },
        { "for", STMT_FOR, parse_for },
        { "with", STMT_WITH, parse_with },
        { "def", STMT_DEF, parse_inner_def },
    };
    s->line = p->lex.token.line;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!parse_is_word(p, words[i].word)) continue;
        s->kind = words[i].kind;
        return words[i].parse(p, s);
    }
    return parse_simple(p, s);
}

static int parse_block(struct parser *p, struct ts_block *out)
{
    TRY(newline(p));
    TRY(token_expect(p, TOKEN_INDENT, "an indented block"));
    TRY(parse_enter(p));
    while (p->lex.token.kind != TOKEN_DEDENT && p->lex.token.kind != TOKEN_END) {
        struct ts_stmt *s = ARENA_NEW(p->arena, struct ts_stmt);
        if (!s || !ARRAY_PUSH(p->arena, out->items, out->n, out->cap, s)) return fail_nomem(p->err);
        TRY(parse_stmt(p, s));
    }
    p->depth--;
    return token_expect(p, TOKEN_DEDENT, "the end of the block");
}

/* ["a", "b", ] */
static int parse_name_list(struct parser *p, struct ts_names *out)
{
    struct ts_expr *x = parse_expr(p);
    if (!x) return p->err->code;
    for (size_t i = 0; i < x->n; i++) {
        if (x->kind != EXPR_LIST || x->items[i]->kind != EXPR_STR) return parse_fault(p, "a list of strings");
        if (!ARRAY_PUSH(p->arena, out->items, out->n, out->cap, x->items[i]->text)) return fail_nomem(p->err);
    }
    return 0;
}

static int add_member(struct parser *p, struct ts_class *c, struct ts_member m)
{
    return ARRAY_PUSH(p->arena, c->members, c->n_members, c->cap_members, m) ? 0 : fail_nomem(p->err);
}

/* __annotations__ = [] or __annotations__["0"] = T, for attributes whose names are no identifiers */
static int parse_annotation(struct parser *p, struct ts_class *c)
{
    struct ts_member m = { 0 };
    struct ts_names none = { 0 };
    if (parse_is(p, '=')) {
        TRY(lex_next(&p->lex));
        return parse_name_list(p, &none);
    }
    TRY(parse_expect(p, '['));
    m.name = p->lex.token.text;
    TRY(token_expect(p, TOKEN_STR, "a string"));
    TRY(parse_expect(p, ']'));
    TRY(parse_expect(p, '='));
    return (m.type = parse_type(p)) ? add_member(p, c, m) : p->err->code;
}

static int parse_member(struct parser *p, struct ts_class *c)
{
    struct ts_member m = { 0 };
    struct ts_names hooks = { 0 }, *lists[] = { &c->parameters, &c->buffers, &hooks, &hooks };
    static const char *const list_names[] = { "__parameters__", "__buffers__", "__forward_pre_hooks__",
        "__forward_hooks__" };
    TRY(parse_name(p, &m.name));
    for (int i = 0; i < 4; i++) {
        if (strcmp(m.name, list_names[i])) continue;
        TRY(parse_expect(p, '='));
        return parse_name_list(p, lists[i]);
    }
    if (!strcmp(m.name, "__annotations__")) return parse_annotation(p, c);
    int typed = parse_take(p, ':');
    if (typed < 0 || (typed && !(m.type = parse_type(p)))) return p->err->code;
    if (!typed && !parse_is(p, '=')) return parse_fault(p, ": or =");
    int valued = parse_take(p, '=');
    if (valued < 0 || (valued && !(m.value = parse_expr(p)))) return p->err->code;
    return add_member(p, c, m);
}

static int parse_class_body(struct parser *p, struct ts_class *c)
{
    if (p->lex.token.kind != TOKEN_INDENT) return 0; /* empty ones are written without a body */
    TRY(lex_next(&p->lex));
    while (p->lex.token.kind != TOKEN_DEDENT && p->lex.token.kind != TOKEN_END) {
        if (parse_is_word(p, "def")) {
            struct ts_def *d;
            TRY(parse_def(p, &d));
            if (!ARRAY_PUSH(p->arena, c->defs, c->n_defs, c->cap_defs, d)) return fail_nomem(p->err);
            continue;
        }
        if (parse_is_word(p, "pass")) TRY(lex_next(&p->lex));
        else TRY(parse_member(p, c));
        TRY(newline(p));
    }
    return token_expect(p, TOKEN_DEDENT, "the end of the class");
}

static int parse_class(struct parser *p)
{
    struct ts_class *c = ARENA_NEW(p->arena, struct ts_class);
    if (!c || !ARRAY_PUSH(p->arena, p->file->classes, p->file->n_classes, p->file->cap_classes, c))
        return fail_nomem(p->err);
    c->file = p->file;
    TRY(lex_next(&p->lex)); /* class */
    TRY(parse_name(p, &c->name));
    c->name = arena_printf(p->arena, "%s.%s", p->file->prefix, c->name);
    TRY_MEM(c->name, p->err);
    if (parse_is(p, '(')) {
        TRY(lex_next(&p->lex));
        if (!parse_is(p, ')')) TRY(parse_name(p, &c->base));
        TRY(parse_expect(p, ')'));
    }
    TRY(parse_expect(p, ':'));
    TRY(newline(p));
    return parse_class_body(p, c);
}

/* "op_version_set = 1" and "import a.b" stand at the head of old archives. */
static int parse_prologue(struct parser *p)
{
    while (p->lex.token.kind != TOKEN_NEWLINE && p->lex.token.kind != TOKEN_END) TRY(lex_next(&p->lex));
    return newline(p);
}

static int parse_file(struct parser *p)
{
    while (p->lex.token.kind != TOKEN_END) {
        if (parse_is_word(p, "class")) {
            TRY(parse_class(p));
        } else if (parse_is_word(p, "def")) {
            struct ts_def *d;
            TRY(parse_def(p, &d));
            if (!ARRAY_PUSH(p->arena, p->file->defs, p->file->n_defs, p->file->cap_defs, d)) return fail_nomem(p->err);
        } else if (parse_is_word(p, "op_version_set") || parse_is_word(p, "import")) {
            TRY(parse_prologue(p));
        } else {
            return parse_fault(p, "class or def");
        }
    }
    return 0;
}

struct ts_file *ts_parse(struct arena *a, const char *path, const char *prefix, struct bytes text, struct err *e)
{
    struct ts_file *file = ARENA_NEW(a, struct ts_file);
    struct parser p = { .arena = a, .err = e, .file = file };
    if (!file) return fail_nomem(e), NULL;
    file->path = path;
    file->prefix = prefix;
    if (lex_init(&p.lex, a, path, text, e) || parse_file(&p)) return NULL;
    return file;
}
