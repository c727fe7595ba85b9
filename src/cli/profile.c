/* profile.c - where the time of a plan went, step by step. */
#include "cli/profile.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/plural.h"
#include "graph/op.h"

void profile_reset(const struct plan *p)
{
    for (size_t i = 0; i < p->n_steps; i++) p->steps[i]->seconds = 0, p->steps[i]->runs = 0;
}

static int slowest_first(const void *a, const void *b)
{
    const struct plan_step *x = *(struct plan_step *const *)a, *y = *(struct plan_step *const *)b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static struct plan_step **sorted(const struct plan *p, struct arena *a, double *all, struct err *e)
{
    struct plan_step **order = ARENA_ARRAY(a, p->n_steps + 1, struct plan_step *);
    if (!order) return fail_nomem(e), NULL;
    *all = 0;
    for (size_t i = 0; i < p->n_steps; i++) order[i] = p->steps[i], *all += p->steps[i]->seconds;
    if (p->n_steps) qsort(order, p->n_steps, sizeof *order, slowest_first);
    return order;
}

static const char *kernel_of(const struct plan_step *s)
{
    if (s->kind == STEP_REORDER) return "reorder";
    if (s->kind == STEP_EVAL) return "node by node";
    return s->step.kernel ? s->step.kernel->name : "reference";
}

static const char *op_of(const struct plan_step *s)
{
    return s->step.node ? s->step.node->op->name : "-";
}

static const char *name_of(const struct plan_step *s)
{
    return s->step.node ? s->step.node->name : "";
}

int profile_print(const struct plan *p, struct arena *a, struct err *e)
{
    double all;
    struct plan_step **order = sorted(p, a, &all, e);
    if (!order) return e->code;
    printf("%10s %6s %5s  %-20s %-20s %s\n", "ms", "%", "runs", "op", "kernel", "node");
    for (size_t i = 0; i < p->n_steps; i++)
        printf("%10.3f %6.1f %5ld  %-20s %-20s %s\n", order[i]->seconds * 1e3,
            100 * order[i]->seconds / (all + 1e-12), order[i]->runs, op_of(order[i]), kernel_of(order[i]),
            name_of(order[i]));
    printf("%10.3f ms in %zu step%s, calls together\n", all * 1e3, p->n_steps, plural((long long)p->n_steps));
    return 0;
}

json_t *profile_json(const struct plan *p, struct arena *a, struct err *e)
{
    double all;
    struct plan_step **order = sorted(p, a, &all, e);
    json_t *list = order ? json_array() : NULL;
    for (size_t i = 0; list && i < p->n_steps; i++)
        json_array_append_new(list,
            json_pack("{s:s,s:s,s:s,s:f,s:I}", "op", op_of(order[i]), "kernel", kernel_of(order[i]), "node",
                name_of(order[i]), "ms", order[i]->seconds * 1e3, "runs", (json_int_t)order[i]->runs));
    if (order && !list) fail_nomem(e);
    return list;
}
