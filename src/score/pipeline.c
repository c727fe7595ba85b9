/* pipeline.c - batching samples through a session. */
#include "score/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/str.h"
#include "data/arrays.h"
#include "exec/session.h"

struct sample {
    const char *id, *path, *error;
    long row;
    struct tensor *in; /* one per input of the model, (1, ...) */
    struct provenance from;
};

struct pipeline {
    struct arena arena;
    struct model *model;
    struct pipeline_options o;
    struct session *session;
    struct arena waiting; /* of the samples below */
    struct sample *samples;
    size_t n, n_good; /* waiting, and those of them without an error */
    long rows;
};

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
    arena_init(&p->waiting, a.mem);
    p->samples = ARENA_ARRAY(&p->arena, p->o.batch * 4, struct sample);
    p->session = session_new(
        m->graph, &(struct session_options){ .threads = o->threads, .packs = m->packs, .mem = a.mem }, e);
    if (!p->samples) fail_nomem(e);
    if (e->code) return pipeline_free(p), NULL;
    return p;
}

void pipeline_free(struct pipeline *p)
{
    if (!p) return;
    session_free(p->session);
    arena_release(&p->waiting);
    struct arena a = p->arena;
    arena_release(&a);
}

static bool is_npy(const char *path)
{
    size_t len = path ? strlen(path) : 0;
    return len > 4 && !strcasecmp(path + len - 4, ".npy");
}

/* The row of an array as a batch of one. */
static int load_tensor(struct pipeline *p, struct tensor *out, const struct table *t, const struct row *row, int column,
    struct err *e)
{
    struct tensor *x;
    TRY(row_tensor(t, row, column, &p->waiting, &x, e));
    *out = *x;
    if (is_npy(row->cells[column].path)) return 0; /* brings its own dimensions */
    if (x->shape.rank >= SHAPE_MAX) return fail(e, ERR_DATA, "%s: rank %d is too much", row->where, x->shape.rank);
    out->shape.rank = x->shape.rank + 1, out->shape.dim[0] = 1;
    for (int d = 0; d < x->shape.rank; d++) out->shape.dim[d + 1] = x->shape.dim[d];
    return 0;
}

static int load_input(struct pipeline *p, struct sample *s, const struct table *t, const struct row *row, int column,
    struct err *e)
{
    const struct column *c = table_column_at(t, (size_t)column);
    const struct preprocess *pre = p->model->preprocess[c->input];
    const struct cell *cell = &row->cells[column];
    struct tensor *in = &s->in[c->input];
    struct image img;
    bool array = cell->array && (cell->array->dtype != DT_U8 || !pre);
    if (c->role != ROLE_IMAGE || array || is_npy(cell->path)) return load_tensor(p, in, t, row, column, e);
    if (!pre)
        return fail(e, ERR_DATA, "%s: input %s takes a tensor (.npy): the model says nothing of images",
            cell->path ? cell->path : row->where, p->model->graph->inputs[c->input]->name);
    TRY(row_image(t, row, column, &p->waiting, NULL, &img, e));
    if (preprocess_image(pre, &p->waiting, &img, in, &s->from, e))
        return err_prefix(e, "%s", cell->path ? cell->path : row->where);
    return 0;
}

/* Whether the sample can share a forward pass with those waiting. */
static bool same_shapes(const struct pipeline *p, const struct sample *a, const struct sample *b)
{
    for (size_t i = 0; i < p->model->graph->n_inputs; i++)
        if (a->in[i].dtype != b->in[i].dtype || !shape_equal(&a->in[i].shape, &b->in[i].shape)) return false;
    return true;
}

static const struct sample *first_good(const struct pipeline *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!p->samples[i].error) return &p->samples[i];
    return NULL;
}

/* Stacks the samples along the first dimension, padding with copies of the first. */
static int stack(struct pipeline *p, size_t input, struct tensor **out, struct err *e)
{
    const struct sample *first = first_good(p);
    struct shape s = first->in[input].shape;
    int64_t bytes = tensor_bytes(&first->in[input]);
    if (s.rank < 1 || s.dim[0] != 1) {
        if (p->o.batch == 1) return *out = (struct tensor *)(uintptr_t)&first->in[input], 0;
        return fail(
            e, ERR_SHAPE, "input %s has no batch dimension of 1; use --batch 1", p->model->graph->inputs[input]->name);
    }
    s.dim[0] = p->o.batch;
    if (!(*out = tensor_new(&p->waiting, first->in[input].dtype, &s, e))) return e->code;
    char *to = (*out)->data;
    size_t done = 0;
    for (size_t i = 0; i < p->n; i++)
        if (!p->samples[i].error) memcpy(to + (int64_t)done++ * bytes, p->samples[i].in[input].data, (size_t)bytes);
    for (; done < (size_t)p->o.batch; done++) memcpy(to + (int64_t)done * bytes, first->in[input].data, (size_t)bytes);
    return 0;
}

