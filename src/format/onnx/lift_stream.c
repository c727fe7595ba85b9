/* lift_stream.c - operators of models that go through a sequence piece by piece: caches, states, windows. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

/* past (B, .., length, ..), update (B, .., fewer, ..), where the update begins (B) */
static int tensor_scatter(struct lift *l, const char *arg, struct err *e)
{
    struct value *past = lift_in(l, 0), *update = lift_in(l, 1), *begin = lift_in(l, 2);
    const struct attr *mode = lift_attr(l, "mode");
    bool circular = mode && mode->type == ATTR_STRING && !strcmp(mode->s, "circular");
    if (!past || !update) return fail(e, ERR_MODEL, "input %d is missing", past ? 1 : 0);
    int rank = past->shape.rank, axis = rank < 0 ? -1 : shape_axis(lift_int(l, "axis", -2), rank);
    if (rank < 0) return fail(e, ERR_UNSUPPORTED, "a cache of unknown rank");
    if (axis < 1) return fail(e, ERR_SHAPE, "axis %lld of rank %d", (long long)lift_int(l, "axis", -2), rank);
    struct value *at = lift_unsqueezed(l, lift_range(l, lift_dim(l, update, axis)), (int64_t[]){ 0 }, 1);
    if (begin) at = lift_two(l, "Add", lift_unsqueezed(l, begin, (int64_t[]){ 1 }, 1), at);
    if (circular) at = lift_two(l, "Mod", at, lift_dim(l, past, axis));
    int64_t axes[SHAPE_MAX];
    size_t n = 0;
    for (int d = 1; d < rank; d++)
        if (d != axis) axes[n++] = d;
    if (n) at = lift_unsqueezed(l, at, axes, n);
    at = lift_two(l, "Expand", at, lift_one(l, "Shape", update));
    lift_result(l, emit(l->b, "ScatterElements", ATTRS(attr_int("axis", axis)), past, at, update));
    return e->code;
}

/* x (B, C, L), weight (C, 1, k), bias (C), the k - 1 columns before x (B, C, k - 1) */
static int causal_conv(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *activation = lift_attr(l, "activation");
    const char *name = activation && activation->type == ATTR_STRING ? activation->s : "none";
    struct value *x = lift_in(l, 0), *w = lift_in(l, 1), *past = lift_in(l, 3);
    if (!x || !w) return fail(e, ERR_MODEL, "input %d is missing", x ? 1 : 0);
    if (w->shape.rank != 3 || w->shape.dim[0] < 1 || w->shape.dim[2] < 1)
        return fail(e, ERR_UNSUPPORTED, "a weight that is not (channels, 1, size) with known numbers");
    int64_t before = w->shape.dim[2] - 1, pads[6] = { 0, 0, before };
    if (strcmp(name, "none") != 0 && strcmp(name, "silu") != 0 && strcmp(name, "swish") != 0)
        return fail(e, ERR_MODEL, "activation is \"%s\", expected none, silu or swish", name);
    if (past) x = emit(l->b, "Concat", ATTRS(attr_int("axis", 2)), past, x);
    else if (before) x = lift_two(l, "Pad", x, emit_i64s(l->b, pads, 6));
    struct value *y = emit(l->b, "Conv", ATTRS(attr_int("group", w->shape.dim[0])), x, w, lift_in(l, 2));
    if (strcmp(name, "none") != 0) y = lift_one(l, "Swish", y);
    if (l->n_out > 1) l->out[1] = lift_part(l, x, 2, before ? -before : INT64_MAX, INT64_MAX);
    lift_result(l, y);
    return e->code;
}

/* Linear attention: what the rule asks for, and the sizes. */
struct linear {
    struct lift *l;
    int64_t q_heads, kv_heads, key, value; /* sizes of a head's keys and values */
    bool gated, delta;
};

