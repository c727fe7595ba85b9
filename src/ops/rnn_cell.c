/* rnn_cell.c - one step of LSTM, GRU and RNN, forward and backward, and the activations they may use. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "graph/op.h"
#include "ops/rnn_core.h"

static double affine(double x, double a, double b)
{
    return a * x + b;
}
static double elu(double x, double a, double b)
{
    return x >= 0 ? x : a * expm1(x);
}
static double hard_sigmoid(double x, double a, double b)
{
    return fmin(fmax(a * x + b, 0), 1);
}
static double leaky_relu(double x, double a, double b)
{
    return x >= 0 ? x : a * x;
}
static double relu(double x, double a, double b)
{
    return x < 0 ? 0 : x;
}
static double scaled_tanh(double x, double a, double b)
{
    return a * tanh(b * x);
}
static double sigmoid(double x, double a, double b)
{
    return 1 / (1 + exp(-x));
}
static double softplus(double x, double a, double b)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double softsign(double x, double a, double b)
{
    return x / (1 + fabs(x));
}
static double tanh_of(double x, double a, double b)
{
    return tanh(x);
}
static double thresholded_relu(double x, double a, double b)
{
    return x > a ? x : 0;
}
static double sigmoid_slope(double y)
{
    return y * (1 - y);
}
static double tanh_slope(double y)
{
    return 1 - y * y;
}
static double relu_slope(double y)
{
    return y > 0;
}

enum { USES_ALPHA = 1, USES_BETA = 2 };
static const struct {
    struct rnn_activation a;
    int uses;
} known[] = {
    { { "Affine", 1, 0, affine, NULL }, USES_ALPHA | USES_BETA },
    { { "Elu", 1, 0, elu, NULL }, USES_ALPHA },
    { { "HardSigmoid", 0.2, 0.5, hard_sigmoid, NULL }, USES_ALPHA | USES_BETA },
    { { "LeakyRelu", 0.01, 0, leaky_relu, NULL }, USES_ALPHA },
    { { "Relu", 0, 0, relu, relu_slope }, 0 },
    { { "ScaledTanh", 1, 1, scaled_tanh, NULL }, USES_ALPHA | USES_BETA },
    { { "Sigmoid", 0, 0, sigmoid, sigmoid_slope }, 0 },
    { { "Softplus", 0, 0, softplus, NULL }, 0 },
    { { "Softsign", 0, 0, softsign, NULL }, 0 },
    { { "Tanh", 0, 0, tanh_of, tanh_slope }, 0 },
    { { "ThresholdedRelu", 1, 0, thresholded_relu, NULL }, USES_ALPHA },
};
enum { N_KNOWN = sizeof known / sizeof known[0] };

/* The list has an entry for each activation, or one for each that uses it. */
static double parameter(
    const struct attr *list, int uses, int which, int *taken, size_t total, size_t place, double none)
{
    if (!list || !(uses & which)) return none;
    size_t i = list->n == total ? place : (size_t)(*taken)++;
    return i < list->n ? list->floats[i] : none;
}

int rnn_activations(struct rnn *r, const struct node *n, struct err *e)
{
    const struct attr *names = node_attr(n, "activations");
    const struct attr *alpha = node_attr(n, "activation_alpha"), *beta = node_attr(n, "activation_beta");
    size_t total = (size_t)r->directions * (size_t)r->cell->activations;
    int alphas = 0, betas = 0;
    if (names && names->n != total)
        return fail(e, ERR_SHAPE, "activations has %zu entries, expected %zu", names->n, total);
    for (size_t i = 0; i < total; i++) {
        size_t place = i % (size_t)r->cell->activations;
        const char *name = names ? names->strings[i] : r->cell->defaults[place];
        int k = 0;
        while (k < N_KNOWN && strcasecmp(known[k].a.name, name)) k++;
        if (k == N_KNOWN) return fail(e, ERR_UNSUPPORTED, "activation \"%s\" is not known", name);
        struct rnn_activation *to = &r->act[i / (size_t)r->cell->activations][place];
        *to = known[k].a;
        to->alpha = parameter(alpha, known[k].uses, USES_ALPHA, &alphas, total, i, to->alpha);
        to->beta = parameter(beta, known[k].uses, USES_BETA, &betas, total, i, to->beta);
    }
    return 0;
}

