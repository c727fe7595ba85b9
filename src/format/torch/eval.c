/* eval.c - running TorchScript: calls and expressions. */
#include "format/torch/eval.h"

#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "format/torch/run.h"

enum { CALL_DEPTH = 150, ITEMS_MAX = 1 << 20 };

const char *eval_where(struct eval *v)
{
    const char *s = v->def ? arena_printf(v->t.g->arena, "%s:%d", v->def->file->path, v->line) : "";
    if (!s) fail_nomem(v->err);
    return s ? s : "";
}

int eval_fault(struct eval *v, int code, const char *fmt, ...)
{
    va_list ap;
    if (v->err->code) return v->err->code;
    va_start(ap, fmt);
    vfail(v->err, code, fmt, ap);
    va_end(ap);
    return err_prefix(v->err, "%s", eval_where(v));
}

static struct object *no_memory(struct eval *v)
{
    if (!v->stopped) fail_nomem(v->err);
    return NULL;
}

/* Arguments of a call: evaluated items, and for each NULL or its keyword. */
struct arguments {
    struct object **items;
    struct keyword *keywords;
    size_t n, n_keywords;
};

static bool evaluate_arguments(struct eval *v, struct map *locals, const struct ts_expr *call, struct arguments *a)
{
    *a = (struct arguments){ ARENA_ARRAY(v->arena, call->n, struct object *),
        ARENA_ARRAY(v->arena, call->n, struct keyword), 0, 0 };
    if (!a->items || !a->keywords) return no_memory(v), false;
    for (size_t i = 1; i < call->n; i++) {
        struct object *o = eval_expr(v, locals, call->items[i]);
        if (!o) return false;
        const char *keyword = call->keywords && i < PARSE_ARGS ? call->keywords[i] : NULL;
        if (keyword) a->keywords[a->n_keywords++] = (struct keyword){ keyword, o };
        else a->items[a->n++] = o;
    }
    return true;
}

static int bind_params(
    struct eval *v, const struct ts_def *d, struct map *locals, struct object *self, const struct arguments *a)
{
    size_t first = self ? 1 : 0;
    if (a->n + first > d->n_params) return eval_fault(v, ERR_MODEL, "%s is given too many arguments", d->name);
    if (self && !map_set(locals, d->params[0].name, self)) return fail_nomem(v->err);
    for (size_t i = 0; i < a->n; i++)
        if (!map_set(locals, d->params[i + first].name, a->items[i])) return fail_nomem(v->err);
    for (size_t i = 0; i < a->n_keywords; i++)
        if (!map_set(locals, a->keywords[i].name, a->keywords[i].value)) return fail_nomem(v->err);
    for (size_t i = 0; i < d->n_params; i++) {
        const struct ts_param *p = &d->params[i];
        if (map_get(locals, p->name)) continue;
        struct object *o = p->otherwise ? eval_expr(v, locals, p->otherwise) : NULL;
        if (!o) return eval_fault(v, ERR_MODEL, "the argument %s of %s is missing", p->name, d->name);
        if (!map_set(locals, p->name, o)) return fail_nomem(v->err);
    }
    return 0;
}

struct object *eval_call_def(struct eval *v, const struct ts_def *d, struct object *self, struct object *const *args,
    size_t n, const struct keyword *keywords, size_t n_keywords)
{
    struct arguments a = { (struct object **)(uintptr_t)args, (struct keyword *)(uintptr_t)keywords, n, n_keywords };
    struct map locals = map_in(v->arena);
    struct object *result = NULL;
    const struct ts_def *caller = v->def;
    const char *module = v->t.module;
    int line = v->line;
    if (v->depth == CALL_DEPTH) return eval_fault(v, ERR_UNSUPPORTED, "functions call each other too deep"), NULL;
    if (bind_params(v, d, &locals, self, &a)) return NULL;
    if (object_is(self, OBJECT_INSTANCE) && self->instance->path) v->t.module = self->instance->path;
    v->depth++;
    v->def = d;
    v->line = d->line;
    int code = eval_block(v, &locals, &d->body, &result);
    v->depth--;
    if (code < 0) return NULL; /* def and line stay for messages */
    v->def = caller;
    v->line = line;
    v->t.module = module;
    return result ? result : object_none(v->arena);
}

