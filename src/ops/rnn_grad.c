/* rnn_grad.c - the gradients of recurrent layers; the forward pass is run again inside. */
#include "base/err.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"
#include "ops/rnn_shape.h"

/* x, w, r, bias, lengths, h0[, c0]; then dy, dyh[, dyc] */
static int states_of(const struct node *n)
{
    return rnn_cell_of(n)->c_slot >= 0 ? 2 : 1;
}

static int check_gradient(const struct node *n, int i, struct shape want, struct err *e)
{
    const struct value *v = node_in(n, i);
    if (!v || shape_merge(&want, &v->shape)) return 0;
    return fail(e, ERR_SHAPE, "input %d (%s) has not the shape of the output it is the gradient of", i, v->name);
}

static int grad_infer(struct node *n, struct err *e)
{
    struct rnn_sizes z;
    int states = states_of(n);
    TRY(rnn_check(n, 5 + states, &z, e));
    struct shape state = rnn_state_shape(&z);
    TRY(check_gradient(n, 5 + states, rnn_y_shape(&z), e));
    for (int i = 0; i < states; i++) TRY(check_gradient(n, 6 + states + i, state, e));
    int64_t gates = rnn_cell_of(n)->gates;
    struct shape bias = shape_of(2, (int64_t[]){ z.directions, z.hidden >= 0 ? 2 * gates * z.hidden : DIM_UNKNOWN });
    for (int i = 0; i < 3; i++) infer_out(n, i, n->in[0]->dtype, &n->in[i]->shape);
    infer_out(n, 3, n->in[0]->dtype, &bias);
    for (int i = 0; i < states; i++) infer_out(n, 4 + i, n->in[0]->dtype, &state);
    return 0;
}

static int check_slopes(const struct rnn *r, struct err *e)
{
    for (int d = 0; d < r->directions; d++)
        for (int k = 0; k < r->cell->activations; k++)
            if (!r->act[d][k].slope)
                return fail(e, ERR_UNSUPPORTED, "there is no gradient for the activation %s", r->act[d][k].name);
    if (r->coupled || r->clip > 0) return fail(e, ERR_UNSUPPORTED, "there is no gradient for clip and input_forget");
    return 0;
}

static int grad_run(const struct step *s, struct err *e)
{
    struct rnn r;
    int states = states_of(s->node), outputs = s->node->n_out;
    TRY(rnn_open(&r, s, 5 + states, e));
    TRY(check_slopes(&r, e));
    TRY(rnn_memory(&r, s, true, e));
    const double **from[] = { &r.dy, &r.dyh, &r.dyc };
    for (int i = 0; i < 1 + states; i++) {
        const struct tensor *t = step_in(s, 5 + states + i);
        if (t && !(*from[i] = operand_load(s, t, e))) return e->code;
    }
    double **to[] = { &r.dx, &r.dw, &r.dr, &r.dbias, &r.dh0, &r.dc0 };
    for (int i = 0; i < outputs; i++)
        if (!(*to[i] = operand_zeros(s, tensor_count(s->out[i]), e))) return e->code;
    rnn_backward(&r, s->threads);
    for (int i = 0; i < outputs; i++) operand_store(s, s->out[i], *to[i]);
    return 0;
}

#define GRADIENT(inputs, outputs) \
    .min_in = 3, .max_in = inputs, .min_out = outputs, .max_out = outputs, .flags = OP_OWN | OP_TRAINING_ONLY, \
    .infer = grad_infer, .run = grad_run

const struct op ops_rnn_grad[] = {
    { .name = "LSTMGrad",
        .doc = "gradient of LSTM, of (x, w, r, bias, lengths, h, c, dy, dh, dc)",
        GRADIENT(10, 6),
        .attrs = rnn_lstm_attrs,
        .samples =
            "f32[4,2,3] f32[1,20,3] f32[1,20,5] f32[1,40] - f32[1,2,5] f32[1,2,5] f32[4,1,2,5]; f32[3,2,2] "
            "f32[2,12,2] f32[2,12,3] - - - - - f32[2,2,3] f32[2,2,3] | direction=bidirectional; f32[2,4,3] f32[1,8,3] "
            "f32[1,8,2] f32[1,16] i32{4,2} - - f32[2,4,1,2] | direction=reverse layout=1" },
    { .name = "GRUGrad",
        .doc = "gradient of GRU, of (x, w, r, bias, lengths, h, dy, dh)",
        GRADIENT(8, 5),
        .attrs = rnn_gru_attrs,
        .samples =
            "f32[4,2,3] f32[1,15,3] f32[1,15,5] f32[1,30] - f32[1,2,5] f32[4,1,2,5] | linear_before_reset=1; "
            "f32[3,2,2] f32[2,9,2] f32[2,9,3] - - - - f32[2,2,3] | direction=bidirectional; f32[2,4,3] f32[1,6,3] "
            "f32[1,6,2] f32[1,12] i32{4,2} - f32[2,4,1,2] | direction=reverse layout=1" },
    { .name = "RNNGrad",
        .doc = "gradient of RNN, of (x, w, r, bias, lengths, h, dy, dh)",
        GRADIENT(8, 5),
        .attrs = rnn_attrs,
        .samples =
            "f32[4,2,3] f32[1,5,3] f32[1,5,5] f32[1,10] - f32[1,2,5] f32[4,1,2,5]; f32[3,2,2] f32[2,3,2] f32[2,3,3] - "
            "- - - f32[2,2,3] | direction=bidirectional; f32[2,4,3] f32[1,2,3] f32[1,2,2] f32[1,4] i32{4,2} - "
            "f32[2,4,1,2] | direction=reverse layout=1" },
    { 0 },
};
