/* aten_rnn.c - recurrent layers: LSTM, GRU and RNN, their cells, packed sequences.
 *
 * A layer's weights are (gates * H, ..), in PyTorch's order of gates: i f g o of an LSTM, r z n of a GRU. ONNX has
 * i o f c and z r h.
 *
 * A packed sequence (data, batch_sizes) keeps its padding here: data is (T * B, ..), step after step, and
 * batch_sizes[t] counts the sequences longer than t. Lengths, from the longest to the shortest, follow from it.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/torch.h"

static const struct cell {
    const char *name, *op, *activation;
    int gates, states;
    signed char order[4]; /* ONNX's k-th gate is PyTorch's order[k]-th */
} cells[] = {
    { "lstm", "LSTM", NULL, 4, 2, { 0, 3, 1, 2 } },
    { "gru", "GRU", NULL, 3, 1, { 1, 0, 2 } },
    { "rnn_tanh", "RNN", "Tanh", 1, 1, { 0 } },
    { "rnn_relu", "RNN", "Relu", 1, 1, { 0 } },
};

struct recurrent {
    const struct cell *cell;
    struct value **params; /* per layer and direction: w_ih, w_hh, with biases b_ih, b_hh, with projections w_hr */
    size_t n_params;
    int per; /* so many of them */
    bool projected, biases, bidirectional, batch_first, packed;
    int64_t layers;
    double dropout;
    struct value *lengths;  /* (B) int32, or NULL */
    struct value *state[2]; /* (layers * directions, B, H) */
    struct value *last[2];  /* the same after the last step */
};

static const struct cell *cell_of(const struct aten_call *c)
{
    size_t i = 0;
    while (i + 1 < sizeof cells / sizeof *cells && strcmp(cells[i].name, c->row->onnx)) i++;
    return &cells[i];
}

/* Rows of (gates * H, ..) put into ONNX's order of gates. */
static struct value *reorder(struct aten_call *c, const struct cell *cell, struct value *w)
{
    struct value *parts[4];
    if (cell->gates == 1 || !w) return w;
    int64_t rows = value_size_pinned(c, w, 0), h = rows / cell->gates;
    for (int i = 0; i < cell->gates; i++) {
        int64_t at = cell->order[i] * h;
        parts[i] = emit_slice(c, w, 0, at, at + h, 1);
    }
    return builder_emit(c->b, "Concat", ATTRS(attr_int("axis", 0)), parts, cell->gates);
}

/* One parameter of a layer, both directions stacked: (directions, ..). */
static struct value *stacked(struct aten_call *c, struct value *const *v, int n)
{
    struct value *parts[2];
    for (int i = 0; i < n; i++) parts[i] = emit_unsqueeze(c, v[i], 0);
    return n == 1 ? parts[0] : builder_emit(c->b, "Concat", ATTRS(attr_int("axis", 0)), parts, n);
}

/* Weights of layer `layer`: (D, G * H, I), (D, G * H, H), (D, 2 * G * H); of an LSTM with projections the second is
 * (D, G * H, P), and the fourth (D, P, H). */
static void layer_weights(
    struct aten_call *c, const struct recurrent *r, int64_t layer, int directions, struct value *out[4])
{
    struct value *w[5][2] = { { NULL } }, *bias[2] = { NULL };
    for (int d = 0; d < directions; d++) {
        struct value *const *p = r->params + (layer * directions + d) * r->per;
        for (int k = 0; k < r->per - r->projected; k++) w[k][d] = reorder(c, r->cell, p[k]);
        if (r->projected) w[4][d] = p[r->per - 1];
        if (!r->biases) continue;
        struct value *both[] = { w[2][d], w[3][d] };
        bias[d] = builder_emit(c->b, "Concat", ATTRS(attr_int("axis", 0)), both, 2);
    }
    out[0] = stacked(c, w[0], directions);
    out[1] = stacked(c, w[1], directions);
    out[2] = r->biases ? stacked(c, bias, directions) : NULL;
    out[3] = r->projected ? stacked(c, w[4], directions) : NULL;
}

/* What an LSTM with projections begins with, h (D, B, P), as further features of its input: there at the first step
 * of their direction, zeros at all others. */
