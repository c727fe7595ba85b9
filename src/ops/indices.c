/* indices.c - positions that come as data: checked, and turned into offsets. */
#include "base/arena.h"
#include "base/clones.h"
#include "base/err.h"
#include "base/team.h"
#include "ops/infer.h"
#include "ops/mover.h"

static int bad_index(int64_t index, int64_t at, int64_t limit, int axis, struct err *e)
{
    return fail(e, ERR_DATA, "index %lld (element %lld of the indices) is outside [%lld, %lld) of axis %d",
        (long long)index, (long long)at, (long long)-limit, (long long)limit, axis);
}

int64_t *step_indices(const struct step *s, int input, int64_t limit, int axis, struct err *e)
{
    const struct tensor *t = s->in[input];
    int64_t n = tensor_count(t), *index = ARENA_ARRAY(s->scratch, n, int64_t);
    if (!index) return fail_nomem(e), NULL;
    load_i64(t->dtype, t->data, n, index);
    for (int64_t i = 0; i < n; i++) {
        if (index[i] < -limit || index[i] >= limit) return bad_index(index[i], i, limit, axis, e), NULL;
        if (index[i] < 0) index[i] += limit;
    }
    return index;
}

static int fits(const struct shape *x, const struct shape *index, int axis, struct err *e)
{
    if (x->rank >= 0 && index->rank >= 0 && x->rank != index->rank)
        return fail(e, ERR_SHAPE, "indices have rank %d, the input %d", index->rank, x->rank);
    for (int d = 0; d < x->rank && index->rank >= 0; d++)
        if (d != axis && x->dim[d] >= 0 && index->dim[d] > x->dim[d])
            return fail(e, ERR_SHAPE, "indices have size %lld along axis %d, the input %lld", (long long)index->dim[d],
                d, (long long)x->dim[d]);
    return 0;
}

/* Elements of the indices along the last dimension are one row. */
struct walk {
    const struct tensor *index;
    int axis;
    int64_t limit, strides[SHAPE_MAX];
    elements_fn *use;
    void *ctx;
    int64_t row, rows_bad; /* elements of a row; the first row with a bad index, or all */
};

enum { SOME = 512 };

/* The first of n indices that is out of range; n: none is. Negative ones are made to count from 0. */
CLONES static int64_t wrap(int64_t *index, int64_t n, int64_t limit)
{
    uint64_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        bad |= (uint64_t)(index[i] + limit) >= 2 * (uint64_t)limit;
        index[i] += index[i] < 0 ? limit : 0;
    }
    if (!bad) return n;
    int64_t i = 0;
    while (index[i] >= 0 && index[i] < limit) i++;
    return i;
}

CLONES static void to_offsets(int64_t *index, int64_t n, int64_t base, int64_t by, int64_t apart)
{
    for (int64_t i = 0; i < n; i++) index[i] = base + index[i] * by + i * apart;
}

static bool walk_some(const struct walk *w, int64_t row, int64_t column, int64_t n)
{
    const struct shape *shape = &w->index->shape;
    int64_t offset[SOME], base = 0, rest = row, at = row * w->row + column;
    int last = shape->rank - 1;
    load_i64(w->index->dtype, element(w->index, at), n, offset);
    if (wrap(offset, n, w->limit) < n) return false;
    for (int d = last - 1; d >= 0; rest /= shape->dim[d--])
        if (d != w->axis) base += rest % shape->dim[d] * w->strides[d];
    if (w->axis == last) to_offsets(offset, n, base, 1, 0);
    else to_offsets(offset, n, base + column, w->strides[w->axis], 1);
    w->use(w->ctx, at, offset, n);
    return true;
}

