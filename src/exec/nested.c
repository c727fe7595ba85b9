/* nested.c - sessions within a run.
 *
 * A step keeps a session for each graph it runs; so a body has plans of its own, by the shapes it is called with. What
 * the step reads from weights or constants belongs to the body's graph there, so that kernels may pack it.
 */
#include "exec/nested.h"

#include <string.h>

#include "backend/backend.h"
#include "base/err.h"
#include "exec/session.h"
#include "graph/op.h"
#include "graph/sequence.h"
#include "ops/control.h"

struct nested {
    const struct graph *body; /* as the caller knows it; NULL: the step's node alone */
    struct session *session;  /* NULL: not to be tried again */
    struct graph *graph;
    int *from; /* per input of the graph: which of the body's it is */
    struct nested *next;
};

static void free_session(void *s)
{
    session_free(s);
}

static struct arena *arena_of(const struct plan_step *s)
{
    return s->step.arena; /* the plan's */
}

/* The place behind input i of the body, when its content never changes; else NULL. */
static const struct place *fixed_place(const struct plan_step *s, const struct graph *body, size_t i)
{
    const struct node *n = s->step.node;
    int captures = control_captures(n), k = n->n_in - (int)body->n_inputs + (int)i;
    if (k < n->n_in - captures || !s->in[k] || place_root(s->in[k])->kind != PLACE_CONST) return NULL;
    return s->in[k]->tensor.layout || dtype_is_container(s->in[k]->tensor.dtype) ? NULL : s->in[k];
}

static int add_nested(struct plan_step *s, const struct run *r, struct nested *x, struct err *e)
{
    struct session_options o = *r->options;
    o.explain = NULL;
    o.states_of = NULL;
    o.profile = false;
    o.within = true;
    if (graph_tidy(x->graph, e) || !(x->session = session_new(x->graph, &o, e))) return e->code;
    if (arena_closer(arena_of(s), free_session, x->session)) return fail_nomem(e);
    x->next = s->nested;
    s->nested = x;
    return 0;
}

/* A copy of the body: inputs that never change become its constants and weights; types that only a run knows are
 * those of its first call. */
static int body_graph(struct plan_step *s, struct nested *x, struct tensor *const *in, struct err *e)
{
    const struct node *n = s->step.node;
    struct graph *g = x->graph = graph_copy(x->body, arena_of(s), e);
    x->from = g ? ARENA_ARRAY(arena_of(s), g->n_inputs, int) : NULL;
    if (!x->from) return g ? fail_nomem(e) : e->code;
    g->outer = NULL;
    size_t count = 0;
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct value *v = g->inputs[i], *fixed = NULL;
        const struct place *p = fixed_place(s, x->body, i);
        const struct value *outer = p ? n->in[n->n_in - (int)x->body->n_inputs + (int)i] : NULL;
        if (p) {
            fixed = outer->kind == VALUE_CONST ? graph_const(g, NULL, &p->tensor, e)
                                               : graph_state(g, NULL, &p->tensor, 0, e);
            if (!fixed) return e->code;
            graph_alias(v, fixed);
            continue;
        }
        if (!v->dtype && in[i] && !dtype_is_container(in[i]->dtype)) v->dtype = in[i]->dtype;
        x->from[count] = (int)i;
        g->inputs[count++] = v;
    }
    g->n_inputs = count;
    return 0;
}

static struct nested *find(const struct plan_step *s, const struct graph *body)
{
    struct nested *x = s->nested;
    while (x && x->body != body) x = x->next;
    return x;
}

/* Runs it; results are handed over to `a`. */
static int run_nested(struct nested *x, struct tensor *const *in, struct tensor **out, struct arena *a, struct err *e)
{
    size_t n_in = x->graph->n_inputs, n_out = x->graph->n_outputs;
    const struct tensor **list = ARENA_ARRAY(a, n_in, const struct tensor *);
    struct tensor *results = ARENA_ARRAY(a, n_out, struct tensor);
    if (!list || !results) return fail_nomem(e);
    for (size_t i = 0; i < n_in; i++) list[i] = in[x->from[i]];
    TRY(session_run(x->session, list, results, e));
    for (size_t i = 0; i < n_out; i++)
        if (!(out[i] = tensor_keep(a, &results[i], e))) return e->code;
    return 0;
}

