/* attention.c - scaled dot-product attention, as a composite of products and a softmax. */
#include <math.h>

#include "base/err.h"
#include "base/team.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/mover.h"
#include "ops/operand.h"

/* Heads, lengths and head sizes of (query, key, value), each negative where unknown. */
struct heads {
    int rank; /* 3: (B, L, heads * size), 4: (B, heads, L, size); -1 unknown */
    int64_t batch, q_heads, kv_heads, q_length, kv_length, size, v_size;
};

static int head_size(int64_t width, int64_t heads, int64_t *size, struct err *e)
{
    *size = width < 0 ? DIM_UNKNOWN : width / heads;
    if (width < 0 || width % heads == 0) return 0;
    return fail(e, ERR_SHAPE, "a width of %lld does not divide into %lld heads", (long long)width, (long long)heads);
}

static int check_pair(int64_t a, int64_t b, const char *what, struct err *e)
{
    if (a < 0 || b < 0 || a == b) return 0;
    return fail(e, ERR_SHAPE, "%s differ: %lld and %lld", what, (long long)a, (long long)b);
}

static int read_flat(const struct node *n, struct heads *h, struct err *e)
{
    const int64_t *q = n->in[0]->shape.dim, *k = n->in[1]->shape.dim, *v = n->in[2]->shape.dim;
    int64_t k_size;
    h->q_heads = node_int(n, "q_num_heads");
    h->kv_heads = node_int(n, "kv_num_heads");
    if (h->q_heads < 1 || h->kv_heads < 1)
        return fail(e, ERR_SHAPE, "inputs of rank 3 need q_num_heads and kv_num_heads");
    h->q_length = q[1];
    h->kv_length = k[1];
    TRY(check_pair(k[1], v[1], "the lengths of key and value", e));
    TRY(head_size(q[2], h->q_heads, &h->size, e));
    TRY(head_size(k[2], h->kv_heads, &k_size, e));
    TRY(check_pair(h->size, k_size, "the head sizes of query and key", e));
    return head_size(v[2], h->kv_heads, &h->v_size, e);
}

static int read_heads(const struct node *n, struct heads *h, struct err *e)
{
    for (int i = 0; i < 3; i++) TRY(infer_rank(n, i, 3, 4, e));
    TRY(infer_same_types(n, 0, 3, e));
    const struct shape *q = &n->in[0]->shape, *k = &n->in[1]->shape, *v = &n->in[2]->shape;
    *h = (struct heads){ .rank = -1 };
    if (q->rank < 0 || k->rank < 0 || v->rank < 0) return 0;
    if (k->rank != q->rank || v->rank != q->rank) return fail(e, ERR_SHAPE, "the inputs have different ranks");
    *h = (struct heads){ .rank = q->rank, .batch = q->dim[0] };
    TRY(check_pair(q->dim[0], k->dim[0], "the batches of query and key", e));
    TRY(check_pair(k->dim[0], v->dim[0], "the batches of key and value", e));
    if (q->rank == 3) TRY(read_flat(n, h, e));
    else {
        *h = (struct heads){ 4, q->dim[0], q->dim[1], k->dim[1], q->dim[2], k->dim[2], q->dim[3], v->dim[3] };
        TRY(check_pair(q->dim[3], k->dim[3], "the head sizes of query and key", e));
        TRY(check_pair(k->dim[1], v->dim[1], "the heads of key and value", e));
        TRY(check_pair(k->dim[2], v->dim[2], "the lengths of key and value", e));
    }
    if (h->q_heads > 0 && h->kv_heads > 0 && h->q_heads % h->kv_heads)
        return fail(
            e, ERR_SHAPE, "%lld query heads do not divide over %lld", (long long)h->q_heads, (long long)h->kv_heads);
    return 0;
}

enum { MASK = 3, PAST_KEY, PAST_VALUE, VALID };

