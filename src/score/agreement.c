/* agreement.c - how two forms of one network answer the same rows, and how fast. */
#include "score/agreement.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "exec/session.h"

enum { WARM = 2, ROUNDS = 31 };
#define TURNS_SECONDS 4.0

struct pair {
    struct session *form[2];
    struct tensor *out[2];
    size_t n_outputs;
    struct rows *rows;
    struct agreement *a;
    double difference, size; /* sums of squares */
    int label;               /* column, or -1 */
    bool timed;
};

/* The place of the largest along dimension 1 of (1, C, positions). */
static int64_t choice(const struct tensor *t, int64_t classes, int64_t positions, int64_t at)
{
    int64_t best = 0;
    for (int64_t c = 1; c < classes; c++)
        if (tensor_get_f64(t, c * positions + at) > tensor_get_f64(t, best * positions + at)) best = c;
    return best;
}

static int choices(struct pair *p, const struct row *row, struct err *e)
{
    const struct tensor *old = &p->out[0][0], *now = &p->out[1][0];
    const struct shape *s = &old->shape;
    int64_t class = -1;
    if (s->rank < 2 || s->dim[0] != 1 || s->dim[1] < 2 || !dtype_is_float(old->dtype)) return 0;
    int64_t positions = shape_span(s, 2, s->rank);
    for (int64_t i = 0; i < positions; i++, p->a->places++)
        p->a->same += choice(old, s->dim[1], positions, i) == choice(now, s->dim[1], positions, i);
    if (p->label < 0 || positions != 1) return 0;
    TRY(row_class(p->rows->table, row, p->label, &class, e));
    if (class < 0) return 0;
    p->a->labelled++;
    for (int k = 0; k < 2; k++) p->a->right[k] += choice(&p->out[k][0], s->dim[1], 1, 0) == class;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Both forms by turns on one row, so that what disturbs one disturbs the other. */
static int time_both(struct pair *p, const struct tensor *const *in, struct err *e)
{
    double times[2][ROUNDS], begin = clock_now();
    int n = 0;
    for (int i = 0; i < WARM; i++)
        for (int k = 0; k < 2; k++) TRY(session_run(p->form[k], in, p->out[k], e));
    for (; n < ROUNDS && (n < 5 || clock_now() - begin < TURNS_SECONDS); n++)
        for (int turn = 0; turn < 2; turn++) {
            int k = (turn + n) % 2;
            double start = clock_now();
            TRY(session_run(p->form[k], in, p->out[k], e));
            times[k][n] = clock_now() - start;
        }
    for (int k = 0; k < 2; k++) {
        qsort(times[k], (size_t)n, sizeof **times, by_value);
        p->a->seconds[k] = times[k][n / 2];
    }
    p->timed = true;
    return 0;
}

static int compare(void *cookie, const struct row *row, const struct tensor *const *in, struct err *e)
{
    struct pair *p = cookie;
    if (!p->timed) TRY(time_both(p, in, e));
    for (int k = 0; k < 2; k++) TRY(session_run(p->form[k], in, p->out[k], e));
    for (size_t i = 0; i < p->n_outputs; i++) {
        const struct tensor *old = &p->out[0][i], *now = &p->out[1][i];
        if (!shape_equal(&old->shape, &now->shape) || !dtype_is_float(old->dtype)) continue;
        for (int64_t j = 0; j < tensor_count(old); j++) {
            double x = tensor_get_f64(old, j), d = tensor_get_f64(now, j) - x;
            if (isfinite(x)) p->difference += isfinite(d) ? d * d : INFINITY, p->size += x * x;
        }
    }
    p->a->rows++;
    return choices(p, row, e);
}

int agreement_measure(const struct graph *const forms[2], struct rows *r, struct agreement *out, struct err *e)
{
    *out = (struct agreement){ 0 };
    struct pair p = { .n_outputs = forms[0]->n_outputs, .rows = r, .a = out,
        .label = table_column(r->table, ROLE_LABEL, 0) };
    const struct labels *l = &r->model->labels;
    if (p.label >= 0 && l->n) TRY(table_set_classes(r->table, (const char *const *)l->names, l->n, e));
    struct arena a;
    arena_init(&a, r->model->arena.mem);
    for (int k = 0; k < 2 && !e->code; k++) {
        p.out[k] = ARENA_ARRAY(&a, p.n_outputs, struct tensor);
        p.form[k] = p.out[k] ? session_new(forms[k], &(struct session_options){ .threads = r->threads }, e) : NULL;
        if (!p.out[k]) fail_nomem(e);
    }
    if (!e->code) rows_run(r, compare, &p, e);
    for (int k = 0; k < 2; k++) session_free(p.form[k]);
    arena_release(&a);
    out->distance = p.size > 0 ? sqrt(p.difference / p.size) : sqrt(p.difference);
    return e->code;
}

double agreement_drop(const struct agreement *a)
{
    if (a->labelled) return (double)(a->right[0] - a->right[1]) / (double)a->labelled;
    if (a->places) return 1 - (double)a->same / (double)a->places;
    return a->distance;
}