static int forward(struct pipeline *p, struct tensor **out, struct err *e)
{
    const struct graph *g = p->model->graph;
    struct tensor **in = ARENA_ARRAY(&p->waiting, g->n_inputs, struct tensor *);
    *out = ARENA_ARRAY(&p->waiting, g->n_outputs, struct tensor);
    if (!in || !*out) return fail_nomem(e);
    for (size_t i = 0; i < g->n_inputs; i++) TRY(stack(p, i, &in[i], e));
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

static int answer_sample(struct pipeline *p, const struct sample *s, const struct tensor *out, size_t at, struct err *e)
{
    size_t n = p->model->graph->n_outputs;
    struct arena_mark mark = arena_mark(&p->waiting);
    struct answer *answers = ARENA_ARRAY(&p->waiting, n, struct answer);
    TRY_MEM(answers, e);
    struct scored scored = { s->id, s->path, s->row, s->error, &s->from, answers, n };
    for (size_t i = 0; i < n && !s->error; i++) {
        struct tensor t = slice(p, &out[i], at);
        TRY(postprocess_run(p->model->postprocess[i], &p->waiting, &t, &s->from, &answers[i], e));
    }
    int code = p->o.answer(p->o.cookie, &scored, e);
    arena_rewind(&p->waiting, mark);
    return code;
}

int pipeline_flush(struct pipeline *p, struct err *e)
{
    struct tensor *out = NULL;
    if (p->n_good) TRY(forward(p, &out, e));
    size_t at = 0;
    for (size_t i = 0; i < p->n; i++) TRY(answer_sample(p, &p->samples[i], out, p->samples[i].error ? 0 : at++, e));
    p->n = p->n_good = 0;
    arena_release(&p->waiting);
    return 0;
}

static int push(struct pipeline *p, const struct sample *s, struct err *e)
{
    p->samples[p->n++] = *s;
    p->n_good += !s->error;
    bool full = p->n_good == (size_t)p->o.batch || p->n == (size_t)p->o.batch * 4;
    return full ? pipeline_flush(p, e) : 0;
}

int pipeline_put_error(struct pipeline *p, const char *id, const char *error, struct err *e)
{
    struct sample s = {
        .id = arena_strdup(&p->waiting, id), .error = arena_strdup(&p->waiting, error), .row = p->rows++
    };
    if (!s.id || !s.error) return fail_nomem(e);
    return push(p, &s, e);
}

static int load(struct pipeline *p, struct sample *s, const struct table *t, const struct row *row, struct err *e)
{
    size_t n_inputs = p->model->graph->n_inputs;
    s->in = ARENA_ARRAY(&p->waiting, n_inputs, struct tensor);
    TRY_MEM(s->in, e);
    for (size_t i = 0; i < table_columns(t); i++)
        if (table_column_at(t, i)->input >= 0) TRY(load_input(p, s, t, row, (int)i, e));
    for (size_t i = 0; i < n_inputs; i++)
        if (!s->in[i].data) return fail(e, ERR_USAGE, "input %s has no column", p->model->graph->inputs[i]->name);
    return 0;
}

int pipeline_put(struct pipeline *p, const struct table *t, const struct row *row, struct err *e)
{
    struct err bad = { 0 };
    struct sample s = { .row = p->rows };
    int image = table_column(t, ROLE_IMAGE, 0);
    if (load(p, &s, t, row, &bad)) {
        if (bad.code == ERR_NOMEM || bad.code == ERR_USAGE) return fail(e, bad.code, "%s", bad.text);
        return pipeline_put_error(p, row->id, bad.text, e);
    }
    const struct sample *other = first_good(p);
    if (other && !same_shapes(p, other, &s)) { /* the shapes part ways: those before go first, this one is read again */
        TRY(pipeline_flush(p, e));
        TRY(load(p, &s, t, row, e));
    }
    s.id = arena_strdup(&p->waiting, row->id);
    s.path = image >= 0 && row->cells[image].path ? arena_strdup(&p->waiting, row->cells[image].path) : NULL;
    if (!s.id) return fail_nomem(e);
    p->rows++;
    return push(p, &s, e);
}
