/* head.c - finding the last layer and drawing its weights anew. */
#include "train/head.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/rng.h"
#include "graph/op.h"
#include "pass/pass.h"

/* A product with weights: input 1; which of its axes are the classes. */
struct layer {
    const char *op;
    int axis;         /* of the weights: -1 is the last */
    const char *flip; /* an attribute that moves the classes to axis 0 */
};
static const struct layer layers[] = { { "Gemm", 1, "transB" }, { "MatMul", -1, NULL }, { "Conv", 0, NULL },
    { "ConvTranspose", 1, NULL } };

static const struct layer *layer_of(const struct node *n)
{
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        if (node_is(n, layers[i].op)) return &layers[i];
    return NULL;
}

/* The state behind a value, through transpositions, whose order `axis` follows. NULL: something else is there. */
static struct value *state_behind(struct value *v, int *axis)
{
    while (v && v->node && (node_is(v->node, "Transpose") || node_is(v->node, "Identity"))) {
        size_t n;
        const int64_t *perm = node_ints(v->node, "perm", &n);
        if (*axis < 0) *axis += v->shape.rank;
        if (perm && *axis >= 0 && (size_t)*axis < n) *axis = (int)perm[*axis];
        else if (node_is(v->node, "Transpose")) *axis = v->shape.rank - 1 - *axis;
        v = v->node->in[0];
    }
    if (!v || v->kind != VALUE_STATE || v->next) return NULL;
    if (*axis < 0) *axis += v->shape.rank;
    return *axis >= 0 && *axis < v->shape.rank ? v : NULL;
}

static size_t readers(const struct graph *g, const struct value *v)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++) n += g->nodes[i]->in[k] == v;
    return n;
}

/* Uniform within 1 / sqrt(fan in): kaiming_uniform_(a=sqrt(5)) of the weights, and the bias alike. */
static int redraw(
    struct graph *g, struct value *state, int axis, int64_t classes, double bound, uint64_t seed, struct err *e)
{
    struct shape s = state->shape;
    if (readers(g, state) > 1)
        return fail(e, ERR_UNSUPPORTED, "%s is used in several places and cannot get another size", state->name);
    s.dim[axis] = classes;
    struct tensor *t = tensor_new(g->arena, state->dtype, &s, e);
    if (!t) return e->code;
    uint64_t stream = hash_bytes(state->name, strlen(state->name));
    for (int64_t i = 0; i < tensor_count(t); i++)
        tensor_set_f64(t, i, bound * (2 * rng_uniform(seed, stream, (uint64_t)i) - 1));
    state->data = t;
    state->shape = s;
    return 0;
}

struct found {
    struct node *node;
    struct value *weight, *bias;
    int axis, bias_axis;
};

/* An addition of a state to what comes along: a bias of its own. Returns what comes along. */
static struct value *through_bias(struct node *n, struct found *f)
{
    for (int i = 0; i < 2; i++) {
        int axis = -1;
        struct value *state = state_behind(n->in[i], &axis);
        if (!state) continue;
        f->bias = state;
        f->bias_axis = axis;
        return n->in[1 - i];
    }
    return n->in[0];
}

static bool find(struct value *v, struct found *f)
{
    for (int steps = 0; v && v->node && steps < 32; steps++) {
        struct node *n = v->node;
        const struct layer *l = layer_of(n);
        if (!l) {
            v = node_is(n, "Add") ? through_bias(n, f) : n->n_in ? n->in[0] : NULL;
            continue;
        }
        f->node = n;
        f->axis = l->flip && node_int(n, l->flip) ? 0 : l->axis;
        f->weight = state_behind(n->in[1], &f->axis);
        f->bias_axis = f->bias ? f->bias_axis : -1;
        if (!f->bias && node_in(n, 2)) f->bias = state_behind(n->in[2], &f->bias_axis);
        return f->weight != NULL;
    }
    return false;
}

int head_replace(struct graph *g, size_t output, int64_t classes, uint64_t seed, const char **layer, struct err *e)
{
    struct found f = { .bias_axis = -1 };
    struct value *out = g->outputs[output];
    if (!find(out, &f))
        return fail(e, ERR_UNSUPPORTED,
            "no layer with weights of its own was found before the output %s; head: keep "
            "leaves the model as it is",
            out->name);
    int64_t old = f.weight->shape.dim[f.axis], fan_in = shape_count(&f.weight->shape) / (old > 0 ? old : 1);
    if (node_is(f.node, "ConvTranspose")) fan_in = fan_in / f.weight->shape.dim[0] * old; /* as PyTorch counts it */
    double bound = 1 / sqrt((double)(fan_in > 0 ? fan_in : 1));
    TRY(redraw(g, f.weight, f.axis, classes, bound, seed, e));
    if (f.bias && f.bias->shape.dim[f.bias_axis] == old) TRY(redraw(g, f.bias, f.bias_axis, classes, bound, seed, e));
    *layer = f.node->name;
    if (pass_fold_graph(g, e)) return err_prefix(e, "%zu classes after %s", (size_t)classes, f.node->name);
    out = g->outputs[output];
    if (out->shape.rank >= 2 && out->shape.dim[1] == classes) return 0;
    return fail(e, ERR_UNSUPPORTED, "%s was given %lld classes, but the output %s does not follow it", f.node->name,
        (long long)classes, out->name);
}
