/* batch_norm.c - batch normalisation in training, its gradient, and sums per channel or column, in whatever layout.
 *
 * Sums are in double precision. The rows are cut into parts by their number alone, and the parts' sums added in order,
 * so that bits do not depend on threads.
 */
#include <math.h>

#include "backend/cpu/form.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/conv_shape.h"

enum { PARTS = 32, LEAST_ROWS = 64 };
/* What is summed: of x less `shift`, its square, dy, dy times the first. */
enum { SUM_X, SUM_XX, SUM_DY, SUM_DYX, SUMS };

struct norm {
    struct form form;
    const struct step *s;
    const float *x, *dy, *scale, *bias, *mean, *var; /* x, dy: of the form, NULL: not there; others (C) */
    float *out;
    bool training;
    double epsilon;
    int64_t units, parts;
    double *sums;                 /* (parts, units, SUMS, LANES) */
    float *shift, *a, *b, *c;     /* (units, LANES) */
};

INLINE void add_rows(const float *x, const float *dy, int64_t rows, int64_t stride, int lanes, const float *shift,
    double (*to)[LANES])
{
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < lanes; l++) {
            double v = x ? (double)x[r * stride + l] - (double)shift[l] : 0, d = dy ? dy[r * stride + l] : 0;
            if (x) to[SUM_X][l] += v, to[SUM_XX][l] += v * v;
            if (dy) to[SUM_DY][l] += d;
            if (x && dy) to[SUM_DYX][l] += d * v;
        }
}

struct part {
    const struct norm *n;
    int64_t index;
};

CLONES static void sum_rows(void *ctx, int64_t unit, int64_t at, int64_t rows, int64_t stride, int lanes)
{
    const struct part *p = ctx;
    const struct norm *n = p->n;
    const float *shift = n->shift + unit * LANES;
    double(*to)[LANES] = (double(*)[LANES])(n->sums + (p->index * n->units + unit) * SUMS * LANES);
    if (lanes != LANES) add_rows(n->x ? n->x + at : NULL, n->dy ? n->dy + at : NULL, rows, stride, lanes, shift, to);
    else if (!n->dy) add_rows(n->x + at, NULL, rows, stride, LANES, shift, to);
    else if (!n->x) add_rows(NULL, n->dy + at, rows, stride, LANES, shift, to);
    else add_rows(n->x + at, n->dy + at, rows, stride, LANES, shift, to);
}

static void sum_parts(void *ctx, int64_t begin, int64_t end)
{
    const struct norm *n = ctx;
    int64_t rows = form_rows(&n->form);
    for (int64_t i = begin; i < end; i++)
        form_walk(&n->form, rows * i / n->parts, rows * (i + 1) / n->parts, sum_rows, &(struct part){ n, i });
}

/* The sums of all parts; those of lanes of one channel are in its first lane. */
static void total(const struct norm *n, int64_t unit, const struct unit *u, double (*to)[LANES])
{
    for (int k = 0; k < SUMS; k++)
        for (int l = 0; l < LANES; l++) {
            double sum = 0;
            for (int64_t i = 0; i < n->parts; i++) sum += n->sums[((i * n->units + unit) * SUMS + k) * LANES + l];
            if (l < u->count) to[k][l] = sum;
            else to[k][l % u->count] += sum;
        }
}

/* y = dy * a + x * b + c, lane by lane; without dy: x * b + c */
INLINE void affine(const float *x, const float *dy, float *y, int64_t rows, int64_t stride, int lanes, const float *a,
    const float *b, const float *c)
{
    for (int64_t r = 0; r < rows * stride; r += stride) {
        float row[LANES]; /* x and y may be one: read, then written */
        for (int l = 0; l < lanes; l++) row[l] = (dy ? dy[r + l] * a[l] : 0) + (x[r + l] * b[l] + c[l]);
        for (int l = 0; l < lanes; l++) y[r + l] = row[l];
    }
}

