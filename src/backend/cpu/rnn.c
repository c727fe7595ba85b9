/* rnn.c - LSTM, GRU and RNN of float32: the inputs of some steps in one product, then these step by step.
 *
 * Each number is a sum in fixed order, biases, inputs, units: so a sample has the same answer in every batch.
 */
#include "backend/cpu/rnn.h"

#include <string.h>

#include "backend/cpu/functions.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/rnn_shape.h"

enum { ENOUGH = 4, SIDE = 4 }; /* rows and panels that keep a product busy */

/* gates i, o, f, g */
CLONES static void lstm_step(int64_t n, int64_t width, float *restrict p, const float *h, const float *c,
    const float *inner, float *restrict h_to, float *restrict c_to)
{
    float *restrict i = p, *restrict o = p + width, *restrict f = p + 2 * width, *restrict g = p + 3 * width;
    for (int64_t j = 0; j < n; j++) {
        i[j] = gate_sigmoid(i[j]);
        o[j] = gate_sigmoid(o[j]);
        f[j] = gate_sigmoid(f[j]);
        g[j] = fast_tanh(g[j]);
        c_to[j] = f[j] * c[j] + i[j] * g[j];
        h_to[j] = o[j] * fast_tanh(c_to[j]);
    }
}

/* gates z, r, candidate */
CLONES static void gru_step(int64_t n, int64_t width, float *restrict p, const float *h, const float *c,
    const float *inner, float *restrict h_to, float *restrict c_to)
{
    float *restrict z = p, *restrict r = p + width, *restrict g = p + 2 * width;
    for (int64_t j = 0; j < n; j++) {
        z[j] = gate_sigmoid(z[j]);
        r[j] = gate_sigmoid(r[j]);
        g[j] = fast_tanh(g[j] + r[j] * inner[j]);
        h_to[j] = (1 - z[j]) * g[j] + z[j] * h[j];
    }
}

CLONES static void tanh_step(int64_t n, int64_t width, float *restrict p, const float *h, const float *c,
    const float *inner, float *restrict h_to, float *restrict c_to)
{
    for (int64_t j = 0; j < n; j++) h_to[j] = p[j] = fast_tanh(p[j]);
}

static const struct cell cells[] = {
    { "LSTM", 4, true, false, lstm_step },
    { "GRU", 3, false, true, gru_step },
    { "RNN", 1, false, false, tanh_step },
};

int layer_check(const struct step *s, struct err *e)
{
    const struct node *n = s->node;
    struct rnn r = { .cell = rnn_cell_of(n), .directions = s->in[1]->shape.dim[0] };
    if (node_in(n, 4)) return fail(e, ERR_UNSUPPORTED, "sequences have lengths of their own");
    if (node_has(n, "clip") || node_int(n, "input_forget")) return fail(e, ERR_UNSUPPORTED, "clip or input_forget");
    if (r.cell == &rnn_lstm && !strcmp(n->op->name, "LSTM") && node_in(n, 7))
        return fail(e, ERR_UNSUPPORTED, "peepholes");
    if (r.cell == &rnn_gru && !node_int(n, "linear_before_reset"))
        return fail(e, ERR_UNSUPPORTED, "the reset gate comes before the product");
    TRY(rnn_activations(&r, n, e));
    for (int d = 0; d < r.directions; d++)
        for (int k = 0; k < r.cell->activations; k++)
            if (strcmp(r.act[d][k].name, r.cell->defaults[k])) return fail(e, ERR_UNSUPPORTED, "other activations");
    return 0;
}

