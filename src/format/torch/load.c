/* load.c - pickled modules and constants as objects; their weights as states of the graph. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "format/torch/quantized.h"
#include "format/torch/ties.h"

struct load {
    struct eval *v;
    const char *folder; /* of storages: "data" or "constants" */
    int depth;
};

static struct object *convert(struct load *l, struct pickle_value *p);

static struct object *none_left(struct load *l)
{
    if (!l->v->err->code) fail_nomem(l->v->err);
    return NULL;
}

static struct object *convert_list(struct load *l, struct pickle_value *p, enum object_kind kind)
{
    const struct pickle_items *items = pickle_seq(p);
    struct object *list = p->user = object_list(l->v->arena, kind);
    for (size_t i = 0; list && items && i < items->n; i++)
        if (!object_append(l->v->arena, list, convert(l, items->items[i]))) return none_left(l);
    return list ? list : none_left(l);
}

static struct object *convert_dict(struct load *l, struct pickle_value *p)
{
    const struct pickle_pairs *pairs = pickle_pairs(p);
    struct object *dict = p->user = object_dict(l->v->arena);
    for (size_t i = 0; dict && pairs && i < pairs->n; i++) {
        struct object *key = convert(l, pairs->pairs[i].key), *value = key ? convert(l, pairs->pairs[i].value) : NULL;
        if (!object_dict_set(l->v->arena, dict, key, value)) return none_left(l);
    }
    return dict ? dict : none_left(l);
}

/* The same memory seen in the same way is the same tensor. Its graph value is made when its name is known. */
struct object *eval_tensor(struct eval *v, const struct pickle_value *p, const char *folder)
{
    struct pickled_tensor given;
    if (archive_read_tensor(v->archive, p, folder, &given)) return NULL;
    struct object *known = map_get(&v->tensors, given.identity);
    if (known) return known;
    struct torch_tensor *t = ARENA_NEW(v->arena, struct torch_tensor);
    struct object *o = object_tensor(v->arena, t);
    if (!t || !o || !map_set(&v->tensors, given.identity, o)) return fail_nomem(v->err), NULL;
    t->data = given.tensor;
    t->quantized = given.quantized;
    t->dense = true;
    return o;
}

static const char *qualified(struct load *l, const struct pickle_value *p)
{
    const struct pickle_value *f = p->call->function;
    if (f->kind != PICKLE_GLOBAL) return fail(l->v->err, ERR_MODEL, "an object without a class"), NULL;
    const char *name = arena_printf(l->v->arena, "%s.%s", f->global->module, f->global->name);
    return name ? name : (fail_nomem(l->v->err), NULL);
}

/* The attributes of an object come as a dictionary, or its class has a __setstate__ that makes them of something
 * else. */
static struct object *convert_instance(struct load *l, struct pickle_value *p)
{
    struct eval *v = l->v;
    struct instance *x = ARENA_NEW(v->arena, struct instance);
    struct object *o = object_none(v->arena), *state = NULL;
    if (!x || !o) return none_left(l);
    p->user = o;
    o->kind = OBJECT_INSTANCE;
    o->instance = x;
    x->attrs = map_in(v->arena);
    if (!(x->type_name = qualified(l, p))) return NULL;
    x->type = eval_find_class(v, x->type_name);
    if (v->err->code) return NULL;
    const struct ts_def *set = x->type ? class_find_def(x->type, "__setstate__") : NULL;
    if (p->call->state && !(state = convert(l, p->call->state))) return NULL;
    x->state = state;
    if (!x->type && quantized_open_state(v, x)) return NULL;
    if (set) return eval_method(v, o, set, &state, state ? 1 : 0) ? o : NULL;
    for (size_t i = 0; object_is(state, OBJECT_DICT) && i < state->dict->n; i++) {
        const struct object_pair *pair = &state->dict->pairs[i];
        if (pair->key->kind == OBJECT_STR && !map_set(&x->attrs, pair->key->text, pair->value)) return none_left(l);
    }
    return o;
}

