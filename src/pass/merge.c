/* merge.c - equal nodes become one (common subexpressions); Identity and no-op casts disappear. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "graph/op.h"
#include "pass/pass.h"

static bool is_mergeable(const struct node *n)
{
    if (n->op->flags & (OP_RANDOM | OP_EFFECT) || n->n_attrs > 16) return false;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == ATTR_GRAPH || n->attrs[i].type == ATTR_TENSOR) return false;
    return true;
}

static void key_attr(struct str *s, const struct attr *a)
{
    str_addf(s, "|%s:%d:", a->name, (int)a->type);
    if (a->type == ATTR_INT) str_addf(s, "%lld", (long long)a->i);
    if (a->type == ATTR_FLOAT) str_addf(s, "%a", a->f);
    if (a->type == ATTR_STRING) str_addf(s, "%zu %s", strlen(a->s), a->s);
    for (size_t i = 0; i < a->n; i++) {
        if (a->type == ATTR_INTS) str_addf(s, "%lld,", (long long)a->ints[i]);
        if (a->type == ATTR_FLOATS) str_addf(s, "%a,", a->floats[i]);
        if (a->type == ATTR_STRINGS) str_addf(s, "%zu %s,", strlen(a->strings[i]), a->strings[i]);
    }
}

/* Nodes with the same text compute the same. */
static const char *key_of(const struct node *n, struct arena *scratch)
{
    struct str s = str_in(scratch);
    str_addf(&s, "%s/%d", n->op->name, n->n_out);
    for (int i = 0; i < n->n_in; i++) str_addf(&s, ",%d", n->in[i] ? n->in[i]->id : -1);
    for (size_t i = 0; i < n->n_attrs; i++) key_attr(&s, &n->attrs[i]);
    return str_done(&s);
}

static bool is_noop(const struct node *n)
{
    if (node_is(n, "Identity")) return true;
    if (node_is(n, "Cast")) return n->in[0]->dtype != DT_NONE && n->in[0]->dtype == n->out[0]->dtype;
    return false;
}

static int merge_node(struct node *n, struct map *seen, struct arena *scratch, struct err *e)
{
    for (int i = 0; i < n->n_in; i++) n->in[i] = value_resolve(n->in[i]);
    if (is_noop(n)) return graph_alias(n->out[0], n->in[0]), 0;
    if (!is_mergeable(n)) return 0;
    const char *key = key_of(n, scratch);
    TRY_MEM(key, e);
    const struct node *twin = map_get(seen, key);
    if (!twin) return map_set(seen, key, n) ? 0 : fail_nomem(e);
    for (int i = 0; i < n->n_out; i++) graph_alias(n->out[i], twin->out[i]);
    return 0;
}

static int merge(struct graph *g, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, g->arena->mem);
    struct map seen = map_in(&scratch);
    int code = 0;
    for (size_t i = 0; i < g->n_nodes && !code; i++) code = merge_node(g->nodes[i], &seen, &scratch, e);
    arena_release(&scratch);
    return code ? code : graph_tidy(g, e);
}

const struct pass pass_merge = { "merge", "one node for equal ones; no Identity", PASS_IMPORT, merge };
