/* layer_recurrent.c - LSTM, GRU and SimpleRNN, with masks, in both directions, from cells.
 *
 * Kernels lie as (in, gates u) and stay so; the graph turns them into ONNX's (1, gates u, in), gates in ONNX's order.
 * Masked steps change nothing: state and output stay what they were. So the steps that count are moved to the front
 * (their order kept), the recurrence runs over as many as there are, and each step is given the output that was
 * current then. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/recurrent.h"

static const struct cell cells[] = {
    { "LSTM", "LSTM", 4, 2, { 0, 3, 1, 2 } }, /* i f c o to i o f c */
    { "GRU", "GRU", 3, 1, { 0, 1, 2 } },      /* z r h */
    { "SimpleRNN", "RNN", 1, 1, { 0 } },
    { "CuDNNLSTM", "LSTM", 4, 2, { 0, 3, 1, 2 }, true },
    { "CuDNNGRU", "GRU", 3, 1, { 0, 1, 2 }, true },
    { "ConvLSTM1D", "LSTM", 4, 2, .axes = 1 },
    { "ConvLSTM2D", "LSTM", 4, 2, .axes = 2 },
    { "ConvLSTM3D", "LSTM", 4, 2, .axes = 3 },
};

static const struct cell *cell_of(const struct layer *l)
{
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (!strncmp(cells[i].class_name, l->class_name, strlen(cells[i].class_name))) return &cells[i];
    return NULL;
}

/* The parts of `x` along `axis`, one for each gate, in ONNX's order. */
static struct value *ordered(struct call *c, const struct cell *cell, struct value *x, int64_t axis)
{
    struct value *parts[4];
    if (cell->gates == 1 || !strcmp(cell->onnx, "GRU") || !x) return x;
    struct attr attrs[] = { attr_int("axis", axis), attr_int("num_outputs", cell->gates), { 0 } };
    struct node *n = builder_node(c->b, "Split", attrs, &x, 1, cell->gates);
    for (int i = 0; n && i < cell->gates; i++) parts[i] = n->out[cell->order[i]];
    return n ? k_concat(c, parts, cell->gates, axis) : NULL;
}

/* (in, gates u) to (1, gates u, in). CuDNN's are, gate by gate, (u, in) under the shape of (in, u). */
static struct value *kernel(struct call *c, const struct cell *cell, const char *role, int64_t in, int64_t u)
{
    struct value *w = weight(c, role, 2, (int64_t[]){ in, cell->gates * u }, NULL);
    if (cell->fused && !strcmp(role, "kernel")) {
        int64_t dims[] = { cell->gates * u, in };
        if (in < 0) return call_fail(c, ERR_SHAPE, "the number of features is not known"), NULL;
        w = k_reshape(c, w, (int64_t[]){ in, cell->gates, u }, 3); /* gates lie side by side */
        w = k_reshape(c, k_transpose(c, w, (int64_t[]){ 1, 0, 2 }, 3), dims, 2);
    } else if (cell->fused) {
        w = k_reshape(c, w, (int64_t[]){ u, cell->gates, u }, 3);
        w = k_reshape(c, k_transpose(c, w, (int64_t[]){ 1, 0, 2 }, 3), (int64_t[]){ cell->gates * u, u }, 2);
    } else w = k_transpose(c, w, (int64_t[]){ 1, 0 }, 2);
    return k_unsqueeze(c, ordered(c, cell, w, 0), 0);
}

static bool is_reset_after(struct call *c, const struct cell *cell)
{
    return cell->fused || cfg_bool(c, "reset_after", false);
}

