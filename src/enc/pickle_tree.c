/* pickle_tree.c - looking into the trees that pickles make. */
#include "enc/pickle_tree.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/pickle.h"

const char *pickle_kind_name(enum pickle_kind kind)
{
    static const char *const names[] = {
#define X(name, text) text,
        PICKLE_KINDS(X)
#undef X
    };
    return names[kind];
}

static bool is_call(const struct pickle_value *v)
{
    return v && (v->kind == PICKLE_CALL || v->kind == PICKLE_OBJECT);
}

bool pickle_is_global(const struct pickle_value *v, const char *module, const char *name)
{
    return v && v->kind == PICKLE_GLOBAL && !strcmp(v->global->module, module) && !strcmp(v->global->name, name);
}

bool pickle_is_call(const struct pickle_value *v, const char *module, const char *name)
{
    return is_call(v) && pickle_is_global(v->call->function, module, name);
}

bool pickle_is_str(const struct pickle_value *v, const char *text)
{
    return v && v->kind == PICKLE_STR && v->text.len == strlen(text) && !memcmp(v->text.s, text, v->text.len);
}

bool pickle_get_int(const struct pickle_value *v, int64_t *out)
{
    if (!v || (v->kind != PICKLE_INT && v->kind != PICKLE_BOOL)) return false;
    *out = v->kind == PICKLE_INT ? v->integer : v->boolean;
    return true;
}

bool pickle_get_number(const struct pickle_value *v, double *out)
{
    int64_t integer;
    if (pickle_get_int(v, &integer)) return *out = (double)integer, true;
    if (!v || v->kind != PICKLE_FLOAT) return false;
    *out = v->real;
    return true;
}

const struct pickle_items *pickle_seq(const struct pickle_value *v)
{
    if (is_call(v)) return &v->call->items;
    bool seq = v && (v->kind == PICKLE_LIST || v->kind == PICKLE_TUPLE || v->kind == PICKLE_SET);
    return seq ? v->seq : NULL;
}

const struct pickle_pairs *pickle_pairs(const struct pickle_value *v)
{
    if (is_call(v)) return &v->call->pairs;
    return v && v->kind == PICKLE_DICT ? v->dict : NULL;
}

struct pickle_value *pickle_item(const struct pickle_value *v, size_t i)
{
    const struct pickle_items *seq = pickle_seq(v);
    return seq && i < seq->n ? seq->items[i] : NULL;
}

struct pickle_value *pickle_dict_get(const struct pickle_value *v, const char *key)
{
    const struct pickle_pairs *dict = pickle_pairs(v);
    for (size_t i = dict ? dict->n : 0; i-- > 0;)
        if (pickle_is_str(dict->pairs[i].key, key)) return dict->pairs[i].value;
    return NULL;
}

struct pickle_value *pickle_arg(const struct pickle_value *call, size_t i)
{
    return is_call(call) ? pickle_item(call->call->args, i) : NULL;
}

struct pickle_value *pickle_attr(const struct pickle_value *object, const char *key)
{
    return is_call(object) ? pickle_dict_get(object->call->state, key) : NULL;
}

static struct pickle_value *pair_part(const struct pickle_pairs *p, size_t i)
{
    if (i / 2 >= p->n) return NULL;
    return i % 2 ? p->pairs[i / 2].value : p->pairs[i / 2].key;
}

struct pickle_value *pickle_child(const struct pickle_value *v, size_t i)
{
    if (v->kind == PICKLE_DICT) return pair_part(v->dict, i);
    if (v->kind == PICKLE_PERSISTENT) return i ? NULL : v->id;
    if (!is_call(v)) return pickle_item(v, i);
    const struct pickle_call *c = v->call;
    size_t fixed = c->state ? 3 : 2;
    if (i < fixed) return i == 0 ? c->function : i == 1 ? c->args : c->state;
    i -= fixed;
    return i < c->items.n ? c->items.items[i] : pair_part(&c->pairs, i - c->items.n);
}

/* Heights by a walk in depth with its own stack; each value is entered once. */

enum { ON_PATH = UINT16_MAX };

struct frame {
    struct pickle_value *v;
    size_t next;
    unsigned height;
};

/* Takes note of one child: enters it, or reads the height it got before. False when that is too deep. */
static bool visit(struct frame *path, size_t *depth, struct pickle_value *child)
{
    struct frame *f = &path[*depth];
    if (child->height == ON_PATH) return child->in_cycle = true;
    if (child->height) {
        if (child->height + 1u > f->height) f->height = child->height + 1u;
        return f->height <= PICKLE_MAX_DEPTH;
    }
    if (++*depth == PICKLE_MAX_DEPTH) return false;
    child->height = ON_PATH;
    path[*depth] = (struct frame){ child, 0, 1 };
    return true;
}

int pickle_measure(struct pickle_value *root, struct arena *a, const char *path_name, struct err *e)
{
    struct frame *path = ARENA_ARRAY(a, PICKLE_MAX_DEPTH, struct frame);
    TRY_MEM(path, e);
    size_t depth = 0;
    root->height = ON_PATH;
    path[0] = (struct frame){ root, 0, 1 };
    for (;;) {
        struct frame *f = &path[depth];
        struct pickle_value *child = pickle_child(f->v, f->next++);
        if (child) {
            if (!visit(path, &depth, child))
                return fail(e, ERR_MODEL, "%s: offset %zu: values nested more than %d deep", path_name, child->at,
                    PICKLE_MAX_DEPTH);
            continue;
        }
        f->v->height = (uint16_t)f->height;
        if (!depth) return 0;
        struct frame *up = &path[--depth];
        if (f->height + 1 > up->height) up->height = f->height + 1;
        if (up->height > PICKLE_MAX_DEPTH)
            return fail(e, ERR_MODEL, "%s: offset %zu: values nested more than %d deep", path_name, up->v->at,
                PICKLE_MAX_DEPTH);
    }
}
