/* softmax.c - Softmax, LogSoftmax and their gradients along another dimension than the last, many lines at a time.
 *
 * A line's numbers lie apart, those of its neighbours side by side: COLUMNS lines are summed together, each in the
 * order of its numbers.
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/functions.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"

enum { COLUMNS = 64 };

/* One line a column: n rows, `stride` apart; a and b are the inputs, y may be one of them. */
typedef void (*columns_function)(const float *a, const float *b, float *y, int64_t n, int64_t stride, int64_t columns);

struct lines {
    const float *a, *b;
    float *y;
    int64_t n, stride; /* numbers of a line, lines side by side */
    columns_function run;
};

INLINE void largest(const float *x, int64_t n, int64_t stride, int64_t columns, float *most)
{
    for (int64_t l = 0; l < columns; l++) most[l] = x[l];
    for (int64_t i = 1; i < n; i++)
        for (int64_t l = 0; l < columns; l++) most[l] = x[i * stride + l] > most[l] ? x[i * stride + l] : most[l];
}

CLONES static void softmax(const float *x, const float *b, float *y, int64_t n, int64_t stride, int64_t columns)
{
    float most[COLUMNS], sum[COLUMNS] = { 0 };
    largest(x, n, stride, columns, most);
    for (int64_t i = 0; i < n; i++) {
        INDEPENDENT
        for (int64_t l = 0; l < columns; l++) {
            float v = fast_exp(x[i * stride + l] - most[l]);
            y[i * stride + l] = v;
            sum[l] += v;
        }
    }
    for (int64_t l = 0; l < columns; l++) sum[l] = 1 / sum[l];
    for (int64_t i = 0; i < n; i++) {
        INDEPENDENT
        for (int64_t l = 0; l < columns; l++) y[i * stride + l] *= sum[l];
    }
}

CLONES static void log_softmax(const float *x, const float *b, float *y, int64_t n, int64_t stride, int64_t columns)
{
    float most[COLUMNS], sum[COLUMNS] = { 0 };
    largest(x, n, stride, columns, most);
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < columns; l++) sum[l] += fast_exp(x[i * stride + l] - most[l]);
    for (int64_t l = 0; l < columns; l++) sum[l] = logf(sum[l]);
    for (int64_t i = 0; i < n; i++) {
        INDEPENDENT
        for (int64_t l = 0; l < columns; l++) y[i * stride + l] = x[i * stride + l] - most[l] - sum[l];
    }
}

/* y (dy - sum(dy y)) */
CLONES static void softmax_grad(
    const float *dy, const float *of, float *dx, int64_t n, int64_t stride, int64_t columns)
{
    float sum[COLUMNS] = { 0 };
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < columns; l++) sum[l] += dy[i * stride + l] * of[i * stride + l];
    for (int64_t i = 0; i < n; i++) {
        INDEPENDENT
        for (int64_t l = 0; l < columns; l++)
            dx[i * stride + l] = of[i * stride + l] * (dy[i * stride + l] - sum[l]);
    }
}

/* dy - exp(y) sum(dy) */
CLONES static void log_softmax_grad(
    const float *dy, const float *of, float *dx, int64_t n, int64_t stride, int64_t columns)
{
    float sum[COLUMNS] = { 0 };
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < columns; l++) sum[l] += dy[i * stride + l];
    for (int64_t i = 0; i < n; i++) {
        INDEPENDENT
        for (int64_t l = 0; l < columns; l++)
            dx[i * stride + l] = dy[i * stride + l] - fast_exp(of[i * stride + l]) * sum[l];
    }
}

static const struct {
    const char *op;
    columns_function run;
} rows[] = {
    { "Softmax", softmax },
    { "LogSoftmax", log_softmax },
    { "SoftmaxGrad", softmax_grad },
    { "LogSoftmaxGrad", log_softmax_grad },
};

static int axis_of(const struct step *s)
{
    return shape_axis(node_int(s->node, "axis"), s->in[0]->shape.rank);
}

int softmax_columns_prepare(struct step *s, struct err *e)
{
    int axis = axis_of(s), rank = s->in[0]->shape.rank;
    if (axis < 0 || shape_span(&s->in[0]->shape, axis + 1, rank) < 2)
        return fail(e, ERR_UNSUPPORTED, "numbers of a line lie side by side");
    return 0;
}

static void some_columns(void *ctx, int64_t begin, int64_t end)
{
    const struct lines *w = ctx;
    int64_t each = (w->stride + COLUMNS - 1) / COLUMNS;
    for (int64_t t = begin; t < end; t++) {
        int64_t first = t % each * COLUMNS, left = w->stride - first, at = t / each * w->n * w->stride + first;
        w->run(w->a + at, w->b ? w->b + at : NULL, w->y + at, w->n, w->stride, left < COLUMNS ? left : COLUMNS);
    }
}

int softmax_columns_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int axis = axis_of(s);
    size_t k = 0;
    while (strcmp(rows[k].op, s->node->op->name)) k++;
    struct lines w = { s->in[0]->data, s->node->n_in > 1 ? s->in[1]->data : NULL, s->out[0]->data, x->dim[axis],
        shape_span(x, axis + 1, x->rank), rows[k].run };
    int64_t parts = shape_span(x, 0, axis) * ((w.stride + COLUMNS - 1) / COLUMNS);
    team_run(s->threads, parts, 1 + 4096 / (w.n * COLUMNS), some_columns, &w);
    return 0;
}
