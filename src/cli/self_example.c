/* self_example.c - a model runs once on inputs drawn from a fixed seed. */
#include "cli/self_example.h"

#include <stdio.h>

#include "base/err.h"
#include "base/rng.h"
#include "cli/inputs.h"
#include "exec/session.h"
#include "tenrec/tenrec.h"

enum { SEED = 1, FREE_SIZE = 32, PICTURE = 256, MOST_BYTES = 16 << 20 };

/* Noise through the preprocessing: sizes and range are then those of real samples. */
static int draw_image(struct model *m, size_t i, struct tensor *t, struct err *e)
{
    struct image img;
    struct provenance from;
    TRY(image_new(&img, &m->arena, PICTURE, PICTURE, 3, 8, UINT64_MAX, e));
    for (size_t k = 0; k < PICTURE * PICTURE * 3; k++) img.pixels[k] = (uint8_t)(256 * rng_uniform(SEED, i, k));
    return preprocess_image(m->preprocess[i], &m->arena, &img, t, &from, e);
}

/* Floats in [-1, 1), and 0 or 1 of every other kind: also a valid index or mask. */
static int draw_tensor(struct model *m, size_t i, const struct shape *s, struct tensor **t, struct err *e)
{
    enum dtype dtype = m->graph->inputs[i]->dtype;
    if (!(*t = tensor_new(&m->arena, dtype, s, e))) return e->code;
    if (tensor_bytes(*t) > MOST_BYTES) return fail(e, ERR_UNSUPPORTED, "input %s is large", m->graph->inputs[i]->name);
    for (int64_t k = 0; k < tensor_count(*t); k++) {
        double u = rng_uniform(SEED, i, (uint64_t)k);
        if (dtype_is_float(dtype)) tensor_set_f64(*t, k, 2 * u - 1);
        else tensor_set_i64(*t, k, u >= 0.5);
    }
    return 0;
}

static int draw_inputs(struct model *m, const struct tensor **in, struct err *e)
{
    struct shape *shapes;
    TRY(concrete_shapes(m->graph, 1, FREE_SIZE, &shapes, e));
    for (size_t i = 0; i < m->graph->n_inputs; i++) {
        struct tensor *t = ARENA_NEW(&m->arena, struct tensor);
        TRY_MEM(t, e);
        if (m->graph->inputs[i]->dtype == DT_STRING) return fail(e, ERR_UNSUPPORTED, "an input of texts");
        if (dtype_is_container(m->graph->inputs[i]->dtype)) return fail(e, ERR_UNSUPPORTED, "an input of sequences");
        if (m->preprocess[i] && m->graph->inputs[i]->shape.dim[0] <= 1) TRY(draw_image(m, i, t, e));
        else TRY(draw_tensor(m, i, &shapes[i], &t, e));
        in[i] = t;
    }
    return 0;
}

static int run_once(struct model *m, struct session *s, struct example *ex, const struct tensor **list, struct err *e)
{
    size_t n_in = m->graph->n_inputs, n = m->graph->n_outputs;
    struct tensor *out = ARENA_ARRAY(&m->arena, n, struct tensor);
    TRY_MEM(out, e);
    TRY(session_run(s, list, out, e));
    int64_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += tensor_bytes(&out[i]);
    for (size_t i = 0; i < n; i++)
        if (dtype_is_container(out[i].dtype)) return fail(e, ERR_UNSUPPORTED, "an output of sequences");
    if (bytes > MOST_BYTES) return fail(e, ERR_UNSUPPORTED, "the outputs are large");
    for (size_t i = 0; i < n; i++) {
        list[n_in + i] = tensor_copy(&m->arena, out[i].dtype, &out[i].shape, out[i].data, e);
        if (!list[n_in + i]) return e->code;
    }
    ex->in = list;
    ex->out = list + n_in;
    return 0;
}

int self_example(struct model *m, struct example *ex, struct err *e)
{
    char by[64];
    snprintf(by, sizeof by, "tenrec %s", tenrec_version());
    *ex = (struct example){ .made_by = arena_strdup(&m->arena, by) };
    size_t n = m->graph->n_inputs + m->graph->n_outputs;
    const struct tensor **list = ARENA_ARRAY(&m->arena, n, const struct tensor *);
    if (!list || !ex->made_by) return fail_nomem(e);
    TRY(draw_inputs(m, list, e));
    struct session *s = session_new(m->graph, &(struct session_options){ 0 }, e); /* its packed weights go with it */
    if (s) run_once(m, s, ex, list, e);
    session_free(s);
    return e->code;
}
