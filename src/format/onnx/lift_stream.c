/* lift_stream.c - operators of models that go through a sequence piece by piece: caches, states, windows. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

/* `update` (B, .., fewer, ..) into `past` (B, .., length, ..) along an axis, from the places that `begin` (B) tells. */
static struct value *scattered(
    struct lift *l, struct value *past, struct value *update, struct value *begin, int axis, bool circular)
{
    struct value *at = lift_unsqueezed(l, lift_range(l, lift_dim(l, update, axis)), (int64_t[]){ 0 }, 1);
    if (begin) at = lift_two(l, "Add", lift_unsqueezed(l, begin, (int64_t[]){ 1 }, 1), at);
    if (circular) at = lift_two(l, "Mod", at, lift_dim(l, past, axis));
    int64_t axes[SHAPE_MAX];
    size_t n = 0;
    for (int d = 1; update && d < update->shape.rank; d++)
        if (d != axis) axes[n++] = d;
    if (n) at = lift_unsqueezed(l, at, axes, n);
    at = lift_two(l, "Expand", at, lift_one(l, "Shape", update));
    return emit(l->b, "ScatterElements", ATTRS(attr_int("axis", axis)), past, at, update);
}

static int tensor_scatter(struct lift *l, const char *arg, struct err *e)
{
    struct value *past = lift_in(l, 0), *update = lift_in(l, 1);
    const struct attr *mode = lift_attr(l, "mode");
    bool circular = mode && mode->type == ATTR_STRING && !strcmp(mode->s, "circular");
    if (!past || !update) return fail(e, ERR_MODEL, "input %d is missing", past ? 1 : 0);
    int rank = past->shape.rank, axis = rank < 0 ? -1 : shape_axis(lift_int(l, "axis", -2), rank);
    if (rank < 0 || update->shape.rank != rank) return fail(e, ERR_UNSUPPORTED, "a cache or update of unknown rank");
    if (axis < 1) return fail(e, ERR_SHAPE, "axis %lld of rank %d", (long long)lift_int(l, "axis", -2), rank);
    lift_result(l, scattered(l, past, update, lift_in(l, 2), axis, circular));
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
        return fail(
            e, ERR_MODEL, "q_num_heads %lld over kv_num_heads %lld", (long long)a->q_heads, (long long)a->kv_heads);
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
    struct lift step = { .b = &b, .arena = a->l->arena, .name = body->name }, *l = &step;
    struct value *in[6] = { NULL };
    for (int i = 0; i < 4; i++) in[i] = named_input(l, names[i], from[i], i > 0);
    if (a->gated) in[4] = named_input(l, "decay", from[4], true);
    if (a->delta) in[4 + a->gated] = named_input(l, "beta", from[4 + a->gated], true);
    if (e->code) return e->code;
    struct value *last = lift_ints(l, "last", (int64_t[]){ -1 }, 1), *row = lift_ints(l, "row", (int64_t[]){ -2 }, 1);
    struct value *state = in[0], *key = lift_two(l, "Unsqueeze", in[2], last), *v = in[3];
    if (a->gated) state = lift_two(l, "Mul", state, lift_one(l, "Exp", lift_two(l, "Unsqueeze", in[4], last)));
    if (a->delta) {
        struct value *known = emit(
            l->b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), lift_two(l, "Mul", state, key), row);
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
        past = lift_two(
            l, "Expand", emit_scalar(l->b, DT_F32, 0), emit(l->b, "Concat", ATTRS(attr_int("axis", 0)), batch, size));
    }
    struct value *in[6] = { emit_cast(l->b, past, DT_F32), q, over_time(&a, 1, a.kv_heads),
        over_time(&a, 2, a.kv_heads) };
    int n = 4;
    if (a.gated) in[n++] = over_time(&a, 4, a.kv_heads);
    if (a.delta && l->in[5]->shape.rank != 3) return fail(e, ERR_SHAPE, "beta is not of rank 3");
    if (a.delta) in[n++] = over_time(&a, 5, l->in[5]->shape.dim[2] == 1 ? 1 : a.kv_heads);
    if (e->code) return e->code;
    const char *name = arena_printf(l->arena, "%s_step", l->name);
    struct graph *body = name ? graph_new(l->b->g->arena, l->b->g->ops, name, e) : (fail_nomem(e), NULL);
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

/* --- com.microsoft's GroupQueryAttention --- */

