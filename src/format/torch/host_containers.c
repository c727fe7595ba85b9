/* host_containers.c - lists, dictionaries and strings of TorchScript. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/torch/eval.h"

static bool is_list(const struct object *o)
{
    return object_is(o, OBJECT_LIST) || object_is(o, OBJECT_TUPLE);
}

/* A host int as it is now, with a guard when it depends on shapes. */
static bool get_int(struct host_call *c, size_t i, int64_t otherwise, int64_t *out)
{
    const struct object *o = host_arg(c, i);
    *out = otherwise;
    if (!o || o->kind == OBJECT_NONE) return true;
    if (o->kind != OBJECT_INT) return host_fail(c, "an index that is no int"), false;
    *out = o->integer;
    return !torch_guard(&c->v->t, o);
}

/* An index wrapped into [0, n]. */
static bool get_index(struct host_call *c, size_t i, size_t n, size_t *out)
{
    int64_t k;
    if (!get_int(c, i, -1, &k)) return false;
    if (k < 0) k += (int64_t)n;
    if (k < 0 || (size_t)k > n) return host_fail(c, "an index out of the list"), false;
    *out = (size_t)k;
    return true;
}

static struct object *run_append(struct host_call *c)
{
    struct object *list = host_arg(c, 0), *item = host_arg(c, 1);
    if (!is_list(list) || !item) return host_fail(c, "not for these");
    return object_append(c->v->arena, list, item) ? list : NULL;
}

static struct object *run_extend(struct host_call *c)
{
    struct object *list = host_arg(c, 0), *more = host_arg(c, 1);
    if (!is_list(list) || !is_list(more)) return host_fail(c, "not for these");
    size_t n = more->list->n;
    for (size_t i = 0; i < n; i++)
        if (!object_append(c->v->arena, list, more->list->items[i])) return NULL;
    return list;
}

static struct object *run_insert(struct host_call *c)
{
    struct object *list = host_arg(c, 0), *item = host_arg(c, 2);
    size_t at;
    if (!is_list(list) || !item) return host_fail(c, "not for these");
    if (!get_index(c, 1, list->list->n, &at)) return NULL;
    if (!object_append(c->v->arena, list, item)) return NULL;
    struct object **items = list->list->items;
    memmove(items + at + 1, items + at, (list->list->n - 1 - at) * sizeof *items);
    items[at] = item;
    return object_none(c->v->arena);
}

static struct object *dict_remove(struct object_dict *d, const struct object *key)
{
    for (size_t i = 0; i < d->n; i++) {
        if (!object_equal(d->pairs[i].key, key)) continue;
        struct object *value = d->pairs[i].value;
        memmove(d->pairs + i, d->pairs + i + 1, (--d->n - i) * sizeof *d->pairs);
        return value;
    }
    return NULL;
}

/* pop(list, i = -1), pop(dict, key), Delete(dict, key) */
static struct object *run_pop(struct host_call *c)
{
    struct object *o = host_arg(c, 0), *item;
    size_t at;
    if (object_is(o, OBJECT_DICT) && c->n > 1) {
        item = dict_remove(o->dict, c->args[1]);
        return item ? item : c->n > 2 ? c->args[2] : host_fail(c, "a key that is not there");
    }
    if (!is_list(o) || !o->list->n) return host_fail(c, "not for these");
    if (!get_index(c, 1, o->list->n, &at)) return NULL;
    if (at == o->list->n) return host_fail(c, "an index out of the list");
    item = o->list->items[at];
    memmove(o->list->items + at, o->list->items + at + 1, (--o->list->n - at) * sizeof item);
    return item;
}

static struct object *run_clear(struct host_call *c)
{
    struct object *o = host_arg(c, 0);
    if (is_list(o)) o->list->n = 0;
    else if (object_is(o, OBJECT_DICT)) o->dict->n = 0;
    else return host_fail(c, "not for these");
    return o;
}

static struct object *run_reverse(struct host_call *c)
{
    struct object *o = host_arg(c, 0);
    if (!is_list(o)) return host_fail(c, "not for these");
    for (size_t i = 0, k = o->list->n; i + 1 < k; i++) {
        struct object *item = o->list->items[i];
        o->list->items[i] = o->list->items[--k];
        o->list->items[k] = item;
    }
    return o;
}

static struct object *run_set_item(struct host_call *c)
{
    struct object *o = host_arg(c, 0), *value = host_arg(c, 2);
    size_t at;
    if (!value) return host_fail(c, "an argument is missing");
    if (object_is(o, OBJECT_DICT)) return object_dict_set(c->v->arena, o, c->args[1], value) ? o : NULL;
    if (!is_list(o)) return host_fail(c, "not for these");
    if (!get_index(c, 1, o->list->n, &at)) return NULL;
    if (at == o->list->n) return host_fail(c, "an index out of the list");
    o->list->items[at] = value;
    return o;
}

