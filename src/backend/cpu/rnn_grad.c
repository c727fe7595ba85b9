/* rnn_grad.c - the gradients of LSTM, GRU and RNN of float32: back through time step by step, then the weights in whole
 * products. Sums over time and batch run in the order of the rows of x.
 */
#include <string.h>

#include "backend/cpu/functions.h"
#include "backend/cpu/rnn.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"

/* p (gates, width), what came out of the gates, becomes the gradient of what went in, and inner that of inner; dh and
 * dc, of this step's state, become those of the state before it, but for what goes through R. */
typedef void (*back_function)(int64_t n, int64_t width, float *restrict p, const float *restrict h,
    const float *restrict c, const float *restrict c_to, float *restrict inner, float *restrict dh,
    float *restrict dc);

CLONES static void lstm_back(int64_t n, int64_t width, float *restrict p, const float *restrict h,
    const float *restrict c, const float *restrict c_to, float *restrict inner, float *restrict dh,
    float *restrict dc)
{
    float *restrict i = p, *restrict o = p + width, *restrict f = p + 2 * width, *restrict g = p + 3 * width;
    for (int64_t j = 0; j < n; j++) {
        float out = fast_tanh(c_to[j]), cell = dc[j] + dh[j] * o[j] * (1 - out * out);
        float di = cell * g[j] * (i[j] * (1 - i[j])), df = cell * c[j] * (f[j] * (1 - f[j]));
        float dg = cell * i[j] * (1 - g[j] * g[j]);
        o[j] = dh[j] * out * (o[j] * (1 - o[j]));
        dc[j] = cell * f[j];
        dh[j] = 0;
        i[j] = di, f[j] = df, g[j] = dg;
    }
}

CLONES static void gru_back(int64_t n, int64_t width, float *restrict p, const float *restrict h,
    const float *restrict c, const float *restrict c_to, float *restrict inner, float *restrict dh,
    float *restrict dc)
{
    float *restrict z = p, *restrict r = p + width, *restrict g = p + 2 * width;
    for (int64_t j = 0; j < n; j++) {
        float dg = dh[j] * (1 - z[j]) * (1 - g[j] * g[j]), dz = dh[j] * (h[j] - g[j]) * (z[j] * (1 - z[j]));
        float through = dg * r[j];
        dh[j] *= z[j];
        r[j] = dg * inner[j] * (r[j] * (1 - r[j]));
        inner[j] = through;
        z[j] = dz, g[j] = dg;
    }
}

CLONES static void tanh_back(int64_t n, int64_t width, float *restrict p, const float *restrict h,
    const float *restrict c, const float *restrict c_to, float *restrict inner, float *restrict dh,
    float *restrict dc)
{
    for (int64_t j = 0; j < n; j++) {
        p[j] = dh[j] * (1 - p[j] * p[j]);
        dh[j] = 0;
    }
}

static const struct {
    const char *op;
    back_function back;
} ways[] = { { "LSTM", lstm_back }, { "GRU", gru_back }, { "RNN", tanh_back } };

struct gradient {
    struct layer l;
    back_function back;
    const float *dy, *dyh, *dyc;         /* may be NULL */
    float *dx, *dw, *dr, *dbias, *dh0, *dc0;
    float *dh, *dc;                      /* (batch, width) */
    float *plain;                        /* a matrix of W or R, row-major */
    float *w_back, *r_back;              /* per gate: (hidden, inputs) and (hidden, hidden), packed */
    float *before;                       /* (rows, hidden): h before each row's step */
    float *x_rows, *h_rows, *deltas;     /* packed (rows, inputs), (rows, hidden); per gate (rows, hidden) */
};

static int64_t rows_of(const struct layer *l)
{
    return l->steps * l->batch;
}