enum { QUERY, KEY, VALUE, PAST_KEY, PAST_VALUE, LAST, TOTAL, COSINE, SINE, POSITIONS, BIAS, SINK };

struct grouped {
    struct lift *l;
    int64_t heads, kv_heads;
    struct value *q, *k, *v;    /* (B, L, heads * size) */
    struct value *start;        /* (B): where the new keys go */
    struct value *length, *all; /* numbers: L, and how many keys there are in the longest */
};

/* One input may hold all three, side by side. */
static int unpack_grouped(struct grouped *g, struct err *e)
{
    struct lift *l = g->l;
    g->q = lift_in(l, QUERY), g->k = lift_in(l, KEY), g->v = lift_in(l, VALUE);
    if (!g->q || g->heads < 1 || g->kv_heads < 1 || !lift_in(l, LAST) || !lift_in(l, TOTAL))
        return fail(e, ERR_MODEL, "the query, the lengths, num_heads or kv_num_heads is missing");
    if (g->q->shape.rank != 3) return fail(e, ERR_UNSUPPORTED, "a query that is not (batch, length, width)");
    if (g->k && g->v) return 0;
    int64_t width = g->q->shape.dim[2], size = width < 0 ? -1 : width / (g->heads + 2 * g->kv_heads);
    if (size < 1) return fail(e, ERR_UNSUPPORTED, "a packed query of unknown width");
    struct value *all = g->q;
    int64_t ends[] = { g->heads * size, (g->heads + g->kv_heads) * size, width };
    g->q = lift_part(l, all, 2, 0, ends[0]);
    g->k = lift_part(l, all, 2, ends[0], ends[1]);
    g->v = lift_part(l, all, 2, ends[1], ends[2]);
    return 0;
}

/* A first piece begins at 0 whatever is padding in it; later ones end where their sequence does. */
static void find_start(struct grouped *g)
{
    struct lift *l = g->l;
    struct value *flat = emit_i64s(l->b, (int64_t[]){ -1 }, 1), *none = emit_i64s(l->b, NULL, 0);
    g->length = lift_dim(l, g->q, 1);
    g->all = lift_two(l, "Reshape", emit_cast(l->b, l->in[TOTAL], DT_I64), none);
    struct value *last = lift_two(l, "Reshape", emit_cast(l->b, l->in[LAST], DT_I64), flat);
    struct value *start = lift_two(l, "Sub", lift_two(l, "Add", last, emit_i64(l->b, 1)), g->length);
    g->start = emit(l->b, "Where", NO_ATTRS, lift_two(l, "Equal", g->length, g->all), emit_i64(l->b, 0), start);
}

static struct value *turned(struct grouped *g, struct value *x, int64_t heads)
{
    struct lift *l = g->l;
    struct value *cosine = lift_in(l, COSINE), *sine = lift_in(l, SINE), *at = lift_in(l, POSITIONS);
    if (!lift_int(l, "do_rotary", 0)) return x;
    if (!cosine || !sine || cosine->shape.rank != 2)
        return fail(l->b->err, ERR_MODEL, "do_rotary without tables of cosines and sines"), NULL;
    if (!at) at = lift_two(l, "Add", lift_unsqueezed(l, g->start, (int64_t[]){ 1 }, 1), lift_range(l, g->length));
    int64_t turned = 2 * cosine->shape.dim[1], width = x ? x->shape.dim[2] : -1;
    return emit(l->b, "RotaryEmbedding",
        ATTRS(attr_int("num_heads", heads), attr_int("interleaved", lift_int(l, "rotary_interleaved", 0)),
            attr_int("rotary_embedding_dim", turned < 0 || turned * heads == width ? 0 : turned)),
        x, cosine, sine, at);
}

static struct value *in_heads(struct lift *l, struct value *v, int64_t heads)
{
    v = lift_reshaped(l, v, 4, (int64_t[]){ 0, 0, heads, -1 });
    return lift_permuted(l, v, 4, (int64_t[]){ 0, 2, 1, 3 });
}

