/* session.c - the plan cache, the arena its plans share, and the states. */
#include "exec/session.h"

#include <string.h>

#include "backend/backend.h"
#include "base/err.h"
#include "base/memory.h"
#include "base/team.h"
#include "exec/run.h"
#include "graph/aligned.h"
#include "plan/packs.h"

struct cached {
    struct plan *plan;
    struct shape *shapes; /* one per input, in the plan's arena */
    long used;            /* the clock when it last ran */
    struct cached *next;
};

struct session {
    struct arena arena;
    const struct graph *graph;
    struct session_options o;
    struct packs *packs;
    bool owns_packs;
    struct cached *plans;
    long clock;
    struct blob *memory; /* what the plans share */
    struct tensor **states; /* one per state, each with a blob of its own; NULL: never changes */
    bool *borrowed;         /* it lies in o.states_of */
    bool **settled;         /* a plan reads it in the layout it has */
    struct arena scratch;
};

static struct tensor *state_new(struct session *s, const struct tensor *content, struct err *e)
{
    struct tensor *t = ARENA_NEW(&s->arena, struct tensor);
    if (!t) return fail_nomem(e), NULL;
    *t = (struct tensor){ .dtype = content->dtype, .shape = content->shape };
    if (!(t->blob = blob_new(s->o.mem, (size_t)tensor_bytes(content)))) return fail_nomem(e), NULL;
    t->data = blob_data(t->blob);
    return tensor_copy_content(content, t->data, e) ? blob_unref(t->blob), NULL : t;
}

/* The state of that name in the session that lends its states, with whether it is settled; NULL: none. */
static struct tensor *borrow(const struct session *from, const struct value *v, bool **settled)
{
    for (size_t i = 0; from && i < from->graph->n_states; i++) {
        struct tensor *t = from->states[i];
        if (!t || strcmp(from->graph->states[i]->name, v->name)) continue;
        if (t->dtype != v->dtype || !shape_equal(&t->shape, &v->data->shape)) continue;
        *settled = from->settled[i];
        return t;
    }
    return NULL;
}

static int make_states(struct session *s, struct err *e)
{
    const struct graph *g = s->graph;
    s->states = ARENA_ARRAY(&s->arena, g->n_states, struct tensor *);
    s->borrowed = ARENA_ARRAY(&s->arena, g->n_states, bool);
    s->settled = ARENA_ARRAY(&s->arena, g->n_states, bool *);
    if (!s->states || !s->borrowed || !s->settled) return fail_nomem(e);
    for (size_t i = 0; i < g->n_states; i++) {
        const struct value *v = g->states[i];
        s->borrowed[i] = (s->states[i] = borrow(s->o.states_of, v, &s->settled[i])) != NULL;
        if (s->borrowed[i] || !v->next) continue;
        s->settled[i] = ARENA_NEW(&s->arena, bool);
        if (!s->settled[i]) return fail_nomem(e);
        if (!(s->states[i] = state_new(s, v->data, e))) return e->code;
    }
    return 0;
}

struct session *session_new(const struct graph *g, const struct session_options *o, struct err *e)
{
    struct arena a;
    arena_init(&a, o->mem);
    struct session *s = ARENA_NEW(&a, struct session);
    if (!s) return arena_release(&a), fail_nomem(e), NULL;
    s->arena = a; /* the session lies in its own arena */
    s->graph = g;
    s->o = *o;
    if (s->o.threads <= 0) s->o.threads = team_default_size();
    if (!s->o.plan_bytes) s->o.plan_bytes = (size_t)64 << 20;
    arena_init(&s->scratch, o->mem);
    s->packs = o->packs ? o->packs : packs_new(a.mem);
    s->owns_packs = !o->packs;
    s->o.packs = s->packs; /* nested sessions take the same options */
    if (!s->packs || make_states(s, e)) {
        fail_nomem(e);
        session_free(s);
        return NULL;
    }
    return s;
}

void session_free(struct session *s)
{
    if (!s) return;
    for (struct cached *c = s->plans, *next; c; c = next) {
        next = c->next; /* it goes with its plan */
        plan_free(c->plan);
    }
    arena_release(&s->scratch);
    blob_unref(s->memory);
    for (size_t i = 0; s->states && s->borrowed && i < s->graph->n_states; i++)
        if (s->states[i] && !s->borrowed[i]) blob_unref(s->states[i]->blob);
    if (s->owns_packs) packs_free(s->packs);
    struct arena a = s->arena;
    arena_release(&a);
}