/* Cuts the work memory up; gives its size when `memory` is NULL. */
static size_t place(struct gradient *g, float *memory)
{
    const struct layer *l = &g->l;
    int64_t rows = rows_of(l), states = l->batch * l->width, widest = l->inputs > l->hidden ? l->inputs : l->hidden;
    const struct {
        float **to;
        int64_t floats;
    } parts[] = {
        { &g->dh, states },
        { &g->dc, states },
        { &g->plain, l->hidden * widest },
        { &g->w_back, l->cell->gates * packed_floats(l->hidden, l->inputs) },
        { &g->r_back, l->cell->gates * packed_floats(l->hidden, l->hidden) },
        { &g->before, rows * l->hidden },
        { &g->x_rows, packed_floats(rows, l->inputs) },
        { &g->h_rows, packed_floats(rows, l->hidden) },
        { &g->deltas, l->cell->gates * packed_floats(rows, l->hidden) },
    };
    size_t at = (layer_floats(l) + 15) / 16 * 16;
    if (memory) layer_place(&g->l, memory);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (memory) *parts[i].to = memory + at;
        at += (size_t)(parts[i].floats + 15) / 16 * 16;
    }
    return at;
}

static void open_layer(struct layer *l, const struct step *s)
{
    layer_init(l, s);
    l->keep = true;
}

int rnn_grad_prepare(struct step *s, struct err *e)
{
    struct gradient g = { .dx = NULL };
    TRY(layer_check(s, e));
    open_layer(&g.l, s);
    s->work_bytes = place(&g, NULL) * sizeof(float);
    return layer_want_weights(s, &g.l, e);
}

/* What the recurrent product of a gate saw the gradient of: a row of gates, or of inner. */
static const float *recurrent_delta(const struct layer *l, int64_t row, int gate, int64_t *apart)
{
    bool inner = l->cell->has_inner && gate == l->cell->gates - 1;
    *apart = inner ? l->width : l->cell->gates * l->width;
    return inner ? l->inner + row * l->width : l->gates + (row * l->cell->gates + gate) * l->width;
}

/* Units of some samples, back through the gates of step k. */
static void step_units(const void *ctx, int64_t k, struct share part)
{
    const struct gradient *g = ctx;
    const struct layer *l = &g->l;
    int64_t n = l->width, from = part.begin * PANEL, t = layer_time(l, k);
    int64_t count = (part.end * PANEL < l->hidden ? part.end * PANEL : l->hidden) - from;
    for (int64_t b = part.sample; b < part.sample + part.samples; b++) {
        int64_t row = layer_row(l, t, b), at = b * n + from;
        const float *dy = g->dy ? g->dy + layer_y(l, t, b) + from : NULL;
        for (int64_t j = 0; dy && j < count; j++) g->dh[at + j] += dy[j];
        g->back(count, n, l->gates + row * l->cell->gates * n + from, layer_after(l, l->h, k - 1) + at,
            layer_after(l, l->c, k - 1) + at, layer_after(l, l->c, k) + at,
            l->cell->has_inner ? l->inner + row * n + from : NULL, g->dh + at, g->dc + at);
    }
}

/* dh += sum over gates of delta R, for panels of the units of the step before. */
static void step_recurrent(const void *ctx, int64_t k, struct share part)
{
    const struct gradient *g = ctx;
    const struct layer *l = &g->l;
    int64_t apart, samples = l->batch_first ? l->steps : 1, row = layer_row(l, layer_time(l, k), part.sample);
    for (int i = 0; i < l->cell->gates; i++) {
        struct product p = { .m = part.samples, .n = l->width, .k = l->hidden, .a_col = 1,
            .b = g->r_back + i * packed_floats(l->hidden, l->hidden), .c = g->dh + part.sample * l->width,
            .c_row = l->width };
        p.a = recurrent_delta(l, row, i, &apart);
        p.a_row = samples * apart;
        product_panels(&p, part.begin, part.end);
    }
}