/* What past and present keys or values are: (B, heads, length, size); total: past and new length together. */
static int read_past(const struct node *n, int i, const struct heads *h, int64_t size, int64_t *total, struct err *e)
{
    const struct value *past = node_in(n, i);
    *total = h->kv_length;
    if (!past) return 0;
    TRY(infer_rank(n, i, 4, 4, e));
    if (past->shape.rank < 0) return *total = DIM_UNKNOWN, 0;
    TRY(check_pair(past->shape.dim[0], h->batch, "the batches of past and present", e));
    TRY(check_pair(past->shape.dim[1], h->kv_heads, "the heads of past and present", e));
    TRY(check_pair(past->shape.dim[3], size, "the head sizes of past and present", e));
    bool known = past->shape.dim[2] >= 0 && h->kv_length >= 0;
    *total = known ? past->shape.dim[2] + h->kv_length : DIM_UNKNOWN;
    return 0;
}

/* How many keys of each sample count: (B), of a cache that is kept elsewhere. */
static int check_valid(const struct node *n, const struct heads *h, struct err *e)
{
    if (!node_in(n, VALID)) return 0;
    if (node_in(n, PAST_KEY)) return fail(e, ERR_MODEL, "nonpad_kv_seqlen and past_key exclude each other");
    TRY(infer_type(n, VALID, TYPES_INTEGER, e));
    TRY(infer_rank(n, VALID, 1, 1, e));
    return h->rank < 0 || n->in[VALID]->shape.rank < 0
        ? 0
        : check_pair(n->in[VALID]->shape.dim[0], h->batch, "nonpad_kv_seqlen and the batch", e);
}

static int attention_infer(struct node *n, struct err *e)
{
    struct heads h;
    struct shape y = shape_unknown(), k = y, v = y, qk = y;
    int64_t total, v_total;
    TRY(read_heads(n, &h, e));
    TRY(infer_same_types(n, PAST_KEY, PAST_VALUE + 1, e));
    if ((node_in(n, PAST_KEY) != NULL) != (node_in(n, PAST_VALUE) != NULL))
        return fail(e, ERR_MODEL, "past_key and past_value come together");
    TRY(check_valid(n, &h, e));
    if (h.rank > 0) {
        TRY(read_past(n, PAST_KEY, &h, h.size, &total, e));
        TRY(read_past(n, PAST_VALUE, &h, h.v_size, &v_total, e));
        k = shape_of(4, (int64_t[]){ h.batch, h.kv_heads, total, h.size });
        v = shape_of(4, (int64_t[]){ h.batch, h.kv_heads, v_total, h.v_size });
        qk = shape_of(4, (int64_t[]){ h.batch, h.q_heads, h.q_length, total });
    }
    if (h.rank == 4) y = shape_of(4, (int64_t[]){ h.batch, h.q_heads, h.q_length, h.v_size });
    if (h.rank == 3)
        y = shape_of(3, (int64_t[]){ h.batch, h.q_length, h.v_size < 0 ? DIM_UNKNOWN : h.v_size * h.q_heads });
    infer_out(n, 0, n->in[0]->dtype, &y);
    infer_out(n, 1, n->in[1]->dtype, &k);
    infer_out(n, 2, n->in[2]->dtype, &v);
    infer_out(n, 3, n->in[0]->dtype, &qk);
    return 0;
}

static struct value *reshaped(struct builder *b, struct value *v, int rank, const int64_t *dims)
{
    return emit(b, "Reshape", NO_ATTRS, v, emit_i64s(b, dims, (size_t)rank));
}

static struct value *permuted(struct builder *b, struct value *v, const int64_t *perm)
{
    return emit(b, "Transpose", ATTRS(attr_ints("perm", perm, 4)), v);
}

/* (B, L, heads * size) to (B, heads, L, size) */
static struct value *split_heads(struct builder *b, struct value *v, const struct heads *h, int64_t heads)
{
    if (h->rank == 4) return v;
    v = reshaped(b, v, 4, (int64_t[]){ 0, 0, heads, -1 });
    return permuted(b, v, (int64_t[]){ 0, 2, 1, 3 });
}

/* Every head of keys or values serves several of the queries, one behind the other. */
static struct value *repeat_heads(struct builder *b, struct value *v, const struct heads *h, int64_t size)
{
    if (h->q_heads == h->kv_heads) return v;
    v = emit(b, "Unsqueeze", NO_ATTRS, v, emit_i64s(b, (int64_t[]){ 2 }, 1));
    v = emit(b, "Expand", NO_ATTRS, v, emit_i64s(b, (int64_t[]){ 1, 1, h->q_heads / h->kv_heads, 1, 1 }, 5));
    return reshaped(b, v, 4, (int64_t[]){ 0, h->q_heads, -1, size });
}

