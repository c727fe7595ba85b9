/* op_array.c - operations of Keras 3 and of tf.keras on whole arrays: ordering, running sums, products, filling. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "format/keras/ops.h"

static struct value *plain_argument(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    return t ? as_plain(c, t) : NULL;
}

/* The second operand, in the type of the first. */
static struct value *second(struct call *c, const struct value *x)
{
    const json_t *arg = op_argument(c, 1, "y x2 b");
    struct value *y = x && arg ? operand(c, arg, x->dtype) : NULL;
    if (x && !arg) call_fail(c, ERR_MODEL, "it has not two arguments");
    return y ? emit_cast(c->b, y, x->dtype) : NULL;
}

static int one_axis(struct call *c, size_t place, int64_t otherwise, int rank)
{
    int axis = shape_axis(op_int(c, place, "axis", otherwise), rank);
    if (axis < 0) call_fail(c, ERR_MODEL, "its axis is not one of the input's");
    return axis;
}

static struct ktensor *lower_running(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t axis = x ? one_axis(c, 1, -9, x->shape.rank) : -1;
    struct attr attrs[] = { attr_int("exclusive", op_bool(c, 2, "exclusive", false)),
        attr_int("reverse", op_bool(c, 3, "reverse", false)), { 0 } };
    return axis < 0 ? NULL : ktensor_plain(c, emit(c->b, c->layer->row->onnx, attrs, x, emit_i64(c->b, axis)));
}

/* Each number less the one before it. */
static struct ktensor *lower_diff(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t n = op_int(c, 1, "n", 1), axis = x ? one_axis(c, 2, -1, x->shape.rank) : -1;
    if (axis < 0 || n < 0 || n > 8) return axis < 0 ? NULL : (call_fail(c, ERR_UNSUPPORTED, "its n"), NULL);
    while (n--)
        x = k_op2(c, "Sub", k_slice(c, x, axis, 1, INT64_MAX, 1), k_slice(c, x, axis, 0, -1, 1));
    return ktensor_plain(c, x);
}

/* sort, argsort (ascending) and top_k (descending), which are one operator; equal numbers keep their order. */
static struct ktensor *lower_order(struct call *c)
{
    char name[64];
    struct value *x = plain_argument(c);
    bool top = !strcmp(op_name(c, name), "top_k"), places = !strcmp(name, "argsort");
    int axis = !x ? -1 : top ? x->shape.rank - 1 : one_axis(c, 1, -1, x->shape.rank);
    const char *direction = json_string_value(op_argument(c, 2, "direction"));
    bool falling = top || (direction && !strcmp(direction, "DESCENDING"));
    if (axis < 0) return NULL;
    struct attr attrs[] = { attr_int("axis", axis), attr_int("largest", falling), { 0 } };
    struct value *in[] = { x, top ? emit_i64s(c->b, &(int64_t){ op_int(c, 1, "k", 1) }, 1) : k_size(c, x, axis) };
    struct node *n = builder_node(c->b, "TopK", attrs, in, 2, 2);
    if (!n) return NULL;
    struct ktensor *at = top || places ? ktensor_plain(c, emit_cast(c->b, n->out[1], DT_I32)) : NULL;
    if (top) c->more[c->n_more++] = at;
    return places ? at : ktensor_plain(c, n->out[0]);
}

static struct ktensor *lower_triangle(struct call *c)
{
    char name[64];
    struct value *x = plain_argument(c), *k = emit_i64(c->b, op_int(c, 1, "k", 0));
    return ktensor_plain(
        c, emit(c->b, "Trilu", ATTRS(attr_int("upper", !strcmp(op_name(c, name), "triu"))), x, k));
}

