/* quantized_product.c - convolutions and matrix products of 8-bit numbers.
 *
 * A band of rows of the input is widened to 16 bits, less the zero point, padding included (it is zero there), and
 * stays in the cache of one thread while all panels of output channels pass over it. A matrix product is a convolution
 * of 1x1 over an image one pixel wide. Sums are exact, so bits depend on nothing.
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/quantized.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/conv_core.h"
#include "ops/quantized.h"

enum { BAND_BYTES = 192 << 10, BAND_PIXELS = 48, UNITS = 8 };

struct product {
    struct bytes_weight w;
    int64_t batch, in[2], out[2], before[2], stride[2], reach[2]; /* height, width; reach: of a window */
    struct bytes_taps taps;
    int64_t pixel, group, width; /* of the widened band: 16-bit numbers a pixel, a group; pixels a row */
    int64_t band, bands;     /* rows of the result at a time */
    int64_t splits;          /* a band's panels are shared by so many units */
    int64_t each;            /* 16-bit numbers of a band */
};

struct job {
    const struct product *p;
    struct finish finish;
    const unsigned char *x;
    bool is_signed;
    int zero;
    const int16_t *w;
    void *y;
    int16_t *work;
    int64_t units, parts;
};

/* --- one unit --- */

static void widen_row(const struct job *j, const unsigned char *x, int16_t *to)
{
    const struct product *p = j->p;
    int64_t channels = p->w.groups * p->w.c, left = p->before[1], n = p->in[1];
    if (left > p->width) left = p->width;
    if (n > p->width - left) n = p->width - left;
    memset(to, 0, (size_t)(left * p->pixel) * sizeof *to);
    to += left * p->pixel;
    memset(to + n * p->pixel, 0, (size_t)((p->width - left - n) * p->pixel) * sizeof *to);
    if (p->pixel == channels) {
        bytes_widen(x, j->is_signed, j->zero, n * channels, to);
        return;
    }
    memset(to, 0, (size_t)(n * p->pixel) * sizeof *to);
    int64_t run = p->w.deep ? channels : p->w.c, groups = channels / run;
    int flip = j->is_signed ? 128 : 0, zero = j->zero + flip; /* few numbers at a time: not worth a call */
    for (int64_t i = 0; i < n; i++)
        for (int64_t g = 0; g < groups; g++, x += run)
            for (int64_t k = 0; k < run; k++) to[i * p->pixel + g * p->group + k] = (int16_t)((x[k] ^ flip) - zero);
}

/* The rows of the input that rows [from, to) of the result see. */
static void widen_band(const struct job *j, int64_t sample, int64_t from, int64_t to, int16_t *work)
{
    const struct product *p = j->p;
    int64_t row = p->in[1] * p->w.groups * p->w.c, first = from * p->stride[0] - p->before[0];
    int64_t rows = (to - 1 - from) * p->stride[0] + p->reach[0];
    for (int64_t r = 0; r < rows; r++, work += p->width * p->pixel) {
        int64_t at = first + r;
        if (at < 0 || at >= p->in[0]) memset(work, 0, (size_t)(p->width * p->pixel) * sizeof *work);
        else widen_row(j, j->x + (sample * p->in[0] + at) * row, work);
    }
}

