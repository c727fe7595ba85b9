/* lot.c - one thread takes a lot through decoding, the model and postprocessing. */
#include "score/lot.h"

#include <string.h>

#include "exec/session.h"

static int load(struct lot *l, struct runner *r, struct err *e)
{
    for (size_t i = 0; i < l->n; i++) {
        struct sample *s = &l->samples[i];
        sample_load(s, r->model, r->threads, r->seen, &r->scratch);
        if (s->bad.code == ERR_NOMEM || s->bad.code == ERR_USAGE) return fail(e, s->bad.code, "%s", s->bad.text);
    }
    return 0;
}

static bool waits(const struct sample *s)
{
    return !s->bad.code && !s->answers;
}

static bool same_shapes(const struct model *m, const struct sample *a, const struct sample *b)
{
    for (size_t i = 0; i < m->graph->n_inputs; i++)
        if (!shape_equal(&a->in[i].shape, &b->in[i].shape)) return false;
    return true;
}

/* Samples that share a forward pass. */
struct group {
    struct sample **samples;
    size_t n;
};

/* The first sample that waits, and all behind it that have its shapes. */
static void next_group(const struct lot *l, const struct runner *r, struct group *g)
{
    g->n = 0;
    for (size_t i = 0; i < l->n && g->n < (size_t)r->batch; i++) {
        struct sample *s = &l->samples[i];
        if (waits(s) && (!g->n || same_shapes(r->model, g->samples[0], s))) g->samples[g->n++] = s;
    }
}

/* Stacks the samples along the first dimension, padding with copies of the first. */
static int stack(const struct group *g, struct runner *r, size_t input, struct tensor **out, struct err *e)
{
    struct tensor *first = &g->samples[0]->in[input];
    struct shape s = first->shape;
    size_t bytes = (size_t)tensor_bytes(first);
    if (r->batch == 1) return *out = first, 0;
    if (s.rank < 1 || s.dim[0] != 1)
        return fail(
            e, ERR_USAGE, "input %s has no batch dimension of 1; use --batch 1", r->model->graph->inputs[input]->name);
    s.dim[0] = r->batch;
    if (!(*out = tensor_new(&r->scratch, first->dtype, &s, e))) return e->code;
    char *to = (*out)->data;
    for (size_t i = 0; i < (size_t)r->batch; i++)
        memcpy(to + i * bytes, g->samples[i < g->n ? i : 0]->in[input].data, bytes);
    return 0;
}

static int forward(const struct group *g, struct runner *r, struct tensor *out, struct err *e)
{
    const struct graph *graph = r->model->graph;
    struct tensor **in = ARENA_ARRAY(&r->scratch, graph->n_inputs, struct tensor *);
    TRY_MEM(in, e);
    for (size_t i = 0; i < graph->n_inputs; i++) TRY(stack(g, r, i, &in[i], e));
    TRY(session_reset(r->session, e)); /* what a model remembers is of no other row */
    return session_run(r->session, (const struct tensor *const *)in, out, e);
}

/* Shapes that the model cannot take are the fault of the rows that have them. */
static bool blames_rows(const struct model *m, int code)
{
    bool varies = false;
    for (size_t i = 0; i < m->graph->n_inputs; i++) {
        const struct shape *s = &m->graph->inputs[i]->shape;
        varies = varies || s->rank < 0 || (s->rank > 1 && shape_span(s, 1, s->rank) < 0);
    }
    return code == ERR_SHAPE && varies;
}

/* One sample's part of an output; the whole of it when it has no batch dimension. */
static struct tensor slice(const struct runner *r, const struct tensor *t, size_t at)
{
    struct tensor s = *t;
    if (s.shape.rank < 1 || s.shape.dim[0] != r->batch) return s;
    s.shape.dim[0] = 1;
    s.data = (char *)t->data + (int64_t)at * tensor_bytes(&s);
    return s;
}

/* `field` is the address of a pointer to what is copied; NULL stays. */
static int keep(void *field, size_t size, struct arena *a, struct err *e)
{
    void **data = field, *copy = *data ? arena_alloc(a, size) : NULL;
    if (!*data) return 0;
    TRY_MEM(copy, e);
    memcpy(copy, *data, size);
    *data = copy;
    return 0;
}

