/* recur_steps.c - recurrences written out step by step: those of convolutions, and those with activations that ONNX's
 * recurrent operators do not know. Equations are those of Keras' documentation of each cell. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/conv.h"
#include "format/keras/recurrent.h"

enum { STEPS_MAX = 2000, FILTERS_MAX = 1 << 20 };

struct steps {
    struct call *c;
    struct recurrence *r;
    struct window window; /* of the input; of a recurrence by convolutions */
    struct value *kernel, *recurrent, *bias, *inner_bias;
    int64_t units;
    bool first;             /* channels are at 1 */
    bool reset_after;       /* of a GRU */
    struct value *state[2]; /* NULL: zeros */
    struct value *shown;    /* the output of the last step that counts; NULL: zeros */
};

static struct value *gate(struct steps *s, struct value *x, int i)
{
    return k_slice(s->c, x, s->r->cell->axes ? 1 : -1, i * s->units, (i + 1) * s->units, 1);
}

static struct value *act(struct steps *s, const char *key, const char *otherwise, struct value *x)
{
    const json_t *spec = json_object_get(s->c->config, key);
    return spec ? activate(s->c, spec, x, s->first) : k_op(s->c, otherwise, x);
}

static struct value *inner(struct steps *s, struct value *x)
{
    return act(s, "recurrent_activation", "Sigmoid", x);
}

static struct value *outer(struct steps *s, struct value *x)
{
    return act(s, "activation", "Tanh", x);
}

/* A sum whose second part may be absent. */
static struct value *plus(struct steps *s, struct value *a, struct value *b)
{
    return a && b ? k_op2(s->c, "Add", a, b) : a ? a : b;
}

/* The state through the recurrent kernel, or through the part of it that belongs to the gates from `from` on. */
static struct value *through(struct steps *s, struct value *h, int from)
{
    struct value *k = s->recurrent;
    if (!h) return NULL;
    if (!s->r->cell->axes) {
        if (from) k = k_slice(s->c, k, -1, from * s->units, INT64_MAX, 1);
        return k_op2(s->c, "MatMul", h, k);
    }
    struct window same = { .n = s->window.n, .strides = { 1, 1, 1 }, .dilations = { 1, 1, 1 }, .padding = "same" };
    memcpy(same.kernel, s->window.kernel, sizeof same.kernel);
    return convolve(s->c, &same, h, k, NULL, 1);
}

/* h = o act(c), c = f c + i act(g); gates in Keras' order i f g o */
static void step_lstm(struct steps *s, struct value *x)
{
    struct value *z = plus(s, x, through(s, s->state[0], 0)), *old = s->state[1];
    struct value *c = k_op2(s->c, "Mul", inner(s, gate(s, z, 0)), outer(s, gate(s, z, 2)));
    if (old) c = k_op2(s->c, "Add", k_op2(s->c, "Mul", inner(s, gate(s, z, 1)), old), c);
    s->state[0] = k_op2(s->c, "Mul", inner(s, gate(s, z, 3)), outer(s, c));
    s->state[1] = c;
}

/* h = z h + (1 - z) act(g): the reset gate applies to the state before the kernel, or after it */
static void step_gru(struct steps *s, struct value *x)
{
    struct value *h = s->state[0], *y = plus(s, through(s, h, 0), s->inner_bias), *g = gate(s, x, 2);
    struct value *z = inner(s, plus(s, gate(s, x, 0), y ? gate(s, y, 0) : NULL));
    struct value *r = inner(s, plus(s, gate(s, x, 1), y ? gate(s, y, 1) : NULL));
    if (s->reset_after && y) g = k_op2(s->c, "Add", g, k_op2(s->c, "Mul", r, gate(s, y, 2)));
    if (!s->reset_after && h) g = plus(s, g, through(s, k_op2(s->c, "Mul", r, h), 2));
    g = k_op2(s->c, "Mul", k_scaled(s->c, z, -1, 1), outer(s, g));
    s->state[0] = h ? k_op2(s->c, "Add", k_op2(s->c, "Mul", z, h), g) : g;
}

static void step_simple(struct steps *s, struct value *x)
{
    s->state[0] = outer(s, plus(s, x, through(s, s->state[0], 0)));
}

static struct value *zeros_like(struct steps *s, struct value *x)
{
    return x ? k_op2(s->c, "Expand", k_like(s->c, x, 0), k_op(s->c, "Shape", x)) : NULL;
}

/* What is new where the step counts, what was before where it does not. */
static struct value *kept(struct steps *s, struct value *counts, struct value *fresh, struct value *before)
{
    if (!counts) return fresh;
    return emit(s->c->b, "Where", NO_ATTRS, counts, fresh, before ? before : zeros_like(s, fresh));
}

/* The input of a step, (N, ..), through the kernel. */
static struct value *at_step(struct steps *s, int64_t t)
{
    struct value *x = k_squeeze(s->c, k_slice(s->c, s->r->x, 1, t, t + 1, 1), 1);
    if (s->r->cell->axes) {
        struct ktensor *image = ktensor_plain(s->c, x);
        return image ? convolve(s->c, &s->window, spatial_in(s->c, image), s->kernel, s->bias, 1) : NULL;
    }
    return plus(s, k_op2(s->c, "MatMul", x, s->kernel), s->bias);
}