static struct value *first_features(struct aten_call *c, struct value *x, struct value *h, int directions)
{
    struct value *parts[3] = { x }, *steps = value_size(c, x, 0);
    struct value *t = emit_op(c, "Range", emit_i64(c->b, 0), steps, emit_i64(c->b, 1));
    for (int d = 0; d < directions; d++) {
        struct value *first = d ? emit_op(c, "Sub", steps, emit_i64(c->b, 1)) : emit_i64(c->b, 0);
        struct value *is = emit_cast(c->b, emit_op(c, "Equal", t, first), DT_F32);
        parts[1 + d] = emit_op(
            c, "Mul", emit_reshape(c, is, (int64_t[]){ -1, 1, 1 }, 3), emit_slice(c, h, 0, d, d + 1, 1));
    }
    return builder_emit(c->b, "Concat", ATTRS(attr_int("axis", 2)), parts, 1 + directions);
}

/* An LSTM whose output is W_hr h says W_hh W_hr h where others say W_hh h: so it is one without projections and with
 * the recurrent weights W_hh W_hr, whose results are projected afterwards. What it begins with is no W_hr h of
 * anything, and comes through W_hh as part of the input. */
static struct value *without_projection(
    struct aten_call *c, struct value *x, struct value *h, struct value *w[4], int directions)
{
    struct value *parts[3] = { w[0] };
    for (int d = 0; d < directions; d++) {
        struct shape s = shape_of(3, (int64_t[]){ directions, 1, 1 });
        struct tensor *own = tensor_new(c->b->g->arena, DT_F32, &s, c->b->err);
        if (!own) return NULL;
        tensor_set_f64(own, d, 1); /* the features of one direction are nothing to the other */
        parts[1 + d] = directions == 1 ? w[1] : emit_op(c, "Mul", w[1], emit_const(c->b, own));
    }
    w[0] = builder_emit(c->b, "Concat", ATTRS(attr_int("axis", 2)), parts, 1 + directions);
    w[1] = emit_op(c, "MatMul", w[1], w[3]);
    return first_features(c, x, h, directions);
}

/* x (T, B, ..) to (T, B, D * H); the layer's last states to `last`. */
static struct value *run_layer(
    struct aten_call *c, struct recurrent *r, int64_t layer, struct value *x, struct value *last[2])
{
    int d = r->bidirectional ? 2 : 1, n_in = 5;
    const char *names[] = { r->cell->activation, r->cell->activation };
    struct value *w[4], *begin[2];
    layer_weights(c, r, layer, d, w);
    for (int i = 0; i < r->cell->states; i++) begin[i] = emit_slice(c, r->state[i], 0, layer * d, (layer + 1) * d, 1);
    if (r->projected) {
        if (r->lengths && d == 2)
            return aten_fail(c, ERR_UNSUPPORTED, "projections of a packed sequence in both directions"), NULL;
        x = without_projection(c, x, begin[0], w, d);
        begin[0] = NULL; /* zeros */
    }
    struct value *in[7] = { x, w[0], w[1], w[2], r->lengths };
    for (int i = 0; i < r->cell->states; i++) in[n_in++] = begin[i];
    if (c->b->err->code) return NULL;
    struct attr attrs[5] = { attr_int("hidden_size", value_size_pinned(c, w[1], 2)),
        attr_string("direction", d == 2 ? "bidirectional" : "forward") };
    int n = 2;
    if (!strcmp(r->cell->op, "GRU")) attrs[n++] = attr_int("linear_before_reset", 1);
    if (names[0])
        attrs[n++] = (struct attr){ .name = "activations", .type = ATTR_STRINGS, .n = (size_t)d, .strings = names };
    struct node *node = builder_node(c->b, r->cell->op, attrs, in, n_in, 1 + r->cell->states);
    if (!node) return NULL;
    for (int i = 0; i < r->cell->states; i++) last[i] = node->out[i + 1];
    struct value *y = node->out[0]; /* (T, D, B, H) */
    if (r->projected) {
        struct value *turned = emit_transpose(c, w[3], (int64_t[]){ 0, 2, 1 }, 3);
        y = emit_op(c, "MatMul", y, turned);
        last[0] = emit_op(c, "MatMul", last[0], turned);
    }
    if (d == 1) return emit_squeeze(c, y, 1);
    y = emit_transpose(c, y, (int64_t[]){ 0, 2, 1, 3 }, 4); /* (T, B, D, H) */
    return emit_reshape(c, y, (int64_t[]){ 0, 0, -1 }, 3);
}