/* The session's memory and the scratch arena are only lent. */
static int keep_tensor(struct tensor *t, struct arena *a, struct err *e)
{
    t->blob = NULL;
    return keep(&t->data, (size_t)tensor_bytes(t), a, e);
}

static int keep_answer(struct answer *w, struct arena *a, struct err *e)
{
    size_t n = (size_t)w->n;
    if (w->kind == ANSWER_TENSOR) TRY(keep_tensor(&w->tensor, a, e));
    TRY(keep(&w->index, n * sizeof *w->index, a, e));
    TRY(keep(&w->score, n * sizeof *w->score, a, e));
    TRY(keep(&w->box, 4 * n * sizeof *w->box, a, e));
    if (w->kind != ANSWER_MASK) return 0;
    return keep(&w->labels, (size_t)w->width * (size_t)w->height * sizeof *w->labels, a, e);
}

/* A list of boxes without a batch dimension says nothing of which sample they are in. */
static int check_batch(const struct answer *w, const struct runner *r, size_t output, struct err *e)
{
    const struct value *v = r->model->graph->outputs[output];
    if (r->batch == 1 || w->kind != ANSWER_BOXES || v->shape.rank > 2) return 0;
    return fail(e, ERR_USAGE, "output %s has no batch dimension; use --batch 1", v->name);
}

static int answer_sample(struct sample *s, struct runner *r, const struct tensor *out, size_t at, struct err *e)
{
    size_t n = r->model->graph->n_outputs;
    struct answer *answers = ARENA_ARRAY(s->arena, n, struct answer);
    struct tensor *outputs = ARENA_ARRAY(s->arena, n, struct tensor);
    if (!answers || !outputs) return fail_nomem(e);
    for (size_t i = 0; i < n; i++) outputs[i] = slice(r, &out[i], at);
    struct outputs all = { outputs, n, r->model->graph };
    struct arena_mark mark = arena_mark(&r->scratch);
    for (size_t i = 0; i < n; i++) {
        TRY(postprocess_run(r->model->postprocess[i], &r->scratch, &all, i, &s->from, &answers[i], e));
        TRY(check_batch(&answers[i], r, i, e));
        TRY(keep_answer(&answers[i], s->arena, e));
    }
    arena_rewind(&r->scratch, mark);
    for (size_t i = 0; r->outputs && i < n; i++) TRY(keep_tensor(&outputs[i], s->arena, e));
    s->answers = answers;
    s->outputs = r->outputs ? outputs : NULL;
    return 0;
}

static int run_group(const struct group *g, struct runner *r, struct tensor *out, struct err *e)
{
    struct err bad = { 0 };
    if (forward(g, r, out, &bad)) {
        if (!blames_rows(r->model, bad.code)) return fail(e, bad.code, "%s", bad.text);
        for (size_t i = 0; i < g->n; i++) fail(&g->samples[i]->bad, bad.code, "%s", bad.text);
        return 0;
    }
    for (size_t i = 0; i < g->n; i++) TRY(answer_sample(g->samples[i], r, out, i, e));
    return 0;
}

static int run_all(struct lot *l, struct runner *r, struct err *e)
{
    struct group g = { ARENA_ARRAY(&r->scratch, r->batch, struct sample *), 0 };
    struct tensor *out = ARENA_ARRAY(&r->scratch, r->model->graph->n_outputs, struct tensor);
    if (!g.samples || !out) return fail_nomem(e);
    TRY(load(l, r, e));
    for (next_group(l, r, &g); g.n; next_group(l, r, &g)) TRY(run_group(&g, r, out, e));
    return 0;
}

int lot_run(struct lot *l, struct runner *r, struct err *e)
{
    int code = run_all(l, r, e);
    arena_release(&r->scratch);
    for (size_t i = 0; i < l->n; i++) l->samples[i].in = NULL;
    return code;
}

void lot_undo(struct lot *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct sample *s = &l->samples[i];
        if (s->bad.code == ERR_NOMEM) err_clear(&s->bad);
        s->answers = NULL;
    }
}
