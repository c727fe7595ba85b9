/* trace.c - the step again, node by node, to name the place where numbers ceased to be finite. */
#include <math.h>

#include "base/err.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "train/run.h"

struct trace {
    const struct node *first;
};

static bool is_finite(const struct tensor *t)
{
    if (!t || !dtype_is_float(t->dtype)) return true;
    for (int64_t i = 0, n = tensor_count(t); i < n; i++)
        if (!isfinite(tensor_get_f64(t, i))) return false;
    return true;
}

static void look(void *cookie, const struct node *n, struct tensor *const *out)
{
    struct trace *t = cookie;
    for (int i = 0; i < n->n_out && !t->first; i++)
        if (!is_finite(out[i])) t->first = n;
}

static const struct node *find(struct train_run *r, const struct tensor *const *in, struct arena *a, struct err *e)
{
    struct trace t = { NULL };
    const struct graph *g = r->step;
    struct tensor **states = ARENA_ARRAY(a, g->n_states, struct tensor *),
                  **out = ARENA_ARRAY(a, g->n_outputs, struct tensor *);
    if (!states || !out) return NULL;
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next) states[i] = (struct tensor *)(uintptr_t)session_state(r->session, i, a, e);
    struct interpret o = { .threads = r->threads, .states = states, .seen = look, .cookie = &t };
    graph_interpret(g, (struct tensor *const *)in, out, a, &o, e);
    return t.first;
}

int run_trace(struct train_run *r, const struct tensor *const *in, struct err *e)
{
    struct arena a;
    struct err local = { 0 };
    char where[400] = "";
    arena_init(&a, NULL);
    for (size_t i = 0; i < r->model.graph->n_inputs && !where[0]; i++)
        if (!is_finite(in[i]))
            snprintf(where, sizeof where, "input %.200s holds such numbers itself",
                in[i] ? r->model.graph->inputs[i]->name : "");
    const struct node *n = where[0] ? NULL : find(r, in, &a, &local);
    if (n)
        snprintf(where, sizeof where, "first at %.150s (%s)%s%.150s", n->name, n->op->name, n->where ? " at " : "",
            n->where ? n->where : "");
    arena_release(&a);
    return fail(e, ERR_FAILED,
        "step %lld (epoch %lld, batch %lld): the loss or a gradient is not finite, %s; nothing was "
        "changed by it, and %s holds %s: a lower lr, clip_norm or warmup may help",
        (long long)r->updates + 1, (long long)r->epoch + 1, (long long)r->at + 1,
        where[0] ? where : "but not when run node by node", r->folder,
        run_has_checkpoint(r) ? "the last good checkpoint" : "no checkpoint yet");
}