/* New keys or values behind those of the past. */
static struct value *with_past(struct builder *b, const struct node *n, int past, struct value *v)
{
    if (!node_in(n, past)) return v;
    return emit(b, "Concat", ATTRS(attr_int("axis", 2)), n->in[past], v);
}

/* Where the first query stands among the keys: NULL, at the first; else one number, or one for each sample. */
static struct value *first_place(struct builder *b, const struct node *n, struct value *q)
{
    struct value *past = node_in(n, PAST_KEY), *valid = node_in(n, VALID);
    if (past) return emit(b, "Shape", ATTRS(attr_int("start", 2), attr_int("end", 3)), past);
    if (!valid) return NULL;
    return emit(b, "Sub", NO_ATTRS, emit_cast(b, valid, DT_I64),
        emit(b, "Shape", ATTRS(attr_int("start", 2), attr_int("end", 3)), q));
}

/* Which keys a query sees by their places: at most so many before it and after it, -1 any number. */
static int read_window(const struct node *n, int64_t *left, int64_t *right, struct err *e)
{
    *left = node_int(n, "left_window_size");
    *right = node_int(n, "right_window_size");
    if (*left < -1 || *right < -1)
        return fail(
            e, ERR_MODEL, "a window of %lld to the left and %lld to the right", (long long)*left, (long long)*right);
    if (node_int(n, "is_causal")) *right = 0;
    return 0;
}

/* A mask may end before the keys do: the rest is not seen. */
static struct value *full_width(struct builder *b, struct value *mask, const struct value *scores)
{
    int rank = mask->shape.rank;
    int64_t have = rank > 0 ? mask->shape.dim[rank - 1] : -1, want = scores ? scores->shape.dim[3] : -1;
    int64_t pads[2 * SHAPE_MAX] = { 0 };
    if (have <= 1 || have >= want) return mask;
    pads[2 * rank - 1] = want - have;
    struct value *rest = emit_scalar(b, mask->dtype, mask->dtype == DT_BOOL ? 0 : -INFINITY);
    return emit(b, "Pad", NO_ATTRS, mask, emit_i64s(b, pads, 2 * (size_t)rank), rest);
}

static struct value *hidden(struct builder *b, struct value *seen, struct value *scores)
{
    return scores ? emit(b, "Where", NO_ATTRS, seen, scores, emit_scalar(b, scores->dtype, -INFINITY)) : NULL;
}

/* Keys behind the end of a sample are not seen. */
static struct value *without_padding(struct builder *b, struct value *valid, struct value *scores)
{
    struct value *length = emit(b, "Shape", ATTRS(attr_int("start", 3), attr_int("end", 4)), scores);
    length = emit(b, "Squeeze", NO_ATTRS, length, emit_i64s(b, (int64_t[]){ 0 }, 1));
    struct value *place = emit(b, "Range", NO_ATTRS, emit_i64(b, 0), length, emit_i64(b, 1));
    struct value *end = reshaped(b, emit_cast(b, valid, DT_I64), 4, (int64_t[]){ -1, 1, 1, 1 });
    return hidden(b, emit(b, "Less", NO_ATTRS, place, end), scores);
}

static struct value *masked(struct builder *b, const struct node *n, struct value *q, struct value *scores)
{
    struct value *mask = node_in(n, MASK);
    int64_t left, right;
    if (read_window(n, &left, &right, b->err)) return NULL;
    if (left >= 0 || right >= 0)
        scores = emit(
            b, "CausalMask", ATTRS(attr_int("left", left), attr_int("right", right)), scores, first_place(b, n, q));
    if (node_in(n, VALID)) scores = without_padding(b, n->in[VALID], scores);
    if (!mask || b->err->code) return scores;
    mask = full_width(b, mask, scores);
    if (mask && mask->dtype == DT_BOOL) return hidden(b, mask, scores);
    return mask ? emit(b, "Add", NO_ATTRS, scores, emit_cast(b, mask, scores->dtype)) : NULL;
}