enum { LAYERS_MAX = 64 };

static struct value *run_layers(struct aten_call *c, struct recurrent *r, struct value *x)
{
    struct value *last[2][LAYERS_MAX], *ends[2] = { NULL };
    int64_t directions = r->bidirectional ? 2 : 1, plain = r->biases ? 4 : 2;
    if (r->layers < 1 || r->layers > LAYERS_MAX || r->n_params % (size_t)(r->layers * directions))
        return aten_fail(c, ERR_UNSUPPORTED, "%zu weights in %lld layers", r->n_params, (long long)r->layers), NULL;
    size_t per = r->n_params / (size_t)(r->layers * directions);
    r->per = per < 16 ? (int)per : 0;
    r->projected = r->per == plain + 1 && r->cell->states == 2;
    if (r->per != plain + r->projected)
        return aten_fail(c, ERR_UNSUPPORTED, "%zu weights in %lld layers", r->n_params, (long long)r->layers), NULL;
    if (r->batch_first) x = emit_transpose(c, x, (int64_t[]){ 1, 0, 2 }, 3);
    for (int64_t i = 0; i < r->layers; i++) {
        x = run_layer(c, r, i, x, ends);
        for (int k = 0; k < r->cell->states; k++) last[k][i] = ends[k];
        if (i + 1 < r->layers && r->dropout > 0)
            x = emit_op(c, "Dropout", x, emit_scalar(c->b, DT_F32, r->dropout), emit_scalar(c->b, DT_BOOL, 0));
    }
    for (int k = 0; k < r->cell->states; k++)
        r->last[k] = r->layers == 1 ? last[k][0]
                                    : builder_emit(c->b, "Concat", ATTRS(attr_int("axis", 0)), last[k], (int)r->layers);
    return r->batch_first ? emit_transpose(c, x, (int64_t[]){ 1, 0, 2 }, 3) : x;
}

/* Options from argument `at` on: params, has_biases, num_layers, dropout, train, bidirectional, and when there is one
 * more, batch_first. */
static void recurrent_init(struct aten_call *c, struct recurrent *r, int state, int at)
{
    size_t n = 1;
    *r = (struct recurrent){ .cell = cell_of(c) };
    r->params = arg_tensors(c, at, &r->n_params);
    r->biases = arg_bool(c, at + 1);
    r->layers = arg_int(c, at + 2);
    r->dropout = arg_float(c, at + 3);
    r->bidirectional = arg_bool(c, at + 5);
    r->batch_first = c->n_args > at + 6 && arg_bool(c, at + 6);
    if (c->arg[state]->kind == OBJECT_TENSOR) {
        r->state[0] = arg_tensor(c, state);
        return;
    }
    struct value **list = arg_tensors(c, state, &n);
    if ((int)n != r->cell->states) aten_fail(c, ERR_SHAPE, "%zu states", n);
    for (int i = 0; i < r->cell->states && !c->b->err->code; i++) r->state[i] = list[i];
}

/* (T, B, ..) as data. */
static struct value *without_steps(struct aten_call *c, struct value *x)
{
    struct value *parts[] = { emit_i64(c->b, -1), value_size(c, x, 2) };
    return emit_op(c, "Reshape", x, emit_concat_ints(c, parts, 2));
}

static struct value *finish(struct aten_call *c, struct recurrent *r, struct value *x)
{
    x = c->b->err->code ? NULL : run_layers(c, r, x);
    give(c, r->packed ? without_steps(c, x) : x);
    for (int i = 0; i < r->cell->states; i++) give(c, r->last[i]);
    return NULL;
}

/* (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first) */
static struct value *lower_recurrent(struct aten_call *c)
{
    struct recurrent r;
    recurrent_init(c, &r, 1, 2);
    return finish(c, &r, arg_tensor(c, 0));
}

