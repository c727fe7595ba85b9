/* module.c - modules that were pickled as a whole: what they are. */
#include "format/torch/module.h"

#include "base/arena.h"

bool module_is(const struct pickle_value *v)
{
    return v && v->kind == PICKLE_OBJECT && pickle_attr(v, "_parameters") && pickle_attr(v, "_modules");
}

struct pickle_value *module_find(struct pickle_value *root)
{
    if (module_is(root)) return root;
    const struct pickle_pairs *pairs = pickle_pairs(root);
    for (size_t i = 0; pairs && i < pairs->n; i++)
        if (module_is(pairs->pairs[i].value)) return pairs->pairs[i].value;
    return NULL;
}

/* In old files the class is a persistent id: ('module', class, file, source). */
const char *module_class(const struct pickle_value *v, struct arena *a)
{
    const struct pickle_value *f = v->call->function;
    if (f->kind == PICKLE_PERSISTENT) f = pickle_item(f->id, 1);
    if (!f || f->kind != PICKLE_GLOBAL) return arena_strdup(a, "an unknown class");
    return arena_printf(a, "%s.%s", f->global->module, f->global->name);
}