/* Color(2) as pickled: the member of the class whose value it is. */
static struct object *convert_enum(struct load *l, struct pickle_value *p)
{
    struct eval *v = l->v;
    const char *name = qualified(l, p);
    const struct ts_class *c = name ? eval_find_class(v, name) : NULL;
    struct pickle_value *given = p->call->args;
    if (given && given->kind == PICKLE_TUPLE) given = pickle_item(given, 0);
    struct object *value = c && given ? convert(l, given) : NULL, *type = object_none(v->arena);
    if (v->err->code || !type) return none_left(l);
    type->kind = OBJECT_CLASS;
    type->type = c;
    for (size_t i = 0; c && value && i < c->n_members; i++) {
        struct object *member = eval_attribute(v, type, c->members[i].name);
        if (!member) return NULL;
        if (member->kind == OBJECT_ENUM && object_equal(member->member->value, value)) return p->user = member;
    }
    return fail(v->err, ERR_MODEL, "the pickle holds a %s that is no member of it", name ? name : "?"), NULL;
}

static struct object *convert_call(struct load *l, struct pickle_value *p)
{
    static const char *const lists[] = { "build_intlist", "build_tensorlist", "build_doublelist", "build_boollist",
        "restore_type_tag" };
    struct eval *v = l->v;
    const struct pickle_value *f = p->call->function;
    if (f->kind != PICKLE_GLOBAL) return fail(v->err, ERR_MODEL, "a call of something that is no name"), NULL;
    for (int i = 0; i < 5; i++)
        if (pickle_is_call(p, "torch.jit._pickle", lists[i]) && pickle_arg(p, 0))
            return p->user = convert(l, pickle_arg(p, 0));
    if (!strcmp(f->global->module, "torch._utils")) return p->user = eval_tensor(l->v, p, l->folder);
    if (pickle_is_call(p, "torch", "device")) return p->user = object_str(v->arena, OBJECT_DEVICE, "cpu");
    if (pickle_is_call(p, "collections", "OrderedDict")) return convert_dict(l, p);
    if (str_starts(f->global->module, "__torch__")) return convert_enum(l, p);
    return fail(v->err, ERR_UNSUPPORTED, "the pickle calls %s.%s", f->global->module, f->global->name), NULL;
}

static struct object *convert_plain(struct load *l, const struct pickle_value *p)
{
    struct arena *a = l->v->arena;
    switch (p->kind) {
    case PICKLE_NONE: return object_none(a);
    case PICKLE_BOOL: return object_bool(a, p->boolean, NULL);
    case PICKLE_INT: return object_int(a, p->integer, NULL);
    case PICKLE_FLOAT: return object_float(a, p->real, NULL);
    case PICKLE_STR: return object_str(a, OBJECT_STR, p->text.s);
    default:
        return fail(l->v->err, ERR_UNSUPPORTED, "the pickle holds %s at offset %zu", pickle_kind_name(p->kind), p->at),
               NULL;
    }
}

static struct object *convert_value(struct load *l, struct pickle_value *p)
{
    switch (p->kind) {
    case PICKLE_LIST: return convert_list(l, p, OBJECT_LIST);
    case PICKLE_TUPLE: return convert_list(l, p, OBJECT_TUPLE);
    case PICKLE_DICT: return convert_dict(l, p);
    case PICKLE_OBJECT: return convert_instance(l, p);
    case PICKLE_CALL: return convert_call(l, p);
    default: return p->user = convert_plain(l, p);
    }
}

static struct object *convert(struct load *l, struct pickle_value *p)
{
    if (p->user) return p->user;
    if (l->depth == PICKLE_MAX_DEPTH)
        return fail(l->v->err, ERR_MODEL, "objects are nested too deep in the pickle"), NULL;
    l->depth++;
    struct object *o = convert_value(l, p);
    l->depth--;
    return o ? o : none_left(l);
}

static bool lists(const struct ts_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (!strcmp(names->items[i], name)) return true;
    return false;
}

static bool is_assigned(const struct ts_block *b, const char *name)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct ts_stmt *s = b->items[i];
        for (size_t k = 0; k < s->targets.n; k++)
            if (s->targets.items[k]->kind == EXPR_ATTR && !strcmp(s->targets.items[k]->text, name)) return true;
        if (is_assigned(&s->body, name) || is_assigned(&s->otherwise, name)) return true;
    }
    return false;
}

/* Does any method of the class assign to the attribute? */
static bool is_written(const struct ts_class *c, const char *name)
{
    for (size_t i = 0; c && i < c->n_defs; i++)
        if (is_assigned(&c->defs[i]->body, name)) return true;
    return false;
}