static void load_state(const struct layer *l, const float *from, float *to)
{
    memset(to, 0, (size_t)(l->batch * l->width) * sizeof *to);
    for (int64_t b = 0; from && b < l->batch; b++)
        memcpy(to + b * l->width, from + layer_state(l, b), (size_t)l->hidden * sizeof *to);
}

static void store_state(const struct layer *l, const float *from, float *to)
{
    for (int64_t b = 0; to && b < l->batch; b++)
        memcpy(to + layer_state(l, b), from + b * l->width, (size_t)l->hidden * sizeof *to);
}

static void through_time(struct gradient *g)
{
    const struct layer *l = &g->l;
    int64_t work = l->batch * l->cell->gates * PANEL;
    const struct stage stages[] = { { step_units, 4 * work, 1 }, { step_recurrent, work * l->hidden, 1 } };
    load_state(l, g->dyh, g->dh);
    load_state(l, g->dyc, g->dc);
    layer_walk(l, stages, 2, true, g);
    store_state(l, g->dh, g->dh0);
    store_state(l, g->dc, g->dc0);
}

/* The weights of this direction, packed for products from the other side. */
static void turn_weights(struct gradient *g)
{
    const struct layer *l = &g->l;
    int64_t n = l->hidden, w = packed_floats(l->inputs, n), r = packed_floats(n, n);
    for (int64_t i = 0; i < l->cell->gates; i++) {
        product_unpack(l->inputs, n, l->w + (l->d * l->cell->gates + i) * w, g->plain, 1, l->inputs);
        product_pack(n, l->inputs, g->plain, l->inputs, 1, g->w_back + i * packed_floats(n, l->inputs));
        product_unpack(n, n, l->r + (l->d * l->cell->gates + i) * r, g->plain, 1, n);
        product_pack(n, n, g->plain, n, 1, g->r_back + i * r);
    }
}

/* Rows of x and of h before each step, packed. */
static void pack_rows(struct gradient *g)
{
    struct layer *l = &g->l;
    int64_t rows = rows_of(l), n = l->hidden;
    product_pack(rows, l->inputs, l->x, l->inputs, 1, g->x_rows);
    for (int64_t k = 0; k < l->steps; k++)
        for (int64_t b = 0; b < l->batch; b++)
            memcpy(g->before + layer_row(l, layer_time(l, k), b) * n, layer_after(l, l->h, k - 1) + b * l->width,
                (size_t)n * sizeof *g->before);
    product_pack(rows, n, g->before, n, 1, g->h_rows);
}

/* deltas (rows, hidden) times rows: (hidden, n) of one panel of units. */
static void weight_panel(
    const struct gradient *g, int gate, int64_t panel, const float *rows_packed, int64_t n, float *to)
{
    const struct layer *l = &g->l;
    int64_t rows = rows_of(l), left = l->hidden - panel * PANEL;
    struct product p = { .m = left < PANEL ? left : PANEL, .n = n, .k = rows, .a_row = 1, .a_col = PANEL,
        .b = rows_packed, .c_row = n };
    p.a = g->deltas + gate * packed_floats(rows, l->hidden) + panel * rows * PANEL;
    p.c = to + ((l->d * l->cell->gates + gate) * l->hidden + panel * PANEL) * n;
    product_panels(&p, 0, panels_of(n));
}

/* Columns summed in double, in the order of the rows. */
static void bias_panel(const struct gradient *g, bool recurrent, int gate, int64_t panel)
{
    const struct layer *l = &g->l;
    int64_t rows = rows_of(l), left = l->hidden - panel * PANEL;
    const float *from = g->deltas + gate * packed_floats(rows, l->hidden) + panel * rows * PANEL;
    float *to = g->dbias + ((l->d * 2 + recurrent) * l->cell->gates + gate) * l->hidden + panel * PANEL;
    double sum[PANEL] = { 0 };
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < PANEL; j++) sum[j] += from[i * PANEL + j];
    for (int64_t j = 0; j < left && j < PANEL; j++) to[j] = (float)sum[j];
}

