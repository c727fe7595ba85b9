/* rnn.c - LSTM, GRU and RNN. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"
#include "ops/rnn_shape.h"

const struct rnn_cell *rnn_cell_of(const struct node *n)
{
    const char *op = n->op->name;
    return !strncmp(op, "LSTM", 4) ? &rnn_lstm : !strncmp(op, "GRU", 3) ? &rnn_gru : &rnn_plain;
}

static int direction_count(const struct node *n, struct err *e)
{
    const char *s = node_string(n, "direction");
    if (!strcmp(s, "bidirectional")) return 2;
    if (!strcmp(s, "forward") || !strcmp(s, "reverse")) return 1;
    return fail(e, ERR_SHAPE, "direction is \"%s\", expected forward, reverse or bidirectional", s);
}

static int expect(const struct node *n, int i, const char *what, int rank, const int64_t *dims, struct err *e)
{
    const struct value *v = node_in(n, i);
    struct shape s = shape_of(rank, dims);
    if (!v) return 0;
    for (int d = 0; d < rank; d++)
        if (s.dim[d] < 0) s.dim[d] = DIM_UNKNOWN;
    if (shape_merge(&s, &v->shape)) return 0;
    struct arena a;
    arena_init(&a, NULL);
    struct shape want = shape_of(rank, dims);
    struct str found = str_in(&a), wanted = str_in(&a);
    shape_print(n->graph, &v->shape, &found);
    shape_print(n->graph, &want, &wanted);
    const char *f = str_done(&found), *w = str_done(&wanted);
    fail(e, ERR_SHAPE, "%s (input %d) has shape %s, expected %s", what, i, f ? f : "?", w ? w : "?");
    arena_release(&a);
    return e->code;
}

static int read_sizes(const struct node *n, struct rnn_sizes *z, struct err *e)
{
    const struct shape *x = &n->in[0]->shape, *r = &n->in[2]->shape;
    int directions = direction_count(n, e);
    if (directions < 0) return directions;
    for (int i = 0; i < 3; i++) TRY(infer_rank(n, i, 3, 3, e));
    *z = (struct rnn_sizes){ -1, -1, -1, -1, directions, node_int(n, "layout") == 1 };
    if (x->rank == 3) {
        z->steps = x->dim[z->batch_first];
        z->batch = x->dim[!z->batch_first];
        z->inputs = x->dim[2];
    }
    z->hidden = node_has(n, "hidden_size") ? node_int(n, "hidden_size") : r->rank == 3 ? r->dim[2] : -1;
    if (node_has(n, "hidden_size") && (z->hidden < 1 || z->hidden > 1 << 24))
        return fail(e, ERR_SHAPE, "hidden_size is %lld", (long long)z->hidden);
    return 0;
}

int rnn_check(const struct node *n, int n_in, struct rnn_sizes *z, struct err *e)
{
    TRY(read_sizes(n, z, e));
    if (n->in[0]->dtype != DT_NONE && !dtype_is_float(n->in[0]->dtype))
        return fail(e, ERR_SHAPE, "the input is %s, expected a float", dtype_name(n->in[0]->dtype));
    int64_t d = z->directions, gates = z->hidden >= 0 ? rnn_cell_of(n)->gates * z->hidden : -1;
    int64_t outer = z->batch_first ? z->batch : d, inner = z->batch_first ? d : z->batch;
    TRY(expect(n, 1, "W", 3, (int64_t[]){ d, gates, z->inputs }, e));
    TRY(expect(n, 2, "R", 3, (int64_t[]){ d, gates, z->hidden }, e));
    TRY(expect(n, 3, "the bias", 2, (int64_t[]){ d, gates >= 0 ? 2 * gates : -1 }, e));
    TRY(expect(n, 4, "sequence_lens", 1, (int64_t[]){ z->batch }, e));
    if (n_in > 5) TRY(expect(n, 5, "initial_h", 3, (int64_t[]){ outer, inner, z->hidden }, e));
    if (n_in > 6) TRY(expect(n, 6, "initial_c", 3, (int64_t[]){ outer, inner, z->hidden }, e));
    if (n_in > 7) TRY(expect(n, 7, "P", 2, (int64_t[]){ d, z->hidden >= 0 ? 3 * z->hidden : -1 }, e));
    struct rnn r = { .cell = rnn_cell_of(n), .directions = d };
    return rnn_activations(&r, n, e);
}

struct shape rnn_y_shape(const struct rnn_sizes *z)
{
    if (z->batch_first) return shape_of(4, (int64_t[]){ z->batch, z->steps, z->directions, z->hidden });
    return shape_of(4, (int64_t[]){ z->steps, z->directions, z->batch, z->hidden });
}

struct shape rnn_state_shape(const struct rnn_sizes *z)
{
    if (z->batch_first) return shape_of(3, (int64_t[]){ z->batch, z->directions, z->hidden });
    return shape_of(3, (int64_t[]){ z->directions, z->batch, z->hidden });
}

static int rnn_infer(struct node *n, struct err *e)
{
    struct rnn_sizes z;
    TRY(rnn_check(n, 8, &z, e));
    struct shape y = rnn_y_shape(&z), state = rnn_state_shape(&z);
    infer_out(n, 0, n->in[0]->dtype, &y);
    infer_out(n, 1, n->in[0]->dtype, &state);
    infer_out(n, 2, n->in[0]->dtype, &state);
    return 0;
}

static const double *load(const struct step *s, int i, struct err *e)
{
    return step_in(s, i) ? operand_load(s, s->in[i], e) : NULL;
}

int rnn_open(struct rnn *r, const struct step *s, int n_in, struct err *e)
{
    TRY(rnn_init(r, s->node, rnn_cell_of(s->node), &s->in[0]->shape, &s->in[1]->shape, e));
    r->x = load(s, 0, e);
    r->w = load(s, 1, e);
    r->r = load(s, 2, e);
    r->bias = load(s, 3, e);
    if (step_in(s, 4)) r->lengths = operand_load_ints(s, s->in[4], e);
    r->h0 = load(s, 5, e);
    if (n_in > 6) r->c0 = load(s, 6, e);
    if (n_in > 7) r->peephole = load(s, 7, e);
    if (e->code) return e->code;
    for (int64_t b = 0; r->lengths && b < r->batch; b++)
        if (r->lengths[b] < 0 || r->lengths[b] > r->steps)
            return fail(e, ERR_DATA, "sequence_lens[%lld] is %lld, the input has %lld steps", (long long)b,
                (long long)r->lengths[b], (long long)r->steps);
    return 0;
}

static int rnn_run(const struct step *s, struct err *e)
{
    struct rnn r;
    TRY(rnn_open(&r, s, s->node->n_in, e));
    TRY(rnn_memory(&r, s, false, e));
    double **to[] = { &r.y, &r.yh, &r.yc };
    for (int i = 0; i < s->node->n_out; i++)
        if (!(*to[i] = operand_zeros(s, tensor_count(s->out[i]), e))) return e->code;
    rnn_forward(&r, s->threads);
    for (int i = 0; i < s->node->n_out; i++) operand_store(s, s->out[i], *to[i]);
    return 0;
}

static int check_differentiable(const struct node *n, struct err *e)
{
    struct rnn r = { .cell = rnn_cell_of(n), .directions = direction_count(n, e) };
    if (node_has(n, "clip") || node_int(n, "input_forget") || node_in(n, 7))
        return fail(e, ERR_UNSUPPORTED, "there is no gradient for clip, input_forget and peepholes");
    TRY(rnn_activations(&r, n, e));
    for (int d = 0; d < r.directions; d++)
        for (int k = 0; k < r.cell->activations; k++)
            if (!r.act[d][k].slope)
                return fail(e, ERR_UNSUPPORTED, "there is no gradient for the activation %s", r.act[d][k].name);
    return 0;
}

/* The gradient row: x, w, r, bias, lengths, h0[, c0], dy, dyh[, dyc] to dx, dw, dr, dbias, dh0[, dc0]. */
static int rnn_grad(struct grad *g)
{
    const struct node *n = g->node;
    bool has_c = rnn_cell_of(n)->c_slot >= 0;
    int states = has_c ? 2 : 1, count = 0;
    char op[16];
    struct value *in[10];
    TRY(check_differentiable(n, g->b->err));
    for (int i = 0; i < 5 + states; i++) in[count++] = node_in(n, i);
    for (int i = 0; i < 1 + states; i++) in[count++] = i < n->n_out ? g->dy[i] : NULL;
    snprintf(op, sizeof op, "%sGrad", n->op->name);
    struct node *m = builder_node(g->b, op, n->attrs, in, count, 4 + states);
    if (!m) return 0;
    static const int place[] = { 0, 1, 2, 3, 5, 6 };
    for (int i = 0; i < 4 + states; i++)
        if (node_in(n, place[i])) g->dx[place[i]] = m->out[i];
    return 0;
}

