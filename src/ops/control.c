/* control.c - If, Loop, Scan, SequenceMap: their rows, and what can be said of their results before they run. */
#include "ops/control.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/kernel.h"

bool control_is(const struct node *n)
{
    for (size_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == ATTR_GRAPH) return true;
    return false;
}

int control_captures(const struct node *n)
{
    if (node_is(n, "If")) return n->n_in - 1;
    int64_t count = node_int(n, "captures");
    return count < 0 || count > n->n_in ? 0 : (int)count;
}

int control_carried(const struct node *n)
{
    int others = node_is(n, "Loop") ? 2 : (int)node_int(n, "num_scan_inputs");
    int count = n->n_in - others - control_captures(n);
    return count > 0 ? count : 0;
}

int64_t control_axis(const struct node *n, const char *list, int i)
{
    size_t count;
    const int64_t *v = node_ints(n, list, &count);
    return (size_t)i < count ? v[i] : 0;
}

static struct body_input loop_input(const struct node *n, int i)
{
    if (!i) return (struct body_input){ BODY_COUNTER, -1, 0, 0 };
    if (i == 1) return (struct body_input){ BODY_GOES_ON, -1, 0, 0 };
    bool carried = i < 2 + control_carried(n);
    return (struct body_input){ carried ? BODY_CARRIED : BODY_PASSED, i, i - 1, 0 };
}

static struct body_input scan_input(const struct node *n, int i)
{
    int carried = control_carried(n), slices = (int)node_int(n, "num_scan_inputs");
    if (i < carried) return (struct body_input){ BODY_CARRIED, i, i, 0 };
    if (i >= carried + slices) return (struct body_input){ BODY_PASSED, i, 0, 0 };
    return (struct body_input){ BODY_SLICE, i, 0, (int)control_axis(n, "scan_input_axes", i - carried) };
}

struct body_input control_input(const struct node *n, int i)
{
    struct body_input s = { BODY_PASSED, i + 1, 0, 0 };
    if (node_is(n, "Loop")) s = loop_input(n, i);
    else if (node_is(n, "Scan")) s = scan_input(n, i);
    else if (node_is(n, "SequenceMap"))
        s = (struct body_input){ i < n->n_in - control_captures(n) ? BODY_ITEM : BODY_PASSED, i, 0, 0 };
    bool reads = s.source != BODY_COUNTER && s.source != BODY_GOES_ON;
    if (reads && !node_in(n, s.from)) s.source = BODY_NOTHING;
    return s;
}

struct shape control_shape(const struct graph *from, struct graph *to, const struct shape *s, bool may_add)
{
    struct shape t = *s;
    for (int d = 0; d < t.rank; d++) {
        if (t.dim[d] >= DIM_UNKNOWN || from == to) continue;
        const char *name = graph_symbol_name(from, t.dim[d]);
        t.dim[d] = DIM_UNKNOWN;
        for (size_t i = 0; i < to->n_symbols; i++)
            if (!strcmp(to->symbols[i], name)) t.dim[d] = DIM_SYMBOL((int64_t)i);
        if (t.dim[d] == DIM_UNKNOWN && may_add) t.dim[d] = graph_symbol(to, name);
    }
    return t;
}

/* ---- inference: from what the bodies' outputs are; pass/bodies.c tells bodies what their inputs are ---- */

static int body_of(const struct node *n, const char *name, int inputs, int outputs, struct graph **out, struct err *e)
{
    struct graph *g = *out = node_graph(n, name);
    if (!g) return fail(e, ERR_MODEL, "has no graph \"%s\"", name);
    if (g->n_inputs != (size_t)inputs)
        return fail(e, ERR_MODEL, "its graph \"%s\" has %zu inputs, expected %d", name, g->n_inputs, inputs);
    if (g->n_outputs != (size_t)outputs)
        return fail(e, ERR_MODEL, "its graph \"%s\" has %zu outputs, expected %d", name, g->n_outputs, outputs);
    if (g->n_states) return fail(e, ERR_MODEL, "its graph \"%s\" has a state, %s", name, g->states[0]->name);
    return 0;
}