static int copy_content(const struct session *s, const struct tensor *from, struct tensor *to, struct err *e)
{
    if (from->layout || to->layout) return reorder_once(from, to, s->o.threads, e);
    memcpy(to->data, from->data, (size_t)tensor_bytes(to));
    return 0;
}

int session_reset(struct session *s, struct err *e)
{
    for (size_t i = 0; i < s->graph->n_states; i++)
        if (s->states[i] && !s->borrowed[i]) TRY(copy_content(s, s->graph->states[i]->data, s->states[i], e));
    return 0;
}

const struct tensor *session_state(const struct session *s, size_t i, struct arena *a, struct err *e)
{
    const struct tensor *have = s->states[i];
    if (!have || !have->layout) return have ? have : s->graph->states[i]->data;
    struct tensor *plain = tensor_new(a, have->dtype, &have->shape, e);
    return plain && !copy_content(s, have, plain, e) ? plain : NULL;
}

size_t session_state_copies(const struct session *s, size_t i)
{
    const struct tensor *t = s->states[i];
    return t && t->layout ? (size_t)tensor_bytes(s->graph->states[i]->data) : 0;
}

int session_set_state(struct session *s, size_t i, const struct tensor *content, struct err *e)
{
    struct tensor *t = i < s->graph->n_states ? s->states[i] : NULL;
    if (!t) return fail(e, ERR_USAGE, "the session has no state %zu that changes", i);
    if (content->dtype != t->dtype || !shape_equal(&content->shape, &t->shape))
        return fail(e, ERR_USAGE, "state %s is %s of another type or shape than the content given to it",
            s->graph->states[i]->name, dtype_name(t->dtype));
    return copy_content(s, content, t, e);
}

size_t session_memory(const struct session *s)
{
    return s->memory ? blob_size(s->memory) : 0;
}

static bool fits(const struct session *s, const struct cached *c, const struct shape *shapes)
{
    for (size_t i = 0; i < s->graph->n_inputs; i++) {
        enum dtype t = s->graph->inputs[i]->dtype;
        if (t == DT_NONE || dtype_is_container(t)) continue; /* open in every plan */
        if (!shape_equal(&c->shapes[i], &shapes[i])) return false;
    }
    return true;
}

/* Drops the least recently used plans until their descriptions fit the limit; the newest stays. */
static void trim_cache(struct session *s)
{
    for (;;) {
        size_t bytes = 0;
        struct cached **oldest = NULL;
        for (struct cached **c = &s->plans; *c; c = &(*c)->next) {
            bytes += (*c)->plan->arena.used;
            if (!oldest || (*c)->used < (*oldest)->used) oldest = c;
        }
        if (bytes <= s->o.plan_bytes || !s->plans->next) return;
        struct cached *gone = *oldest;
        *oldest = gone->next;
        plan_free(gone->plan);
    }
}

/* A state moves into the layout that the first plan to read it has chosen. */
static int move_state(struct session *s, size_t i, const struct layout *to, struct err *e)
{
    struct tensor *t = s->states[i], moved = *t;
    if (!(moved.layout = to->backend->layout_copy(to, &s->arena, e))) return e->code;
    if (!(moved.blob = blob_new(s->o.mem, to->bytes))) return fail_nomem(e);
    moved.data = blob_data(moved.blob);
    if (reorder_once(t, &moved, s->o.threads, e)) return blob_unref(moved.blob), e->code;
    blob_unref(t->blob);
    *t = moved;
    return 0;
}

static int settle_states(struct session *s, const struct state_form *forms, struct err *e)
{
    for (size_t i = 0; i < s->graph->n_states; i++) {
        if (!s->states[i] || *s->settled[i] || !forms[i].settled) continue;
        if (forms[i].layout) TRY(move_state(s, i, forms[i].layout, e));
        *s->settled[i] = true;
    }
    return 0;
}

/* Most of what a plan takes is weights, in the forms that kernels want them in. */
static void tell_shortage(const struct session *s, struct err *e)
{
    double bytes = 0;
    for (size_t i = 0; i < s->graph->n_states; i++)
        if (s->graph->states[i]->data) bytes += (double)tensor_bytes(s->graph->states[i]->data);
    err_prefix(e, "the weights take %.1f MB, and about as much again in the form that is fast here; %.1f MB are free",
        bytes / 1e6, (double)memory_available() / 1e6);
}

