/* binary.c - sums, products and extremes of two tensors, one of which may be broadcast; sums and joins of many.
 *
 * The operands keep the layout the larger one has; row-major operands are seen in as few dimensions as their
 * broadcasting allows, because the library is fast for few patterns only.
 */
#include <string.h>

#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/layout.h"
#include "base/arena.h"
#include "base/err.h"
#include "graph/op.h"

static const struct {
    const char *op;
    dnnl_alg_kind_t alg;
    bool commutes;
} algorithms[] = {
    { "Add", dnnl_binary_add, true },
    { "Sum", dnnl_binary_add, true },
    { "Sub", dnnl_binary_sub, false },
    { "Mul", dnnl_binary_mul, true },
    { "Div", dnnl_binary_div, false },
    { "Max", dnnl_binary_max, true },
    { "Min", dnnl_binary_min, true },
};

struct pair {
    int large, small;                  /* which input is which */
    struct desc desc[2], plain[2];     /* as the primitive sees them */
    struct desc result, result_plain;
};

/* Dimensions next to each other that are both broadcast, or both not, become one. */
static int merge_dims(const struct shape *y, const int64_t *small, int64_t *dims, int64_t *narrow)
{
    int n = 0, last = -1;
    for (int i = 0; i < y->rank; i++) {
        if (y->dim[i] == 1) continue;
        int same = small[i] == y->dim[i];
        if (same != last) dims[n] = narrow[n] = 1, n++;
        dims[n - 1] *= y->dim[i];
        if (same) narrow[n - 1] *= y->dim[i];
        last = same;
    }
    if (!n) dims[0] = narrow[0] = 1, n = 1;
    return n;
}

static void align(const struct shape *s, int rank, int64_t *dims)
{
    for (int i = 0; i < rank; i++) dims[i] = i < rank - s->rank ? 1 : s->dim[i - (rank - s->rank)];
}

static bool fills(const struct shape *s, const struct shape *y)
{
    int64_t dims[SHAPE_MAX] = { 0 };
    align(s, y->rank, dims);
    return !memcmp(dims, y->dim, (size_t)y->rank * sizeof *dims);
}

static int plain_pair(const struct step *s, struct pair *p, struct err *e)
{
    int64_t small[SHAPE_MAX], dims[SHAPE_MAX], narrow[SHAPE_MAX];
    const struct shape *y = &s->out[0]->shape;
    align(&s->in[p->small]->shape, y->rank, small);
    int n = merge_dims(y, small, dims, narrow);
    TRY(desc_strided(&p->plain[0], n, dims, NULL, e));
    TRY(desc_strided(&p->plain[1], n, narrow, NULL, e));
    memcpy(p->desc, p->plain, sizeof p->desc);
    p->result = p->result_plain = p->plain[0];
    return 0;
}

/* Both in the layout of one of them; a broadcast one is row-major. */
static int laid_pair(const struct step *s, struct pair *p, struct err *e)
{
    const struct shape *y = &s->out[0]->shape;
    const struct tensor *large = s->in[p->large], *small = s->in[p->small];
    int64_t dims[SHAPE_MAX] = { 0 };
    bool same = shape_equal(&small->shape, y);
    TRY(plain_desc(s->out[0], &p->result_plain, e));
    p->plain[0] = p->plain[1] = p->result_plain;
    TRY(present_desc(large->layout || !same ? large : small, &p->desc[0], e));
    p->result = p->desc[1] = p->desc[0];
    if (same) return 0;
    align(&small->shape, y->rank, dims);
    TRY(desc_strided(&p->plain[1], y->rank, dims, NULL, e));
    p->desc[1] = p->plain[1];
    return 0;
}

