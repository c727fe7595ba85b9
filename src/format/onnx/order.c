/* order.c - nodes in an order in which they can run; an ONNX file should have one, not all do. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/onnx/reader.h"

struct sorter {
    const struct onnx_body *body;
    struct arena *arena;
    struct map makers; /* name -> the node (as pointer into body->nodes) that makes it */
    struct map *used;
    size_t *needs; /* nodes needed, one after another; those of node i are [first[i], first[i + 1]) */
    size_t n_needs, cap_needs;
    size_t *first;
};

static int collect_makers(struct sorter *s, const struct map *defined, struct err *e)
{
    for (size_t i = 0; i < s->body->n; i++) {
        const struct onnx_node *n = &s->body->nodes[i];
        for (size_t k = 0; k < n->output.n; k++) {
            const char *name = n->output.items[k];
            if (!name[0]) continue;
            const struct onnx_node *other = map_get(&s->makers, name);
            if (other || map_find(defined, name))
                return fail(e, ERR_MODEL, "the value \"%s\" is made twice, by %s (%s) and by %s", name,
                    onnx_node_label(n), n->op_type, other ? onnx_node_label(other) : "an input or initializer");
            if (!map_set(&s->makers, name, (void *)(uintptr_t)n)) return fail_nomem(e);
        }
    }
    return 0;
}

static int need(struct sorter *s, const char *name, struct err *e)
{
    if (!name[0]) return 0;
    const struct onnx_node *maker = map_get(&s->makers, name);
    if (!map_set(s->used, name, s)) return fail_nomem(e);
    if (!maker) return 0;
    size_t at = (size_t)(maker - s->body->nodes);
    return ARRAY_PUSH(s->arena, s->needs, s->n_needs, s->cap_needs, at) ? 0 : fail_nomem(e);
}

static int need_subgraphs(struct sorter *s, const struct onnx_node *n, struct err *e);

/* What a subgraph reads and does not make itself. */
static int need_captured(struct sorter *s, const struct onnx_graph *g, struct err *e)
{
    struct map own = map_in(s->arena);
    bool ok = true;
    for (size_t i = 0; i < g->input.n; i++) ok &= map_set(&own, g->input.items[i].name, s);
    for (size_t i = 0; i < g->initializer.n; i++) ok &= map_set(&own, g->initializer.items[i].name, s);
    for (size_t i = 0; i < g->sparse_initializer.n; i++)
        ok &= map_set(&own, g->sparse_initializer.items[i].values.name, s);
    for (size_t i = 0; i < g->node.n; i++)
        for (size_t k = 0; k < g->node.items[i].output.n; k++) ok &= map_set(&own, g->node.items[i].output.items[k], s);
    if (!ok) return fail_nomem(e);
    for (size_t i = 0; i < g->node.n; i++) {
        const struct onnx_node *n = &g->node.items[i];
        for (size_t k = 0; k < n->input.n; k++)
            if (!map_find(&own, n->input.items[k])) TRY(need(s, n->input.items[k], e));
        TRY(need_subgraphs(s, n, e));
    }
    for (size_t i = 0; i < g->output.n; i++)
        if (!map_find(&own, g->output.items[i].name)) TRY(need(s, g->output.items[i].name, e));
    return 0;
}

static int need_subgraphs(struct sorter *s, const struct onnx_node *n, struct err *e)
{
    for (size_t i = 0; i < n->attribute.n; i++)
        if (n->attribute.items[i].g) TRY(need_captured(s, n->attribute.items[i].g, e));
    return 0;
}

static int collect_needs(struct sorter *s, struct err *e)
{
    for (size_t i = 0; i < s->body->n; i++) {
        const struct onnx_node *n = &s->body->nodes[i];
        s->first[i] = s->n_needs;
        for (size_t k = 0; k < n->input.n; k++) TRY(need(s, n->input.items[k], e));
        TRY(need_subgraphs(s, n, e));
    }
    s->first[s->body->n] = s->n_needs;
    for (size_t i = 0; i < s->body->n_outputs; i++)
        if (!map_set(s->used, s->body->outputs[i], s)) return fail_nomem(e);
    return 0;
}

/* Depth first from every node in the file's order; a file that is in order stays as it is. */
static int walk(struct sorter *s, size_t *order, struct err *e)
{
    enum { UNSEEN, OPEN, DONE };
    size_t n = s->body->n, depth = 0, done = 0;
    unsigned char *mark = arena_alloc(s->arena, n);
    size_t *stack = ARENA_ARRAY(s->arena, n + 1, size_t), *next = ARENA_ARRAY(s->arena, n + 1, size_t);
    if (!mark || !stack || !next) return fail_nomem(e);
    for (size_t root = 0; root < n; root++) {
        if (mark[root] != UNSEEN) continue;
        mark[root] = OPEN, next[root] = s->first[root], stack[depth++] = root;
        while (depth) {
            size_t at = stack[depth - 1];
            if (next[at] == s->first[at + 1]) {
                mark[at] = DONE, order[done++] = at, depth--;
                continue;
            }
            size_t to = s->needs[next[at]++];
            const struct onnx_node *bad = &s->body->nodes[to];
            if (mark[to] == OPEN)
                return fail(e, ERR_MODEL, "the graph has a cycle through %s (%s)", onnx_node_label(bad), bad->op_type);
            if (mark[to] == UNSEEN) mark[to] = OPEN, next[to] = s->first[to], stack[depth++] = to;
        }
    }
    return 0;
}

int onnx_sort(const struct onnx_body *body, const struct map *defined, struct map *used, struct arena *a, size_t *order,
    struct err *e)
{
    struct sorter s = { .body = body, .arena = a, .makers = map_in(a), .used = used };
    s.first = ARENA_ARRAY(a, body->n + 1, size_t);
    TRY_MEM(s.first, e);
    TRY(collect_makers(&s, defined, e));
    TRY(collect_needs(&s, e));
    return walk(&s, order, e);
}
