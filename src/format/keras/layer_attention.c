/* layer_attention.c - attention: with heads and without. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/keras.h"

/* What Keras adds to scores that are masked. */
static const double masked_score = -1e9;

struct attention {
    struct value *q, *k, *v;             /* (N, heads, L, size) or (N, L, size) */
    struct value *query_mask, *key_mask; /* (N, Lq), (N, Lk) of bool; NULL: none */
    struct value *mask;                  /* broadcasts to the scores, of bool */
    bool causal;
};

static struct value *mask_argument(struct call *c, const char *name)
{
    struct ktensor *t = tensor_of(c, json_object_get(c->kwargs, name));
    return t ? emit_cast(c->b, as_plain(c, t), DT_BOOL) : NULL;
}

/* (Lq, Lk) of bool: the key is not later than the query. */
static struct value *causal_mask(struct call *c, struct value *q, struct value *k)
{
    struct value *rows, *columns, *zero = emit_i64(c->b, 0), *one = emit_i64(c->b, 1);
    if (!q || !k) return NULL;
    rows = emit(c->b, "Range", NO_ATTRS, zero, k_squeeze(c, k_size(c, q, q->shape.rank - 2), 0), one);
    columns = emit(c->b, "Range", NO_ATTRS, zero, k_squeeze(c, k_size(c, k, k->shape.rank - 2), 0), one);
    return k_op2(c, "GreaterOrEqual", k_unsqueeze(c, rows, 1), columns);
}

/* All that hides scores of rank `rank`, (.., Lq, Lk), as one mask; NULL: nothing does. */
static struct value *hidden(struct call *c, const struct attention *a, int rank)
{
    struct value *m = a->mask;
    while (m && m->shape.rank >= 3 && m->shape.rank < rank) m = k_unsqueeze(c, m, 1); /* heads */
    if (a->causal) m = and_masks(c, m, causal_mask(c, a->q, a->k));
    struct value *keys = a->key_mask, *queries = a->query_mask;
    for (int r = 2; keys && r < rank; r++) keys = k_unsqueeze(c, keys, 1); /* (N, 1, .., Lk) */
    if (queries) queries = k_unsqueeze(c, queries, 2);
    for (int r = 3; queries && r < rank; r++) queries = k_unsqueeze(c, queries, 1);
    return and_masks(c, and_masks(c, m, keys), queries);
}

/* softmax(scores - 10^9 where hidden); the weights too. */
static struct value *weights_of(struct call *c, const struct attention *a, struct value *scores)
{
    struct value *m = scores ? hidden(c, a, scores->shape.rank) : NULL;
    if (m) {
        struct value *off = emit_cast(c->b, k_op(c, "Not", m), scores->dtype);
        scores = k_op2(c, "Add", scores, k_scaled(c, off, masked_score, 0));
    }
    return k_softmax(c, scores, -1);
}

static struct value *swapped(struct call *c, struct value *x)
{
    int64_t perm[SHAPE_MAX];
    int rank = x ? x->shape.rank : 0;
    for (int d = 0; d < rank; d++) perm[d] = d < rank - 2 ? d : d == rank - 2 ? rank - 1 : rank - 2;
    return x ? k_transpose(c, x, perm, rank) : NULL;
}

/* One projection, (N, L, D) by (D, heads, size) to (N, heads, L, size). */
static struct value *projected(struct call *c, const char *child, struct value *x, int64_t heads, int64_t size)
{
    char role[64];
    if (!x || x->shape.rank != 3) return call_fail(c, ERR_UNSUPPORTED, "inputs that are no sequences"), NULL;
    int64_t in = x->shape.dim[2];
    snprintf(role, sizeof role, "%s/kernel", child);
    struct value *w = weight(c, role, 3, (int64_t[]){ in, heads, size }, NULL);
    x = k_op2(c, "MatMul", x, k_reshape(c, w, (int64_t[]){ in, heads * size }, 2));
    snprintf(role, sizeof role, "%s/bias", child);
    struct value *b = weight(c, role, 2, (int64_t[]){ heads, size }, NULL);
    if (b) x = k_op2(c, "Add", x, k_reshape(c, b, &(int64_t){ heads * size }, 1));
    return k_transpose(c, k_reshape(c, x, (int64_t[]){ 0, 0, heads, size }, 4), (int64_t[]){ 0, 2, 1, 3 }, 4);
}