/* What leaves at one end comes in at the other; without an axis, of all numbers in a row. */
static struct ktensor *lower_roll(struct call *c)
{
    struct value *x = plain_argument(c), *whole = x;
    int64_t by[SHAPE_MAX], axes[SHAPE_MAX];
    const json_t *given = op_argument(c, 2, "axis");
    int n = op_ints(c, op_argument(c, 1, "shift"), by, SHAPE_MAX);
    if (n < 1 || !x) return n < 1 && x ? (call_fail(c, ERR_UNSUPPORTED, "its shift"), NULL) : NULL;
    if (!given) axes[0] = 0, n = 1, x = k_reshape(c, x, &(int64_t){ -1 }, 1);
    else if (op_ints(c, given, axes, SHAPE_MAX) != n) return call_fail(c, ERR_UNSUPPORTED, "its axis"), NULL;
    for (int i = 0; i < n && x; i++) {
        int axis = shape_axis(axes[i], x->shape.rank);
        if (axis < 0) return call_fail(c, ERR_MODEL, "its axis is not one of the input's"), NULL;
        int64_t size = x->shape.dim[axis], k = size > 0 ? by[i] % size : by[i];
        if (!k) continue;
        x = k_concat(c, (struct value *[]){ k_slice(c, x, axis, -k, INT64_MAX, 1), k_slice(c, x, axis, 0, -k, 1) }, 2,
            axis);
    }
    return ktensor_plain(c, given ? x : k_op2(c, "Reshape", x, k_op(c, "Shape", whole)));
}

/* vstack and hstack of arrays, and append */
static struct ktensor *lower_append(struct call *c)
{
    char name[64];
    struct value *v[CALL_INPUTS];
    const json_t *axis = op_argument(c, 2, "axis");
    op_name(c, name);
    bool append = !strcmp(name, "append"), high = !strcmp(name, "vstack");
    for (size_t i = 0; i < c->n_in; i++) {
        v[i] = as_plain(c, c->in[i]);
        if (append && !axis) v[i] = k_reshape(c, v[i], &(int64_t){ -1 }, 1);
        if (high && v[i] && v[i]->shape.rank == 1) v[i] = k_unsqueeze(c, v[i], 0);
    }
    if (c->n_in < 1) return call_fail(c, ERR_MODEL, "it has no tensors"), NULL;
    int64_t at = high ? 0 : append ? json_integer_value(axis) : ktensor_rank(c->in[0]) == 1 ? 0 : 1;
    return ktensor_plain(c, k_concat(c, v, (int)c->n_in, at));
}

static struct ktensor *lower_take_along(struct call *c)
{
    struct value *x = plain_argument(c), *at = operand(c, op_argument(c, 1, "indices"), DT_I64);
    int axis = x ? one_axis(c, 2, -9, x->shape.rank) : -1;
    if (axis < 0 || !at) return NULL;
    return ktensor_plain(
        c, emit(c->b, "GatherElements", ATTRS(attr_int("axis", axis)), x, emit_cast(c->b, at, DT_I64)));
}

/* zeros, ones or a number in the shape of another array */
static struct ktensor *lower_like(struct call *c)
{
    char name[64];
    struct value *x = plain_argument(c);
    const json_t *fill = op_argument(c, 1, "fill_value");
    const char *type = json_string_value(op_argument(c, 2, "dtype"));
    enum dtype to = type ? dtype_from_name(type) : DT_NONE;
    op_name(c, name);
    if (!x) return NULL;
    if (to == DT_NONE) to = x->dtype;
    struct value *v = strcmp(name, "full_like") ? emit_scalar(c->b, to, *name == 'o') : operand(c, fill, to);
    return ktensor_plain(c, k_op2(c, "Expand", v ? emit_cast(c->b, v, to) : NULL, k_op(c, "Shape", x)));
}

/* (.., classes), or the classes at another axis; numbers that are no class give zeros. */
static struct ktensor *lower_one_hot(struct call *c)
{
    char name[64];
    struct value *x = plain_argument(c);
    int64_t depth = op_int(c, 1, "num_classes num_tokens depth", -1), axis = op_int(c, 2, "axis", -1);
    if (!x || depth < 1) return x ? (call_fail(c, ERR_UNSUPPORTED, "its number of classes"), NULL) : NULL;
    struct value *classes = emit(c->b, "Range", NO_ATTRS, emit_i64(c->b, 0), emit_i64(c->b, depth), emit_i64(c->b, 1));
    struct value *y = k_op2(c, "Equal", k_unsqueeze(c, emit_cast(c->b, x, DT_I64), -1), classes);
    y = emit_cast(c->b, y, c->k->compute);
    if (!strcmp(op_name(c, name), "multi_hot")) {
        int64_t over = x->shape.rank - 1;
        if (axis != -1 || over < 1) return call_fail(c, ERR_UNSUPPORTED, "its axis"), NULL;
        return ktensor_plain(c, k_reduce(c, "ReduceMax", y, &over, 1, false));
    }
    int64_t perm[SHAPE_MAX];
    int rank = x->shape.rank + 1, to = shape_axis(axis, rank);
    if (to < 0 || rank > SHAPE_MAX) return call_fail(c, ERR_MODEL, "its axis"), NULL;
    for (int d = 0, from = 0; d < rank; d++) perm[d] = d == to ? rank - 1 : from++;
    return ktensor_plain(c, k_transpose(c, y, perm, rank));
}

