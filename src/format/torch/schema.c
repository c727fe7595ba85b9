/* schema.c - PyTorch's schema notation: parsing the rows of the table, binding arguments to parameters. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "format/torch/torch.h"

struct text { /* what is left of a schema */
    const char *s;
    struct arena *a;
};

static void skip_space(struct text *t)
{
    while (*t->s == ' ') t->s++;
}

static bool take(struct text *t, const char *word)
{
    skip_space(t);
    size_t n = strlen(word);
    if (strncmp(t->s, word, n)) return false;
    t->s += n;
    return true;
}

static char *take_name(struct text *t)
{
    skip_space(t);
    size_t n = 0;
    while (isalnum((unsigned char)t->s[n]) || t->s[n] == '_' || t->s[n] == '.' || t->s[n] == ':') n++;
    const char *s = t->s;
    t->s += n;
    return arena_strndup(t->a, s, n);
}

static enum param_kind kind_of(const char *name)
{
    static const struct {
        const char *name;
        enum param_kind kind;
    } kinds[] = {
        { "Tensor", PARAM_TENSOR },
        { "int", PARAM_INT },
        { "SymInt", PARAM_INT },
        { "ScalarType", PARAM_INT },
        { "Layout", PARAM_INT },
        { "MemoryFormat", PARAM_INT },
        { "float", PARAM_FLOAT },
        { "bool", PARAM_BOOL },
        { "Scalar", PARAM_SCALAR },
        { "str", PARAM_STR },
        { "Device", PARAM_DEVICE },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name)) return kinds[i].kind;
    return PARAM_ANY;
}

/* "Tensor(a!)?[2]?" after its name was read: alias mark, then ? and [n] in any order. */
static void parse_suffix(struct text *t, struct aten_param *p)
{
    if (*t->s == '(') {
        p->aliased = true;
        t->s += strcspn(t->s, ")") + 1;
    }
    for (;; t->s++) {
        if (*t->s == '?') {
            p->item_optional = !p->list && t->s[1] == '[';
            p->optional = !p->item_optional;
        } else if (*t->s == '[') {
            p->list = true;
            p->repeat = atoi(t->s + 1);
            t->s += strcspn(t->s, "]");
        } else return;
    }
}

static struct object *parse_default(struct text *t)
{
    if (take(t, "None")) return object_none(t->a);
    if (take(t, "True")) return object_bool(t->a, true, NULL);
    if (take(t, "False")) return object_bool(t->a, false, NULL);
    if (take(t, "[")) {
        struct object *list = object_list(t->a, OBJECT_LIST);
        while (list && !take(t, "]")) {
            if (!object_append(t->a, list, parse_default(t))) return NULL;
            take(t, ",");
        }
        return list;
    }
    if (*t->s == '"') {
        size_t n = strcspn(++t->s, "\"");
        const char *s = arena_strndup(t->a, t->s, n);
        t->s += n + 1;
        return s ? object_str(t->a, OBJECT_STR, s) : NULL;
    }
    size_t n = strcspn(t->s, ",)] ");
    char *end;
    int64_t i = strtoll(t->s, &end, 10);
    bool whole = end == t->s + n;
    double f = strtod(t->s, &end);
    bool number = end == t->s + n;
    t->s += n;
    if (!number) return object_none(t->a); /* contiguous_format and the like: nothing depends on it */
    return whole ? object_int(t->a, i, NULL) : object_float(t->a, f, NULL);
}

static bool parse_param(struct text *t, struct aten_param *p, bool keyword_only)
{
    char *type = take_name(t);
    if (!type) return false;
    *p = (struct aten_param){ .kind = kind_of(type), .keyword_only = keyword_only };
    parse_suffix(t, p);
    if (!(p->name = take_name(t))) return false;
    return !take(t, "=") || (p->otherwise = parse_default(t));
}

static void parse_result(struct text *t, struct aten_signature *s)
{
    if (take(t, "()")) s->result = RESULT_NONE;
    else if (take(t, "(")) s->result = RESULT_TUPLE;
    else s->result = str_ends(t->s, "[]") ? RESULT_LIST : RESULT_ONE;
    s->view = s->n_params && s->params[0].aliased && strstr(t->s, "(a");
}

