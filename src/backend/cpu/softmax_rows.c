/* softmax_rows.c - Softmax, SoftmaxOrZero and LogSoftmax along the last dimension, a row at a time.
 *
 * A row is worked on LANES numbers at a time, the last LANES of them last, which may overlap those before; number l of
 * each goes into lane l, and lanes are joined by halves: bits depend on the row alone. Shorter rows are filled up.
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/functions.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"

enum { LANES = 16, GRAIN = 1 << 13 };

typedef void row_fn(const float *x, float *y, int64_t n);
typedef float vec __attribute__((vector_size(64)));
typedef int32_t mask __attribute__((vector_size(64)));

#define LOAD(v, from) memcpy(&(v), from, sizeof(v))
/* b where it is larger, else a */
#define LARGER(a, b) ((vec)((((b) > (a)) & (mask)(b)) | (~((b) > (a)) & (mask)(a))))
#define SUM(a, b) ((a) + (b))
#define JOIN(v, joined) \
    v = joined(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)); \
    v = joined(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3)); \
    v = joined(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1)); \
    v = joined(v, __builtin_shufflevector(v, v, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0));

INLINE float row_max(const float *x, int64_t n)
{
    vec most, other, v;
    LOAD(most, x + n - LANES);
    other = most;
    int64_t i = 0;
    for (; i < n - 2 * LANES; i += 2 * LANES) {
        LOAD(v, x + i);
        most = LARGER(most, v);
        LOAD(v, x + i + LANES);
        other = LARGER(other, v);
    }
    for (; i < n - LANES; i += LANES) {
        LOAD(v, x + i);
        most = LARGER(most, v);
    }
    most = LARGER(most, other);
    JOIN(most, LARGER)
    return most[0];
}

INLINE float row_sum(const float *x, int64_t n)
{
    static const int32_t unseen[2 * LANES] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };
    vec sum = { 0 }, other = { 0 }, v;
    mask counts;
    int64_t i = 0;
    for (; i < n - 2 * LANES; i += 2 * LANES) {
        LOAD(v, x + i);
        sum += v;
        LOAD(v, x + i + LANES);
        other += v;
    }
    for (; i < n - LANES; i += LANES) {
        LOAD(v, x + i);
        sum += v;
    }
    LOAD(v, x + n - LANES);
    LOAD(counts, unseen + n - i);
    other += (vec)((mask)v & counts);
    sum += other;
    JOIN(sum, SUM)
    return sum[0];
}

/* exp(x - top) to y, which may be x. */
INLINE void row_exp(const float *x, float *y, int64_t n, float top)
{
    float last[LANES];
    for (int l = 0; l < LANES; l++) last[l] = falling_exp(x[n - LANES + l] - top);
    for (int64_t i = 0; i < n - LANES; i += LANES) {
        INDEPENDENT
        for (int l = 0; l < LANES; l++) y[i + l] = falling_exp(x[i + l] - top);
    }
    memcpy(y + n - LANES, last, sizeof last);
}

INLINE void scale(float *y, int64_t n, float by)
{
    INDEPENDENT for (int64_t i = 0; i < n; i++) y[i] *= by;
}

CLONES static void softmax(const float *x, float *y, int64_t n)
{
    row_exp(x, y, n, row_max(x, n));
    scale(y, n, 1 / row_sum(y, n));
}

/* 0 where all of the row is -infinity */
CLONES static void softmax_or_zero(const float *x, float *y, int64_t n)
{
    float top = row_max(x, n);
    int64_t i = 0;
    while (top == -INFINITY && i < n && x[i] == -INFINITY) i++; /* the maximum does not see NaN */
    row_exp(x, y, n, top);
    scale(y, n, 1 / row_sum(y, n));
    if (i == n) memset(y, 0, (size_t)n * sizeof *y);
}

/* In parts, because y may be x. */
CLONES static void log_softmax(const float *x, float *y, int64_t n)
{
    enum { PART = 64 * LANES };
    float top = row_max(x, n), sum = 0, part[PART];
    for (int64_t i = 0; i < n; i += PART) {
        int64_t some = n - i < PART ? n - i : PART, from = some < LANES ? i + some - LANES : i;
        row_exp(x + from, part, i + some - from, top);
        memset(part, 0, (size_t)(i - from) * sizeof *part);
        sum += row_sum(part, i + some - from);
    }
    sum = top + logf(sum);
    INDEPENDENT for (int64_t i = 0; i < n; i++) y[i] = x[i] - sum;
}

struct job {
    row_fn *row;
    const float *x;
    float *y;
    int64_t n;
};

static const struct {
    const char *op;
    row_fn *row;
} table[] = { { "Softmax", softmax }, { "SoftmaxOrZero", softmax_or_zero }, { "LogSoftmax", log_softmax } };

int softmax_rows_prepare(struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int axis = shape_axis(node_int(s->node, "axis"), x->rank);
    if (axis >= 0 && shape_span(x, axis + 1, x->rank) == 1) return 0;
    return fail(e, ERR_UNSUPPORTED, "numbers of a line lie apart");
}

static void some_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t r = begin; r < end; r++) {
        float few[LANES];
        const float *x = j->x + r * j->n;
        if (j->n < LANES) {
            for (int l = 0; l < LANES; l++) few[l] = l < j->n ? x[l] : -INFINITY;
            j->row(few, few, LANES);
            memcpy(j->y + r * j->n, few, (size_t)j->n * sizeof *few);
        } else
            j->row(x, j->y + r * j->n, j->n);
    }
}

int softmax_rows_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    size_t k = 0;
    (void)e;
    while (strcmp(table[k].op, s->node->op->name)) k++;
    struct job j = { table[k].row, s->in[0]->data, s->out[0]->data,
        x->dim[shape_axis(node_int(s->node, "axis"), x->rank)] };
    team_run(s->threads, tensor_count(s->in[0]) / j.n, 1 + GRAIN / j.n, some_rows, &j);
    return 0;
}