double rnn_apply(const struct rnn *r, int64_t d, int which, double x)
{
    const struct rnn_activation *a = &r->act[d][which];
    if (r->clip > 0) x = fmin(fmax(x, -r->clip), r->clip);
    return a->f(x, a->alpha, a->beta);
}

void rnn_multiply(int64_t rows, int64_t cols, const double *m, const double *v, double *y)
{
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t k = 0; k < cols; k++) sum += m[i * cols + k] * v[k];
        y[i] += sum;
    }
}

void rnn_multiply_transposed(int64_t rows, int64_t cols, const double *m, const double *v, double *y)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < cols; k++) y[k] += m[i * cols + k] * v[i];
}

static const double *recurrent(const struct rnn *r, int64_t d)
{
    return r->r + d * r->cell->gates * r->hidden * r->hidden;
}

/* Bias of R for one gate; NULL when there is none. */
static const double *recurrent_bias(const struct rnn *r, int64_t d, int gate)
{
    return r->bias ? r->bias + (d * 2 + 1) * r->cell->gates * r->hidden + gate * r->hidden : NULL;
}

static void add(int64_t n, const double *v, double *y)
{
    for (int64_t i = 0; v && i < n; i++) y[i] += v[i];
}

/* pre += R h + bias of R, gates [from, to) */
static void add_recurrent(const struct rnn *r, int64_t d, int from, int to, const double *h, double *pre)
{
    int64_t n = r->hidden;
    rnn_multiply((to - from) * n, n, recurrent(r, d) + from * n * n, h, pre + from * n);
    add((to - from) * n, recurrent_bias(r, d, from), pre + from * n);
}

static void plain_forward(const struct rnn *r, int64_t d, double *pre, const double *h, const double *c, double *save)
{
    add_recurrent(r, d, 0, 1, h, pre);
    for (int64_t j = 0; j < r->hidden; j++) save[j] = rnn_apply(r, d, 0, pre[j]);
}

static void plain_backward(const struct rnn *r, int64_t d, const double *h, const double *c, const double *save,
    double *dh, double *dc, double *da, double *dr)
{
    int64_t n = r->hidden;
    for (int64_t j = 0; j < n; j++) da[j] = dr[j] = dh[j] * r->act[d][0].slope(save[j]);
    memset(dh, 0, (size_t)n * sizeof *dh);
    rnn_multiply_transposed(n, n, recurrent(r, d), dr, dh);
}

/* gates i, o, f, c; save: i, o, f, g, c, h(c), h */
static void lstm_forward(const struct rnn *r, int64_t d, double *pre, const double *h, const double *c, double *save)
{
    int64_t n = r->hidden;
    const double *p = r->peephole ? r->peephole + d * 3 * n : NULL;
    add_recurrent(r, d, 0, 4, h, pre);
    for (int64_t j = 0; j < n; j++) {
        double i = rnn_apply(r, d, 0, pre[j] + (p ? p[j] * c[j] : 0));
        double f = r->coupled ? 1 - i : rnn_apply(r, d, 0, pre[2 * n + j] + (p ? p[2 * n + j] * c[j] : 0));
        double g = rnn_apply(r, d, 1, pre[3 * n + j]), now = f * c[j] + i * g;
        double o = rnn_apply(r, d, 0, pre[n + j] + (p ? p[n + j] * now : 0));
        double out = r->act[d][2].f(now, r->act[d][2].alpha, r->act[d][2].beta);
        const double all[] = { i, o, f, g, now, out, o * out };
        for (int k = 0; k < 7; k++) save[k * n + j] = all[k];
    }
}

