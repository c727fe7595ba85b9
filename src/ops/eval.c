/* eval.c - one node on concrete tensors, by the reference kernel. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/aligned.h"
#include "graph/op.h"
#include "graph/sequence.h"
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

/* What reference kernels may read: weights that lie anywhere in a file are copied into `a`. NULL with the error. */
static struct tensor **aligned_inputs(struct tensor *const *in, int n, struct arena *a, struct err *e)
{
    struct tensor **list = ARENA_ARRAY(a, n, struct tensor *);
    if (!list) return fail_nomem(e), NULL;
    for (int i = 0; i < n; i++) {
        const struct tensor *t = in[i] ? tensor_aligned(a, in[i], e) : NULL;
        if (in[i] && !t) return NULL;
        list[i] = (struct tensor *)(uintptr_t)t;
    }
    return list;
}

struct tensor *step_resize(const struct step *s, int i, enum dtype t, const struct shape *shape, struct err *e)
{
    return s->out[i] = tensor_new(s->arena, t, shape, e);
}

int step_give(const struct step *s, int i, const struct tensor *t, struct err *e)
{
    const struct tensor *to = s->out[i];
    if (!to) return (s->out[i] = tensor_keep(s->arena, t, e)) ? 0 : e->code;
    if (to->dtype != t->dtype || !shape_equal(&to->shape, &t->shape)) {
        struct str found = str_in(s->scratch), wanted = str_in(s->scratch);
        shape_print(s->node->graph, &t->shape, &found);
        shape_print(s->node->graph, &to->shape, &wanted);
        const char *f = str_done(&found), *w = str_done(&wanted);
        return fail(e, ERR_SHAPE, "output %d is %s%s, expected %s%s", i, dtype_name(t->dtype), f ? f : "",
            dtype_name(to->dtype), w ? w : "");
    }
    if (tensor_bytes(t)) memcpy(to->data, t->data, (size_t)tensor_bytes(t));
    return 0;
}

/* Memory for the outputs whose type and size are known before the run. */
static int make_outputs(const struct node *m, struct tensor **out, struct arena *a, struct err *e)
{
    for (int i = 0; i < m->n_out; i++) {
        enum dtype t = m->out[i]->dtype;
        out[i] = NULL;
        if (t == DT_NONE || dtype_is_container(t) || !shape_is_known(&m->out[i]->shape)) continue;
        if (!(out[i] = tensor_new(a, t, &m->out[i]->shape, e))) return e->code;
    }
    return 0;
}

static int evaluate(const struct step *s, struct node *m, struct err *e)
{
    TRY(node_check_inputs(m, e));
    if (m->op->infer) TRY(m->op->infer(m, e));
    TRY(make_outputs(m, s->out, s->arena, e));
    if (m->op->run) TRY(m->op->run(s, e));
    else if (m->op->expand) TRY(step_run_expanded(s, e));
    else return fail(e, ERR_UNSUPPORTED, "has no reference kernel");
    for (int i = 0; i < m->n_out; i++) {
        if (!s->out[i]) return fail(e, ERR_SHAPE, "the shape of output %d stayed unknown", i);
        /* texts may lie anywhere now; the result has to own them */
        if (s->out[i]->dtype == DT_STRING && !(s->out[i] = tensor_keep(s->arena, s->out[i], e))) return e->code;
    }
    return 0;
}

int op_eval_for(const struct host *h, const struct node *n, struct tensor *const *in, struct tensor **out,
    struct arena *a, int threads, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, a->mem);
    struct tensor **list = aligned_inputs(in, n->n_in, &scratch, e);
    struct node *m = list ? bound_node(n, list, &scratch) : NULL;
    struct step s = { .node = m,
        .in = list,
        .out = out,
        .threads = threads,
        .host = h,
        .arena = a,
        .scratch = &scratch };
    int code = m ? evaluate(&s, m, e) : e->code ? e->code : fail_nomem(e);
    arena_release(&scratch);
    return code < 0 ? node_err(n, e) : 0;
}

int op_eval(
    const struct node *n, struct tensor *const *in, struct tensor **out, struct arena *a, int threads, struct err *e)
{
    return op_eval_for(NULL, n, in, out, a, threads, e);
}
