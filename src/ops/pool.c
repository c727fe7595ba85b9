/* pool.c - poolings: sliding, global and adaptive; maximum, mean and norm. */
#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"
#include "ops/pool_core.h"
#include "ops/pool_infer.h"

/* clang-format off */
#define SLIDING_ATTRS \
    { "auto_pad", ATTR_STRING, ATTR_DEFAULT, .s = "NOTSET", .doc = "NOTSET, SAME_UPPER, SAME_LOWER or VALID" }, \
    { "ceil_mode", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "round sizes up; the last window starts inside" }, \
    { "dilations", ATTR_INTS, .doc = "distance of the taps per axis; 1 when absent" }, \
    { "kernel_shape", ATTR_INTS, ATTR_REQUIRED, .doc = "size of the window per axis" }, \
    { "pads", ATTR_INTS, .doc = "begins of all axes, then ends; 0 when absent" }, \
    { "strides", ATTR_INTS, .doc = "step per axis; 1 when absent" }
/* clang-format on */

const struct attr_spec pool_max_attrs[] = {
    SLIDING_ATTRS,
    { "storage_order", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "1: indices count the first axis fastest" },
    { 0 },
};
const struct attr_spec pool_average_attrs[] = {
    SLIDING_ATTRS,
    { "count_include_pad", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "padding counts in the mean" },
    { "divisor", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "divide by this instead (PyTorch's divisor_override); 0: no" },
    { 0 },
};
const struct attr_spec pool_norm_attrs[] = {
    SLIDING_ATTRS,
    { "p", ATTR_INT, ATTR_DEFAULT, .i = 2, .doc = "of the norm" },
    { 0 },
};
static const struct attr_spec global_norm_attrs[] = {
    { "p", ATTR_INT, ATTR_DEFAULT, .i = 2, .doc = "of the norm" },
    { 0 },
};
static const struct attr_spec adaptive_attrs[] = {
    { "output_size", ATTR_INTS, ATTR_REQUIRED, .doc = "spatial sizes of the output; 0 or -1 keeps the input's" },
    { 0 },
};

static int check_input(const struct node *n, int min_rank, struct err *e)
{
    enum dtype t = n->in[0]->dtype;
    if (t != DT_NONE && !dtype_is_float(t) && !(node_is(n, "MaxPool") && (t == DT_I8 || t == DT_U8)))
        return fail(e, ERR_SHAPE, "the input is %s, poolings take floats", dtype_name(t));
    if (node_int(n, "p") < 1 && (node_is(n, "LpPool") || node_is(n, "GlobalLpPool")))
        return fail(e, ERR_SHAPE, "p is %lld, expected 1 or more", (long long)node_int(n, "p"));
    if (node_int(n, "divisor") < 0) return fail(e, ERR_SHAPE, "divisor is negative");
    return infer_rank(n, 0, min_rank, SHAPE_MAX, e);
}

static void set_outputs(struct node *n, const struct shape *y)
{
    infer_out(n, 0, n->in[0]->dtype, y);
    infer_out(n, 1, DT_I64, y);
}

int pool_shape(const struct node *n, const struct shape *x, struct shape *y, struct err *e)
{
    int64_t kernel[WINDOW_AXES];
    int spatial;
    struct window w;
    *y = shape_unknown();
    TRY(window_kernel(n, x, NULL, kernel, &spatial, e));
    if (spatial < 0) return fail(e, ERR_SHAPE, "kernel_shape is empty");
    struct shape open = { spatial + 2, { 0 } };
    for (int d = 0; d < open.rank; d++) open.dim[d] = x->rank >= 0 ? x->dim[d] : DIM_UNKNOWN;
    TRY(window_init(&w, n, &open, kernel, e));
    for (int a = 0; a < spatial; a++) {
        if (w.kernel[WINDOW_AXES - spatial + a] < 0) return fail(e, ERR_SHAPE, "kernel_shape is empty");
        open.dim[2 + a] = w.out[WINDOW_AXES - spatial + a];
    }
    *y = open;
    return 0;
}

static int sliding_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(check_input(n, 3, e));
    TRY(pool_shape(n, &n->in[0]->shape, &y, e));
    set_outputs(n, &y);
    return 0;
}