static struct aten_signature *parse(struct arena *a, const struct aten_row *row)
{
    struct text t = { row->schema, a };
    struct aten_signature *s = ARENA_NEW(a, struct aten_signature);
    struct aten_param params[ATEN_ARGS];
    bool keyword_only = false;
    if (!s || !(s->overload = take_name(&t))) return NULL;
    s->row = row;
    take(&t, "(");
    while (!take(&t, ")")) {
        if (take(&t, "*")) keyword_only = true;
        else if (s->n_params == ATEN_ARGS || !parse_param(&t, &params[s->n_params++], keyword_only)) return NULL;
        take(&t, ",");
    }
    if (!(s->params = ARENA_ARRAY(a, s->n_params, struct aten_param))) return NULL;
    memcpy(s->params, params, s->n_params * sizeof *params);
    take(&t, "->");
    skip_space(&t);
    parse_result(&t, s);
    return s;
}

/* Is `schema` a row of this name, given with its overload or without? */
static bool is_row_of(const char *schema, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(schema, name, n) && (schema[n] == '(' || (schema[n] == '.' && !strchr(name, '.')));
}

bool aten_is_known(const char *name)
{
    for (const struct aten_row *const *table = aten_tables; *table; table++)
        for (const struct aten_row *row = *table; row->schema; row++)
            if (is_row_of(row->schema, name)) return true;
    return false;
}

struct aten_signature *aten_find(struct torch *t, const char *name)
{
    struct aten_signature *first = map_get(&t->overloads, name), **last = &first;
    if (first) return first;
    for (const struct aten_row *const *table = aten_tables; *table; table++)
        for (const struct aten_row *row = *table; row->schema; row++) {
            if (!is_row_of(row->schema, name)) continue;
            if (!(*last = parse(t->arena, row))) return fail_nomem(t->err), NULL;
            last = &(*last)->next;
        }
    if (first && !map_set(&t->overloads, name, first)) return fail_nomem(t->err), NULL;
    return first;
}

static bool fits_item(const struct aten_param *p, const struct object *o)
{
    bool takes_number = p->kind == PARAM_INT || p->kind == PARAM_FLOAT || p->kind == PARAM_SCALAR;
    if (o->kind == OBJECT_TENSOR && o->number && takes_number) return true;
    switch (p->kind) {
    case PARAM_TENSOR: return o->kind == OBJECT_TENSOR;
    case PARAM_INT: return o->kind == OBJECT_INT;
    case PARAM_FLOAT: return o->kind == OBJECT_FLOAT || o->kind == OBJECT_INT;
    case PARAM_BOOL: return o->kind == OBJECT_BOOL;
    case PARAM_SCALAR: return object_is_number(o) || o->kind == OBJECT_COMPLEX;
    case PARAM_STR: return o->kind == OBJECT_STR;
    case PARAM_DEVICE: return o->kind == OBJECT_DEVICE || o->kind == OBJECT_STR;
    default: return true;
    }
}

static bool fits(const struct aten_param *p, const struct object *o)
{
    if (o->kind == OBJECT_NONE) return p->optional || p->kind == PARAM_ANY;
    if (!p->list) return fits_item(p, o);
    if (o->kind != OBJECT_LIST && o->kind != OBJECT_TUPLE) return p->repeat && fits_item(p, o);
    for (size_t i = 0; i < o->list->n; i++) {
        const struct object *item = o->list->items[i];
        if (item->kind == OBJECT_NONE ? !p->item_optional : !fits_item(p, item)) return false;
    }
    return true;
}

static int find_param(const struct aten_signature *s, const char *name)
{
    for (size_t i = 0; i < s->n_params; i++)
        if (!strcmp(s->params[i].name, name)) return (int)i;
    return -1;
}

bool aten_bind(struct aten_call *c, const struct aten_signature *s, struct object *const *args, size_t n,
    const struct keyword *keywords, size_t n_keywords)
{
    memset(c->arg, 0, sizeof c->arg);
    if (n > s->n_params) return false;
    for (size_t i = 0; i < n; i++) {
        if (s->params[i].keyword_only || !fits(&s->params[i], args[i])) return false;
        c->arg[i] = args[i];
    }
    for (size_t k = 0; k < n_keywords; k++) {
        int i = find_param(s, keywords[k].name);
        if (i < 0 || c->arg[i] || !fits(&s->params[i], keywords[k].value)) return false;
        c->arg[i] = keywords[k].value;
    }
    for (size_t i = 0; i < s->n_params; i++)
        if (!c->arg[i] && !(c->arg[i] = s->params[i].otherwise)) return false;
    c->signature = s;
    c->row = s->row;
    c->n_args = (int)s->n_params;
    return true;
}
