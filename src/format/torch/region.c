/* region.c - parts of a program that run only sometimes, or again and again: what they change of what was there before.
 *
 * A part on data is interpreted like any other, its nodes come into the graph; then they are made a body once more. So
 * what the part does to names, lists and tensors must be known, undone, and said as results of the If or Loop.
 */
#include "format/torch/region.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"

enum { DEPTH = 8 };

static int keep_list(struct eval *v, struct region *r, struct object_list *list, int depth);

static int keep(struct eval *v, struct region *r, const struct object *o, int depth)
{
    if (!o || depth > DEPTH) return 0;
    if (o->kind == OBJECT_LIST || o->kind == OBJECT_TUPLE) return keep_list(v, r, o->list, depth);
    for (size_t i = 0; o->kind == OBJECT_DICT && i < o->dict->n; i++)
        TRY(keep(v, r, o->dict->pairs[i].value, depth + 1));
    return 0;
}

static int keep_list(struct eval *v, struct region *r, struct object_list *list, int depth)
{
    for (size_t i = 0; i < r->n_lists; i++)
        if (r->lists[i].list == list) return 0;
    struct kept_list k = { list, ARENA_ARRAY(v->arena, list->n, struct object *), list->n };
    if (!k.items || !ARRAY_PUSH(v->arena, r->lists, r->n_lists, r->cap_lists, k)) return fail_nomem(v->err);
    if (list->n) memcpy(k.items, list->items, list->n * sizeof *k.items);
    for (size_t i = 0; i < list->n; i++) TRY(keep(v, r, list->items[i], depth + 1));
    return 0;
}

int region_begin(struct eval *v, struct region *r, const struct map *locals)
{
    *r = (struct region){ .locals = locals, .changes = v->t.changes, .frozen = v->t.frozen };
    r->guards = v->t.g->n_guards;
    r->first_write = v->t.first_write;
    for (size_t i = 0; i < locals->n; i++) TRY(keep(v, r, locals->entries[i].value, 0));
    TRY(torch_settle(&v->t));
    v->t.frozen = ++v->t.serial;
    v->t.first_write = v->t.n_writes;
    r->first = v->t.g->n_nodes;
    return 0;
}

/* Tensors get their old content back; what they had become is put aside. */
static int take_back_writes(struct eval *v, struct region *r)
{
    struct torch *t = &v->t;
    r->n_writes = t->n_writes - t->first_write;
    if (!(r->writes = ARENA_ARRAY(v->arena, r->n_writes, struct torch_write))) return fail_nomem(v->err);
    for (size_t i = 0; i < r->n_writes; i++) {
        struct torch_write *w = &r->writes[i];
        *w = t->writes[t->first_write + i];
        w->after = w->tensor->value;
        w->tensor->value = w->before;
        w->tensor->version++; /* views of what it had become are derived again */
    }
    t->n_writes = t->first_write;
    t->first_write = r->first_write;
    return 0;
}

int region_end(struct eval *v, struct region *r, const char *what)
{
    v->t.frozen = r->frozen;
    TRY(take_back_writes(v, r));
    if (v->t.changes != r->changes) return eval_fault(v, ERR_UNSUPPORTED, "%s sets an attribute of a module", what);
    TRY(torch_settle(&v->t));
    r->last = v->t.g->n_nodes;
    return 0;
}

bool region_list_changed(const struct kept_list *k)
{
    return k->list->n != k->n || (k->n && memcmp(k->list->items, k->items, k->n * sizeof *k->items) != 0);
}

void region_restore_list(const struct kept_list *k)
{
    if (k->n) memcpy(k->list->items, k->items, k->n * sizeof *k->items);
    k->list->n = k->n;
}

int region_copy_names(struct map *to, const struct map *from, struct err *e)
{
    for (size_t i = 0; i < from->n; i++)
        if (!map_set(to, from->entries[i].key, from->entries[i].value)) return fail_nomem(e);
    return 0;
}

struct value *region_value(struct eval *v, const struct object *o, enum dtype t)
{
    static const enum dtype types[] = { [OBJECT_BOOL] = DT_BOOL, [OBJECT_INT] = DT_I64, [OBJECT_FLOAT] = DT_F64 };
    if (o->kind == OBJECT_TENSOR) return torch_tensor_read(&v->t, o->tensor);
    if (!object_is_number(o)) return NULL;
    return torch_scalar(&v->t, o, t ? t : types[o->kind]);
}

struct object *region_result(struct eval *v, struct value *x, const struct object *like)
{
    struct object *o = torch_object(&v->t, x);
    if (o) o->number = object_is_number(like) || like->number;
    return o;
}