/* (N, heads, L, size) by (heads, size, D) to (N, L, D) */
static struct value *output(struct call *c, struct value *x, int64_t heads, int64_t size, int64_t out)
{
    x = k_reshape(c, k_transpose(c, x, (int64_t[]){ 0, 2, 1, 3 }, 4), (int64_t[]){ 0, 0, heads * size }, 3);
    struct value *w = weight(c, "output_dense/kernel", 3, (int64_t[]){ heads, size, out }, NULL);
    x = k_op2(c, "MatMul", x, k_reshape(c, w, (int64_t[]){ heads * size, out }, 2));
    struct value *b = weight(c, "output_dense/bias", 1, &out, NULL);
    return b ? k_op2(c, "Add", x, b) : x;
}

/* Keras 3 lets axes be chosen; only that of time is known here. */
static bool check_axes(struct call *c)
{
    const json_t *axes = cfg(c, "attention_axes");
    const json_t *one = json_is_array(axes) ? json_array_get(axes, 0) : axes;
    if (!axes || (json_array_size(axes) <= 1 && (json_integer_value(one) == 1 || json_integer_value(one) == -2)))
        return true;
    call_fail(c, ERR_UNSUPPORTED, "attention over other axes than time");
    return false;
}

/* query, value, key: by place or by name; the key is the value where it is not given. */
static bool read_inputs(struct call *c, struct ktensor *t[3])
{
    static const char *const names[] = { "query", "value", "key" };
    for (size_t i = 0; i < 3; i++) t[i] = c->args || c->kwargs ? tensor_argument(c, i, names[i]) : NULL;
    if (!t[0])
        for (size_t i = 0; i < 3 && i < c->n_in; i++) t[i] = c->in[i];
    for (size_t i = 0; i < 3; i++)
        if (t[i] && !(t[i] = ktensor_cast(c, t[i], c->k->compute))) return false;
    if (!t[1]) t[1] = t[0];
    if (!t[2]) t[2] = t[1];
    if (!t[0]) call_fail(c, ERR_MODEL, "it has no query");
    return t[0];
}

/* Groups of query heads that share a key and a value: each of these is repeated. */
static struct value *repeated(struct call *c, struct value *x, int64_t heads, int64_t groups, int64_t size)
{
    if (heads == groups) return x;
    x = emit(
        c->b, "Tile", NO_ATTRS, k_unsqueeze(c, x, 2), emit_i64s(c->b, (int64_t[]){ 1, 1, heads / groups, 1, 1 }, 5));
    struct value *batch = k_size(c, x, 0), *steps = k_size(c, x, 3);
    struct value *parts[] = { batch, emit_i64s(c->b, &heads, 1), steps, emit_i64s(c->b, &size, 1) };
    return k_op2(c, "Reshape", x, k_concat(c, parts, 4, 0));
}

static struct ktensor *lower_multi_head(struct call *c)
{
    struct ktensor *t[3];
    struct attention a = { 0 };
    bool grouped = cfg(c, "num_query_heads") != NULL;
    int64_t heads = cfg_int(c, grouped ? "num_query_heads" : "num_heads", -1);
    int64_t groups = cfg_int(c, "num_key_value_heads", heads), size = cfg_int(c, grouped ? "head_dim" : "key_dim", -1);
    int64_t v_size = cfg_int(c, "value_dim", size);
    if (heads < 1 || size < 1 || groups < 1 || heads % groups) return call_fail(c, ERR_MODEL, "its heads"), NULL;
    if (!check_axes(c) || !read_inputs(c, t)) return NULL;
    int64_t out = ktensor_dim(t[0], -1);
    const json_t *shape = cfg(c, "output_shape");
    if (json_is_array(shape) && json_array_size(shape) == 1) shape = json_array_get(shape, 0);
    if (json_is_integer(shape)) out = json_integer_value(shape);
    else if (shape) return call_fail(c, ERR_UNSUPPORTED, "an output_shape of several dimensions"), NULL;
    a.q = projected(c, "query_dense", as_plain(c, t[0]), heads, size);
    a.k = repeated(c, projected(c, "key_dense", as_plain(c, t[2]), groups, size), heads, groups, size);
    a.v = repeated(c, projected(c, "value_dense", as_plain(c, t[1]), groups, v_size), heads, groups, v_size);
    a.query_mask = t[0]->mask;
    a.key_mask = and_masks(c, t[1]->mask, t[2]->mask);
    a.mask = mask_argument(c, "attention_mask");
    a.causal = json_is_true(json_object_get(c->kwargs, "use_causal_mask"));
    struct value *scores = k_op2(c, "MatMul", k_scaled(c, a.q, 1 / sqrt((double)size), 0), swapped(c, a.k));
    struct value *w = weights_of(c, &a, scores), *y_heads = k_op2(c, "MatMul", w, a.v);
    if (has_weight(c, "gate_dense/kernel")) /* a sigmoid of the query, for each number that a head gives */
        y_heads = k_op2(
            c, "Mul", y_heads, k_op(c, "Sigmoid", projected(c, "gate_dense", as_plain(c, t[0]), heads, v_size)));
    struct ktensor *y = ktensor_plain(c, output(c, y_heads, heads, v_size, out));
    if (y) y->mask = t[0]->mask;
    if (json_is_true(json_object_get(c->kwargs, "return_attention_scores"))) c->more[c->n_more++] = ktensor_plain(c, w);
    return y;
}