static void panel(const struct job *j, int64_t index, int64_t sample, int64_t from, int64_t to, const int16_t *work)
{
    const struct product *p = j->p;
    const struct bytes_weight *w = &p->w;
    int64_t panels = bytes_weight_panels(w), group = w->deep ? 0 : index / panels, o = index % panels * BYTES_PANEL;
    int64_t m = w->deep ? w->groups : w->m, count = m - o < BYTES_PANEL ? m - o : BYTES_PANEL;
    const int16_t *weight = j->w + index * bytes_weight_panel_size(w);
    int64_t pixels = (to - from) * p->out[1], all = w->groups * w->m, col = 0;
    int64_t next = p->stride[1] * p->pixel, wrap = p->stride[0] * p->width * p->pixel - p->out[1] * next;
    int64_t to_y = (sample * p->out[0] + from) * p->out[1] * all + group * m + o;
    work += w->deep ? o : group * p->group;
    for (int64_t at = 0; at < pixels; at += BYTES_ROWS) {
        const int16_t *x[BYTES_ROWS];
        int64_t y[BYTES_ROWS];
        int32_t sum[BYTES_ROWS][BYTES_PANEL];
        int rows = pixels - at < BYTES_ROWS ? (int)(pixels - at) : BYTES_ROWS;
        for (int r = 0; r < rows; r++, work += next) {
            if (col++ == p->out[1]) work += wrap, col = 1;
            x[r] = work;
            y[r] = to_y + (at + r) * all;
        }
        (w->deep ? bytes_deep : bytes_rows)(rows, x, &p->taps, weight, sum);
        finish_rows(&j->finish, index * BYTES_PANEL, rows, count, sum, j->y, y);
    }
}

static void units(const struct job *j, int64_t begin, int64_t end, int16_t *work)
{
    const struct product *p = j->p;
    int64_t panels = bytes_weight_panels(&p->w) * (p->w.deep ? 1 : p->w.groups), there = -1;
    for (int64_t u = begin; u < end; u++) {
        int64_t band = u / p->splits, split = u % p->splits, sample = band / p->bands;
        int64_t from = band % p->bands * p->band, to = from + p->band < p->out[0] ? from + p->band : p->out[0];
        if (band != there) widen_band(j, sample, from, to, work);
        there = band;
        for (int64_t i = panels * split / p->splits; i < panels * (split + 1) / p->splits; i++)
            panel(j, i, sample, from, to, work);
    }
}

static void parts(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t i = begin; i < end; i++)
        units(j, j->units * i / j->parts, j->units * (i + 1) / j->parts, j->work + i * j->p->each);
}

/* --- preparing --- */

bool quantized_product_accepts(const struct step *s, struct str *why)
{
    struct tensor *const *in = s->in;
    const struct tensor *t[QPRODUCT_INPUTS] = { NULL };
    for (int i = 0; i < s->node->n_in; i++) t[i] = in[i];
    const char *text = NULL;
    if (tensor_count(s->out[0]) == 0 || tensor_count(t[QX]) == 0) text = "an empty tensor";
    else if (!is_single(t[QX_ZERO]) || !is_single(t[QX_SCALE]) || !is_single(t[QY_SCALE]) || !is_single(t[QY_ZERO]))
        text = "more than one scale or zero point of an image";
    else if (t[QW_ZERO] && !t[QW_ZERO]->data) text = "zero points of the weight that change";
    else if (s->out[0]->dtype == DT_F64 || s->out[0]->dtype == DT_F16) text = "scales that are not float32";
    else if (t[QBIAS] && t[QBIAS]->dtype != DT_F32 && t[QBIAS]->dtype != DT_I32)
        text = "a bias that is neither float32 nor int32";
    if (text && why) str_add(why, text);
    return !text;
}

static int weight_zeros(struct step *s, struct bytes_weight *w, struct err *e)
{
    const struct tensor *t = s->node->n_in > QW_ZERO ? s->in[QW_ZERO] : NULL;
    int64_t n = w->groups * w->m, have = t ? tensor_count(t) : 1;
    int16_t *zero = ARENA_ARRAY(s->arena, n, int16_t);
    TRY_MEM(zero, e);
    if (have != 1 && have != n) return fail(e, ERR_UNSUPPORTED, "zero points that belong to no output channel");
    for (int64_t i = 0; t && i < n; i++) zero[i] = (int16_t)tensor_get_i64(t, have == 1 ? 0 : i);
    w->zero = zero;
    return 0;
}