static void set(struct node *n, int i, const struct graph *body, const struct value *v)
{
    struct shape s = control_shape(body, n->graph, &v->shape, false);
    infer_out(n, i, v->dtype, &s);
    n->out[i]->of = v->of;
}

static void widen(struct shape *s, const struct shape *other)
{
    if (s->rank != other->rank) *s = shape_unknown();
    for (int d = 0; d < s->rank; d++)
        if (s->dim[d] != other->dim[d]) s->dim[d] = DIM_UNKNOWN;
}

/* Output i is now one value, now another. */
static int either(struct node *n, int i, const struct graph *body, const struct value *v, struct err *e)
{
    struct value *y = n->out[i];
    struct shape s = control_shape(body, n->graph, &v->shape, false);
    if (y->dtype && v->dtype && y->dtype != v->dtype)
        return fail(
            e, ERR_SHAPE, "output %d is now %s, now %s (%s)", i, dtype_name(y->dtype), dtype_name(v->dtype), v->name);
    if (!y->dtype || !v->dtype) y->dtype = DT_NONE;
    if (y->of != v->of &&
        (!y->of || !v->of || y->of->dtype != v->of->dtype || !shape_equal(&y->of->shape, &v->of->shape)))
        y->of = NULL;
    widen(&y->shape, &s);
    return 0;
}

static int check_condition(const struct value *v, const char *what, struct err *e)
{
    if (!v) return 0;
    if (v->dtype && v->dtype != DT_BOOL)
        return fail(e, ERR_SHAPE, "%s (%s) is %s, expected bool", what, v->name, dtype_name(v->dtype));
    if (shape_is_known(&v->shape) && shape_count(&v->shape) != 1)
        return fail(
            e, ERR_SHAPE, "%s (%s) has %lld elements, expected one", what, v->name, (long long)shape_count(&v->shape));
    return 0;
}

static int if_infer(struct node *n, struct err *e)
{
    struct graph *yes, *no;
    TRY(check_condition(n->in[0], "the condition", e));
    TRY(body_of(n, "then_branch", n->n_in - 1, n->n_out, &yes, e));
    TRY(body_of(n, "else_branch", n->n_in - 1, n->n_out, &no, e));
    for (int i = 0; i < n->n_out; i++) {
        set(n, i, yes->barred ? no : yes, yes->barred ? no->outputs[i] : yes->outputs[i]);
        if (!yes->barred && !no->barred) TRY(either(n, i, no, no->outputs[i], e));
    }
    return 0;
}

/* An output that gathers one value per turn along a new axis. */
static int gathered(
    struct node *n, int i, const struct graph *body, const struct value *v, int64_t axis, int64_t turns, struct err *e)
{
    struct shape s = control_shape(body, n->graph, &v->shape, false), t = s;
    if (dtype_is_container(v->dtype))
        return fail(
            e, ERR_SHAPE, "output %d gathers %s, which is a %s, expected tensors", i, v->name, dtype_name(v->dtype));
    if (s.rank == SHAPE_MAX) return fail(e, ERR_UNSUPPORTED, "output %d would have rank %d", i, SHAPE_MAX + 1);
    if (s.rank >= 0) {
        int at = shape_axis(axis, s.rank + 1);
        if (at < 0)
            return fail(e, ERR_SHAPE, "output %d: axis %lld, the result has rank %d", i, (long long)axis, s.rank + 1);
        t.rank = s.rank + 1;
        for (int d = 0; d < t.rank; d++) t.dim[d] = d == at ? turns : s.dim[d - (d > at)];
    }
    infer_out(n, i, v->dtype, &t);
    n->out[i]->of = NULL;
    return 0;
}

