/* rnn_core.c - sequences through a recurrent cell; sums over a batch run in fixed order. */
#include "ops/rnn_core.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "ops/operand.h"

int rnn_init(struct rnn *r, const struct node *n, const struct rnn_cell *cell, const struct shape *x,
    const struct shape *w, struct err *e)
{
    const char *direction = node_string(n, "direction");
    bool batch_first = node_int(n, "layout") == 1;
    *r = (struct rnn){ .cell = cell,
        .batch_first = batch_first,
        .steps = x->dim[batch_first],
        .batch = x->dim[!batch_first],
        .inputs = x->dim[2],
        .hidden = w->dim[1] / cell->gates,
        .directions = w->dim[0],
        .reversed = !strcmp(direction, "reverse"),
        .linear_before_reset = node_int(n, "linear_before_reset") != 0,
        .coupled = node_int(n, "input_forget") != 0,
        .clip = node_has(n, "clip") ? node_float(n, "clip") : 0 };
    return rnn_activations(r, n, e);
}

int rnn_memory(struct rnn *r, const struct step *s, bool gradient, struct err *e)
{
    int64_t lanes = r->directions * r->batch, gates = r->cell->gates * r->hidden, kept = gradient ? r->steps : 2;
    r->keep = gradient;
    r->save = operand_zeros(s, lanes * kept * r->cell->slots * r->hidden, e);
    r->work = operand_zeros(s, lanes * (gates + 3 * r->hidden), e);
    if (!gradient) return e->code;
    r->da = operand_zeros(s, lanes * r->steps * gates, e);
    r->drec = operand_zeros(s, lanes * r->steps * gates, e);
    return e->code;
}

/* A lane: one direction of one row of the batch, with its memory. */
struct lane {
    int64_t d, b, length;
    bool backwards;
    double *pre, *zeros, *dh, *dc; /* (gates * H), three times (H) */
};

static struct lane lane_of(const struct rnn *r, int64_t index)
{
    int64_t gates = r->cell->gates * r->hidden;
    struct lane l = { .d = index / r->batch, .b = index % r->batch };
    l.length = r->lengths ? r->lengths[l.b] : r->steps;
    l.backwards = r->reversed || l.d == 1;
    l.pre = r->work + index * (gates + 3 * r->hidden);
    l.zeros = l.pre + gates;
    l.dh = l.zeros + r->hidden;
    l.dc = l.dh + r->hidden;
    return l;
}

static int64_t time_of(const struct lane *l, int64_t k)
{
    return l->backwards ? l->length - 1 - k : k;
}

static double *save_of(const struct rnn *r, const struct lane *l, int64_t k)
{
    int64_t lane = l->d * r->batch + l->b;
    return r->save + (r->keep ? lane * r->steps + k : lane * 2 + k % 2) * r->cell->slots * r->hidden;
}

static int64_t x_at(const struct rnn *r, int64_t t, int64_t b)
{
    return (r->batch_first ? b * r->steps + t : t * r->batch + b) * r->inputs;
}

static int64_t y_at(const struct rnn *r, const struct lane *l, int64_t t)
{
    return (r->batch_first ? (l->b * r->steps + t) * r->directions + l->d
                           : (t * r->directions + l->d) * r->batch + l->b) *
        r->hidden;
}

static int64_t state_at(const struct rnn *r, const struct lane *l)
{
    return (r->batch_first ? l->b * r->directions + l->d : l->d * r->batch + l->b) * r->hidden;
}

/* h or c after step k; k = -1: the initial one */
static const double *h_after(const struct rnn *r, const struct lane *l, int64_t k)
{
    if (k < 0) return r->h0 ? r->h0 + state_at(r, l) : l->zeros;
    return save_of(r, l, k) + (r->cell->slots - 1) * r->hidden;
}

static const double *c_after(const struct rnn *r, const struct lane *l, int64_t k)
{
    if (k < 0) return r->c0 ? r->c0 + state_at(r, l) : l->zeros;
    return r->cell->c_slot < 0 ? l->zeros : save_of(r, l, k) + r->cell->c_slot * r->hidden;
}

static void copy(int64_t n, const double *from, double *to)
{
    if (to) memcpy(to, from, (size_t)n * sizeof *to);
}