/* sum over features of tanh(query + key), each times a weight: (N, Lq, Lk) */
static struct value *additive(struct call *c, const struct attention *a, struct value *scale, bool concat)
{
    int64_t last = -1;
    struct value *sum = k_op2(c, "Add", k_unsqueeze(c, a->q, 2), k_unsqueeze(c, a->k, 1));
    if (concat && scale) sum = k_op2(c, "Mul", sum, scale);
    sum = k_op(c, "Tanh", sum);
    if (!concat && scale) sum = k_op2(c, "Mul", sum, scale);
    return k_reduce(c, "ReduceSum", sum, &last, 1, false);
}

static struct value *scores_of(struct call *c, const struct attention *a)
{
    bool old = !strcmp(c->layer->class_name, "AdditiveAttention");
    bool concat = !strcmp(cfg_string(c, "score_mode", "dot"), "concat");
    int64_t size = a->q ? a->q->shape.dim[a->q->shape.rank - 1] : -1;
    struct value *scale = !has_weight(c, "scale") ? NULL
        : old                                     ? weight(c, "scale", 1, &size, NULL)
                                                  : weight(c, "scale", 0, NULL, NULL);
    if (old) return additive(c, a, scale, false);
    if (concat) {
        struct value *all = additive(c, a, scale, true);
        return k_op2(c, "Mul", all, weight(c, "concat_score_weight", 0, NULL, NULL));
    }
    struct value *dot = k_op2(c, "MatMul", a->q, swapped(c, a->k));
    return scale ? k_op2(c, "Mul", dot, scale) : dot;
}

/* Luong's and Bahdanau's: [query, value, key] in one list. */
static struct ktensor *lower_attention(struct call *c)
{
    struct attention a = { 0 };
    if (c->n_in < 2 || c->n_in > 3) return call_fail(c, ERR_MODEL, "it takes query, value and perhaps key"), NULL;
    struct ktensor *key = c->in[c->n_in == 3 ? 2 : 1];
    const json_t *masks = json_object_get(c->kwargs, "mask");
    struct ktensor *query_mask = tensor_of(c, json_array_get(masks, 0)),
                   *value_mask = tensor_of(c, json_array_get(masks, 1));
    a.q = as_plain(c, c->in[0]);
    a.v = as_plain(c, c->in[1]);
    a.k = as_plain(c, key);
    a.key_mask = value_mask ? emit_cast(c->b, as_plain(c, value_mask), DT_BOOL) : c->in[1]->mask;
    struct value *rows = query_mask ? emit_cast(c->b, as_plain(c, query_mask), DT_BOOL) : c->in[0]->mask;
    a.causal = cfg_bool(c, "causal", false) || json_is_true(json_object_get(c->kwargs, "use_causal_mask"));
    struct value *w = weights_of(c, &a, scores_of(c, &a)), *y = k_op2(c, "MatMul", w, a.v);
    if (rows && y) y = k_op2(c, "Mul", y, k_unsqueeze(c, emit_cast(c->b, rows, y->dtype), 2));
    struct ktensor *out = ktensor_plain(c, y);
    if (out) out->mask = rows;
    if (json_is_true(json_object_get(c->kwargs, "return_attention_scores"))) c->more[c->n_more++] = ktensor_plain(c, w);
    return out;
}

#define PROJECTION(name) name "/kernel " name "/bias?use_bias "
#define GATE "gate_dense/kernel?+use_gate gate_dense/bias?+use_gate&use_bias "

const struct layer_row keras_layers_attention[] = {
    { "MultiHeadAttention GroupedQueryAttention GroupQueryAttention", lower_multi_head,
        PROJECTION("query_dense") PROJECTION("key_dense") GATE PROJECTION("value_dense") PROJECTION("output_dense"),
        LAYER_OWN_MASK | LAYER_ANY_TYPE },
    { "Attention", lower_attention, "scale?use_scale concat_score_weight?score_mode=concat", LAYER_OWN_MASK },
    { "AdditiveAttention", lower_attention, "scale?use_scale", LAYER_OWN_MASK },
    { NULL },
};
