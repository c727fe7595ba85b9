/* weights_path.c - weights of .keras and .weights.h5 files: by the path of the object that owns them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "format/keras/ops.h"
#include "format/keras/weights.h"

enum { DEPTH_MAX = 24, PATH_LONG = 2000 };

/* Objects with variables: "layers/dense_1" -> its group "vars", with the path as the file has it. */
struct owner {
    struct shard *shard;
    struct hdf5_object *vars;
    const char *path;
    struct owner *next; /* the same object in another file, with other variables */
};
struct owners {
    struct map by_path; /* in the order of the file */
    struct map seen;    /* groups visited of this file, by address */
    struct shard *shard;
};

/* Paths of Windows, and of TF-Keras 2.12 to 2.14. */
static const char *ordinary(struct keras *k, const char *path)
{
    static const char other[] = "_layer_checkpoint_dependencies";
    struct str s = str_in(&k->scratch);
    for (const char *p = path; *p; p++) {
        if (*p == '\\') str_addc(&s, '/');
        else if (!strncmp(p, other, sizeof other - 1)) str_add(&s, "layers"), p += sizeof other - 2;
        else str_addc(&s, *p);
    }
    return str_done(&s);
}

static int visit(struct keras *k, struct owners *o, struct hdf5_object *group, const char *path, int depth)
{
    char seen[24];
    snprintf(seen, sizeof seen, "%llx", (unsigned long long)group->address);
    if (map_get(&o->seen, seen) || depth > DEPTH_MAX || strlen(path) > PATH_LONG) return 0;
    if (!map_set(&o->seen, seen, group)) return fail_nomem(k->err);
    for (size_t i = 0; i < group->links.n; i++) {
        const char *name = group->links.entries[i].key;
        struct hdf5_object *child = hdf5_child(&o->shard->h5, group, name, k->err);
        const char *below = arena_printf(&k->scratch, "%s%s%s", path, *path ? "/" : "", name);
        if (k->err->code) return k->err->code;
        if (!below) return fail_nomem(k->err);
        if (!child || child->kind != HDF5_GROUP) continue;
        if (!strcmp(name, "vars") && child->links.n) {
            struct owner *own = ARENA_NEW(&k->scratch, struct owner);
            const char *as = ordinary(k, path);
            if (!own || !as) return fail_nomem(k->err);
            *own = (struct owner){ o->shard, child, below, map_get(&o->by_path, as) };
            if (!map_set(&o->by_path, as, own)) return fail_nomem(k->err);
        }
        TRY(visit(k, o, child, below, depth + 1));
    }
    return 0;
}

/* Has an object at this path variables, or one below it? */
static bool owns(const struct owners *o, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < o->by_path.n; i++) {
        const char *p = o->by_path.entries[i].key;
        if (!strncmp(p, path, len) && (p[len] == '/' || !p[len])) return true;
    }
    return false;
}

/* Variable `index` of the object at `path`; tf.keras has a '_' before private attributes. */
static int find_variable(struct keras *k, const struct owners *o, const char *path, size_t index, struct weight *w)
{
    char number[24];
    struct owner *own = map_get(&o->by_path, path);
    const char *last = strrchr(path, '/');
    if (!own && last) {
        const char *hidden = arena_printf(&k->scratch, "%.*s/_%s", (int)(last - path), path, last + 1);
        if (!hidden) return fail_nomem(k->err);
        own = map_get(&o->by_path, hidden);
    }
    snprintf(number, sizeof number, "%zu", index);
    for (w->data = NULL; own; own = own->next) {
        w->shard = own->shard;
        w->data = hdf5_child(&own->shard->h5, own->vars, number, k->err);
        if (k->err->code) return k->err->code;
        if (w->data && w->data->kind == HDF5_DATASET) break;
    }
    if (!own) return w->data = NULL, 0; /* told when it is wanted */
    w->key = arena_printf(k->keep, "%s/%s", own->path, number);
    return w->key ? 0 : fail_nomem(k->err);
}

