/* fits.c - which networks of the zoo a file of weights belongs to: by names and shapes. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/weights/weights.h"
#include "graph/graph.h"

/* Numbers that a network may be made with: they show as these dimensions of its weights. */
struct freedom {
    int64_t from, to; /* the row's own number; the file's, 0 as long as none differs */
};

static bool agree(struct freedom *f, int64_t want, int64_t have)
{
    if (want == have && (!f->to || f->to == have || want != f->from)) return true;
    if (want != f->from || (f->to && f->to != have)) return false;
    f->to = have;
    return true;
}

/* Outputs may differ in what the last layer has, inputs in what the first one takes. */
static bool same_shape(
    const struct shape *want, const struct shape *have, struct freedom *classes, struct freedom *channels)
{
    if (want->rank != have->rank) return false;
    for (int d = 0; d < want->rank; d++) {
        if (want->dim[d] == have->dim[d]) continue;
        if (d == 0 ? !agree(classes, want->dim[d], have->dim[d])
                   : d > 1 || !agree(channels, want->dim[d], have->dim[d]))
            return false;
    }
    return true;
}

/* What all names begin with, up to a dot: "model." of a checkpoint of Lightning, "backbone.". */
static size_t common_front(const struct weights *w)
{
    const char *first = w->by_name.n ? w->by_name.entries[0].key : "";
    size_t len = strlen(first);
    for (size_t i = 1; i < w->by_name.n; i++)
        for (size_t k = 0; k < len; k++)
            if (first[k] != w->by_name.entries[i].key[k]) len = k;
    while (len && first[len - 1] != '.') len--;
    return len;
}

bool weights_fit(const struct weights *w, const struct zoo_model *m, struct zoo_options *o)
{
    struct arena a;
    struct err e = { 0 };
    struct zoo_options bare = { .bare = true };
    arena_init(&a, NULL);
    const struct graph *g = zoo_new(m, &bare, &a, &e);
    struct freedom classes = { m->classes, 0 }, channels = { m->channels, 0 };
    bool fits = g && g->n_states;
    size_t counters = 0, front = common_front(w);
    for (size_t i = 0; fits && i < g->n_states; i++) {
        const char *name = arena_printf(
            &a, "%.*s%s", (int)front, w->by_name.n ? w->by_name.entries[0].key : "", g->states[i]->origin->key);
        const struct weight *x = name ? map_get(&w->by_name, name) : NULL;
        fits = x && same_shape(&g->states[i]->shape, &x->tensor->shape, &classes, &channels);
    }
    for (size_t i = 0; i < w->by_name.n; i++) counters += str_ends(w->by_name.entries[i].key, "num_batches_tracked");
    fits = fits && g->n_states + counters == w->by_name.n;
    if (fits) o->classes = classes.to ? classes.to : m->classes;
    if (fits) o->channels = channels.to ? channels.to : m->channels;
    arena_release(&a);
    return fits;
}

const char *weights_known_nets(const struct weights *w, struct arena *a)
{
    struct str s = str_in(a);
    const struct zoo_model *m;
    for (size_t i = 0; (m = zoo_at(i)); i++) {
        struct zoo_options o = { 0 };
        if (!weights_fit(w, m, &o)) continue;
        str_addf(&s, "%s%s", s.len ? ", " : "", m->name);
        if (o.classes != m->classes) str_addf(&s, " with %lld classes", (long long)o.classes);
    }
    const char *text = str_done(&s);
    return text ? text : "";
}
