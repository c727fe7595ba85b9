/* logic.c - comparisons, logic, bits and choice, element by element. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/team.h"
#include "graph/builder.h"
#include "graph/known.h"
#include "ops/contents.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/unary.h"

/* --- comparisons --- */

#define COMPARE(name, operator) \
    MAP2(name##_f, double, x operator y) \
    MAP2(name##_i, int64_t, x operator y) \
    MAP2(name##_u, uint64_t, x operator y) \
    static const struct elementwise name##_map = { name##_f, name##_i, name##_u }; \
    static int name##_run(const struct step *s, struct err *e) \
    { \
        return elementwise_run(s, &name##_map, NULL, e); \
    }
COMPARE(less, <)
COMPARE(less_equal, <=)
COMPARE(greater, >)
COMPARE(greater_equal, >=)
COMPARE(equal, ==)

static int equal_infer(struct node *n, struct err *e)
{
    for (int i = 0; i < 2; i++)
        if (n->in[i]->dtype != DT_STRING) TRY(infer_type(n, i, TYPES_NUMBER | TYPES_BOOL, e));
    return infer_compare(n, e);
}

static bool same_text(const struct string_element *a, const struct string_element *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->text, b->text, a->len));
}

static int equal_any_run(const struct step *s, struct err *e)
{
    if (s->in[0]->dtype != DT_STRING) return equal_run(s, e);
    struct shape *shape = &s->out[0]->shape;
    int64_t strides[2][SHAPE_MAX];
    for (int k = 0; k < 2; k++) broadcast_strides(&s->in[k]->shape, shape, strides[k]);
    const struct string_element *a = s->in[0]->data, *b = s->in[1]->data;
    unsigned char *y = s->out[0]->data;
    struct loop l;
    for (loop_init(&l, shape->rank, shape->dim, 2, (const int64_t *[]){ strides[0], strides[1] }); l.ok; loop_next(&l))
        *y++ = same_text(&a[l.at[0]], &b[l.at[1]]);
    return 0;
}

/* A symbol is a dimension, so never negative. */
static int64_t equal_known(const int64_t *k)
{
    bool a = known_is_number(k[0]), b = known_is_number(k[1]);
    if (a && b) return k[0] == k[1];
    if (k[0] == KNOWN_UNKNOWN || k[1] == KNOWN_UNKNOWN) return KNOWN_UNKNOWN;
    if (k[0] == k[1]) return 1;
    return (a && k[0] < 0) || (b && k[1] < 0) ? 0 : KNOWN_UNKNOWN;
}

static int equal_contents(struct node *n, struct err *e)
{
    return contents_map(n, equal_known);
}

/* --- logic and bits --- */

#define BITS(name, expr) \
    MAP2(name##_i, int64_t, expr) \
    static int name##_run(const struct step *s, struct err *e) \
    { \
        return elementwise_run(s, &(struct elementwise){ .i = name##_i }, NULL, e); \
    }
BITS(and, x &y)
BITS(or, x | y)
BITS(xor, x ^ y)

MAP1(not_i, int64_t, !x)
MAP1(complement_i, int64_t, ~x)
MAP2(shift_i, int64_t, (uint64_t)y > 63 ? 0 : p[0] > 0 ? (uint64_t)x << y : (uint64_t)x >> y)

static int not_run(const struct step *s, struct err *e)
{
    return elementwise_run(s, &(struct elementwise){ .i = not_i }, NULL, e);
}

static int complement_run(const struct step *s, struct err *e)
{
    return elementwise_run(s, &(struct elementwise){ .i = complement_i }, NULL, e);
}

static int not_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_BOOL, e));
    return infer_same(n, e);
}

static int complement_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_INTEGER, e));
    return infer_same(n, e);
}

static const struct attr_spec shift_attrs[] = {
    { .name = "direction", .type = ATTR_STRING, .presence = ATTR_REQUIRED, .doc = "LEFT or RIGHT" }, { 0 }
};

