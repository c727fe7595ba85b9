/* activation.c - element-wise activations. */
#include <math.h>

#include <string.h>

#include "base/err.h"
#include "graph/builder.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/unary.h"

#define ATTR_F(id, value, help) \
    { \
        .name = id, .type = ATTR_FLOAT, .presence = ATTR_DEFAULT, .f = value, .doc = help \
    }
static const struct attr_spec leaky_attrs[] = { ATTR_F("alpha", 0.01f, "slope below 0"), { 0 } };
static const struct attr_spec one_alpha_attrs[] = { ATTR_F("alpha", 1, ""), { 0 } };
static const struct attr_spec selu_attrs[] = { ATTR_F("alpha", 1.67326319217681884765625, ""),
    ATTR_F("gamma", 1.05070102214813232421875, "factor of all"), { 0 } };
static const struct attr_spec hard_sigmoid_attrs[] = { ATTR_F("alpha", 0.2f, "slope"),
    ATTR_F("beta", 0.5, "value at 0"),
    { 0 } };
static const struct attr_spec shrink_attrs[] = { ATTR_F("bias", 0, "added towards 0"),
    ATTR_F("lambd", 0.5, "half width of the dead zone"), { 0 } };
static const struct attr_spec gelu_attrs[] = {
    { .name = "approximate", .type = ATTR_STRING, .presence = ATTR_DEFAULT, .s = "none", .doc = "none or tanh" }, { 0 }
};

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* Hendrycks and Gimpel 2016: x * Phi(x), or 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
#define SQRT_2_PI 0.79788456080286535588
#define SQRT_1_2 0.70710678118654752440
static double gelu(double x, bool tanh_form)
{
    return x * 0.5 * (tanh_form ? 1 + tanh(SQRT_2_PI * x * (1 + 0.044715 * x * x)) : erfc(-x * SQRT_1_2));
}

static double gelu_slope(double x, bool tanh_form)
{
    if (!tanh_form) return 0.5 * erfc(-x * SQRT_1_2) + x * 0.5 * SQRT_2_PI * exp(-0.5 * x * x);
    double t = tanh(SQRT_2_PI * x * (1 + 0.044715 * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_PI * (1 + 3 * 0.044715 * x * x);
}

static double mish_slope(double x)
{
    double t = tanh(softplus(x));
    return t + x * (1 - t * t) * sigmoid(x);
}

static double swish_slope(double x, double alpha)
{
    double s = sigmoid(alpha * x);
    return s + alpha * x * s * (1 - s);
}

static double hard_swish_slope(double x)
{
    return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5;
}

MAP1(Relu_i, int64_t, x > 0 ? x : 0)
MAP1(Relu_u, uint64_t, x)
UNARY_FORMS(Relu, Y, x > 0 || x != x ? x : 0, y > 0, .i = Relu_i, .u = Relu_u)
UNARY(LeakyRelu, X, x < 0 ? p[0] * x : x, x < 0 ? p[0] : 1)
UNARY(ThresholdedRelu, X, x > p[0] ? x : 0, x > p[0])
UNARY(Elu, X, x < 0 ? p[0] * expm1(x) : x, x < 0 ? p[0] * exp(x) : 1)
UNARY(Selu, X, p[1] * (x < 0 ? p[0] * expm1(x) : x), p[1] * (x < 0 ? p[0] * exp(x) : 1))
UNARY(Celu, X, x < 0 ? p[0] * expm1(x / p[0]) : x, x < 0 ? exp(x / p[0]) : 1)
UNARY(Sigmoid, Y, sigmoid(x), y *(1 - y))
UNARY(LogSigmoid, X, -softplus(-x), sigmoid(-x))
UNARY(HardSigmoid, X, clamp(p[0] * x + p[1], 0, 1), p[0] * x + p[1] > 0 && p[0] * x + p[1] < 1 ? p[0] : 0)
UNARY(HardSwish, X, x *clamp(x / 6 + 0.5, 0, 1), hard_swish_slope(x))
UNARY(Swish, X, x *sigmoid(p[0] * x), swish_slope(x, p[0]))
UNARY(Mish, X, x *tanh(softplus(x)), mish_slope(x))
UNARY(Gelu, X, gelu(x, p[0] != 0), gelu_slope(x, p[0] != 0))
UNARY(Tanh, Y, tanh(x), 1 - y * y)
UNARY(Softplus, X, softplus(x), sigmoid(x))
UNARY(Softsign, X, x / (1 + fabs(x)), 1 / ((1 + fabs(x)) * (1 + fabs(x))))
UNARY(Shrink, X, x<-p[1] ? x + p[0] : x> p[1] ? x - p[0] : 0, x<-p[1] || x> p[1])

static int gelu_infer(struct node *n, struct err *e)
{
    const char *form = node_string(n, "approximate");
    if (strcmp(form, "none") && strcmp(form, "tanh"))
        return fail(e, ERR_MODEL, "approximate is \"%s\", expected none or tanh", form);
    return infer_float(n, e);
}

static int celu_infer(struct node *n, struct err *e)
{
    if (node_float(n, "alpha") == 0) return fail(e, ERR_MODEL, "alpha is 0");
    return infer_float(n, e);
}

/* Expansions, for formats and kernels that have only the parts. */
static int hard_swish_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *gate = emit(b, "HardSigmoid", ATTRS(attr_float("alpha", 1.0 / 6), attr_float("beta", 0.5)), n->in[0]);
    out[0] = emit2(b, "Mul", n->in[0], gate);
    return 0;
}

static int swish_expand(struct builder *b, const struct node *n, struct value **out)
{
    double alpha = node_float(n, "alpha");
    struct value *x = n->in[0], *t = alpha == 1 ? x : emit2(b, "Mul", x, emit_scalar(b, x->dtype, alpha));
    out[0] = emit2(b, "Mul", x, emit1(b, "Sigmoid", t));
    return 0;
}

static int mish_expand(struct builder *b, const struct node *n, struct value **out)
{
    out[0] = emit2(b, "Mul", n->in[0], emit1(b, "Tanh", emit1(b, "Softplus", n->in[0])));
    return 0;
}

static int log_sigmoid_expand(struct builder *b, const struct node *n, struct value **out)
{
    out[0] = emit1(b, "Neg", emit1(b, "Softplus", emit1(b, "Neg", n->in[0])));
    return 0;
}

/* 0.5 x (1 + erf(x / sqrt 2)), or the tanh form with x (1 + c x^2). */
static int gelu_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *x = n->in[0], *t;
    struct value *one = emit_scalar(b, x->dtype, 1);
    if (!strcmp(node_string(n, "approximate"), "tanh")) {
        t = emit2(b, "Mul", emit2(b, "Mul", x, x), emit_scalar(b, x->dtype, 0.044715));
        t = emit2(b, "Mul", x, emit2(b, "Add", t, one));
        t = emit1(b, "Tanh", emit2(b, "Mul", t, emit_scalar(b, x->dtype, SQRT_2_PI)));
    } else {
        t = emit1(b, "Erf", emit2(b, "Mul", x, emit_scalar(b, x->dtype, SQRT_1_2)));
    }
    t = emit2(b, "Mul", x, emit2(b, "Add", t, one));
    out[0] = emit2(b, "Mul", t, emit_scalar(b, x->dtype, 0.5));
    return 0;
}