static int check_not_empty(const struct shape *x, struct err *e)
{
    for (int d = 2; d < x->rank; d++)
        if (!x->dim[d]) return fail(e, ERR_SHAPE, "a spatial dimension of the input is empty");
    return 0;
}

static int global_infer(struct node *n, struct err *e)
{
    struct shape y = n->in[0]->shape;
    TRY(check_input(n, 2, e));
    TRY(check_not_empty(&y, e));
    for (int d = 2; d < y.rank; d++) y.dim[d] = 1;
    set_outputs(n, &y);
    return 0;
}

static int adaptive_infer(struct node *n, struct err *e)
{
    size_t count;
    const int64_t *size = node_ints(n, "output_size", &count);
    struct shape y = n->in[0]->shape;
    TRY(check_input(n, 3, e));
    TRY(check_not_empty(&y, e));
    if (count < 1 || count > WINDOW_AXES || (y.rank >= 0 && count != (size_t)y.rank - 2))
        return fail(e, ERR_SHAPE, "output_size has %zu entries, the input has rank %d", count, y.rank);
    if (y.rank < 0)
        for (y.rank = 0; y.rank < (int)count + 2;) y.dim[y.rank++] = DIM_UNKNOWN;
    for (size_t a = 0; a < count; a++) {
        if (size[a] < -1 || size[a] > 1 << 30) return fail(e, ERR_SHAPE, "output_size holds %lld", (long long)size[a]);
        if (size[a] > 0) y.dim[2 + a] = size[a];
    }
    set_outputs(n, &y);
    return 0;
}

static double lowest(enum dtype t)
{
    return dtype_is_float(t) ? -INFINITY : t == DT_I8 ? -128 : 0;
}

static int max_run(const struct step *s, struct err *e)
{
    struct pool p;
    TRY(pool_init(&p, s, &s->in[0]->shape, &s->out[0]->shape, e));
    const double *x = operand_load(s, s->in[0], e);
    double *y = operand_zeros(s, tensor_count(s->out[0]), e);
    if (!x || !y) return e->code;
    pool_max(&p, x, y, step_out(s, 1) ? s->out[1]->data : NULL, lowest(s->out[0]->dtype), s->threads);
    operand_store(s, s->out[0], y);
    return 0;
}

static int run_with(const struct step *s, void (*f)(const struct pool *, const double *, double *, int), struct err *e)
{
    struct pool p;
    TRY(pool_init(&p, s, &s->in[0]->shape, &s->out[0]->shape, e));
    const double *x = operand_load(s, s->in[0], e);
    double *y = operand_zeros(s, tensor_count(s->out[0]), e);
    if (!x || !y) return e->code;
    f(&p, x, y, s->threads);
    operand_store(s, s->out[0], y);
    return 0;
}

static int average_run(const struct step *s, struct err *e)
{
    return run_with(s, pool_average, e);
}

static int norm_run(const struct step *s, struct err *e)
{
    return run_with(s, pool_norm, e);
}

static int max_grad(struct grad *g)
{
    const struct node *n = g->node;
    if (!g->dy[0]) return 0;
    if (node_has(n, "kernel_shape")) g->dx[0] = emit(g->b, "MaxPoolGrad", n->attrs, g->dy[0], n->in[0]);
    else g->dx[0] = emit(g->b, "AdaptiveMaxPoolGrad", NO_ATTRS, g->dy[0], n->in[0]);
    return 0;
}

static int average_grad(struct grad *g)
{
    const struct node *n = g->node;
    if (node_has(n, "kernel_shape")) g->dx[0] = emit(g->b, "AveragePoolGrad", n->attrs, g->dy[0], n->in[0]);
    else g->dx[0] = emit(g->b, "AdaptiveAveragePoolGrad", NO_ATTRS, g->dy[0], n->in[0]);
    return 0;
}

static int norm_grad(struct grad *g)
{
    const struct node *n = g->node;
    const char *op = node_has(n, "kernel_shape") ? "LpPoolGrad" : "GlobalLpPoolGrad";
    g->dx[0] = emit(g->b, op, n->attrs, g->dy[0], n->in[0], n->out[0]);
    return 0;
}

#define ONE_TO(max) .min_in = 1, .max_in = 1, .min_out = 1, .max_out = max

