/* capture.c - what a subgraph reads of the graphs around it becomes inputs of the subgraph and of its node. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/onnx/reader.h"

/* A name that no graph around this one has: the file's names are unique in all of them. */
static const char *free_name(struct onnx_reader *r, const struct graph *g, const char *wanted)
{
    const char *name = wanted;
    for (int i = 2; name; i++) {
        const struct graph *in = g;
        while (in && !graph_find(in, name)) in = in->outer;
        if (!in) break;
        name = arena_printf(r->arena, "%s_%d", wanted, i);
    }
    return name;
}

struct value *onnx_capture(struct onnx_reader *r, struct onnx_scope *scope, struct value *outer)
{
    struct onnx_captures *list = scope->captures;
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].outer == outer) return list->items[i].inner;
    struct value *inner;
    if (outer->kind == VALUE_CONST) {
        const char *name = free_name(r, scope->g, outer->name);
        inner = name ? graph_const(scope->g, name, outer->data, r->err) : NULL;
    } else {
        struct shape unknown = shape_unknown();
        inner = graph_input(scope->g, outer->name, outer->dtype, list->vague ? &unknown : &outer->shape, r->err);
        for (int d = 0; inner && d < inner->shape.rank; d++)
            if (inner->shape.dim[d] < 0) inner->shape.dim[d] = DIM_UNKNOWN; /* symbols belong to their graph */
        if (inner) inner->of = outer->of;
    }
    struct onnx_capture item = { outer, inner };
    if (!inner || !ARRAY_PUSH(r->arena, list->items, list->n, list->cap, item)) return fail_nomem(r->err), NULL;
    return inner;
}

struct value *onnx_capture_root(struct onnx_reader *r, struct onnx_scope *scope, struct value *v)
{
    if (scope->g == r->root) return v;
    struct value *outer = onnx_capture_root(r, scope->outer ? scope->outer : scope->caller, v);
    bool same = scope->caller && scope->caller->g == scope->g;
    return !outer || same ? outer : onnx_capture(r, scope, outer);
}

/* The inputs that the file gave, in its order. */
static size_t formal_inputs(const struct onnx_captures *list, struct value **out)
{
    size_t n = 0;
    for (size_t i = 0; i < list->g->n_inputs; i++) {
        bool captured = false;
        for (size_t k = 0; k < list->n; k++) captured |= list->items[k].inner == list->g->inputs[i];
        if (!captured) out[n++] = list->g->inputs[i];
    }
    return n;
}

static struct value *captured_as(const struct onnx_captures *list, const struct value *outer)
{
    for (size_t k = 0; k < list->n; k++)
        if (list->items[k].outer == outer) return list->items[k].inner;
    return NULL;
}

/* The subgraph's inputs: its own, then one for each of `all`. */
static int set_inputs(struct onnx_reader *r, struct onnx_captures *list, struct value *const *all, size_t n_all)
{
    struct graph *g = list->g;
    struct value **in = ARENA_ARRAY(g->arena, g->n_inputs + n_all, struct value *);
    TRY_MEM(in, r->err);
    size_t n = formal_inputs(list, in);
    for (size_t i = 0; i < n_all; i++) {
        struct value *v = captured_as(list, all[i]);
        struct shape unknown = shape_unknown();
        if (!v) v = graph_input(g, all[i]->name, all[i]->dtype, &unknown, r->err);
        if (!v) return r->err->code;
        in[n++] = v;
    }
    g->inputs = in;
    g->n_inputs = g->cap_inputs = n;
    return graph_tidy(g, r->err);
}

/* What the subgraphs of a node capture, each once. */
struct joined {
    struct value **all;
    size_t n, cap;
};

/* What `inner` stands for, when it is captured and not there yet. */
static int join(struct onnx_reader *r, struct joined *j, const struct onnx_captures *c, const struct value *inner)
{
    size_t i = 0, k = 0;
    while (i < c->n && c->items[i].inner != inner) i++;
    if (i == c->n || inner->kind != VALUE_INPUT) return 0;
    while (k < j->n && j->all[k] != c->items[i].outer) k++;
    if (k == j->n && !ARRAY_PUSH(r->arena, j->all, j->n, j->cap, c->items[i].outer)) return fail_nomem(r->err);
    return 0;
}

/* In the order in which the tidy subgraphs read them, so that a file that is written has it too. */
static int join_all(struct onnx_reader *r, struct joined *j, const struct onnx_captures *list)
{
    for (const struct onnx_captures *c = list; c; c = c->next) {
        TRY(graph_tidy(c->g, r->err));
        for (size_t i = 0; i < c->g->n_nodes; i++)
            for (int k = 0; k < c->g->nodes[i]->n_in; k++) TRY(join(r, j, c, c->g->nodes[i]->in[k]));
        for (size_t i = 0; i < c->g->n_outputs; i++) TRY(join(r, j, c, c->g->outputs[i]));
        for (size_t i = 0; i < c->n; i++) TRY(join(r, j, c, c->items[i].inner));
    }
    return 0;
}

int onnx_join_captures(
    struct onnx_reader *r, struct onnx_captures *list, const char *op, struct value ***in, int *n_in, int *captured)
{
    struct joined j = { 0 };
    TRY(join_all(r, &j, list));
    struct value **all = j.all;
    size_t n = j.n, given = (size_t)*n_in;
    for (struct onnx_captures *c = list; c; c = c->next) TRY(set_inputs(r, c, all, n));
    if (!strcmp(op, "Loop") && given < 2) given = 2; /* its optional inputs keep their places */
    struct value **longer = ARENA_ARRAY(r->arena, given + n + ONNX_INPUTS_ROOM, struct value *);
    TRY_MEM(longer, r->err);
    if (*n_in) memcpy(longer, *in, (size_t)*n_in * sizeof *longer);
    if (n) memcpy(longer + given, all, n * sizeof *longer);
    *in = longer;
    *n_in = (int)(given + n);
    *captured = (int)n;
    return 0;
}