/* (1, 2 gates u): those of the input, then those of the recurrence. NULL: none. */
static struct value *bias(struct call *c, const struct cell *cell, int64_t u)
{
    int64_t g = cell->gates * u;
    struct value *b, *half[2];
    if (!has_weight(c, "bias")) return NULL;
    if (cell->fused || (!strcmp(cell->onnx, "GRU") && is_reset_after(c, cell))) {
        b = cell->fused ? weight(c, "bias", 1, (int64_t[]){ 2 * g }, NULL)
                        : weight(c, "bias", 2, (int64_t[]){ 2, g }, NULL);
        b = k_reshape(c, b, (int64_t[]){ 2, g }, 2);
        return k_reshape(c, ordered(c, cell, b, 1), (int64_t[]){ 1, 2 * g }, 2);
    }
    half[0] = k_unsqueeze(c, ordered(c, cell, weight(c, "bias", 1, &g, NULL), 0), 0);
    struct shape s = shape_of(2, (int64_t[]){ 1, g });
    half[1] = emit_const(c->b, tensor_new(c->k->keep, c->k->compute, &s, c->b->err));
    return k_concat(c, half, 2, 1);
}

/* Activations that ONNX's recurrences have; NULL: not this one. */
static const char *onnx_activation(struct call *c, const char *key, const char *otherwise, double *alpha, double *beta)
{
    static const struct {
        const char *keras, *onnx;
        double alpha, beta;
    } known[] = { { "tanh", "Tanh" }, { "sigmoid", "Sigmoid" }, { "relu", "Relu" }, { "softsign", "Softsign" },
        { "softplus", "Softplus" }, { "linear", "Affine", 1, 0 }, { "elu", "Elu", 1 },
        { "leaky_relu", "LeakyRelu", 0.2 }, { "hard_sigmoid", "HardSigmoid", 0.2, 0.5 } };
    const json_t *spec = json_object_get(c->config, key);
    const char *name = spec ? activation_name(spec) : otherwise;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].keras, name)) continue;
        *alpha = known[i].alpha;
        *beta = known[i].beta;
        if (!strcmp(name, "hard_sigmoid") && c->k->version[0] >= 3) *alpha = 1.0 / 6;
        return known[i].onnx;
    }
    return NULL;
}

/* Steps that count, moved to the front. */
struct packed {
    struct value *lengths; /* (N) int32 */
    struct value *before;  /* (N, T) int64: how many count before each step */
    struct value *valid;   /* (N, T) int64: 1 where one counts */
};

/* (N, T) of places, for every feature of x */
static struct value *places(struct call *c, struct value *at, struct value *x)
{
    struct value *shape = emit(c->b, "Shape", NO_ATTRS, x);
    return k_op2(c, "Expand", k_unsqueeze(c, at, 2), shape);
}

static struct value *gathered(struct call *c, struct value *x, struct value *at)
{
    return emit(c->b, "GatherElements", ATTRS(attr_int("axis", 1)), x, places(c, at, x));
}

static struct value *pack(struct call *c, const struct recurrence *r, struct packed *p)
{
    int64_t axis = 1;
    struct attr cum[] = { attr_int("exclusive", 1), { 0 } };
    p->valid = emit_cast(c->b, r->mask, DT_I64);
    p->before = emit(c->b, "CumSum", cum, p->valid, emit_i64(c->b, 1));
    p->lengths = emit_cast(c->b, k_reduce(c, "ReduceSum", p->valid, &axis, 1, false), DT_I32);
    struct value *steps = k_size(c, r->x, 1);
    struct value *t = emit(
        c->b, "Range", NO_ATTRS, emit_i64(c->b, 0), k_squeeze(c, steps, 0), emit_i64(c->b, 1)); /* (T) */
    struct value *key = k_op2(
        c, "Sub", k_op2(c, "Mul", p->valid, steps), t); /* those that count are larger, early ones first */
    struct node *n = builder_node(
        c->b, "TopK", ATTRS(attr_int("axis", 1)), (struct value *[]){ emit_cast(c->b, key, DT_F32), steps }, 2, 2);
    return n ? gathered(c, r->x, n->out[1]) : NULL;
}

/* For each step the output that was current: forwards that of the last step up to it that counts, backwards that of
 * the next one from it on; zeros where there is none, or where a step that does not count shall give zeros. */
