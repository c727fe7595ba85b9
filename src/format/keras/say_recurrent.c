/* say_recurrent.c - LSTM, GRU and RNN as layers of Keras: kernels (in, gates u), gates in Keras' order.
 *
 * The operator's sequences are (T, N, I), its results (T, directions, N, U) and (directions, N, U); Keras' are
 * (N, T, I), (N, T, U) and (N, U). */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/write.h"
#include "graph/op.h"

struct gates {
    const char *op, *layer, *cell;
    int n, states;
    int order[4]; /* Keras' gates by their place in the operator's */
};
static const struct gates known[] = {
    { "LSTM", "LSTM", "lstm_cell", 4, 2, { 0, 2, 3, 1 } }, /* i o f c to i f c o */
    { "GRU", "GRU", "gru_cell", 3, 1, { 0, 1, 2 } },       /* z r h */
    { "RNN", "SimpleRNN", "simple_rnn_cell", 1, 1, { 0 } },
};

static const struct gates *gates_of(const struct node *n)
{
    const struct gates *g = known;
    while (strcmp(g->op, n->op->name)) g++;
    return g;
}

/* (directions, gates u, in) to (in, gates u) of one direction. */
static const struct tensor *kernel(struct kwriter *w, const struct gates *g, const struct tensor *t, int direction)
{
    int64_t rows = t->shape.dim[1], in = t->shape.dim[2], u = rows / g->n;
    struct shape s = shape_of(2, (int64_t[]){ in, rows });
    struct tensor *out = tensor_new(w->arena, t->dtype, &s, w->err);
    for (int k = 0; out && k < g->n; k++)
        for (int64_t r = 0; r < u; r++)
            for (int64_t i = 0; i < in; i++)
                tensor_set_f64(
                    out, i * rows + k * u + r, tensor_get_f64(t, (direction * rows + g->order[k] * u + r) * in + i));
    return out;
}

/* (directions, 2 gates u): those of the input and of the recurrence. Keras keeps both for GRUs that reset after the
 * product, else their sum. */
static const struct tensor *bias(
    struct kwriter *w, const struct gates *g, const struct tensor *t, int direction, bool both)
{
    int64_t rows = t->shape.dim[1] / 2, u = rows / g->n;
    struct shape s = both ? shape_of(2, (int64_t[]){ 2, rows }) : shape_of(1, &rows);
    struct tensor *out = tensor_new(w->arena, t->dtype, &s, w->err);
    for (int k = 0; out && k < g->n; k++)
        for (int64_t r = 0; r < u; r++) {
            int64_t to = k * u + r, from = direction * 2 * rows + g->order[k] * u + r;
            double x = tensor_get_f64(t, from), h = tensor_get_f64(t, from + rows);
            tensor_set_f64(out, to, both ? x : x + h);
            if (both) tensor_set_f64(out, rows + to, h);
        }
    return out;
}

static const char *activation(struct kwriter *w, const struct node *n, size_t i, const char *otherwise)
{
    static const char *const names[][2] = { { "Tanh", "tanh" }, { "Sigmoid", "sigmoid" }, { "Relu", "relu" },
        { "Softsign", "softsign" }, { "Softplus", "softplus" } };
    const struct attr *list = node_attr(n, "activations");
    if (!list || i >= list->n) return otherwise;
    const struct attr *alpha = node_attr(n, "activation_alpha"), *beta = node_attr(n, "activation_beta");
    double a = alpha && i < alpha->n ? alpha->floats[i] : 0, b = beta && i < beta->n ? beta->floats[i] : 0;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (!strcasecmp(names[k][0], list->strings[i])) return names[k][1];
    if (!strcasecmp(list->strings[i], "Affine") && a == 1 && b == 0) return "linear";
    bool old = a > 0.199 && a<0.201, new3 = a> 0.166 && a < 0.167;
    if (!strcasecmp(list->strings[i], "HardSigmoid") && b == 0.5 && (w->v3 ? new3 : old)) return "hard_sigmoid";
    kw_cannot(w, n, "the activation %s with these numbers", list->strings[i]);
    return NULL;
}