/* Items from, from + step .. before `to`, also backwards; both lie in the list or just outside. */
static struct object *copy_list(
    struct host_call *c, const struct object_list *l, int64_t from, int64_t to, int64_t step)
{
    struct object *out = object_list(c->v->arena, OBJECT_LIST);
    int64_t most = (int64_t)l->n + 1;
    if (step > most || step < -most) step = step < 0 ? -most : most;
    for (int64_t i = from; out && (step > 0 ? i < to : i > to); i += step)
        if (!object_append(c->v->arena, out, l->items[i])) return NULL;
    return out;
}

/* An end of a slice, as Python has it: from the back when negative, never outside by more than one. */
static int64_t slice_end(int64_t k, int64_t n, int64_t step)
{
    int64_t least = step < 0 ? -1 : 0, most = step < 0 ? n - 1 : n;
    if (k < 0) k = k < -n ? least : k + n;
    return k < least ? least : k > most ? most : k;
}

static struct object *copy_dict(struct host_call *c, const struct object_dict *d, struct object *into)
{
    for (size_t i = 0; into && i < d->n; i++)
        if (!object_dict_set(c->v->arena, into, d->pairs[i].key, d->pairs[i].value)) return NULL;
    return into;
}

/* list(x), copy(x), dict(x), dict(list of pairs), dict() */
static struct object *run_copy(struct host_call *c)
{
    struct object *o = host_arg(c, 0);
    bool dict = strstr(c->name, "dict") != NULL;
    if (!o) return dict ? object_dict(c->v->arena) : object_list(c->v->arena, OBJECT_LIST);
    if (object_is(o, OBJECT_DICT)) return copy_dict(c, o->dict, object_dict(c->v->arena));
    if (object_is(o, OBJECT_STR)) {
        struct object *out = object_list(c->v->arena, OBJECT_LIST);
        for (const char *s = o->text; out && *s; s++) {
            const char *letter = arena_strndup(c->v->arena, s, 1);
            if (!letter || !object_append(c->v->arena, out, object_str(c->v->arena, OBJECT_STR, letter))) return NULL;
        }
        return out;
    }
    if (!is_list(o)) return host_fail(c, "not for these");
    if (!dict) return copy_list(c, o->list, 0, (int64_t)o->list->n, 1);
    struct object *out = object_dict(c->v->arena);
    for (size_t i = 0; out && i < o->list->n; i++) {
        const struct object *pair = o->list->items[i];
        if (!is_list(pair) || pair->list->n != 2) return host_fail(c, "a list of other things than pairs");
        if (!object_dict_set(c->v->arena, out, pair->list->items[0], pair->list->items[1])) return NULL;
    }
    return out;
}

static struct object *run_update(struct host_call *c)
{
    struct object *o = host_arg(c, 0), *more = host_arg(c, 1);
    if (!object_is(o, OBJECT_DICT) || !object_is(more, OBJECT_DICT)) return host_fail(c, "not for these");
    return copy_dict(c, more->dict, o);
}

static struct object *run_get(struct host_call *c)
{
    struct object *o = host_arg(c, 0);
    if (!object_is(o, OBJECT_DICT) || c->n < 2) return host_fail(c, "not for these");
    struct object *found = object_dict_get(o, c->args[1]);
    return found ? found : c->n > 2 ? c->args[2] : object_none(c->v->arena);
}

/* keys, values, items: by the function's last letter but two: k(ey)s, val(ue)s, it(em)s */
static struct object *dict_list(struct host_call *c, int what)
{
    struct object *o = host_arg(c, 0), *out = object_list(c->v->arena, OBJECT_LIST);
    if (!object_is(o, OBJECT_DICT)) return host_fail(c, "not for these");
    for (size_t i = 0; out && i < o->dict->n; i++) {
        struct object_pair *p = &o->dict->pairs[i];
        struct object *item = what == 0 ? p->key : what == 1 ? p->value : object_list(c->v->arena, OBJECT_TUPLE);
        if (what == 2 && item &&
            (!object_append(c->v->arena, item, p->key) || !object_append(c->v->arena, item, p->value)))
            return NULL;
        if (!object_append(c->v->arena, out, item)) return NULL;
    }
    return out;
}
static struct object *run_keys(struct host_call *c)
{
    return dict_list(c, 0);
}
static struct object *run_values(struct host_call *c)
{
    return dict_list(c, 1);
}
static struct object *run_items(struct host_call *c)
{
    return dict_list(c, 2);
}

