/* facts.c - counting layers, parameters, multiply-accumulates and memory. */
#include "cli/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "cli/inputs.h"
#include "exec/session.h"
#include "graph/op.h"
#include "pass/pass.h"
#include "plan/cost.h"
#include "plan/packs.h"
#include "plan/plan.h"

struct counting {
    struct facts *facts;
    struct arena *arena;
    bool *counted; /* by state id of the outermost graph: its parameters are attributed already */
    const struct graph *root;
    bool oom;
};

static struct kind_facts *kind_of(struct counting *c, const char *op)
{
    struct facts *f = c->facts;
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->kinds[i].op, op)) return &f->kinds[i];
    if (!ARRAY_PUSH(c->arena, f->kinds, f->n, f->cap, ((struct kind_facts){ .op = op }))) return c->oom = true, NULL;
    return &f->kinds[f->n - 1];
}

/* Operators that only hand a weight on, in another form. */
static bool hands_on(const struct node *n)
{
    static const char *const movers[] = { "Transpose", "Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten",
        "DequantizeLinear", "Concat", "Slice", "Split" };
    for (size_t i = 0; i < sizeof movers / sizeof *movers; i++)
        if (node_is(n, movers[i])) return true;
    return false;
}

/* The kind that reads `v`, looking through nodes that hand it on. */
static const char *reader_of(const struct graph *g, const struct value *v, size_t from, int depth)
{
    for (size_t i = from; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            if (n->in[k] != v) continue;
            const char *further = hands_on(n) && depth < 8 ? reader_of(g, n->out[0], i + 1, depth + 1) : NULL;
            return further ? further : n->op->name;
        }
    }
    return NULL;
}

static void count_graph(struct counting *c, const struct graph *g);

static void count_bodies(struct counting *c, const struct node *n)
{
    for (size_t i = 0; i < n->n_attrs; i++) {
        if (n->attrs[i].type != ATTR_GRAPH) continue;
        c->facts->bodies = true;
        count_graph(c, n->attrs[i].graph);
    }
}

static void count_weights(struct counting *c, const struct graph *g, const struct node *n, size_t at)
{
    for (int k = 0; k < n->n_in; k++) {
        const struct value *v = n->in[k];
        bool weight = v && v->kind == VALUE_STATE && v->flags & VALUE_TRAINABLE && (size_t)v->id < c->root->n_values &&
            c->root->values[v->id] == v;
        if (!weight || c->counted[v->id]) continue;
        c->counted[v->id] = true;
        const char *op = hands_on(n) ? reader_of(g, n->out[0], at + 1, 0) : NULL;
        struct kind_facts *kind = kind_of(c, op ? op : n->op->name);
        int64_t count = shape_count(&v->shape);
        if (kind && count > 0) kind->parameters += count;
    }
}

static void count_graph(struct counting *c, const struct graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct kind_facts *kind = kind_of(c, g->nodes[i]->op->name);
        if (kind) kind->nodes++;
        c->facts->nodes++;
        count_weights(c, g, g->nodes[i], i);
        count_bodies(c, g->nodes[i]);
    }
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->kind == VALUE_CONST && g->values[i]->data)
            c->facts->constant_bytes += tensor_bytes(g->values[i]->data);
}

static void count_states(struct facts *f, const struct graph *g)
{
    for (size_t i = 0; i < g->n_states; i++) {
        const struct value *v = g->states[i];
        bool trainable = v->flags & VALUE_TRAINABLE;
        int64_t count = v->data ? tensor_count(v->data) : 0, bytes = v->data ? tensor_bytes(v->data) : 0;
        *(trainable ? &f->parameters : &f->buffers) += count;
        *(trainable ? &f->parameter_bytes : &f->buffer_bytes) += bytes;
    }
}

static void count_macs(struct counting *c, const struct graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        int64_t macs = node_macs(n);
        struct kind_facts *kind = macs == MACS_NONE ? NULL : kind_of(c, n->op->name);
        if (kind && macs == MACS_UNKNOWN) kind->unknown++, c->facts->macs_unknown++;
        if (kind && macs > 0) kind->macs += macs, c->facts->macs += macs;
        for (size_t k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].type == ATTR_GRAPH) count_macs(c, n->attrs[k].graph);
    }
}

static bool has_free_dimension(const struct graph *g)
{
    for (size_t i = 0; i < g->n_inputs; i++)
        if (!shape_is_known(&g->inputs[i]->shape)) return true;
    return false;
}

/* The memory of a plan that is never run, so that no weight is packed for it. */
static int measure_plan(struct facts *f, struct model *m, const struct shape *shapes, struct err *e)
{
    struct packs *packs = packs_blank(m->arena.mem);
    if (!packs) return fail_nomem(e);
    struct session *s = session_new(m->graph, &(struct session_options){ .packs = packs }, e);
    const struct plan *p = s ? session_plan(s, shapes, e) : NULL;
    if (p) f->memory = p->memory;
    session_free(s);
    packs_free(packs);
    return e->code;
}

/* MACs and memory at concrete shapes. What the model will not have is told in no_plan. */
static int measure(struct counting *c, struct model *m, int64_t batch, int64_t size, struct err *e)
{
    struct facts *f = c->facts;
    struct err bad = { 0 };
    struct shape *shapes = NULL;
    struct graph *g = NULL;
    int code = concrete_shapes(m->graph, batch, size, &shapes, &bad);
    if (!code && !(g = graph_copy(m->graph, c->arena, &bad))) code = bad.code;
    if (!code) code = pass_bind(g, shapes, &bad);
    count_macs(c, code ? m->graph : g);
    if (!code) {
        f->shapes = shapes;
        f->chosen = has_free_dimension(m->graph);
        code = measure_plan(f, m, shapes, &bad);
    }
    if (code == ERR_NOMEM) return fail(e, code, "%s", bad.text);
    if (code) TRY_MEM(f->no_plan = arena_strdup(c->arena, bad.text), e);
    return 0;
}

static int most_first(const void *a, const void *b)
{
    const struct kind_facts *x = a, *y = b;
    if (x->macs != y->macs) return x->macs < y->macs ? 1 : -1;
    if (x->parameters != y->parameters) return x->parameters < y->parameters ? 1 : -1;
    if (x->nodes != y->nodes) return x->nodes < y->nodes ? 1 : -1;
    return strcmp(x->op, y->op);
}

int facts_collect(struct facts *f, struct model *m, int64_t batch, int64_t size, struct err *e)
{
    *f = (struct facts){ 0 };
    struct counting c = { f, &m->arena, ARENA_ARRAY(&m->arena, m->graph->n_values, bool), m->graph, false };
    TRY_MEM(c.counted, e);
    count_states(f, m->graph);
    count_graph(&c, m->graph);
    TRY(measure(&c, m, batch, size, e));
    if (c.oom) return fail_nomem(e);
    if (f->n) qsort(f->kinds, f->n, sizeof *f->kinds, most_first);
    return 0;
}