/* x / max(|x|, epsilon), by the norm of that order. */
static struct ktensor *lower_normalize(struct call *c)
{
    char name[64];
    struct value *x = plain_argument(c);
    int axis = x ? one_axis(c, 1, -1, x->shape.rank) : -1;
    bool l2 = !strcmp(op_name(c, name), "l2_normalize");
    int64_t order = l2 ? 2 : op_int(c, 2, "order ord", 2), at = axis;
    if (axis < 0) return NULL;
    if (order != 1 && order != 2) return call_fail(c, ERR_UNSUPPORTED, "its order"), NULL;
    const json_t *given = op_argument(c, l2 ? 2 : 3, "epsilon");
    double epsilon = given ? json_number_value(given) : l2 ? 1e-6 : 1e-7;
    struct value *norm = k_reduce(c, order == 1 ? "ReduceL1" : "ReduceL2", x, &at, 1, true);
    return ktensor_plain(c, k_op2(c, "Div", x, emit(c->b, "Max", NO_ATTRS, norm, k_like(c, norm, epsilon))));
}

/* A sum of products over axes of both, said as an einsum: `over` axes of a with as many of b. */
static struct ktensor *contracted(
    struct call *c, struct value *a, struct value *b, const int64_t *of_a, const int64_t *of_b, int over)
{
    char left[SHAPE_MAX + 1] = "", right[SHAPE_MAX + 1] = "", text[4 * SHAPE_MAX + 8], free[2 * SHAPE_MAX + 1] = "";
    int n = 0;
    if (!a || !b) return NULL;
    for (int d = 0; d < a->shape.rank; d++) left[d] = (char)('a' + d);
    for (int d = 0; d < b->shape.rank; d++) right[d] = (char)('n' + d);
    for (int i = 0; i < over; i++) {
        int at = shape_axis(of_a[i], a->shape.rank), with = shape_axis(of_b[i], b->shape.rank);
        if (at < 0 || with < 0) return call_fail(c, ERR_MODEL, "its axes are not those of its inputs"), NULL;
        right[with] = left[at];
    }
    for (int d = 0; d < a->shape.rank; d++)
        if (!strchr(right, left[d])) free[n++] = left[d];
    for (int d = 0; d < b->shape.rank; d++)
        if (!strchr(left, right[d])) free[n++] = right[d];
    snprintf(text, sizeof text, "%s,%s->%s", left, right, free);
    return ktensor_plain(c, emit(c->b, "Einsum", ATTRS(attr_string("equation", text)), a, b));
}

static struct ktensor *lower_product(struct call *c)
{
    char name[64];
    struct value *a = plain_argument(c), *b = second(c, a);
    int64_t of_a[SHAPE_MAX] = { -1 }, of_b[SHAPE_MAX] = { -1 };
    int over = 1;
    op_name(c, name);
    if (!a || !b || a->shape.rank < 0 || b->shape.rank < 0) return NULL;
    if (!strcmp(name, "outer") || !strcmp(name, "vdot")) {
        over = *name == 'v';
        a = k_reshape(c, a, &(int64_t){ -1 }, 1), b = k_reshape(c, b, &(int64_t){ -1 }, 1);
    } else if (!strcmp(name, "tensordot")) {
        const json_t *axes = op_argument(c, 2, "axes");
        bool lists = json_is_array(axes);
        over = lists ? op_ints(c, json_array_get(axes, 0), of_a, SHAPE_MAX) : (int)op_int(c, 2, "axes", 2);
        if (over < 0 || over > a->shape.rank || over > b->shape.rank)
            return call_fail(c, ERR_UNSUPPORTED, "its axes"), NULL;
        if (lists && op_ints(c, json_array_get(axes, 1), of_b, SHAPE_MAX) != over)
            return call_fail(c, ERR_MODEL, "its axes"), NULL;
        for (int i = 0; !lists && i < over; i++) of_a[i] = i - over, of_b[i] = i;
    } else if (!a->shape.rank || !b->shape.rank) return ktensor_plain(c, k_op2(c, "Mul", a, b));
    else if (!strcmp(name, "dot") && b->shape.rank > 1) of_b[0] = -2;
    return contracted(c, a, b, of_a, of_b, over);
}

