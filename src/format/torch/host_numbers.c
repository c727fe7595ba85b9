/* host_numbers.c - arithmetic and comparison of host numbers; those that depend on shapes get graph nodes beside
 * them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/torch/eval.h"
#include "format/torch/region.h"
#include "graph/known.h"

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

static double remainder_of(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* One row per function of two numbers. Whole numbers wrap as in C++. */
enum result { SAME, REAL, TRUTH };
static const struct binary {
    const char *name, *onnx; /* NULL: no node; the hints are pinned */
    enum result result;
    enum {
        ADD,
        SUB,
        MUL,
        DIV,
        FLOORDIV,
        REMAINDER,
        POW,
        MIN,
        MAX,
        EQ,
        NE,
        LT,
        LE,
        GT,
        GE,
        AND,
        OR,
        XOR,
        SHL,
        SHR
    } what;
} binaries[] = {
    { "add", "Add", SAME, ADD },
    { "sub", "Sub", SAME, SUB },
    { "mul", "Mul", SAME, MUL },
    { "div", "Div", REAL, DIV },
    { "floordiv", "Div", SAME, FLOORDIV },
    { "floor_divide", "Div", SAME, FLOORDIV },
    { "remainder", "Mod", SAME, REMAINDER },
    { "pow", NULL, SAME, POW },
    { "ops.prim.min", "Min", SAME, MIN },
    { "ops.prim.max", "Max", SAME, MAX },
    { "eq", "Equal", TRUTH, EQ },
    { "ne", NULL, TRUTH, NE },
    { "lt", "Less", TRUTH, LT },
    { "le", "LessOrEqual", TRUTH, LE },
    { "gt", "Greater", TRUTH, GT },
    { "ge", "GreaterOrEqual", TRUTH, GE },
    { "__and__", NULL, SAME, AND },
    { "__or__", NULL, SAME, OR },
    { "__xor__", NULL, SAME, XOR },
    { "__lshift__", NULL, SAME, SHL },
    { "__rshift__", NULL, SAME, SHR },
};

static const struct binary *find_binary(const char *name)
{
    if (str_starts(name, "torch.")) name += 6;
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
        if (!strcmp(binaries[i].name, name)) return &binaries[i];
    return NULL;
}

static bool compute_ints(const struct binary *f, int64_t a, int64_t b, int64_t *out)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    bool division = f->what == FLOORDIV || f->what == REMAINDER;
    if (division && (b == 0 || (a == INT64_MIN && b == -1))) return false;
    switch ((int)f->what) {
    case ADD: *out = (int64_t)(x + y); return true;
    case SUB: *out = (int64_t)(x - y); return true;
    case MUL: *out = (int64_t)(x * y); return true;
    case FLOORDIV: *out = floor_div(a, b); return true;
    case REMAINDER: *out = a - floor_div(a, b) * b; return true;
    case POW: *out = (int64_t)pow((double)a, (double)b); return b >= 0 && fabs(pow((double)a, (double)b)) < 9e15;
    case MIN: *out = a < b ? a : b; return true;
    case MAX: *out = a > b ? a : b; return true;
    case AND: *out = a & b; return true;
    case OR: *out = a | b; return true;
    case XOR: *out = a ^ b; return true;
    case SHL: *out = (int64_t)(x << (y & 63)); return true;
    default: *out = a >> (y & 63); return true;
    }
}

static double compute_reals(const struct binary *f, double a, double b)
{
    switch ((int)f->what) {
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case DIV: return a / b;
    case FLOORDIV: return floor(a / b);
    case REMAINDER: return remainder_of(a, b);
    case POW: return pow(a, b);
    case MIN: return a < b ? a : b;
    case MAX: return a > b ? a : b;
    default: return NAN;
    }
}

static bool compare(const struct binary *f, double a, double b)
{
    switch ((int)f->what) {
    case EQ: return a == b;
    case NE: return a != b;
    case LT: return a < b;
    case LE: return a <= b;
    case GT: return a > b;
    default: return a >= b;
    }
}

/* The node beside the hint: of int64, of float64 when one is a float. */
static struct value *binary_value(
    struct eval *v, const struct binary *f, const struct object *a, const struct object *b)
{
    if (!a->value && !b->value) return NULL;
    bool ints = a->kind != OBJECT_FLOAT && b->kind != OBJECT_FLOAT && f->result != REAL;
    bool negative = f->what == FLOORDIV && (object_number(a) < 0 || object_number(b) < 0);
    v->t.b.where = eval_where(v);
    if ((!f->onnx && f->what != NE) || negative || (f->what == FLOORDIV && !ints) || (f->what == REMAINDER && !ints)) {
        torch_guard(&v->t, a);
        torch_guard(&v->t, b);
        return NULL;
    }
    enum dtype t = ints ? DT_I64 : DT_F64;
    struct value *y = emit(
        &v->t.b, f->onnx ? f->onnx : "Equal", NO_ATTRS, torch_scalar(&v->t, a, t), torch_scalar(&v->t, b, t));
    if (f->what == NE) y = emit(&v->t.b, "Not", NO_ATTRS, y);
    torch_settle(&v->t);
    y = value_resolve(y);
    return y && y->kind == VALUE_CONST ? NULL : y;
}