/* The past, made long enough for all, with the new ones in their places. */
static struct value *present(struct grouped *g, int input, struct value *fresh)
{
    struct lift *l = g->l;
    struct value *past = lift_in(l, input), *zero = emit_i64(l->b, 0);
    if (!past) past = lift_part(l, fresh, 2, 0, 0);
    struct value *more = lift_two(l, "Max", lift_two(l, "Sub", g->all, lift_dim(l, past, 2)), zero);
    struct value *before = emit_i64s(l->b, (int64_t[]){ 0, 0, 0, 0, 0, 0 }, 6),
                 *after = emit_i64s(l->b, &(int64_t){ 0 }, 1);
    more = lift_unsqueezed(l, more, (int64_t[]){ 0 }, 1);
    struct value *pads = emit(l->b, "Concat", ATTRS(attr_int("axis", 0)), before, more, after);
    return scattered(l, lift_two(l, "Pad", past, pads), fresh, g->start, 2, false);
}

static int group_query(struct lift *l, const char *arg, struct err *e)
{
    struct grouped g = { .l = l, .heads = lift_int(l, "num_heads", 0), .kv_heads = lift_int(l, "kv_num_heads", 0) };
    int64_t window = lift_int(l, "local_window_size", -1);
    double scale = lift_float(l, "scale", 0);
    if (lift_in(l, SINK) || lift_int(l, "smooth_softmax", 0) > 0)
        return fail(e, ERR_UNSUPPORTED, "a softmax with a sink");
    if (lift_int(l, "kv_cache_bit_width", 0)) return fail(e, ERR_UNSUPPORTED, "a quantized cache");
    if (lift_wants(l, 3)) return fail(e, ERR_UNSUPPORTED, "output 3 (the products) is read");
    TRY(unpack_grouped(&g, e));
    find_start(&g);
    struct value *q = in_heads(l, turned(&g, g.q, g.heads), g.heads);
    struct value *k = present(&g, PAST_KEY, in_heads(l, turned(&g, g.k, g.kv_heads), g.kv_heads));
    struct value *v = present(&g, PAST_VALUE, in_heads(l, g.v, g.kv_heads));
    struct value *in[] = { q, k, v, lift_in(l, BIAS), NULL, NULL, lift_two(l, "Add", g.start, g.length) };
    struct attr attrs[5] = { attr_int("is_causal", 1), attr_float("softcap", lift_float(l, "softcap", 0)) };
    int n = 2;
    if (scale != 0) attrs[n++] = attr_float("scale", scale);
    if (window > 0) attrs[n++] = attr_int("left_window_size", window - 1); /* a window counts the query's own place */
    if (e->code) return e->code;
    struct node *node = builder_node(l->b, "Attention", attrs, in, 7, 1);
    if (!node) return e->code;
    if (l->n_out > 1) l->out[1] = k;
    if (l->n_out > 2) l->out[2] = v;
    struct value *y = lift_permuted(l, node->out[0], 4, (int64_t[]){ 0, 2, 1, 3 });
    lift_result(l, lift_reshaped(l, y, 3, (int64_t[]){ 0, 0, -1 }));
    return e->code;
}

/* Values (and the past ones) of another type than queries and keys: computed in that of the queries, which the result
 * has; the present ones keep theirs. */
static int mixed_attention(struct lift *l, const char *arg, struct err *e)
{
    enum { Q, V = 2, PAST = 5, PRESENT = 2, OUTPUTS = 4 };
    struct value *q = lift_in(l, Q), *v = lift_in(l, V);
    if (!q || !v || q->dtype == v->dtype || !dtype_is_float(q->dtype) || !dtype_is_float(v->dtype)) return 0;
    enum dtype given = v->dtype;
    l->in[V] = emit_cast(l->b, v, q->dtype);
    if (lift_in(l, PAST)) l->in[PAST] = emit_cast(l->b, l->in[PAST], q->dtype);
    l->b->name = l->name;
    struct node *n = builder_node(l->b, "Attention", l->attrs, l->in, l->n_in, l->n_out);
    if (!n) return e->code;
    for (int i = 1; i < l->n_out && i < OUTPUTS; i++)
        l->out[i] = i == PRESENT ? emit_cast(l->b, n->out[i], given) : n->out[i];
    lift_result(l, n->out[0]);
    return e->code;
}

const struct lift_row lift_cache_rows[] = {
    { "GroupQueryAttention", 1, LIFT_ANY, group_query, NULL, "" },
    { NULL },
};
const struct lift_row lift_stream_rows[] = {
    { "Attention", 23, LIFT_ANY, mixed_attention },
    { "TensorScatter", 24, LIFT_ANY, tensor_scatter, NULL, "" },
    { "CausalConvWithState", 27, LIFT_ANY, causal_conv, NULL, "" },
    { "LinearAttention", 27, LIFT_ANY, linear_attention, NULL, "" },
    { NULL },
};