/* log(e^a + e^b), without overflow */
static struct ktensor *lower_log_add(struct call *c)
{
    struct value *a = plain_argument(c), *b = second(c, a), *d = k_op2(c, "Sub", a, b);
    struct value *rest = k_op(c, "Log", k_scaled(c, k_op(c, "Exp", k_op(c, "Neg", k_op(c, "Abs", d))), 1, 1));
    return ktensor_plain(c, k_op2(c, "Add", emit(c->b, "Max", NO_ATTRS, a, b), rest));
}

static struct ktensor *lower_hypot(struct call *c)
{
    struct value *a = plain_argument(c), *b = second(c, a);
    return ktensor_plain(c, k_op(c, "Sqrt", k_op2(c, "Add", k_op2(c, "Mul", a, a), k_op2(c, "Mul", b, b))));
}

/* The angle of (x, y): atan(y / x), half a turn further where x is negative; a quarter where x is 0. */
static struct ktensor *lower_atan2(struct call *c)
{
    struct value *y = plain_argument(c), *x = second(c, y), *zero = k_like(c, x, 0);
    struct value *at_zero = k_op2(c, "Equal", x, zero), *below = k_op2(c, "Less", y, zero);
    struct value *safe = emit(c->b, "Where", NO_ATTRS, at_zero, k_like(c, x, 1), x);
    struct value *half = emit(c->b, "Where", NO_ATTRS, below, k_like(c, x, -M_PI), k_like(c, x, M_PI));
    struct value *left = k_op2(c, "Less", x, zero), *angle = k_op(c, "Atan", k_op2(c, "Div", y, safe));
    angle = k_op2(c, "Add", angle, emit(c->b, "Where", NO_ATTRS, left, half, zero));
    struct value *upright = k_scaled(c, k_op(c, "Sign", y), M_PI / 2, 0);
    return ktensor_plain(c, emit(c->b, "Where", NO_ATTRS, at_zero, upright, angle));
}

/* x[start : start + size] along each axis; -1 is all that is left. */
static struct ktensor *lower_cut(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t from[SHAPE_MAX], size[SHAPE_MAX], to[SHAPE_MAX];
    int n = op_ints(c, op_argument(c, 1, "start_indices begin"), from, SHAPE_MAX);
    if (n < 0 || op_ints(c, op_argument(c, 2, "shape size"), size, SHAPE_MAX) != n || !x) {
        if (x) call_fail(c, ERR_UNSUPPORTED, "where it begins, or its sizes");
        return NULL;
    }
    for (int d = 0; d < n; d++) to[d] = size[d] < 0 ? INT64_MAX : from[d] + size[d];
    return ktensor_plain(c,
        emit(c->b, "Slice", NO_ATTRS, x, emit_i64s(c->b, from, (size_t)n), emit_i64s(c->b, to, (size_t)n)));
}

#define ANY .flags = LAYER_ANY_TYPE

const struct layer_row keras_ops_array[] = {
    { "Cumsum cumsum", lower_running, ANY, .onnx = "CumSum" },
    { "Cumprod cumprod", lower_running, ANY, .onnx = "CumProd" },
    { "Diff diff", lower_diff, ANY },
    { "Sort sort Argsort argsort TopK top_k", lower_order, ANY },
    { "Triu triu Tril tril", lower_triangle, ANY },
    { "Roll roll", lower_roll, ANY },
    { "Hstack hstack Vstack vstack Append append", lower_append, ANY },
    { "TakeAlongAxis take_along_axis", lower_take_along, ANY },
    { "ZerosLike zeros_like OnesLike ones_like FullLike full_like", lower_like, ANY },
    { "OneHot one_hot MultiHot multi_hot", lower_one_hot, ANY },
    { "Normalize normalize l2_normalize", lower_normalize, ANY },
    { "Outer outer Inner inner Vdot vdot Dot dot Tensordot tensordot", lower_product, ANY },
    { "Logaddexp logaddexp", lower_log_add, ANY },
    { "Hypot hypot", lower_hypot, ANY },
    { "Arctan2 arctan2 atan2", lower_atan2, ANY },
    { "Slice slice", lower_cut, ANY },
    { NULL },
};
