/* batch_norm.c - batch normalisation in training, its gradient, and sums per channel, in whatever layout there is.
 *
 * Every channel's numbers are summed in one order, in double precision, however many threads there are.
 */
#include <math.h>

#include "backend/cpu/form.h"
#include "base/err.h"
#include "base/team.h"
#include "ops/conv_shape.h"
#include "graph/op.h"

struct norm {
    struct form form;
    const struct step *s;
    const float *x, *dy, *scale, *bias, *mean, *var; /* x, dy: of the form; others (C) */
    float *out;
    bool training;
    double epsilon;
};

/* Two sums per lane, folded into channels. */
struct sums {
    double a[LANES], b[LANES];
};

/* a: x - shift; b: its square */
INLINE void moments(const float *x, int64_t rows, int64_t stride, int lanes, const float *shift, struct sums *to)
{
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < lanes; l++) {
            double v = (double)x[r * stride + l] - (double)shift[l];
            to->a[l] += v;
            to->b[l] += v * v;
        }
}

CLONES static void sum_moments(const struct norm *n, const struct unit *u, const float *shift, struct sums *to)
{
    for (int64_t i = 0; i < n->form.samples; i++) {
        const float *x = n->x + u->offset + i * u->sample;
        if (u->lanes == LANES) moments(x, u->rows - 1, u->stride, LANES, shift, to);
        else moments(x, u->rows - 1, u->stride, u->lanes, shift, to);
        moments(x + (u->rows - 1) * u->stride, 1, 0, u->last, shift, to);
    }
}

/* a: dy; b: dy * (x - mean) */
INLINE void products(
    const float *x, const float *dy, int64_t rows, int64_t stride, int lanes, const float *mean, struct sums *to)
{
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < lanes; l++) {
            double v = dy[r * stride + l];
            to->a[l] += v;
            to->b[l] += v * ((double)x[r * stride + l] - (double)mean[l]);
        }
}

CLONES static void sum_products(const struct norm *n, const struct unit *u, const float *mean, struct sums *to)
{
    for (int64_t i = 0; i < n->form.samples; i++) {
        int64_t at = u->offset + i * u->sample, last = at + (u->rows - 1) * u->stride;
        if (u->lanes == LANES) products(n->x + at, n->dy + at, u->rows - 1, u->stride, LANES, mean, to);
        else products(n->x + at, n->dy + at, u->rows - 1, u->stride, u->lanes, mean, to);
        products(n->x + last, n->dy + last, 1, 0, u->last, mean, to);
    }
}

INLINE void affine(const float *x, const float *dy, float *y, int lanes, const float *a, const float *b, const float *c)
{
    if (dy)
        for (int l = 0; l < lanes; l++) y[l] = dy[l] * a[l] + (x[l] * b[l] + c[l]);
    else
        for (int l = 0; l < lanes; l++) y[l] = x[l] * b[l] + c[l];
}

/* y = dy * a + x * b + c, lane by lane; without dy: x * b + c */
CLONES static void apply(const struct norm *n, const struct unit *u, const float *a, const float *b, const float *c)
{
    for (int64_t i = 0; i < n->form.samples; i++)
        for (int64_t r = 0; r < u->rows; r++) {
            int64_t at = u->offset + i * u->sample + r * u->stride;
            const float *dy = n->dy ? n->dy + at : NULL;
            int lanes = r == u->rows - 1 ? u->last : u->lanes;
            if (lanes == LANES) affine(n->x + at, dy, n->out + at, LANES, a, b, c);
            else affine(n->x + at, dy, n->out + at, lanes, a, b, c);
        }
}

/* Sums of lanes of one channel go to its first lane. */
static void fold(const struct unit *u, struct sums *s)
{
    for (int64_t l = u->count; l < LANES; l++) {
        s->a[l % u->count] += s->a[l];
        s->b[l % u->count] += s->b[l];
    }
}

static void spread(const struct unit *u, float *v)
{
    for (int64_t l = u->count; l < LANES; l++) v[l] = v[l % u->count];
}

static double count_of(const struct form *f)
{
    return (double)f->samples * (double)f->positions;
}

/* Mean and biased variance of a unit's channels. The sums are of x less one of its numbers, so that nothing is lost
 * when the mean is far from 0. */
static void statistics(const struct norm *n, const struct unit *u, double *mean, double *var)
{
    struct sums s = { { 0 }, { 0 } };
    float shift[LANES];
    if (!n->training) {
        for (int64_t c = 0; c < u->count; c++) mean[c] = n->mean[u->first + c], var[c] = n->var[u->first + c];
        return;
    }
    for (int64_t c = 0; c < u->count; c++) shift[c] = n->x[u->offset + c];
    spread(u, shift);
    sum_moments(n, u, shift, &s);
    fold(u, &s);
    for (int64_t c = 0; c < u->count; c++) {
        double m = s.a[c] / count_of(&n->form);
        mean[c] = m + (double)shift[c];
        var[c] = s.b[c] / count_of(&n->form) - m * m;
        if (var[c] < 0) var[c] = 0;
    }
}

static void update_running(const struct norm *n, int64_t c, double mean, double var)
{
    const struct step *s = n->s;
    double keep = node_float(s->node, "momentum"), count = count_of(&n->form);
    if (node_int(s->node, "unbiased") && count > 1) var *= count / (count - 1);
    if (s->node->n_out > 1) ((float *)s->out[1]->data)[c] = (float)(n->mean[c] * keep + mean * (1 - keep));
    if (s->node->n_out > 2) ((float *)s->out[2]->data)[c] = (float)(n->var[c] * keep + var * (1 - keep));
}