/* How long the sequences are: for each of B, how many batch sizes are larger than its number. */
static struct value *lengths_of(struct aten_call *c, struct value *batch_sizes, struct value *batch)
{
    struct value *row = emit_op(c, "Range", emit_i64(c->b, 0), batch, emit_i64(c->b, 1));
    struct value *longer = emit_op(c, "Greater", batch_sizes, emit_unsqueeze(c, row, 1)); /* (B, T) */
    return emit_reduce(c, "ReduceSum", emit_cast(c->b, longer, DT_I64), &(int64_t){ 1 }, 1, false);
}

/* The data of a packed sequence with its steps apart, (T, B, ..). */
static struct value *steps_of(struct aten_call *c, struct value *data, struct value *batch_sizes)
{
    struct value *v = value_resolve(batch_sizes);
    if (!v || v->kind == VALUE_INPUT || v->kind == VALUE_STATE || value_rank(c, data) != 2)
        return aten_fail(c, ERR_UNSUPPORTED, "a packed sequence that was not packed here"), NULL;
    struct value *parts[] = { value_size(c, v, 0), emit_i64(c->b, -1), value_size(c, data, 1) };
    return emit_op(c, "Reshape", data, emit_concat_ints(c, parts, 3));
}

/* (data, batch_sizes, hx, params, ..) */
static struct value *lower_recurrent_packed(struct aten_call *c)
{
    struct recurrent r;
    struct value *x = steps_of(c, arg_tensor(c, 0), arg_tensor(c, 1));
    if (!x) return NULL;
    recurrent_init(c, &r, 2, 3);
    r.packed = true;
    r.lengths = emit_cast(c->b, lengths_of(c, arg_tensor(c, 1), value_size(c, x, 1)), DT_I32);
    return finish(c, &r, x);
}

/* (input, lengths, batch_first); the first batch size is the batch's, whatever the data say. */
static struct value *lower_pack(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *lengths = emit_cast(c->b, arg_tensor(c, 1), DT_I64);
    if (arg_bool(c, 2)) {
        int64_t perm[SHAPE_MAX];
        for (int i = 0; i < value_rank(c, x); i++) perm[i] = i < 2 ? 1 - i : i;
        x = emit_transpose(c, x, perm, (size_t)value_rank(c, x));
    }
    if (value_rank(c, x) != 3) return aten_fail(c, ERR_UNSUPPORTED, "rank %d", value_rank(c, x)), NULL;
    struct value *batch = value_size(c, x, 1);
    struct value *t = emit_op(c, "Range", emit_i64(c->b, 1), value_size(c, x, 0), emit_i64(c->b, 1));
    struct value *longer = emit_op(c, "Greater", lengths, emit_unsqueeze(c, t, 1)); /* (T - 1, B) */
    struct value *rest = emit_reduce(c, "ReduceSum", emit_cast(c->b, longer, DT_I64), &(int64_t){ 1 }, 1, false);
    struct value *parts[] = { emit_unsqueeze(c, batch, 0), rest };
    give(c, without_steps(c, x));
    return builder_emit(c->b, "Concat", ATTRS(attr_int("axis", 0)), parts, 2);
}

/* (data, batch_sizes, batch_first, padding_value, total_length) to (padded, lengths) */
static struct value *lower_pad_packed(struct aten_call *c)
{
    struct value *x = steps_of(c, arg_tensor(c, 0), arg_tensor(c, 1));
    if (!x) return NULL;
    struct value *lengths = lengths_of(c, arg_tensor(c, 1), value_size(c, x, 1));
    struct value *t = emit_op(c, "Range", emit_i64(c->b, 0), value_size(c, x, 0), emit_i64(c->b, 1));
    struct value *inside = emit_unsqueeze(c, emit_op(c, "Greater", lengths, emit_unsqueeze(c, t, 1)), 2);
    x = emit_op(c, "Where", inside, x, emit_like(c, x, arg_float(c, 3)));
    give(c, arg_bool(c, 2) ? emit_transpose(c, x, (int64_t[]){ 1, 0, 2 }, 3) : x);
    return lengths;
}

/* x w' + b */
static struct value *gates(struct aten_call *c, struct value *x, struct value *w, struct value *b)
{
    return emit(c->b, "Gemm", ATTRS(attr_int("transB", 1)), x, w, b);
}