static void walk_rows(void *ctx, int64_t begin, int64_t end)
{
    struct walk *w = ctx;
    for (int64_t r = begin; r < end; r++)
        for (int64_t c = 0; c < w->row; c += SOME) {
            if (walk_some(w, r, c, w->row - c < SOME ? w->row - c : SOME)) continue;
            int64_t first = __atomic_load_n(&w->rows_bad, __ATOMIC_RELAXED);
            while (r < first && !__atomic_compare_exchange_n(&w->rows_bad, &first, r, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {}
            return;
        }
}

/* Says which index of a row is bad. */
static int bad_row(const struct walk *w, int64_t row, struct err *e)
{
    for (int64_t i = row * w->row; i < (row + 1) * w->row; i++) {
        int64_t index = tensor_get_i64(w->index, i);
        if (index < -w->limit || index >= w->limit) return bad_index(index, i, w->limit, w->axis, e);
    }
    return 0;
}

int step_elements(const struct step *s, int input, const struct shape *of, int threads, elements_fn *use, void *ctx,
    struct err *e)
{
    const struct tensor *index = s->in[input];
    int axis = infer_axis(s->node, "axis", of->rank, e), last = index->shape.rank - 1;
    if (e->code || fits(of, &index->shape, axis, e)) return e->code;
    int64_t rows = shape_span(&index->shape, 0, last);
    struct walk w = { .index = index, .axis = axis, .limit = of->dim[axis], .use = use, .ctx = ctx,
        .row = index->shape.dim[last], .rows_bad = rows };
    shape_strides(of, w.strides);
    team_run(threads, w.row ? rows : 0, 1 + 8192 / (w.row + 1), walk_rows, &w);
    return w.rows_bad < rows ? bad_row(&w, w.rows_bad, e) : 0;
}

int64_t *step_offsets(const struct step *s, int input, const struct shape *of, int batch, struct err *e)
{
    const struct tensor *t = s->in[input];
    const struct shape *shape = &t->shape;
    int last = shape->rank - 1;
    int64_t strides[SHAPE_MAX], tuple[SHAPE_MAX];
    if (last < batch || shape->dim[last] > of->rank - batch)
        return fail(e, ERR_SHAPE, "the indices do not fit a tensor of rank %d", of->rank), NULL;
    int64_t k = shape->dim[last], n = shape_span(shape, 0, last), per_batch = shape_span(shape, batch, last);
    int64_t *offset = ARENA_ARRAY(s->scratch, n, int64_t);
    if (!offset) return fail_nomem(e), NULL;
    shape_strides(of, strides);
    for (int64_t i = 0; i < n; i++) {
        offset[i] = batch ? i / per_batch * strides[batch - 1] : 0;
        load_i64(t->dtype, element(t, i * k), k, tuple);
        for (int d = 0; d < (int)k; d++) {
            int64_t limit = of->dim[batch + d];
            if (tuple[d] < -limit || tuple[d] >= limit)
                return bad_index(tuple[d], i * k + d, limit, batch + d, e), NULL;
            offset[i] += (tuple[d] < 0 ? tuple[d] + limit : tuple[d]) * strides[batch + d];
        }
    }
    return offset;
}

int infer_indices(const struct node *n, int i, struct err *e)
{
    enum dtype t = n->in[i]->dtype;
    if (t != DT_NONE && t != DT_I64 && t != DT_I32)
        return fail(e, ERR_SHAPE, "indices (%s) must be int32 or int64, not %s", n->in[i]->name, dtype_name(t));
    return 0;
}

static int match_batch(const struct shape *x, const struct shape *index, int64_t batch, struct err *e)
{
    for (int d = 0; d < batch; d++)
        if (x->rank >= 0 && x->dim[d] >= 0 && index->dim[d] >= 0 && x->dim[d] != index->dim[d])
            return fail(e, ERR_SHAPE, "batch axis %d has size %lld in the input, %lld in the indices", d,
                (long long)x->dim[d], (long long)index->dim[d]);
    return 0;
}

int infer_tuples(const struct value *x, const struct value *index, int64_t batch, struct shape *out, struct err *e)
{
    const struct shape *a = &x->shape, *b = &index->shape;
    int last = b->rank - 1;
    *out = shape_unknown();
    if (index->dtype != DT_NONE && index->dtype != DT_I64 && index->dtype != DT_I32)
        return fail(e, ERR_SHAPE, "indices (%s) must be int64, not %s", index->name, dtype_name(index->dtype));
    if (!a->rank || !b->rank) return fail(e, ERR_SHAPE, "the input and the indices need at least one dimension");
    if (batch < 0 || (a->rank > 0 && batch >= a->rank) || (b->rank > 0 && batch >= b->rank))
        return fail(e, ERR_SHAPE, "batch_dims is %lld: more than the ranks allow", (long long)batch);
    if (b->rank < 0) return 0;
    TRY(match_batch(a, b, batch, e));
    if (a->rank < 0 || b->dim[last] < 0) return 0;
    if (b->dim[last] < 1 || b->dim[last] > a->rank - batch)
        return fail(e, ERR_SHAPE, "the last dimension of the indices is %lld, expected 1 to %lld",
            (long long)b->dim[last], (long long)(a->rank - batch));
    int from = (int)(batch + b->dim[last]), rank = last + a->rank - from;
    if (rank > SHAPE_MAX)
        return fail(e, ERR_SHAPE, "the result would have rank %d, at most %d are possible", rank, SHAPE_MAX);
    out->rank = rank;
    for (int d = 0; d < last; d++) out->dim[d] = b->dim[d];
    for (int d = from; d < a->rank; d++) out->dim[last + d - from] = a->dim[d];
    return 0;
}

int infer_elements(const struct node *n, int x, int index, struct err *e)
{
    TRY(infer_indices(n, index, e));
    TRY(infer_rank(n, x, 1, SHAPE_MAX, e));
    int axis = infer_axis(n, "axis", n->in[x]->shape.rank, e);
    return e->code ? e->code : fits(&n->in[x]->shape, &n->in[index]->shape, axis, e);
}