/* Taps along a row that lie side by side are one, with more pairs. */
static int find_taps(struct step *s, struct product *p, int64_t high, int64_t wide, const int64_t *dilation,
    struct err *e)
{
    bool joined = !p->w.deep && p->w.groups == 1 && dilation[1] == 1;
    int64_t n = high * (joined ? 1 : wide), *tap = ARENA_ARRAY(s->arena, n, int64_t);
    TRY_MEM(tap, e);
    for (int64_t i = 0; i < n; i++) {
        int64_t row = joined ? i : i / wide, col = joined ? 0 : i % wide;
        tap[i] = (row * dilation[0] * p->width + col * dilation[1]) * p->pixel;
    }
    p->taps = (struct bytes_taps){ tap, n, p->group / 2 * (joined ? wide : 1) };
    return 0;
}

/* Bands that fit the cache, neither fewer than a thread needs nor of only a few pixels. */
static void cut(struct product *p)
{
    int64_t row = p->width * p->pixel * (int64_t)sizeof(int16_t), panels = bytes_weight_panels(&p->w) * p->w.groups;
    int64_t fit = (BAND_BYTES / row - p->reach[0]) / p->stride[0], least = (BAND_PIXELS + p->out[1] - 1) / p->out[1];
    int64_t share = (p->out[0] + 3) / 4;
    if (fit > share) fit = share;
    if (fit < least) fit = least;
    p->band = fit < p->out[0] ? fit : p->out[0];
    p->bands = (p->out[0] + p->band - 1) / p->band;
    p->splits = p->batch * p->bands >= UNITS ? 1 : (UNITS + p->batch * p->bands - 1) / (p->batch * p->bands);
    if (p->splits > (panels + 1) / 2) p->splits = (panels + 1) / 2;
    p->each = ((p->band - 1) * p->stride[0] + p->reach[0]) * p->width * p->pixel + 2 * BYTES_PANEL;
}

static int settle(struct step *s, struct product *p, int64_t high, int64_t wide, const int64_t *dilation,
    struct err *e)
{
    const struct bytes_weight *w = &p->w;
    if (w->taps > BYTES_TERMS_MAX / w->c) return fail(e, ERR_UNSUPPORTED, "sums of too many products for int32");
    p->group = w->deep ? 0 : (w->c + 1) / 2 * 2;
    p->pixel = w->deep ? (w->groups + BYTES_PANEL - 1) / BYTES_PANEL * BYTES_PANEL : w->groups * p->group;
    p->reach[0] = (high - 1) * dilation[0] + 1;
    p->reach[1] = (wide - 1) * dilation[1] + 1;
    p->width = (p->out[1] - 1) * p->stride[1] + p->reach[1];
    TRY(find_taps(s, p, high, wide, dilation, e));
    TRY(weight_zeros(s, &p->w, e));
    cut(p);
    if (!(s->want_in[QW] = bytes_weight_layout(s->arena, w, e))) return e->code;
    s->work_bytes = (size_t)(p->each * s->threads) * sizeof(int16_t);
    s->priv = p;
    return 0;
}

int quantized_conv_prepare(struct step *s, struct err *e)
{
    struct product *p = ARENA_NEW(s->arena, struct product);
    struct shape y;
    struct conv c = { 0 };
    TRY_MEM(p, e);
    TRY(conv_resolve(s->node, false, &s->in[QX]->shape, &s->in[QW]->shape, &y, &c, e));
    const struct window *v = &c.window;
    int64_t dilation[2];
    if (v->spatial > 2) return fail(e, ERR_UNSUPPORTED, "three spatial dimensions");
    for (int i = 0; i < 2; i++) {
        int a = WINDOW_AXES - 2 + i;
        p->in[i] = v->in[a];
        p->out[i] = v->out[a];
        p->before[i] = v->before[a];
        p->stride[i] = v->stride[a];
        dilation[i] = v->dilation[a];
        if (v->before[a] < 0 || v->after[a] < 0) return fail(e, ERR_UNSUPPORTED, "a padding that crops");
    }
    int64_t high = v->kernel[WINDOW_AXES - 2], wide = v->kernel[WINDOW_AXES - 1];
    p->batch = c.batch;
    p->w = (struct bytes_weight){ .groups = c.groups, .m = c.m, .c = c.c, .taps = high * wide,
        .m_step = c.c * high * wide, .c_step = high * wide, .deep = c.groups > 1 && c.m == 1 && c.c == 1 };
    TRY(settle(s, p, high, wide, dilation, e));
    TRY(bytes_want_last(s, QX, e));
    return bytes_last_layout(s->arena, s->out[0], &s->want_out[0], e);
}

