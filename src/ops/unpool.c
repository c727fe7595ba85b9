/* unpool.c - MaxUnpool: maxima back to where MaxPool found them. */
#include "base/err.h"
#include "graph/builder.h"
#include "graph/known.h"
#include "graph/op.h"
#include "ops/conv_shape.h"
#include "ops/infer.h"
#include "ops/operand.h"

static int unpool_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    int64_t kernel[WINDOW_AXES];
    int spatial;
    struct window w;
    struct shape y = *x, indices = n->in[1]->shape;
    if (!shape_merge(&indices, x)) return fail(e, ERR_SHAPE, "values and indices have different shapes");
    if (n->in[1]->dtype != DT_NONE && n->in[1]->dtype != DT_I64) return fail(e, ERR_SHAPE, "indices must be int64");
    TRY(window_kernel(n, x, NULL, kernel, &spatial, e));
    if (x->rank >= 0 && !node_in(n, 2)) {
        TRY(window_init_transposed(&w, n, x, kernel, e));
        for (int a = 0; a < spatial; a++) y.dim[2 + a] = w.in[WINDOW_AXES - spatial + a];
    } else if (node_in(n, 2)) {
        y = infer_shape_input(n, 2);
        if (x->rank >= 0 && y.rank >= 0 && y.rank != x->rank)
            return fail(e, ERR_SHAPE, "output_shape has %d entries, the input has rank %d", y.rank, x->rank);
    }
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

static int check_indices(const int64_t *index, int64_t n, int64_t size, struct err *e)
{
    for (int64_t i = 0; i < n; i++)
        if (index[i] < 0 || index[i] >= size)
            return fail(e, ERR_DATA, "index %lld at position %lld, the other tensor has %lld elements",
                (long long)index[i], (long long)i, (long long)size);
    return 0;
}

static int unpool_run(const struct step *s, struct err *e)
{
    int64_t n = tensor_count(s->in[0]), size = tensor_count(s->out[0]);
    const double *x = operand_load(s, s->in[0], e);
    const int64_t *index = s->in[1]->data;
    double *y = operand_zeros(s, size, e);
    if (!x || !y) return e->code;
    TRY(check_indices(index, n, size, e));
    for (int64_t i = 0; i < n; i++) y[index[i]] = x[i];
    operand_store(s, s->out[0], y);
    return 0;
}

static int unpool_grad(struct grad *g)
{
    g->dx[0] = emit(g->b, "MaxUnpoolGrad", NO_ATTRS, g->dy[0], g->node->in[1]);
    return 0;
}

static int grad_infer(struct node *n, struct err *e)
{
    if (n->in[1]->dtype != DT_NONE && n->in[1]->dtype != DT_I64) return fail(e, ERR_SHAPE, "indices must be int64");
    infer_out(n, 0, n->in[0]->dtype, &n->in[1]->shape);
    return 0;
}

static int grad_run(const struct step *s, struct err *e)
{
    int64_t n = tensor_count(s->in[1]);
    const double *dy = operand_load(s, s->in[0], e);
    const int64_t *index = s->in[1]->data;
    double *dx = operand_zeros(s, n, e);
    if (!dy || !dx) return e->code;
    TRY(check_indices(index, n, tensor_count(s->in[0]), e));
    for (int64_t i = 0; i < n; i++) dx[i] = dy[index[i]];
    operand_store(s, s->out[0], dx);
    return 0;
}

static const struct attr_spec unpool_attrs[] = {
    { "kernel_shape", ATTR_INTS, ATTR_REQUIRED, .doc = "of the pooling" },
    { "pads", ATTR_INTS, .doc = "of the pooling" },
    { "strides", ATTR_INTS, .doc = "of the pooling" },
    { 0 },
};

const struct op ops_unpool[] = {
    { .name = "MaxUnpool",
        .doc = "values to their places in a tensor of zeros, of (values, flat indices into it, its shape)",
        .min_in = 2,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = unpool_attrs,
        .infer = unpool_infer,
        .run = unpool_run,
        .grad = unpool_grad,
        .samples =
            "f32[1,1,2,2] i64[1,1,2,2]{5,7,13,15} | kernel_shape=2,2 strides=2,2; f32[1,1,3] i64[1,1,3]{0,2,5} | "
            "kernel_shape=2 strides=2; f32[1,1,2] i64[1,1,2]{1,6} i64{1,1,7} | kernel_shape=3 strides=3" },
    { .name = "MaxUnpoolGrad",
        .doc = "what lies at the places, of (dy, flat indices into it)",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .infer = grad_infer,
        .run = grad_run,
        .samples = "f32[1,1,4,4] i64[1,1,2,2]{5,7,13,15}; f32[1,1,6] i64[1,1,3]{0,2,5}; f32[8] i64[2]{7,0}" },
    { 0 },
};