struct object *eval_method(
    struct eval *v, struct object *self, const struct ts_def *d, struct object *const *args, size_t n)
{
    return eval_call_def(v, d, self, args, n, NULL, 0);
}

static struct object *named_tuple(struct eval *v, const struct ts_class *c, const struct arguments *a)
{
    struct object *t = object_list(v->arena, OBJECT_TUPLE);
    if (!t) return no_memory(v);
    t->list->type = c;
    for (size_t i = 0; i < a->n; i++)
        if (!object_append(v->arena, t, a->items[i])) return no_memory(v);
    for (size_t i = 0; i < a->n_keywords; i++)
        if (!object_append(v->arena, t, a->keywords[i].value)) return no_memory(v);
    return t;
}

static struct object *call_object(struct eval *v, struct object *f, const struct arguments *a)
{
    switch (f->kind) {
    case OBJECT_FUNCTION: return eval_call_def(v, f->def, NULL, a->items, a->n, a->keywords, a->n_keywords);
    case OBJECT_METHOD:
        if (f->method.def)
            return eval_call_def(v, f->method.def, f->method.self, a->items, a->n, a->keywords, a->n_keywords);
        {
            struct object **items = ARENA_ARRAY(v->arena, a->n + 1, struct object *);
            if (!items) return no_memory(v);
            items[0] = f->method.self;
            if (a->n) memcpy(items + 1, a->items, a->n * sizeof *items);
            return eval_builtin(v, f->method.builtin, items, a->n + 1, a->keywords, a->n_keywords);
        }
    case OBJECT_NAMESPACE: return eval_builtin(v, f->text, a->items, a->n, a->keywords, a->n_keywords);
    case OBJECT_CLASS:
        if (f->type->base && !strcmp(f->type->base, "NamedTuple")) return named_tuple(v, f->type, a);
        return eval_fault(v, ERR_UNSUPPORTED, "a call of the class %s", f->type->name), NULL;
    case OBJECT_UNKNOWN: return f;
    default: return eval_fault(v, ERR_MODEL, "a %s is called", object_kind_name(f->kind)), NULL;
    }
}

static struct object *eval_call(struct eval *v, struct map *locals, const struct ts_expr *x)
{
    const struct ts_expr *callee = x->items[0];
    struct arguments a;
    if (callee->kind == EXPR_ATTR && !strcmp(callee->text, "__new__")) {
        struct object *c = eval_expr(v, locals, callee->items[0]);
        if (!c) return NULL;
        return c->kind == OBJECT_CLASS ? eval_new(v, c->type) : (eval_fault(v, ERR_MODEL, "__new__ of no class"), NULL);
    }
    struct object *f = eval_expr(v, locals, callee);
    if (!f || !evaluate_arguments(v, locals, x, &a)) return NULL;
    v->line = x->line;
    return call_object(v, f, &a);
}

static struct object *eval_items(struct eval *v, struct map *locals, const struct ts_expr *x, enum object_kind kind)
{
    struct object *list = object_list(v->arena, kind);
    if (!list) return no_memory(v);
    for (size_t i = 0; i < x->n; i++) {
        struct object *item = eval_expr(v, locals, x->items[i]);
        if (!item) return NULL;
        if (!object_append(v->arena, list, item)) return no_memory(v);
    }
    return list;
}

static struct object *eval_dict(struct eval *v, struct map *locals, const struct ts_expr *x)
{
    struct object *dict = object_dict(v->arena);
    if (!dict) return no_memory(v);
    for (size_t i = 0; i + 1 < x->n; i += 2) {
        struct object *key = eval_expr(v, locals, x->items[i]),
                      *value = key ? eval_expr(v, locals, x->items[i + 1]) : NULL;
        if (!value) return NULL;
        if (!object_dict_set(v->arena, dict, key, value)) return no_memory(v);
    }
    return dict;
}