static struct object *run_contains(struct host_call *c)
{
    struct object *o = host_arg(c, 0), *item = host_arg(c, 1);
    bool found = false;
    if (!item) return host_fail(c, "an argument is missing");
    if (object_is(o, OBJECT_DICT)) return object_bool(c->v->arena, object_dict_get(o, item) != NULL, NULL);
    if (object_is(o, OBJECT_STR) && item->kind == OBJECT_STR)
        return object_bool(c->v->arena, strstr(o->text, item->text) != NULL, NULL);
    if (!is_list(o)) return host_fail(c, "not for these");
    if (torch_guard(&c->v->t, item)) return NULL;
    for (size_t i = 0; i < o->list->n; i++) found |= object_equal(o->list->items[i], item);
    return object_bool(c->v->arena, found, NULL);
}

static struct object *run_slice(struct host_call *c)
{
    struct object *o = host_arg(c, 0);
    int64_t from, to, step;
    bool text = object_is(o, OBJECT_STR);
    if (!is_list(o) && !text) return host_fail(c, "not for these");
    int64_t n = text ? (int64_t)strlen(o->text) : (int64_t)o->list->n;
    if (!get_int(c, 3, 1, &step)) return NULL;
    if (!step || (text && step != 1)) return host_fail(c, text ? "a step of a text" : "a step of 0");
    if (!get_int(c, 1, step < 0 ? n - 1 : 0, &from) || !get_int(c, 2, step < 0 ? -n - 1 : n, &to)) return NULL;
    from = slice_end(from, n, step);
    to = slice_end(to, n, step);
    if (text && from > to) from = to;
    if (!text) return copy_list(c, o->list, from, to, step);
    const char *part = arena_strndup(c->v->arena, o->text + from, (size_t)(to - from));
    return part ? object_str(c->v->arena, OBJECT_STR, part) : NULL;
}

static struct object *run_get_item(struct host_call *c)
{
    struct object *o = host_arg(c, 0);
    size_t at;
    if (object_is(o, OBJECT_DICT) && c->n > 1) {
        struct object *found = object_dict_get(o, c->args[1]);
        return found ? found : host_fail(c, "a key that is not there");
    }
    bool text = object_is(o, OBJECT_STR);
    if (!is_list(o) && !text) return host_fail(c, "not for these");
    size_t n = text ? strlen(o->text) : o->list->n;
    if (!get_index(c, 1, n, &at)) return NULL;
    if (at == n) return host_fail(c, "an index past the end");
    if (!text) return o->list->items[at];
    const char *letter = arena_strndup(c->v->arena, o->text + at, 1);
    return letter ? object_str(c->v->arena, OBJECT_STR, letter) : NULL;
}

static bool truth_of_all(struct host_call *c, bool *all, bool *any)
{
    struct object *o = host_arg(c, 0);
    *all = true;
    *any = false;
    if (!is_list(o)) return host_fail(c, "not for these"), false;
    for (size_t i = 0; i < o->list->n; i++) {
        if (o->list->items[i]->kind == OBJECT_TENSOR) return host_fail(c, "a list of tensors"), false;
        if (torch_guard(&c->v->t, o->list->items[i])) return false;
        *all &= object_truth(o->list->items[i]);
        *any |= object_truth(o->list->items[i]);
    }
    return true;
}
static struct object *run_all(struct host_call *c)
{
    bool all, any;
    return truth_of_all(c, &all, &any) ? object_bool(c->v->arena, all, NULL) : NULL;
}
static struct object *run_any(struct host_call *c)
{
    bool all, any;
    return truth_of_all(c, &all, &any) ? object_bool(c->v->arena, any, NULL) : NULL;
}

static struct object *run_sum(struct host_call *c)
{
    struct object *o = host_arg(c, 0), *total = object_int(c->v->arena, 0, NULL);
    if (!is_list(o)) return host_fail(c, "not for these");
    for (size_t i = 0; total && i < o->list->n; i++)
        total = eval_builtin(c->v, "torch.add", (struct object *[]){ total, o->list->items[i] }, 2, NULL, 0);
    return total;
}

/* Insertion sort: lists of a program are short; longer ones are refused. */
static struct object *run_sorted(struct host_call *c)
{
    enum { SORT_MAX = 4096 };
    struct object *o = host_arg(c, 0);
    if (!is_list(o) || o->list->n > SORT_MAX) return host_fail(c, "not for these");
    bool in_place = !strcmp(c->name, "torch.sort");
    struct object *out = in_place ? o : copy_list(c, o->list, 0, o->list->n, 1);
    if (!out) return NULL;
    struct object **items = out->list->items;
    for (size_t i = 0; i < out->list->n; i++) {
        if (!object_is_number(items[i]) && items[i]->kind != OBJECT_STR) return host_fail(c, "items without an order");
        if (torch_guard(&c->v->t, items[i])) return NULL;
        for (size_t k = i; k && items[k]->kind == items[k - 1]->kind; k--) {
            struct object *x = items[k - 1], *y = items[k];
            if (x->kind == OBJECT_STR ? strcmp(x->text, y->text) <= 0 : object_number(x) <= object_number(y)) break;
            items[k - 1] = y;
            items[k] = x;
        }
    }
    return out;
}