static struct object *binary_numbers(struct host_call *c, const struct binary *f, struct object *a, struct object *b)
{
    struct eval *v = c->v;
    struct value *value = binary_value(v, f, a, b);
    if (v->err->code) return NULL;
    double x = object_number(a), y = object_number(b);
    bool ints = a->kind != OBJECT_FLOAT && b->kind != OBJECT_FLOAT;
    if (f->result == TRUTH) {
        bool exact = a->kind == OBJECT_INT && b->kind == OBJECT_INT; /* beyond 2^53 */
        int order = exact ? (a->integer > b->integer) - (a->integer < b->integer) : 0;
        return object_bool(v->arena, exact ? compare(f, order, 0) : compare(f, x, y), value);
    }
    if (f->result == REAL || !ints) {
        if (f->what == DIV && y == 0) return host_fail(c, "division by zero");
        return object_float(v->arena, compute_reals(f, x, y), value);
    }
    int64_t i;
    int64_t p = a->kind == OBJECT_INT ? a->integer : a->boolean, q = b->kind == OBJECT_INT ? b->integer : b->boolean;
    if (f->what == POW && q < 0) return object_float(v->arena, pow(x, y), value);
    if (!compute_ints(f, p, q, &i)) return host_fail(c, "division by zero or overflow");
    bool bools = a->kind == OBJECT_BOOL && b->kind == OBJECT_BOOL && f->what >= AND;
    return bools ? object_bool(v->arena, i != 0, value) : object_int(v->arena, i, value);
}

enum { REPEAT_MAX = 1 << 20 };

static struct object *add_lists(struct host_call *c, const struct object *a, const struct object *b, int64_t times)
{
    struct object *out = object_list(c->v->arena, a->kind);
    if (times > 0 && a->list->n && (uint64_t)times > REPEAT_MAX / a->list->n) return host_fail(c, "a very long list");
    for (int64_t k = 0; k < times; k++)
        for (size_t i = 0; out && i < a->list->n; i++)
            if (!object_append(c->v->arena, out, a->list->items[i])) return NULL;
    for (size_t i = 0; out && b && i < b->list->n; i++)
        if (!object_append(c->v->arena, out, b->list->items[i])) return NULL;
    return out;
}

static bool is_list(const struct object *o)
{
    return o->kind == OBJECT_LIST || o->kind == OBJECT_TUPLE;
}

/* Are item i of both one size for every input: one graph value, or one symbol? */
static bool is_same_size(const struct object *a, const struct object *b, size_t i)
{
    if (!is_list(a) || !is_list(b) || i >= a->list->n || i >= b->list->n) return false;
    struct value *x = value_resolve(a->list->items[i]->value), *y = value_resolve(b->list->items[i]->value);
    int64_t k[KNOWN_MAX], l[KNOWN_MAX];
    if (!x || x == y) return x && x == y;
    return value_contents(x, k) == 1 && value_contents(y, l) == 1 && k[0] == l[0] && k[0] != KNOWN_UNKNOWN;
}

/* == of anything; of lists of numbers that depend on shapes, element by element, with guards. */
static struct object *equal_objects(
    struct host_call *c, const struct binary *f, const struct object *a, const struct object *b)
{
    for (int k = 0; k < 2; k++) {
        const struct object *o = k ? b : a;
        c->v->t.b.where = eval_where(c->v);
        for (size_t i = 0; is_list(o) && i < o->list->n; i++)
            if (!is_same_size(a, b, i) && torch_guard(&c->v->t, o->list->items[i])) return NULL;
    }
    return object_bool(c->v->arena, object_equal(a, b) == (f->what == EQ), NULL);
}

/* The lesser or the greater of two numbers of which one at least only a run knows. */
static struct object *data_extreme(
    struct host_call *c, const struct binary *f, const struct object *a, const struct object *b)
{
    struct value *x = region_value(c->v, a, DT_I64), *y = region_value(c->v, b, DT_I64);
    bool data = x && y && (a->number || b->number);
    if (!data) return host_fail(c, "items that are no numbers");
    struct value *best = emit(&c->v->t.b, f->what == MIN ? "Min" : "Max", NO_ATTRS, x, y);
    return best ? region_result(c->v, best, a->number ? a : b) : NULL;
}