/* Whether a query may see no key at all; with is_causal alone it sees the first. */
static bool may_be_blind(const struct node *n)
{
    return node_in(n, MASK) || node_in(n, VALID) || node_int(n, "left_window_size") >= 0 ||
        node_int(n, "right_window_size") >= 0;
}

static struct value *capped(struct builder *b, const struct node *n, struct value *scores)
{
    double cap = node_float(n, "softcap");
    if (!(cap > 0) || b->err->code) return scores;
    struct value *k = emit_scalar(b, scores->dtype, cap);
    return emit(b, "Mul", NO_ATTRS, emit(b, "Tanh", NO_ATTRS, emit(b, "Div", NO_ATTRS, scores, k)), k);
}

/* q k^T, the same capped, masked, and the softmax of both: what qk_matmul_output_mode counts. q is scaled. The cap
 * comes before the mask: it would let what is masked through. */
static int weigh(struct builder *b, const struct node *n, struct value *q, struct value *k, struct value *stages[4])
{
    int64_t precision = node_int(n, "softmax_precision"), mode = node_int(n, "qk_matmul_output_mode");
    if (mode < 0 || mode > 3) return fail(b->err, ERR_MODEL, "qk_matmul_output_mode is %lld", (long long)mode);
    if (precision && (precision != (int)precision || !dtype_is_float((enum dtype)precision)))
        return fail(b->err, ERR_MODEL, "softmax_precision is %lld", (long long)precision);
    stages[0] = emit(b, "MatMul", NO_ATTRS, q, k);
    stages[1] = capped(b, n, stages[0]);
    stages[2] = masked(b, n, q, stages[1]);
    struct value *wide = precision && stages[2] ? emit_cast(b, stages[2], (enum dtype)precision) : stages[2];
    wide = emit(b, may_be_blind(n) ? "SoftmaxOrZero" : "Softmax", ATTRS(attr_int("axis", -1)), wide);
    stages[3] = wide ? emit_cast(b, wide, n->in[0]->dtype) : NULL;
    return 0;
}

static int attention_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct heads h;
    struct value *stages[4] = { NULL };
    TRY(read_heads(n, &h, b->err));
    if (h.rank < 0 || h.size < 1 || h.v_size < 0 || h.q_heads < 1 || h.kv_heads < 1)
        return fail(b->err, ERR_UNSUPPORTED, "needs to know its heads and their sizes");
    double scale = node_has(n, "scale") ? node_float(n, "scale") : 1 / sqrt((double)h.size);
    struct value *q = split_heads(b, n->in[0], &h, h.q_heads), *k = split_heads(b, n->in[1], &h, h.kv_heads);
    struct value *v = split_heads(b, n->in[2], &h, h.kv_heads);
    k = with_past(b, n, PAST_KEY, k);
    v = with_past(b, n, PAST_VALUE, v);
    if (n->n_out > 1) out[1] = k;
    if (n->n_out > 2) out[2] = v;
    k = permuted(b, repeat_heads(b, k, &h, h.size), (int64_t[]){ 0, 1, 3, 2 });
    v = repeat_heads(b, v, &h, h.v_size);
    q = emit(b, "Mul", NO_ATTRS, q, emit_scalar(b, n->in[0]->dtype, scale));
    TRY(weigh(b, n, q, k, stages));
    struct value *y = emit(b, "MatMul", NO_ATTRS, stages[3], v);
    if (h.rank == 3)
        y = reshaped(b, permuted(b, y, (int64_t[]){ 0, 2, 1, 3 }), 3, (int64_t[]){ 0, 0, h.q_heads * h.v_size });
    out[0] = y;
    if (n->n_out > 3) out[3] = stages[node_int(n, "qk_matmul_output_mode")];
    return 0;
}

static int causal_infer(struct node *n, struct err *e)
{
    TRY(infer_rank(n, 0, 2, SHAPE_MAX, e));
    if (node_in(n, 1)) {
        TRY(infer_type(n, 1, TYPES_INTEGER, e));
        TRY(infer_rank(n, 1, 0, 1, e));
    }
    return infer_same(n, e);
}

