/* step.c - building the graph of one training step. */
#include "train/step.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "pass/gradient.h"
#include "pass/mode.h"
#include "pass/pass.h"
#include "train/optimizer.h"

struct making {
    struct graph *g;
    const struct train_step_options *o;
    const struct optimizer *optimizer;
    struct builder b;
    struct value **params, **grads; /* one per trained parameter */
    size_t n;
    struct blob *zeros; /* what all moments begin with; it takes no memory */
    struct value *loss, *lr, *finite, *mix;
    struct value *step, *runs;                /* updates done, and runs done: the same unless gradients are gathered */
    struct value *apply, *share, *go, *scale; /* go: update now; scale: of gradients; NULL: always, 1 */
};

/* It changes at the end of a run, so that it lives through every tidying until then. */
static struct value *counter(struct making *m, const char *name, struct err *e)
{
    struct shape scalar = shape_of(0, NULL);
    struct tensor *zero = tensor_new(m->g->arena, DT_I64, &scalar, e);
    struct value *v = zero ? graph_state(m->g, name, zero, 0, e) : NULL;
    if (v) v->next = emit(&m->b, "Add", NO_ATTRS, v, emit_i64(&m->b, 1));
    return v;
}

struct value *train_head_loss(
    struct builder *b, const struct train_head *h, struct value *out, const char *prefix, size_t i, struct err *e)
{
    struct value *scores = loss_scores(&h->loss, out);
    enum dtype t;
    struct shape s;
    char name[40];
    if (loss_target(&h->loss, scores, &t, &s, e)) return NULL;
    if (i) snprintf(name, sizeof name, "%.30s_%zu", prefix, i + 1);
    struct value *target = graph_input(b->g, i ? name : prefix, t, &s, e);
    struct value *loss = target ? loss_emit(b, &h->loss, scores, target) : NULL;
    if (!loss || h->weight == 0 || h->weight == 1) return loss;
    return emit(b, "Mul", NO_ATTRS, loss, emit_scalar(b, loss->dtype, h->weight));
}

/* mix * loss + (1 - mix) * the loss by the targets of the samples that were mixed in */
static int add_mixed(
    struct making *m, const struct train_head *h, struct value *out, size_t i, struct value **loss, struct err *e)
{
    struct builder *b = &m->b;
    struct shape scalar = shape_of(0, NULL);
    struct value *other = train_head_loss(b, h, out, "mixed", i, e);
    if (other && !m->mix) m->mix = graph_input(m->g, "mix", DT_F32, &scalar, e);
    if (!other || !m->mix) return e->code;
    struct value *mix = emit_cast(b, m->mix, other->dtype);
    other = emit(b, "Mul", NO_ATTRS, other, emit(b, "Sub", NO_ATTRS, emit_scalar(b, other->dtype, 1), mix));
    *loss = emit(b, "Add", NO_ATTRS, emit(b, "Mul", NO_ATTRS, *loss, mix), other);
    return e->code;
}

static int add_head(struct making *m, size_t i, struct value *const *outputs, size_t n, struct err *e)
{
    const struct train_head *h = &m->o->heads[i];
    if (h->output >= n) return fail(e, ERR_USAGE, "the model has no output %zu", h->output);
    struct value *one = train_head_loss(&m->b, h, outputs[h->output], "target", i, e);
    if (!one) return e->code;
    if (m->o->mixup) TRY(add_mixed(m, h, outputs[h->output], i, &one, e));
    m->loss = m->loss ? emit(&m->b, "Add", NO_ATTRS, m->loss, one) : one;
    return e->code;
}

static int add_loss(struct making *m, struct err *e)
{
    size_t n = m->g->n_outputs;
    struct value **outputs = ARENA_ARRAY(m->g->arena, n, struct value *);
    TRY_MEM(outputs, e);
    for (size_t i = 0; i < n; i++) outputs[i] = value_resolve(m->g->outputs[i]);
    for (size_t i = 0; i < m->o->n_heads; i++) TRY(add_head(m, i, outputs, n, e));
    return 0;
}

bool train_rule_matches(const struct train_rule *r, const struct value *state)
{
    const char *source = state->origin ? state->origin->key : NULL;
    return !fnmatch(r->pattern, state->name, 0) || (source && !fnmatch(r->pattern, source, 0));
}

static const struct train_rule *rule_for(const struct train_step_options *o, const struct value *state, int kind)
{
    const struct train_rule *found = NULL;
    for (size_t i = 0; i < o->n_rules; i++)
        if ((int)o->rules[i].kind == kind && train_rule_matches(&o->rules[i], state)) found = &o->rules[i];
    return found;
}

static bool stats_move(void *cookie, const struct value *mean)
{
    const struct train_step_options *o = cookie;
    return !o->frozen_stats && !rule_for(o, mean, RULE_FREEZE_STATS);
}

