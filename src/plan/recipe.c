/* recipe.c - which kernel takes which node: kept by what a node is, read and written as JSON. */
#include "plan/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "enc/json.h"
#include "graph/op.h"

enum { FILE_MOST = 16 << 20 };

struct recipe {
    struct arena *arena;
    struct map kernels; /* key -> name */
};

struct recipe *recipe_new(struct arena *a)
{
    struct recipe *r = ARENA_NEW(a, struct recipe);
    if (r) *r = (struct recipe){ a, map_in(a) };
    return r;
}

int recipe_set(struct recipe *r, const char *key, const char *kernel, struct err *e)
{
    char *name = kernel ? arena_strdup(r->arena, kernel) : NULL;
    return (kernel && !name) || !map_set(&r->kernels, key, name) ? fail_nomem(e) : 0;
}

const char *recipe_kernel(const struct recipe *r, const char *key)
{
    return map_get(&r->kernels, key);
}

size_t recipe_count(const struct recipe *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->kernels.n; i++) n += r->kernels.entries[i].value != NULL;
    return n;
}

static void add_attr(struct str *s, const struct attr *a)
{
    str_addf(s, " %s=", a->name);
    if (a->type == ATTR_INT) str_addf(s, "%lld", (long long)a->i);
    if (a->type == ATTR_FLOAT) str_addf(s, "%.9g", a->f);
    if (a->type == ATTR_STRING) str_add(s, a->s);
    for (size_t i = 0; a->type == ATTR_INTS && i < a->n; i++)
        str_addf(s, "%s%lld", i ? "," : "", (long long)a->ints[i]);
}

/* "Conv float32[*,64,56,56] float32[64,64,3,3] pads=1,1,1,1" */
const char *recipe_key(struct arena *a, const struct step *s)
{
    struct str text = str_in(a);
    const struct node *n = s->node;
    str_add(&text, n->op->name);
    for (int i = 0; i < n->n_in; i++) {
        const struct tensor *t = s->in[i];
        str_addf(&text, " %s", t ? dtype_name(t->dtype) : "-");
        for (int d = 0; t && d < t->shape.rank; d++) {
            bool batch = d == 0 && i != 1; /* input 1 is the weight of whatever has one */
            if (batch) str_addf(&text, "[%s", t->shape.rank > 1 ? "*" : "");
            else str_addf(&text, "%s%lld", d ? "," : "[", (long long)t->shape.dim[d]);
        }
        if (t && t->shape.rank) str_addc(&text, ']');
    }
    for (size_t i = 0; i < n->n_attrs; i++) add_attr(&text, &n->attrs[i]);
    return str_done(&text);
}

/* --- what it holds for --- */

static const char *processor(struct arena *a)
{
    char line[512];
    const char *found = "unknown";
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!str_starts(line, "model name") || !colon) continue;
        colon[1 + strcspn(colon + 1, "\n")] = 0;
        found = arena_strdup(a, colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (f) fclose(f);
    return found;
}

static const char *libraries(struct arena *a)
{
    struct str s = str_in(a);
    str_add(&s, "tenrec " TENREC_VERSION);
    for (size_t i = 0; backend_list[i]; i++)
        if (backend_list[i]->version) str_addf(&s, ", %s", backend_list[i]->version());
    return str_done(&s);
}

static const char *hash_of(struct arena *a, const struct graph *g)
{
    struct str s = str_in(a);
    char hex[65];
    graph_print(g, &s);
    if (!str_done(&s)) return NULL;
    hash_sha256(s.s, s.len, hex);
    return arena_strdup(a, hex);
}

enum { N_FACTS = 3 };
static const char *const facts[N_FACTS] = { "processor", "libraries", "model" };

static int facts_here(struct arena *a, const struct graph *g, const char *here[N_FACTS], struct err *e)
{
    here[0] = processor(a);
    here[1] = libraries(a);
    here[2] = hash_of(a, g);
    return here[0] && here[1] && here[2] ? 0 : fail_nomem(e);
}

static int read_kernels(struct recipe *r, const char *path, const json_t *root, struct err *e)
{
    const char *key;
    json_t *v, *kernels = json_object_get(root, "kernels");
    if (!json_is_object(kernels)) return fail(e, ERR_DATA, "%s: no recipe: \"kernels\" is missing", path);
    json_object_foreach(kernels, key, v)
    {
        if (!json_is_string(v)) return fail(e, ERR_DATA, "%s: the kernel of \"%s\" is no name", path, key);
        TRY(recipe_set(r, key, json_string_value(v), e));
    }
    return 0;
}

int recipe_read(struct recipe *r, const char *path, const struct graph *graph, const char **other, struct err *e)
{
    struct bytes text;
    json_t *root;
    const char *here[N_FACTS];
    *other = NULL;
    TRY(file_read(r->arena, path, FILE_MOST, &text, e));
    TRY(json_parse(r->arena, path, text, &root, e));
    TRY(facts_here(r->arena, graph, here, e));
    for (int i = 0; i < N_FACTS && !*other; i++) {
        const char *there = json_string_value(json_object_get(root, facts[i]));
        if (!there) return fail(e, ERR_DATA, "%s: no recipe: \"%s\" is missing", path, facts[i]);
        if (strcmp(there, here[i])) *other = facts[i];
    }
    return *other ? 0 : read_kernels(r, path, root, e);
}

int recipe_open(const struct recipe **out, struct arena *a, const char *path, const struct graph *graph,
    const char **ignored, struct err *e)
{
    const char *other;
    struct recipe *r = path ? recipe_new(a) : NULL;
    *out = NULL, *ignored = NULL;
    if (!path) return 0;
    TRY_MEM(r, e);
    TRY(recipe_read(r, path, graph, &other, e));
    if (!other) return *out = r, 0;
    *ignored = arena_printf(a, "%s is for another %s: ignored", path, other);
    return *ignored ? 0 : fail_nomem(e);
}

/* Its kernels as a tree; the caller's. NULL: no memory. */
static json_t *kernels_json(const struct recipe *r)
{
    json_t *all = json_object();
    for (size_t i = 0; r && i < r->kernels.n; i++) {
        const struct map_entry *k = &r->kernels.entries[i];
        if (!k->value || !json_object_set_new(all, k->key, json_string(k->value))) continue;
        json_decref(all);
        return NULL;
    }
    return all;
}

int recipe_hash(const struct recipe *r, char hex[65], struct err *e)
{
    json_t *kernels = kernels_json(r);
    char *text = kernels ? json_dumps(kernels, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    json_decref(kernels);
    TRY_MEM(text, e);
    hash_sha256(text, strlen(text), hex);
    free(text);
    return 0;
}

int recipe_write(const struct recipe *r, const char *path, const struct graph *graph, struct err *e)
{
    const char *here[N_FACTS];
    struct bytes text;
    json_t *root = json_object(), *kernels = kernels_json(r);
    TRY(json_own(r->arena, root, e));
    TRY(json_own(r->arena, kernels, e));
    TRY(facts_here(r->arena, graph, here, e));
    for (int i = 0; i < N_FACTS; i++)
        if (json_object_set_new(root, facts[i], json_string(here[i]))) return fail_nomem(e);
    if (json_object_set(root, "kernels", kernels)) return fail_nomem(e);
    TRY(json_print(root, 0, r->arena, &text, e));
    return file_write(r->arena, path, text.data, text.len, e);
}