struct causal {
    const struct tensor *x;
    struct tensor *y;
    int64_t rows, cols, left, right;
    int64_t group; /* rows that share an offset */
    const int64_t *offsets;
    double value;
};

static void causal_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct causal *c = ctx;
    size_t size = dtype_size(c->x->dtype);
    double v[256];
    for (int64_t row = begin; row < end; row++)
        for (int64_t i = 0; i < c->cols; i += 256) {
            int64_t n = c->cols - i < 256 ? c->cols - i : 256, place = row % c->rows + c->offsets[row / c->group];
            size_t at = (size_t)(row * c->cols + i) * size;
            load_f64(c->x->dtype, (unsigned char *)c->x->data + at, n, v);
            for (int64_t k = 0; k < n; k++) {
                int64_t ahead = i + k - place;
                if ((c->right >= 0 && ahead > c->right) || (c->left >= 0 && -ahead > c->left)) v[k] = c->value;
            }
            store_f64(c->y->dtype, (unsigned char *)c->y->data + at, n, v);
        }
}

static int causal_run(const struct step *s, struct err *e)
{
    static const int64_t none;
    const struct shape *x = &s->in[0]->shape;
    const struct tensor *offset = step_in(s, 1);
    int64_t rows = shape_span(x, 0, x->rank - 1), count = offset ? tensor_count(offset) : 1;
    struct causal c = { s->in[0], s->out[0], x->dim[x->rank - 2], x->dim[x->rank - 1], node_int(s->node, "left"),
        node_int(s->node, "right"), rows, &none, node_float(s->node, "value") };
    if (count != 1 && count != x->dim[0])
        return fail(e, ERR_SHAPE, "%lld offsets for a batch of %lld", (long long)count, (long long)x->dim[0]);
    if (!rows || !count) return 0;
    c.group = rows / count;
    if (offset && !(c.offsets = operand_load_ints(s, offset, e))) return e->code;
    for (int64_t i = 0; i < count; i++)
        if (c.offsets[i] < -(INT64_MAX / 4) || c.offsets[i] > INT64_MAX / 4)
            return fail(e, ERR_DATA, "offset %lld is %lld", (long long)i, (long long)c.offsets[i]);
    team_run(s->threads, rows, 64, causal_rows, &c);
    return 0;
}

static int causal_grad(struct grad *g)
{
    const struct node *n = g->node;
    g->dx[0] = emit(g->b, "CausalMask",
        ATTRS(attr_int("left", node_int(n, "left")), attr_int("right", node_int(n, "right")), attr_float("value", 0)),
        g->dy[0], node_in(n, 1));
    return 0;
}

/* 0, 1, .. along a dimension of x counted from the end, as a column or a row. */
static struct value *places(struct builder *b, struct value *x, int64_t from_end)
{
    struct value *end = emit(b, "Shape", ATTRS(attr_int("start", -from_end)), x);
    end = emit(b, "Gather", NO_ATTRS, end, emit_i64(b, 0));
    struct value *v = emit(b, "Range", NO_ATTRS, emit_i64(b, 0), end, emit_i64(b, 1));
    return from_end == 1 ? v : emit(b, "Unsqueeze", NO_ATTRS, v, emit_i64s(b, (int64_t[]){ 1 }, 1));
}

static int causal_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *x = n->in[0], *offset = node_in(n, 1),
                 *ahead = emit(b, "Sub", NO_ATTRS, places(b, x, 1), places(b, x, 2));
    int64_t left = node_int(n, "left"), right = node_int(n, "right"), axes[SHAPE_MAX];
    for (int d = 1; d < x->shape.rank; d++) axes[d - 1] = d;
    if (x->shape.rank < 0) return fail(b->err, ERR_UNSUPPORTED, "needs a known rank");
    if (offset && offset->shape.rank == 1)
        offset = emit(b, "Unsqueeze", NO_ATTRS, offset, emit_i64s(b, axes, (size_t)x->shape.rank - 1));
    if (offset) ahead = emit(b, "Sub", NO_ATTRS, ahead, emit_cast(b, offset, DT_I64));
    struct value *rest = emit_scalar(b, x->dtype, node_float(n, "value")), *y = x;
    if (right >= 0)
        y = emit(b, "Where", NO_ATTRS, emit(b, "LessOrEqual", NO_ATTRS, ahead, emit_i64(b, right)), y, rest);
    if (left >= 0)
        y = emit(b, "Where", NO_ATTRS, emit(b, "GreaterOrEqual", NO_ATTRS, ahead, emit_i64(b, -left)), y, rest);
    out[0] = y;
    return 0;
}