static int shift_infer(struct node *n, struct err *e)
{
    const char *direction = node_string(n, "direction");
    if (strcmp(direction, "LEFT") && strcmp(direction, "RIGHT"))
        return fail(e, ERR_MODEL, "direction is \"%s\", expected LEFT or RIGHT", direction);
    for (int i = 0; i < 2; i++) TRY(infer_type(n, i, TYPES_UNSIGNED, e));
    return infer_broadcast(n, e);
}

static int shift_run(const struct step *s, struct err *e)
{
    double p = strcmp(node_string(s->node, "direction"), "LEFT") ? -1 : 1;
    return elementwise_run(s, &(struct elementwise){ .i = shift_i }, &p, e);
}

/* --- kinds of floats --- */

static const struct attr_spec is_inf_attrs[] = {
    { .name = "detect_negative", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = 1 },
    { .name = "detect_positive", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = 1 },
    { 0 },
};
MAP1(is_nan_f, double, isnan(x) != 0)
MAP1(is_inf_f, double, isinf(x) && (x < 0 ? p[0] : p[1]))

static int is_nan_run(const struct step *s, struct err *e)
{
    return unary_run(s, &(struct elementwise){ .f = is_nan_f }, e);
}

static int is_inf_run(const struct step *s, struct err *e)
{
    return unary_run(s, &(struct elementwise){ .f = is_inf_f }, e);
}

static int kind_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    infer_out(n, 0, DT_BOOL, &n->in[0]->shape);
    return 0;
}

/* --- Where: any type, by the size of its elements --- */

static int where_infer(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_BOOL, e));
    TRY(infer_same_types(n, 1, 3, e));
    return infer_broadcast_as(n, n->in[1]->dtype ? n->in[1]->dtype : n->in[2]->dtype, e);
}

struct choice {
    const struct step *s;
    int64_t strides[3][SHAPE_MAX];
    size_t size;
};

/* Rows [begin, end) of the last dimension. */
static void where_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct choice *c = ctx;
    const struct shape *shape = &c->s->out[0]->shape;
    int last = shape->rank - 1;
    int64_t len = shape->dim[last];
    const unsigned char *in[3];
    for (int64_t row = begin; row < end; row++) {
        int64_t at[3] = { 0 }, rest = row;
        for (int d = last - 1; d >= 0; d--) {
            for (int k = 0; k < 3; k++) at[k] += rest % shape->dim[d] * c->strides[k][d];
            rest /= shape->dim[d];
        }
        for (int k = 0; k < 3; k++) in[k] = (unsigned char *)c->s->in[k]->data + (size_t)at[k] * (k ? c->size : 1);
        unsigned char *y = (unsigned char *)c->s->out[0]->data + (size_t)(row * len) * c->size;
        for (int64_t i = 0; i < len; i++, y += c->size) {
            int k = in[0][i * c->strides[0][last]] ? 1 : 2;
            memcpy(y, in[k] + (size_t)(i * c->strides[k][last]) * c->size, c->size);
        }
    }
}

static int where_run(const struct step *s, struct err *e)
{
    struct choice c = { .s = s, .size = dtype_size(s->out[0]->dtype) };
    const struct shape *shape = &s->out[0]->shape;
    for (int k = 0; k < 3; k++) broadcast_strides(&s->in[k]->shape, shape, c.strides[k]);
    if (shape->rank) {
        int64_t len = shape->dim[shape->rank - 1];
        team_run(s->threads, shape_span(shape, 0, shape->rank - 1), 1 + 8192 / (len + 1), where_rows, &c);
    } else {
        memcpy(s->out[0]->data, s->in[*(unsigned char *)s->in[0]->data ? 1 : 2]->data, c.size);
    }
    return 0;
}

static int64_t where_known(const int64_t *k)
{
    if (k[1] == k[2]) return k[1];
    return known_is_number(k[0]) ? k[k[0] ? 1 : 2] : KNOWN_UNKNOWN;
}

static int where_contents(struct node *n, struct err *e)
{
    return contents_map(n, where_known);
}

