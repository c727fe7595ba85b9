/* arith.c - arithmetic, rounding and the elementary functions, element by element. */
#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/known.h"
#include "ops/contents.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/unary.h"

/* --- one input --- */

#define TWO_SQRT_PI 1.12837916709551257390 /* 2 / sqrt(pi) */
MAP1(Abs_i, int64_t, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
MAP1(Neg_i, int64_t, 0 - (uint64_t)x)
MAP1(Sign_i, int64_t, (x > 0) - (x < 0))
MAP1(same_u, uint64_t, x)
MAP1(Sign_u, uint64_t, x > 0)
UNARY_FORMS(Abs, X, fabs(x), (x > 0) - (x < 0), .i = Abs_i, .u = same_u)
UNARY_FORMS(Neg, Y, -x, -1, .i = Neg_i)
UNARY_FORMS(Sign, X, x != x ? x : (x > 0) - (x < 0), 0, .i = Sign_i, .u = Sign_u)
UNARY(Reciprocal, Y, 1 / x, -y *y)
UNARY(Sqrt, Y, sqrt(x), 0.5 / y)
UNARY(Exp, Y, exp(x), y)
UNARY(Log, X, log(x), 1 / x)
UNARY(Erf, X, erf(x), TWO_SQRT_PI *exp(-x *x))
UNARY(Floor, X, floor(x), 0)
UNARY(Ceil, X, ceil(x), 0)
UNARY(Round, X, rint(x), 0)
UNARY(Sin, X, sin(x), cos(x))
UNARY(Cos, X, cos(x), -sin(x))
UNARY(Tan, Y, tan(x), 1 + y * y)
UNARY(Asin, X, asin(x), 1 / sqrt(1 - x * x))
UNARY(Acos, X, acos(x), -1 / sqrt(1 - x * x))
UNARY(Atan, X, atan(x), 1 / (1 + x * x))
UNARY(Sinh, X, sinh(x), cosh(x))
UNARY(Cosh, X, cosh(x), sinh(x))
UNARY(Asinh, X, asinh(x), 1 / sqrt(x * x + 1))
UNARY(Acosh, X, acosh(x), 1 / sqrt((x - 1) * (x + 1)))
UNARY(Atanh, X, atanh(x), 1 / ((1 - x) * (1 + x)))

/* --- two inputs --- */

#define BINARY(name, value, ...) \
    MAP2(name##_f, double, value) \
    static int name##_run(const struct step *s, struct err *e) \
    { \
        return elementwise_run(s, &(struct elementwise){ .f = name##_f, __VA_ARGS__ }, NULL, e); \
    }

/* C's truncating division, with what C leaves undefined defined: by zero 0, INT64_MIN / -1 wraps. */
static int64_t quotient(int64_t x, int64_t y)
{
    return y == 0 ? 0 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

static int64_t remainder_c(int64_t x, int64_t y)
{
    return y == 0 || y == -1 ? 0 : x % y;
}

/* Python's % and //: the remainder has the divisor's sign. */
static int64_t remainder_floor(int64_t x, int64_t y)
{
    int64_t r = remainder_c(x, y);
    return r && (r < 0) != (y < 0) ? r + y : r;
}

static int64_t quotient_floor(int64_t x, int64_t y)
{
    int64_t q = quotient(x, y), r = remainder_c(x, y);
    return r && (r < 0) != (y < 0) ? q - 1 : q;
}

static double remainder_floor_f(double x, double y)
{
    double r = fmod(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r == 0 ? copysign(r, y) : r;
}

/* By squaring, wrapping; a negative exponent truncates 1 / x^|y|. */
static int64_t power(int64_t x, int64_t y)
{
    if (y < 0) return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
    uint64_t r = 1, square = (uint64_t)x;
    for (; y; y >>= 1, square *= square)
        if (y & 1) r *= square;
    return (int64_t)r;
}

MAP2(add_i, int64_t, (uint64_t)x + (uint64_t)y)
MAP2(sub_i, int64_t, (uint64_t)x - (uint64_t)y)
MAP2(mul_i, int64_t, (uint64_t)x *(uint64_t)y)
MAP2(div_i, int64_t, quotient(x, y))
MAP2(div_u, uint64_t, y ? x / y : 0)
MAP2(mod_i, int64_t, p[0] != 0 ? remainder_c(x, y) : remainder_floor(x, y))
MAP2(mod_f, double, fmod(x, y))
MAP2(mod_u, uint64_t, y ? x % y : 0)
MAP2(pow_i, int64_t, power(x, y))
MAP2(floor_div_i, int64_t, quotient_floor(x, y))
MAP2(remainder_i, int64_t, remainder_floor(x, y))
BINARY(add, x + y, .i = add_i)
BINARY(sub, x - y, .i = sub_i)
BINARY(mul, x *y, .i = mul_i)
BINARY(div, x / y, .i = div_i, .u = div_u)
BINARY(pow, pow(x, y), .i = pow_i)
BINARY(floor_div, floor(x / y), .i = floor_div_i, .u = div_u)
BINARY(remainder, remainder_floor_f(x, y), .i = remainder_i, .u = mod_u)

static int mod_run(const struct step *s, struct err *e)
{
    double p = (double)node_int(s->node, "fmod");
    return elementwise_run(s, &(struct elementwise){ mod_f, mod_i, mod_u }, &p, e);
}

static const struct attr_spec mod_attrs[] = {
    { .name = "fmod", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "1: sign of the dividend; 0: of the divisor" },
    { 0 }
};

static int mod_infer(struct node *n, struct err *e)
{
    TRY(infer_number_broadcast(n, e));
    if (dtype_is_float(n->in[0]->dtype) && !node_int(n, "fmod"))
        return fail(e, ERR_MODEL, "floats need fmod=1 (or the operator Remainder)");
    return 0;
}

/* The exponent may have another type. */
static int pow_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    TRY(infer_type(n, 1, TYPES_NUMBER, e));
    return infer_broadcast_as(n, n->in[0]->dtype, e);
}

static int add_grad(struct grad *g)
{
    grad_set(g, 0, g->dy[0]);
    grad_set(g, 1, g->dy[0]);
    return 0;
}

static int sub_grad(struct grad *g)
{
    grad_set(g, 0, g->dy[0]);
    grad_set(g, 1, emit1(g->b, "Neg", g->dy[0]));
    return 0;
}

static int mul_grad(struct grad *g)
{
    grad_set(g, 0, emit2(g->b, "Mul", g->dy[0], g->node->in[1]));
    grad_set(g, 1, emit2(g->b, "Mul", g->dy[0], g->node->in[0]));
    return 0;
}

/* da = dy / b, db = -da y */
static int div_grad(struct grad *g)
{
    struct value *d = emit2(g->b, "Div", g->dy[0], g->node->in[1]);
    grad_set(g, 0, d);
    grad_set(g, 1, emit1(g->b, "Neg", emit2(g->b, "Mul", d, g->node->out[0])));
    return 0;
}

/* y = a - b q with an integer q that is constant almost everywhere: da = dy, db = -q dy, q = (a - y) / b. */
static int mod_grad(struct grad *g)
{
    struct value *a = g->node->in[0], *b = g->node->in[1];
    struct value *q = emit2(g->b, "Div", emit2(g->b, "Sub", a, g->node->out[0]), b);
    grad_set(g, 0, g->dy[0]);
    grad_set(g, 1, emit1(g->b, "Neg", emit2(g->b, "Mul", q, g->dy[0])));
    return 0;
}

/* da = dy b a^(b-1), db = dy y log(a), 0 where a <= 0. */
static int pow_grad(struct grad *g)
{
    struct builder *b = g->b;
    struct value *x = g->node->in[0], *y = emit_cast(b, g->node->in[1], x->dtype), *zero = emit_scalar(b, x->dtype, 0);
    if (grad_wanted(g, 0)) {
        struct value *less = emit2(b, "Pow", x, emit2(b, "Sub", y, emit_scalar(b, x->dtype, 1)));
        grad_set(g, 0, emit2(b, "Mul", g->dy[0], emit2(b, "Mul", y, less)));
    }
    if (grad_wanted(g, 1)) {
        struct value *log_x = emit(b, "Where", NO_ATTRS, emit2(b, "Greater", x, zero), emit1(b, "Log", x), zero);
        struct value *d = emit2(b, "Mul", g->dy[0], emit2(b, "Mul", g->node->out[0], log_x));
        grad_set(g, 1, emit_cast(b, d, g->node->in[1]->dtype));
    }
    return 0;
}

static int floor_div_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *x = n->in[0], *y = n->in[1];
    if (dtype_is_float(x->dtype)) {
        out[0] = emit1(b, "Floor", emit2(b, "Div", x, y));
    } else { /* (x - x mod y) / y is exact */
        out[0] = emit2(b, "Div", emit2(b, "Sub", x, emit2(b, "Mod", x, y)), y);
    }
    return 0;
}

static int remainder_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *x = n->in[0], *y = n->in[1];
    if (dtype_is_float(x->dtype)) {
        out[0] = emit2(b, "Sub", x, emit2(b, "Mul", emit1(b, "Floor", emit2(b, "Div", x, y)), y));
    } else {
        out[0] = emit2(b, "Mod", x, y);
    }
    return 0;
}

/* --- known contents; k: a number, a symbol (at least 0) or unknown --- */

static bool both(const int64_t *k)
{
    return known_is_number(k[0]) && known_is_number(k[1]);
}

static int64_t add_known(const int64_t *k)
{
    if (both(k)) return contents_number((int64_t)((uint64_t)k[0] + (uint64_t)k[1]));
    return k[0] == 0 ? k[1] : k[1] == 0 ? k[0] : KNOWN_UNKNOWN;
}

static int64_t sub_known(const int64_t *k)
{
    if (both(k)) return contents_number((int64_t)((uint64_t)k[0] - (uint64_t)k[1]));
    return k[1] == 0 ? k[0] : k[0] == k[1] && k[0] != KNOWN_UNKNOWN ? 0 : KNOWN_UNKNOWN;
}

static int64_t mul_known(const int64_t *k)
{
    if (both(k)) return contents_number((int64_t)((uint64_t)k[0] * (uint64_t)k[1]));
    if (k[0] == 0 || k[1] == 0) return 0;
    return k[0] == 1 ? k[1] : k[1] == 1 ? k[0] : KNOWN_UNKNOWN;
}

static int64_t div_known(const int64_t *k)
{
    return both(k) ? contents_number(quotient(k[0], k[1])) : k[1] == 1 ? k[0] : KNOWN_UNKNOWN;
}

static int64_t floor_div_known(const int64_t *k)
{
    return both(k) ? contents_number(quotient_floor(k[0], k[1])) : k[1] == 1 ? k[0] : KNOWN_UNKNOWN;
}

static int64_t remainder_known(const int64_t *k)
{
    return both(k) ? remainder_floor(k[0], k[1]) : k[1] == 1 ? 0 : KNOWN_UNKNOWN;
}

static int64_t fmod_known(const int64_t *k)
{
    return both(k) ? remainder_c(k[0], k[1]) : k[1] == 1 ? 0 : KNOWN_UNKNOWN;
}

#define CONTENTS(name) \
    static int name##_contents(struct node *n, struct err *e) \
    { \
        return contents_map(n, name##_known); \
    }
CONTENTS(add)
CONTENTS(sub)
CONTENTS(mul)
CONTENTS(div)
CONTENTS(floor_div)
CONTENTS(remainder)

static int mod_contents(struct node *n, struct err *e)
{
    return contents_map(n, node_int(n, "fmod") ? fmod_known : remainder_known);
}

/* --- any number of inputs --- */

MAP2(max_f, double, x > y || x != x ? x : y)
MAP2(max_i, int64_t, x > y ? x : y)
MAP2(max_u, uint64_t, x > y ? x : y)
MAP2(min_f, double, x < y || x != x ? x : y)
MAP2(min_i, int64_t, x < y ? x : y)
MAP2(min_u, uint64_t, x < y ? x : y)
MAP1(scale_f, double, x *p[0])

static int max_run(const struct step *s, struct err *e)
{
    return elementwise_run(s, &(struct elementwise){ max_f, max_i, max_u, .fold = true }, NULL, e);
}

static int min_run(const struct step *s, struct err *e)
{
    return elementwise_run(s, &(struct elementwise){ min_f, min_i, min_u, .fold = true }, NULL, e);
}

static int sum_run(const struct step *s, struct err *e)
{
    return elementwise_run(s, &(struct elementwise){ add_f, .fold = true }, NULL, e);
}

static int mean_run(const struct step *s, struct err *e)
{
    double p = 1.0 / s->node->n_in;
    return elementwise_run(s, &(struct elementwise){ add_f, .fold = true, .last = scale_f }, &p, e);
}

static int sum_grad(struct grad *g)
{
    for (int i = 0; i < g->node->n_in; i++) grad_set(g, i, g->dy[0]);
    return 0;
}

static int mean_grad(struct grad *g)
{
    enum dtype t = g->node->in[0]->dtype;
    struct value *d = emit2(g->b, "Mul", g->dy[0], emit_scalar(g->b, t, 1.0 / g->node->n_in));
    for (int i = 0; i < g->node->n_in; i++) grad_set(g, i, d);
    return 0;
}

/* Of Max and Min: shared evenly by the inputs that hold the extreme. */
static int extreme_grad(struct grad *g)
{
    const struct node *n = g->node;
    enum dtype t = n->in[0]->dtype;
    struct value **hit = ARENA_ARRAY(g->b->g->arena, n->n_in, struct value *);
    TRY_MEM(hit, g->b->err);
    for (int i = 0; i < n->n_in; i++) hit[i] = emit_cast(g->b, emit2(g->b, "Equal", n->in[i], n->out[0]), t);
    struct value *hits = builder_emit(g->b, "Sum", NO_ATTRS, hit, n->n_in);
    struct value *share = emit2(g->b, "Div", g->dy[0], hits);
    for (int i = 0; i < n->n_in; i++) grad_set(g, i, emit2(g->b, "Mul", hit[i], share));
    return 0;
}

/* Row of an operator of two inputs. */
#define TWO(id, function, inference, help, example, ...) \
    { \
        .name = id, .doc = help, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .infer = inference, \
        .run = function##_run, .samples = example, .flags = OP_INPLACE __VA_ARGS__ \
    }
#define MANY(id, function, inference, help, gradient) \
    { \
        .name = id, .doc = help, .min_in = 1, .max_in = OP_VARIADIC, .min_out = 1, .max_out = 1, .flags = OP_INPLACE, \
        .infer = inference, .run = function##_run, .grad = gradient, \
        .samples = \
            "f32~[2,3,5] f32~[3,1] f32~[]; f64~[3]; f32~[7,300] f32~[7,300] f32~[300] f32~[7,1] f32~[1] f32~[] " \
            "f32~[300] f32~[7,1] f32~[7,300]" \
    }
#define SAMPLES_2 "f32[2,3,5] f32[2,3,5]; f32[4,1,3] f32[2,1]; f16[5] f16[]; i64<9>[2,3] i64<9>[3]; u8<9>[9] u8<4>[9]"
#define SAMPLES_DIV "f32[2,3,5] f32+[2,3,5]; f32[4,1,3] f32+[2,1]; i64{-7,-1,0,7,5} i64{2,-1,0,-2,0}; u8<9>[9] u8<4>[9]"

const struct op ops_arith[] = {
    TWO("Add", add, infer_number_broadcast, "a + b", SAMPLES_2, , .grad = add_grad, .contents = add_contents),
    TWO("Sub", sub, infer_number_broadcast, "a - b", SAMPLES_2, , .grad = sub_grad, .contents = sub_contents),
    TWO("Mul", mul, infer_number_broadcast, "a b", SAMPLES_2, , .grad = mul_grad, .contents = mul_contents),
    TWO("Div", div, infer_number_broadcast, "a / b; integers truncate, and give 0 divided by 0", SAMPLES_DIV, ,
        .grad = div_grad, .contents = div_contents),
    TWO("Mod", mod, mod_infer, "remainder of a / b",
        "f32~[2,3,5] f32{0.7,0.9,1.1,-0.8,1.3} | fmod=1; i64{-7,7,-7,3} i64{2,-2,0,-1}; i64{-7,7,3} i64{2,-2,0} | "
        "fmod=1; "
        "u8<9>[9] u8<4>[9]",
        , .attrs = mod_attrs, .grad = mod_grad, .contents = mod_contents),
    TWO("FloorDiv", floor_div, infer_number_broadcast, "floor(a / b)", SAMPLES_DIV, | OP_OWN, .grad = grad_zero,
        .expand = floor_div_expand, .contents = floor_div_contents),
    TWO("Remainder", remainder, infer_number_broadcast, "a - b floor(a / b)",
        "f32~[2,3,5] f32{0.7,0.9,1.1,-0.8,1.3}; i64{-7,7,-7,3} i64{2,-2,0,-1}; u8<9>[9] u8<4>[9]", | OP_OWN,
        .grad = mod_grad, .expand = remainder_expand, .contents = remainder_contents),
    TWO("Pow", pow, pow_infer, "a to the power of b",
        "f32+[2,3,5] f32[2,3,5]; f32[4] f32{2}; f32+[4,1,3] f32[2,1]; i64<5>[6] i64<4>[6]; f32[5] i64<3>[5]; "
        "i32<4>[5] f32{0.5}",
        , .grad = pow_grad),
    MANY("Max", max, infer_number_broadcast, "the largest of the inputs", extreme_grad),
    MANY("Min", min, infer_number_broadcast, "the smallest of the inputs", extreme_grad),
    MANY("Sum", sum, infer_float_broadcast, "the sum of the inputs", sum_grad),
    MANY("Mean", mean, infer_float_broadcast, "the mean of the inputs", mean_grad),
    UNARY_ROWS(Abs, "~", infer_number, NULL, "y = |x|"),
    UNARY_ROWS(Neg, "", infer_number, NULL, "y = -x"),
    UNARY_ROWS(Sign, "~", infer_number, NULL, "y = -1, 0 or 1"),
    UNARY_ROWS(Reciprocal, "+", infer_float, NULL, "y = 1 / x"),
    UNARY_ROWS(Sqrt, "+", infer_float, NULL, "y = sqrt(x)"),
    UNARY_ROWS(Exp, "", infer_float, NULL, "y = exp(x)"),
    UNARY_ROWS(Log, "+", infer_float, NULL, "y = log(x)"),
    UNARY_ROWS(Erf, "", infer_number, NULL, "y = erf(x)"),
    UNARY_ROWS(Floor, "~", infer_float, NULL, "the next integer below"),
    UNARY_ROWS(Ceil, "~", infer_float, NULL, "the next integer above"),
    UNARY_ROWS(Round, "~", infer_float, NULL, "the nearest integer, halves to the even one"),
    UNARY_ROWS(Sin, "", infer_float, NULL, "y = sin(x)"),
    UNARY_ROWS(Cos, "", infer_float, NULL, "y = cos(x)"),
    UNARY_ROWS(Tan, "%", infer_float, NULL, "y = tan(x)"),
    UNARY_ROWS(Asin, "%", infer_float, NULL, "y = asin(x)"),
    UNARY_ROWS(Acos, "%", infer_float, NULL, "y = acos(x)"),
    UNARY_ROWS(Atan, "", infer_float, NULL, "y = atan(x)"),
    UNARY_ROWS(Sinh, "", infer_float, NULL, "y = sinh(x)"),
    UNARY_ROWS(Cosh, "", infer_float, NULL, "y = cosh(x)"),
    UNARY_ROWS(Asinh, "", infer_float, NULL, "y = asinh(x)"),
    UNARY_ROWS(Acosh, "^", infer_float, NULL, "y = acosh(x)"),
    UNARY_ROWS(Atanh, "%", infer_float, NULL, "y = atanh(x)"),
    { 0 },
};