const struct op ops_pool[] = {
    { .name = "MaxPool",
        .doc = "maximum of sliding windows, and where it was found",
        ONE_TO(2),
        .attrs = pool_max_attrs,
        .infer = sliding_infer,
        .run = max_run,
        .grad = max_grad,
        .samples =
            "f32~[2,3,7,8] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; f32~[1,2,9] | kernel_shape=2 dilations=3; "
            "f32~[1,2,6,7] | kernel_shape=3,2 strides=2,2 ceil_mode=1; f32~[1,1,4,5,6] | kernel_shape=2,3,2 "
            "strides=1,2,2 pads=0,1,0,1,1,1; f32~[1,2,5,6] | kernel_shape=3,3 strides=2,2 auto_pad=SAME_UPPER; "
            "u8<9>[1,2,4,4] | kernel_shape=2,2 pads=0,0,1,1" },
    { .name = "AveragePool",
        .doc = "mean of sliding windows",
        ONE_TO(1),
        .attrs = pool_average_attrs,
        .infer = sliding_infer,
        .run = average_run,
        .grad = average_grad,
        .samples =
            "f32[2,3,7,8] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; f32[1,2,9] | kernel_shape=2 dilations=3; "
            "f32[1,2,6,7] | kernel_shape=3,2 strides=2,2 ceil_mode=1 count_include_pad=1 pads=1,0,1,1; "
            "f32[1,1,4,5,6] | kernel_shape=2,3,2 strides=1,2,2 pads=0,1,0,1,1,1; f32[1,2,5,6] | kernel_shape=3,3 "
            "auto_pad=SAME_LOWER; f32[1,2,5,6] | kernel_shape=2,2 divisor=3" },
    { .name = "LpPool",
        .doc = "p-norm of sliding windows",
        ONE_TO(1),
        .attrs = pool_norm_attrs,
        .infer = sliding_infer,
        .run = norm_run,
        .grad = norm_grad,
        .samples =
            "f32~[2,3,7,8] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; f32~[1,2,9] | kernel_shape=2 p=3 dilations=2; "
            "f32~[1,2,6,7] | kernel_shape=3,2 strides=2,2 ceil_mode=1 p=1" },
    { .name = "GlobalMaxPool",
        .doc = "maximum of each plane",
        ONE_TO(1),
        .infer = global_infer,
        .run = max_run,
        .grad = max_grad,
        .samples = "f32~[2,3,4,5]; f32~[1,2,7]; f32~[2,2,3,2,3]" },
    { .name = "GlobalAveragePool",
        .doc = "mean of each plane",
        ONE_TO(1),
        .infer = global_infer,
        .run = average_run,
        .grad = average_grad,
        .samples = "f32[2,3,4,5]; f32[1,2,7]; f32[2,2,3,2,3]" },
    { .name = "GlobalLpPool",
        .doc = "p-norm of each plane",
        ONE_TO(1),
        .attrs = global_norm_attrs,
        .infer = global_infer,
        .run = norm_run,
        .grad = norm_grad,
        .samples = "f32~[2,3,4,5]; f32~[1,2,7] | p=3; f32~[2,2,3,2,3] | p=1" },
    { .name = "AdaptiveMaxPool",
        .doc = "maximum of windows that divide each axis into output_size parts",
        ONE_TO(2),
        .flags = OP_OWN,
        .attrs = adaptive_attrs,
        .infer = adaptive_infer,
        .run = max_run,
        .grad = max_grad,
        .samples =
            "f32~[2,3,7,5] | output_size=3,2; f32~[1,2,4] | output_size=6; f32~[1,1,3,5,6] | output_size=2,0,-1" },
    { .name = "AdaptiveAveragePool",
        .doc = "mean of windows that divide each axis into output_size parts",
        ONE_TO(1),
        .flags = OP_OWN,
        .attrs = adaptive_attrs,
        .infer = adaptive_infer,
        .run = average_run,
        .grad = average_grad,
        .samples = "f32[2,3,7,5] | output_size=3,2; f32[1,2,4] | output_size=6; f32[1,1,3,5,6] | output_size=2,0,-1; "
                   "f32[1,2,3,4] | output_size=1,1" },
    { 0 },
};
