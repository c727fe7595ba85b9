/* tune_kernels.c - which kernel is fastest for each node of a model, on this machine. */
#include "cli/tune_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/err.h"
#include "graph/op.h"
#include "plan/plan.h"
#include "plan/recipe.h"

enum { ROUNDS = 15 };
#define WINS 0.99 /* of the time before: less is not told from noise */

struct tuning {
    const struct graph *g;
    struct session_options o;
    const struct shape *shapes;
    const struct tensor *const *in;
    struct recipe *recipe;
    struct arena arena;
    struct map seen; /* keys of nodes */
    struct session *best;
    struct tensor *out;
    int tried, taken;
};

static struct session *session_by(struct tuning *t, struct err *e)
{
    struct session_options o = t->o;
    o.recipe = t->recipe;
    return session_new(t->g, &o, e);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of the ratios of neighbouring runs: the other's time over the best one's. */
static int ratio(struct tuning *t, struct session *other, double *out, struct err *e)
{
    double ratios[ROUNDS], seconds[2];
    struct session *both[2] = { t->best, other };
    for (int k = 0; k < 2; k++) TRY(session_run(both[k], t->in, t->out, e));
    for (int i = 0; i < ROUNDS; i++) {
        for (int turn = 0; turn < 2; turn++) {
            int k = (turn + i) % 2;
            double begin = clock_now();
            TRY(session_run(both[k], t->in, t->out, e));
            seconds[k] = clock_now() - begin;
        }
        ratios[i] = seconds[1] / seconds[0];
    }
    qsort(ratios, ROUNDS, sizeof *ratios, by_value);
    *out = ratios[ROUNDS / 2];
    return 0;
}

/* Whether the plan gives a node of that key to that kernel. */
static bool has_step(struct tuning *t, const struct plan *p, const char *key, const char *kernel)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct step *s = &p->steps[i]->step;
        if (!s->kernel || strcmp(s->kernel->name, kernel)) continue;
        const char *k = recipe_key(&t->arena, s);
        if (k && !strcmp(k, key)) return true;
    }
    return false;
}

static int try_kernel(struct tuning *t, const char *key, const char *kernel, struct err *e)
{
    double r = 1;
    const char *before = recipe_kernel(t->recipe, key);
    TRY(recipe_set(t->recipe, key, kernel, e));
    struct session *s = session_by(t, e);
    const struct plan *p = s ? session_plan(s, t->shapes, e) : NULL;
    bool takes = p && has_step(t, p, key, kernel);
    if (takes && !ratio(t, s, &r, e)) t->tried++;
    if (!e->code && takes && r < WINS) {
        fprintf(stderr, "tenrec: %.3f of the time by %s: %s\n", r, kernel, key);
        session_free(t->best);
        t->best = s;
        t->taken++;
        return 0;
    }
    session_free(s);
    return e->code ? e->code : recipe_set(t->recipe, key, before, e);
}

static int try_node(struct tuning *t, const char *op, const char *key, const char *present, struct err *e)
{
    const char *tried[16];
    size_t n = 0;
    for (size_t b = 0; backend_list[b]; b++)
        for (const struct kernel *k = backend_list[b]->kernels; k->op; k++) {
            bool again = strcmp(k->op, op) || !strcmp(k->name, present);
            for (size_t i = 0; i < n && !again; i++) again = !strcmp(tried[i], k->name);
            if (again || n == sizeof tried / sizeof *tried) continue;
            tried[n++] = k->name;
            TRY(try_kernel(t, key, k->name, e));
        }
    return 0;
}

static int try_all(struct tuning *t, struct err *e)
{
    struct session *s = session_by(t, e); /* its plan stays while others come and go */
    const struct plan *p = s ? session_plan(s, t->shapes, e) : NULL;
    for (size_t i = 0; p && i < p->n_steps && !e->code; i++) {
        const struct plan_step *at = p->steps[i];
        if (at->kind != STEP_KERNEL || !at->step.kernel) continue;
        const char *key = recipe_key(&t->arena, &at->step);
        if (key && map_find(&t->seen, key)) continue;
        if (!key || !map_set(&t->seen, key, NULL)) fail_nomem(e);
        else try_node(t, at->step.node->op->name, key, at->step.kernel->name, e);
    }
    session_free(s);
    return e->code;
}

int tune_kernels(const struct graph *g, const struct session_options *o, const struct shape *shapes,
    const struct tensor *const *in, struct recipe *r, struct err *e)
{
    struct tuning t = { .g = g, .o = *o, .shapes = shapes, .in = in, .recipe = r };
    arena_init(&t.arena, NULL);
    t.seen = map_in(&t.arena);
    t.out = ARENA_ARRAY(&t.arena, g->n_outputs, struct tensor);
    if (!t.out) fail_nomem(e);
    else if ((t.best = session_by(&t, e))) try_all(&t, e);
    session_free(t.best);
    if (!e->code)
        fprintf(stderr, "tenrec: %d other kernels tried for %zu kinds of nodes, %d are faster\n", t.tried, t.seen.n,
            t.taken);
    arena_release(&t.arena);
    return e->code;
}
