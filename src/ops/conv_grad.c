/* conv_grad.c - the gradients of convolutions, as operators that a backend can have kernels for. */
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/conv_core.h"
#include "ops/infer.h"
#include "ops/operand.h"

/* The convolution that belongs to x and weight gives an output shaped as dy? */
static int check(const struct node *n, const struct shape *dy, const struct shape *x, const struct shape *weight,
    struct conv *c, struct err *e)
{
    struct shape y;
    TRY(conv_resolve(n, false, x, weight, &y, c, e));
    if (!shape_merge(&y, dy)) return fail(e, ERR_SHAPE, "the gradient's shape is not that of the convolution's output");
    return 0;
}

/* Two factors of one type; the result has the type and the shape of what it is the gradient of. */
static int like_third(struct node *n, struct err *e)
{
    infer_out(n, 0, n->in[2]->dtype, &n->in[2]->shape);
    return infer_same_types(n, 0, 2, e);
}

static int input_infer(struct node *n, struct err *e)
{
    TRY(check(n, &n->in[0]->shape, &n->in[2]->shape, &n->in[1]->shape, NULL, e));
    return like_third(n, e);
}

static int weight_infer(struct node *n, struct err *e)
{
    TRY(check(n, &n->in[0]->shape, &n->in[1]->shape, &n->in[2]->shape, NULL, e));
    return like_third(n, e);
}

/* in: dy, the other operand, something shaped as the result */
static int run_side(const struct step *s, enum conv_side side, struct err *e)
{
    struct conv c = { 0 };
    bool by_input = side == CONV_LARGE;
    TRY(check(s->node, &s->in[0]->shape, &s->in[by_input ? 2 : 1]->shape, &s->in[by_input ? 1 : 2]->shape, &c, e));
    double *out = operand_zeros(s, tensor_count(s->out[0]), e);
    const double *dy = operand_load(s, s->in[0], e), *other = operand_load(s, s->in[1], e);
    if (!out || !dy || !other) return e->code;
    c.small = (double *)(uintptr_t)dy;
    c.large = by_input ? out : (double *)(uintptr_t)other;
    c.weight = by_input ? (double *)(uintptr_t)other : out;
    conv_accumulate(&c, side, s->threads);
    operand_store(s, s->out[0], out);
    return 0;
}

static int input_run(const struct step *s, struct err *e)
{
    return run_side(s, CONV_LARGE, e);
}

static int weight_run(const struct step *s, struct err *e)
{
    return run_side(s, CONV_WEIGHT, e);
}

static int bias_infer(struct node *n, struct err *e)
{
    TRY(infer_rank(n, 0, 2, SHAPE_MAX, e));
    const struct shape *dy = &n->in[0]->shape;
    struct shape s = shape_of(1, (int64_t[]){ dy->rank >= 0 ? dy->dim[1] : DIM_UNKNOWN });
    infer_out(n, 0, n->in[0]->dtype, &s);
    return 0;
}

struct bias_job {
    const double *dy; /* (batch, channels, size) */
    double *sum;
    int64_t batch, channels, size;
};

static void bias_channels(void *ctx, int64_t begin, int64_t end)
{
    const struct bias_job *j = ctx;
    for (int64_t c = begin; c < end; c++)
        for (int64_t n = 0; n < j->batch; n++) {
            const double *row = j->dy + (n * j->channels + c) * j->size;
            for (int64_t i = 0; i < j->size; i++) j->sum[c] += row[i];
        }
}

static int bias_run(const struct step *s, struct err *e)
{
    const struct shape *dy = &s->in[0]->shape;
    struct bias_job j = { operand_load(s, s->in[0], e), operand_zeros(s, dy->dim[1], e), dy->dim[0], dy->dim[1],
        shape_span(dy, 2, dy->rank) };
    if (!j.dy || !j.sum) return e->code;
    team_run(s->threads, j.channels, 1, bias_channels, &j);
    operand_store(s, s->out[0], j.sum);
    return 0;
}

const struct op ops_conv_grad[] = {
    { .name = "ConvGradInput",
        .doc = "gradient of Conv by its input, of (dy, weight, something shaped as x)",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = conv_attrs,
        .infer = input_infer,
        .run = input_run,
        .samples =
            "f32[2,4,4,4] f32[4,3,3,3] f32[2,3,8,8] | strides=2,2 pads=1,1,1,1; f32[1,2,5] f32[2,3,4] f32[1,3,9] | "
            "auto_pad=SAME_UPPER strides=2; f32[2,6,6,6] f32[6,2,3,2] f32[2,4,7,6] | group=2 dilations=2,1 "
            "pads=1,0,2,1" },
    { .name = "ConvGradWeight",
        .doc = "gradient of Conv by its weight, of (dy, x, something shaped as the weight)",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = conv_attrs,
        .infer = weight_infer,
        .run = weight_run,
        .samples =
            "f32[2,4,4,4] f32[2,3,8,8] f32[4,3,3,3] | strides=2,2 pads=1,1,1,1; f32[1,2,5] f32[1,3,9] f32[2,3,4] | "
            "auto_pad=SAME_UPPER strides=2; f32[2,6,6,6] f32[2,4,7,6] f32[6,2,3,2] | group=2 dilations=2,1 "
            "pads=1,0,2,1" },
    { .name = "ConvGradBias",
        .doc = "sum over all axes but the second",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .infer = bias_infer,
        .run = bias_run,
        .samples = "f32[2,3,4,5]; f32[4,2]; f32[1,5,3]" },
    { 0 },
};
