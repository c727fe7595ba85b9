/* conv.c - Conv and ConvTranspose. */
#include <string.h>

#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/conv_core.h"
#include "ops/infer.h"
#include "ops/operand.h"

static int check_types(const struct node *n, struct err *e)
{
    enum dtype t = n->in[0]->dtype;
    if (t != DT_NONE && !dtype_is_float(t))
        return fail(e, ERR_SHAPE, "the input is %s, convolutions take floats", dtype_name(t));
    return infer_same_types(n, 0, 3, e);
}

static int infer_either(struct node *n, bool transposed, struct err *e)
{
    struct shape y;
    TRY(check_types(n, e));
    TRY(conv_resolve(n, transposed, &n->in[0]->shape, &n->in[1]->shape, &y, NULL, e));
    infer_out(n, 0, n->in[0]->dtype, &y);
    if (!node_in(n, 2)) return 0;
    TRY(infer_rank(n, 2, 1, 1, e));
    int64_t have = n->in[2]->shape.rank == 1 ? n->in[2]->shape.dim[0] : -1, want = y.rank > 0 ? y.dim[1] : -1;
    if (have >= 0 && want >= 0 && have != want)
        return fail(
            e, ERR_SHAPE, "the bias has %lld elements, the output %lld channels", (long long)have, (long long)want);
    return 0;
}

static int conv_infer(struct node *n, struct err *e)
{
    return infer_either(n, false, e);
}

static int transpose_infer(struct node *n, struct err *e)
{
    return infer_either(n, true, e);
}

/* Fills (batch, channels, plane) with the bias. */
static int start_bias(const struct step *s, const struct tensor *bias, double *y, struct err *e)
{
    const double *b = operand_load(s, bias, e);
    if (!b) return e->code;
    const struct shape *shape = &s->out[0]->shape;
    int64_t channels = shape->dim[1], size = shape_span(shape, 2, shape->rank);
    for (int64_t t = 0; t < shape->dim[0] * channels; t++)
        for (int64_t i = 0; i < size; i++) y[t * size + i] = b[t % channels];
    return 0;
}

static int run_either(const struct step *s, bool transposed, struct err *e)
{
    struct conv c = { 0 };
    struct shape y;
    TRY(conv_resolve(s->node, transposed, &s->in[0]->shape, &s->in[1]->shape, &y, &c, e));
    double *out = operand_zeros(s, tensor_count(s->out[0]), e);
    const double *x = operand_load(s, s->in[0], e), *w = operand_load(s, s->in[1], e);
    if (!out || !x || !w) return e->code;
    if (step_in(s, 2)) TRY(start_bias(s, s->in[2], out, e));
    c.weight = (double *)(uintptr_t)w;
    c.large = transposed ? out : (double *)(uintptr_t)x;
    c.small = transposed ? (double *)(uintptr_t)x : out;
    conv_accumulate(&c, transposed ? CONV_LARGE : CONV_SMALL, s->threads);
    operand_store(s, s->out[0], out);
    return 0;
}

static int conv_run(const struct step *s, struct err *e)
{
    return run_either(s, false, e);
}

static int transpose_run(const struct step *s, struct err *e)
{
    return run_either(s, true, e);
}

static int conv_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct value *dy = g->dy[0], *x = n->in[0], *w = n->in[1];
    g->dx[0] = emit(g->b, "ConvGradInput", n->attrs, dy, w, x);
    g->dx[1] = emit(g->b, "ConvGradWeight", n->attrs, dy, x, w);
    if (node_in(n, 2)) g->dx[2] = emit(g->b, "ConvGradBias", NO_ATTRS, dy);
    return 0;
}

/* The padding with which a plain convolution takes the output's shape back to the input's. */
static int explicit_pads(const struct node *n, int64_t *pads, int *spatial, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    int64_t kernel[WINDOW_AXES], extra[WINDOW_AXES];
    struct window w;
    size_t given;
    TRY(window_kernel(n, x, &n->in[1]->shape, kernel, spatial, e));
    if (*spatial < 0 || x->rank < 0) return fail(e, ERR_SHAPE, "the gradient needs the rank of the input");
    TRY(window_init_transposed(&w, n, x, kernel, e));
    TRY(window_ints(n, "output_padding", *spatial, 0, 0, extra, e));
    node_ints(n, "output_shape", &given);
    for (int i = 0; i < *spatial; i++) {
        int a = WINDOW_AXES - *spatial + i;
        int64_t reach = (w.kernel[a] - 1) * w.dilation[a] + 1, after = w.after[a];
        if (w.kernel[a] < 0 || (w.out[a] < 0 && given))
            return fail(e, ERR_SHAPE, "the gradient needs known dimensions");
        bool known = w.out[a] >= 0 && w.in[a] >= 0;
        if (known ? (w.in[a] + w.before[a] + after - reach) / w.stride[a] + 1 != w.out[a] : extra[a] >= w.stride[a])
            after = known ? w.stride[a] * (w.out[a] - 1) + reach - w.in[a] - w.before[a] : after - extra[a];
        pads[i] = w.before[a];
        pads[*spatial + i] = after;
    }
    return 0;
}