static struct object *index_list(struct eval *v, const struct object *list, struct object *index)
{
    if (!object_is(index, OBJECT_INT))
        return eval_fault(v, ERR_MODEL, "a list is indexed by %s", object_kind_name(index->kind)), NULL;
    if (torch_guard(&v->t, index)) return NULL;
    int64_t i = index->integer, n = (int64_t)list->list->n;
    if (i < 0) i += n;
    if (i < 0 || i >= n)
        return eval_fault(v, ERR_MODEL, "item %lld of a list of %lld", (long long)index->integer, (long long)n), NULL;
    return list->list->items[i];
}

static struct object *eval_index(struct eval *v, struct map *locals, const struct ts_expr *x)
{
    struct object *o = eval_expr(v, locals, x->items[0]), *i = o ? eval_expr(v, locals, x->items[1]) : NULL, *found;
    if (!i) return NULL;
    switch (o->kind) {
    case OBJECT_LIST:
    case OBJECT_TUPLE: return i->kind == OBJECT_UNKNOWN ? i : index_list(v, o, i);
    case OBJECT_DICT:
        found = object_dict_get(o, i);
        return found ? found : (eval_fault(v, ERR_MODEL, "a key that the dictionary does not have"), NULL);
    case OBJECT_UNKNOWN: return o;
    case OBJECT_STR: return eval_builtin(v, "torch.__getitem__", (struct object *[]){ o, i }, 2, NULL, 0);
    default: return eval_fault(v, ERR_MODEL, "a %s is indexed", object_kind_name(o->kind)), NULL;
    }
}

/* [a:b] of tuples, with literal bounds */
static struct object *eval_slice(struct eval *v, struct map *locals, const struct ts_expr *x)
{
    struct object *part[3];
    for (int i = 0; i < 3; i++)
        if (!(part[i] = eval_expr(v, locals, x->items[i]))) return NULL;
    if (part[0]->kind == OBJECT_UNKNOWN) return part[0];
    struct object *out = object_list(v->arena, part[0]->kind);
    if (part[0]->kind != OBJECT_TUPLE || part[1]->kind != OBJECT_INT || part[2]->kind != OBJECT_INT)
        return eval_fault(v, ERR_MODEL, "a slice of a %s", object_kind_name(part[0]->kind)), NULL;
    int64_t n = (int64_t)part[0]->list->n, from = part[1]->integer, to = part[2]->integer;
    if (from < 0) from = from + n < 0 ? 0 : from + n;
    if (to < 0) to += n;
    for (int64_t i = from; out && i < to && i < n; i++)
        if (!object_append(v->arena, out, part[0]->list->items[i])) return no_memory(v);
    return out ? out : no_memory(v);
}

/* annotate(int, t) takes the number out of a tensor; every other annotation says nothing new. */
static struct object *eval_annotate(struct eval *v, struct map *locals, const struct ts_expr *x)
{
    static const struct {
        const char *type;
        enum object_kind kind;
    } scalars[] = { { "int", OBJECT_INT }, { "float", OBJECT_FLOAT }, { "number", OBJECT_NONE },
        { "bool", OBJECT_BOOL } };
    struct object *o = eval_expr(v, locals, x->items[0]);
    for (size_t i = 0; o && o->kind == OBJECT_TENSOR && i < sizeof scalars / sizeof *scalars; i++)
        if (!strcmp(x->type->name, scalars[i].type)) return host_extract(v, o, scalars[i].kind);
    return o;
}

static bool is_instance_of(const struct object *o, const struct ts_type *t)
{
    static const struct {
        const char *name;
        enum object_kind kind;
    } kinds[] = {
        { "Tensor", OBJECT_TENSOR },
        { "int", OBJECT_INT },
        { "float", OBJECT_FLOAT },
        { "bool", OBJECT_BOOL },
        { "str", OBJECT_STR },
        { "NoneType", OBJECT_NONE },
        { "None", OBJECT_NONE },
        { "List", OBJECT_LIST },
        { "list", OBJECT_LIST },
        { "Tuple", OBJECT_TUPLE },
        { "tuple", OBJECT_TUPLE },
        { "Dict", OBJECT_DICT },
        { "dict", OBJECT_DICT },
        { "complex", OBJECT_COMPLEX },
        { "Device", OBJECT_DEVICE },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(t->name, kinds[i].name)) continue;
        if (o->kind != kinds[i].kind) return false;
        bool list = (o->kind == OBJECT_LIST || o->kind == OBJECT_TUPLE) && t->n && o->list->n;
        return !list || is_instance_of(o->list->items[0], t->args[0]);
    }
    if (!strcmp(t->name, "Any")) return true;
    if (!strcmp(t->name, "Optional") && t->n) return o->kind == OBJECT_NONE || is_instance_of(o, t->args[0]);
    return o->kind == OBJECT_INSTANCE && !strcmp(o->instance->type_name, t->name);
}