/* Parameters and floating buffers are states; so is what the code writes. The rest are constants, which may be
 * folded. */
int eval_bind_tensor(struct eval *v, struct torch_tensor *t, const char *key, unsigned flags, bool state)
{
    struct arena *keep = v->t.g->arena;
    struct origin *origin = ARENA_NEW(keep, struct origin);
    if (!origin || !(origin->key = arena_strdup(keep, key))) return fail_nomem(v->err);
    t->key = origin->key;
    if (t->quantized) return quantized_bind(v, t, key);
    t->value = state ? graph_state(v->t.g, key, t->data, flags, v->err) : graph_const(v->t.g, key, t->data, v->err);
    if (!t->value) return v->err->code;
    t->value->origin = origin;
    t->state = state ? t->value : NULL;
    return 0;
}

/* Whole numbers are constants, so that they may be folded; the file's own copy is a state that nothing reads. */
int eval_keep_buffer(struct eval *v, const struct tensor *data, const char *key)
{
    struct torch_tensor t = { .data = data };
    return eval_bind_tensor(v, &t, key, VALUE_KEPT, true);
}

static int bind_attribute(struct eval *v, const struct slot *s)
{
    const struct instance *x = s->owner;
    struct torch_tensor *t = s->initial->tensor;
    if (t->value) return 0;
    bool parameter = x->type && lists(&x->type->parameters, s->name);
    bool buffer = x->type && lists(&x->type->buffers, s->name);
    /* scale and zero point of torch's own quantized modules are asked for as numbers */
    bool number = tensor_count(t->data) == 1 && x->type_name && strstr(x->type_name, ".quantized.modules.");
    bool state = parameter || (dtype_is_float(t->data->dtype) && !number) || is_written(x->type, s->name) ||
        map_find(v->settled, s->key);
    if (parameter) v->frozen = false;
    if (buffer && !state) TRY(eval_keep_buffer(v, t->data, s->key));
    unsigned kept = parameter || buffer ? VALUE_KEPT : 0;
    return eval_bind_tensor(v, t, s->key, kept | (parameter ? VALUE_TRAINABLE : 0), state);
}

/* The object an attribute has once the model has run; zeros for a tensor. */
static struct object *settled_object(struct eval *v, const struct settled *s)
{
    switch (s->kind) {
    case OBJECT_BOOL: return object_bool(v->arena, s->number != 0, NULL);
    case OBJECT_INT: return object_int(v->arena, (int64_t)s->number, NULL);
    case OBJECT_FLOAT: return object_float(v->arena, s->number, NULL);
    default: break;
    }
    struct torch_tensor *t = ARENA_NEW(v->arena, struct torch_tensor);
    if (!t || !(t->data = tensor_new(v->t.g->arena, s->dtype, &s->shape, v->err))) return NULL;
    t->dense = true;
    return object_tensor(v->arena, t);
}

/* Remembers an attribute, as it is or as it is to begin with. */
static int add_slot(struct eval *v, struct instance *x, struct map_entry *attr)
{
    struct slot slot = { x, attr->key, NULL, attr->value };
    const struct object *o = attr->value;
    if (o->kind != OBJECT_TENSOR && o->kind != OBJECT_NONE && !object_is_number(o)) return 0;
    slot.key = arena_printf(v->arena, "%s%s%s", x->path, x->path[0] ? "." : "", attr->key);
    TRY_MEM(slot.key, v->err);
    const struct settled *settled = map_get(v->settled, slot.key);
    if (settled && !(attr->value = slot.initial = settled_object(v, settled))) return fail_nomem(v->err);
    if (!ARRAY_PUSH(v->arena, v->slots, v->n_slots, v->cap_slots, slot)) return fail_nomem(v->err);
    return slot.initial->kind == OBJECT_TENSOR ? bind_attribute(v, &slot) : 0;
}

/* A tensor that belongs to no attribute: a weight or a constant. */
static int bind_constant(struct eval *v, struct torch_tensor *t, const char *key, bool weights)
{
    bool weight = weights && dtype_is_float(t->data->dtype) && tensor_count(t->data) > 1;
    return t->value ? 0 : eval_bind_tensor(v, t, key, weight ? VALUE_TRAINABLE : 0, weight);
}