static int call(const struct host *h, const struct graph *body, struct tensor *const *in, struct tensor **out,
    struct arena *a, struct err *e)
{
    const struct nested_host *host = h->priv;
    struct nested *x = find(host->step, body);
    if (!x) {
        if (!(x = ARENA_NEW(arena_of(host->step), struct nested))) return fail_nomem(e);
        x->body = body;
        TRY(body_graph(host->step, x, in, e));
        TRY(add_nested(host->step, host->run, x, e));
    }
    return run_nested(x, in, out, a, e);
}

void nested_host_init(struct nested_host *h, const struct run *r)
{
    *h = (struct nested_host){ .run = r };
    h->host = (struct host){ .call = call,
        .cancelled = r->cancelled,
        .cookie = r->cookie,
        .turns_max = r->options->turns_max,
        .bytes_max = r->options->bytes_max,
        .priv = h };
}

/* ---- single nodes ---- */

enum { WORTH = 1 << 13 }; /* elements among the inputs; below it the reference kernel is as fast as making a plan */

static bool is_worth(const struct plan_step *s)
{
    const struct node *n = s->step.node;
    int64_t most = 0;
    bool known = false;
    for (size_t b = 0; backend_list[b] && !known; b++)
        for (const struct kernel *k = backend_list[b]->kernels; k->op; k++) known |= !strcmp(k->op, n->op->name);
    for (int i = 0; i < n->n_in; i++) {
        const struct tensor *t = s->step.in[i];
        if (t && dtype_kind(t->dtype) == KIND_OTHER) return false;
        if (t && tensor_count(t) > most) most = tensor_count(t);
    }
    return known && most >= WORTH;
}

/* The node alone: its inputs are the graph's, as if all of them were captured. */
static int node_graph_of(struct plan_step *s, struct nested *x, struct err *e)
{
    const struct node *n = s->step.node;
    struct graph *g = x->graph = graph_new(arena_of(s), n->graph->ops, n->name, e);
    struct value **in = ARENA_ARRAY(arena_of(s), n->n_in, struct value *);
    x->from = ARENA_ARRAY(arena_of(s), n->n_in, int);
    if (!g || !in || !x->from) return fail_nomem(e);
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        const struct tensor *t = &s->in[i]->tensor;
        bool fixed = place_root(s->in[i])->kind == PLACE_CONST && !t->layout;
        struct shape open = { .rank = t->shape.rank };
        for (int d = 0; d < open.rank; d++) open.dim[d] = DIM_UNKNOWN;
        if (fixed && n->in[i]->kind == VALUE_CONST) in[i] = graph_const(g, NULL, t, e);
        else if (fixed) in[i] = graph_state(g, NULL, t, 0, e);
        else x->from[g->n_inputs] = i, in[i] = graph_input(g, NULL, t->dtype, &open, e);
        if (!in[i]) return e->code;
    }
    struct node *m = graph_node(g, n->op, n->name, n->n_attrs ? n->attrs : NULL, in, n->n_in, n->n_out, e);
    for (int i = 0; m && i < n->n_out; i++) TRY(graph_output(g, m->out[i], e));
    return m ? 0 : e->code;
}

/* Whether a backend runs the node for these inputs; the plan is kept by the session. */
static int is_taken(struct nested *x, struct tensor *const *in, struct arena *a, struct err *e)
{
    struct shape *shapes = ARENA_ARRAY(a, x->graph->n_inputs, struct shape);
    TRY_MEM(shapes, e);
    for (size_t i = 0; i < x->graph->n_inputs; i++) shapes[i] = in[x->from[i]]->shape;
    const struct plan *p = session_plan(x->session, shapes, e);
    if (!p) return e->code;
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i]->kind == STEP_KERNEL && p->steps[i]->step.kernel) return !p->dynamic;
    return 0;
}

int nested_kernel(struct plan_step *s, const struct run *r, struct tensor **out, struct err *e)
{
    struct nested *x = find(s, NULL);
    if (r->options->reference || r->options->nested || (x && !x->session) || !is_worth(s)) return 0;
    if (!x) {
        struct run inner = *r;
        struct session_options o = *r->options;
        o.nested = true; /* a plan of one node has no plans of one node */
        inner.options = &o;
        if (!(x = ARENA_NEW(arena_of(s), struct nested))) return fail_nomem(e);
        TRY(node_graph_of(s, x, e));
        TRY(add_nested(s, &inner, x, e));
    }
    int taken = is_taken(x, s->step.in, r->scratch, e);
    if (taken <= 0) return taken;
    TRY(run_nested(x, s->step.in, out, r->scratch, e));
    return 1;
}