static json_t *config_of_layer(struct kwriter *w, const struct node *n, const struct gates *g, int direction)
{
    size_t each = g->n > 1 ? (size_t)g->states + 1 : 1, first = (size_t)direction * each;
    const char *gate = activation(w, n, first, g->n > 1 ? "sigmoid" : "tanh"),
               *main = g->n > 1 ? activation(w, n, first + 1, "tanh") : gate;
    if (!gate || !main) return NULL;
    if (g->states == 2 && activation(w, n, first + 2, "tanh") != main)
        return kw_cannot(w, n, "two activations for cell and output"), NULL;
    json_t *c = json_pack("{s:I,s:s,s:b,s:b,s:b,s:b,s:b}", "units", (json_int_t)node_in(n, 2)->shape.dim[2],
        "activation", main, "use_bias", node_in(n, 3) != NULL, "go_backwards", 0, "stateful", 0, "unroll", 0,
        "return_state", 0);
    if (g->n > 1) json_object_set_new(c, "recurrent_activation", json_string(gate));
    if (!strcmp(g->op, "GRU")) json_object_set_new(c, "reset_after", json_boolean(node_int(n, "linear_before_reset")));
    return c;
}

static void put_weights(struct kwriter *w, const struct node *n, const struct gates *g, int direction, const char *path)
{
    const struct tensor *x = kw_content(w, n->in[1]), *h = kw_content(w, n->in[2]);
    const struct tensor *b = node_in(n, 3) ? kw_content(w, n->in[3]) : NULL;
    bool both = !strcmp(g->op, "GRU") && node_int(n, "linear_before_reset");
    if (!x || !h || (node_in(n, 3) && !b)) return;
    kw_weight(w, path, "kernel", kernel(w, g, x, direction));
    kw_weight(w, path, "recurrent_kernel", kernel(w, g, h, direction));
    if (b) kw_weight(w, path, "bias", bias(w, g, b, direction, both));
}

/* Nothing, or zeros however they were made. */
static bool is_zeros(struct kwriter *w, struct value *v)
{
    v = value_resolve(v);
    if (!v) return true;
    const struct tensor *t = w->fixed[v->id] ? kw_content(w, v) : NULL;
    for (int64_t i = 0; t && i < tensor_count(t); i++)
        if (tensor_get_f64(t, i) != 0) return false;
    if (t || !v->node) return t != NULL;
    if (node_is(v->node, "ConstantOfShape")) {
        const struct attr *a = node_attr(v->node, "value");
        return !a || tensor_get_f64(a->tensor, 0) == 0;
    }
    return (node_is(v->node, "Expand") || node_is(v->node, "Unsqueeze") || node_is(v->node, "Transpose") ||
               node_is(v->node, "Reshape") || node_is(v->node, "Slice")) &&
        is_zeros(w, v->node->in[0]);
}

static bool can(struct kwriter *w, const struct node *n)
{
    for (int i = 1; i < 4; i++)
        if (node_in(n, i) && !w->fixed[value_resolve(n->in[i])->id])
            return kw_cannot(w, n, "weights that are computed"), false;
    if (node_in(n, 4)) return kw_cannot(w, n, "lengths of sequences"), false;
    bool lstm = !strcmp(n->op->name, "LSTM"), zeros = is_zeros(w, node_in(n, 5));
    if (lstm && zeros != is_zeros(w, node_in(n, 6))) return kw_cannot(w, n, "one of two initial states"), false;
    const char *direction = node_string(n, "direction");
    if (!zeros && direction && !strcmp(direction, "bidirectional")) return kw_cannot(w, n, "initial states"), false;
    for (int i = 5; !zeros && i < 6 + lstm; i++)
        if (w->fixed[value_resolve(n->in[i])->id]) return kw_cannot(w, n, "initial states that are weights"), false;
    if (node_in(n, 7)) return kw_cannot(w, n, "peepholes"), false;
    if (node_has(n, "clip") || (!strcmp(n->op->name, "LSTM") && node_int(n, "input_forget")))
        return kw_cannot(w, n, "clip or input_forget"), false;
    return true;
}