static void normalise_units(void *ctx, int64_t begin, int64_t end)
{
    const struct norm *n = ctx;
    for (int64_t i = begin; i < end; i++) {
        struct unit u = form_unit(&n->form, i);
        double mean[LANES], var[LANES];
        float factor[LANES], offset[LANES];
        statistics(n, &u, mean, var);
        for (int64_t k = 0; k < u.count; k++) {
            int64_t c = u.first + k;
            double by = n->scale[c] / sqrt(var[k] + n->epsilon);
            if (n->training) update_running(n, c, mean[k], var[k]);
            factor[k] = (float)by;
            offset[k] = (float)(n->bias[c] - mean[k] * by);
        }
        spread(&u, factor);
        spread(&u, offset);
        apply(n, &u, NULL, factor, offset);
    }
}

static const float *data(const struct step *s, int i)
{
    return s->in[i]->data;
}

int batch_norm_prepare(struct step *s, struct err *e)
{
    if (s->in[0]->shape.rank < 2) return fail(e, ERR_UNSUPPORTED, "rank %d", s->in[0]->shape.rank);
    s->want_out[0] = form_keep(s, 0);
    return 0;
}

int batch_norm_run(const struct step *s, struct err *e)
{
    struct norm n = { .s = s,
        .x = data(s, 0),
        .scale = data(s, 1),
        .bias = data(s, 2),
        .mean = data(s, 3),
        .var = data(s, 4),
        .out = s->out[0]->data,
        .training = node_int(s->node, "training_mode") != 0,
        .epsilon = node_float(s->node, "epsilon") };
    form_of(s->in[0], &n.form);
    team_run(s->threads, form_units(&n.form), 1, normalise_units, &n);
    return 0;
}

/* With u = (x - mean) / sqrt(var + epsilon): dscale = sum(dy u), dbias = sum(dy), and with k = scale / sqrt(...)
 * dx = k dy - k (dbias + u dscale) / count, without the second part when the statistics are constants. */
static void differentiate_units(void *ctx, int64_t begin, int64_t end)
{
    const struct norm *n = ctx;
    float *dscale = n->s->out[1]->data, *dbias = n->s->out[2]->data;
    for (int64_t i = begin; i < end; i++) {
        struct unit u = form_unit(&n->form, i);
        struct sums s = { { 0 }, { 0 } };
        double mean[LANES], var[LANES], share = n->training ? 1 / count_of(&n->form) : 0;
        float centre[LANES], a[LANES], b[LANES], c[LANES];
        statistics(n, &u, mean, var);
        for (int64_t k = 0; k < u.count; k++) centre[k] = (float)mean[k];
        spread(&u, centre);
        sum_products(n, &u, centre, &s);
        fold(&u, &s);
        for (int64_t k = 0; k < u.count; k++) {
            double inverse = 1 / sqrt(var[k] + n->epsilon), by = n->scale[u.first + k] * inverse;
            double dot = (s.b[k] + s.a[k] * ((double)centre[k] - mean[k])) * inverse;
            dscale[u.first + k] = (float)dot;
            dbias[u.first + k] = (float)s.a[k];
            a[k] = (float)by;
            b[k] = (float)(-by * inverse * dot * share);
            c[k] = (float)(by * share * (mean[k] * inverse * dot - s.a[k]));
        }
        spread(&u, a), spread(&u, b), spread(&u, c);
        apply(n, &u, a, b, c);
    }
}

/* in: dy, x, scale, mean, var; dy and x must lie alike */
int batch_norm_grad_prepare(struct step *s, struct err *e)
{
    struct form f;
    if (s->in[1]->shape.rank < 2) return fail(e, ERR_UNSUPPORTED, "rank %d", s->in[1]->shape.rank);
    int like = s->in[1]->layout && form_of(s->in[1], &f) ? 1 : 0;
    s->want_in[0] = s->want_in[1] = s->want_out[0] = form_keep(s, like);
    return 0;
}

int batch_norm_grad_run(const struct step *s, struct err *e)
{
    struct norm n = { .s = s,
        .dy = data(s, 0),
        .x = data(s, 1),
        .scale = data(s, 2),
        .mean = data(s, 3),
        .var = data(s, 4),
        .out = s->out[0]->data,
        .training = node_int(s->node, "training_mode") != 0,
        .epsilon = node_float(s->node, "epsilon") };
    form_of(s->in[1], &n.form);
    team_run(s->threads, form_units(&n.form), 1, differentiate_units, &n);
    return 0;
}

static void bias_units(void *ctx, int64_t begin, int64_t end)
{
    const struct norm *n = ctx;
    static const float zeros[LANES];
    for (int64_t i = begin; i < end; i++) {
        struct unit u = form_unit(&n->form, i);
        struct sums s = { { 0 }, { 0 } };
        sum_moments(n, &u, zeros, &s);
        fold(&u, &s);
        for (int64_t k = 0; k < u.count; k++) n->out[u.first + k] = (float)s.a[k];
    }
}

int conv_grad_bias_prepare(struct step *s, struct err *e)
{
    form_keep(s, 0);
    return 0;
}

int conv_grad_bias_run(const struct step *s, struct err *e)
{
    struct norm n = { .s = s, .x = data(s, 0), .out = s->out[0]->data };
    form_of(s->in[0], &n.form);
    team_run(s->threads, form_units(&n.form), 1, bias_units, &n);
    return 0;
}