CLONES static void apply_rows(void *ctx, int64_t unit, int64_t at, int64_t rows, int64_t stride, int lanes)
{
    const struct norm *n = ctx;
    int64_t k = unit * LANES;
    const float *x = n->x + at, *dy = n->dy ? n->dy + at : NULL;
    if (lanes != LANES) affine(x, dy, n->out + at, rows, stride, lanes, n->a + k, n->b + k, n->c + k);
    else if (dy) affine(x, dy, n->out + at, rows, stride, LANES, n->a + k, n->b + k, n->c + k);
    else affine(x, NULL, n->out + at, rows, stride, LANES, n->a + k, n->b + k, n->c + k);
}

static void apply(void *ctx, int64_t begin, int64_t end)
{
    const struct norm *n = ctx;
    form_walk(&n->form, begin, end, apply_rows, ctx);
}

static void spread(const struct unit *u, float *v)
{
    for (int64_t l = u->count; l < LANES; l++) v[l] = v[l % u->count];
}

static double count_of(const struct form *f)
{
    return (double)f->samples * (double)f->positions;
}

/* Sums are of x less one of its numbers, or the mean where it is known, so that nothing is lost when that is large. */
static void choose_shift(const struct norm *n)
{
    for (int64_t i = 0; i < n->units; i++) {
        struct unit u = form_unit(&n->form, i);
        float *shift = n->shift + i * LANES;
        for (int64_t c = 0; c < u.count; c++) shift[c] = n->training ? n->x[u.offset + c] : n->mean[u.first + c];
        spread(&u, shift);
    }
}

static int sum_up(struct norm *n, struct err *e)
{
    struct arena *a = n->s->scratch;
    int64_t rows = form_rows(&n->form);
    n->units = form_units(&n->form);
    n->parts = !n->training && !n->dy ? 0 : rows / LEAST_ROWS < PARTS ? rows / LEAST_ROWS + 1 : PARTS;
    n->sums = ARENA_ARRAY(a, n->parts * n->units * SUMS * LANES, double);
    n->shift = ARENA_ARRAY(a, 4 * n->units * LANES, float);
    if (!n->sums || !n->shift) return fail_nomem(e);
    n->a = n->shift + n->units * LANES;
    n->b = n->a + n->units * LANES;
    n->c = n->b + n->units * LANES;
    if (n->x) choose_shift(n);
    team_run(n->s->threads, n->parts, 1, sum_parts, n);
    return 0;
}