static struct value *unpack(struct call *c, const struct recurrence *r, const struct packed *p, struct value *y)
{
    struct value *at, *none, *zero = emit_i64(c->b, 0);
    if (r->reverse) {
        struct value *n = k_unsqueeze(c, emit_cast(c->b, p->lengths, DT_I64), 1);
        none = k_op2(c, "Equal", p->before, n);
        at = p->before;
    } else {
        at = k_op2(c, "Sub", k_op2(c, "Add", p->before, p->valid), emit_i64(c->b, 1));
        none = k_op2(c, "Less", at, zero);
    }
    if (r->zeros) none = k_op(c, "Not", r->mask);
    at = emit(c->b, "Where", NO_ATTRS, none, zero, at);
    y = gathered(c, y, at);
    return emit(c->b, "Where", NO_ATTRS, k_unsqueeze(c, none, 2), k_like(c, y, 0), y);
}

static bool recur(struct call *c, struct recurrence *r)
{
    const struct cell *cell = r->cell;
    int64_t u = cfg_int(c, "units", cfg_int(c, "output_dim", -1));
    double alpha[2] = { 0 }, beta[2] = { 0 };
    const char *act = "tanh", *inner = "sigmoid", *names[3];
    struct packed p = { 0 };
    if (cell->axes) return recur_by_steps(c, r);
    if (u < 1 || u > 1 << 20 || !r->x || r->x->shape.rank != 3)
        return call_fail(c, ERR_SHAPE, "its units, or an input that is no sequence"), false;
    int64_t in = r->x->shape.dim[2];
    const char *outer_name = onnx_activation(c, cell->fused ? "" : "activation", act, &alpha[1], &beta[1]);
    const char *gate_name = cell->gates > 1
        ? onnx_activation(c, cell->fused ? "" : "recurrent_activation", inner, &alpha[0], &beta[0])
        : outer_name;
    if (!outer_name || !gate_name) return recur_by_steps(c, r);
    int n = 0;
    double a[3], b[3];
    if (cell->gates > 1) names[n] = gate_name, a[n] = alpha[0], b[n++] = beta[0];
    names[n] = outer_name, a[n] = alpha[1], b[n++] = beta[1];
    if (cell->states == 2) names[n] = outer_name, a[n] = alpha[1], b[n++] = beta[1];
    struct attr attrs[8] = { attr_int("hidden_size", u), attr_string("direction", r->reverse ? "reverse" : "forward"),
        { .name = "activations", .type = ATTR_STRINGS, .n = (size_t)n, .strings = names },
        attr_floats("activation_alpha", a, (size_t)n), attr_floats("activation_beta", b, (size_t)n) };
    if (!strcmp(cell->onnx, "GRU") && is_reset_after(c, cell)) attrs[5] = attr_int("linear_before_reset", 1);
    struct value *x = r->mask ? pack(c, r, &p) : r->x;
    struct value *ins[7] = { k_transpose(c, x, (int64_t[]){ 1, 0, 2 }, 3), kernel(c, cell, "kernel", in, u),
        kernel(c, cell, "recurrent_kernel", u, u), bias(c, cell, u), p.lengths };
    for (int i = 0; i < cell->states; i++) ins[5 + i] = r->initial[i] ? k_unsqueeze(c, r->initial[i], 0) : NULL;
    struct node *node = builder_node(c->b, cell->onnx, attrs, ins, 5 + cell->states, 1 + cell->states);
    if (!node) return false;
    r->y = k_transpose(c, k_squeeze(c, node->out[0], 1), (int64_t[]){ 1, 0, 2 }, 3); /* (T, 1, N, U) to (N, T, U) */
    if (r->mask) r->y = unpack(c, r, &p, r->y);
    for (int i = 0; i < cell->states; i++) r->last[i] = k_squeeze(c, node->out[1 + i], 0);
    return !c->b->err->code;
}

/* The tensors in a list, however nested, one after the other. */
static void gather(struct call *c, const json_t *v, struct ktensor **out, size_t max, size_t *n)
{
    struct ktensor *t = tensor_of(c, v);
    if (t && *n < max) out[(*n)++] = t;
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        gather(c, json_array_get(v, i), out, max, n);
}

/* All that one layer, or one direction of two, begins with and leaves. */
struct states {
    struct ktensor *begin[CALL_INPUTS]; /* initial states: behind the sequence among the arguments, or a keyword */
    size_t n_begin, used;
    struct value *end[CALL_OUTPUTS];
    size_t n_end;
};

