/* step.c - building the graph of one training step. */
#include "train/step.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "pass/gradient.h"
#include "pass/mode.h"
#include "pass/pass.h"

struct making {
    struct graph *g;
    const struct train_step_options *o;
    struct builder b;
    struct value **params, **grads; /* one per trained parameter */
    size_t n;
    struct value *loss, *lr, *finite, *step;
};

/* Updates done so far; it changes at the end, so that it lives through every tidying until then. */
static int add_counter(struct making *m, struct err *e)
{
    struct shape scalar = shape_of(0, NULL);
    struct tensor *zero = tensor_new(m->g->arena, DT_I64, &scalar, e);
    if (!zero || !(m->step = graph_state(m->g, "step", zero, 0, e))) return e->code;
    m->step->next = emit(&m->b, "Add", NO_ATTRS, m->step, emit_i64(&m->b, 1));
    return e->code;
}

static int add_loss(struct making *m, struct value *out, struct err *e)
{
    bool classes = m->o->loss == LOSS_CROSS_ENTROPY;
    struct shape s = out->shape;
    if (classes && s.rank >= 2) {
        for (int d = 1; d < s.rank - 1; d++) s.dim[d] = s.dim[d + 1];
        s.rank--;
    }
    struct value *target = graph_input(m->g, "target", classes ? DT_I64 : out->dtype, &s, e);
    if (!target) return e->code;
    if (classes) m->loss = emit(&m->b, "SoftmaxCrossEntropyLoss", NO_ATTRS, out, target);
    else {
        struct value *d = emit(&m->b, "Sub", NO_ATTRS, out, target);
        m->loss = emit(&m->b, "ReduceMean", ATTRS(attr_int("keepdims", 0)), emit(&m->b, "Mul", NO_ATTRS, d, d));
    }
    return e->code;
}

static int find_params(struct making *m, struct err *e)
{
    const struct graph *g = m->g;
    m->params = ARENA_ARRAY(g->arena, g->n_states, struct value *);
    m->grads = ARENA_ARRAY(g->arena, g->n_states, struct value *);
    if (!m->params || !m->grads) return fail_nomem(e);
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->flags & VALUE_TRAINABLE && dtype_is_float(g->states[i]->dtype) && !g->states[i]->next)
            m->params[m->n++] = g->states[i];
    return m->n ? 0 : fail(e, ERR_UNSUPPORTED, "the model has no parameters to train");
}

static int add_gradients(struct making *m, struct err *e)
{
    TRY(graph_gradient(m->g, m->loss, m->params, m->n, m->grads, e));
    m->loss = value_resolve(m->loss);
    size_t used = 0; /* a parameter the loss does not depend on is left alone */
    for (size_t i = 0; i < m->n; i++) {
        if (!m->grads[i]) continue;
        m->params[used] = m->params[i];
        m->grads[used++] = m->grads[i];
    }
    m->n = used;
    struct value **all = ARENA_ARRAY(m->g->arena, m->n + 1, struct value *);
    TRY_MEM(all, e);
    all[0] = m->loss;
    for (size_t i = 0; i < m->n; i++) all[i + 1] = m->grads[i];
    m->finite = builder_emit(&m->b, "AllFinite", NO_ATTRS, all, (int)m->n + 1);
    return e->code;
}

static struct value *zero_state(struct making *m, const char *prefix, const struct value *like, struct err *e)
{
    char name[300];
    snprintf(name, sizeof name, "%s/%.250s", prefix, like->name);
    struct tensor *t = tensor_new(m->g->arena, like->dtype, &like->data->shape, e);
    return t ? graph_state(m->g, name, t, 0, e) : NULL;
}

static int add_update(struct making *m, size_t i, struct err *e)
{
    const struct train_step_options *o = m->o;
    struct value *p = m->params[i], *buf = NULL;
    if (o->momentum != 0 && !(buf = zero_state(m, "momentum", p, e))) return e->code;
    struct value *in[] = { p, m->grads[i], buf, m->step, m->lr, m->finite };
    struct node *n = builder_node(&m->b, "SGDUpdate",
        ATTRS(attr_float("momentum", o->momentum), attr_float("dampening", o->dampening),
            attr_float("weight_decay", o->weight_decay), attr_int("nesterov", o->nesterov)),
        in, 6, buf ? 2 : 1);
    if (!n) return e->code;
    p->next = n->out[0];
    if (buf) buf->next = n->out[1];
    return 0;
}

/* States that no optimizer updates (running statistics) keep their content when the step is not finite. */
static void guard_states(struct making *m, size_t n_states)
{
    for (size_t i = 0; i < n_states; i++) {
        struct value *s = m->g->states[i];
        if (s->next) s->next = emit(&m->b, "Where", NO_ATTRS, m->finite, s->next, s);
    }
}

static int add_updates(struct making *m, struct err *e)
{
    struct shape scalar = shape_of(0, NULL);
    guard_states(m, m->g->n_states);
    if (!(m->lr = graph_input(m->g, "lr", DT_F32, &scalar, e))) return e->code;
    for (size_t i = 0; i < m->n; i++) TRY(add_update(m, i, e));
    return e->code;
}

static int set_outputs(struct making *m, struct err *e)
{
    m->g->n_outputs = 0;
    TRY(graph_rename(m->g, m->loss, "loss", e));
    TRY(graph_rename(m->g, m->finite, "finite", e));
    TRY(graph_output(m->g, m->loss, e));
    TRY(graph_output(m->g, m->finite, e));
    for (size_t i = 0; m->o->show_gradients && i < m->n; i++) {
        char name[300];
        snprintf(name, sizeof name, "grad/%.250s", m->params[i]->name);
        struct value *v = emit(&m->b, "Identity", NO_ATTRS, m->grads[i]);
        if (!v) return e->code;
        TRY(graph_rename(m->g, v, name, e));
        TRY(graph_output(m->g, v, e));
    }
    return 0;
}

struct graph *train_step_new(
    const struct graph *model, const struct train_step_options *o, struct arena *a, struct err *e)
{
    struct graph *g = graph_copy(model, a, e);
    struct making m = { .g = g, .o = o, .b = { g, e } };
    if (!g || add_counter(&m, e) || graph_training(g, m.step, !o->biased, !o->frozen_stats, e)) return NULL;
    if (o->output >= g->n_outputs) return fail(e, ERR_USAGE, "the model has no output %zu", o->output), NULL;
    if (add_loss(&m, g->outputs[o->output], e)) return NULL;
    g->n_outputs = 0; /* only the loss is needed from here on */
    if (graph_output(g, m.loss, e) || graph_tidy(g, e) || find_params(&m, e)) return NULL;
    if (add_gradients(&m, e) || add_updates(&m, e) || set_outputs(&m, e)) return NULL;
    return graph_tidy(g, e) ? NULL : g;
}
