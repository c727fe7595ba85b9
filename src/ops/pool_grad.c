/* pool_grad.c - the gradients of poolings, of (dy, x) or (dy, x, y). */
#include "base/err.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"
#include "ops/pool_core.h"
#include "ops/pool_infer.h"

static int like_x(struct node *n, struct err *e)
{
    TRY(infer_same_types(n, 0, 3, e));
    infer_out(n, 0, n->in[0]->dtype, &n->in[1]->shape);
    return 0;
}

static int check_same(struct shape y, const struct shape *dy, struct err *e)
{
    return shape_merge(&y, dy) ? 0 : fail(e, ERR_SHAPE, "the gradient's shape is not that of the pooling's output");
}

static int sliding_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(pool_shape(n, &n->in[1]->shape, &y, e));
    TRY(check_same(y, &n->in[0]->shape, e));
    if (node_in(n, 2)) TRY(check_same(y, &n->in[2]->shape, e));
    return like_x(n, e);
}

static int adaptive_infer(struct node *n, struct err *e)
{
    TRY(infer_rank(n, 1, 2, SHAPE_MAX, e));
    const struct shape *dy = &n->in[0]->shape, *x = &n->in[1]->shape;
    struct shape both = *x;
    for (int d = 2; d < x->rank && dy->rank == x->rank; d++) {
        if (!x->dim[d] || !dy->dim[d]) return fail(e, ERR_SHAPE, "a spatial dimension is empty");
        both.dim[d] = dy->dim[d];
    }
    TRY(check_same(both, dy, e));
    if (node_in(n, 2)) TRY(check_same(*dy, &n->in[2]->shape, e));
    return like_x(n, e);
}

static int max_run(const struct step *s, struct err *e)
{
    struct pool p;
    TRY(pool_init(&p, s, &s->in[1]->shape, &s->in[0]->shape, e));
    const double *dy = operand_load(s, s->in[0], e), *x = operand_load(s, s->in[1], e);
    double *dx = operand_zeros(s, tensor_count(s->out[0]), e);
    if (!dy || !x || !dx) return e->code;
    pool_max_grad(&p, dy, x, dx, s->threads);
    operand_store(s, s->out[0], dx);
    return 0;
}

static int average_run(const struct step *s, struct err *e)
{
    struct pool p;
    TRY(pool_init(&p, s, &s->in[1]->shape, &s->in[0]->shape, e));
    const double *dy = operand_load(s, s->in[0], e);
    double *dx = operand_zeros(s, tensor_count(s->out[0]), e);
    if (!dy || !dx) return e->code;
    pool_average_grad(&p, dy, dx, s->threads);
    operand_store(s, s->out[0], dx);
    return 0;
}

static int norm_run(const struct step *s, struct err *e)
{
    struct pool p;
    TRY(pool_init(&p, s, &s->in[1]->shape, &s->in[0]->shape, e));
    const double *dy = operand_load(s, s->in[0], e), *x = operand_load(s, s->in[1], e),
                 *y = operand_load(s, s->in[2], e);
    double *dx = operand_zeros(s, tensor_count(s->out[0]), e);
    if (!dy || !x || !y || !dx) return e->code;
    pool_norm_grad(&p, dy, x, y, dx, s->threads);
    operand_store(s, s->out[0], dx);
    return 0;
}

static const struct attr_spec norm_attrs[] = {
    { "p", ATTR_INT, ATTR_DEFAULT, .i = 2, .doc = "of the norm" },
    { 0 },
};

#define TAKES(n) .min_in = n, .max_in = n, .min_out = 1, .max_out = 1, .flags = OP_OWN | OP_TRAINING_ONLY

const struct op ops_pool_grad[] = {
    { .name = "MaxPoolGrad",
        .doc = "gradient of MaxPool, of (dy, x): to the first of equal maxima",
        TAKES(2),
        .attrs = pool_max_attrs,
        .infer = sliding_infer,
        .run = max_run,
        .samples =
            "f32[2,3,4,4] f32~[2,3,7,8] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; f32[1,2,6] f32~[1,2,9] | "
            "kernel_shape=2 dilations=3; f32[1,2,3,4] f32~[1,2,6,7] | kernel_shape=3,2 strides=2,2 ceil_mode=1" },
    { .name = "AveragePoolGrad",
        .doc = "gradient of AveragePool, of (dy, something shaped as x)",
        TAKES(2),
        .attrs = pool_average_attrs,
        .infer = sliding_infer,
        .run = average_run,
        .samples = "f32[2,3,4,4] f32[2,3,7,8] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; f32[1,2,6] f32[1,2,9] | "
                   "kernel_shape=2 dilations=3; f32[1,2,3,4] f32[1,2,6,7] | kernel_shape=3,2 strides=2,2 ceil_mode=1" },
    { .name = "LpPoolGrad",
        .doc = "gradient of LpPool, of (dy, x, y)",
        TAKES(3),
        .attrs = pool_norm_attrs,
        .infer = sliding_infer,
        .run = norm_run,
        .samples = "f32[2,3,4,4] f32[2,3,7,8] f32+[2,3,4,4] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; f32[1,2,7] "
                   "f32[1,2,9] "
                   "f32+[1,2,7] | kernel_shape=2 p=3 dilations=2; f32[1,2,4] f32[1,2,4] f32+[1,2,4] | kernel_shape=1" },
    { .name = "AdaptiveMaxPoolGrad",
        .doc = "gradient of AdaptiveMaxPool and GlobalMaxPool, of (dy, x)",
        TAKES(2),
        .infer = adaptive_infer,
        .run = max_run,
        .samples = "f32[2,3,3,2] f32~[2,3,7,5]; f32[1,2,6] f32~[1,2,4]; f32[1,2,1,1,1,1] f32~[1,2,2,2,2,2]" },
    { .name = "AdaptiveAveragePoolGrad",
        .doc = "gradient of AdaptiveAveragePool and GlobalAveragePool, of (dy, shaped as x)",
        TAKES(2),
        .infer = adaptive_infer,
        .run = average_run,
        .samples = "f32[2,3,3,2] f32[2,3,7,5]; f32[1,2,6] f32[1,2,4]; f32[1,2,1,1,1,1] f32[1,2,2,2,2,2]" },
    { .name = "GlobalLpPoolGrad",
        .doc = "gradient of GlobalLpPool, of (dy, x, y)",
        TAKES(3),
        .attrs = norm_attrs,
        .infer = adaptive_infer,
        .run = norm_run,
        .samples =
            "f32[2,3,1,1] f32[2,3,4,5] f32+[2,3,1,1]; f32[1,2,1] f32[1,2,7] f32+[1,2,1] | p=3; f32[1,2,1] f32[1,2,1] "
            "f32+[1,2,1] | p=1" },
    { 0 },
};