static int where_grad(struct grad *g)
{
    struct value *c = g->node->in[0], *zero = emit_scalar(g->b, g->node->out[0]->dtype, 0);
    grad_set(g, 1, emit(g->b, "Where", NO_ATTRS, c, g->dy[0], zero));
    grad_set(g, 2, emit(g->b, "Where", NO_ATTRS, c, zero, g->dy[0]));
    return 0;
}

#define ROW(id, inputs, function, inference, help, example, ...) \
    { \
        .name = id, .doc = help, .min_in = inputs, .max_in = inputs, .min_out = 1, .max_out = 1, .infer = inference, \
        .run = function##_run, .samples = example, __VA_ARGS__ \
    }
#define SAMPLES_COMPARE \
    "f32~[2,3,5] f32~[3,1]; i64<3>[40] i64<3>[40]; u8<3>[40] u8<3>[]; u64<3>[4] u64{18446744073709551615}"
#define SAMPLES_LOGIC "bool<2>[2,3,5] bool<2>[3,1]; bool<2>[20] bool<2>[20]"
#define SAMPLES_BITS "u8<256>[40] u8<256>[40]; i32{-1,5,-8} i32{3}; u64<99>[2,3] u64<99>[3]"

const struct op ops_logic[] = {
    ROW("Less", 2, less, infer_number_compare, "a < b", SAMPLES_COMPARE),
    ROW("LessOrEqual", 2, less_equal, infer_number_compare, "a <= b", SAMPLES_COMPARE),
    ROW("Greater", 2, greater, infer_number_compare, "a > b", SAMPLES_COMPARE),
    ROW("GreaterOrEqual", 2, greater_equal, infer_number_compare, "a >= b", SAMPLES_COMPARE),
    ROW("Equal", 2, equal_any, equal_infer, "a = b", SAMPLES_COMPARE "; bool<2>[9] bool<2>[9]; string{a,b,} string{a}",
        .contents = equal_contents),
    ROW("And", 2, and, infer_bool_broadcast, "a and b", SAMPLES_LOGIC, .flags = OP_INPLACE),
    ROW("Or", 2, or, infer_bool_broadcast, "a or b", SAMPLES_LOGIC, .flags = OP_INPLACE),
    ROW("Xor", 2, xor, infer_bool_broadcast, "a or b, not both", SAMPLES_LOGIC, .flags = OP_INPLACE),
    ROW("Not", 1, not, not_infer, "not a", "bool<2>[2,3,5]", .flags = OP_INPLACE),
    ROW("BitwiseAnd", 2, and, infer_integer_broadcast, "bits of a and b", SAMPLES_BITS, .flags = OP_INPLACE),
    ROW("BitwiseOr", 2, or, infer_integer_broadcast, "bits of a or b", SAMPLES_BITS, .flags = OP_INPLACE),
    ROW("BitwiseXor", 2, xor, infer_integer_broadcast, "bits of a or b, not both", SAMPLES_BITS, .flags = OP_INPLACE),
    ROW("BitwiseNot", 1, complement, complement_infer, "bits not in a", "u8<256>[40]; i32{-1,5}", .flags = OP_INPLACE),
    ROW("BitShift", 2, shift, shift_infer, "a moved by b bits",
        "u8<256>[40] u8<9>[40] | direction=LEFT; u64<99>[2,3] u64<3>[3] | direction=RIGHT", .attrs = shift_attrs,
        .flags = OP_INPLACE),
    ROW("IsNaN", 1, is_nan, kind_infer, "a is not a number", "f32{1,nan,inf,-inf,0}; f16[5]"),
    ROW("IsInf", 1, is_inf, kind_infer, "a is infinite",
        "f32{1,nan,inf,-inf,0}; f32{-inf,inf} | detect_negative=0; f64{-inf,inf} | detect_positive=0",
        .attrs = is_inf_attrs),
    ROW("Where", 3, where, where_infer, "c ? a : b, of (c, a, b)",
        "bool<2>[2,3,5] f32[2,3,5] f32[5]; bool<2>[3,1] f32[4] f32[2,1,1]; bool{1} i64[] i64{3}; "
        "bool<2>[3] string{a,b,c} string{d}; bool{0} f64[] f64[]",
        .grad = where_grad, .contents = where_contents),
    { 0 },
};