static int read_linear(struct linear *a, struct err *e)
{
    struct lift *l = a->l;
    const struct attr *rule = lift_attr(l, "update_rule");
    const char *name = rule && rule->type == ATTR_STRING ? rule->s : "gated_delta";
    for (int i = 0; i < 3; i++)
        if (!lift_in(l, i)) return fail(e, ERR_MODEL, "input %d is missing", i);
    a->gated = !strncmp(name, "gated", 5);
    a->delta = strstr(name, "delta") != NULL;
    if (strcmp(name, "linear") != 0 && !a->gated && strcmp(name, "delta") != 0)
        return fail(e, ERR_MODEL, "update_rule is \"%s\"", name);
    if ((a->gated && !lift_in(l, 4)) || (a->delta && !lift_in(l, 5)))
        return fail(e, ERR_MODEL, "the rule %s needs %s", name, a->gated && !lift_in(l, 4) ? "decay" : "beta");
    const struct shape *q = &l->in[0]->shape, *v = &l->in[2]->shape;
    if (a->q_heads < 1 || a->kv_heads < 1 || a->q_heads % a->kv_heads)
        return fail(e, ERR_MODEL, "q_num_heads %lld over kv_num_heads %lld", (long long)a->q_heads,
            (long long)a->kv_heads);
    if (q->rank != 3 || v->rank != 3 || q->dim[2] < 0 || v->dim[2] < 0)
        return fail(e, ERR_UNSUPPORTED, "a query or values that are not (batch, length, known width)");
    if (q->dim[2] % a->q_heads || v->dim[2] % a->kv_heads)
        return fail(e, ERR_SHAPE, "widths of %lld and %lld do not divide into the heads", (long long)q->dim[2],
            (long long)v->dim[2]);
    a->key = q->dim[2] / a->q_heads;
    a->value = v->dim[2] / a->kv_heads;
    return 0;
}

/* (B, L, heads * size) in float32 with time first: (L, B, heads, size) */
static struct value *over_time(struct linear *a, int input, int64_t heads)
{
    struct lift *l = a->l;
    struct value *v = emit_cast(l->b, l->in[input], DT_F32);
    v = lift_reshaped(l, v, 4, (int64_t[]){ 0, 0, heads, -1 });
    return lift_permuted(l, v, 4, (int64_t[]){ 1, 0, 2, 3 });
}

static struct value *named_input(struct lift *l, const char *what, const struct value *from, bool sliced)
{
    struct shape s = from ? from->shape : shape_unknown();
    if (sliced && s.rank > 0) {
        s.rank--;
        memmove(s.dim, s.dim + 1, (size_t)s.rank * sizeof *s.dim);
    }
    for (int d = 0; d < s.rank; d++)
        if (s.dim[d] < 0) s.dim[d] = DIM_UNKNOWN; /* symbols belong to their graph */
    const char *name = arena_printf(l->arena, "%s_%s", l->name, what);
    return name ? graph_input(l->b->g, name, DT_F32, &s, l->b->err) : (fail_nomem(l->b->err), NULL);
}

/* One step: the state S (B, heads, key, value), then q, k, v, decay and beta (B, heads, size) as far as they count. */
static int linear_step(struct linear *a, struct graph *body, struct value *const *from, struct err *e)
{
    static const char *const names[] = { "state", "query", "key", "value" };
    struct builder b = { body, e };
    struct lift step = { .b = &b, .arena = a->l->arena, .name = arena_printf(a->l->arena, "%s_step", a->l->name) };
    struct lift *l = &step;
    TRY_MEM(step.name, e);
    struct value *in[6] = { NULL };
    for (int i = 0; i < 4; i++) in[i] = named_input(l, names[i], from[i], i > 0);
    if (a->gated) in[4] = named_input(l, "decay", from[4], true);
    if (a->delta) in[4 + a->gated] = named_input(l, "beta", from[4 + a->gated], true);
    if (e->code) return e->code;
    struct value *last = lift_ints(l, "last", (int64_t[]){ -1 }, 1), *row = lift_ints(l, "row", (int64_t[]){ -2 }, 1);
    struct value *state = in[0], *key = lift_two(l, "Unsqueeze", in[2], last), *v = in[3];
    if (a->gated) state = lift_two(l, "Mul", state, lift_one(l, "Exp", lift_two(l, "Unsqueeze", in[4], last)));
    if (a->delta) {
        struct value *known = emit(l->b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), lift_two(l, "Mul", state, key), row);
        v = lift_two(l, "Mul", in[4 + a->gated], lift_two(l, "Sub", v, known));
    }
    state = lift_two(l, "Add", state, lift_two(l, "Mul", key, lift_two(l, "Unsqueeze", v, row)));
    /* the queries of a head side by side: (B, heads, group, key) */
    int64_t apart[] = { 0, a->kv_heads, a->q_heads / a->kv_heads, a->key }, together[] = { 0, a->q_heads, a->value };
    struct value *q = lift_two(l, "Reshape", in[1], lift_ints(l, "groups", apart, 4));
    struct value *y = lift_two(l, "Reshape", lift_two(l, "MatMul", q, state), lift_ints(l, "heads", together, 3));
    if (e->code || graph_output(body, state, e) || graph_output(body, y, e)) return e->code;
    return graph_tidy(body, e);
}