/* A value that goes from turn to turn: what it was at first, or what the body made of it. */
static int carried(struct node *n, int i, int from, const struct graph *body, const struct value *v, struct err *e)
{
    const struct value *first = node_in(n, from);
    if (!first) return fail(e, ERR_MODEL, "input %d is missing", from);
    infer_out(n, i, first->dtype, &first->shape);
    n->out[i]->of = first->of;
    if (dtype_is_container(first->dtype) && dtype_is_container(v->dtype) && first->dtype != v->dtype) {
        n->out[i]->dtype = DT_NONE; /* an optional, and what it holds */
        n->out[i]->of = NULL;
        return 0;
    }
    if (first->dtype && v->dtype && first->dtype != v->dtype)
        return fail(e, ERR_SHAPE, "%s is %s before the first turn and %s (%s) after it", first->name,
            dtype_name(first->dtype), dtype_name(v->dtype), v->name);
    if (first->of && v->of && first->of->dtype == DT_NONE) n->out[i]->of = v->of; /* an empty sequence, filled */
    return either(n, i, body, v, e);
}

static bool is_steady(const struct graph *body, int out, int in)
{
    const struct value *v = value_resolve(body->outputs[out]);
    while (v->kind == VALUE_NODE && node_is(v->node, "Identity")) v = node_in(v->node, 0);
    const struct tensor *t = value_const(v);
    return v == body->inputs[in] || (t && tensor_count(t) == 1 && tensor_get_i64(t, 0));
}

/* The number of turns of a Loop where that is known before it runs; -1 otherwise. */
static int64_t loop_turns(const struct node *n)
{
    const struct value *count = node_in(n, 0), *first = node_in(n, 1);
    const struct tensor *t = value_const(count), *on = value_const(first);
    const struct graph *body = node_graph(n, "body");
    if (on && tensor_count(on) == 1 && !tensor_get_i64(on, 0)) return 0;
    if (!t || tensor_count(t) != 1 || (first && !on) || !body) return -1;
    if (body->n_outputs < 1 || body->n_inputs < 2 || !is_steady(body, 0, 1)) return -1;
    int64_t turns = tensor_get_i64(t, 0);
    return turns < 0 ? 0 : turns;
}

static int loop_infer(struct node *n, struct err *e)
{
    int values = control_carried(n), captures = control_captures(n);
    struct graph *body;
    const struct value *count = node_in(n, 0);
    if (node_int(n, "captures") != captures)
        return fail(e, ERR_MODEL, "captures is %lld", (long long)node_int(n, "captures"));
    if (count && count->dtype && count->dtype != DT_I64)
        return fail(
            e, ERR_SHAPE, "the number of turns (%s) is %s, expected int64", count->name, dtype_name(count->dtype));
    if (count && shape_is_known(&count->shape) && shape_count(&count->shape) != 1)
        return fail(e, ERR_SHAPE, "the number of turns (%s) has %lld elements, expected one", count->name,
            (long long)shape_count(&count->shape));
    TRY(check_condition(node_in(n, 1), "the condition", e));
    TRY(body_of(n, "body", 2 + values + captures, 1 + n->n_out, &body, e));
    if (n->n_out < values) return fail(e, ERR_MODEL, "%d outputs for %d values from turn to turn", n->n_out, values);
    TRY(check_condition(body->outputs[0], "the condition that its body makes", e));
    int64_t turns = loop_turns(n);
    if (turns > HOST_TURNS) turns = DIM_UNKNOWN; /* it will hardly come so far: nothing is made ready for it */
    for (int i = 0; i < n->n_out; i++)
        if (i < values) TRY(carried(n, i, 2 + i, body, body->outputs[1 + i], e));
        else TRY(gathered(n, i, body, body->outputs[1 + i], 0, turns < 0 ? DIM_UNKNOWN : turns, e));
    return 0;
}

