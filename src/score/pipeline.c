/* pipeline.c - a window of samples is decoded by all threads, then goes through the session batch by batch. */
#include "score/pipeline.h"

#include <stdatomic.h>
#include <string.h>

#include "base/err.h"
#include "base/team.h"
#include "exec/session.h"
#include "score/sample.h"

enum { WINDOW_BYTES = 32 << 20, WINDOW_MOST = 256 };

struct pipeline {
    struct arena arena;
    struct model *model;
    struct pipeline_options o;
    struct session *session;
    struct sample **window; /* (cap), the first n of them waiting in order, then free ones */
    size_t n, cap, decoded; /* the first `decoded` are */
    size_t limit, largest;  /* how many may wait, by the bytes of the largest sample so far */
    struct arena answers;   /* of one forward pass */
    int threads;
};

static struct sample *sample_new(struct pipeline *p)
{
    struct sample *s = ARENA_NEW(&p->arena, struct sample);
    if (s) arena_init(&s->arena, p->arena.mem);
    return s;
}

/* Few samples when they are large, more when they are small, whole batches always. */
static size_t window_size(const struct pipeline *p, size_t want)
{
    size_t batch = (size_t)p->o.batch, least = (size_t)p->threads * 4;
    if (want < least) want = least;
    if (want > WINDOW_MOST) want = WINDOW_MOST;
    return (want + batch - 1) / batch * batch;
}

static int make_window(struct pipeline *p, struct err *e)
{
    p->limit = window_size(p, 0);
    p->cap = window_size(p, WINDOW_MOST);
    TRY_MEM(p->window = ARENA_ARRAY(&p->arena, p->cap, struct sample *), e);
    for (size_t i = 0; i < p->cap; i++) TRY_MEM(p->window[i] = sample_new(p), e);
    return 0;
}

struct pipeline *pipeline_new(struct model *m, const struct pipeline_options *o, struct err *e)
{
    struct arena a;
    arena_init(&a, m->arena.mem);
    struct pipeline *p = ARENA_NEW(&a, struct pipeline);
    if (!p) return arena_release(&a), fail_nomem(e), NULL;
    p->arena = a; /* it lies in its own arena */
    p->model = m;
    p->o = *o;
    if (p->o.batch < 1) p->o.batch = 1;
    p->threads = o->threads ? o->threads : team_default_size();
    arena_init(&p->answers, a.mem);
    struct session_options so = { .threads = o->threads, .packs = m->packs, .mem = a.mem };
    for (size_t i = 0; i < m->graph->n_outputs; i++)
        if (dtype_is_container(m->graph->outputs[i]->dtype))
            fail(e, ERR_UNSUPPORTED, "output %s is a %s: answers are made of tensors", m->graph->outputs[i]->name,
                dtype_name(m->graph->outputs[i]->dtype));
    if (!e->code && !make_window(p, e)) p->session = session_new(m->graph, &so, e);
    if (e->code) return pipeline_free(p), NULL;
    return p;
}

void pipeline_free(struct pipeline *p)
{
    if (!p) return;
    session_free(p->session);
    for (size_t i = 0; p->window && i < p->cap; i++)
        if (p->window[i]) arena_release(&p->window[i]->arena);
    arena_release(&p->answers);
    struct arena a = p->arena;
    arena_release(&a);
}

/* Whoever is free takes the next sample: what each of them becomes does not depend on who that is. */
struct decoding {
    struct pipeline *p;
    atomic_size_t next;
};

static void decode(void *ctx, int64_t begin, int64_t end)
{
    struct decoding *d = ctx;
    struct pipeline *p = d->p;
    bool alone = p->n - p->decoded == 1;
    for (size_t i; (i = atomic_fetch_add(&d->next, 1)) < p->n;)
        sample_load(p->window[i], p->model, alone ? p->threads : 1);
}

