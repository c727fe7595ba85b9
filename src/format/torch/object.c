/* object.c - making and comparing host values. */
#include "format/torch/object.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"

const char *object_kind_name(enum object_kind kind)
{
    static const char *const names[] = {
#define X(name, text) [OBJECT_##name] = text,
        OBJECT_KINDS(X)
#undef X
    };
    return names[kind];
}

static struct object *make(struct arena *a, enum object_kind kind, struct value *value)
{
    struct object *o = ARENA_NEW(a, struct object);
    if (!o) return NULL;
    o->kind = kind;
    o->value = value;
    return o;
}

struct object *object_none(struct arena *a)
{
    return make(a, OBJECT_NONE, NULL);
}

struct object *object_unknown(struct arena *a)
{
    return make(a, OBJECT_UNKNOWN, NULL);
}

struct object *object_bool(struct arena *a, bool v, struct value *value)
{
    struct object *o = make(a, OBJECT_BOOL, value);
    if (o) o->boolean = v;
    return o;
}

struct object *object_int(struct arena *a, int64_t v, struct value *value)
{
    struct object *o = make(a, OBJECT_INT, value);
    if (o) o->integer = v;
    return o;
}

struct object *object_float(struct arena *a, double v, struct value *value)
{
    struct object *o = make(a, OBJECT_FLOAT, value);
    if (o) o->real = v;
    return o;
}

struct object *object_str(struct arena *a, enum object_kind kind, const char *text)
{
    struct object *o = make(a, kind, NULL);
    if (o) o->text = text;
    return o;
}

struct object *object_list(struct arena *a, enum object_kind kind)
{
    struct object *o = make(a, kind, NULL);
    return o && (o->list = ARENA_NEW(a, struct object_list)) ? o : NULL;
}

struct object *object_dict(struct arena *a)
{
    struct object *o = make(a, OBJECT_DICT, NULL);
    return o && (o->dict = ARENA_NEW(a, struct object_dict)) ? o : NULL;
}

struct object *object_tensor(struct arena *a, struct torch_tensor *t)
{
    struct object *o = t ? make(a, OBJECT_TENSOR, NULL) : NULL;
    if (o) o->tensor = t;
    return o;
}

bool object_append(struct arena *a, struct object *list, struct object *item)
{
    struct object_list *l = list->list;
    return item && ARRAY_PUSH(a, l->items, l->n, l->cap, item);
}

static struct object_pair *find_pair(const struct object_dict *d, const struct object *key)
{
    for (size_t i = 0; i < d->n; i++)
        if (object_equal(d->pairs[i].key, key)) return &d->pairs[i];
    return NULL;
}

bool object_dict_set(struct arena *a, struct object *dict, struct object *key, struct object *value)
{
    if (!key || !value) return false;
    struct object_pair *p = find_pair(dict->dict, key), pair = { key, value };
    if (p) p->value = value;
    struct object_dict *d = dict->dict;
    return p || ARRAY_PUSH(a, d->pairs, d->n, d->cap, pair);
}

struct object *object_dict_get(const struct object *dict, const struct object *key)
{
    struct object_pair *p = find_pair(dict->dict, key);
    return p ? p->value : NULL;
}

bool object_is_number(const struct object *o)
{
    return o && (o->kind == OBJECT_BOOL || o->kind == OBJECT_INT || o->kind == OBJECT_FLOAT);
}

double object_number(const struct object *o)
{
    return o->kind == OBJECT_BOOL ? o->boolean : o->kind == OBJECT_INT ? (double)o->integer : o->real;
}

enum { EQUAL_DEPTH = 32 }; /* lists within lists; deeper ones (or lists that hold themselves) are not equal */

static bool equal(const struct object *a, const struct object *b, int depth);

static bool equal_lists(const struct object_list *a, const struct object_list *b, int depth)
{
    if (a == b) return true;
    if (a->n != b->n || depth >= EQUAL_DEPTH) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!equal(a->items[i], b->items[i], depth + 1)) return false;
    return true;
}

static bool equal(const struct object *a, const struct object *b, int depth)
{
    if (a == b) return true;
    if (a->kind == OBJECT_INT && b->kind == OBJECT_INT) return a->integer == b->integer;
    if (object_is_number(a) && object_is_number(b)) return object_number(a) == object_number(b);
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case OBJECT_NONE: return true;
    case OBJECT_COMPLEX: return a->complex[0] == b->complex[0] && a->complex[1] == b->complex[1];
    case OBJECT_STR:
    case OBJECT_DEVICE:
    case OBJECT_NAMESPACE: return !strcmp(a->text, b->text);
    case OBJECT_LIST:
    case OBJECT_TUPLE: return equal_lists(a->list, b->list, depth);
    case OBJECT_TENSOR: return a->tensor == b->tensor;
    case OBJECT_INSTANCE: return a->instance == b->instance;
    case OBJECT_ENUM: return a->member->type == b->member->type && !strcmp(a->member->name, b->member->name);
    default: return false;
    }
}

bool object_equal(const struct object *a, const struct object *b)
{
    return a && b && equal(a, b, 0);
}

bool object_truth(const struct object *o)
{
    switch (o->kind) {
    case OBJECT_NONE: return false;
    case OBJECT_BOOL:
    case OBJECT_INT:
    case OBJECT_FLOAT: return object_number(o) != 0;
    case OBJECT_STR: return o->text[0] != 0;
    case OBJECT_LIST:
    case OBJECT_TUPLE: return o->list->n != 0;
    case OBJECT_DICT: return o->dict->n != 0;
    default: return true;
    }
}