/* PRelu: x, slope (broadcast to x) */
static int prelu_infer(struct node *n, struct err *e)
{
    TRY(infer_number_broadcast(n, e));
    TRY(infer_broadcast_to(&n->in[0]->shape, &n->in[1]->shape, e));
    return infer_same(n, e);
}

MAP2(prelu_f, double, x < 0 ? x * y : x)
MAP2(prelu_i, int64_t, x < 0 ? (uint64_t)x * (uint64_t)y : (uint64_t)x)

static int prelu_run(const struct step *s, struct err *e)
{
    return elementwise_run(s, &(struct elementwise){ prelu_f, prelu_i }, NULL, e);
}

static int prelu_grad(struct grad *g)
{
    struct value *x = g->node->in[0], *slope = g->node->in[1], *dy = g->dy[0];
    struct value *zero = emit_scalar(g->b, x->dtype, 0), *below = emit2(g->b, "Less", x, zero);
    grad_set(g, 0, emit(g->b, "Where", NO_ATTRS, below, emit2(g->b, "Mul", dy, slope), dy));
    grad_set(g, 1, emit(g->b, "Where", NO_ATTRS, below, emit2(g->b, "Mul", dy, x), zero));
    return 0;
}

/* Clip: x, min, max (0-d, both optional); ClipGrad has dy in front. */
static int clip_bounds(const struct node *n, int from, struct err *e)
{
    for (int i = from; i < n->n_in; i++) {
        const struct value *v = n->in[i];
        if (v && v->shape.rank > 0 && !(v->shape.rank == 1 && (v->shape.dim[0] == 1 || v->shape.dim[0] < 0)))
            return fail(e, ERR_SHAPE, "input %d (%s) must be a scalar", i, v->name);
    }
    return infer_same_types(n, 0, n->n_in, e);
}

static int clip_infer(struct node *n, struct err *e)
{
    TRY(clip_bounds(n, 1, e));
    return infer_number(n, e);
}

static int clip_grad_infer(struct node *n, struct err *e)
{
    TRY(clip_bounds(n, 2, e));
    return unary_infer_grad(n, e);
}

#define CLIP(name, type) \
    static void name(int64_t n, const type *const *in, type *out, const double *p) \
    { \
        for (int64_t i = 0; i < n; i++) { \
            type x = in[0][i], low = in[1][i], high = in[2][i]; \
            x = p[0] != 0 && x < low ? low : x; \
            out[i] = p[1] != 0 && x > high ? high : x; \
        } \
    }
CLIP(clip_f, double)
CLIP(clip_i, int64_t)
CLIP(clip_u, uint64_t)

static void clip_grad_f(int64_t n, const double *const *in, double *out, const double *p)
{
    for (int64_t i = 0; i < n; i++) {
        double x = in[1][i];
        out[i] = (p[0] != 0 && x < in[2][i]) || (p[1] != 0 && x > in[3][i]) ? 0 : in[0][i];
    }
}