static int find_params(struct making *m, struct err *e)
{
    const struct graph *g = m->g;
    size_t there = 0;
    m->params = ARENA_ARRAY(g->arena, g->n_states, struct value *);
    m->grads = ARENA_ARRAY(g->arena, g->n_states, struct value *);
    if (!m->params || !m->grads) return fail_nomem(e);
    for (size_t i = 0; i < g->n_states; i++) {
        struct value *s = g->states[i];
        if (!(s->flags & VALUE_TRAINABLE) || !dtype_is_float(s->dtype) || s->next) continue;
        there++;
        if (!rule_for(m->o, s, RULE_FREEZE)) m->params[m->n++] = s;
    }
    if (m->n) return 0;
    return there ? fail(e, ERR_USAGE, "freeze: all %zu parameters are frozen, nothing is left to train", there)
                 : fail(e, ERR_UNSUPPORTED, "the model has no parameters to train");
}

static int made_earlier(const void *a, const void *b)
{
    const struct value *x = *(struct value *const *)a, *y = *(struct value *const *)b;
    int i = x->node ? x->node->id : -1, k = y->node ? y->node->id : -1;
    return (i > k) - (i < k);
}

/* Nodes run in the order in which this one asks for them: a gradient as soon as it can be had, so that what it is made
 * of lives no longer. */
static struct value *all_finite(struct making *m, struct err *e)
{
    struct value **all = ARENA_ARRAY(m->g->arena, m->n + 1, struct value *);
    if (!all) return fail_nomem(e), NULL;
    all[0] = m->loss;
    memcpy(all + 1, m->grads, m->n * sizeof *all);
    qsort(all + 1, m->n, sizeof *all, made_earlier);
    return builder_emit(&m->b, "AllFinite", NO_ATTRS, all, (int)m->n + 1);
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
    if (!(m->n = used)) return fail(e, ERR_UNSUPPORTED, "the loss depends on no parameter that is to be trained");
    m->finite = all_finite(m, e);
    return e->code;
}

static int make_zeros(struct making *m, struct err *e)
{
    size_t most = 0;
    for (size_t i = 0; i < m->n; i++) {
        size_t bytes = (size_t)tensor_bytes(m->params[i]->data);
        if (bytes > most) most = bytes;
    }
    m->zeros = blob_zeros(m->g->arena->mem, most);
    return m->zeros && !blob_adopt(m->g->arena, m->zeros) ? 0 : fail_nomem(e);
}

/* A state of a parameter's size; from zero, or from the parameter. */
static struct value *own_state(struct making *m, const char *prefix, const struct value *like, bool zero, struct err *e)
{
    char name[300];
    snprintf(name, sizeof name, "%s/%.250s", prefix, like->name);
    struct tensor *t = ARENA_NEW(m->g->arena, struct tensor);
    if (!t) return fail_nomem(e), NULL;
    *t = *like->data;
    if (zero) t->blob = m->zeros, t->data = blob_data(m->zeros);
    return graph_state(m->g, name, t, 0, e);
}

/* Gradients of several steps add up until "apply" says that they are used. */
static int gather(struct making *m, struct err *e)
{
    struct shape scalar = shape_of(0, NULL);
    struct builder *b = &m->b;
    if (!(m->apply = graph_input(m->g, "apply", DT_BOOL, &scalar, e))) return e->code;
    if (!(m->share = graph_input(m->g, "share", DT_F32, &scalar, e))) return e->code;
    m->go = emit(b, "And", NO_ATTRS, m->finite, m->apply);
    for (size_t i = 0; i < m->n; i++) {
        struct value *kept = own_state(m, "gathered", m->params[i], true, e);
        if (!kept) return e->code;
        m->grads[i] = emit(b, "Add", NO_ATTRS, kept, m->grads[i]);
        struct value *next = emit(b, "Where", NO_ATTRS, m->apply, emit_scalar(b, kept->dtype, 0), m->grads[i]);
        kept->next = emit(b, "Where", NO_ATTRS, m->finite, next, kept);
    }
    m->scale = m->share;
    return e->code;
}

/* torch.nn.utils.clip_grad_norm_: times max / (norm + 1e-6) where that is below 1. */
static int clip_norm(struct making *m, struct err *e)
{
    struct builder *b = &m->b;
    struct value *norm = builder_emit(b, "GradientNorm", NO_ATTRS, m->grads, (int)m->n);
    if (m->scale) norm = emit(b, "Mul", NO_ATTRS, norm, m->scale);
    norm = emit(b, "Add", NO_ATTRS, norm, emit_scalar(b, DT_F32, 1e-6));
    struct value *fit = emit(b, "Div", NO_ATTRS, emit_scalar(b, DT_F32, m->o->clip_norm), norm);
    fit = emit(b, "Min", NO_ATTRS, fit, emit_scalar(b, DT_F32, 1));
    m->scale = m->scale ? emit(b, "Mul", NO_ATTRS, m->scale, fit) : fit;
    return e->code;
}

