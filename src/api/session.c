/* session.c - running a model on tensors, and making tensors of images. */
#include <string.h>

#include "api/api.h"
#include "exec/session.h"

static bool is_cancelled(void *cookie)
{
    struct tenrec_session *s = cookie;
    return s->o.cancelled && s->o.cancelled(s->o.cookie);
}

static int start(struct tenrec_session *s, const struct tenrec_session_options *given, struct err *e)
{
    if (given && (given->size < sizeof given->size || given->size > sizeof s->o))
        return fail(e, ERR_USAGE, "options.size is %zu, not sizeof(struct tenrec_session_options)", given->size);
    if (given) memcpy(&s->o, given, given->size);
    s->session = session_new(s->model->model.graph,
        &(struct session_options){ .threads = s->o.threads,
            .packs = s->model->model.packs,
            .mem = &s->model->mem,
            .cancelled = is_cancelled,
            .cookie = s },
        e);
    return e->code;
}

struct tenrec_session *tenrec_session_new(
    struct tenrec_model *model, const struct tenrec_session_options *options, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    if (api_need(model, "model", e)) return NULL;
    struct tenrec_session *s = model->mem.alloc(model->mem.cookie, sizeof *s);
    if (!s) return fail_nomem(e), NULL;
    *s = (struct tenrec_session){ .model = model };
    arena_init(&s->answers, &model->mem);
    if (start(s, options, e)) return tenrec_session_free(s), NULL;
    return s;
}

void tenrec_session_free(struct tenrec_session *session)
{
    if (!session) return;
    struct mem mem = session->model->mem;
    session_free(session->session);
    arena_release(&session->answers);
    mem.free(mem.cookie, session, sizeof *session);
}

int api_forward(struct tenrec_session *s, const struct tensor *in, struct tensor **out, struct err *e)
{
    const struct graph *g = s->model->model.graph;
    const struct tensor **list = ARENA_ARRAY(&s->answers, g->n_inputs, const struct tensor *);
    *out = ARENA_ARRAY(&s->answers, g->n_outputs, struct tensor);
    if (!list || !*out) return fail_nomem(e);
    for (size_t i = 0; i < g->n_inputs; i++) list[i] = &in[i];
    return session_run(s->session, list, *out, e);
}

static int check_counts(const struct tenrec_session *s, const char *what, size_t n_in, size_t n_out, struct err *e)
{
    const struct graph *g = s->model->model.graph;
    if (n_in != g->n_inputs) return fail(e, ERR_USAGE, "%zu %s for %zu inputs", n_in, what, g->n_inputs);
    if (n_out != g->n_outputs) return fail(e, ERR_USAGE, "room for %zu of %zu outputs", n_out, g->n_outputs);
    return 0;
}

int tenrec_run(struct tenrec_session *session, const struct tenrec_tensor *in, size_t n_in,
    struct tenrec_tensor *out, size_t n_out, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    TRY(api_need(session, "session", e));
    if (n_in) TRY(api_need(in, "tensors", e));
    if (n_out) TRY(api_need(out, "room for results", e));
    arena_release(&session->answers);
    TRY(check_counts(session, "tensors", n_in, n_out, e));
    struct tensor *own = ARENA_ARRAY(&session->answers, n_in, struct tensor), *results;
    TRY_MEM(own, e);
    for (size_t i = 0; i < n_in; i++)
        TRY(api_tensor_in(&own[i], &in[i], session->model->model.graph->inputs[i]->name, e));
    TRY(api_forward(session, own, &results, e));
    for (size_t i = 0; i < n_out; i++)
        if (dtype_is_container(results[i].dtype))
            return fail(e, ERR_UNSUPPORTED, "output %s is a %s, which this interface has no form for",
                session->model->model.graph->outputs[i]->name, dtype_name(results[i].dtype));
    for (size_t i = 0; i < n_out; i++) api_tensor(&out[i], &results[i]);
    return 0;
}

int tenrec_reset(struct tenrec_session *session, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    TRY(api_need(session, "session", e));
    return session_reset(session->session, e);
}

/* Decoded pixels as the decoder would have given them. */
static int wrap_pixels(const struct tenrec_image *image, struct image *to, struct err *e)
{
    int channels = image->channels;
    if (image->width < 1 || image->height < 1 || channels < 1 || channels > 4)
        return fail(e, ERR_USAGE, "pixels of %d x %d with %d channels", image->width, image->height, channels);
    if ((uint64_t)image->width * (uint64_t)image->height > IMAGE_MAX_PIXELS)
        return fail(e, ERR_DATA, "an image of %d x %d is too large", image->width, image->height);
    size_t want = (size_t)image->width * (size_t)image->height * (size_t)channels;
    if (image->size != want) return fail(e, ERR_USAGE, "%zu bytes of pixels, %zu expected", image->size, want);
    *to = (struct image){ .width = image->width,
        .height = image->height,
        .channels = channels,
        .bits = 8,
        .pixels = (uint8_t *)(uintptr_t)image->data,
        .orientation = 1 };
    return 0;
}

int api_preprocess(struct tenrec_session *s, size_t input, const struct tenrec_image *image, struct tensor *out,
    struct provenance *from, struct err *e)
{
    const struct model *m = &s->model->model;
    if (input >= m->graph->n_inputs)
        return fail(e, ERR_USAGE, "the model has %zu inputs, no input %zu", m->graph->n_inputs, input);
    const struct preprocess *p = m->preprocess[input];
    if (!p)
        return fail(e, ERR_USAGE, "input %s takes a tensor: the model says nothing of images (options.like, "
            "options.preprocess)", m->graph->inputs[input]->name);
    if (!image->data) return fail(e, ERR_USAGE, "an image without data");
    struct bytes file = { image->data, image->size };
    struct image pixels;
    if (image->width) TRY(wrap_pixels(image, &pixels, e));
    if (image->width) TRY(preprocess_image(p, &s->answers, &pixels, out, from, e));
    else TRY(preprocess_bytes(p, &s->answers, file, out, from, e));
    if (m->graph->inputs[input]->shape.rank == 3) out->shape = shape_of(3, out->shape.dim + 1); /* of one image */
    return 0;
}

int tenrec_preprocess(struct tenrec_session *session, size_t input, const struct tenrec_image *image,
    struct tenrec_tensor *out, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    struct tensor t;
    struct provenance from;
    TRY(api_need(session, "session", e));
    TRY(api_need(image, "image", e));
    TRY(api_need(out, "room for the result", e));
    arena_release(&session->answers);
    TRY(api_preprocess(session, input, image, &t, &from, e));
    api_tensor(out, &t);
    return 0;
}