void layer_init(struct layer *l, const struct step *s)
{
    enum { ROWS = 256 }; /* that are multiplied at once: what they give stays in the second cache until it is read */
    const struct rnn_cell *cell = rnn_cell_of(s->node);
    const struct shape *x = &s->in[0]->shape, *w = &s->in[1]->shape;
    int k = 0;
    while (strncmp(cells[k].op, cell->op, 3)) k++;
    bool batch_first = node_int(s->node, "layout") == 1;
    *l = (struct layer){ .cell = &cells[k],
        .batch_first = batch_first,
        .steps = x->dim[batch_first],
        .batch = x->dim[!batch_first],
        .inputs = x->dim[2],
        .hidden = w->dim[1] / cells[k].gates,
        .directions = w->dim[0],
        .reversed = !strcmp(node_string(s->node, "direction"), "reverse"),
        .threads = s->threads };
    l->width = panels_of(l->hidden) * PANEL;
    l->chunk = l->batch < ROWS ? ROWS / (l->batch ? l->batch : 1) : 1;
    if (l->chunk > l->steps) l->chunk = l->steps;
}

int layer_want_weights(struct step *s, const struct layer *l, struct err *e)
{
    int64_t matrices = l->directions * l->cell->gates;
    s->want_in[1] = panel_layout(s->arena, matrices, l->hidden, l->inputs, e);
    s->want_in[2] = panel_layout(s->arena, matrices, l->hidden, l->hidden, e);
    return e->code;
}

/* Rows of gates, and vectors of h and of c. */
static int64_t gate_rows(const struct layer *l)
{
    return (l->keep ? l->steps : l->chunk) * l->batch;
}

static int64_t state_rows(const struct layer *l)
{
    return (l->keep ? l->steps + 1 : 2) * l->batch;
}

size_t layer_floats(const struct layer *l)
{
    int64_t vectors = gate_rows(l) * (l->cell->gates + l->cell->has_inner) + 2 * state_rows(l);
    return (size_t)(vectors * l->width);
}

void layer_place(struct layer *l, float *memory)
{
    l->gates = memory;
    l->h = l->gates + gate_rows(l) * l->cell->gates * l->width;
    l->c = l->h + state_rows(l) * l->width;
    l->inner = l->c + state_rows(l) * l->width;
}

static const float *bias_of(const struct layer *l, bool recurrent, int gate)
{
    int64_t at = (l->d * 2 + recurrent) * l->cell->gates + gate;
    return l->bias ? l->bias + at * l->hidden : NULL;
}

/* Panels of one row: both biases; the candidate of a GRU keeps them apart. */
static void start_row(const struct layer *l, int64_t row, struct share part)
{
    int64_t from = part.begin * PANEL, to = part.end * PANEL, last = l->cell->gates - 1;
    int64_t end = to < l->hidden ? to : l->hidden;
    for (int g = 0; g <= last; g++) {
        float *p = l->gates + (row * l->cell->gates + g) * l->width;
        const float *b = bias_of(l, false, g), *rb = bias_of(l, true, g);
        bool apart = l->cell->has_inner && g == last;
        memset(p + from, 0, (size_t)(to - from) * sizeof *p);
        for (int64_t j = from; b && j < end; j++) p[j] = apart ? b[j] : b[j] + rb[j];
        if (!apart) continue;
        float *inner = l->inner + row * l->width;
        memset(inner + from, 0, (size_t)(to - from) * sizeof *inner);
        for (int64_t j = from; rb && j < end; j++) inner[j] = rb[j];
    }
}

static const float *matrix(const struct layer *l, const float *packed, int64_t k, int gate)
{
    return packed + (l->d * l->cell->gates + gate) * packed_floats(k, l->hidden);
}

/* Rows that lie evenly apart, in x and among the gates. */
struct rows {
    int64_t n, x, gates;
};

