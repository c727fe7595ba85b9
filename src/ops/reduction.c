/* reduction.c - the loop of every reduction. */
#include "ops/reduction.h"

#include <math.h>

#include "base/team.h"
#include "ops/elementwise.h"

enum { BLOCK = 256 };

struct job {
    const struct reduction *m;
    const struct tensor *x;
    struct tensor *y;
    enum { FLOATS, INTEGERS, UNSIGNED } domain;
    int n_kept, n_reduced; /* neighbours of one kind are merged */
    int64_t kept[SHAPE_MAX], kept_stride[SHAPE_MAX];
    int64_t reduced[SHAPE_MAX], reduced_stride[SHAPE_MAX];
    int64_t run;   /* of the last dimension when it is reduced, else 1 */
    int64_t width; /* of the last dimension when it is kept, else 1 */
    double count;  /* elements that go into one */
};

static void add_dim(int *n, int64_t *size, int64_t *stride, int64_t dim, int64_t step)
{
    if (*n && stride[*n - 1] == dim * step) {
        size[*n - 1] *= dim;
        stride[*n - 1] = step;
    } else {
        size[*n] = dim;
        stride[(*n)++] = step;
    }
}

static void cut(struct job *j, const struct shape *s, unsigned mask)
{
    int64_t strides[SHAPE_MAX];
    shape_strides(s, strides);
    j->count = 1;
    for (int d = 0; d < s->rank; d++) {
        if (mask >> d & 1) {
            j->count *= (double)s->dim[d];
            add_dim(&j->n_reduced, j->reduced, j->reduced_stride, s->dim[d], strides[d]);
        } else {
            add_dim(&j->n_kept, j->kept, j->kept_stride, s->dim[d], strides[d]);
        }
    }
    bool inner_reduced = j->n_reduced && j->reduced_stride[j->n_reduced - 1] == 1 &&
        !(j->n_kept && j->kept_stride[j->n_kept - 1] == 1 && j->kept[j->n_kept - 1] > 1);
    j->run = j->width = 1;
    if (inner_reduced) j->run = j->reduced[--j->n_reduced];
    else if (j->n_kept && j->kept_stride[j->n_kept - 1] == 1) j->width = j->kept[--j->n_kept];
}

static void start(const struct job *j, struct partial *r, int64_t n)
{
    static const struct {
        double f;
        int64_t i;
        uint64_t u;
    } first[] = { [START_0] = { 0, 0, 0 },
        [START_1] = { 1, 1, 1 },
        [START_LOWEST] = { -INFINITY, INT64_MIN, 0 },
        [START_HIGHEST] = { INFINITY, INT64_MAX, UINT64_MAX } };
    for (int64_t i = 0; i < n; i++) {
        r[i] = (struct partial){ .weight = 0 };
        if (j->domain == FLOATS) r[i].f = first[j->m->start].f;
        else if (j->domain == INTEGERS) r[i].i = first[j->m->start].i;
        else r[i].u = first[j->m->start].u;
    }
}

static void take(const struct job *j, struct partial *r, int64_t stride, int64_t offset, int64_t n, int64_t at)
{
    union {
        double f[BLOCK];
        int64_t i[BLOCK];
        uint64_t u[BLOCK];
    } x;
    const void *from = (const unsigned char *)j->x->data + (size_t)offset * dtype_size(j->x->dtype);
    if (j->domain == FLOATS) {
        load_f64(j->x->dtype, from, n, x.f);
        j->m->f(r, stride, x.f, n, at);
    } else {
        load_i64(j->x->dtype, from, n, x.i);
        if (j->domain == INTEGERS) j->m->i(r, stride, x.i, n, at);
        else j->m->u(r, stride, x.u, n, at);
    }
}

/* Of an empty set, the lowest or highest that the type can say. */
static int64_t fit(const struct job *j, int64_t v)
{
    enum dtype t = j->y->dtype;
    int bits = (int)dtype_size(t) * 8;
    if (t == DT_BOOL) return v > 0;
    if (j->count > 0 || j->domain == UNSIGNED || bits == 64) return v;
    bool is_signed = dtype_kind(t) == KIND_INT;
    if (v == INT64_MIN) return is_signed ? -((int64_t)1 << (bits - 1)) : 0;
    return v == INT64_MAX ? ((int64_t)1 << (bits - is_signed)) - 1 : v;
}

static void finish(const struct job *j, const struct partial *r, int64_t n, int64_t offset)
{
    double f[BLOCK];
    int64_t i[BLOCK];
    void *to = (unsigned char *)j->y->data + (size_t)offset * dtype_size(j->y->dtype);
    for (int64_t k = 0; k < n; k++) {
        if (j->m->index) i[k] = r[k].at;
        else if (j->domain != FLOATS) i[k] = fit(j, r[k].i);
        else f[k] = j->m->finish ? j->m->finish(&r[k], j->count) : r[k].f;
    }
    if (j->m->index || j->domain != FLOATS) store_i64(j->y->dtype, to, n, i);
    else store_f64(j->y->dtype, to, n, f);
}

/* The whole of the last dimension into one result; returns the index behind it. */
static int64_t take_run(const struct job *j, struct partial *r, int64_t from, int64_t at)
{
    for (int64_t i = 0; i < j->run; i += BLOCK)
        take(j, r, 0, from + i, j->run - i < BLOCK ? j->run - i : BLOCK, at + i);
    return at + j->run;
}

/* n results that begin at element `from` of x. */
static void reduce_block(const struct job *j, int64_t from, int64_t n, int64_t result)
{
    struct partial r[BLOCK];
    struct loop l;
    int64_t at = 0;
    start(j, r, n);
    loop_init(&l, j->n_reduced, j->reduced, 1, (const int64_t *[]){ j->reduced_stride });
    for (; l.ok; loop_next(&l))
        if (j->run == 1) take(j, r, 1, from + l.at[0], n, at++);
        else at = take_run(j, r, from + l.at[0], at);
    finish(j, r, n, result);
}

static void reduce_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    int64_t blocks = (j->width + BLOCK - 1) / BLOCK;
    for (int64_t task = begin; task < end; task++) {
        int64_t row = task / blocks, column = task % blocks * BLOCK, rest = row, from = column;
        for (int d = j->n_kept - 1; d >= 0; d--) {
            from += rest % j->kept[d] * j->kept_stride[d];
            rest /= j->kept[d];
        }
        int64_t n = j->width - column < BLOCK ? j->width - column : BLOCK;
        reduce_block(j, from, n, row * j->width + column);
    }
}

void reduction_run(
    const struct step *s, const struct reduction *m, const struct tensor *x, struct tensor *y, unsigned mask)
{
    struct job j = { .m = m, .x = x, .y = y };
    if (m->i && !dtype_is_float(x->dtype)) j.domain = m->u && x->dtype == DT_U64 ? UNSIGNED : INTEGERS;
    cut(&j, &x->shape, mask);
    int64_t tasks = (j.width + BLOCK - 1) / BLOCK;
    for (int d = 0; d < j.n_kept; d++) tasks *= j.kept[d];
    double work = j.count * (double)(j.width < BLOCK ? j.width : BLOCK);
    team_run(s->threads, tasks, work > 8192 ? 1 : 1 + (int64_t)(8192 / (work + 1)), reduce_rows, &j);
}