/* Mean and biased variance of a unit's channels. */
static void statistics(
    const struct norm *n, int64_t unit, const struct unit *u, double (*sum)[LANES], double *mean, double *var)
{
    for (int64_t c = 0; c < u->count; c++) {
        double m = sum[SUM_X][c] / count_of(&n->form);
        mean[c] = n->training ? m + (double)n->shift[unit * LANES + c] : (double)n->mean[u->first + c];
        var[c] = n->training ? sum[SUM_XX][c] / count_of(&n->form) - m * m : (double)n->var[u->first + c];
        if (n->training && var[c] < 0) var[c] = 0;
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
        double sum[SUMS][LANES], mean[LANES], var[LANES];
        float *factor = n->b + i * LANES, *offset = n->c + i * LANES;
        total(n, i, &u, sum);
        statistics(n, i, &u, sum, mean, var);
        for (int64_t k = 0; k < u.count; k++) {
            int64_t c = u.first + k;
            double by = n->scale[c] / sqrt(var[k] + n->epsilon);
            if (n->training) update_running(n, c, mean[k], var[k]);
            factor[k] = (float)by;
            offset[k] = (float)(n->bias[c] - mean[k] * by);
        }
        spread(&u, factor);
        spread(&u, offset);
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

static int finish(struct norm *n, void (*units)(void *ctx, int64_t begin, int64_t end))
{
    team_run(n->s->threads, n->units, 1, units, n);
    team_run(n->s->threads, form_rows(&n->form), 64, apply, n);
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
    TRY(sum_up(&n, e));
    return finish(&n, normalise_units);
}

/* With u = (x - mean) / sqrt(var + epsilon): dscale = sum(dy u), dbias = sum(dy), and with k = scale / sqrt(...)
 * dx = k dy - k (dbias + u dscale) / count, without the second part when the statistics are constants. */
static void differentiate_units(void *ctx, int64_t begin, int64_t end)
{
    const struct norm *n = ctx;
    float *dscale = n->s->out[1]->data, *dbias = n->s->out[2]->data;
    for (int64_t i = begin; i < end; i++) {
        struct unit u = form_unit(&n->form, i);
        double sum[SUMS][LANES], mean[LANES], var[LANES], share = n->training ? 1 / count_of(&n->form) : 0;
        float *a = n->a + i * LANES, *b = n->b + i * LANES, *c = n->c + i * LANES;
        total(n, i, &u, sum);
        statistics(n, i, &u, sum, mean, var);
        for (int64_t k = 0; k < u.count; k++) {
            double inverse = 1 / sqrt(var[k] + n->epsilon), by = n->scale[u.first + k] * inverse;
            double centre = n->shift[i * LANES + k], dy = sum[SUM_DY][k];
            double dot = (sum[SUM_DYX][k] + dy * (centre - mean[k])) * inverse;
            dscale[u.first + k] = (float)dot;
            dbias[u.first + k] = (float)dy;
            a[k] = (float)by;
            b[k] = (float)(-by * inverse * dot * share);
            c[k] = (float)(by * share * (mean[k] * inverse * dot - dy));
        }
        spread(&u, a), spread(&u, b), spread(&u, c);
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
    TRY(sum_up(&n, e));
    return finish(&n, differentiate_units);
}

static void bias_units(void *ctx, int64_t begin, int64_t end)
{
    const struct norm *n = ctx;
    for (int64_t i = begin; i < end; i++) {
        struct unit u = form_unit(&n->form, i);
        double sum[SUMS][LANES];
        total(n, i, &u, sum);
        for (int64_t k = 0; k < u.count; k++) n->out[u.first + k] = (float)sum[SUM_DY][k];
    }
}

int conv_grad_bias_prepare(struct step *s, struct err *e)
{
    form_keep(s, 0);
    return 0;
}

int conv_grad_bias_run(const struct step *s, struct err *e)
{
    struct norm n = { .s = s, .dy = data(s, 0), .out = s->out[0]->data };
    form_of(s->in[0], &n.form);
    TRY(sum_up(&n, e));
    team_run(s->threads, n.units, 1, bias_units, &n);
    return 0;
}

/* How many rows of the output's numbers the input is, when it is that. */
static int64_t rows_of(const struct step *s)
{
    const struct shape *x = &s->in[0]->shape, *y = &s->out[0]->shape;
    int lead = 0;
    while (lead < y->rank && y->dim[lead] == 1) lead++;
    int64_t n = shape_span(y, lead, y->rank);
    for (int i = 1; i <= y->rank - lead; i++)
        if (i > x->rank || x->dim[x->rank - i] != y->dim[y->rank - i]) return 0;
    return n > 1 ? tensor_count(s->in[0]) / n : 0;
}

/* in: x (..., dims), something shaped as (dims) */
int sum_to_prepare(struct step *s, struct err *e)
{
    s->want_in[1] = s->in[1]->layout; /* only its shape is looked at */
    return rows_of(s) ? 0 : fail(e, ERR_UNSUPPORTED, "other sums than those of rows");
}

int sum_to_run(const struct step *s, struct err *e)
{
    struct norm n = { .s = s, .dy = data(s, 0), .out = s->out[0]->data };
    n.form = (struct form){ rows_of(s), 1, 1, tensor_count(s->out[0]) };
    TRY(sum_up(&n, e));
    team_run(s->threads, n.units, 1, bias_units, &n);
    return 0;
}