static const struct attr_spec attention_attrs[] = {
    { "is_causal", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "a query sees no key that comes after it" },
    { "kv_num_heads", ATTR_INT, .doc = "heads of key and value, for inputs of rank 3" },
    { "left_window_size", ATTR_INT, ATTR_DEFAULT, .i = -1,
        .doc = "keys before its own place that a query sees; -1: all" },
    { "q_num_heads", ATTR_INT, .doc = "heads of the query, for inputs of rank 3" },
    { "qk_matmul_output_mode", ATTR_INT, ATTR_DEFAULT, .i = 0,
        .doc = "output 3: products; 1 capped, 2 masked, 3 softmax" },
    { "right_window_size", ATTR_INT, ATTR_DEFAULT, .i = -1,
        .doc = "keys after its own place that a query sees; -1: all" },
    { "scale", ATTR_FLOAT, .doc = "of the products; 1 / sqrt(head size) when absent" },
    { "softcap", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "products are bent to stay within it; 0: not" },
    { "softmax_precision", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "type of the softmax; 0: as the query" },
    { 0 },
};
static const struct attr_spec causal_attrs[] = {
    { "left", ATTR_INT, ATTR_DEFAULT, .i = -1, .doc = "places before its own that a row keeps; -1: all" },
    { "right", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "places after its own that a row keeps; -1: all" },
    { "value", ATTR_FLOAT, ATTR_DEFAULT, .f = -INFINITY, .doc = "what stands there afterwards" },
    { 0 },
};

const struct op ops_attention[] = {
    { .name = "Attention",
        .doc =
            "softmax(q k^T scale + mask) v of (q, k, v, mask, past k, past v, valid keys), of rank 4 or 3 (heads side "
            "by side)",
        .min_in = 3,
        .max_in = 7,
        .min_out = 1,
        .max_out = 4,
        .attrs = attention_attrs,
        .infer = attention_infer,
        .expand = attention_expand,
        .samples =
            "f32[2,3,4,5] f32[2,3,6,5] f32[2,3,6,2]; f32[1,4,6] f32[1,4,6] f32[1,4,6] | q_num_heads=2 kv_num_heads=2 "
            "is_causal=1; f32[2,3,8] f32[2,5,4] f32[2,5,4] f32[3,5] | q_num_heads=4 kv_num_heads=2 scale=0.5; "
            "f32[1,2,3,4] f32[1,2,3,4] f32[1,2,3,5] - f32[1,2,2,4] f32[1,2,2,5] | is_causal=1 outputs=3; f32[1,2,3,4] "
            "f32[1,1,5,4] f32[1,1,5,4] bool{1,0,1,1,1} | softcap=2 qk_matmul_output_mode=3 outputs=4 smooth=3; "
            "f32[1,3,4] f32[1,3,4] f32[1,3,4] | q_num_heads=1 kv_num_heads=1 softmax_precision=11; f32[2,1,3,4] "
            "f32[2,1,5,4] "
            "f32[2,1,5,4] bool{1,0,1} - - i64{4,2} | is_causal=1; f32[1,2,4,3] f32[1,2,6,3] f32[1,2,6,3] | "
            "left_window_size=1 right_window_size=2" },
    { .name = "CausalMask",
        .doc = "x where the last index is within a window around the one before it plus an offset, else `value`",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_INPLACE,
        .attrs = causal_attrs,
        .infer = causal_infer,
        .run = causal_run,
        .grad = causal_grad,
        .expand = causal_expand,
        .samples = "f32[2,3,4] | value=0; f32[4,4] i64{1} | value=-2; f64[1,2,300,3] | value=7; f32[2,3,4,5] i64{1,-1} "
                   "| value=3 left=1; f32[3,5] i64[]{1} | value=1 left=0 right=1" },
    { 0 },
};