static int find_own(struct keras *k, const struct owners *o, struct layer *l, const char *path)
{
    for (size_t i = 0; i < l->n_weights; i++) {
        struct weight *w = &l->weights[i];
        size_t index = 0;
        for (size_t before = 0; before < i; before++) index += !strcmp(l->weights[before].child, w->child);
        const char *at = *w->child ? arena_printf(&k->scratch, "%s/%s", path, w->child) : path;
        if (!at) return fail_nomem(k->err);
        TRY(find_variable(k, o, at, index, w));
    }
    return 0;
}

static bool is_weighty(struct keras *k, struct layer *l)
{
    struct weight_list all;
    return !weight_list_of(k, l, false, &all) && all.n > 0;
}

static int by_number(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

/* The numbers N of "BASE/CLASS_N" that own something (0: without a number), ascending. */
static int numbers_of(struct keras *k, const struct owners *o, const char *base, long **out, size_t *n)
{
    size_t len = strlen(base), cap = 0;
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < o->by_path.n; i++) {
        const char *p = o->by_path.entries[i].key;
        char *end;
        if (strncmp(p, base, len)) continue;
        long number = p[len] == '_' && isdigit((unsigned char)p[len + 1]) ? strtol(p + len + 1, &end, 10) : 0;
        if (!number) end = (char *)(uintptr_t)p + len;
        if (*end && *end != '/') continue;
        bool known = false;
        for (size_t s = 0; s < *n; s++) known |= (*out)[s] == number;
        if (!known && !ARRAY_PUSH(&k->scratch, *out, *n, cap, number)) return fail_nomem(k->err);
    }
    if (*n) qsort(*out, *n, sizeof **out, by_number);
    return 0;
}

/* The layer's group, by what Python calls its class, which is registered under another name once: CLASS, CLASS_1,
 * CLASS_2 .. counted over all layers of its class. TF-Keras 2.12 counts those with weights twice; so where as many
 * groups own something as layers have weights, they belong together in order. */
static int path_of(struct keras *k, const struct owners *o, const struct layer *model, size_t place, const char *base,
    const char **out)
{
    char class[128];
    long *numbers, count = 0, weighty = 0, before = 0;
    size_t n;
    const char *name = model->sub[place]->class_name;
    snake_case(strcmp(name, "GroupQueryAttention") ? name : "GroupedQueryAttention", class, sizeof class);
    const char *path = arena_printf(&k->scratch, "%s/%s", base, class);
    if (!path) return fail_nomem(k->err);
    for (size_t i = 0; i < model->n_sub; i++) {
        if (strcmp(model->sub[i]->class_name, model->sub[place]->class_name)) continue;
        bool has = is_weighty(k, model->sub[i]);
        if (i < place) count++, before += has;
        weighty += has;
    }
    TRY(numbers_of(k, o, path, &numbers, &n));
    if ((long)n == weighty && before < weighty) count = numbers[before];
    *out = count ? arena_printf(&k->scratch, "%s_%ld", path, count) : path;
    return *out ? 0 : fail_nomem(k->err);
}

static int find_all(struct keras *k, const struct owners *o, struct layer *l, const char *path)
{
    TRY(find_own(k, o, l, path));
    for (size_t i = 0; i < l->n_sub; i++) {
        struct layer *s = l->sub[i];
        const char *below;
        if (!is_weighty(k, s)) continue;
        if (*s->path == '*') { /* numbered by class in a list */
            const char *base = arena_printf(&k->scratch, "%s%s%s", path, *path ? "/" : "", s->path + 1);
            if (!base) return fail_nomem(k->err);
            TRY(path_of(k, o, l, i, base, &below));
        } else if (!(below = arena_printf(&k->scratch, "%s/%s", path, s->path))) return fail_nomem(k->err);
        TRY(find_all(k, o, s, below));
    }
    return 0;
}

int weights_by_path(struct keras *k)
{
    struct owners o = { .by_path = map_in(&k->scratch) };
    for (size_t i = 0; i < k->n_shards; i++) {
        o.seen = map_in(&k->scratch);
        o.shard = k->shards[i];
        TRY(visit(k, &o, o.shard->h5.root, "", 0));
    }
    if (!owns(&o, "layers") && is_weighty(k, k->model))
        return fail(k->err, ERR_MODEL, "the file holds no weights of layers");
    return find_all(k, &o, k->model, "");
}
