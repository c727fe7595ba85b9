/* score.c - images in, answers out: one sample or several in a call. */
#include <string.h>

#include "api/api.h"
#include "exec/session.h"

static int name_classes(struct tenrec_session *s, const struct answer *from, struct tenrec_answer *to, struct err *e)
{
    const char **label = ARENA_ARRAY(&s->answers, from->n, const char *);
    TRY_MEM(label, e);
    for (int64_t i = 0; i < from->n; i++) label[i] = tenrec_label(s->model, from->index[i]);
    to->n = (size_t)from->n;
    to->index = from->index;
    to->score = from->score;
    to->label = label;
    return 0;
}

static int answer(struct tenrec_session *s, size_t output, const struct outputs *all, const struct provenance *from,
    struct tenrec_answer *to, struct err *e)
{
    struct answer a = { 0 };
    TRY(postprocess_run(s->model->model.postprocess[output], &s->answers, all, output, from, &a, e));
    *to = (struct tenrec_answer){ .width = a.width, .height = a.height, .mask = a.labels };
    switch (a.kind) {
    case ANSWER_TENSOR: to->kind = TENREC_ANSWER_TENSOR; return api_tensor(&to->tensor, &a.tensor), 0;
    case ANSWER_CLASSES: to->kind = TENREC_ANSWER_CLASSES; return name_classes(s, &a, to, e);
    case ANSWER_BOXES: to->kind = TENREC_ANSWER_BOXES, to->box = a.box; return name_classes(s, &a, to, e);
    case ANSWER_NONE: to->kind = TENREC_ANSWER_NONE; return 0;
    default: to->kind = TENREC_ANSWER_MASK; return 0;
    }
}

/* Samples on their way: what each input is given, and what came out, one behind the other. */
struct batch {
    size_t n;
    struct tensor *in, *out; /* (n, inputs), (n, outputs) of (1, ...) */
    struct provenance *from; /* (n, inputs) */
};

/* Whether they fit into one forward pass that says which part of its results is whose. */
static bool share_a_pass(const struct graph *g, const struct batch *b)
{
    bool fit = b->n > 1;
    for (size_t i = 0; i < g->n_states; i++) fit = fit && !g->states[i]->next; /* what one leaves, the next finds */
    for (size_t i = 0; i < g->n_outputs; i++)
        fit = fit && g->outputs[i]->shape.rank > 0 && g->outputs[i]->shape.dim[0] < 0;
    for (size_t i = 0; i < b->n * g->n_inputs && fit; i++) {
        const struct tensor *t = &b->in[i], *first = &b->in[i % g->n_inputs];
        const struct shape *s = &g->inputs[i % g->n_inputs]->shape;
        fit = s->rank > 0 && s->dim[0] < 0 && t->shape.rank > 0 && t->shape.dim[0] == 1 && t->dtype == first->dtype &&
            shape_equal(&t->shape, &first->shape);
    }
    return fit;
}

static int run_together(struct tenrec_session *s, struct batch *b, struct err *e)
{
    const struct graph *g = s->model->model.graph;
    struct tensor *in = ARENA_ARRAY(&s->answers, g->n_inputs, struct tensor), *out;
    TRY_MEM(in, e);
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct shape shape = b->in[i].shape;
        size_t bytes = (size_t)tensor_bytes(&b->in[i]);
        shape.dim[0] = (int64_t)b->n;
        struct tensor *all = tensor_new(&s->answers, b->in[i].dtype, &shape, e);
        if (!all) return e->code;
        for (size_t k = 0; k < b->n; k++) memcpy((char *)all->data + k * bytes, b->in[k * g->n_inputs + i].data, bytes);
        in[i] = *all;
    }
    TRY(api_forward(s, in, &out, e));
    for (size_t i = 0; i < g->n_outputs; i++) {
        struct tensor part = out[i];
        if (part.shape.rank < 1 || part.shape.dim[0] != (int64_t)b->n)
            return fail(e, ERR_SHAPE, "output %s does not say which part is whose: score one sample a call",
                g->outputs[i]->name);
        part.shape.dim[0] = 1;
        for (size_t k = 0; k < b->n; k++) {
            part.data = (char *)out[i].data + (int64_t)k * tensor_bytes(&part);
            b->out[k * g->n_outputs + i] = part;
        }
    }
    return 0;
}

static int run_apart(struct tenrec_session *s, struct batch *b, struct err *e)
{
    const struct graph *g = s->model->model.graph;
    struct tensor *out;
    for (size_t k = 0; k < b->n; k++) {
        TRY(api_forward(s, b->in + k * g->n_inputs, &out, e));
        for (size_t i = 0; i < g->n_outputs; i++) {
            struct tensor *to = &b->out[k * g->n_outputs + i], *kept = &out[i];
            if (k + 1 < b->n && !dtype_is_container(kept->dtype)) /* the next run takes the session's memory */
                kept = tensor_copy(&s->answers, kept->dtype, &kept->shape, kept->data, e);
            if (!kept) return e->code;
            *to = *kept;
        }
    }
    return 0;
}

static int check_counts(const struct graph *g, size_t n_images, size_t n_answers, size_t *n, struct err *e)
{
    *n = g->n_inputs ? n_images / g->n_inputs : 0;
    if (!*n || *n * g->n_inputs != n_images)
        return fail(e, ERR_USAGE, "%zu images for %zu inputs", n_images, g->n_inputs);
    if (n_answers != *n * g->n_outputs)
        return fail(e, ERR_USAGE, "room for %zu of %zu outputs", n_answers, *n * g->n_outputs);
    return 0;
}

int tenrec_score(struct tenrec_session *session, const struct tenrec_image *images, size_t n_images,
    struct tenrec_answer *answers, size_t n_answers, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    TRY(api_need(session, "session", e));
    if (n_images) TRY(api_need(images, "images", e));
    if (n_answers) TRY(api_need(answers, "room for answers", e));
    const struct graph *g = session->model->model.graph;
    struct batch b;
    arena_release(&session->answers);
    TRY(check_counts(g, n_images, n_answers, &b.n, e));
    b.in = ARENA_ARRAY(&session->answers, n_images, struct tensor);
    b.out = ARENA_ARRAY(&session->answers, n_answers, struct tensor);
    b.from = ARENA_ARRAY(&session->answers, n_images, struct provenance);
    if (!b.in || !b.out || !b.from) return fail_nomem(e);
    for (size_t i = 0; i < n_images; i++)
        if (api_preprocess(session, i % g->n_inputs, &images[i], &b.in[i], &b.from[i], e))
            return b.n > 1 ? err_prefix(e, "image %zu", i) : e->code;
    TRY(share_a_pass(g, &b) ? run_together(session, &b, e) : run_apart(session, &b, e));
    for (size_t i = 0; i < n_answers; i++) {
        size_t k = i / g->n_outputs;
        struct outputs all = { b.out + k * g->n_outputs, g->n_outputs, g };
        TRY(answer(session, i % g->n_outputs, &all, &b.from[k * g->n_inputs], &answers[i], e));
    }
    return 0;
}