int quantized_gemm_prepare(struct step *s, struct err *e)
{
    struct product *p = ARENA_NEW(s->arena, struct product);
    const struct shape *x = &s->in[QX]->shape, *w = &s->in[QW]->shape;
    bool turned = node_int(s->node, "transB");
    TRY_MEM(p, e);
    int64_t k = w->dim[turned], n = w->dim[!turned], rows = shape_span(x, 0, x->rank - 1);
    *p = (struct product){ .batch = 1, .in = { rows, 1 }, .out = { rows, 1 }, .stride = { 1, 1 },
        .w = { .groups = 1, .m = n, .c = k, .taps = 1, .m_step = turned ? k : 1, .c_step = turned ? 1 : n } };
    return settle(s, p, 1, 1, (int64_t[]){ 1, 1 }, e);
}

/* --- running --- */

/* What turns sums into results, for each output channel, in panels; the rest of a panel is zero. */
static int factors(const struct step *s, const struct product *p, struct finish *f, struct err *e)
{
    const struct bytes_weight *w = &p->w;
    int64_t panels = bytes_weight_panels(w), m = w->deep ? w->groups : w->m, groups = w->deep ? 1 : w->groups;
    int64_t n = groups * panels * BYTES_PANEL, have = tensor_count(s->in[QW_SCALE]);
    float *all = ARENA_ARRAY(s->scratch, 3 * n, float);
    TRY_MEM(all, e);
    if (have != 1 && have != groups * m)
        return fail(e, ERR_SHAPE, "%lld scales for %lld output channels", (long long)have, (long long)(groups * m));
    for (int64_t i = 0; i < groups * m; i++) {
        struct rescaling r;
        int64_t at = i / m * panels * BYTES_PANEL + i % m;
        quantized_rescaling(s, i, &r);
        all[at] = r.before, all[n + at] = r.factor, all[2 * n + at] = r.after;
    }
    f->before = all, f->factor = all + n, f->after = all + 2 * n;
    const struct tensor *zero = s->node->n_in > QY_ZERO ? s->in[QY_ZERO] : NULL;
    const struct tensor *step = s->node->n_in > QY_SCALE ? s->in[QY_SCALE] : NULL;
    bool first = quantized_adds_first(s);
    f->zero = first ? 0 : (int)single_value(zero, 0);
    finish_range(f, node_float(s->node, "low"), node_float(s->node, "high"), single_value(step, 1),
        first ? (float)single_value(zero, 0) : 0);
    return 0;
}

int quantized_product_run(const struct step *s, struct err *e)
{
    const struct product *p = s->priv;
    const struct tensor *zero = s->node->n_in > QX_ZERO ? s->in[QX_ZERO] : NULL;
    struct job j = { .p = p, .finish = { .to = s->out[0]->dtype }, .x = s->in[QX]->data,
        .is_signed = s->in[QX]->dtype == DT_I8, .zero = (int)single_value(zero, 0), .w = s->in[QW]->data,
        .y = s->out[0]->data, .work = s->work, .units = p->batch * p->bands * p->splits, .parts = s->threads };
    if (j.finish.to != DT_I32) TRY(factors(s, p, &j.finish, e));
    team_run(s->threads, j.parts, 1, parts, &j);
    return 0;
}
