/* indices.c - positions that come as data: checked, and turned into offsets. */
#include "base/arena.h"
#include "base/err.h"
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

int64_t *step_elements(const struct step *s, int input, const struct shape *of, struct err *e)
{
    const struct shape *shape = &s->in[input]->shape;
    int64_t strides[SHAPE_MAX], at[SHAPE_MAX] = { 0 }, n = tensor_count(s->in[input]);
    int axis = infer_axis(s->node, "axis", of->rank, e);
    if (e->code || fits(of, shape, axis, e)) return NULL;
    int64_t *index = step_indices(s, input, of->dim[axis], axis, e);
    if (!index) return NULL;
    shape_strides(of, strides);
    for (int64_t i = 0; i < n; i++) {
        index[i] *= strides[axis];
        for (int d = 0; d < of->rank; d++) index[i] += d == axis ? 0 : at[d] * strides[d];
        for (int d = of->rank - 1; d >= 0 && ++at[d] == shape->dim[d]; d--) at[d] = 0;
    }
    return index;
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