static struct value *mask_at(struct steps *s, int64_t t, const struct value *x)
{
    struct value *m = s->r->mask ? k_slice(s->c, s->r->mask, 1, t, t + 1, 1) : NULL; /* (N, 1) */
    for (int d = 2; m && x && d < x->shape.rank; d++) m = k_unsqueeze(s->c, m, d);
    return m;
}

/* As Keras lays it out. */
static struct value *laid_out(struct steps *s, struct value *v)
{
    struct ktensor *t = in_form(s->c, v, s->first);
    return t ? as_plain(s->c, t) : NULL;
}

static void one_step(struct steps *s, int64_t t, struct value **y)
{
    static const struct {
        const char *onnx;
        void (*run)(struct steps *s, struct value *x);
    } rules[] = { { "LSTM", step_lstm }, { "GRU", step_gru }, { "RNN", step_simple } };
    struct value *old[2] = { s->state[0], s->state[1] }, *x = at_step(s, t), *counts = mask_at(s, t, x);
    for (size_t i = 0; i < sizeof rules / sizeof *rules && x; i++)
        if (!strcmp(rules[i].onnx, s->r->cell->onnx)) rules[i].run(s, x);
    s->shown = kept(s, counts, s->state[0], s->r->zeros ? NULL : s->shown);
    for (int i = 0; i < s->r->cell->states; i++) s->state[i] = kept(s, counts, s->state[i], old[i]);
    *y = s->shown ? k_unsqueeze(s->c, laid_out(s, s->shown), 1) : NULL;
}

/* (spatial.., in, gates u) to (gates u, in, spatial..), or as it is. */
static struct value *kernel_of(struct steps *s, const char *role, int64_t in)
{
    int n = s->r->cell->axes, perm[SHAPE_MAX] = { n + 1, n };
    int64_t dims[SHAPE_MAX];
    for (int i = 0; i < n; i++) dims[i] = s->window.kernel[i], perm[2 + i] = i;
    dims[n] = in;
    dims[n + 1] = s->r->cell->gates * s->units;
    return weight(s->c, role, n + 2, dims, n ? perm : NULL);
}

static bool read_weights(struct steps *s)
{
    struct call *c = s->c;
    const struct shape *x = &s->r->x->shape;
    int64_t g = s->r->cell->gates * s->units;
    int channels = s->r->cell->axes && !s->first ? 2 : x->rank - 1;
    s->kernel = kernel_of(s, "kernel", x->dim[channels]);
    s->recurrent = kernel_of(s, "recurrent_kernel", s->units);
    if (has_weight(c, "bias") && s->reset_after) {
        struct value *both = weight(c, "bias", 2, (int64_t[]){ 2, g }, NULL);
        s->bias = k_squeeze(c, k_slice(c, both, 0, 0, 1, 1), 0);
        s->inner_bias = k_squeeze(c, k_slice(c, both, 0, 1, 2, 1), 0);
    } else s->bias = weight(c, "bias", 1, &g, NULL);
    return !c->b->err->code;
}

static bool prepare(struct steps *s)
{
    struct call *c = s->c;
    const struct cell *cell = s->r->cell;
    s->units = cfg_int(c, cell->axes ? "filters" : "units", cfg_int(c, "output_dim", -1));
    s->first = cell->axes && channels_last(c);
    s->reset_after = !strcmp(cell->onnx, "GRU") && cfg_bool(c, "reset_after", false);
    if (!s->r->x || c->b->err->code) return false;
    if (s->units < 1 || s->units > FILTERS_MAX || s->r->x->shape.rank != 3 + cell->axes)
        return call_fail(c, ERR_SHAPE, "its units, or an input that is no sequence"), false;
    if (cell->axes && window_read(c, cell->axes, &s->window)) return false;
    for (int i = 0; i < cell->states; i++) {
        struct ktensor *given = s->r->initial[i] ? ktensor_plain(c, s->r->initial[i]) : NULL;
        s->state[i] = given ? (s->first ? as_first(c, given) : as_plain(c, given)) : NULL;
    }
    return read_weights(s);
}

bool recur_by_steps(struct call *c, struct recurrence *r)
{
    struct steps s = { .c = c, .r = r };
    if (!prepare(&s)) return false;
    int64_t n = r->x->shape.dim[1];
    if (n < 1 || n > STEPS_MAX)
        return call_fail(c, ERR_UNSUPPORTED,
                   "it is written out step by step, so the number of steps must be known, and at most %d; say --input "
                   "NAME=NxTx..",
                   STEPS_MAX),
               false;
    struct value **y = arena_alloc(&c->k->scratch, (size_t)n * sizeof *y);
    if (!y) return fail_nomem(c->b->err), false;
    for (int64_t i = 0; i < n && !c->b->err->code; i++) {
        int64_t t = r->reverse ? n - 1 - i : i;
        one_step(&s, t, &y[t]);
    }
    if (c->b->err->code) return false;
    r->y = k_concat(c, y, (int)n, 1);
    for (int i = 0; i < r->cell->states; i++) r->last[i] = laid_out(&s, s.state[i]);
    return !c->b->err->code;
}
