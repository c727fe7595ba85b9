/* zoo.c - the list of families, and building one. */
#include "zoo/zoo.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "ops/registry.h"
#include "zoo/net.h"

#define X(name) extern const struct zoo_model zoo_##name[];
#include "zoo/zoo_list.h"
#undef X

static const struct zoo_model *const families[] = {
#define X(name) zoo_##name,
#include "zoo/zoo_list.h"
#undef X
};

const struct zoo_model *zoo_at(size_t i)
{
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++)
        for (const struct zoo_model *m = families[f]; m->name; m++)
            if (!i--) return m;
    return NULL;
}

const struct zoo_model *zoo_find(const char *name, struct err *e)
{
    const char *names[256];
    size_t n = 0;
    for (const struct zoo_model *m; n < 256 && (m = zoo_at(n)); n++) {
        if (!strcmp(m->name, name)) return m;
        names[n] = m->name;
    }
    const char *near = str_closest(name, names, n);
    fail(e, ERR_USAGE, "the zoo has no \"%s\"%s%s%s (tenrec zoo list)", name, near ? ", did you mean \"" : "",
        near ? near : "", near ? "\"?" : "");
    return NULL;
}

static int64_t either(int64_t given, int64_t fallback)
{
    return given ? given : fallback;
}

struct graph *zoo_new(const struct zoo_model *m, struct zoo_options *o, struct arena *a, struct err *e)
{
    struct graph *g = graph_new(a, &op_registry, m->name, e);
    if (!g) return NULL;
    o->classes = either(o->classes, m->classes);
    o->channels = either(o->channels, m->channels);
    o->height = either(o->height, m->height);
    o->width = either(o->width, m->width);
    struct shape s = shape_of(4,
        (int64_t[]){ graph_symbol(g, "N"), o->channels, o->height > 0 ? o->height : graph_symbol(g, "H"),
            o->width > 0 ? o->width : graph_symbol(g, "W") });
    struct net n = { .b = { g, e }, .seed = o->seed, .bare = o->bare };
    struct value *x = graph_input(g, "input", DT_F32, &s, e), *out = x ? m->build(&n, x, m, o) : NULL;
    if (e->code) return err_prefix(e, "%s", m->name), NULL;
    if (graph_rename(g, out, "output", e) || graph_output(g, out, e) || graph_tidy(g, e)) return NULL;
    return g;
}