/* clang-format off */
#define COMMON_ATTRS \
    { "activation_alpha", ATTR_FLOATS, .doc = "of the activations that take it, in order" }, \
    { "activation_beta", ATTR_FLOATS, .doc = "of the activations that take it, in order" }, \
    { "activations", ATTR_STRINGS, .doc = "per direction" }, \
    { "clip", ATTR_FLOAT, .doc = "bound of what goes into activations" }, \
    { "direction", ATTR_STRING, ATTR_DEFAULT, .s = "forward", .doc = "forward, reverse or bidirectional" }, \
    { "hidden_size", ATTR_INT, .doc = "as the weights have it" }, \
    { "layout", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "1: the batch comes first" }
/* clang-format on */

const struct attr_spec rnn_attrs[] = { COMMON_ATTRS, { 0 } };
const struct attr_spec rnn_gru_attrs[] = {
    COMMON_ATTRS,
    { "linear_before_reset", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "R h before the reset gate (PyTorch, cuDNN)" },
    { 0 },
};
const struct attr_spec rnn_lstm_attrs[] = {
    COMMON_ATTRS,
    { "input_forget", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "the forget gate is 1 - the input gate" },
    { 0 },
};

#define LAYER(inputs, outputs) \
    .min_in = 3, .max_in = inputs, .min_out = 1, .max_out = outputs, .infer = rnn_infer, .run = rnn_run, \
    .grad = rnn_grad