/* The number of turns of a Scan; unknown when it is, negative with the error when its inputs disagree. */
static int scan_turns(const struct node *n, int values, int slices, int64_t *turns, struct err *e)
{
    *turns = DIM_UNKNOWN;
    for (int i = 0; i < slices; i++) {
        const struct value *x = node_in(n, values + i);
        if (!x) return fail(e, ERR_MODEL, "input %d is missing", values + i);
        if (x->shape.rank < 0) continue;
        int64_t given = control_axis(n, "scan_input_axes", i);
        int axis = shape_axis(given, x->shape.rank);
        if (axis < 0)
            return fail(e, ERR_SHAPE, "axis %lld of input %d (%s), which has rank %d", (long long)given, values + i,
                x->name, x->shape.rank);
        int64_t d = x->shape.dim[axis];
        if (*turns >= 0 && d >= 0 && d != *turns)
            return fail(e, ERR_SHAPE, "input %d (%s) has %lld slices, the others %lld", values + i, x->name,
                (long long)d, (long long)*turns);
        if (d >= 0 || *turns == DIM_UNKNOWN) *turns = d;
    }
    return 0;
}

static int check_list(const struct node *n, const char *list, int expected, struct err *e)
{
    size_t count;
    node_ints(n, list, &count);
    return !count || count == (size_t)expected
        ? 0
        : fail(e, ERR_MODEL, "%s has %zu entries, expected %d", list, count, expected);
}

static int scan_infer(struct node *n, struct err *e)
{
    int64_t slices = node_int(n, "num_scan_inputs"), turns;
    int captures = control_captures(n), values = control_carried(n);
    struct graph *body;
    if (slices < 1 || slices > n->n_in - captures || node_int(n, "captures") != captures)
        return fail(e, ERR_MODEL, "num_scan_inputs is %lld, of %d inputs", (long long)slices, n->n_in);
    TRY(body_of(n, "body", n->n_in, n->n_out, &body, e));
    if (n->n_out < values) return fail(e, ERR_MODEL, "%d outputs for %d states", n->n_out, values);
    TRY(check_list(n, "scan_input_axes", (int)slices, e));
    TRY(check_list(n, "scan_input_directions", (int)slices, e));
    TRY(check_list(n, "scan_output_axes", n->n_out - values, e));
    TRY(check_list(n, "scan_output_directions", n->n_out - values, e));
    TRY(scan_turns(n, values, (int)slices, &turns, e));
    for (int i = 0; i < n->n_out; i++)
        if (i < values) TRY(carried(n, i, i, body, body->outputs[i], e));
        else TRY(gathered(n, i, body, body->outputs[i], control_axis(n, "scan_output_axes", i - values), turns, e));
    return 0;
}

static int map_infer(struct node *n, struct err *e)
{
    struct graph *body;
    if (n->in[0]->dtype && n->in[0]->dtype != DT_SEQUENCE)
        return fail(
            e, ERR_SHAPE, "input 0 (%s) is %s, expected a sequence", n->in[0]->name, dtype_name(n->in[0]->dtype));
    TRY(body_of(n, "body", n->n_in, n->n_out, &body, e));
    for (int i = 0; i < n->n_out; i++) {
        const struct value *v = body->outputs[i];
        infer_out(n, i, DT_SEQUENCE, &n->in[0]->shape);
        if (n->out[i]->shape.rank < 0) n->out[i]->shape = shape_of(1, (int64_t[]){ DIM_UNKNOWN });
        n->out[i]->of = content_new(n->graph->arena, &(struct content){ v->dtype, v->shape, NULL }, e);
        if (e->code) return e->code;
    }
    return 0;
}

/* ---- what can be said without bodies ---- */

enum { UNROLLED_MAX = 1 << 16 }; /* nodes that unrolling may make */

