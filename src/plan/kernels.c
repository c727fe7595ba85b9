/* kernels.c - choosing a kernel for each node, with reorders where two layouts disagree. */
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "base/memory.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/aligned.h"
#include "graph/op.h"
#include "plan/packs.h"
#include "plan/plan.h"
#include "plan/recipe.h"

/* A result of weights is always kept when it has no more bytes than so many times theirs and so many more; what has
 * grown beyond (an Expand), if that is a small part of the memory there is. */
enum { GROWS_TIMES = 8, GROWS_FREELY = 1 << 20, SMALL_PART = 8 };

struct choice {
    struct plan *p;
    const struct plan_options *o;
    struct {
        struct place *from, *to;
    } * reorders; /* made so far: several readers may share one */
    size_t n_reorders, cap_reorders;
};

static bool same_layout(const struct layout *a, const struct layout *b)
{
    if (a == b) return true;
    return a && b && a->backend == b->backend && a->backend->layout_same(a, b);
}

static struct plan_step *new_step(struct plan *p, const struct node *n, int n_in, int n_out, int threads, struct err *e)
{
    struct plan_step *s = ARENA_NEW(&p->arena, struct plan_step);
    int n_all = n_in + n_out;
    struct tensor **tensors = ARENA_ARRAY(&p->arena, n_all, struct tensor *);
    struct place **places = ARENA_ARRAY(&p->arena, n_all, struct place *);
    const struct layout **wants = ARENA_ARRAY(&p->arena, n_all, const struct layout *);
    if (!s || !tensors || !places || !wants) return fail_nomem(e), NULL;
    s->step = (struct step){ .node = n,
        .in = tensors,
        .out = tensors + n_in,
        .threads = threads,
        .arena = &p->arena,
        .want_in = wants,
        .want_out = wants + n_in };
    s->in = places;
    s->out = places + n_in;
    return s;
}

static int push_step(struct plan *p, struct plan_step *s, struct err *e)
{
    if (s->step.work_bytes) {
        struct tensor t = { .dtype = DT_U8, .shape = shape_of(1, (int64_t[]){ (int64_t)s->step.work_bytes }) };
        if (!(s->work = plan_place(p, PLACE_ARENA, &t, e))) return e->code;
    }
    return ARRAY_PUSH(&p->arena, p->steps, p->n_steps, p->cap_steps, s) ? 0 : fail_nomem(e);
}

static struct place *reorder_step(struct choice *c, struct place *from, const struct layout *want, struct err *e)
{
    struct plan *p = c->p;
    struct plan_step *s = new_step(p, NULL, 1, 1, c->o->threads, e);
    struct tensor t = from->tensor;
    t.layout = want;
    t.data = NULL;
    struct place *to = s ? plan_place(p, PLACE_ARENA, &t, e) : NULL;
    if (!to) return NULL;
    s->kind = STEP_REORDER;
    s->backend = (want ? want : from->tensor.layout)->backend;
    s->in[0] = from, s->out[0] = to;
    s->step.in[0] = &from->tensor, s->step.out[0] = &to->tensor;
    if (s->backend->reorder_prepare(&s->step, from->tensor.layout, want, e) || push_step(p, s, e)) return NULL;
    return to;
}

static struct place *in_layout(struct choice *c, struct place *from, const struct layout *want, struct err *e);

/* A reorder; by way of row-major where the backend has no direct one. */
static struct place *reordered(struct choice *c, struct place *from, const struct layout *want, struct err *e)
{
    const struct layout *have = from->tensor.layout;
    if (!have || !want) return reorder_step(c, from, want, e);
    if (have->backend == want->backend) {
        struct place *to = reorder_step(c, from, want, e);
        if (to || e->code != ERR_UNSUPPORTED) return to;
        err_clear(e);
    }
    struct place *plain = in_layout(c, from, NULL, e);
    return plain ? reorder_step(c, plain, want, e) : NULL;
}

/* A state that no plan has read yet takes the layout of its first reader. */
static void settle_state(struct choice *c, struct place *from, const struct layout *want)
{
    if (from->kind != PLACE_STATE || from->root != from || !c->o->states) return;
    struct state_form *form = &c->o->states[from->index];
    if (!form->settled && want && want->bytes == from->bytes) from->tensor.layout = form->layout = want;
    form->settled = true;
}