/* The rows of a share through some steps: `each` as even as can be and enough, so often as the result says. */
static struct rows split_rows(const struct layer *l, int64_t k, int64_t steps, struct share part, struct rows *each)
{
    int64_t x = layer_row(l, layer_time(l, k), 0), gates = layer_gates(l, k, part, 0), n = part.samples;
    struct rows step = { steps, layer_row(l, layer_time(l, k + 1), 0) - x, layer_gates(l, k + 1, part, 0) - gates };
    struct rows sample = { n, layer_row(l, layer_time(l, k), 1) - x, layer_gates(l, k, part, 1) - gates };
    bool even = step.x == n * sample.x && step.gates == n * sample.gates;
    if (even) return *each = (struct rows){ steps * n, sample.x, sample.gates }, (struct rows){ 1, 0, 0 };
    return *each = n < ENOUGH ? step : sample, n < ENOUGH ? sample : step;
}

/* What the inputs of the chunk that begins with step k give to gates. Few panels of W stay in the caches. */
static void input_units(const void *ctx, int64_t k, struct share part)
{
    const struct layer *l = ctx;
    int64_t steps = l->chunk < l->steps - k ? l->chunk : l->steps - k;
    for (int64_t i = 0; i < steps; i++)
        for (int64_t b = 0; b < part.samples; b++) start_row(l, layer_gates(l, k + i, part, b), part);
    struct rows each, times = split_rows(l, k, steps, part, &each);
    int64_t apart = l->cell->gates * l->width;
    const float *x = l->x + layer_row(l, layer_time(l, k), part.sample) * l->inputs;
    float *to = l->gates + layer_gates(l, k, part, 0) * apart;
    for (int i = 0; i < l->cell->gates; i++)
        for (int64_t p = part.begin, next; p < part.end; p = next) {
            next = p + SIDE < part.end ? p + SIDE : part.end;
            for (int64_t j = 0; j < times.n; j++) {
                struct product g = { .m = each.n, .n = l->width, .k = l->inputs, .a = x + j * times.x * l->inputs,
                    .a_row = each.x * l->inputs, .a_col = 1, .b = matrix(l, l->w, l->inputs, i),
                    .c = to + j * times.gates * apart + i * l->width, .c_row = each.gates * apart };
                product_panels(&g, p, next);
            }
        }
}

/* Units of some samples, through step k. */
static void step_units(const void *ctx, int64_t k, struct share part)
{
    const struct layer *l = ctx;
    int64_t t = layer_time(l, k), n = l->width;
    int64_t row = layer_gates(l, k, part, 0), apart = layer_gates(l, k, part, 1) - row;
    const float *h = layer_after(l, l->h, k - 1), *c = layer_after(l, l->c, k - 1);
    float *h_to = layer_after(l, l->h, k), *c_to = layer_after(l, l->c, k);
    int gates = l->cell->gates;
    for (int i = 0; i < gates; i++) {
        bool inner = l->cell->has_inner && i == gates - 1;
        struct product g = { .m = part.samples, .n = n, .k = l->hidden, .a = h + part.sample * n, .a_row = n,
            .a_col = 1, .b = matrix(l, l->r, l->hidden, i), .c = l->gates + (row * gates + i) * n,
            .c_row = apart * gates * n };
        if (inner) g.c = l->inner + row * n, g.c_row = apart * n;
        product_panels(&g, part.begin, part.end);
    }
    int64_t from = part.begin * PANEL, count = (part.end * PANEL < l->hidden ? part.end * PANEL : l->hidden) - from;
    for (int64_t b = 0; b < part.samples; b++) {
        int64_t at = row + b * apart, unit = (part.sample + b) * n + from;
        l->cell->step(count, n, l->gates + at * gates * n + from, h + unit, c + unit,
            l->cell->has_inner ? l->inner + at * n + from : NULL, h_to + unit, c_to + unit);
        if (l->y) memcpy(l->y + layer_y(l, t, part.sample + b) + from, h_to + unit, (size_t)count * sizeof *h_to);
    }
}

struct walk {
    const struct layer *l;
    const struct stage *stages;
    int n, stage;
    bool back;
    const void *ctx;
    int64_t k;
};

static int64_t step_at(const struct walk *w, int64_t i)
{
    return w->back ? w->l->steps - 1 - i : i;
}

