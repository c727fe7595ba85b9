/* names.c - what names and attributes of TorchScript code stand for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/format.h"
#include "format/torch/eval.h"

static struct object *made(struct eval *v, enum object_kind kind)
{
    struct object *o = object_none(v->arena);
    if (!o) return fail_nomem(v->err), NULL;
    o->kind = kind;
    return o;
}

static struct object *name_space(struct eval *v, const char *text)
{
    struct object *o = text ? made(v, OBJECT_NAMESPACE) : NULL;
    if (!text) fail_nomem(v->err);
    if (o) o->text = text;
    return o;
}

const struct ts_def *class_find_def(const struct ts_class *c, const char *name)
{
    for (size_t i = 0; c && i < c->n_defs; i++)
        if (!strcmp(c->defs[i]->name, name)) return c->defs[i];
    return NULL;
}

/* The class or function `name` of a prefix; NULL when there is none. */
static struct object *find_in_file(struct eval *v, const char *prefix, const char *name)
{
    struct ts_file *file = archive_code(v->archive, prefix);
    for (size_t i = 0; file && i < file->n_classes; i++) {
        if (strcmp(strrchr(file->classes[i]->name, '.') + 1, name)) continue;
        struct object *o = made(v, OBJECT_CLASS);
        if (o) o->type = file->classes[i];
        return o;
    }
    for (size_t i = 0; file && i < file->n_defs; i++) {
        if (strcmp(file->defs[i]->name, name)) continue;
        struct object *o = made(v, OBJECT_FUNCTION);
        if (o) o->def = file->defs[i];
        return o;
    }
    return NULL;
}

struct ts_class *eval_find_class(struct eval *v, const char *qualified)
{
    const char *dot = strrchr(qualified, '.');
    if (!dot) return NULL;
    char *prefix = arena_strndup(v->arena, qualified, (size_t)(dot - qualified));
    if (!prefix) return fail_nomem(v->err), NULL;
    struct object *o = find_in_file(v, prefix, dot + 1);
    return o && o->kind == OBJECT_CLASS ? (struct ts_class *)(uintptr_t)o->type : NULL;
}

struct object *eval_name(struct eval *v, const struct map *locals, const char *name)
{
    static const char *const spaces[] = { "torch", "ops", "CONSTANTS", "__torch__" };
    static const char *const functions[] = { "int", "float", "bool", "str", "complex", "print", "sorted", "range",
        "fork", "list", "dict" };
    struct object *o = map_get(locals, name);
    if (o) return o;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (!strcmp(name, spaces[i])) return name_space(v, spaces[i]);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcmp(name, functions[i])) return name_space(v, functions[i]);
    static const struct {
        const char *name;
        double value;
    } numbers[] = { { "inf", INFINITY }, { "nan", NAN }, { "infj", INFINITY }, { "nanj", NAN } };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(name, numbers[i].name)) return object_float(v->arena, numbers[i].value, NULL);
    return eval_fault(v, ERR_MODEL, "the name \"%s\" stands for nothing", name), NULL;
}

static struct object *constant(struct eval *v, const char *name)
{
    char *end;
    unsigned long i = name[0] == 'c' ? strtoul(name + 1, &end, 10) : 0;
    if (name[0] == 'c' && !*end && v->constants && i < v->constants->list->n) return v->constants->list->items[i];
    return eval_fault(v, ERR_MODEL, "no CONSTANTS.%s in constants.pkl", name), NULL;
}

static struct object *in_namespace(struct eval *v, const struct object *o, const char *name)
{
    if (!strcmp(o->text, "CONSTANTS")) return constant(v, name);
    if (!strcmp(o->text, "torch")) {
        if (!strcmp(name, "inf")) return object_float(v->arena, INFINITY, NULL);
        if (!strcmp(name, "nan")) return object_float(v->arena, NAN, NULL);
    }
    if (str_starts(o->text, "__torch__")) {
        struct object *found = find_in_file(v, o->text, name);
        if (found || v->err->code) return found;
    }
    return name_space(v, arena_printf(v->arena, "%s.%s", o->text, name));
}

static struct object *member_value(struct eval *v, const struct ts_class *c, const char *name)
{
    for (size_t i = 0; c && i < c->n_members; i++) {
        const struct ts_expr *value = c->members[i].value;
        if (value && !strcmp(c->members[i].name, name)) return eval_constant(v, value);
    }
    return NULL;
}

