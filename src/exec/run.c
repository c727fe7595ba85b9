/* run.c - the loop over the steps. */
#include "exec/run.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/team.h"
#include "exec/nested.h"
#include "graph/op.h"
#include "ops/control.h"

static void *memory_of(const struct place *p, const struct run *r)
{
    switch (p->kind) {
    case PLACE_ARENA: return r->memory + p->offset;
    case PLACE_STATE: return r->states[p->index]->data;
    case PLACE_INPUT: return r->in[p->index]->data;
    default: return p->tensor.data;
    }
}

/* A dynamic place takes a tensor over; what lies in no blob is somebody else's memory and outlives the run. */
static void hold(struct place *to, const struct tensor *t)
{
    blob_ref(t->blob);
    place_drop(to);
    to->tensor = *t;
}

static void bind_places(struct plan *p, const struct run *r)
{
    for (size_t i = 0; i < p->n_places; i++) place_drop(p->places[i]);
    for (size_t i = 0; i < p->graph->n_inputs; i++) {
        struct place *q = p->of_value[p->graph->inputs[i]->id];
        if (q->kind == PLACE_DYNAMIC) hold(q, r->in[i]);
    }
    for (size_t i = 0; i < p->n_places; i++) p->places[i]->tensor.data = memory_of(place_root(p->places[i]), r);
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i]->work) p->steps[i]->step.work = p->steps[i]->work->tensor.data;
}

/* A node whose shapes are known only now: evaluated, its results bound to the places that wait for them. */
static int evaluate(struct plan_step *s, const struct run *r, struct err *e)
{
    const struct node *n = s->step.node;
    struct tensor **out = ARENA_ARRAY(r->scratch, n->n_out, struct tensor *);
    TRY_MEM(out, e);
    int done = nested_kernel(s, r, out, e);
    TRY(done);
    if (!done) TRY(op_eval_for(s->step.host, n, s->step.in, out, r->scratch, s->step.threads, e));
    for (int i = 0; i < n->n_out; i++) {
        struct tensor *to = s->step.out[i];
        if (s->out[i]->kind == PLACE_DYNAMIC) hold(s->out[i], out[i]);
        else if (out[i]->dtype != to->dtype || !shape_equal(&out[i]->shape, &to->shape))
            return fail(e, ERR_SHAPE, "%s (%s): output %d has another type or shape than was inferred", n->name,
                n->op->name, i);
        else if (tensor_bytes(to)) memcpy(to->data, out[i]->data, (size_t)tensor_bytes(to));
    }
    return 0;
}

static int run_step(struct plan_step *s, const struct run *r, struct err *e)
{
    s->step.scratch = r->scratch;
    if (s->kind == STEP_EVAL) return evaluate(s, r, e);
    if (s->kind == STEP_REORDER) return s->backend->reorder_run(&s->step, e);
    int code = s->step.kernel ? s->step.kernel->run(&s->step, e) : s->step.node->op->run(&s->step, e);
    return code < 0 ? node_err(s->step.node, e) : 0;
}

static int run_timed(struct plan_step *s, const struct run *r, struct err *e)
{
    double begin = clock_now();
    int code = run_step(s, r, e);
    s->seconds += clock_now() - begin;
    s->runs++;
    return code;
}

static size_t state_bytes(const struct tensor *t)
{
    return t->layout ? t->layout->bytes : (size_t)tensor_bytes(t);
}

/* States whose new content was not made in place are copied now, when every reader is done. */
static int commit_states(const struct plan *p, const struct run *r, struct err *e)
{
    const struct graph *g = p->graph;
    for (size_t i = 0; i < g->n_states; i++) {
        if (!g->states[i]->next) continue;
        const struct tensor *from = &p->of_value[g->states[i]->next->id]->tensor;
        if (!shape_equal(&from->shape, &r->states[i]->shape))
            return fail(e, ERR_SHAPE, "the state %s would change its shape", g->states[i]->name);
    }
    for (size_t i = 0; i < g->n_states; i++) {
        if (!g->states[i]->next) continue;
        const struct tensor *from = &p->of_value[g->states[i]->next->id]->tensor;
        if (from->data != r->states[i]->data) memcpy(r->states[i]->data, from->data, state_bytes(from));
    }
    return 0;
}

static int run_steps(struct plan *p, const struct run *r, struct err *e)
{
    struct arena_mark mark = arena_mark(r->scratch);
    struct nested_host host;
    nested_host_init(&host, r);
    for (size_t i = 0; i < p->n_steps; i++) {
        struct plan_step *s = p->steps[i];
        if (r->cancelled && r->cancelled(r->cookie)) return fail(e, ERR_CANCELLED, "cancelled");
        host.step = s;
        s->step.host = &host.host;
        int code = r->profile ? run_timed(s, r, e) : run_step(s, r, e);
        s->step.host = NULL;
        arena_rewind(r->scratch, mark);
        if (code < 0) return code;
        for (struct place *q = s->dying; q; q = q->next_dying) place_drop(q);
    }
    return 0;
}

int plan_run(struct plan *p, const struct run *r, struct err *e)
{
    bind_places(p, r);
    int before = team_use(p->threads), code = run_steps(p, r, e);
    team_use(before);
    return code ? code : commit_states(p, r, e);
}