static int decode_window(struct pipeline *p, struct err *e)
{
    struct decoding d = { .p = p };
    atomic_init(&d.next, p->decoded);
    team_run(p->threads, (int64_t)(p->n - p->decoded), 1, decode, &d);
    for (size_t i = p->decoded; i < p->n; i++) {
        const struct err *bad = &p->window[i]->bad;
        if (bad->code == ERR_NOMEM || bad->code == ERR_USAGE) return fail(e, bad->code, "%s", bad->text);
    }
    for (size_t i = p->decoded; i < p->n; i++)
        if (p->window[i]->arena.used > p->largest) p->largest = p->window[i]->arena.used;
    p->limit = window_size(p, WINDOW_BYTES / (p->largest + 1));
    p->decoded = p->n;
    return 0;
}

/* Whether the samples can share a forward pass. */
static bool same_shapes(const struct pipeline *p, const struct sample *a, const struct sample *b)
{
    for (size_t i = 0; i < p->model->graph->n_inputs; i++)
        if (!shape_equal(&a->in[i].shape, &b->in[i].shape)) return false;
    return true;
}

/* The first samples of the window that go together: `n` of them, `good` without an error. */
struct group {
    const struct sample *first;
    size_t n, good;
    bool full; /* waiting would add nothing */
};

static struct group next_group(const struct pipeline *p)
{
    struct group g = { 0 };
    for (; g.n < p->n && g.good < (size_t)p->o.batch; g.n++) {
        const struct sample *s = p->window[g.n];
        if (s->bad.code) continue;
        if (g.first && !same_shapes(p, g.first, s)) {
            g.full = true;
            return g;
        }
        if (!g.first) g.first = s;
        g.good++;
    }
    g.full = g.good == (size_t)p->o.batch || !g.good;
    return g;
}

/* Stacks the samples along the first dimension, padding with copies of the first. */
static int stack(struct pipeline *p, const struct group *g, size_t input, struct tensor **out, struct err *e)
{
    struct tensor *first = (struct tensor *)(uintptr_t)&g->first->in[input];
    struct shape s = first->shape;
    size_t bytes = (size_t)tensor_bytes(first), done = 0;
    if (p->o.batch == 1) return *out = first, 0;
    if (s.rank < 1 || s.dim[0] != 1)
        return fail(
            e, ERR_USAGE, "input %s has no batch dimension of 1; use --batch 1", p->model->graph->inputs[input]->name);
    s.dim[0] = p->o.batch;
    if (!(*out = tensor_new(&p->answers, first->dtype, &s, e))) return e->code;
    char *to = (*out)->data;
    for (size_t i = 0; i < g->n; i++)
        if (!p->window[i]->bad.code) memcpy(to + done++ * bytes, p->window[i]->in[input].data, bytes);
    for (; done < (size_t)p->o.batch; done++) memcpy(to + done * bytes, first->data, bytes);
    return 0;
}

static int forward(struct pipeline *p, const struct group *g, struct tensor **out, struct err *e)
{
    const struct graph *graph = p->model->graph;
    struct tensor **in = ARENA_ARRAY(&p->answers, graph->n_inputs, struct tensor *);
    *out = ARENA_ARRAY(&p->answers, graph->n_outputs, struct tensor);
    if (!in || !*out) return fail_nomem(e);
    for (size_t i = 0; i < graph->n_inputs; i++) TRY(stack(p, g, i, &in[i], e));
    return session_run(p->session, (const struct tensor *const *)in, *out, e);
}

/* One sample's part of an output; the whole of it when it has no batch dimension. */
static struct tensor slice(const struct pipeline *p, const struct tensor *t, size_t at)
{
    struct tensor s = *t;
    if (s.shape.rank < 1 || s.shape.dim[0] != p->o.batch) return s;
    s.shape.dim[0] = 1;
    s.data = (char *)t->data + (int64_t)at * tensor_bytes(&s);
    return s;
}

