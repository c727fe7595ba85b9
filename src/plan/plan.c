/* plan.c - from a graph and input shapes to a plan. */
#include "plan/plan.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "pass/expand.h"
#include "pass/pass.h"

struct place *place_root(struct place *p)
{
    while (p->root != p) p = p->root;
    return p;
}

void place_drop(struct place *p)
{
    if (p->kind != PLACE_DYNAMIC) return;
    blob_unref(p->tensor.blob);
    p->tensor.blob = NULL;
    p->tensor.data = NULL;
}

static void drop_all(void *plan)
{
    struct plan *p = plan;
    for (size_t i = 0; i < p->n_places; i++) place_drop(p->places[i]);
}

struct place *plan_place(struct plan *p, enum place_kind kind, const struct tensor *t, struct err *e)
{
    struct place *q = ARENA_NEW(&p->arena, struct place);
    if (!q) return fail_nomem(e), NULL;
    q->tensor = *t;
    if (kind == PLACE_DYNAMIC) q->tensor.blob = NULL;
    q->kind = kind;
    q->root = q;
    if (kind != PLACE_DYNAMIC) {
        int64_t bytes = t->layout ? (int64_t)t->layout->bytes : tensor_bytes(t);
        if (bytes < 0) return fail(e, ERR_SHAPE, "a tensor of impossible size"), NULL;
        q->bytes = (size_t)bytes;
    }
    if (!ARRAY_PUSH(&p->arena, p->places, p->n_places, p->cap_places, q)) return fail_nomem(e), NULL;
    return q;
}

/* A state's new content must be a node's result: a value that lies elsewhere (another state, an input) is copied. */
static int separate_states(struct graph *g, struct err *e)
{
    struct builder b = { g, e };
    for (size_t i = 0; i < g->n_states; i++) {
        struct value *s = g->states[i];
        if (s->next && s->next->kind != VALUE_NODE) s->next = emit(&b, "Identity", NO_ATTRS, s->next);
    }
    return e->code ? e->code : graph_tidy(g, e);
}

static int earlier(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const void *const *)a, y = (uintptr_t) * (const void *const *)b;
    return (x > y) - (x < y);
}

static int find_fixed(struct plan *p, struct err *e)
{
    const struct graph *g = p->graph;
    p->fixed = ARENA_ARRAY(&p->arena, g->n_values, const void *);
    TRY_MEM(p->fixed, e);
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->kind == VALUE_CONST) p->fixed[p->n_fixed++] = g->values[i]->data->data;
    if (p->n_fixed) qsort(p->fixed, p->n_fixed, sizeof *p->fixed, earlier);
    return 0;
}

bool plan_is_fixed(const struct plan *p, const struct value *v)
{
    const void *data = v->data->data;
    return p->n_fixed && bsearch(&data, p->fixed, p->n_fixed, sizeof *p->fixed, earlier);
}

static bool lacks_kernel(const struct node *n)
{
    return !n->op->run;
}

static int build(
    struct plan *p, const struct graph *g, const struct shape *inputs, const struct plan_options *o, struct err *e)
{
    if (!(p->graph = graph_copy(g, &p->arena, e))) return e->code;
    if (!o->constants_vary) TRY(find_fixed(p, e));
    TRY(pass_bind(p->graph, inputs, e));
    TRY(pass_run(p->graph, PASS_PLAN, NULL, e));
    TRY(pass_precision(p->graph, o->precision, e));
    TRY(graph_expand_some(p->graph, lacks_kernel, e)); /* what stays is evaluated when its inputs are there */
    TRY(separate_states(p->graph, e));
    p->of_value = ARENA_ARRAY(&p->arena, p->graph->n_values, struct place *);
    TRY_MEM(p->of_value, e);
    struct node **order;
    TRY(plan_schedule(p, &order, e));
    TRY(plan_kernels(p, order, o, e));
    return plan_memory(p, e);
}

struct plan *plan_new(const struct graph *g, const struct shape *inputs, const struct plan_options *o,
    const struct mem *mem, struct err *e)
{
    struct arena a;
    arena_init(&a, mem);
    struct plan *p = ARENA_NEW(&a, struct plan);
    if (!p) return arena_release(&a), fail_nomem(e), NULL;
    p->arena = a; /* the plan lies in its own arena */
    p->threads = o->threads;
    if (arena_closer(&p->arena, drop_all, p)) fail_nomem(e);
    else build(p, g, inputs, o, e);
    return e->code ? plan_free(p), NULL : p;
}

void plan_free(struct plan *p)
{
    if (!p) return;
    struct arena a = p->arena;
    arena_release(&a);
}
