/* activation.c - element-wise activations. */
#include <math.h>

#include "graph/builder.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/elementwise.h"

static void relu_f(int64_t n, const double *const *in, double *out, const double *p)
{
    for (int64_t i = 0; i < n; i++) out[i] = in[0][i] > 0 ? in[0][i] : in[0][i] == in[0][i] ? 0 : in[0][i];
}

static void relu_i(int64_t n, const int64_t *const *in, int64_t *out, const double *p)
{
    for (int64_t i = 0; i < n; i++) out[i] = in[0][i] > 0 ? in[0][i] : 0;
}

static int relu_run(const struct step *s, struct err *e)
{
    return elementwise_run(s, &(struct elementwise){ relu_f, relu_i }, NULL, e);
}

static int relu_grad(struct grad *g)
{
    g->dx[0] = emit(g->b, "ReluGrad", NO_ATTRS, g->dy[0], g->node->out[0]);
    return 0;
}

/* in: dy, y */
static void relu_grad_f(int64_t n, const double *const *in, double *out, const double *p)
{
    for (int64_t i = 0; i < n; i++) out[i] = in[1][i] > 0 ? in[0][i] : 0;
}

static int relu_grad_run(const struct step *s, struct err *e)
{
    return elementwise_run(s, &(struct elementwise){ .f = relu_grad_f }, NULL, e);
}

static void sigmoid_f(int64_t n, const double *const *in, double *out, const double *p)
{
    for (int64_t i = 0; i < n; i++) out[i] = 1 / (1 + exp(-in[0][i]));
}

static int sigmoid_run(const struct step *s, struct err *e)
{
    return elementwise_run(s, &(struct elementwise){ .f = sigmoid_f }, NULL, e);
}

/* dx = dy * y * (1 - y) */
static int sigmoid_grad(struct grad *g)
{
    struct value *y = g->node->out[0], *y2 = emit(g->b, "Mul", NO_ATTRS, y, y);
    g->dx[0] = emit(g->b, "Mul", NO_ATTRS, g->dy[0], emit(g->b, "Sub", NO_ATTRS, y, y2));
    return 0;
}

const struct op ops_activation[] = {
    { .name = "Relu", .doc = "y = max(x, 0)", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = OP_INPLACE,
      .infer = infer_same, .run = relu_run, .grad = relu_grad, .samples = "f32~[2,3,5]; i32[7]" },
    { .name = "ReluGrad", .doc = "y > 0 ? dy : 0, of (dy, y)", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
      .flags = OP_INPLACE | OP_OWN | OP_TRAINING_ONLY, .infer = infer_same, .run = relu_grad_run,
      .samples = "f32[2,3,5] f32~[2,3,5]" },
    { .name = "Sigmoid", .doc = "y = 1 / (1 + exp(-x))", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
      .flags = OP_INPLACE, .infer = infer_same, .run = sigmoid_run, .grad = sigmoid_grad, .samples = "f32[2,3,5]" },
    { 0 },
};
