/* concat.c - joining tensors along an axis and taking them apart. */
#include "base/arena.h"
#include "base/err.h"
#include "graph/known.h"
#include "ops/infer.h"
#include "ops/mover.h"

/* Copies between `whole` and a piece of it that is `size` long from `start` along the axis. */
static void move_piece(const struct step *s, const struct tensor *whole, const struct tensor *piece, int axis,
    int64_t start, bool out_of_whole)
{
    const struct shape *w = &whole->shape;
    int64_t inner = shape_span(w, axis + 1, w->rank), size = piece->shape.dim[axis] * inner, row = w->dim[axis] * inner;
    struct move m = { 0 };
    move_add(&m, shape_span(w, 0, axis), out_of_whole ? size : row, out_of_whole ? row : size);
    move_add(&m, size, 1, 1);
    void *at = element(whole, start * inner);
    move_run(
        &m, s->threads, dtype_size(whole->dtype), out_of_whole ? piece->data : at, out_of_whole ? at : piece->data);
}

/* Adds the length of input i along the axis, and what it says about the other dimensions. */
static int join(const struct node *n, int i, int axis, struct shape *s, int64_t *length, struct err *e)
{
    struct shape x = n->in[i]->shape;
    if (x.rank < 0) return *length = DIM_UNKNOWN, 0;
    if (x.rank != s->rank)
        return fail(e, ERR_SHAPE, "input %d (%s) has rank %d, the others %d", i, n->in[i]->name, x.rank, s->rank);
    int64_t size = x.dim[axis];
    if (*length == 0 || size == 0) *length = *length == 0 ? size : *length;
    else if (*length < 0 || size < 0) *length = DIM_UNKNOWN;
    else if (__builtin_add_overflow(*length, size, length)) return fail(e, ERR_SHAPE, "the result is too large");
    s->dim[axis] = x.dim[axis] = 0;
    if (shape_merge(s, &x)) return 0;
    for (int d = 0; d < x.rank; d++)
        if (s->dim[d] >= 0 && x.dim[d] >= 0 && s->dim[d] != x.dim[d])
            return fail(e, ERR_SHAPE, "input %d (%s) has size %lld along axis %d, the others %lld", i, n->in[i]->name,
                (long long)x.dim[d], d, (long long)s->dim[d]);
    return 0;
}

static int concat_infer(struct node *n, struct err *e)
{
    struct shape s = shape_unknown();
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
        if (s.rank < 0) s = n->in[i]->shape;
    }
    TRY(infer_same_types(n, 0, n->n_in, e));
    if (!s.rank) return fail(e, ERR_SHAPE, "numbers without dimensions cannot be joined");
    int axis = infer_axis(n, "axis", s.rank, e);
    if (e->code) return e->code;
    int64_t length = 0;
    for (int i = 0; i < n->n_in && s.rank >= 0; i++) TRY(join(n, i, axis, &s, &length, e));
    if (s.rank >= 0) s.dim[axis] = length;
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

static int concat_run(const struct step *s, struct err *e)
{
    int axis = infer_axis(s->node, "axis", s->out[0]->shape.rank, e);
    if (e->code) return e->code;
    int64_t start = 0;
    for (int i = 0; i < s->node->n_in; i++) {
        move_piece(s, s->out[0], s->in[i], axis, start, false);
        start += s->in[i]->shape.dim[axis];
    }
    return 0;
}

/* dx[i] = outputs of SplitLike(dy, x...) */
static int concat_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct value **in = ARENA_ARRAY(g->b->g->arena, n->n_in + 1, struct value *);
    TRY_MEM(in, g->b->err);
    in[0] = g->dy[0];
    for (int i = 0; i < n->n_in; i++) in[i + 1] = n->in[i];
    struct node *split = builder_node(g->b, "SplitLike", n->attrs, in, n->n_in + 1, n->n_in);
    for (int i = 0; i < n->n_in && split; i++) g->dx[i] = split->out[i];
    return 0;
}

/* Sizes of the pieces of a dimension of `dim`, as far as the input `split` is known; DIM_UNKNOWN elsewhere. */
static int split_given(const struct value *v, int64_t dim, int n_out, int64_t *piece, struct err *e)
{
    const struct tensor *t = value_const(v);
    int64_t known[KNOWN_MAX], count = shape_count(&v->shape), sum = 0;
    if (v->shape.rank > 1 || (v->dtype != DT_NONE && !dtype_is_integer(v->dtype)) || (count >= 0 && count != n_out))
        return fail(e, ERR_SHAPE, "split must be a list of %d integers, one per output", n_out);
    for (int i = 0; i < n_out; i++) piece[i] = DIM_UNKNOWN;
    if (t) load_i64(t->dtype, t->data, n_out, piece);
    bool some = !t && count >= 0 && value_contents(v, known) == count, all = t != NULL || some;
    for (int i = 0; i < n_out; i++) {
        if (t || (some && known_is_number(known[i]))) {
            piece[i] = t ? piece[i] : known[i];
            if (piece[i] < 0 || __builtin_add_overflow(sum, piece[i], &sum))
                return fail(e, ERR_SHAPE, "split[%d] is %lld", i, (long long)piece[i]);
        } else if (some) {
            piece[i] = dim_from_known(known[i]);
            all = false;
        }
    }
    if (dim >= 0 && (sum > dim || (all && sum != dim)))
        return fail(e, ERR_SHAPE, "the sizes of split sum to %lld, the axis has %lld", (long long)sum, (long long)dim);
    return 0;
}

