/* norm_core.c - normalising lines by their own statistics, and the gradient of it. */
#include "ops/norm_core.h"

#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "ops/lanes.h"

enum { BLOCK = 256 };

static int64_t first_weight(const struct norm *m, int64_t line)
{
    return line % m->groups * (m->len / m->span);
}

static void statistics(const struct norm *m, const double *x, double *mean, double *inverse)
{
    double sum = 0, squares = 0;
    for (int64_t k = 0; m->centred && k < m->len; k++) sum += x[k];
    *mean = sum / (double)m->len;
    for (int64_t k = 0; k < m->len; k++) squares += (x[k] - *mean) * (x[k] - *mean);
    *inverse = 1 / sqrt(squares / (double)m->len + m->epsilon);
}

/* x -> y, mean, inverse; lines are contiguous (stride 1). */
static void normalise(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    const struct norm *m = l->ctx;
    const double *x = v[0].f;
    double *y = v[1].f, mean, inverse;
    int64_t w = first_weight(m, line);
    statistics(m, x, &mean, &inverse);
    for (int64_t k = 0; k < m->len; w++) {
        double scale = m->scale ? m->scale[w] : 1, bias = m->bias ? m->bias[w] : 0;
        for (int64_t end = k + m->span; k < end; k++) y[k] = (x[k] - mean) * inverse * scale + bias;
    }
    if (l->n_out > 1) v[2].f[0] = mean, v[3].f[0] = inverse;
}

/* A place for statistics that nobody asked for. */
static struct tensor *per_line(const struct step *s, const struct norm *m, struct err *e)
{
    struct tensor *t = ARENA_NEW(s->scratch, struct tensor);
    double *data = ARENA_ARRAY(s->scratch, m->lines, double);
    if (!t || !data) return fail_nomem(e), NULL;
    *t = (struct tensor){ .dtype = DT_F64, .shape = shape_of(1, &m->lines), .data = data };
    return t;
}

int norm_run(const struct step *s, const struct norm *m, const struct tensor *x, struct tensor *y, struct tensor *mean,
    struct tensor *inverse, struct err *e)
{
    struct lanes l = { .outer = m->lines, .inner = 1, .n_in = 1, .n_out = 1, .apply = normalise, .ctx = m };
    if (!m->len) return 0;
    l.on[0].t = x, l.on[0].len = m->len;
    l.on[1].t = y, l.on[1].len = m->len;
    if (mean || inverse) {
        if (!mean && !(mean = per_line(s, m, e))) return e->code;
        if (!inverse && !(inverse = per_line(s, m, e))) return e->code;
        l.on[2].t = mean, l.on[2].len = 1;
        l.on[3].t = inverse, l.on[3].len = 1;
        l.n_out = 3;
    }
    return lanes_run(s, &l, e);
}

/* dy, x -> dx, mean, inverse. With g = dy scale and u = (x - mean) inverse:
 * dx = inverse (g - mean(g) - u mean(g u)), without mean(g) when nothing was centred. */
static void differentiate(const struct lanes *l, int64_t line, int64_t stride, const union lane *v)
{
    const struct norm *m = l->ctx;
    double *g = v[0].f, *u = v[1].f, *dx = v[2].f, mean, inverse, sum = 0, dot = 0;
    int64_t w = first_weight(m, line);
    statistics(m, u, &mean, &inverse);
    for (int64_t k = 0; k < m->len; w++) {
        double scale = m->scale ? m->scale[w] : 1;
        for (int64_t end = k + m->span; k < end; k++) {
            u[k] = (u[k] - mean) * inverse;
            g[k] *= scale;
            sum += g[k];
            dot += g[k] * u[k];
        }
    }
    double by_mean = m->centred ? sum / (double)m->len : 0, by_var = dot / (double)m->len;
    for (int64_t k = 0; k < m->len; k++) dx[k] = inverse * (g[k] - by_mean - u[k] * by_var);
    v[3].f[0] = mean;
    v[4].f[0] = inverse;
}

struct weights {
    const struct norm *m;
    const struct tensor *dy, *x;
    const double *mean, *inverse; /* per line */
    double *dscale, *dbias;
};

static void load(const struct tensor *t, int64_t at, int64_t n, double *v)
{
    load_f64(t->dtype, (const unsigned char *)t->data + (size_t)at * dtype_size(t->dtype), n, v);
}

/* Adds what elements [from, to) of a line give to their weights. */
static void add_stretch(const struct weights *j, int64_t line, int64_t from, int64_t to)
{
    const struct norm *m = j->m;
    double dy[BLOCK], x[BLOCK], mean = j->mean[line], inverse = j->inverse[line];
    int64_t first = first_weight(m, line);
    for (int64_t k = from; k < to; k += BLOCK) {
        int64_t n = to - k < BLOCK ? to - k : BLOCK;
        load(j->dy, line * m->len + k, n, dy);
        load(j->x, line * m->len + k, n, x);
        for (int64_t i = 0; i < n; i++) {
            int64_t w = first + (k + i) / m->span;
            j->dscale[w] += dy[i] * (x[i] - mean) * inverse;
            j->dbias[w] += dy[i];
        }
    }
}

/* Weights [begin, end): every line that has some of them. */
static void sum_weights(void *ctx, int64_t begin, int64_t end)
{
    const struct weights *j = ctx;
    int64_t each = j->m->len / j->m->span;
    for (int64_t line = 0; line < j->m->lines; line++) {
        int64_t first = first_weight(j->m, line), from = begin - first, to = end - first;
        if (from < 0) from = 0;
        if (to > each) to = each;
        if (from < to) add_stretch(j, line, from * j->m->span, to * j->m->span);
    }
}

int norm_run_grad(const struct step *s, const struct norm *m, const struct tensor *dy, const struct tensor *x,
    struct tensor *dx, struct tensor *dscale, struct tensor *dbias, struct err *e)
{
    struct tensor *mean = per_line(s, m, e), *inverse = per_line(s, m, e);
    if (e->code) return e->code;
    struct lanes l = { .outer = m->lines, .inner = 1, .n_in = 2, .n_out = 3, .apply = differentiate, .ctx = m };
    const struct tensor *on[] = { dy, x, dx, mean, inverse };
    for (int k = 0; k < 5; k++) l.on[k].t = on[k], l.on[k].len = k < 3 ? m->len : 1;
    if (m->len) TRY(lanes_run(s, &l, e));
    int64_t n = norm_weights(m);
    struct weights j = { m, dy, x, mean->data, inverse->data, ARENA_ARRAY(s->scratch, n, double),
        ARENA_ARRAY(s->scratch, n, double) };
    if (!j.dscale || !j.dbias) return fail_nomem(e);
    if (!dscale && !dbias) return 0;
    team_run(s->threads, n, 1 + 16384 / (1 + m->lines * m->span), sum_weights, &j);
    if (dscale) store_f64(dscale->dtype, dscale->data, n, j.dscale);
    if (dbias) store_f64(dbias->dtype, dbias->data, n, j.dbias);
    return 0;
}