static void walk_samples(void *ctx, int64_t begin, int64_t end)
{
    const struct walk *w = ctx;
    struct share part = { begin, end - begin, 0, w->l->width / PANEL };
    for (int64_t i = 0; i < w->l->steps; i++)
        for (int s = 0; s < w->n; s++)
            if (i % w->stages[s].every == 0) w->stages[s].run(w->ctx, step_at(w, i), part);
}

static void walk_panels(void *ctx, int64_t begin, int64_t end)
{
    const struct walk *w = ctx;
    w->stages[w->stage].run(w->ctx, w->k, (struct share){ 0, w->l->batch, begin, end });
}

void layer_walk(const struct layer *l, const struct stage *stages, int n, bool back, const void *ctx)
{
    enum { WORTH = 65536 }; /* multiplications that are worth a meeting */
    struct walk w = { l, stages, n, 0, back, ctx, 0 };
    if (l->batch >= ENOUGH * l->threads) {
        team_run(l->threads, l->batch, ENOUGH, walk_samples, &w);
        return;
    }
    for (int64_t i = 0; i < l->steps; i++)
        for (w.stage = 0, w.k = step_at(&w, i); w.stage < n; w.stage++)
            if (i % stages[w.stage].every == 0)
                team_run(l->threads, l->width / PANEL, 1 + WORTH / (stages[w.stage].work + 1), walk_panels, &w);
}

static void start_state(const struct layer *l, const float *initial, float *to)
{
    memset(to, 0, (size_t)(l->batch * l->width) * sizeof *to);
    for (int64_t b = 0; initial && b < l->batch; b++)
        memcpy(to + b * l->width, initial + layer_state(l, b), (size_t)l->hidden * sizeof *to);
}

static void end_state(const struct layer *l, const float *from, float *to)
{
    for (int64_t b = 0; to && b < l->batch; b++)
        memcpy(to + layer_state(l, b), from + b * l->width, (size_t)l->hidden * sizeof *to);
}

void layer_forward(struct layer *l)
{
    memset(l->h, 0, (size_t)(state_rows(l) * l->width) * sizeof *l->h);
    start_state(l, l->h0, layer_after(l, l->h, -1));
    start_state(l, l->c0, layer_after(l, l->c, -1));
    int64_t work = l->batch * l->cell->gates * PANEL;
    const struct stage stages[] = { { input_units, work * l->inputs * l->chunk, l->chunk },
        { step_units, work * l->hidden, 1 } };
    layer_walk(l, stages, 2, false, l);
    end_state(l, layer_after(l, l->h, l->steps - 1), l->yh);
    if (l->cell->has_c) end_state(l, layer_after(l, l->c, l->steps - 1), l->yc);
}

int rnn_prepare(struct step *s, struct err *e)
{
    struct layer l;
    TRY(layer_check(s, e));
    layer_init(&l, s);
    s->work_bytes = layer_floats(&l) * sizeof(float);
    return layer_want_weights(s, &l, e);
}

float *layer_in(const struct step *s, int i)
{
    return i < s->node->n_in && s->in[i] ? s->in[i]->data : NULL;
}

float *layer_out(const struct step *s, int i)
{
    return i < s->node->n_out && s->out[i] ? s->out[i]->data : NULL;
}

int rnn_run(const struct step *s, struct err *e)
{
    struct layer l;
    layer_init(&l, s);
    l.x = s->in[0]->data;
    l.w = s->in[1]->data;
    l.r = s->in[2]->data;
    l.bias = layer_in(s, 3);
    l.h0 = layer_in(s, 5);
    l.c0 = layer_in(s, 6);
    l.y = layer_out(s, 0);
    l.yh = layer_out(s, 1);
    l.yc = layer_out(s, 2);
    layer_place(&l, s->work);
    for (l.d = 0; l.d < l.directions; l.d++) layer_forward(&l);
    return 0;
}