static void lstm_backward(const struct rnn *r, int64_t d, const double *h, const double *c, const double *save,
    double *dh, double *dc, double *da, double *dr)
{
    int64_t n = r->hidden;
    const struct rnn_activation *act = r->act[d];
    for (int64_t j = 0; j < n; j++) {
        double i = save[j], o = save[n + j], f = save[2 * n + j], g = save[3 * n + j], out = save[5 * n + j];
        double cell = dc[j] + dh[j] * o * act[2].slope(out);
        da[j] = cell * g * act[0].slope(i);
        da[n + j] = dh[j] * out * act[0].slope(o);
        da[2 * n + j] = cell * c[j] * act[0].slope(f);
        da[3 * n + j] = cell * i * act[1].slope(g);
        dc[j] = cell * f;
    }
    memcpy(dr, da, (size_t)(4 * n) * sizeof *dr);
    memset(dh, 0, (size_t)n * sizeof *dh);
    rnn_multiply_transposed(4 * n, n, recurrent(r, d), dr, dh);
}

/* gates z, r, h; save: z, r, candidate, what it is made of (R h + bias, or r * h), h */
static void gru_forward(const struct rnn *r, int64_t d, double *pre, const double *h, const double *c, double *save)
{
    int64_t n = r->hidden;
    double *z = save, *reset = save + n, *candidate = save + 2 * n, *inner = save + 3 * n;
    const double *matrix = recurrent(r, d) + 2 * n * n;
    add_recurrent(r, d, 0, 2, h, pre);
    for (int64_t j = 0; j < 2 * n; j++) save[j] = rnn_apply(r, d, 0, pre[j]);
    for (int64_t j = 0; j < n; j++) inner[j] = r->linear_before_reset ? 0 : reset[j] * h[j];
    if (r->linear_before_reset) {
        rnn_multiply(n, n, matrix, h, inner);
        add(n, recurrent_bias(r, d, 2), inner);
        for (int64_t j = 0; j < n; j++) pre[2 * n + j] += reset[j] * inner[j];
    } else {
        rnn_multiply(n, n, matrix, inner, pre + 2 * n);
        add(n, recurrent_bias(r, d, 2), pre + 2 * n);
    }
    for (int64_t j = 0; j < n; j++) {
        candidate[j] = rnn_apply(r, d, 1, pre[2 * n + j]);
        save[4 * n + j] = (1 - z[j]) * candidate[j] + z[j] * h[j];
    }
}

static void gru_backward(const struct rnn *r, int64_t d, const double *h, const double *c, const double *save,
    double *dh, double *dc, double *da, double *dr)
{
    int64_t n = r->hidden;
    const double *z = save, *reset = save + n, *candidate = save + 2 * n, *inner = save + 3 * n;
    const struct rnn_activation *act = r->act[d];
    double *before = dc; /* the cell has no c: its place serves as memory */
    memset(before, 0, (size_t)n * sizeof *before);
    for (int64_t j = 0; j < n; j++) {
        da[j] = dr[j] = dh[j] * (h[j] - candidate[j]) * act[0].slope(z[j]);
        da[2 * n + j] = dh[j] * (1 - z[j]) * act[1].slope(candidate[j]);
        dr[2 * n + j] = r->linear_before_reset ? da[2 * n + j] * reset[j] : da[2 * n + j];
        dh[j] *= z[j];
    }
    rnn_multiply_transposed(n, n, recurrent(r, d) + 2 * n * n, dr + 2 * n, before);
    for (int64_t j = 0; j < n; j++) {
        double down = r->linear_before_reset ? da[2 * n + j] * inner[j] : before[j] * h[j];
        da[n + j] = dr[n + j] = down * act[0].slope(reset[j]);
        dh[j] += r->linear_before_reset ? before[j] : before[j] * reset[j];
    }
    rnn_multiply_transposed(2 * n, n, recurrent(r, d), dr, dh);
}

static const char *const lstm_defaults[] = { "Sigmoid", "Tanh", "Tanh" };
static const char *const plain_defaults[] = { "Tanh" };
const struct rnn_cell rnn_lstm = { "LSTM", 4, 3, 7, 4, lstm_defaults, lstm_forward, lstm_backward };
const struct rnn_cell rnn_gru = { "GRU", 3, 2, 5, -1, lstm_defaults, gru_forward, gru_backward };
const struct rnn_cell rnn_plain = { "RNN", 1, 1, 1, -1, plain_defaults, plain_forward, plain_backward };