static struct object *extreme(struct host_call *c, const struct binary *f, const struct object_list *l)
{
    struct object *best = l->n ? l->items[0] : NULL;
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i]->kind == OBJECT_UNKNOWN) return l->items[i];
    for (size_t i = 1; best && i < l->n; i++) {
        bool known = object_is_number(best) && object_is_number(l->items[i]);
        best = known ? binary_numbers(c, f, best, l->items[i]) : data_extreme(c, f, best, l->items[i]);
    }
    return best ? best : host_fail(c, "of an empty list");
}

static struct object *run_binary(struct host_call *c)
{
    const struct binary *f = find_binary(c->name);
    struct object *a = host_arg(c, 0), *b = host_arg(c, 1);
    if (!a || !f) return host_fail(c, "arguments are missing");
    bool lists = a->kind == OBJECT_LIST || a->kind == OBJECT_TUPLE;
    if (!b)
        return lists && (f->what == MIN || f->what == MAX) ? extreme(c, f, a->list)
                                                           : host_fail(c, "an argument is missing");
    if (object_is_number(a) && object_is_number(b)) return binary_numbers(c, f, a, b);
    if (f->what == EQ || f->what == NE) return equal_objects(c, f, a, b);
    if (lists && b->kind == a->kind && f->what == ADD) return add_lists(c, a, b, 1);
    if (lists && b->kind == OBJECT_INT && f->what == MUL) return add_lists(c, a, NULL, b->integer);
    if (a->kind == OBJECT_STR && b->kind == OBJECT_STR && f->what == ADD) {
        const char *s = arena_printf(c->v->arena, "%s%s", a->text, b->text);
        return s ? object_str(c->v->arena, OBJECT_STR, s) : NULL;
    }
    return host_fail(c, "not for these");
}

static const struct unary {
    const char *name, *onnx;
    double (*compute)(double x);
    bool to_int;
} unaries[] = {
    { "neg", "Neg", NULL, false },
    { "abs", "Abs", fabs, false },
    { "ops.prim.abs", "Abs", fabs, false },
    { "sqrt", "Sqrt", sqrt, false },
    { "floor", "Floor", floor, true },
    { "ceil", "Ceil", ceil, true },
    { "round", "Round", nearbyint, false },
    { "log", "Log", log, false },
    { "exp", "Exp", exp, false },
    { "log2", NULL, log2, false },
    { "log10", NULL, log10, false },
    { "sin", NULL, sin, false },
    { "cos", NULL, cos, false },
    { "tan", NULL, tan, false },
    { "tanh", NULL, tanh, false },
    { "trunc", NULL, trunc, true },
};

static double negate(double x)
{
    return -x;
}

static struct object *run_unary(struct host_call *c)
{
    struct object *a = host_arg(c, 0);
    struct eval *v = c->v;
    const struct unary *f = unaries;
    const char *name = str_starts(c->name, "torch.") ? c->name + 6 : c->name;
    while (strcmp(f->name, name)) f++;
    if (!a || !object_is_number(a)) return host_fail(c, "not a number");
    double x = (f->compute ? f->compute : negate)(object_number(a));
    bool sign = f->compute == NULL || f->compute == fabs;
    if (a->value && !f->onnx) torch_guard(&v->t, a);
    struct value *y = a->value && f->onnx
        ? emit(&v->t.b, f->onnx, NO_ATTRS, torch_scalar(&v->t, a, sign && a->kind == OBJECT_INT ? DT_I64 : DT_F64))
        : NULL;
    if (f->to_int && y) y = emit_cast(&v->t.b, y, DT_I64);
    if (v->err->code || torch_settle(&v->t)) return NULL;
    if (sign && a->kind == OBJECT_INT) {
        bool flip = f->compute == NULL || a->integer < 0;
        return object_int(v->arena, flip ? (int64_t)(0 - (uint64_t)a->integer) : a->integer, y);
    }
    if (!f->to_int) return object_float(v->arena, x, y);
    return fabs(x) < 9e18 ? object_int(v->arena, (int64_t)x, y) : host_fail(c, "no whole number of 64 bits");
}

static struct object *run_not(struct host_call *c)
{
    struct object *a = host_arg(c, 0);
    if (!a) return host_fail(c, "an argument is missing");
    struct value *y = a->value ? emit(&c->v->t.b, "Not", NO_ATTRS, emit_cast(&c->v->t.b, a->value, DT_BOOL)) : NULL;
    if (torch_settle(&c->v->t)) return NULL;
    return object_bool(c->v->arena, !object_truth(a), y);
}