static int split_even(const struct node *n, int64_t dim, int64_t *piece, struct err *e)
{
    int64_t count = node_has(n, "num_outputs") ? node_int(n, "num_outputs") : n->n_out;
    if (count != n->n_out) return fail(e, ERR_MODEL, "num_outputs is %lld, there are %d", (long long)count, n->n_out);
    for (int i = 0; i < n->n_out; i++) piece[i] = count == 1 ? dim : DIM_UNKNOWN;
    if (dim < 0) return 0;
    int64_t size = dim / count + (dim % count != 0), last = dim - size * (count - 1);
    if (last < 0)
        return fail(e, ERR_SHAPE, "%lld elements cannot be split into %lld parts of %lld", (long long)dim,
            (long long)count, (long long)size);
    for (int i = 0; i < n->n_out; i++) piece[i] = i == n->n_out - 1 ? last : size;
    return 0;
}

enum { SPLIT_MAX = 4096 }; /* outputs */

static int split_infer(struct node *n, struct err *e)
{
    struct shape s = n->in[0]->shape;
    int64_t piece[SPLIT_MAX];
    if (n->n_out > SPLIT_MAX) return fail(e, ERR_UNSUPPORTED, "%d outputs", n->n_out);
    if (!s.rank) return fail(e, ERR_SHAPE, "a number without dimensions cannot be split");
    int axis = infer_axis(n, "axis", s.rank, e);
    if (e->code) return e->code;
    int64_t dim = axis >= 0 ? s.dim[axis] : DIM_UNKNOWN;
    const struct value *sizes = node_in(n, 1);
    TRY(sizes ? split_given(sizes, dim, n->n_out, piece, e) : split_even(n, dim, piece, e));
    for (int i = 0; i < n->n_out; i++) {
        if (axis >= 0) s.dim[axis] = piece[i];
        infer_out(n, i, n->in[0]->dtype, &s);
    }
    return 0;
}

static int split_run(const struct step *s, struct err *e)
{
    int axis = infer_axis(s->node, "axis", s->in[0]->shape.rank, e);
    if (e->code) return e->code;
    int64_t start = 0, length = s->in[0]->shape.dim[axis];
    for (int i = 0; i < s->node->n_out; i++) {
        int64_t size = s->out[i]->shape.dim[axis];
        if (size > length - start)
            return fail(e, ERR_SHAPE, "the outputs are longer than the axis of %lld", (long long)length);
        move_piece(s, s->in[0], s->out[i], axis, start, true);
        start += size;
    }
    return 0;
}

static int split_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct value **dy = ARENA_ARRAY(g->b->g->arena, n->n_out, struct value *);
    TRY_MEM(dy, g->b->err);
    for (int i = 0; i < n->n_out; i++) dy[i] = g->dy[i] ? g->dy[i] : emit_zeros(g->b, n->out[i]);
    g->dx[0] = builder_emit(g->b, "Concat", ATTRS(attr_int("axis", node_int(n, "axis"))), dy, n->n_out);
    return 0;
}

/* in: dy, x0, x1 ...; out[i]: the part of dy that came from x_i */
static int split_like_infer(struct node *n, struct err *e)
{
    if (n->n_out != n->n_in - 1) return fail(e, ERR_MODEL, "%d outputs of %d inputs", n->n_out, n->n_in);
    for (int i = 0; i < n->n_out; i++) {
        if (!n->in[i + 1]) return fail(e, ERR_MODEL, "input %d is missing", i + 1);
        infer_axis(n, "axis", n->in[i + 1]->shape.rank, e);
        if (e->code) return e->code;
        infer_out(n, i, n->in[0]->dtype, &n->in[i + 1]->shape);
    }
    return 0;
}

static const struct attr_spec concat_attrs[] = {
    { "axis", ATTR_INT, ATTR_REQUIRED, .doc = "the axis along which the inputs follow each other" },
    { 0 },
};
static const struct attr_spec split_attrs[] = {
    { "axis", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "the axis that is divided" },
    { "num_outputs", ATTR_INT, ATTR_OPTIONAL, .doc = "equal parts, the last may be shorter" },
    { 0 },
};

const struct op ops_concat[] = {
    { .name = "Concat",
        .doc = "inputs joined along an axis",
        .min_in = 1,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = 1,
        .attrs = concat_attrs,
        .infer = concat_infer,
        .contents = contents_moved_all,
        .run = concat_run,
        .grad = concat_grad,
        .samples = "f32[2,3] f32[2,1] f32[2,4] | axis=1; f32[2,3] f32[1,3] | axis=-2; i16[2] | axis=0; string{a,b} "
                   "string{c} | axis=0" },
    { .name = "Split",
        .doc = "x divided along an axis",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = OP_VARIADIC,
        .attrs = split_attrs,
        .infer = split_infer,
        .contents = contents_moved0,
        .run = split_run,
        .grad = split_grad,
        .samples = "f32[2,6] | axis=1; f32[5,2] i64{5}; u8[2,3,2] | axis=-2 num_outputs=1" },
    { .name = "SplitLike",
        .doc = "dy divided along an axis as x0, x1 ... are, of (dy, x0, x1 ...)",
        .min_in = 2,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = OP_VARIADIC,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = concat_attrs,
        .infer = split_like_infer,
        .run = split_run,
        .grad = split_grad,
        .samples = "f32[2,4] f32[2,4] | axis=1" },
    { 0 },
};
