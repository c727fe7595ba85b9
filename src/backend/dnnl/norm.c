/* norm.c - normalizations, gradients of softmax, and PReLU. */
#include <math.h>
#include <string.h>

#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/layout.h"
#include "base/arena.h"
#include "base/err.h"
#include "graph/op.h"

/* in: x, scale, shift, mean, variance */
int batch_normalization_prepare(struct step *s, struct err *e)
{
    struct desc d, plain, vector;
    if (node_int(s->node, "training_mode") || s->node->n_out > 1)
        return fail(e, ERR_UNSUPPORTED, "the statistics of the batch are wanted");
    if (s->in[0]->shape.rank < 2) return fail(e, ERR_UNSUPPORTED, "rank %d", s->in[0]->shape.rank);
    TRY(present_desc(s->in[0], &d, e));
    TRY(plain_desc(s->in[0], &plain, e));
    TRY(plain_desc(s->in[1], &vector, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_batch_normalization(&j->primitive, &d, (float)node_float(s->node, "epsilon"), e));
    static const int args[] = { DNNL_ARG_SRC, DNNL_ARG_SCALE, DNNL_ARG_SHIFT, DNNL_ARG_MEAN, DNNL_ARG_VARIANCE };
    for (int i = 0; i < 5; i++) TRY(job_in(j, args[i], i, i ? &vector : &plain, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &plain, e));
    return job_end(j, e);
}

/* in: x, scale, shift; the normalized dimensions, which come last, become one */
int layer_normalization_prepare(struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    struct desc d, vector;
    if (s->node->n_out > 1) return fail(e, ERR_UNSUPPORTED, "mean and deviation are wanted");
    int axis = shape_axis(node_int(s->node, "axis"), x->rank);
    if (axis < 0) return fail(e, ERR_UNSUPPORTED, "a scalar");
    int64_t dims[2] = { shape_span(x, 0, axis), shape_span(x, axis, x->rank) };
    struct tensor *scale = s->in[1], *shift = job_tensor(s, 2);
    if (tensor_count(scale) != dims[1] || (shift && tensor_count(shift) != dims[1]))
        return fail(e, ERR_UNSUPPORTED, "the scale is broadcast");
    TRY(desc_strided(&d, 2, dims, NULL, e));
    TRY(desc_strided(&vector, 1, &dims[1], NULL, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_layer_normalization(&j->primitive, &d, (float)node_float(s->node, "epsilon"), true, shift != NULL, e));
    TRY(job_in(j, DNNL_ARG_SRC, 0, &d, e));
    TRY(job_in(j, DNNL_ARG_SCALE, 1, &vector, e));
    if (shift) TRY(job_in(j, DNNL_ARG_SHIFT, 2, &vector, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &d, e));
    return job_end(j, e);
}

/* (before, axis, after), the last only where it is not 1 */
static int lines(const struct step *s, struct desc *d, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int axis = shape_axis(node_int(s->node, "axis"), x->rank);
    if (axis < 0) return fail(e, ERR_UNSUPPORTED, "a scalar");
    int64_t dims[3] = { shape_span(x, 0, axis), x->dim[axis], shape_span(x, axis + 1, x->rank) };
    return desc_strided(d, dims[2] == 1 ? 2 : 3, dims, NULL, e);
}

/* in: dy, y */
int softmax_grad_prepare(struct step *s, struct err *e)
{
    struct desc d;
    TRY(lines(s, &d, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_softmax_backward(&j->primitive, !strncmp(s->node->op->name, "Log", 3), &d, 1, e));
    TRY(job_in(j, DNNL_ARG_DIFF_DST, 0, &d, e));
    TRY(job_in(j, DNNL_ARG_DST, 1, &d, e));
    TRY(job_out(j, DNNL_ARG_DIFF_SRC, 0, &d, e));
    return job_end(j, e);
}

int lrn_prepare(struct step *s, struct err *e)
{
    struct desc d, plain;
    const struct node *n = s->node;
    int64_t size = node_int(n, "size");
    if (size % 2 == 0) return fail(e, ERR_UNSUPPORTED, "an even size");
    if (s->in[0]->shape.rank != 4) return fail(e, ERR_UNSUPPORTED, "rank %d", s->in[0]->shape.rank);
    TRY(present_desc(s->in[0], &d, e));
    TRY(plain_desc(s->in[0], &plain, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_lrn(&j->primitive, &d, size, (float)node_float(n, "alpha"), (float)node_float(n, "beta"),
        (float)node_float(n, "bias"), e));
    TRY(job_in(j, DNNL_ARG_SRC, 0, &plain, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &plain, e));
    return job_end(j, e);
}

static int prelu(struct step *s, struct desc *d, struct desc *plain, struct desc *slope, struct err *e)
{
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_prelu(&j->primitive, d, slope, e));
    if (primitive_is_slow(&j->primitive)) return fail(e, ERR_UNSUPPORTED, "oneDNN is slow with this broadcast");
    TRY(job_in(j, DNNL_ARG_SRC, 0, plain, e));
    TRY(job_in(j, DNNL_ARG_WEIGHTS, 1, slope, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, plain, e));
    return job_end(j, e);
}

/* One slope: the input is one channel of numbers. */
static int prelu_of_one(struct step *s, struct err *e)
{
    struct desc d, slope;
    TRY(desc_strided(&d, 3, (int64_t[]){ 1, 1, tensor_count(s->in[0]) }, NULL, e));
    TRY(desc_strided(&slope, 3, (int64_t[]){ 1, 1, 1 }, NULL, e));
    return prelu(s, &d, &d, &slope, e);
}

int prelu_prepare(struct step *s, struct err *e)
{
    struct desc d, plain, slope;
    const struct shape *x = &s->in[0]->shape, *k = &s->in[1]->shape;
    int64_t dims[SHAPE_MAX];
    if (!shape_equal(x, &s->out[0]->shape) || k->rank > x->rank)
        return fail(e, ERR_UNSUPPORTED, "the input is broadcast");
    if (shape_count(k) == 1) return prelu_of_one(s, e);
    for (int i = 0; i < x->rank; i++) dims[i] = i < x->rank - k->rank ? 1 : k->dim[i - (x->rank - k->rank)];
    TRY(present_desc(s->in[0], &d, e));
    TRY(plain_desc(s->in[0], &plain, e));
    TRY(desc_strided(&slope, x->rank, dims, NULL, e));
    return prelu(s, &d, &plain, &slope, e);
}