/* A weight that never changes, in the form a kernel wants: `from` itself where it has it. */
static struct place *packed(struct choice *c, struct place *from, const struct layout *want, struct err *e)
{
    const struct tensor *form = c->o->packs ? packs_get(c->o->packs, &from->tensor, want, c->o->threads, e)
                                            : tensor_aligned(&c->p->arena, &from->tensor, e);
    if (form == &from->tensor && !want) return from;
    struct place *to = form ? plan_place(c->p, PLACE_CONST, form, e) : NULL;
    return c->o->packs || !want || !to ? to : reorder_step(c, to, want, e);
}

/* A place with the content of `from` in layout `want`: made once. */
static struct place *in_layout(struct choice *c, struct place *from, const struct layout *want, struct err *e)
{
    settle_state(c, from, want);
    bool is_weight = place_root(from)->kind == PLACE_CONST && !from->tensor.layout;
    if (!is_weight && same_layout(from->tensor.layout, want)) return from;
    for (size_t i = 0; i < c->n_reorders; i++)
        if (c->reorders[i].from == from && same_layout(c->reorders[i].to->tensor.layout, want))
            return c->reorders[i].to;
    struct place *to = is_weight ? packed(c, from, want, e) : reordered(c, from, want, e);
    if (!to || to == from) return to;
    if (!array_grow(&c->p->arena, (void **)(void *)&c->reorders, c->n_reorders, &c->cap_reorders, sizeof *c->reorders))
        return fail_nomem(e), NULL;
    c->reorders[c->n_reorders].from = from;
    c->reorders[c->n_reorders++].to = to;
    return to;
}

static void explain(struct choice *c, const struct node *n, const struct kernel *k, const char *why)
{
    if (c->o->explain)
        str_addf(c->o->explain, "%s (%s): %s: %s\n", n->name, n->op->name, k->name, why[0] ? why : "refused");
}

static void forget(struct step *s)
{
    for (int i = 0; i < s->node->n_in; i++) s->want_in[i] = NULL;
    for (int i = 0; i < s->node->n_out; i++) s->want_out[i] = NULL;
    s->work_bytes = 0;
    s->sums_into = 0;
    s->priv = NULL;
}

/* Whether the kernel takes the step; what else goes wrong is an error. */
static int try_kernel(struct choice *c, struct plan_step *s, const struct kernel *k, bool *taken, struct err *e)
{
    struct str why = str_in(&c->p->arena);
    *taken = !k->accepts || k->accepts(&s->step, c->o->explain ? &why : NULL);
    int code = *taken && k->prepare ? k->prepare(&s->step, e) : 0;
    if (code == ERR_UNSUPPORTED) {
        *taken = false;
        if (c->o->explain) str_add(&why, e->text);
        err_clear(e);
        forget(&s->step);
        code = 0;
    }
    const char *text = c->o->explain ? str_done(&why) : NULL;
    if (!code && !*taken) explain(c, s->step.node, k, text ? text : "");
    return code;
}

/* The first kernel, of that name unless it is NULL, among those that come last, or among the others. */
static int choose_among(struct choice *c, struct plan_step *s, const char *name, bool last, struct err *e)
{
    for (size_t b = 0; c->o->backends && c->o->backends[b]; b++)
        for (const struct kernel *k = c->o->backends[b]->kernels; k->op; k++) {
            bool taken;
            if (k->last != last || strcmp(k->op, s->step.node->op->name)) continue;
            if (name && strcmp(k->name, name)) continue;
            TRY(try_kernel(c, s, k, &taken, e));
            if (!taken) continue;
            s->step.kernel = k;
            s->backend = c->o->backends[b];
            return 0;
        }
    return 0;
}

/* The kernel that the recipe names, where it takes the step. */
static int choose_named(struct choice *c, struct plan_step *s, struct err *e)
{
    const char *key = c->o->recipe ? recipe_key(&c->p->arena, &s->step) : NULL;
    const char *name = key ? recipe_kernel(c->o->recipe, key) : NULL;
    if (c->o->recipe && !key) return fail_nomem(e);
    if (!name) return 0;
    s->step.named = true;
    TRY(choose_among(c, s, name, false, e));
    if (!s->step.kernel) TRY(choose_among(c, s, name, true, e));
    s->step.named = s->step.kernel != NULL;
    return 0;
}