/* x itself stands for a bound that is absent, and p says which are there. Bounds of shape [1] become 0-d. */
static int clip_on(const struct step *s, const struct elementwise *m, int x, struct err *e)
{
    struct tensor *in[4] = { s->in[0], s->in[x] }, bounds[2];
    double p[2];
    for (int k = 0; k < 2; k++) {
        struct tensor *bound = x + 1 + k < s->node->n_in ? s->in[x + 1 + k] : NULL;
        p[k] = bound != NULL;
        if (bound) bounds[k] = *bound, bounds[k].shape.rank = 0;
        in[x + 1 + k] = bound ? &bounds[k] : s->in[x];
    }
    return elementwise_run_on(s, m, p, in, x + 3, e);
}

static int clip_run(const struct step *s, struct err *e)
{
    return clip_on(s, &(struct elementwise){ clip_f, clip_i, clip_u }, 0, e);
}

static int clip_grad_run(const struct step *s, struct err *e)
{
    return clip_on(s, &(struct elementwise){ .f = clip_grad_f }, 1, e);
}

static int clip_grad(struct grad *g)
{
    const struct node *n = g->node;
    g->dx[0] = emit(g->b, "ClipGrad", NO_ATTRS, g->dy[0], n->in[0], node_in(n, 1), node_in(n, 2));
    return 0;
}

const struct op ops_activation[] = {
    UNARY_ROWS(Relu, "~", infer_number, NULL, "y = max(x, 0)"),
    UNARY_ROWS(LeakyRelu, "~", infer_float, leaky_attrs, "y = x < 0 ? alpha x : x"),
    UNARY_ROWS(ThresholdedRelu, "", infer_float, one_alpha_attrs, "y = x > alpha ? x : 0"),
    UNARY_ROWS(Elu, "~", infer_float, one_alpha_attrs, "y = x < 0 ? alpha (exp(x) - 1) : x"),
    UNARY_ROWS(Selu, "~", infer_float, selu_attrs, "y = gamma (x < 0 ? alpha (exp(x) - 1) : x)"),
    UNARY_ROWS(Celu, "~", celu_infer, one_alpha_attrs, "y = x < 0 ? alpha (exp(x / alpha) - 1) : x"),
    UNARY_ROWS(Sigmoid, "", infer_float, NULL, "y = 1 / (1 + exp(-x))"),
    UNARY_ROWS(LogSigmoid, "", infer_float, NULL, "y = log(1 / (1 + exp(-x)))", | OP_OWN, .expand = log_sigmoid_expand),
    UNARY_ROWS(HardSigmoid, "", infer_float, hard_sigmoid_attrs, "y = clip(alpha x + beta, 0, 1)"),
    UNARY_ROWS(HardSwish, "", infer_float, NULL, "y = x clip(x / 6 + 1/2, 0, 1)", , .expand = hard_swish_expand),
    UNARY_ROWS(Swish, "", infer_float, one_alpha_attrs, "y = x sigmoid(alpha x)", | OP_OWN, .expand = swish_expand),
    UNARY_ROWS(Mish, "", infer_float, NULL, "y = x tanh(softplus(x))", , .expand = mish_expand),
    UNARY_ROWS(Gelu, "", gelu_infer, gelu_attrs, "y = x Phi(x)", , .expand = gelu_expand),
    UNARY_ROWS(Tanh, "", infer_float, NULL, "y = tanh(x)"),
    UNARY_ROWS(Softplus, "", infer_float, NULL, "y = log(1 + exp(x))"),
    UNARY_ROWS(Softsign, "~", infer_float, NULL, "y = x / (1 + |x|)"),
    UNARY_ROWS(Shrink, "", infer_number, shrink_attrs, "y = x moved towards 0 by bias outside [-lambd, lambd], else 0"),
    { .name = "PRelu",
        .doc = "y = x < 0 ? slope x : x",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_INPLACE,
        .infer = prelu_infer,
        .run = prelu_run,
        .grad = prelu_grad,
        .samples = "f32~[2,3,4,5] f32[3,1,1]; f32~[7] f32[1]; i64<9>[5] i64{-2}" },
    { .name = "Clip",
        .doc = "y = min(max(x, low), high), of (x, low, high)",
        .min_in = 1,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_INPLACE,
        .infer = clip_infer,
        .run = clip_run,
        .grad = clip_grad,
        .samples = "f32~[2,3,5] f32{-0.05} f32{0.05}; f32~[9] - f32{0.05}; f32~[9] f32{-0.05}; f32[9]; "
                   "i64<9>[8] i64{2} i64{5}; u8<9>[8] u8{2}" },
    { .name = "ClipGrad",
        .doc = "dx = x < low or x > high ? 0 : dy, of (dy, x, low, high)",
        .min_in = 2,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_INPLACE | OP_OWN | OP_TRAINING_ONLY,
        .infer = clip_grad_infer,
        .run = clip_grad_run,
        .samples = "f32[2,3,5] f32~[2,3,5] f32{-0.05} f32{0.05}; f32[9] f32~[9] - f32{0.05}" },
    { 0 },
};