/* Weight and bias lead the state of an object of torch's own classes. */
static int bind_packed(struct eval *v, const struct instance *x, const char *key)
{
    static const char *const names[] = { "weight", "bias" };
    for (size_t i = 0; object_is(x->state, OBJECT_TUPLE) && i < 2 && i < x->state->list->n; i++) {
        struct object *o = x->state->list->items[i];
        const char *full = arena_printf(v->arena, "%s.%s", key, names[i]);
        TRY_MEM(full, v->err);
        if (object_is(o, OBJECT_TENSOR)) TRY(bind_constant(v, o->tensor, full, true));
    }
    return 0;
}

/* Tensors in lists, tuples and dictionaries of attributes; nested modules in them too. */
static int walk(struct eval *v, struct object *o, const char *path, int depth);

static int walk_items(struct eval *v, struct object *o, const char *path, int depth)
{
    size_t n = o->kind == OBJECT_DICT ? o->dict->n : o->list->n;
    for (size_t i = 0; i < n; i++) {
        struct object *item = o->kind == OBJECT_DICT ? o->dict->pairs[i].value : o->list->items[i];
        const char *below = arena_printf(v->arena, "%s.%zu", path, i);
        TRY_MEM(below, v->err);
        TRY(walk(v, item, below, depth + 1));
    }
    return 0;
}

static int walk_instance(struct eval *v, struct instance *x, const char *path, int depth)
{
    if (x->path) return 0;
    x->path = path;
    TRY(bind_packed(v, x, path));
    for (size_t i = 0; i < x->attrs.n; i++) /* its own tensors first, as in a state_dict */
        TRY(add_slot(v, x, &x->attrs.entries[i]));
    for (size_t i = 0; i < x->attrs.n; i++) {
        const char *below = arena_printf(v->arena, "%s%s%s", path, path[0] ? "." : "", x->attrs.entries[i].key);
        TRY_MEM(below, v->err);
        TRY(walk(v, x->attrs.entries[i].value, below, depth + 1));
    }
    return 0;
}

static int walk(struct eval *v, struct object *o, const char *path, int depth)
{
    if (depth > PICKLE_MAX_DEPTH) return fail(v->err, ERR_MODEL, "modules are nested too deep");
    if (object_is(o, OBJECT_INSTANCE)) return walk_instance(v, o->instance, path, depth);
    if (object_is(o, OBJECT_LIST) || object_is(o, OBJECT_TUPLE) || object_is(o, OBJECT_DICT))
        return walk_items(v, o, path, depth);
    if (!object_is(o, OBJECT_TENSOR) || o->tensor->value) return 0;
    return eval_bind_tensor(v, o->tensor, path, 0, dtype_is_float(o->tensor->data->dtype));
}

/* In a frozen archive the weights are constants of the code: floats of more than one element. */
static int bind_constants(struct eval *v)
{
    for (size_t i = 0; i < v->constants->list->n; i++) {
        struct object *o = v->constants->list->items[i];
        const char *key = arena_printf(v->arena, "constants.%zu", i);
        TRY_MEM(key, v->err);
        if (object_is(o, OBJECT_TENSOR)) TRY(bind_constant(v, o->tensor, key, v->frozen));
        else if (object_is(o, OBJECT_INSTANCE)) TRY(bind_packed(v, o->instance, key));
    }
    return 0;
}

int eval_bind_root(struct eval *v)
{
    TRY(walk(v, v->root, "", 0));
    return ties_collect(v);
}

int eval_load(struct eval *v, struct report *report)
{
    struct load data = { v, "data", 0 }, constants = { v, "constants", 0 };
    v->frozen = true;
    v->tensors = map_in(v->arena);
    struct pickle_value *p = archive_pickle(v->archive, "constants.pkl", report);
    if (!p || !(v->constants = convert(&constants, p))) return v->err->code;
    if (v->constants->kind != OBJECT_TUPLE) return fail(v->err, ERR_MODEL, "constants.pkl holds no tuple");
    p = archive_pickle(v->archive, "data.pkl", report);
    if (!p || !(v->root = convert(&data, p))) return v->err->code;
    if (v->root->kind != OBJECT_INSTANCE || !v->root->instance->type)
        return fail(v->err, ERR_MODEL, "data.pkl holds no module whose class is in the archive");
    TRY(eval_bind_root(v));
    return bind_constants(v);
}
