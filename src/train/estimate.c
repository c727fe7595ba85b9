/* estimate.c - the plans of a full batch, made before the first step, and the memory that the run will take. */
#include "base/err.h"
#include "base/memory.h"
#include "plan/packs.h"
#include "plan/plan.h"
#include "train/run.h"

/* Code that comes into memory later: kernels at the first step, cairo and its fonts for the pictures at the end. */
static const double later = 11e6;

/* What will be added to what lies in memory once the plans are made, in bytes. */
struct need {
    double step, judge; /* the arenas of their plans */
    double batch;       /* while one is made */
    double saving;      /* while a checkpoint or a package is written */
};

/* Arrays of full batches for the graph of a step, or for the one that judges. */
static const struct plan *plan_for(
    struct train_run *r, struct session *s, const struct batch *one, bool step, struct arena *a, struct err *e)
{
    struct shape *shapes = ARENA_ARRAY(a, one->n_inputs + STEP_EXTRA, struct shape);
    size_t n = 0, rows = step || r->batch < r->valid.n ? r->batch : r->valid.n;
    if (!shapes) return fail_nomem(e), NULL;
    for (size_t i = 0; i < one->n_inputs; i++) shapes[n++] = one->in[i]->shape;
    for (size_t k = 0; k < one->n_heads; k++) {
        shapes[n++] = one->target[k]->shape;
        if (!step || !run_mixes(r)) continue;
        shapes[n++] = one->target[k]->shape;
        if (!k) shapes[n++] = shape_of(0, NULL);
    }
    for (size_t i = 0; i < n; i++)
        if (shapes[i].rank) shapes[i].dim[0] = (int64_t)rows;
    for (; n < one->n_inputs + STEP_EXTRA; n++) shapes[n] = shape_of(0, NULL);
    return session_plan(s, shapes, e);
}

/* Samples lie alone, then together; a loader's threads do that while the batch before is out. */
static double batch_bytes(const struct train_run *r, const struct batch *one)
{
    double sample = 0;
    for (size_t k = 0; k < one->n_heads; k++) sample += (double)tensor_bytes(one->target[k]) * (run_mixes(r) ? 2 : 1);
    for (size_t i = 0; i < one->n_inputs; i++) sample += (double)tensor_bytes(one->in[i]);
    return sample * (double)r->batch * (conf_int(r->conf, "loaders") ? 3 : 2);
}

/* What the proof of a package takes: the model runs anew, with its weights packed. */
static double proof_bytes(
    const struct train_run *r, const struct batch *one, struct arena *a, struct err *e)
{
    struct packs *packs = packs_blank(NULL);
    if (!packs) return fail_nomem(e), 0;
    struct shape *shapes = ARENA_ARRAY(a, one->n_inputs, struct shape);
    struct session *s = NULL;
    double bytes = 0;
    if (!shapes) fail_nomem(e);
    else s = session_new(r->model.graph, &(struct session_options){ .threads = r->threads, .packs = packs }, e);
    for (size_t i = 0; s && i < one->n_inputs; i++) shapes[i] = one->in[i]->shape;
    const struct plan *p = s ? session_plan(s, shapes, e) : NULL;
    if (p) bytes = (double)p->memory + (double)packs_bytes(packs);
    session_free(s);
    packs_free(packs);
    return bytes;
}

/* A checkpoint holds a plain copy of each state that is stored otherwise; a package those of the model, and its
 * proof. */
static double saving_bytes(const struct train_run *r, double proof)
{
    double checkpoint = 0, package = proof;
    for (size_t i = 0; i < r->step->n_states; i++) {
        double copied = (double)session_state_copies(r->session, i);
        checkpoint += copied;
        if (r->step->states[i]->flags & VALUE_TRAINABLE) package += copied;
    }
    return checkpoint > package ? checkpoint : package;
}

static int find_need(struct train_run *r, struct need *n, struct arena *a, struct err *e)
{
    struct batch one = { 0 };
    size_t at = 0;
    for (; at < r->train.n && at < 10 && !one.n; at++) TRY(samples_batch(&r->train, 0, &at, 1, a, &one, e));
    if (!one.n)
        return fail(e, ERR_DATA, "none of the first %zu rows fits the model; the last: %s", at,
            one.n_errors ? one.errors[0] : "?");
    const struct plan *p = plan_for(r, r->session, &one, true, a, e);
    const struct plan *judging = p && r->valid.n ? plan_for(r, r->judge_session, &one, false, a, e) : NULL;
    TRY(e->code);
    n->step = (double)p->memory;
    n->judge = judging ? (double)judging->memory : 0;
    n->batch = batch_bytes(r, &one);
    n->saving = saving_bytes(r, proof_bytes(r, &one, a, e));
    return e->code;
}

int run_first_plans(struct train_run *r, struct err *e)
{
    struct arena a;
    struct need n = { 0 };
    arena_init(&a, NULL);
    find_need(r, &n, &a, e);
    arena_release(&a);
    TRY(e->code);
    double all = (double)memory_resident() + later + n.step + n.judge + (n.batch > n.saving ? n.batch : n.saving);
    run_say(r, "memory: about %.0f MB will be needed, %.0f MB of them by a step", all / 1e6, n.step / 1e6);
    return 0;
}