/* `n` equal parts along dimension 1 */
static bool parts_of(struct aten_call *c, struct value *x, int n, struct value *out[4])
{
    struct node *node = builder_node(c->b, "Split", ATTRS(attr_int("axis", 1), attr_int("num_outputs", n)), &x, 1, n);
    for (int i = 0; node && i < n; i++) out[i] = node->out[i];
    return node;
}

/* (input, [h, c], w_ih, w_hh, b_ih, b_hh) */
static struct value *lower_lstm_cell(struct aten_call *c)
{
    size_t n;
    struct value **state = arg_tensors(c, 1, &n), *p[4];
    if (n != 2) return aten_fail(c, ERR_SHAPE, "%zu states", n), NULL;
    struct value *sum = emit_op(c, "Add", gates(c, arg_tensor(c, 0), arg_tensor(c, 2), arg_tensor(c, 4)),
        gates(c, state[0], arg_tensor(c, 3), arg_tensor(c, 5)));
    if (!parts_of(c, sum, 4, p)) return NULL;
    struct value *in = emit_op(c, "Mul", emit_op(c, "Sigmoid", p[0]), emit_op(c, "Tanh", p[2]));
    struct value *cell = emit_op(c, "Add", emit_op(c, "Mul", emit_op(c, "Sigmoid", p[1]), state[1]), in);
    give(c, emit_op(c, "Mul", emit_op(c, "Sigmoid", p[3]), emit_op(c, "Tanh", cell)));
    return cell;
}

/* n + z (h - n), n = tanh(x_n + r h_n) */
static struct value *lower_gru_cell(struct aten_call *c)
{
    struct value *h = arg_tensor(c, 1), *x[4], *s[4];
    if (!parts_of(c, gates(c, arg_tensor(c, 0), arg_tensor(c, 2), arg_tensor(c, 4)), 3, x)) return NULL;
    if (!parts_of(c, gates(c, h, arg_tensor(c, 3), arg_tensor(c, 5)), 3, s)) return NULL;
    struct value *r = emit_op(c, "Sigmoid", emit_op(c, "Add", x[0], s[0]));
    struct value *z = emit_op(c, "Sigmoid", emit_op(c, "Add", x[1], s[1]));
    struct value *n = emit_op(c, "Tanh", emit_op(c, "Add", x[2], emit_op(c, "Mul", r, s[2])));
    return emit_op(c, "Add", n, emit_op(c, "Mul", z, emit_op(c, "Sub", h, n)));
}

static struct value *lower_rnn_cell(struct aten_call *c)
{
    struct value *x = gates(c, arg_tensor(c, 0), arg_tensor(c, 2), arg_tensor(c, 4));
    return emit_op(
        c, c->row->onnx, emit_op(c, "Add", x, gates(c, arg_tensor(c, 1), arg_tensor(c, 3), arg_tensor(c, 5))));
}

#define OPTIONS "Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional"
#define LAYERS(name, state, result) \
    { name ".input(Tensor input, " state " hx, " OPTIONS ", bool batch_first) -> " result, lower_recurrent, name }, \
    { \
        name ".data(Tensor data, Tensor batch_sizes, " state " hx, " OPTIONS ") -> " result, lower_recurrent_packed, \
            name \
    }
#define CELL(name, state) \
    name "_cell(Tensor input, " state " hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> "

const struct aten_row aten_rnn[] = {
    LAYERS("lstm", "Tensor[]", "(Tensor, Tensor, Tensor)"),
    LAYERS("gru", "Tensor", "(Tensor, Tensor)"),
    LAYERS("rnn_tanh", "Tensor", "(Tensor, Tensor)"),
    LAYERS("rnn_relu", "Tensor", "(Tensor, Tensor)"),
    { CELL("lstm", "Tensor[]") "(Tensor, Tensor)", lower_lstm_cell },
    { CELL("gru", "Tensor") "Tensor", lower_gru_cell },
    { CELL("rnn_tanh", "Tensor") "Tensor", lower_rnn_cell, "Tanh" },
    { CELL("rnn_relu", "Tensor") "Tensor", lower_rnn_cell, "Relu" },
    { "_pack_padded_sequence(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)", lower_pack },
    { "_pad_packed_sequence(Tensor data, Tensor batch_sizes, bool batch_first, Scalar padding_value, "
      "int total_length) -> (Tensor, Tensor)",
        lower_pad_packed },
    { 0 },
};
