/* oom.c - every row on its first sample while memory runs out: inference, reference kernel, gradient. */
#include "oom.h"

#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "pass/expand.h"
#include "pass/gradient.h"
#include "problem.h"

static bool cannot_run(const struct node *n)
{
    return !n->op->run;
}

static bool none(const struct value *v)
{
    return v->dtype != DT_F32 && v->dtype != DT_F64;
}

/* The gradient of the sum of output 0 with respect to input 0, where there is one. */
static int differentiate(struct graph *g, struct node *n, struct err *e)
{
    struct builder b = { g, e };
    struct value *dx;
    if (!(n->op->grad || n->op->expand) || !g->n_inputs || none(n->out[0]) || none(g->inputs[0])) return 0;
    struct value *loss = emit(&b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), n->out[0]);
    if (!loss) return e->code;
    TRY(graph_output(g, loss, e)); /* what nothing needs is dropped */
    TRY(graph_tidy(g, e));
    return graph_gradient(g, loss, g->inputs, 1, &dx, e);
}

static int try_row(const struct mem *mem, void *ctx)
{
    const struct op *op = ctx;
    static struct problem p;
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    struct tensor *in[PROBLEM_MAX], *out[PROBLEM_MAX];
    arena_init(&a, mem);
    int code = problem_get(&p, op, 0, &a, &e);
    struct node *n = code > 0 ? problem_graph(&p, SHAPES_KNOWN, false, &g, &a, &e) : NULL;
    if (n) {
        problem_inputs(&p, false, in);
        code = graph_expand(g, cannot_run, &e);
        if (!code) code = graph_interpret(g, in, out, &a, NULL, &e);
        if (!code && op->run) code = differentiate(g, n, &e);
    } else {
        code = e.code ? e.code : ERR_NOMEM;
    }
    arena_release(&a);
    return code;
}

TEST(rows_fail_cleanly_when_memory_runs_out)
{
    const struct op *op;
    long sum = 0;
    for (size_t i = 0; (op = op_at(i)) && !tap_failed; i++) {
        if (!op->samples) continue;
        long n = oom_each(try_row, (void *)(uintptr_t)op);
        if (tap_failed) TAP_FAIL("in %s", op->name);
        sum += n;
    }
    printf("# %ld failing allocations\n", sum);
}