/* query, key, value, state, decay, beta: a Scan over time */
static int linear_attention(struct lift *l, const char *arg, struct err *e)
{
    struct linear a = { .l = l, .q_heads = lift_int(l, "q_num_heads", 0), .kv_heads = lift_int(l, "kv_num_heads", 0) };
    TRY(read_linear(&a, e));
    double scale = lift_float(l, "scale", 0);
    struct value *q = over_time(&a, 0, a.q_heads), *past = lift_in(l, 3);
    enum dtype type = l->in[0]->dtype, state_type = past ? past->dtype : type;
    if (!past) {
        struct value *size = emit_i64s(l->b, (int64_t[]){ a.kv_heads, a.key, a.value }, 3);
        struct value *batch = emit(l->b, "Shape", ATTRS(attr_int("start", 0), attr_int("end", 1)), l->in[0]);
        past = lift_two(l, "Expand", emit_scalar(l->b, DT_F32, 0),
            emit(l->b, "Concat", ATTRS(attr_int("axis", 0)), batch, size));
    }
    struct value *in[6] = { emit_cast(l->b, past, DT_F32), q, over_time(&a, 1, a.kv_heads),
        over_time(&a, 2, a.kv_heads) };
    int n = 4;
    if (a.gated) in[n++] = over_time(&a, 4, a.kv_heads);
    if (a.delta && l->in[5]->shape.rank != 3) return fail(e, ERR_SHAPE, "beta is not of rank 3");
    if (a.delta) in[n++] = over_time(&a, 5, l->in[5]->shape.dim[2] == 1 ? 1 : a.kv_heads);
    if (e->code) return e->code;
    struct graph *body = graph_new(l->b->g->arena, l->b->g->ops, "step", e);
    if (!body) return e->code;
    body->outer = l->b->g;
    TRY(linear_step(&a, body, in, e));
    l->b->name = l->name;
    struct node *scan = builder_node(
        l->b, "Scan", (struct attr[]){ attr_graph("body", body), attr_int("num_scan_inputs", n - 1), { 0 } }, in, n, 2);
    if (!scan) return e->code;
    if (l->n_out > 1) l->out[1] = emit_cast(l->b, scan->out[0], state_type);
    struct value *y = lift_permuted(l, scan->out[1], 4, (int64_t[]){ 1, 0, 2, 3 });
    y = lift_two(l, "Mul", y, emit_scalar(l->b, DT_F32, scale != 0 ? scale : 1 / sqrt((double)a.key)));
    y = lift_reshaped(l, y, 3, (int64_t[]){ 0, 0, a.q_heads * a.value });
    lift_result(l, y ? emit_cast(l->b, y, type) : NULL);
    return e->code;
}

const struct lift_row lift_stream_rows[] = {
    { "TensorScatter", 24, LIFT_ANY, tensor_scatter, NULL, "" },
    { "CausalConvWithState", 27, LIFT_ANY, causal_conv, NULL, "" },
    { "LinearAttention", 27, LIFT_ANY, linear_attention, NULL, "" },
    { NULL },
};