static void pack_deltas(const struct gradient *g, bool recurrent, int gate)
{
    const struct layer *l = &g->l;
    int64_t rows = rows_of(l), apart = l->cell->gates * l->width;
    const float *from = l->gates + gate * l->width;
    if (recurrent) from = recurrent_delta(l, 0, gate, &apart);
    product_pack(rows, l->hidden, from, apart, 1, g->deltas + gate * packed_floats(rows, l->hidden));
}

/* A panel of units of a gate: its rows of W and its bias. */
static void input_units(void *ctx, int64_t begin, int64_t end)
{
    const struct gradient *g = ctx;
    int64_t each = g->l.width / PANEL;
    for (int64_t i = begin; i < end; i++) {
        weight_panel(g, (int)(i / each), i % each, g->x_rows, g->l.inputs, g->dw);
        bias_panel(g, false, (int)(i / each), i % each);
    }
}

static void recurrent_units(void *ctx, int64_t begin, int64_t end)
{
    const struct gradient *g = ctx;
    int64_t each = g->l.width / PANEL;
    for (int64_t i = begin; i < end; i++) {
        weight_panel(g, (int)(i / each), i % each, g->h_rows, g->l.hidden, g->dr);
        bias_panel(g, true, (int)(i / each), i % each);
    }
}

static void weights(struct gradient *g)
{
    const struct layer *l = &g->l;
    int gates = l->cell->gates;
    int64_t panels = gates * l->width / PANEL;
    for (int i = 0; i < gates; i++) pack_deltas(g, false, i);
    team_run(l->threads, panels, 1, input_units, g);
    if (l->cell->has_inner) pack_deltas(g, true, gates - 1);
    team_run(l->threads, panels, 1, recurrent_units, g);
}

static void inputs(struct gradient *g)
{
    const struct layer *l = &g->l;
    for (int i = 0; i < l->cell->gates; i++) {
        struct product p = { .m = rows_of(l), .n = l->inputs, .k = l->hidden, .a = l->gates + i * l->width,
            .a_row = l->cell->gates * l->width, .a_col = 1, .b = g->w_back + i * packed_floats(l->hidden, l->inputs),
            .c = g->dx, .c_row = l->inputs };
        product_run(&p, l->threads);
    }
}

static int open_gradient(struct gradient *g, const struct step *s)
{
    struct layer *l = &g->l;
    int k = 0;
    open_layer(l, s);
    while (strncmp(ways[k].op, l->cell->op, 3)) k++;
    int states = l->cell->has_c ? 2 : 1;
    g->back = ways[k].back;
    l->x = s->in[0]->data;
    l->w = s->in[1]->data;
    l->r = s->in[2]->data;
    l->bias = layer_in(s, 3);
    l->h0 = layer_in(s, 5);
    l->c0 = l->cell->has_c ? layer_in(s, 6) : NULL;
    g->dy = layer_in(s, 5 + states);
    g->dyh = layer_in(s, 6 + states);
    g->dyc = l->cell->has_c ? layer_in(s, 7 + states) : NULL;
    float **to[] = { &g->dx, &g->dw, &g->dr, &g->dbias, &g->dh0, &g->dc0 };
    for (int i = 0; i < 4 + states; i++) *to[i] = layer_out(s, i);
    for (int i = 0; i < 3; i++) memset(s->out[i]->data, 0, (size_t)tensor_bytes(s->out[i]));
    return 0;
}

int rnn_grad_run(const struct step *s, struct err *e)
{
    struct gradient g = { .dx = NULL };
    TRY(open_gradient(&g, s));
    place(&g, s->work);
    for (g.l.d = 0; g.l.d < g.l.directions; g.l.d++) {
        layer_forward(&g.l);
        turn_weights(&g);
        through_time(&g);
        pack_rows(&g);
        weights(&g);
        inputs(&g);
    }
    return 0;
}
