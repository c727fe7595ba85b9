/* eval.c - one node on concrete tensors, by the reference kernel. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/op.h"
#include "ops/eval.h"
#include "ops/kernel.h"

/* A copy of the node whose inputs are constants, so that infer() can see shapes and data. */
static struct node *bound_node(const struct node *n, struct tensor *const *in, struct arena *a)
{
    struct node *m = ARENA_NEW(a, struct node);
    struct value *values = ARENA_ARRAY(a, n->n_in + n->n_out, struct value);
    struct value **list = ARENA_ARRAY(a, n->n_in + n->n_out, struct value *);
    if (!m || !values || !list) return NULL;
    *m = *n;
    m->in = list;
    m->out = list + n->n_in;
    for (int i = 0; i < n->n_in + n->n_out; i++) {
        values[i].name = "";
        values[i].shape = shape_unknown();
        bool absent = i < n->n_in && !in[i];
        list[i] = absent ? NULL : &values[i];
        if (i >= n->n_in || absent) continue;
        values[i].kind = VALUE_CONST;
        values[i].dtype = in[i]->dtype;
        values[i].shape = in[i]->shape;
        values[i].data = in[i];
    }
    return m;
}

struct tensor *step_resize(const struct step *s, int i, enum dtype t, const struct shape *shape, struct err *e)
{
    return s->out[i] = tensor_new(s->arena, t, shape, e);
}

static int evaluate(struct node *m, struct tensor *const *in, struct tensor **out, struct arena *a,
    struct arena *scratch, int threads, struct err *e)
{
    if (m->op->infer) TRY(m->op->infer(m, e));
    for (int i = 0; i < m->n_out; i++) {
        out[i] = NULL;
        if (m->out[i]->dtype == DT_NONE || !shape_is_known(&m->out[i]->shape)) continue;
        if (!(out[i] = tensor_new(a, m->out[i]->dtype, &m->out[i]->shape, e))) return e->code;
    }
    struct step s = {
        .node = m, .in = (struct tensor **)(uintptr_t)in, .out = out, .threads = threads, .arena = a, .scratch = scratch
    };
    if (m->op->run) TRY(m->op->run(&s, e));
    else if (m->op->expand) TRY(step_run_expanded(&s, e));
    else return fail(e, ERR_UNSUPPORTED, "has no reference kernel");
    for (int i = 0; i < m->n_out; i++)
        if (!out[i]) return fail(e, ERR_SHAPE, "the shape of output %d stayed unknown", i);
    return 0;
}

int op_eval(
    const struct node *n, struct tensor *const *in, struct tensor **out, struct arena *a, int threads, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, a->mem);
    struct node *m = bound_node(n, in, &scratch);
    int code = m ? evaluate(m, in, out, a, &scratch, threads, e) : fail_nomem(e);
    arena_release(&scratch);
    return code < 0 ? node_err(n, e) : 0;
}