static struct object *in_class(struct eval *v, const struct object *o, const char *name)
{
    struct object *value = member_value(v, o->type, name), *e;
    if (value && o->type->base && !strcmp(o->type->base, "Enum")) {
        if (!(e = made(v, OBJECT_ENUM)) || !(e->member = ARENA_NEW(v->arena, struct object_enum))) return NULL;
        *e->member = (struct object_enum){ o->type, name, value };
        return e;
    }
    const struct ts_def *def = class_find_def(o->type, name);
    if (def && (e = made(v, OBJECT_FUNCTION))) {
        e->def = def;
        return e;
    }
    return value || v->err->code ? value : (eval_fault(v, ERR_MODEL, "%s has no member %s", o->type->name, name), NULL);
}

static struct object *method(struct eval *v, struct object *self, const struct ts_def *def)
{
    struct object *o = made(v, OBJECT_METHOD);
    if (o) o->method = (struct object_method){ self, def, NULL };
    return o;
}

/* Pickled attribute, then constant of the class, then method. */
static struct object *in_instance(struct eval *v, struct object *o, const char *name)
{
    struct instance *x = o->instance;
    if (v->mode != IMPORT_AS_SAVED && !strcmp(name, "training"))
        return object_bool(v->arena, v->mode == IMPORT_TRAIN, NULL);
    struct object *found = map_get(&x->attrs, name);
    if (found) return found;
    if ((found = member_value(v, x->type, name)) || v->err->code) return found;
    const struct ts_def *def = class_find_def(x->type, name);
    if (def) return method(v, o, def);
    if (!strcmp(name, "training")) return object_bool(v->arena, false, NULL);
    return eval_fault(v, ERR_MODEL, "an object of %s has no attribute %s", x->type_name, name), NULL;
}

static struct object *in_tuple(struct eval *v, struct object *o, const char *name)
{
    const struct ts_class *c = o->list->type;
    size_t at = 0;
    for (size_t i = 0; c && i < c->n_members; i++) {
        if (!strcmp(c->members[i].name, name) && at < o->list->n) return o->list->items[at];
        at += c->members[i].type != NULL;
    }
    const struct ts_def *def = class_find_def(c, name);
    if (def) return method(v, o, def);
    return eval_fault(v, ERR_MODEL, "a tuple has no attribute %s", name), NULL;
}

struct object *eval_attribute(struct eval *v, struct object *o, const char *name)
{
    switch (o->kind) {
    case OBJECT_NAMESPACE: return in_namespace(v, o, name);
    case OBJECT_CLASS: return in_class(v, o, name);
    case OBJECT_INSTANCE: return in_instance(v, o, name);
    case OBJECT_TUPLE: return in_tuple(v, o, name);
    case OBJECT_ENUM:
        return !strcmp(name, "value") ? o->member->value : object_str(v->arena, OBJECT_STR, o->member->name);
    case OBJECT_UNKNOWN: return o;
    case OBJECT_TENSOR:
    case OBJECT_LIST:
    case OBJECT_DICT:
    case OBJECT_STR: { /* a method of a built-in type: x.tolist() */
        if (!eval_is_builtin(name))
            return eval_fault(v, ERR_MODEL, "a %s has no attribute %s", object_kind_name(o->kind), name), NULL;
        struct object *bound = method(v, o, NULL);
        struct object *space = name_space(v, arena_printf(v->arena, "torch.%s", name));
        if (bound && space) bound->method.builtin = space->text;
        return bound && space ? bound : NULL;
    }
    default: return eval_fault(v, ERR_MODEL, "a %s has no attribute %s", object_kind_name(o->kind), name), NULL;
    }
}

int eval_set_attribute(struct eval *v, struct object *o, const char *name, struct object *value)
{
    if (o->kind == OBJECT_UNKNOWN) return 0;
    if (o->kind != OBJECT_INSTANCE)
        return eval_fault(v, ERR_MODEL, "an attribute of a %s is set", object_kind_name(o->kind));
    v->t.changes += v->t.frozen != 0;
    return map_set(&o->instance->attrs, name, value) ? 0 : fail_nomem(v->err);
}

struct object *eval_new(struct eval *v, const struct ts_class *type)
{
    struct object *o = made(v, OBJECT_INSTANCE);
    if (!o) return NULL;
    if (!(o->instance = ARENA_NEW(v->arena, struct instance))) return fail_nomem(v->err), NULL;
    o->instance->type = type;
    o->instance->type_name = type->name;
    o->instance->attrs = map_in(v->arena);
    return o;
}