/* The first kernel that takes the step; NULL: the reference. */
static int choose(struct choice *c, struct plan_step *s, struct err *e)
{
    TRY(choose_named(c, s, e));
    if (s->step.kernel) return 0;
    TRY(choose_among(c, s, NULL, false, e));
    if (!s->step.kernel) TRY(choose_among(c, s, NULL, true, e));
    return s->step.kernel || s->step.node->op->run ? 0 : fail(e, ERR_UNSUPPORTED, "has no kernel");
}

static bool is_kept(const struct graph *g, const struct value *v)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == v) return true;
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next == v) return true;
    return false;
}

/* The node's result is the memory of `from`, which is in the layout `before`, seen in `after`. */
static int look(struct choice *c, const struct node *n, const struct layout *before, const struct layout *after,
    struct err *e)
{
    struct place *from = c->p->of_value[n->in[0]->id], *to;
    bool is_weight = place_root(from)->kind == PLACE_CONST && !from->tensor.layout; /* stays, to be packed */
    if (!is_weight && !(from = in_layout(c, from, before, e))) return e->code;
    struct tensor t = from->tensor;
    t.shape = n->out[0]->shape;
    t.layout = after;
    if (!(to = plan_place(c->p, from->kind, &t, e))) return e->code;
    to->root = place_root(from);
    to->index = from->index;
    c->p->of_value[n->out[0]->id] = to;
    return 0;
}

/* Channels last; NULL: no backend has that for the tensor, or an error. */
static const struct layout *last_layout(struct choice *c, const struct value *v, struct err *e)
{
    const struct tensor t = { .dtype = v->dtype, .shape = v->shape };
    const struct layout *l = NULL;
    for (size_t b = 0; c->o->backends && c->o->backends[b] && !l && !e->code; b++)
        if (c->o->backends[b]->layout_last) l = c->o->backends[b]->layout_last(&t, &c->p->arena, e);
    return l;
}

/* By how many places a Transpose moves the dimensions behind the first round; 0: it does something else. */
static size_t rotation(const struct node *n, size_t *rank)
{
    const int64_t *perm = node_ints(n, "perm", rank);
    if (*rank < 3 || perm[0] != 0) return 0;
    for (size_t i = 1; i < *rank; i++)
        if (perm[i] != 1 + (int64_t)(i - 1 + (size_t)perm[1] - 1) % (int64_t)(*rank - 1)) return 0;
    return (size_t)perm[1] - 1;
}

/* A Transpose that brings channels to the front or to the end of an image moves nothing where a layout says it. */
static int turn(struct choice *c, const struct node *n, bool *done, struct err *e)
{
    size_t rank, by = rotation(n, &rank);
    const struct place *from = c->p->of_value[n->in[0]->id];
    const struct layout *last = NULL;
    bool to_front = !from->tensor.layout && by + 2 == rank, to_end = from->tensor.layout && by == 1;
    if (from->kind != PLACE_ARENA && from->kind != PLACE_INPUT) return 0;
    if (to_front) last = last_layout(c, n->out[0], e);
    if (to_end) last = last_layout(c, n->in[0], e);
    if (!last) return e->code;
    *done = true;
    return look(c, n, to_front ? NULL : last, to_front ? last : NULL, e);
}

/* A view is its input's memory under another shape or in another order: no step. */
static int view(struct choice *c, const struct node *n, bool *done, struct err *e)
{
    *done = false;
    bool views = n->op->flags & OP_VIEW, same = n->in[0]->dtype == n->out[0]->dtype;
    if (n->n_out != 1 || !same || is_kept(c->p->graph, n->out[0])) return 0;
    if (!shape_is_known(&n->out[0]->shape) || c->p->of_value[n->in[0]->id]->kind == PLACE_DYNAMIC) return 0;
    if (node_is(n, "Transpose")) return turn(c, n, done, e);
    *done = views;
    return views ? look(c, n, NULL, NULL, e) : 0;
}

static int make_outputs(struct choice *c, struct plan_step *s, struct err *e)
{
    const struct node *n = s->step.node;
    for (int i = 0; i < n->n_out; i++) {
        const struct value *v = n->out[i];
        bool sized = v->dtype != DT_NONE && v->dtype != DT_STRING && !dtype_is_container(v->dtype);
        bool known = sized && shape_is_known(&v->shape); /* texts and containers own what they refer to */
        struct tensor t = { .dtype = v->dtype, .shape = v->shape };
        struct place *to = plan_place(c->p, known ? PLACE_ARENA : PLACE_DYNAMIC, &t, e);
        if (!to) return e->code;
        if (!known) s->kind = STEP_EVAL;
        c->p->of_value[v->id] = s->out[i] = to;
        s->step.out[i] = &to->tensor;
    }
    return 0;
}