bool control_unrolls(const struct node *n)
{
    const struct graph *body = node_graph(n, "body");
    int64_t turns = -1;
    if (node_is(n, "If")) {
        const struct tensor *t = value_const(node_in(n, 0));
        return t && tensor_count(t) == 1;
    }
    if (node_is(n, "Loop")) turns = loop_turns(n);
    if (node_is(n, "Scan") && node_in(n, control_carried(n))) {
        const struct value *x = node_in(n, control_carried(n));
        int axis = shape_axis(control_axis(n, "scan_input_axes", 0), x->shape.rank);
        if (axis >= 0) turns = x->shape.dim[axis];
    }
    if (turns < 0 || !body || turns > UNROLLED_MAX / (int64_t)(body->n_nodes + 1)) return false;
    /* without a turn, the shape of what is gathered has to be known */
    for (int i = control_carried(n); i < n->n_out && !turns; i++)
        if (!n->out[i]->dtype || !shape_is_known(&n->out[i]->shape)) return false;
    return true;
}

#define CAPTURES \
    { \
        .name = "captures", .type = ATTR_INT, .presence = ATTR_DEFAULT, \
        .doc = "how many of the inputs, the last ones, are captured from around" \
    }
static const struct attr_spec if_attrs[] = {
    { .name = "then_branch", .type = ATTR_GRAPH, .presence = ATTR_REQUIRED, .doc = "what runs when it is true" },
    { .name = "else_branch", .type = ATTR_GRAPH, .presence = ATTR_REQUIRED, .doc = "what runs when it is false" },
    { 0 },
};
static const struct attr_spec loop_attrs[] = {
    { .name = "body", .type = ATTR_GRAPH, .presence = ATTR_REQUIRED, .doc = "one turn" },
    CAPTURES,
    { 0 },
};
static const struct attr_spec scan_attrs[] = {
    { .name = "body", .type = ATTR_GRAPH, .presence = ATTR_REQUIRED, .doc = "one turn" },
    { .name = "num_scan_inputs", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "how many inputs are sliced" },
    { .name = "scan_input_axes", .type = ATTR_INTS, .presence = ATTR_OPTIONAL, .doc = "absent: 0" },
    { .name = "scan_input_directions", .type = ATTR_INTS, .presence = ATTR_OPTIONAL, .doc = "1: from the end" },
    { .name = "scan_output_axes", .type = ATTR_INTS, .presence = ATTR_OPTIONAL, .doc = "absent: 0" },
    { .name = "scan_output_directions", .type = ATTR_INTS, .presence = ATTR_OPTIONAL, .doc = "1: from the end" },
    CAPTURES,
    { 0 },
};
static const struct attr_spec map_attrs[] = {
    { .name = "body", .type = ATTR_GRAPH, .presence = ATTR_REQUIRED, .doc = "what is done with each item" },
    CAPTURES,
    { 0 },
};

const struct op ops_control[] = {
    { .name = "If",
        .doc = "one of two graphs, by a condition",
        .min_in = 1,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = OP_VARIADIC,
        .flags = OP_CONTAINERS,
        .attrs = if_attrs,
        .infer = if_infer,
        .run = control_if_run,
        .expand = control_if_expand },
    { .name = "Loop",
        .doc = "a graph again and again, a number of times and while a condition holds",
        .min_in = 0,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = OP_VARIADIC,
        .flags = OP_CONTAINERS,
        .attrs = loop_attrs,
        .infer = loop_infer,
        .run = control_loop_run,
        .expand = control_loop_expand },
    { .name = "Scan",
        .doc = "a graph for each slice along an axis, with values that go from turn to turn",
        .min_in = 1,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = OP_VARIADIC,
        .attrs = scan_attrs,
        .infer = scan_infer,
        .run = control_scan_run,
        .expand = control_scan_expand },
    { .name = "SequenceMap",
        .doc = "a graph for each item of a sequence",
        .min_in = 1,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = OP_VARIADIC,
        .flags = OP_CONTAINERS,
        .attrs = map_attrs,
        .infer = map_infer,
        .run = control_map_run },
    { 0 },
};