static bool used(struct kwriter *w, const struct node *n, int i)
{
    return i < n->n_out && n->out[i] && w->needed[n->out[i]->id];
}

/* (1, N, U) as (N, U) */
static struct made *initial(struct kwriter *w, const struct node *n, int i)
{
    static const int batch_first[] = { 1, 0, 2 };
    struct view *v = kw_view(w, n->in[i]);
    if (v && v->axis[0] < 0 && v->axis[1] == 0 && v->axis[2] == 1) return v->t;
    struct made *t = kw_want(w, n->in[i], batch_first);
    int64_t dims[] = { t ? t->shape.dim[0] : 0, t ? t->shape.dim[2] : 0 };
    return kw_reshaped(w, t, "initial", 2, dims);
}

/* In the order of the input again. */
static struct made *reversed(struct kwriter *w, struct made *t)
{
    json_t *key = json_array();
    for (int k = 0; k < 3; k++)
        json_array_append_new(key,
            json_pack("{s:s,s:{s:n,s:n,s:o}}", "class_name", "__slice__", "config", "start", "stop", "step",
                k == 1 ? json_integer(-1) : json_null()));
    return kw_op(w, "keras.src.ops.numpy", "GetItem", "forwards", json_object(), json_pack("[o,o]", kw_tensor(t), key),
        &t->shape, t->dtype);
}

/* One direction: Y, Y_h, Y_c from the sequence and the states. */
static void forward(struct kwriter *w, const struct node *n, const struct gates *g, struct made *x)
{
    static const int sequence_axes[] = { 1, -1, 0, 2 }, state_axes[] = { -1, 0, 1 };
    bool backwards = !strcmp(node_string(n, "direction"), "reverse"), sequences = used(w, n, 0);
    bool more = (sequences && used(w, n, 1)) || used(w, n, 2);
    int64_t u = node_in(n, 2)->shape.dim[2];
    json_t *c = config_of_layer(w, n, g, 0);
    if (!c) return;
    if (backwards && sequences && !w->v3) return json_decref(c), kw_only_v3(w, n);
    json_object_set_new(c, "go_backwards", json_boolean(backwards));
    json_object_set_new(c, "return_sequences", json_boolean(sequences));
    json_object_set_new(c, "return_state", json_boolean(more));
    struct shape seq = shape_of(3, (int64_t[]){ x->shape.dim[0], x->shape.dim[1], u });
    struct shape state = shape_of(2, (int64_t[]){ x->shape.dim[0], u });
    struct made *in[] = { x, NULL, NULL }, *y;
    int n_in = 1;
    for (int i = 0; i < g->states && !is_zeros(w, node_in(n, 5 + i)); i++) in[n_in++] = initial(w, n, 5 + i);
    w->source = value_resolve(n->in[1]);
    put_weights(w, n, g, 0, "cell");
    y = kw_layer(w, g->layer, "", c, in, n_in, sequences ? &seq : &state, x->dtype);
    if (!y) return;
    if (sequences) kw_give_view(w, n->out[0], backwards ? reversed(w, y) : y, sequence_axes);
    for (int i = 1; i <= g->states; i++)
        if (used(w, n, i)) kw_give_view(w, n->out[i], more ? kw_result(w, y, i, &state) : y, state_axes);
}

/* Results of both directions, (N, .., U) each, with a dimension for the direction before the last. */
static struct made *both_of(struct kwriter *w, const char *name, struct made *f, struct made *b)
{
    struct made *in[2];
    if (!f || !b) return NULL;
    int rank = f->shape.rank + 1;
    struct shape s = f->shape;
    s.rank = rank;
    s.dim[rank - 1] = s.dim[rank - 2];
    s.dim[rank - 2] = 1;
    in[0] = kw_reshaped(w, f, arena_printf(w->arena, "%s_forward", name), rank, s.dim);
    in[1] = kw_reshaped(w, b, arena_printf(w->arena, "%s_backward", name), rank, s.dim);
    s.dim[rank - 2] = 2;
    return kw_layer(w, "Concatenate", name, json_pack("{s:i}", "axis", rank - 2), in, 2, &s, f->dtype);
}