static int settle_inputs(struct choice *c, struct plan_step *s, struct err *e)
{
    for (int i = 0; i < s->step.node->n_in; i++) {
        if (!s->in[i]) continue;
        if (!(s->in[i] = in_layout(c, s->in[i], s->step.want_in[i], e))) return e->code;
        s->step.in[i] = &s->in[i]->tensor;
    }
    return 0;
}

/* The same memory as a row of elements, in whatever order they lie. */
static struct place *flat(struct choice *c, struct place *of, struct err *e)
{
    if (!of->tensor.layout) return of;
    struct tensor t = { .dtype = of->tensor.dtype };
    t.shape = shape_of(1, (int64_t[]){ (int64_t)(of->tensor.layout->bytes / dtype_size(t.dtype)) });
    struct place *to = plan_place(c->p, of->kind, &t, e);
    if (!to) return NULL;
    to->root = place_root(of);
    to->index = of->index;
    return to;
}

/* The layout that the first input of this shape has (it may well be plain), of itself where it is the first. */
static const struct layout *shared_layout(struct place *const *in, int n, const struct shape *shape)
{
    for (int i = 0; i < n; i++)
        if (in[i] && shape_equal(&in[i]->tensor.shape, shape)) return in[i]->tensor.layout;
    return NULL;
}

/* An operator that does not care how its elements are ordered runs on them as they lie, all of one shape alike. */
static int flatten(struct choice *c, struct plan_step *s, struct err *e)
{
    const struct node *n = s->step.node;
    struct place **laid = ARENA_ARRAY(&c->p->arena, n->n_in, struct place *);
    TRY_MEM(laid, e);
    for (int i = 0; i < n->n_in; i++) {
        struct place *from = s->in[i];
        if (!from) continue;
        const struct layout *want = shared_layout(s->in, i + 1, &from->tensor.shape);
        if (!(laid[i] = s->in[i] = in_layout(c, from, want, e))) return e->code;
    }
    for (int i = 0; i < n->n_out; i++) {
        struct place *to = s->out[i];
        to->tensor.layout = shared_layout(laid, n->n_in, &to->tensor.shape);
        if (!(s->out[i] = flat(c, to, e))) return e->code;
        s->step.out[i] = &s->out[i]->tensor;
    }
    for (int i = 0; i < n->n_in; i++) {
        if (!laid[i]) continue;
        if (!(s->in[i] = flat(c, laid[i], e))) return e->code;
        s->step.in[i] = &s->in[i]->tensor;
    }
    return 0;
}

static int prepare(struct choice *c, struct plan_step *s, struct err *e)
{
    const struct node *n = s->step.node;
    if (n->op->flags & OP_FLAT) TRY(flatten(c, s, e));
    if (choose(c, s, e)) return node_err(n, e);
    for (int i = 0; i < n->n_out; i++) {
        struct place *to = s->out[i];
        to->tensor.layout = s->step.want_out[i];
        if (to->tensor.layout) to->bytes = to->tensor.layout->bytes;
    }
    return 0;
}

/* 0 where the shape is not known. */
static int64_t bytes_of(const struct value *v)
{
    int64_t bytes = tensor_bytes(&(struct tensor){ .dtype = v->dtype, .shape = v->shape });
    return bytes < 0 ? 0 : bytes;
}

/* Whether the value comes from what never changes alone, so that it is computed once per model: weights, and constants
 * but for those that this plan's shapes have made. */
static bool is_of_weights(const struct choice *c, const struct value *v)
{
    const struct place *p = c->p->of_value[v->id];
    if (v->kind == VALUE_CONST) return plan_is_fixed(c->p, v);
    return place_root((struct place *)(uintptr_t)p)->kind == PLACE_CONST;
}

/* A few numbers of a file may stand for more memory than there is: then runs need it, and say so before they begin. */
static bool has_room(const struct node *n)
{
    double in = GROWS_FREELY, out = 0;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) in += GROWS_TIMES * (double)bytes_of(n->in[i]);
    for (int i = 0; i < n->n_out; i++) out += (double)bytes_of(n->out[i]);
    return out <= in || out <= (double)memory_available() / SMALL_PART;
}