static int transpose_grad(struct grad *g)
{
    const struct node *n = g->node;
    int64_t pads[2 * WINDOW_AXES];
    int spatial;
    TRY(explicit_pads(n, pads, &spatial, g->b->err));
    struct attr attrs[5] = { attr_ints("pads", pads, 2 * (size_t)spatial), attr_int("group", node_int(n, "group")) };
    int count = 2;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (!strcmp(n->attrs[i].name, "strides") || !strcmp(n->attrs[i].name, "dilations"))
            attrs[count++] = n->attrs[i];
    g->dx[0] = emit(g->b, "Conv", attrs, g->dy[0], n->in[1]);
    g->dx[1] = emit(g->b, "ConvGradWeight", attrs, n->in[0], g->dy[0], n->in[1]);
    if (node_in(n, 2)) g->dx[2] = emit(g->b, "ConvGradBias", NO_ATTRS, g->dy[0]);
    return 0;
}

static const struct attr_spec transpose_attrs[] = {
    { "auto_pad", ATTR_STRING, ATTR_DEFAULT, .s = "NOTSET", .doc = "NOTSET, SAME_UPPER, SAME_LOWER or VALID" },
    { "dilations", ATTR_INTS, .doc = "distance of the taps per axis; 1 when absent" },
    { "group", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "groups of channels that do not see each other" },
    { "kernel_shape", ATTR_INTS, .doc = "as the weight has it" },
    { "output_padding", ATTR_INTS, .doc = "elements added at the end of each axis" },
    { "output_shape", ATTR_INTS, .doc = "wanted spatial sizes; the padding follows from them" },
    { "pads", ATTR_INTS, .doc = "taken off: begins of all axes, then ends" },
    { "strides", ATTR_INTS, .doc = "step per axis; 1 when absent" },
    { 0 },
};

const struct op ops_conv[] = {
    { .name = "Conv",
        .doc = "Convolution of (N, C, ...) with (M, C/group, ...), and a bias (M)",
        .min_in = 2,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = conv_attrs,
        .infer = conv_infer,
        .run = conv_run,
        .grad = conv_grad,
        .samples = "f32[2,3,8,8] f32[4,3,3,3] f32[4] | strides=2,2 pads=1,1,1,1; f32[2,4,7,6] f32[6,2,3,2] - | group=2 "
                   "dilations=2,1 pads=1,0,2,1; f32[1,3,9] f32[2,3,4] f32[2] | auto_pad=SAME_UPPER strides=2; "
                   "f32[1,2,4,5,4] f32[3,2,2,3,1] | pads=0,1,0,1,1,0 strides=1,2,2; f32[2,4,6,5] f32[4,1,3,3] f32[4] | "
                   "group=4 "
                   "auto_pad=SAME_LOWER strides=2,1; f32[1,2,5,5] f32[2,2,1,1] | strides=3,3" },
    { .name = "ConvTranspose",
        .doc = "Transposed convolution of (N, C, ...) with (C, M/group, ...), and a bias (M)",
        .min_in = 2,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = transpose_attrs,
        .infer = transpose_infer,
        .run = transpose_run,
        .grad = transpose_grad,
        .samples =
            "f32[2,3,4,5] f32[3,2,3,3] f32[2] | strides=2,2 pads=1,1,1,1 output_padding=1,1; f32[1,4,5,4] f32[4,3,2,3] "
            "| "
            "group=2 dilations=2,1 strides=1,3; f32[2,2,6] f32[2,3,4] f32[3] | strides=2 auto_pad=SAME_UPPER; "
            "f32[1,2,3,4,3] f32[2,1,2,2,2] | strides=2,1,2 pads=0,1,1,1,0,0; f32[1,2,4,4] f32[2,2,3,3] | strides=2,2 "
            "output_shape=8,9; f32[1,2,4] f32[2,2,2] | strides=1 dilations=3 output_padding=2" },
    { 0 },
};
