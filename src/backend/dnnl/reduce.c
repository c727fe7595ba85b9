/* reduce.c - sums and means over neighbouring axes, and means over all positions in the layout at hand.
 *
 * oneDNN's maxima and minima are not used: they begin at the largest finite numbers and lose infinities.
 */
#include <string.h>

#include "backend/cpu/reduce.h"
#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/layout.h"
#include "base/err.h"
#include "graph/op.h"

static const struct {
    const char *op;
    dnnl_alg_kind_t alg, pool; /* pool: the pooling that is the same over all positions, or undefined */
} algorithms[] = {
    { "ReduceSum", dnnl_reduction_sum, dnnl_alg_kind_undef },
    { "ReduceMean", dnnl_reduction_mean, dnnl_pooling_avg_exclude_padding },
};

/* Over all positions of (N, C, ...) that is laid out by channels: a pooling. The result is (N, C, 1...), or (N, C). */
static int as_pooling(struct step *s, dnnl_alg_kind_t alg, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    struct pool_desc d = { 0 };
    struct desc plain_in, plain_out;
    struct shape y = *x;
    for (int i = 2; i < x->rank; i++) d.kernel[i - 2] = x->dim[i], d.strides[i - 2] = 1, y.dim[i] = 1;
    TRY(plain_desc(s->in[0], &plain_in, e));
    TRY(present_desc(s->in[0], &d.src, e));
    TRY(desc_strided(&plain_out, y.rank, y.dim, NULL, e));
    TRY(desc_any(&d.dst, y.rank, y.dim, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_pooling(&j->primitive, alg, &d, e));
    TRY(job_in(j, DNNL_ARG_SRC, 0, &plain_in, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &plain_out, e));
    return job_end(j, e);
}

/* Neighbouring axes that are both reduced, or both kept, become one. */
static int merge_axes(const struct shape *x, unsigned mask, int64_t *from, int64_t *to)
{
    int n = 0, last = -1;
    for (int i = 0; i < x->rank; i++) {
        int is_reduced = mask >> i & 1;
        if (is_reduced != last) from[n] = to[n] = 1, n++;
        from[n - 1] *= x->dim[i];
        if (!is_reduced) to[n - 1] *= x->dim[i];
        last = is_reduced;
    }
    return n;
}

int reduce_prepare(struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int64_t from[SHAPE_MAX], to[SHAPE_MAX];
    struct desc src, dst;
    unsigned mask;
    size_t k = 0;
    while (strcmp(algorithms[k].op, s->node->op->name)) k++;
    TRY(reduce_axes(s->node, x->rank, &mask, e));
    bool positions = x->rank > 2 && x->rank < 6 && mask == (1u << x->rank) - 4;
    if (positions && s->in[0]->layout && algorithms[k].pool) return as_pooling(s, algorithms[k].pool, e);
    int n = merge_axes(x, mask, from, to);
    TRY(desc_strided(&src, n, from, NULL, e));
    TRY(desc_strided(&dst, n, to, NULL, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_reduction(&j->primitive, algorithms[k].alg, &src, &dst, e));
    if (primitive_is_slow(&j->primitive)) return fail(e, ERR_UNSUPPORTED, "oneDNN is slow with these axes");
    TRY(job_in(j, DNNL_ARG_SRC, 0, &src, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &dst, e));
    return job_end(j, e);
}