static int answer_sample(struct pipeline *p, struct sample *s, const struct tensor *out, size_t at, struct err *e)
{
    size_t n = p->model->graph->n_outputs;
    struct arena_mark mark = arena_mark(&p->answers);
    struct answer *answers = ARENA_ARRAY(&p->answers, n, struct answer);
    struct tensor *outputs = ARENA_ARRAY(&p->answers, n, struct tensor);
    if (!answers || !outputs) return fail_nomem(e);
    int image = table_column(s->table, ROLE_IMAGE, 0);
    struct scored scored = { s->row.id, image >= 0 ? s->row.cells[image].path : NULL, (long)s->row.index,
        s->bad.code ? s->bad.text : NULL, &s->from, answers, outputs, n, s->table, &s->row };
    for (size_t i = 0; i < n && !s->bad.code; i++) {
        outputs[i] = slice(p, &out[i], at);
        TRY(postprocess_run(p->model->postprocess[i], &p->answers, &outputs[i], &s->from, &answers[i], e));
    }
    int code = p->o.answer(p->o.cookie, &scored, e);
    arena_rewind(&p->answers, mark);
    return code;
}

/* The first `n` samples are done: their places go behind those that wait. */
static void retire(struct pipeline *p, size_t n)
{
    for (size_t i = 0; i < n; i++) arena_release(&p->window[i]->arena);
    for (size_t i = 0; i + n < p->n; i++) { /* swapped one by one: each keeps its arena */
        struct sample *s = p->window[i];
        p->window[i] = p->window[i + n], p->window[i + n] = s;
    }
    p->n -= n, p->decoded -= n;
}

/* Shapes that the model cannot take are the fault of the rows that have them. */
static bool blames_rows(const struct pipeline *p, int code)
{
    bool varies = false;
    for (size_t i = 0; i < p->model->graph->n_inputs; i++) {
        const struct shape *s = &p->model->graph->inputs[i]->shape;
        varies = varies || s->rank < 0 || (s->rank > 1 && shape_span(s, 1, s->rank) < 0);
    }
    return code == ERR_SHAPE && varies;
}

static int run_group(struct pipeline *p, const struct group *g, struct err *e)
{
    struct tensor *out = NULL;
    struct err bad = { 0 };
    size_t at = 0;
    if (g->good && forward(p, g, &out, &bad)) {
        if (!blames_rows(p, bad.code)) return fail(e, bad.code, "%s", bad.text);
        for (size_t i = 0; i < g->n; i++) fail(&p->window[i]->bad, bad.code, "%s", bad.text);
    }
    for (size_t i = 0; i < g->n; i++) {
        struct sample *s = p->window[i];
        TRY(answer_sample(p, s, out, s->bad.code ? 0 : at++, e));
    }
    arena_release(&p->answers);
    retire(p, g->n);
    return 0;
}

static int drain(struct pipeline *p, bool all, struct err *e)
{
    TRY(decode_window(p, e));
    while (p->n) {
        struct group g = next_group(p);
        if (!all && !g.full && p->n < p->limit) return 0;
        TRY(run_group(p, &g, e));
    }
    return 0;
}

int pipeline_flush(struct pipeline *p, struct err *e)
{
    return drain(p, true, e);
}

struct arena *pipeline_arena(struct pipeline *p)
{
    return &p->window[p->n]->arena;
}

static int push(struct pipeline *p, const struct table *t, const struct row *row, struct err *e)
{
    struct sample *s = p->window[p->n++];
    s->row = *row;
    s->table = t;
    s->from = (struct provenance){ 0 };
    s->in = ARENA_ARRAY(&s->arena, p->model->graph->n_inputs, struct tensor);
    TRY_MEM(s->in, e);
    return p->n >= p->limit ? drain(p, false, e) : 0;
}

int pipeline_put_error(
    struct pipeline *p, const struct table *t, const struct row *row, const char *error, struct err *e)
{
    struct err *bad = &p->window[p->n]->bad;
    err_clear(bad);
    fail(bad, ERR_DATA, "%s", error);
    return push(p, t, row, e);
}

int pipeline_put(struct pipeline *p, const struct table *t, const struct row *row, struct err *e)
{
    err_clear(&p->window[p->n]->bad);
    for (size_t i = 0; i < table_columns(t); i++)
        if (table_column_at(t, i)->input >= 0 && row->cells[i].path) file_expect(row->cells[i].path);
    return push(p, t, row, e);
}