static struct plan *make_plan(struct session *s, const struct shape *shapes, struct err *e)
{
    struct state_form *forms = ARENA_ARRAY(&s->scratch, s->graph->n_states, struct state_form);
    if (!forms) return fail_nomem(e), NULL;
    for (size_t i = 0; i < s->graph->n_states; i++)
        if (s->states[i]) forms[i] = (struct state_form){ true, *s->settled[i], s->states[i]->layout };
    struct plan_options o = { .threads = s->o.threads,
        .packs = s->packs,
        .states = forms,
        .constants_vary = s->o.within,
        .explain = s->o.explain,
        .precision = s->o.precision,
        .recipe = s->o.recipe,
        .backends = s->o.reference ? NULL : backend_list };
    struct plan *p = plan_new(s->graph, shapes, &o, s->o.mem, e);
    if (!p && e->code == ERR_NOMEM) tell_shortage(s, e);
    if (p && settle_states(s, forms, e)) return plan_free(p), NULL;
    return p;
}

static struct plan *find_plan(struct session *s, const struct shape *shapes, struct err *e)
{
    for (struct cached *c = s->plans; c; c = c->next)
        if (fits(s, c, shapes)) return c->used = ++s->clock, c->plan;
    struct plan *p = make_plan(s, shapes, e);
    if (!p) return NULL;
    struct cached *c = ARENA_NEW(&p->arena, struct cached); /* lives and goes with its plan */
    struct shape *copy = ARENA_ARRAY(&p->arena, s->graph->n_inputs, struct shape);
    if (!c || !copy) return plan_free(p), fail_nomem(e), NULL;
    if (s->graph->n_inputs) memcpy(copy, shapes, s->graph->n_inputs * sizeof *copy);
    *c = (struct cached){ p, copy, ++s->clock, s->plans };
    s->plans = c;
    trim_cache(s);
    return p;
}

const struct plan *session_plan(struct session *s, const struct shape *shapes, struct err *e)
{
    return find_plan(s, shapes, e);
}

static int ensure_memory(struct session *s, size_t bytes, struct err *e)
{
    if (session_memory(s) >= bytes && s->memory) return 0;
    uint64_t there = memory_available() + session_memory(s);
    if (bytes > there)
        return fail(e, ERR_NOMEM, "this run needs %.1f MB of memory, %.1f MB are free: use a smaller batch or image",
            (double)bytes / 1e6, (double)there / 1e6);
    blob_unref(s->memory);
    s->memory = blob_new(s->o.mem, bytes);
    return s->memory ? 0 : fail_nomem(e);
}

static int check_input(const struct value *v, const struct tensor *t, struct err *e)
{
    if (!t) return fail(e, ERR_USAGE, "input %s is missing", v->name);
    if (v->dtype != DT_NONE && t->dtype != v->dtype)
        return fail(
            e, ERR_SHAPE, "input %s is %s, the model expects %s", v->name, dtype_name(t->dtype), dtype_name(v->dtype));
    return 0;
}

int session_run(struct session *s, const struct tensor *const *in, struct tensor *out, struct err *e)
{
    const struct graph *g = s->graph;
    arena_release(&s->scratch);
    struct shape *shapes = ARENA_ARRAY(&s->scratch, g->n_inputs, struct shape);
    TRY_MEM(shapes, e);
    for (size_t i = 0; i < g->n_inputs; i++) {
        TRY(check_input(g->inputs[i], in[i], e));
        shapes[i] = in[i]->shape;
    }
    struct plan *p = find_plan(s, shapes, e);
    if (!p) return e->code;
    TRY(ensure_memory(s, p->memory, e));
    struct run r = { .memory = blob_data(s->memory),
        .in = in,
        .states = s->states,
        .scratch = &s->scratch,
        .options = &s->o,
        .profile = s->o.profile,
        .cancelled = s->o.cancelled,
        .cookie = s->o.cookie };
    TRY(plan_run(p, &r, e));
    for (size_t i = 0; i < g->n_outputs; i++) out[i] = p->of_value[p->graph->outputs[i]->id]->tensor;
    return 0;
}