static struct object *eval_isinstance(struct eval *v, struct map *locals, const struct ts_expr *x)
{
    struct object *o = eval_expr(v, locals, x->items[0]);
    if (!o || o->kind == OBJECT_UNKNOWN) return o;
    bool is = false;
    for (size_t i = 0; i < x->type->n; i++) is |= is_instance_of(o, x->type->args[i]);
    return object_bool(v->arena, is, NULL);
}

/* Only inside complex constants: a + bj. */
static struct object *eval_sum(struct eval *v, struct map *locals, const struct ts_expr *x)
{
    struct object *a = eval_expr(v, locals, x->items[0]), *b = a ? eval_expr(v, locals, x->items[1]) : NULL;
    if (!b || !object_is_number(a) || b->kind != OBJECT_COMPLEX)
        return b ? eval_fault(v, ERR_MODEL, "a sum that is no complex constant"), NULL : NULL;
    struct object *c = object_none(v->arena);
    if (!c) return no_memory(v);
    c->kind = OBJECT_COMPLEX;
    c->complex[0] = object_number(a);
    c->complex[1] = x->kind == EXPR_ADD ? b->complex[1] : -b->complex[1];
    return c;
}

static struct object *eval_literal(struct eval *v, const struct ts_expr *x)
{
    struct object *o;
    switch (x->kind) {
    case EXPR_NONE: return object_none(v->arena);
    case EXPR_TRUE:
    case EXPR_FALSE: return object_bool(v->arena, x->kind == EXPR_TRUE, NULL);
    case EXPR_INT: return object_int(v->arena, x->integer, NULL);
    case EXPR_FLOAT: return object_float(v->arena, x->real, NULL);
    case EXPR_STR: return object_str(v->arena, OBJECT_STR, x->text);
    case EXPR_UNINITIALIZED: return object_none(v->arena);
    default: /* EXPR_IMAGINARY */
        if (!(o = object_none(v->arena))) return NULL;
        o->kind = OBJECT_COMPLEX;
        o->complex[1] = x->real;
        return o;
    }
}

struct object *eval_expr(struct eval *v, struct map *locals, const struct ts_expr *x)
{
    struct object *o;
    if (v->err->code) return NULL;
    switch (x->kind) {
    case EXPR_NAME: return eval_name(v, locals, x->text);
    case EXPR_ATTR: o = eval_expr(v, locals, x->items[0]); return o ? eval_attribute(v, o, x->text) : NULL;
    case EXPR_CALL: return eval_call(v, locals, x);
    case EXPR_INDEX: return eval_index(v, locals, x);
    case EXPR_SLICE: return eval_slice(v, locals, x);
    case EXPR_LIST: return eval_items(v, locals, x, OBJECT_LIST);
    case EXPR_TUPLE: return eval_items(v, locals, x, OBJECT_TUPLE);
    case EXPR_DICT: return eval_dict(v, locals, x);
    case EXPR_NEGATIVE:
        o = eval_expr(v, locals, x->items[0]);
        return o ? eval_builtin(v, "torch.neg", &o, 1, NULL, 0) : NULL;
    case EXPR_ADD:
    case EXPR_SUB: return eval_sum(v, locals, x);
    case EXPR_ANNOTATE: return eval_annotate(v, locals, x);
    case EXPR_UNCHECKED_CAST: return eval_expr(v, locals, x->items[0]);
    case EXPR_ISINSTANCE: return eval_isinstance(v, locals, x);
    default: o = eval_literal(v, x); return o ? o : no_memory(v);
    }
}

struct object *eval_constant(struct eval *v, const struct ts_expr *x)
{
    struct map none = map_in(v->arena);
    return eval_expr(v, &none, x);
}
