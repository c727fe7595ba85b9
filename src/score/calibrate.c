/* calibrate.c - the ranges that the inner values of a network take on the rows of a table. */
#include "score/calibrate.h"

#include <math.h>
#include <string.h>

#include "exec/session.h"
#include "score/sample.h"

/* --- rows --- */

static int one_row(struct rows *r, int64_t i, int (*each)(void *, const struct row *, const struct tensor *const *,
    struct err *), void *cookie, struct err *e)
{
    size_t n = r->model->graph->n_inputs;
    struct arena a, inputs;
    arena_init(&a, r->model->arena.mem);
    arena_init(&inputs, r->model->arena.mem);
    struct sample s = { .arena = &a, .table = r->table };
    const struct tensor **in = ARENA_ARRAY(&a, n, const struct tensor *);
    s.in = ARENA_ARRAY(&a, n, struct tensor);
    int code = in && s.in ? table_row(r->table, i, &a, &s.row, &s.bad) : fail_nomem(e);
    if (code >= 0) sample_load(&s, r->model, r->threads, false, &inputs);
    for (size_t k = 0; k < n && in && s.in; k++) in[k] = &s.in[k];
    if (s.bad.code == ERR_NOMEM || s.bad.code == ERR_USAGE) fail(e, s.bad.code, "%s", s.bad.text);
    else if (s.bad.code && !r->bad++) r->first = s.bad;
    if (!e->code && !s.bad.code && !each(cookie, &s.row, in, e)) r->done++;
    arena_release(&inputs);
    arena_release(&a);
    return e->code;
}

int rows_run(struct rows *r, int (*each)(void *cookie, const struct row *row, const struct tensor *const *in,
    struct err *e), void *cookie, struct err *e)
{
    TRY(table_index(r->table, e));
    int64_t count = table_count(r->table), take = r->limit > 0 && r->limit < count ? r->limit : count;
    r->done = r->bad = 0;
    for (int64_t i = 0; i < take; i++) TRY(one_row(r, i * count / take, each, cookie, e));
    if (r->done) return 0;
    if (r->bad) return fail(e, ERR_DATA, "%s: none of %lld rows can be read, the first because: %s",
        table_path(r->table), (long long)r->bad, r->first.text);
    return fail(e, ERR_DATA, "%s: the table has no rows", table_path(r->table));
}

/* --- ranges --- */

enum { BINS = 2048, STEPS = 256, TRIALS = 64 };
#define OUTSIDE 1e-4 /* the share that percentile leaves out on each side */

struct seen {
    struct graph *g; /* every value is an output */
    struct session *session;
    size_t n, first;         /* the values are outputs first ... first + n */
    struct tensor *out;
    struct range *range;
    double (*bins)[BINS];    /* NULL: ranges are looked for */
};

static void widen(struct range *r, const struct tensor *t)
{
    for (int64_t i = 0; i < tensor_count(t); i++) {
        double v = ((const float *)t->data)[i];
        if (!isfinite(v)) continue;
        if (v < r->low) r->low = v;
        if (v > r->high) r->high = v;
    }
}

static void fill(double *bins, const struct range *r, const struct tensor *t)
{
    double scale = r->high > r->low ? BINS / (r->high - r->low) : 0;
    for (int64_t i = 0; i < tensor_count(t); i++) {
        double v = ((const float *)t->data)[i];
        if (!isfinite(v)) continue;
        int at = (int)((v - r->low) * scale);
        bins[at < 0 ? 0 : at >= BINS ? BINS - 1 : at]++;
    }
}

static int see(void *cookie, const struct row *row, const struct tensor *const *in, struct err *e)
{
    struct seen *s = cookie;
    TRY(session_run(s->session, in, s->out, e));
    for (size_t i = 0; i < s->n; i++) {
        const struct tensor *t = &s->out[s->first + i];
        if (t->dtype != DT_F32) return fail(e, ERR_UNSUPPORTED, "a value of type %s", dtype_name(t->dtype));
        if (s->bins) fill(s->bins[i], &s->range[i], t);
        else widen(&s->range[i], t);
    }
    return 0;
}

static void cut_percentile(const double *bins, struct range *r)
{
    double all = 0, width = (r->high - r->low) / BINS, left = 0, right = 0;
    int from = 0, to = BINS;
    for (int i = 0; i < BINS; i++) all += bins[i];
    while (from < BINS && left + bins[from] <= all * OUTSIDE) left += bins[from++];
    while (to > from + 1 && right + bins[to - 1] <= all * OUTSIDE) right += bins[--to];
    *r = (struct range){ r->low + from * width, r->low + to * width };
}

/* What is lost when bins are rounded to 256 steps of [low, high], by squares. */
static double loss(const double *bins, const struct range *r, double low, double high)
{
    double width = (r->high - r->low) / BINS, step = (high - low) / (STEPS - 1), sum = 0;
    for (int i = 0; i < BINS; i++) {
        double v = r->low + (i + 0.5) * width, c = fmin(fmax(v, low), high);
        sum += bins[i] * ((v - c) * (v - c) + (c == v ? step * step / 12 : 0));
    }
    return sum;
}

static void cut_mse(const double *bins, struct range *r)
{
    double low = fmin(r->low, 0), high = fmax(r->high, 0), best = loss(bins, r, low, high);
    struct range to = { low, high };
    for (int i = 1; i < TRIALS; i++) {
        double share = 1 - 0.9 * i / TRIALS, l = loss(bins, r, low * share, high * share);
        if (l < best) best = l, to = (struct range){ low * share, high * share };
    }
    *r = to;
}

static int collect(struct seen *s, enum calibration how, struct rows *r, struct err *e)
{
    TRY(rows_run(r, see, s, e));
    for (size_t i = 0; i < s->n; i++)
        if (!(s->range[i].low <= s->range[i].high)) s->range[i] = (struct range){ 0, 0 };
    if (how == CALIBRATE_MINMAX) return 0;
    TRY_MEM(s->bins = arena_array(s->g->arena, s->n, sizeof *s->bins), e);
    TRY(rows_run(r, see, s, e));
    for (size_t i = 0; i < s->n; i++) (how == CALIBRATE_MSE ? cut_mse : cut_percentile)(s->bins[i], &s->range[i]);
    return 0;
}

static int watch(struct seen *s, struct value *const *values, struct err *e)
{
    s->first = s->g->n_outputs;
    for (size_t i = 0; i < s->n; i++) {
        struct value *v = graph_find(s->g, values[i]->name);
        if (!v) return fail(e, ERR_FAILED, "the value %s is lost", values[i]->name);
        TRY(graph_output(s->g, v, e));
    }
    s->out = ARENA_ARRAY(s->g->arena, s->g->n_outputs, struct tensor);
    return s->out ? graph_tidy(s->g, e) : fail_nomem(e);
}

int calibrate(const struct graph *g, struct value *const *values, size_t n, enum calibration how, struct rows *r,
    struct range *out, struct err *e)
{
    struct arena a;
    arena_init(&a, r->model->arena.mem);
    struct seen s = { .g = graph_copy(g, &a, e), .n = n, .range = out };
    for (size_t i = 0; i < n; i++) out[i] = (struct range){ INFINITY, -INFINITY };
    if (s.g && !watch(&s, values, e))
        s.session = session_new(s.g, &(struct session_options){ .threads = r->threads }, e);
    if (s.session) collect(&s, how, r, e);
    session_free(s.session);
    arena_release(&a);
    return e->code;
}