static double attr_value(const struct attr *list, const char *name)
{
    for (; list && list->name; list++)
        if (!strcmp(list->name, name)) return list->type == ATTR_INT ? (double)list->i : list->f;
    return 0;
}

/* The optimizer's hyper-parameters as they are for this parameter. */
static struct attr *attrs_for(struct making *m, const struct value *p, struct err *e)
{
    const struct train_rule *rate = rule_for(m->o, p, RULE_RATE), *decay = rule_for(m->o, p, RULE_DECAY);
    size_t n = 0;
    while (m->o->attrs && m->o->attrs[n].name) n++;
    struct attr *list = ARENA_ARRAY(m->g->arena, n + 4, struct attr);
    if (!list) return fail_nomem(e), NULL;
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        if (!decay || strcmp(m->o->attrs[i].name, "weight_decay")) list[used++] = m->o->attrs[i];
    if (decay) list[used++] = attr_float("weight_decay", decay->value);
    if (rate) list[used++] = attr_float("rate", rate->value);
    if (m->optimizer->always) list[used++] = attr_int(m->optimizer->always, 1);
    return list;
}

static int add_average(struct making *m, const struct value *p, struct err *e)
{
    struct value *average = own_state(m, "average", p, false, e);
    if (!average) return e->code;
    average->next = emit(
        &m->b, "AverageUpdate", ATTRS(attr_float("decay", m->o->ema)), average, p->next, m->step, m->lr, m->go);
    return e->code;
}

static int add_update(struct making *m, size_t i, struct err *e)
{
    struct value *p = m->params[i], *in[10] = { p, m->grads[i], m->step, m->lr, m->go, m->scale };
    int n = 6;
    for (const struct optimizer_state *s = m->optimizer->states; s->name; s++)
        if (!s->when || attr_value(m->o->attrs, s->when) != 0)
            if (!(in[n++] = own_state(m, s->name, p, true, e))) return e->code;
    struct attr *attrs = attrs_for(m, p, e);
    struct node *node = attrs ? builder_node(&m->b, m->optimizer->op, attrs, in, n, n - 5) : NULL;
    if (!node) return e->code;
    p->next = node->out[0];
    for (int k = 6; k < n; k++) in[k]->next = node->out[k - 5];
    return m->o->ema > 0 ? add_average(m, p, e) : 0;
}

/* States that no optimizer updates (running statistics) keep their content when the step is not finite; the counter
 * also while gradients are only gathered. */
static void guard_states(struct making *m, size_t n_states)
{
    for (size_t i = 0; i < n_states; i++) {
        struct value *s = m->g->states[i];
        struct value *when = s == m->step ? m->go : m->finite;
        if (s->next) s->next = emit(&m->b, "Where", NO_ATTRS, when, s->next, s);
    }
}

static int add_updates(struct making *m, struct err *e)
{
    struct shape scalar = shape_of(0, NULL);
    size_t n_states = m->g->n_states;
    m->go = m->finite;
    TRY(make_zeros(m, e));
    if (!(m->lr = graph_input(m->g, "lr", DT_F32, &scalar, e))) return e->code;
    if (m->o->accumulate) TRY(gather(m, e));
    guard_states(m, n_states);
    if (m->o->clip_norm > 0) TRY(clip_norm(m, e));
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

static int make(struct making *m, struct err *e)
{
    struct graph *g = m->g;
    if (!(m->optimizer = optimizer_find(m->o->optimizer ? m->o->optimizer : "sgd", e))) return e->code;
    if (!m->o->n_heads) return fail(e, ERR_USAGE, "a training step needs a loss");
    if (!(m->step = m->runs = counter(m, "step", e))) return e->code;
    if (m->o->accumulate && !(m->runs = counter(m, "runs", e))) return e->code;
    struct train_mode mode = { m->runs, !m->o->biased, stats_move, (void *)(uintptr_t)m->o };
    TRY(graph_training(g, &mode, e));
    TRY(add_loss(m, e));
    g->n_outputs = 0; /* only the loss is needed from here on */
    TRY(graph_output(g, m->loss, e));
    TRY(graph_tidy(g, e));
    TRY(find_params(m, e));
    TRY(add_gradients(m, e));
    TRY(add_updates(m, e));
    TRY(set_outputs(m, e));
    return graph_tidy(g, e);
}

struct graph *train_step_new(
    const struct graph *model, const struct train_step_options *o, struct arena *a, struct err *e)
{
    struct graph *g = graph_copy(model, a, e);
    struct making m = { .g = g, .o = o, .b = { g, e } };
    return !g || make(&m, e) ? NULL : g;
}