/* Text of an object, as much as messages and file names need. */
static void add_text(struct str *s, const struct object *o, int depth)
{
    char number[40];
    switch (o->kind) {
    case OBJECT_STR:
    case OBJECT_DEVICE: str_add(s, o->text); return;
    case OBJECT_INT: str_addf(s, "%lld", (long long)o->integer); return;
    case OBJECT_FLOAT:
        snprintf(number, sizeof number, "%.17g", o->real);
        str_add(s, number);
        if (!strpbrk(number, ".en")) str_add(s, ".0");
        return;
    case OBJECT_BOOL: str_add(s, o->boolean ? "True" : "False"); return;
    case OBJECT_LIST:
    case OBJECT_TUPLE:
        if (depth > 8 || s->len > 10000) return;
        str_add(s, o->kind == OBJECT_LIST ? "[" : "(");
        for (size_t i = 0; i < o->list->n; i++) {
            if (i) str_add(s, ", ");
            add_text(s, o->list->items[i], depth + 1);
        }
        str_add(s, o->kind == OBJECT_LIST ? "]" : ")");
        return;
    default: str_add(s, object_kind_name(o->kind));
    }
}

static struct object *text_object(struct host_call *c, struct str *s)
{
    const char *text = str_done(s);
    return text ? object_str(c->v->arena, OBJECT_STR, text) : NULL;
}

static struct object *run_str(struct host_call *c)
{
    struct str s = str_in(c->v->arena);
    if (!c->n) return host_fail(c, "an argument is missing");
    add_text(&s, c->args[0], 0);
    return text_object(c, &s);
}

/* Each "{}" is the next argument. */
static struct object *run_format(struct host_call *c)
{
    struct str s = str_in(c->v->arena);
    size_t next = 1;
    if (!object_is(host_arg(c, 0), OBJECT_STR)) return host_fail(c, "not for these");
    for (const char *p = c->args[0]->text; *p; p++) {
        if (p[0] == '{' && p[1] == '}' && next < c->n) {
            add_text(&s, c->args[next++], 0);
            p++;
        } else str_addc(&s, *p);
    }
    return text_object(c, &s);
}

static struct object *run_find(struct host_call *c)
{
    const struct object *o = host_arg(c, 0), *part = host_arg(c, 1);
    if (!object_is(o, OBJECT_STR) || !object_is(part, OBJECT_STR)) return host_fail(c, "not for these");
    const char *at = strstr(o->text, part->text);
    return object_int(c->v->arena, at ? at - o->text : -1, NULL);
}

static struct object *run_starts_with(struct host_call *c)
{
    const struct object *o = host_arg(c, 0), *part = host_arg(c, 1);
    if (!object_is(o, OBJECT_STR) || !object_is(part, OBJECT_STR)) return host_fail(c, "not for these");
    bool ends = strstr(c->name, "endswith") != NULL;
    return object_bool(c->v->arena, ends ? str_ends(o->text, part->text) : str_starts(o->text, part->text), NULL);
}

static struct object *run_join(struct host_call *c)
{
    const struct object *glue = host_arg(c, 0), *list = host_arg(c, 1);
    struct str s = str_in(c->v->arena);
    if (!object_is(glue, OBJECT_STR) || !is_list(list)) return host_fail(c, "not for these");
    for (size_t i = 0; i < list->list->n; i++) {
        if (i) str_add(&s, glue->text);
        add_text(&s, list->list->items[i], 0);
    }
    return text_object(c, &s);
}

const struct host_row host_containers[] = {
    { "append", run_append, false, true },
    { "extend", run_extend },
    { "insert", run_insert, false, true },
    { "pop", run_pop },
    { "Delete", run_pop },
    { "clear", run_clear },
    { "reverse", run_reverse },
    { "_set_item", run_set_item, false, true },
    { "list", run_copy },
    { "copy", run_copy, true },
    { "dict", run_copy },
    { "update", run_update },
    { "get", run_get },
    { "keys", run_keys },
    { "values", run_values },
    { "items", run_items },
    { "__contains__", run_contains },
    { "slice", run_slice, true },
    { "__getitem__", run_get_item },
    { "all", run_all, true },
    { "any", run_any, true },
    { "sum", run_sum, true },
    { "sorted", run_sorted },
    { "sort", run_sorted, true },
    { "str", run_str, false, true },
    { "format", run_format, false, true },
    { "find", run_find },
    { "startswith", run_starts_with },
    { "endswith", run_starts_with },
    { "join", run_join },
    { 0 },
};