static json_t *wrapped(struct kwriter *w, const struct gates *g, json_t *config, const char *name)
{
    if (!config) return NULL;
    json_object_set_new(config, "name", json_string(name));
    json_object_set_new(config, "trainable", json_true());
    json_object_set_new(config, "dtype", json_string("float32"));
    json_t *j = json_pack("{s:s,s:o}", "class_name", g->layer, "config", config);
    if (w->v3) {
        json_object_set_new(j, "module", json_string("keras.layers"));
        json_object_set_new(j, "registered_name", json_null());
    }
    return j;
}

static void bidirectional(struct kwriter *w, const struct node *n, const struct gates *g, struct made *x)
{
    static const int sequence_axes[] = { 1, 2, 0, 3 }, state_axes[] = { 1, 0, 2 };
    bool sequences = used(w, n, 0), more = (sequences && used(w, n, 1)) || used(w, n, 2);
    int64_t u = node_in(n, 2)->shape.dim[2];
    json_t *f = config_of_layer(w, n, g, 0), *b = config_of_layer(w, n, g, 1);
    if (!f || !b) return json_decref(f), json_decref(b);
    for (int d = 0; d < 2; d++) {
        json_object_set_new(d ? b : f, "go_backwards", json_boolean(d));
        json_object_set_new(d ? b : f, "return_sequences", json_boolean(sequences));
        json_object_set_new(d ? b : f, "return_state", json_boolean(more));
    }
    w->source = value_resolve(n->in[1]);
    put_weights(w, n, g, 0, "forward_layer/cell");
    put_weights(w, n, g, 1, "backward_layer/cell");
    struct shape seq = shape_of(3, (int64_t[]){ x->shape.dim[0], x->shape.dim[1], u });
    struct shape state = shape_of(2, (int64_t[]){ x->shape.dim[0], u });
    json_t *c = json_pack("{s:o,s:o,s:n}", "layer", wrapped(w, g, f, "forward"), "backward_layer",
        wrapped(w, g, b, "backward"), "merge_mode");
    struct made *y = kw_one(w, "Bidirectional", "both", c, x, sequences ? &seq : &state);
    if (!y) return;
    if (sequences) kw_give_view(w, n->out[0], both_of(w, "sequences", y, kw_result(w, y, 1, &seq)), sequence_axes);
    for (int i = 1; i <= g->states; i++) {
        if (!used(w, n, i)) continue;
        struct made *first = more ? kw_result(w, y, 1 + i, &state) : y;
        struct made *second = kw_result(w, y, more ? 1 + g->states + i : 1, &state);
        kw_give_view(w, n->out[i], both_of(w, i == 1 ? "states" : "cells", first, second), state_axes);
    }
}

static void say_rnn(struct kwriter *w, const struct node *n)
{
    static const int batch_first[] = { 1, 0, 2 };
    if (!can(w, n)) return;
    struct made *x = kw_want(w, n->in[0], batch_first);
    if (!x) return;
    const char *direction = node_string(n, "direction");
    if (direction && !strcmp(direction, "bidirectional")) bidirectional(w, n, gates_of(n), x);
    else forward(w, n, gates_of(n), x);
}

/* Sequences, and states that are not zeros anyway. */
static bool wants(struct kwriter *w, const struct node *n, int i)
{
    return i == 0 || ((i == 5 || i == 6) && !is_zeros(w, node_in(n, i)));
}

const struct say_row say_recurrent[] = {
    { "LSTM", say_rnn, .wants = wants },
    { "GRU", say_rnn, .wants = wants },
    { "RNN", say_rnn, .wants = wants },
    { NULL },
};