static void read_states(struct call *c, struct states *s)
{
    const json_t *given = json_object_get(c->kwargs, "initial_state");
    if (given) gather(c, given, s->begin, CALL_INPUTS, &s->n_begin);
    else
        for (size_t i = 1; i < c->n_in; i++) s->begin[s->n_begin++] = c->in[i];
}

static struct value *mask_of(struct call *c)
{
    struct ktensor *given = tensor_of(c, json_object_get(c->kwargs, "mask"));
    return given ? emit_cast(c->b, as_plain(c, given), DT_BOOL) : c->in[0]->mask;
}

/* One cell of a layer over a sequence. */
static bool run_cell(struct call *c, struct layer *l, struct recurrence *r, struct states *s)
{
    struct call inner = *c;
    inner.layer = l;
    inner.config = l->config;
    r->cell = cell_of(l);
    if (!r->cell) return call_fail(c, ERR_UNSUPPORTED, "around a layer of class %s", l->class_name), false;
    for (int i = 0; i < r->cell->states; i++)
        r->initial[i] = s->used < s->n_begin ? as_plain(c, s->begin[s->used++]) : NULL;
    if (!recur(&inner, r)) return false;
    for (int i = 0; i < r->cell->states && s->n_end < CALL_OUTPUTS; i++) s->end[s->n_end++] = r->last[i];
    return true;
}

/* A recurrent layer: it is its own cell, or it has one, or several upon each other. */
static bool run_layer(struct call *c, struct layer *l, struct recurrence *r, struct states *s)
{
    if (strcmp(l->class_name, "RNN")) return run_cell(c, l, r, s);
    struct layer *cell = l->sub[0];
    bool stacked = !strcmp(cell->class_name, "StackedRNNCells");
    size_t n = stacked ? cell->n_sub : 1;
    if (!n) return call_fail(c, ERR_MODEL, "it has no cells"), false;
    for (size_t i = 0; i < n; i++) {
        if (!run_cell(c, stacked ? cell->sub[i] : cell, r, s)) return false;
        r->x = r->y;
    }
    return true;
}

/* (T, N, ..) and (N, T, ..) */
static struct value *time_swapped(struct call *c, struct value *x)
{
    int64_t perm[SHAPE_MAX] = { 1, 0 };
    int rank = x ? x->shape.rank : 0;
    if (rank < 2) return x;
    for (int d = 2; d < rank; d++) perm[d] = d;
    return k_transpose(c, x, perm, rank);
}

static struct ktensor *lower_rnn(struct call *c)
{
    struct recurrence r = { .reverse = cfg_bool(c, "go_backwards", false) };
    struct states s = { .n_begin = 0 };
    bool sequences = cfg_bool(c, "return_sequences", false), time_first = cfg_bool(c, "time_major", false);
    if (cfg_bool(c, "stateful", false))
        call_warn(c, REPORT_WARNING, "stateful: every call begins with states of zeros here");
    r.zeros = cfg_bool(c, "zero_output_for_mask", false);
    r.x = as_plain(c, c->in[0]);
    r.mask = mask_of(c);
    if (time_first) r.x = time_swapped(c, r.x), r.mask = time_swapped(c, r.mask);
    read_states(c, &s);
    if (c->b->err->code || !run_layer(c, c->layer, &r, &s)) return NULL;
    struct value *y = sequences && r.reverse ? k_slice(c, r.y, 1, -1, INT64_MIN, -1)
                                             : r.y; /* in the order of computing */
    struct ktensor *out = ktensor_plain(c, !sequences ? r.last[0] : time_first ? time_swapped(c, y) : y);
    if (out && sequences && !r.reverse) out->mask = mask_of(c);
    for (size_t i = 0; cfg_bool(c, "return_state", false) && i < s.n_end && c->n_more < CALL_OUTPUTS; i++)
        c->more[c->n_more++] = ktensor_plain(c, s.end[i]);
    return out;
}