const struct op ops_rnn[] = {
    { .name = "LSTM",
        .doc = "long short-term memory of (x, w, r, bias, lengths, h, c, peephole)",
        LAYER(8, 3),
        .attrs = rnn_lstm_attrs,
        .samples = "f32[4,2,3] f32[1,20,3] f32[1,20,5] f32[1,40] - f32[1,2,5] f32[1,2,5] | hidden_size=5; f32[3,2,2] "
                   "f32[2,12,2] f32[2,12,3] | hidden_size=3 direction=bidirectional; f32[2,4,3] f32[1,8,3] f32[1,8,2] "
                   "f32[1,16] i32{4,2} | hidden_size=2 direction=reverse layout=1" },
    { .name = "GRU",
        .doc = "gated recurrent unit of (x, w, r, bias, lengths, h)",
        LAYER(6, 2),
        .attrs = rnn_gru_attrs,
        .samples = "f32[4,2,3] f32[1,15,3] f32[1,15,5] f32[1,30] - f32[1,2,5] | hidden_size=5 linear_before_reset=1; "
                   "f32[3,2,2] f32[2,9,2] f32[2,9,3] | hidden_size=3 direction=bidirectional; f32[2,4,3] f32[1,6,3] "
                   "f32[1,6,2] f32[1,12] i32{4,2} | hidden_size=2 direction=reverse layout=1" },
    { .name = "RNN",
        .doc = "recurrent layer of (x, w, r, bias, lengths, h)",
        LAYER(6, 2),
        .attrs = rnn_attrs,
        .samples =
            "f32[4,2,3] f32[1,5,3] f32[1,5,5] f32[1,10] - f32[1,2,5] | hidden_size=5; f32[3,2,2] f32[2,3,2] "
            "f32[2,3,3] | hidden_size=3 direction=bidirectional; f32[2,4,3] f32[1,2,3] f32[1,2,2] f32[1,4] i32{4,2} | "
            "hidden_size=2 direction=reverse layout=1" },
    { 0 },
};