static int make_pair(struct step *s, struct pair *p, dnnl_alg_kind_t alg, struct err *e)
{
    struct desc *all[] = { &p->desc[0], &p->desc[1], &p->plain[0], &p->plain[1], &p->result, &p->result_plain };
    for (int i = 0; i < 6; i++) TRY(desc_set_type(all[i], s->out[0]->dtype, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_binary(&j->primitive, alg, &p->desc[0], &p->desc[1], &p->result, e));
    if (primitive_is_slow(&j->primitive)) return fail(e, ERR_UNSUPPORTED, "oneDNN is slow with this broadcast");
    TRY(job_in(j, DNNL_ARG_SRC_0, p->large, &p->plain[0], e));
    TRY(job_in(j, DNNL_ARG_SRC_1, p->small, &p->plain[1], e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &p->result_plain, e));
    return job_end(j, e);
}

int binary_prepare(struct step *s, struct err *e)
{
    size_t k = 0;
    struct pair p = { 0, 1 };
    const struct shape *y = &s->out[0]->shape;
    while (strcmp(algorithms[k].op, s->node->op->name)) k++;
    if (s->node->n_in != 2) return fail(e, ERR_UNSUPPORTED, "not two inputs");
    if (!fills(&s->in[0]->shape, y)) p.large = 1, p.small = 0;
    if (!fills(&s->in[p.large]->shape, y)) return fail(e, ERR_UNSUPPORTED, "both inputs are broadcast");
    if (p.large && !algorithms[k].commutes) return fail(e, ERR_UNSUPPORTED, "the first input is broadcast");
    bool same = shape_equal(&s->in[p.small]->shape, y);
    if (shape_equal(&s->in[p.large]->shape, y) && (s->in[p.large]->layout || (same && s->in[p.small]->layout))) {
        TRY(laid_pair(s, &p, e));
        int code = make_pair(s, &p, algorithms[k].alg, e);
        if (code != ERR_UNSUPPORTED) return code;
        err_clear(e);
    }
    TRY(plain_pair(s, &p, e));
    return make_pair(s, &p, algorithms[k].alg, e);
}

/* The first layout among the inputs. */
static const struct tensor *laid_input(const struct step *s)
{
    for (int i = 0; i < s->node->n_in; i++)
        if (s->in[i] && s->in[i]->layout) return s->in[i];
    return NULL;
}

int sum_prepare(struct step *s, struct err *e)
{
    int n = s->node->n_in;
    if (n == 2) return binary_prepare(s, e);
    const struct tensor *laid = laid_input(s);
    struct desc *src = ARENA_ARRAY(s->arena, n, struct desc), plain;
    TRY_MEM(src, e);
    TRY(plain_desc(s->out[0], &plain, e));
    for (int i = 0; i < n; i++) {
        if (!shape_equal(&s->in[i]->shape, &s->out[0]->shape)) return fail(e, ERR_UNSUPPORTED, "an input is broadcast");
        TRY(present_desc(laid ? laid : s->in[0], &src[i], e));
    }
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_sum(&j->primitive, n, src, &src[0], e));
    for (int i = 0; i < n; i++) TRY(job_in(j, DNNL_ARG_MULTIPLE_SRC + i, i, &plain, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &plain, e));
    return job_end(j, e);
}

/* Only where a layout would be lost: row-major pieces are copied as fast without the library. */
int concat_prepare(struct step *s, struct err *e)
{
    int n = s->node->n_in, rank = s->out[0]->shape.rank;
    const struct tensor *laid = laid_input(s);
    struct desc *src = ARENA_ARRAY(s->arena, n, struct desc), form, dst, plain;
    TRY_MEM(src, e);
    if (!laid) return fail(e, ERR_UNSUPPORTED, "row-major inputs");
    TRY(present_desc(laid, &form, e));
    for (int i = 0; i < n; i++) {
        if (!s->in[i]) return fail(e, ERR_UNSUPPORTED, "an input is absent");
        TRY(desc_alike(&src[i], &form, rank, s->in[i]->shape.dim, e));
    }
    TRY(desc_any(&dst, rank, s->out[0]->shape.dim, e));
    TRY(desc_set_type(&dst, s->out[0]->dtype, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_concat(&j->primitive, n, shape_axis(node_int(s->node, "axis"), rank), src, &dst, e));
    for (int i = 0; i < n; i++) {
        TRY(plain_desc(s->in[i], &plain, e));
        TRY(job_in(j, DNNL_ARG_MULTIPLE_SRC + i, i, &plain, e));
    }
    TRY(plain_desc(s->out[0], &plain, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &plain, e));
    return job_end(j, e);
}