static struct value *merged(struct call *c, struct value *f, struct value *b)
{
    const char *mode = cfg_string(c, "merge_mode", "concat");
    if (!strcmp(mode, "concat")) return k_concat(c, (struct value *[]){ f, b }, 2, -1);
    if (!strcmp(mode, "sum")) return k_op2(c, "Add", f, b);
    if (!strcmp(mode, "mul")) return k_op2(c, "Mul", f, b);
    if (!strcmp(mode, "ave")) return k_scaled(c, k_op2(c, "Add", f, b), 0.5, 0);
    return call_fail(c, ERR_UNSUPPORTED, "merge_mode \"%.50s\"", mode), NULL;
}

/* Since layers of tf.keras know it, a wrapper tells those inside that give sequences to give zeros for steps that do
 * not count, whatever their config says. */
static bool gives_zeros(const struct call *c)
{
    const int *v = c->k->version;
    bool told = v[0] >= 3 || c->k->tf || (v[0] == 2 && v[1] >= 4);
    return told ? cfg_bool(c, "return_sequences", false) : cfg_bool(c, "zero_output_for_mask", false);
}

/* Both directions over the same input; the second's sequence is in the order of the input again. */
static struct ktensor *lower_bidirectional(struct call *c)
{
    struct recurrence r[2] = { { 0 } };
    struct states s = { .n_begin = 0 };
    bool sequences = false, time_first = false, state = false;
    struct value *mask = mask_of(c);
    read_states(c, &s);
    for (int d = 0; d < 2; d++) {
        struct call inner = *c;
        inner.config = c->layer->sub[d]->config;
        r[d].reverse = cfg_bool(&inner, "go_backwards", d && !cfg(c, "backward_layer"));
        if (d && !cfg(c, "backward_layer")) r[d].reverse = !r[0].reverse;
        sequences = cfg_bool(&inner, "return_sequences", false);
        time_first = cfg_bool(&inner, "time_major", false);
        state = cfg_bool(&inner, "return_state", false);
        r[d].zeros = gives_zeros(&inner);
        r[d].x = as_plain(c, c->in[0]);
        r[d].mask = mask;
        if (time_first) r[d].x = time_swapped(c, r[d].x), r[d].mask = time_swapped(c, mask);
        if (c->b->err->code || !run_layer(c, c->layer->sub[d], &r[d], &s)) return NULL;
        if (time_first) r[d].y = time_swapped(c, r[d].y);
    }
    struct value *f = sequences ? r[0].y : r[0].last[0], *b = sequences ? r[1].y : r[1].last[0];
    bool apart = json_is_null(json_object_get(c->config, "merge_mode"));
    struct ktensor *out = ktensor_plain(c, apart ? f : merged(c, f, b));
    if (out && sequences) out->mask = mask;
    if (apart) c->more[c->n_more++] = ktensor_plain(c, b);
    for (size_t i = 0; state && i < s.n_end && c->n_more < CALL_OUTPUTS; i++)
        c->more[c->n_more++] = ktensor_plain(c, s.end[i]);
    return out;
}

static struct ktensor *lower_cell(struct call *c)
{
    return call_fail(c, ERR_UNSUPPORTED, "a cell outside a recurrent layer"), NULL;
}

#define CELL(prefix) prefix "kernel " prefix "recurrent_kernel " prefix "bias?use_bias"

const struct layer_row keras_layers_recurrent[] = {
    { "LSTM GRU SimpleRNN", lower_rnn, CELL("cell/"), LAYER_OWN_MASK },
    { "ConvLSTM1D ConvLSTM2D ConvLSTM3D", lower_rnn, CELL("cell/"), LAYER_OWN_MASK },
    { "CuDNNLSTM CuDNNGRU", lower_rnn, "kernel recurrent_kernel bias", LAYER_OWN_MASK },
    { "Bidirectional", lower_bidirectional, .flags = LAYER_OWN_MASK },
    { "RNN", lower_rnn, .flags = LAYER_OWN_MASK },
    { "LSTMCell GRUCell SimpleRNNCell", lower_cell, CELL("") },
    { "StackedRNNCells", lower_cell },
    { NULL },
};