static struct object *run_is(struct host_call *c)
{
    const struct object *a = host_arg(c, 0), *b = host_arg(c, 1);
    if (!a || !b) return host_fail(c, "an argument is missing");
    if (a->kind == OBJECT_UNKNOWN || b->kind == OBJECT_UNKNOWN) /* whatever it is, it is not None */
        return object_bool(c->v->arena, (a->kind == b->kind) == !strstr(c->name, "isnot"), NULL);
    return object_bool(c->v->arena, object_equal(a, b) == !strstr(c->name, "isnot"), NULL);
}

static struct object *convert(struct host_call *c, enum object_kind kind)
{
    struct object *a = host_arg(c, 0);
    if (!a) return host_fail(c, "an argument is missing");
    if (a->kind == OBJECT_TENSOR) return host_extract(c->v, a, kind);
    if (a->kind == OBJECT_STR && kind != OBJECT_BOOL) {
        struct object *x = object_float(c->v->arena, strtod(a->text, NULL), NULL);
        return x ? host_convert(c->v, x, kind) : NULL;
    }
    return host_convert(c->v, a, kind);
}

static struct object *run_int(struct host_call *c)
{
    return convert(c, OBJECT_INT);
}
static struct object *run_float(struct host_call *c)
{
    return convert(c, OBJECT_FLOAT);
}
static struct object *run_bool(struct host_call *c)
{
    return convert(c, OBJECT_BOOL);
}
static struct object *run_item(struct host_call *c)
{
    return convert(c, OBJECT_NONE);
}

static struct object *run_range_length(struct host_call *c)
{
    for (size_t i = 0; i < 3; i++)
        if (!object_is(host_arg(c, i), OBJECT_INT) || torch_guard(&c->v->t, c->args[i]))
            return host_fail(c, "not three ints");
    int64_t lo = c->args[0]->integer, hi = c->args[1]->integer, step = c->args[2]->integer, span;
    if (!step || __builtin_sub_overflow(hi, lo, &span)) return host_fail(c, "a range without an end");
    if ((step > 0) != (span > 0) || !span) return object_int(c->v->arena, 0, NULL);
    return object_int(c->v->arena, 1 + (step > 0 ? span - 1 : span + 1) / step, NULL);
}

static struct object *run_derive_index(struct host_call *c)
{
    for (size_t i = 0; i < 3; i++)
        if (!object_is(host_arg(c, i), OBJECT_INT)) return host_fail(c, "not three ints");
    uint64_t at = (uint64_t)c->args[1]->integer + (uint64_t)c->args[0]->integer * (uint64_t)c->args[2]->integer;
    return object_int(c->v->arena, (int64_t)at, NULL);
}

const struct host_row host_numbers[] = {
    { "add", run_binary, true },
    { "sub", run_binary, true },
    { "mul", run_binary, true },
    { "div", run_binary, true },
    { "floordiv", run_binary, true },
    { "floor_divide", run_binary, true },
    { "remainder", run_binary, true },
    { "pow", run_binary, true },
    { "eq", run_binary, true },
    { "ne", run_binary, true },
    { "lt", run_binary, true },
    { "le", run_binary, true },
    { "gt", run_binary, true },
    { "ge", run_binary, true },
    { "__and__", run_binary, true },
    { "__or__", run_binary, true },
    { "__xor__", run_binary, true },
    { "__lshift__", run_binary, true },
    { "__rshift__", run_binary, true },
    { "ops.prim.min", run_binary },
    { "ops.prim.max", run_binary },
    { "neg", run_unary, true },
    { "abs", run_unary, true },
    { "ops.prim.abs", run_unary },
    { "sqrt", run_unary, true },
    { "floor", run_unary, true },
    { "ceil", run_unary, true },
    { "round", run_unary, true },
    { "log", run_unary, true },
    { "exp", run_unary, true },
    { "log2", run_unary, true },
    { "log10", run_unary, true },
    { "sin", run_unary, true },
    { "cos", run_unary, true },
    { "tan", run_unary, true },
    { "tanh", run_unary, true },
    { "trunc", run_unary, true },
    { "__not__", run_not },
    { "__is__", run_is, false, true },
    { "__isnot__", run_is, false, true },
    { "int", run_int },
    { "float", run_float },
    { "bool", run_bool },
    { "item", run_item },
    { "ScalarImplicit", run_item },
    { "IntImplicit", run_int },
    { "FloatImplicit", run_float },
    { "__range_length", run_range_length },
    { "__derive_index", run_derive_index },
    { 0 },
};
