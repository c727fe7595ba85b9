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

enum { MASK = 3, PAST_KEY, PAST_VALUE };

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

static int attention_infer(struct node *n, struct err *e)
{
    struct heads h;
    struct shape y = shape_unknown(), k = y, v = y, qk = y;
    int64_t total, v_total;
    TRY(read_heads(n, &h, e));
    TRY(infer_same_types(n, PAST_KEY, PAST_VALUE + 1, e));
    if ((node_in(n, PAST_KEY) != NULL) != (node_in(n, PAST_VALUE) != NULL))
        return fail(e, ERR_MODEL, "past_key and past_value come together");
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

/* A query sees the past and, of what is new, nothing behind its own place. */
static struct value *causal(struct builder *b, const struct node *n, struct value *scores)
{
    struct value *past = node_in(n, PAST_KEY);
    if (!node_int(n, "is_causal")) return scores;
    if (!past) return emit(b, "CausalMask", NO_ATTRS, scores);
    struct value *length = emit(b, "Shape", ATTRS(attr_int("start", 2), attr_int("end", 3)), past);
    return emit(b, "CausalMask", NO_ATTRS, scores, length);
}

static struct value *masked(struct builder *b, const struct node *n, struct value *scores)
{
    struct value *mask = node_in(n, MASK);
    scores = causal(b, n, scores);
    if (!mask || b->err->code) return scores;
    if (mask->dtype != DT_BOOL) return emit(b, "Add", NO_ATTRS, scores, emit_cast(b, mask, scores->dtype));
    return emit(b, "Where", NO_ATTRS, mask, scores, emit_scalar(b, scores->dtype, -INFINITY));
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
    stages[2] = masked(b, n, stages[1]);
    struct value *wide = precision ? emit_cast(b, stages[2], (enum dtype)precision) : stages[2];
    wide = emit(b, "Softmax", ATTRS(attr_int("axis", -1)), wide);
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
    TRY(infer_type(n, 1, TYPES_INTEGER, e));
    return infer_same(n, e);
}

struct causal {
    const struct tensor *x;
    struct tensor *y;
    int64_t rows, cols, offset;
    double value;
};

static void causal_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct causal *c = ctx;
    size_t size = dtype_size(c->x->dtype);
    double v[256];
    for (int64_t row = begin; row < end; row++)
        for (int64_t i = 0; i < c->cols; i += 256) {
            int64_t n = c->cols - i < 256 ? c->cols - i : 256;
            size_t at = (size_t)(row * c->cols + i) * size;
            load_f64(c->x->dtype, (unsigned char *)c->x->data + at, n, v);
            for (int64_t k = 0; k < n; k++)
                if (i + k > row % c->rows + c->offset) v[k] = c->value;
            store_f64(c->y->dtype, (unsigned char *)c->y->data + at, n, v);
        }
}

static int causal_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    struct causal c = { s->in[0], s->out[0], x->dim[x->rank - 2], x->dim[x->rank - 1], 0,
        node_float(s->node, "value") };
    TRY(step_scalar(s, 1, "the offset", &c.offset, e));
    if (c.offset < 0 || c.offset > INT64_MAX / 2) return fail(e, ERR_DATA, "the offset is %lld", (long long)c.offset);
    team_run(s->threads, shape_span(x, 0, x->rank - 1), 64, causal_rows, &c);
    return 0;
}

static int causal_grad(struct grad *g)
{
    g->dx[0] = emit(g->b, "CausalMask", ATTRS(attr_float("value", 0)), g->dy[0], node_in(g->node, 1));
    return 0;
}

static const struct attr_spec attention_attrs[] = {
    { "is_causal", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "a query sees no key that comes after it" },
    { "kv_num_heads", ATTR_INT, .doc = "heads of key and value, for inputs of rank 3" },
    { "q_num_heads", ATTR_INT, .doc = "heads of the query, for inputs of rank 3" },
    { "qk_matmul_output_mode", ATTR_INT, ATTR_DEFAULT, .i = 0,
        .doc = "output 3: products; 1 capped, 2 masked, 3 softmax" },
    { "scale", ATTR_FLOAT, .doc = "of the products; 1 / sqrt(head size) when absent" },
    { "softcap", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "products are bent to stay within it; 0: not" },
    { "softmax_precision", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "type of the softmax; 0: as the query" },
    { 0 },
};
static const struct attr_spec causal_attrs[] = {
    { "value", ATTR_FLOAT, ATTR_DEFAULT, .f = -INFINITY, .doc = "what stands there afterwards" },
    { 0 },
};

const struct op ops_attention[] = {
    { .name = "Attention",
        .doc = "softmax(q k^T scale + mask) v of (q, k, v, mask, past k, past v), of rank 4 or 3 (heads side by side)",
        .min_in = 3,
        .max_in = 6,
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
            "f32[1,3,4] "
            "f32[1,3,4] f32[1,3,4] | q_num_heads=1 kv_num_heads=1 softmax_precision=11" },
    { .name = "CausalMask",
        .doc = "x where the last index is not past the one before it and an offset, else `value`",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_INPLACE,
        .attrs = causal_attrs,
        .infer = causal_infer,
        .run = causal_run,
        .grad = causal_grad,
        .samples = "f32[2,3,4] | value=0; f32[4,4] i64{1} | value=-2; f64[1,2,300,3] | value=7" },
    { 0 },
};