static int of_weights(struct choice *c, const struct node *n, bool *done, struct err *e)
{
    struct plan *p = c->p;
    struct tensor **in = ARENA_ARRAY(&p->arena, n->n_in + n->n_out, struct tensor *), **out = in + n->n_in;
    *done = false;
    TRY_MEM(in, e);
    if (!c->o->packs || !n->n_in || is_kept(p->graph, n->out[0])) return 0;
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        if (!is_of_weights(c, n->in[i])) return 0;
        in[i] = &p->of_value[n->in[i]->id]->tensor;
    }
    if (!has_room(n)) return 0;
    int code = packs_results(c->o->packs, n, in, out, c->o->threads, e);
    *done = code > 0;
    for (int i = 0; i < n->n_out && *done; i++)
        if (!(p->of_value[n->out[i]->id] = plan_place(p, PLACE_CONST, out[i], e))) return e->code;
    return code < 0 ? code : 0;
}

static int plan_node(struct choice *c, const struct node *n, struct err *e)
{
    bool done = false;
    if (n->n_in && n->in[0]) TRY(view(c, n, &done, e));
    if (!done) TRY(of_weights(c, n, &done, e));
    if (done) return 0;
    struct plan_step *s = new_step(c->p, n, n->n_in, n->n_out, c->o->threads, e);
    if (!s) return e->code;
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        s->in[i] = c->p->of_value[n->in[i]->id];
        s->step.in[i] = &s->in[i]->tensor;
        if (s->in[i]->kind == PLACE_DYNAMIC) s->kind = STEP_EVAL;
    }
    if (!n->op->run) s->kind = STEP_EVAL; /* its expansion depends on data */
    TRY(make_outputs(c, s, e));
    if (s->kind == STEP_EVAL) c->p->dynamic = true;
    else TRY(prepare(c, s, e));
    TRY(settle_inputs(c, s, e));
    return push_step(c->p, s, e);
}

/* What leaves the plan: outputs are plain, states as they were. */
static int settle_results(struct choice *c, struct err *e)
{
    struct plan *p = c->p;
    for (size_t i = 0; i < p->graph->n_outputs + p->graph->n_states; i++) {
        const struct value *state = i < p->graph->n_outputs ? NULL : p->graph->states[i - p->graph->n_outputs];
        const struct value *v = state ? state->next : p->graph->outputs[i];
        if (!v) continue;
        struct place *old = state ? p->of_value[state->id] : NULL;
        if (old) settle_state(c, old, NULL);
        struct place *to = in_layout(c, p->of_value[v->id], old ? old->tensor.layout : NULL, e);
        if (!to) return e->code;
        p->of_value[v->id] = to;
    }
    return 0;
}

static bool never_changes(const struct value *v, const struct state_form *form)
{
    if (v->kind != VALUE_STATE) return v->kind == VALUE_CONST;
    return form ? !form->changes : !v->next;
}

static int place_source(struct plan *p, const struct value *v, const struct state_form *form, int index, struct err *e)
{
    bool fixed = never_changes(v, form);
    struct tensor t = { .dtype = v->dtype, .shape = v->shape };
    if (form) t.layout = form->layout;
    enum place_kind kind = fixed ? PLACE_CONST : v->kind == VALUE_STATE ? PLACE_STATE : PLACE_INPUT;
    if (kind == PLACE_INPUT && !shape_is_known(&v->shape)) kind = PLACE_DYNAMIC;
    struct place *at = p->of_value[v->id] = plan_place(p, kind, fixed ? v->data : &t, e);
    if (at) at->index = index;
    return e->code;
}

static int place_sources(struct plan *p, const struct plan_options *o, struct err *e)
{
    struct graph *g = p->graph;
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->kind == VALUE_CONST) TRY(place_source(p, g->values[i], NULL, 0, e));
    for (size_t i = 0; i < g->n_inputs; i++) TRY(place_source(p, g->inputs[i], NULL, (int)i, e));
    for (size_t i = 0; i < g->n_states; i++)
        TRY(place_source(p, g->states[i], o->states ? &o->states[i] : NULL, (int)i, e));
    return 0;
}

int plan_kernels(struct plan *p, struct node *const *order, const struct plan_options *o, struct err *e)
{
    struct choice c = { .p = p, .o = o };
    TRY(place_sources(p, o, e));
    int before = team_use(o->threads); /* libraries split their work when a kernel is prepared */
    for (size_t i = 0; i < p->graph->n_nodes && !e->code; i++) plan_node(&c, order[i], e);
    if (!e->code) settle_results(&c, e);
    team_use(before);
    return e->code;
}
