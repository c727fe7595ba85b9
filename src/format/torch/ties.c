/* ties.c - weights that a module has in several places: the names by which its state_dict would have them, too. */
#include "format/torch/ties.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/parse.h"
#include "format/weights/ties.h"

enum { DEPTH = 100, WAYS = 20000 }; /* places looked at: a file may have more of them than there is time for */

struct walk {
    struct eval *v;
    json_t *ties;
    size_t ways;
};

static bool lists_name(const struct ts_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (!strcmp(names->items[i], name)) return true;
    return false;
}

static int walk(struct walk *w, const struct instance *x, const char *path, int depth)
{
    if (depth > DEPTH || ++w->ways > WAYS) return 0;
    for (size_t i = 0; i < x->attrs.n; i++) {
        const struct object *o = x->attrs.entries[i].value;
        const char *name = x->attrs.entries[i].key;
        bool tensor = o->kind == OBJECT_TENSOR && o->tensor->state && x->type &&
            (lists_name(&x->type->parameters, name) || lists_name(&x->type->buffers, name));
        if (!tensor && o->kind != OBJECT_INSTANCE) continue;
        const char *key = arena_printf(w->v->arena, "%s%s%s", path, path[0] ? "." : "", name);
        TRY_MEM(key, w->v->err);
        if (!tensor) TRY(walk(w, o->instance, key, depth + 1));
        else if (strcmp(key, o->tensor->key) && json_object_set_new(w->ties, key, json_string(o->tensor->key)))
            return fail_nomem(w->v->err);
    }
    return 0;
}

int ties_collect(struct eval *v)
{
    struct walk w = { v, json_object(), 0 };
    if (w.ties && object_is(v->root, OBJECT_INSTANCE) && walk(&w, v->root->instance, "", 0))
        return json_decref(w.ties), v->err->code;
    return ties_put(v->t.g, w.ties, v->err);
}