static void forward_lane(const struct rnn *r, const struct lane *l)
{
    int64_t gates = r->cell->gates * r->hidden;
    const double *w = r->w + l->d * gates * r->inputs, *bias = r->bias ? r->bias + l->d * 2 * gates : NULL;
    for (int64_t k = 0; k < l->length; k++) {
        int64_t t = time_of(l, k);
        for (int64_t j = 0; j < gates; j++) l->pre[j] = bias ? bias[j] : 0;
        rnn_multiply(gates, r->inputs, w, r->x + x_at(r, t, l->b), l->pre);
        r->cell->forward(r, l->d, l->pre, h_after(r, l, k - 1), c_after(r, l, k - 1), save_of(r, l, k));
        if (r->y) copy(r->hidden, h_after(r, l, k), r->y + y_at(r, l, t));
    }
    if (r->yh) copy(r->hidden, h_after(r, l, l->length - 1), r->yh + state_at(r, l));
    if (r->yc) copy(r->hidden, c_after(r, l, l->length - 1), r->yc + state_at(r, l));
}

static void forward_lanes(void *ctx, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) {
        struct lane l = lane_of(ctx, i);
        forward_lane(ctx, &l);
    }
}

void rnn_forward(struct rnn *r, int threads)
{
    team_run(threads, r->directions * r->batch, 1, forward_lanes, r);
}

/* Where the gradients of step k's gates lie in da and drec. */
static int64_t delta_at(const struct rnn *r, const struct lane *l, int64_t k)
{
    return ((l->d * r->batch + l->b) * r->steps + k) * r->cell->gates * r->hidden;
}

static void backward_lanes(void *ctx, int64_t begin, int64_t end)
{
    const struct rnn *r = ctx;
    for (int64_t i = begin; i < end; i++) {
        struct lane l = lane_of(r, i);
        forward_lane(r, &l);
        if (r->dyh) copy(r->hidden, r->dyh + state_at(r, &l), l.dh);
        if (r->dyc) copy(r->hidden, r->dyc + state_at(r, &l), l.dc);
        for (int64_t k = l.length - 1; k >= 0; k--) {
            const double *dy = r->dy ? r->dy + y_at(r, &l, time_of(&l, k)) : NULL;
            for (int64_t j = 0; dy && j < r->hidden; j++) l.dh[j] += dy[j];
            r->cell->backward(r, l.d, h_after(r, &l, k - 1), c_after(r, &l, k - 1), save_of(r, &l, k), l.dh, l.dc,
                r->da + delta_at(r, &l, k), r->drec + delta_at(r, &l, k));
        }
        if (r->dh0) copy(r->hidden, l.dh, r->dh0 + state_at(r, &l));
        if (r->dc0) copy(r->hidden, l.dc, r->dc0 + state_at(r, &l));
    }
}

/* What row `gate` of R was multiplied with in step k. */
static const double *recurrent_input(const struct rnn *r, const struct lane *l, int64_t k, int64_t gate)
{
    bool reset_first = r->cell == &rnn_gru && gate == 2 && !r->linear_before_reset;
    return reset_first ? save_of(r, l, k) + 3 * r->hidden : h_after(r, l, k - 1);
}

static void add_scaled(int64_t n, double a, const double *x, double *y)
{
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* Rows of W, R and the bias, each summed over the batch and time in order. */
static void weight_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct rnn *r = ctx;
    int64_t gates = r->cell->gates * r->hidden;
    for (int64_t row = begin; row < end; row++) {
        int64_t d = row / gates, j = row % gates;
        for (int64_t b = 0; b < r->batch; b++) {
            struct lane l = lane_of(r, d * r->batch + b);
            for (int64_t k = 0; k < l.length; k++) {
                double a = r->da[delta_at(r, &l, k) + j], rec = r->drec[delta_at(r, &l, k) + j];
                add_scaled(r->inputs, a, r->x + x_at(r, time_of(&l, k), b), r->dw + row * r->inputs);
                add_scaled(r->hidden, rec, recurrent_input(r, &l, k, j / r->hidden), r->dr + row * r->hidden);
                r->dbias[d * 2 * gates + j] += a;
                r->dbias[(d * 2 + 1) * gates + j] += rec;
            }
        }
    }
}

static void input_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct rnn *r = ctx;
    int64_t gates = r->cell->gates * r->hidden;
    for (int64_t b = begin; b < end; b++)
        for (int64_t d = 0; d < r->directions; d++) {
            struct lane l = lane_of(r, d * r->batch + b);
            const double *w = r->w + d * gates * r->inputs;
            for (int64_t k = 0; k < l.length; k++)
                rnn_multiply_transposed(
                    gates, r->inputs, w, r->da + delta_at(r, &l, k), r->dx + x_at(r, time_of(&l, k), b));
        }
}

void rnn_backward(struct rnn *r, int threads)
{
    team_run(threads, r->directions * r->batch, 1, backward_lanes, r);
    team_run(threads, r->directions * r->cell->gates * r->hidden, 1, weight_rows, r);
    team_run(threads, r->batch, 1, input_rows, r);
}
