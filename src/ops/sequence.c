/* sequence.c - sequences and optionals: making them, taking them apart, joining what they hold. */
#include "graph/sequence.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/memory.h"
#include "graph/builder.h"
#include "graph/known.h"
#include "ops/infer.h"
#include "ops/interpret.h"
#include "ops/mover.h"

/* ---- inference ---- */

/* Output 0 is a container of what `of` says; `length` may be unknown. */
static int container(struct node *n, enum dtype t, int64_t length, const struct content *of, struct err *e)
{
    struct shape s = shape_of(1, &length);
    infer_out(n, 0, t, &s);
    n->out[0]->of = content_new(n->graph->arena, of, e);
    return e->code;
}

static struct content content_of(const struct value *v)
{
    return (struct content){ v->dtype, v->shape, v->of };
}

static int want_type(const struct node *n, int i, enum dtype t, struct err *e)
{
    const struct value *v = node_in(n, i);
    if (!v || !v->dtype || v->dtype == t) return 0;
    return fail(e, ERR_SHAPE, "input %d (%s) is %s, expected a %s", i, v->name, dtype_name(v->dtype), dtype_name(t));
}

static int want_tensor(const struct node *n, int i, struct err *e)
{
    const struct value *v = node_in(n, i);
    if (!v || !dtype_is_container(v->dtype)) return 0;
    return fail(e, ERR_SHAPE, "input %d (%s) is a %s, expected a tensor", i, v->name, dtype_name(v->dtype));
}

static int want_position(const struct node *n, int i, struct err *e)
{
    const struct value *v = node_in(n, i);
    TRY(infer_type(n, i, TYPES_INTEGER, e));
    if (v && shape_is_known(&v->shape) && shape_count(&v->shape) != 1)
        return fail(e, ERR_SHAPE, "the position (%s) has %lld elements, expected one", v->name,
            (long long)shape_count(&v->shape));
    return 0;
}

static void widen(struct content *c, const struct value *v)
{
    if (c->dtype != v->dtype) c->dtype = DT_NONE;
    if (c->shape.rank != v->shape.rank) c->shape = shape_unknown();
    for (int d = 0; d < c->shape.rank; d++)
        if (c->shape.dim[d] != v->shape.dim[d]) c->shape.dim[d] = DIM_UNKNOWN;
}

static int empty_infer(struct node *n, struct err *e)
{
    int64_t t = node_int(n, "dtype");
    if (t != (int)t || !dtype_is_valid((int)t)) return fail(e, ERR_MODEL, "element type %lld", (long long)t);
    return container(n, DT_SEQUENCE, 0, &(struct content){ (enum dtype)t, shape_unknown(), NULL }, e);
}

static int construct_infer(struct node *n, struct err *e)
{
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
        TRY(want_tensor(n, i, e));
    }
    TRY(infer_same_types(n, 0, n->n_in, e));
    struct content c = content_of(n->in[0]);
    for (int i = 1; i < n->n_in; i++) widen(&c, n->in[i]);
    return container(n, DT_SEQUENCE, n->n_in, &c, e);
}

static int64_t length_of(const struct value *v, int64_t more)
{
    return v->shape.rank == 1 && v->shape.dim[0] >= 0 ? v->shape.dim[0] + more : DIM_UNKNOWN;
}

static int insert_infer(struct node *n, struct err *e)
{
    TRY(want_type(n, 0, DT_SEQUENCE, e));
    TRY(want_tensor(n, 1, e));
    TRY(want_position(n, 2, e));
    const struct value *s = n->in[0], *x = n->in[1];
    struct content c = s->of ? *s->of : (struct content){ DT_NONE, shape_unknown(), NULL };
    if (s->of && s->of->dtype && x->dtype && s->of->dtype != x->dtype)
        return fail(e, ERR_SHAPE, "%s into a sequence of %s", dtype_name(x->dtype), dtype_name(s->of->dtype));
    if (!c.dtype || !length_of(s, 0)) c = content_of(x);
    else widen(&c, x);
    return container(n, DT_SEQUENCE, length_of(s, 1), &c, e);
}

static int erase_infer(struct node *n, struct err *e)
{
    TRY(want_type(n, 0, DT_SEQUENCE, e));
    TRY(want_position(n, 1, e));
    return container(n, DT_SEQUENCE, length_of(n->in[0], length_of(n->in[0], 0) ? -1 : 0), n->in[0]->of, e);
}

static int at_infer(struct node *n, struct err *e)
{
    TRY(want_type(n, 0, DT_SEQUENCE, e));
    TRY(want_position(n, 1, e));
    const struct content *of = n->in[0]->of;
    struct shape unknown = shape_unknown();
    infer_out(n, 0, of ? of->dtype : DT_NONE, of ? &of->shape : &unknown);
    return 0;
}

static int length_infer(struct node *n, struct err *e)
{
    struct shape s = shape_of(0, NULL);
    TRY(want_type(n, 0, DT_SEQUENCE, e));
    infer_out(n, 0, DT_I64, &s);
    return 0;
}

static int concat_infer(struct node *n, struct err *e)
{
    const struct content *of = n->in[0]->of;
    struct shape s = of ? of->shape : shape_unknown();
    bool fresh = node_int(n, "new_axis") != 0;
    TRY(want_type(n, 0, DT_SEQUENCE, e));
    if (s.rank >= 0) {
        struct shape x = s;
        s.rank += fresh;
        if (s.rank > SHAPE_MAX) return infer_sized(n, 0, DT_NONE, &s, e);
        int axis = infer_axis(n, "axis", s.rank, e);
        if (e->code) return e->code;
        for (int d = 0; d < s.rank; d++)
            s.dim[d] = d == axis ? (fresh ? length_of(n->in[0], 0) : DIM_UNKNOWN) : x.dim[d - (fresh && d > axis)];
    }
    infer_out(n, 0, of ? of->dtype : DT_NONE, &s);
    return 0;
}

static int split_infer(struct node *n, struct err *e)
{
    struct content c = content_of(n->in[0]);
    TRY(want_tensor(n, 0, e));
    TRY(infer_type(n, 1, TYPES_INTEGER, e));
    TRY(infer_rank(n, 0, 1, SHAPE_MAX, e));
    int axis = infer_axis(n, "axis", c.shape.rank, e);
    if (e->code) return e->code;
    int64_t length = DIM_UNKNOWN;
    if (axis >= 0 && !node_in(n, 1)) length = c.shape.dim[axis] >= 0 ? c.shape.dim[axis] : DIM_UNKNOWN;
    if (axis >= 0 && (node_in(n, 1) || node_int(n, "keepdims"))) {
        c.shape.dim[axis] = node_in(n, 1) ? DIM_UNKNOWN : 1;
    } else if (axis >= 0) {
        c.shape.rank--;
        for (int d = axis; d < c.shape.rank; d++) c.shape.dim[d] = c.shape.dim[d + 1];
    }
    return container(n, DT_SEQUENCE, length, &c, e);
}

static int optional_infer(struct node *n, struct err *e)
{
    const struct value *v = node_in(n, 0);
    if (!v) return container(n, DT_OPTIONAL, 0, NULL, e);
    if (v->dtype == DT_OPTIONAL) return fail(e, ERR_SHAPE, "input 0 (%s) is optional already", v->name);
    struct content c = content_of(v);
    return container(n, DT_OPTIONAL, 1, &c, e);
}

static int has_infer(struct node *n, struct err *e)
{
    struct shape s = shape_of(0, NULL);
    infer_out(n, 0, DT_BOOL, &s);
    return 0;
}

static int get_infer(struct node *n, struct err *e)
{
    const struct value *v = n->in[0];
    struct content c = content_of(v);
    if (v->dtype == DT_OPTIONAL) c = v->of ? *v->of : (struct content){ DT_NONE, shape_unknown(), NULL };
    infer_out(n, 0, c.dtype, &c.shape);
    n->out[0]->of = c.of;
    return 0;
}

/* ---- running ---- */

static int check_sequence(const struct step *s, struct err *e)
{
    return s->in[0]->dtype == DT_SEQUENCE
        ? 0
        : fail(e, ERR_SHAPE, "input 0 is %s, expected a sequence", dtype_name(s->in[0]->dtype));
}

/* Input i as a place in [0, end) of a sequence of n: counted from its end when negative, `absent` when not there. */
static int position(const struct step *s, int i, int64_t n, int64_t end, int64_t absent, int64_t *at, struct err *e)
{
    *at = absent;
    TRY(step_scalar(s, i, "position", at, e));
    int64_t given = *at;
    if (given < 0) *at += n;
    if (*at >= 0 && *at < end) return 0;
    return fail(e, ERR_DATA, "position %lld in a sequence of %lld", (long long)given, (long long)n);
}

static int give(const struct step *s, enum dtype t, const struct tensor *const *items, int64_t n, struct err *e)
{
    return (s->out[0] = sequence_new(s->arena, t, items, n, e)) ? 0 : e->code;
}

static int construct_run(const struct step *s, struct err *e)
{
    for (int i = 1; i < s->node->n_in; i++)
        if (s->in[i]->dtype != s->in[0]->dtype)
            return fail(e, ERR_SHAPE, "input %d is %s, the first %s", i, dtype_name(s->in[i]->dtype),
                dtype_name(s->in[0]->dtype));
    return give(s, DT_SEQUENCE, (const struct tensor *const *)s->in, s->node->n_in, e);
}

/* What may be held: as much as is granted, or free. Asked about only where it could matter. */
static int check_size(const struct step *s, const struct tensor *more, struct err *e)
{
    enum { SMALL = 1 << 24 };
    int64_t bytes = tensor_bytes_deep(s->in[0]) + tensor_bytes(more);
    bool limited = s->host && s->host->bytes_max;
    if (!limited && bytes < SMALL) return 0;
    uint64_t most = limited ? (uint64_t)s->host->bytes_max : memory_available() + (uint64_t)bytes;
    if ((uint64_t)bytes <= most) return 0;
    return fail(
        e, ERR_NOMEM, "the sequence would hold %.1f MB, %.1f MB are granted", (double)bytes / 1e6, (double)most / 1e6);
}

static int insert_run(const struct step *s, struct err *e)
{
    const struct tensor *from = s->in[0], *x = s->in[1];
    TRY(check_sequence(s, e));
    int64_t n = tensor_count(from), at;
    TRY(position(s, 2, n, n + 1, n, &at, e));
    TRY(check_size(s, x, e));
    if (n && sequence_item(from, 0)->dtype != x->dtype)
        return fail(
            e, ERR_SHAPE, "%s into a sequence of %s", dtype_name(x->dtype), dtype_name(sequence_item(from, 0)->dtype));
    const struct tensor **items = ARENA_ARRAY(s->scratch, n + 1, const struct tensor *);
    TRY_MEM(items, e);
    for (int64_t i = 0; i <= n; i++) items[i] = i == at ? x : sequence_item(from, i - (i > at));
    return give(s, DT_SEQUENCE, items, n + 1, e);
}

static int erase_run(const struct step *s, struct err *e)
{
    TRY(check_sequence(s, e));
    int64_t n = tensor_count(s->in[0]), at;
    TRY(position(s, 1, n, n, n - 1, &at, e));
    const struct tensor **items = ARENA_ARRAY(s->scratch, n, const struct tensor *);
    TRY_MEM(items, e);
    for (int64_t i = 0; i < n - 1; i++) items[i] = sequence_item(s->in[0], i + (i >= at));
    return give(s, DT_SEQUENCE, items, n - 1, e);
}

static int at_run(const struct step *s, struct err *e)
{
    int64_t n, at;
    TRY(check_sequence(s, e));
    n = tensor_count(s->in[0]);
    TRY(position(s, 1, n, n, 0, &at, e));
    return step_give(s, 0, sequence_item(s->in[0], at), e);
}

static int length_run(const struct step *s, struct err *e)
{
    TRY(check_sequence(s, e));
    tensor_set_i64(s->out[0], 0, tensor_count(s->in[0]));
    return 0;
}

static int empty_run(const struct step *s, struct err *e)
{
    return give(s, DT_SEQUENCE, NULL, 0, e);
}

/* The items' Concat, in a graph of their own. */
static int concat_run(const struct step *s, struct err *e)
{
    TRY(check_sequence(s, e));
    int64_t n = tensor_count(s->in[0]), axis = node_int(s->node, "axis");
    if (!n) return fail(e, ERR_DATA, "the sequence is empty: there is nothing to join");
    struct graph *g = graph_new(s->scratch, s->node->graph->ops, s->node->name, e);
    struct value **in = ARENA_ARRAY(s->scratch, n, struct value *);
    struct tensor *result;
    struct builder b = { g, e };
    if (!g || !in || n > INT32_MAX) return fail_nomem(e);
    for (int64_t i = 0; i < n; i++) {
        in[i] = graph_const(g, NULL, sequence_item(s->in[0], i), e);
        if (node_int(s->node, "new_axis")) in[i] = emit(&b, "Unsqueeze", NO_ATTRS, in[i], emit_i64s(&b, &axis, 1));
        if (e->code) return e->code;
    }
    struct value *y = builder_emit(&b, "Concat", ATTRS(attr_int("axis", axis)), in, (int)n);
    if (!y || graph_output(g, y, e)) return e->code;
    TRY(graph_interpret(g, NULL, &result, s->scratch, &(struct interpret){ .threads = s->threads }, e));
    return step_give(s, 0, result, e);
}

/* Lengths of the pieces, in scratch: input 1 is one length for all, or one for each; without it all are 1. */
static int64_t *piece_lengths(const struct step *s, int64_t size, int64_t *n, struct err *e)
{
    const struct tensor *given = s->node->n_in > 1 ? s->in[1] : NULL;
    int64_t all = given && !given->shape.rank ? tensor_get_i64(given, 0) : 1, sum = 0;
    bool each = given && given->shape.rank;
    if (all < 1) return fail(e, ERR_DATA, "pieces of length %lld", (long long)all), NULL;
    *n = each ? tensor_count(given) : size / all + (size % all != 0);
    int64_t *length = ARENA_ARRAY(s->scratch, *n, int64_t);
    if (!length) return fail_nomem(e), NULL;
    for (int64_t i = 0; i < *n; i++) {
        length[i] = each ? tensor_get_i64(given, i) : i == *n - 1 && size % all ? size % all : all;
        if (length[i] < 0 || length[i] > size - sum)
            return fail(e, ERR_DATA, "piece %lld has length %lld, the axis %lld", (long long)i, (long long)length[i],
                       (long long)size),
                   NULL;
        sum += length[i];
    }
    if (sum != size)
        return fail(e, ERR_DATA, "the pieces are %lld long, the axis %lld", (long long)sum, (long long)size), NULL;
    return length;
}

static int split_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0];
    const struct shape *from = &x->shape;
    int axis = infer_axis(s->node, "axis", from->rank, e);
    if (e->code) return e->code;
    int64_t n, size = from->dim[axis], *length = piece_lengths(s, size, &n, e), at = 0;
    int64_t outer = shape_span(from, 0, axis), inner = shape_span(from, axis + 1, from->rank);
    const struct tensor **items = length ? ARENA_ARRAY(s->scratch, n, const struct tensor *) : NULL;
    if (!items) return length ? fail_nomem(e) : e->code;
    for (int64_t i = 0; i < n; at += length[i++]) {
        struct shape to = *from;
        to.dim[axis] = length[i];
        struct tensor *piece = tensor_new(s->scratch, x->dtype, &to, e);
        struct move m = { 0 };
        if (!piece) return e->code;
        move_add(&m, outer, length[i] * inner, size * inner);
        move_add(&m, length[i] * inner, 1, 1);
        if (tensor_count(piece)) move_run(&m, s->threads, dtype_size(x->dtype), piece->data, element(x, at * inner));
        if (!(s->node->n_in > 1 && s->in[1]) && !node_int(s->node, "keepdims")) {
            for (int d = axis; d + 1 < to.rank; d++) to.dim[d] = to.dim[d + 1];
            to.rank--;
            piece->shape = to;
        }
        items[i] = piece;
    }
    return give(s, DT_SEQUENCE, items, n, e);
}

static int optional_run(const struct step *s, struct err *e)
{
    bool holds = s->node->n_in > 0 && s->in[0];
    return give(s, DT_OPTIONAL, (const struct tensor *const *)s->in, holds, e);
}

static int has_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->node->n_in > 0 ? s->in[0] : NULL;
    tensor_set_i64(s->out[0], 0, x && (x->dtype != DT_OPTIONAL || tensor_count(x) > 0));
    return 0;
}

static int get_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0];
    if (x->dtype != DT_OPTIONAL) return step_give(s, 0, x, e);
    if (!tensor_count(x)) return fail(e, ERR_DATA, "%s holds nothing", s->node->name);
    return step_give(s, 0, sequence_item(x, 0), e);
}

static const struct attr_spec empty_attrs[] = {
    { .name = "dtype", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = DT_F32, .doc = "TensorProto.DataType" },
    { 0 },
};
static const struct attr_spec concat_attrs[] = {
    { .name = "axis", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "the axis along which items are joined" },
    { .name = "new_axis", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "1: the axis is a new one" },
    { 0 },
};
static const struct attr_spec split_attrs[] = {
    { .name = "axis", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "the axis that is cut" },
    { .name = "keepdims",
        .type = ATTR_INT,
        .presence = ATTR_DEFAULT,
        .i = 1,
        .doc = "0: pieces of length 1 lose the axis; without lengths only" },
    { 0 },
};

#define ROW(op_name, text, min, max, ...) \
    { \
        .name = (op_name), .doc = (text), .min_in = (min), .max_in = (max), .min_out = 1, .max_out = 1, \
        .flags = OP_CONTAINERS, __VA_ARGS__ \
    }
const struct op ops_sequence[] = {
    ROW("SequenceEmpty", "a sequence of nothing", 0, 0, .attrs = empty_attrs, .infer = empty_infer, .run = empty_run,
        .samples = " | dtype=7"),
    ROW("SequenceConstruct", "a sequence of the inputs", 1, OP_VARIADIC, .infer = construct_infer, .run = construct_run,
        .samples = "f32[2,3] f32[4]; i64[]; string{a,b} string{c}"),
    ROW("SequenceInsert", "one more, at a position or at the end", 2, 3, .infer = insert_infer, .run = insert_run,
        .samples = "sequence(f32[2]/f32[3]) f32[4]; sequence() i64[2] i64{0}; sequence(u8[1]/u8[2]) u8[3] i32{-1}"),
    ROW("SequenceErase", "one less, at a position or at the end", 1, 2, .infer = erase_infer, .run = erase_run,
        .samples = "sequence(f32[2]/f32[3]); sequence(f32[2]/f32[3]/f32[]) i64{-3}"),
    ROW("SequenceAt", "the item at a position", 2, 2, .infer = at_infer, .run = at_run,
        .samples = "sequence(f32[2]/f32[3]) i64{1}; sequence(bool[2]/bool[3,2]) i64{-1}"),
    ROW("SequenceLength", "how many items there are", 1, 1, .infer = length_infer, .run = length_run,
        .samples = "sequence(f32[2]/f32[3]); sequence()"),
    ROW("ConcatFromSequence", "the items in one tensor", 1, 1, .attrs = concat_attrs, .infer = concat_infer,
        .run = concat_run,
        .samples = "sequence(f32[2,3]/f32[1,3]) | axis=0; sequence(i64[2]/i64[2]) | axis=-1 new_axis=1"),
    ROW("SplitToSequence", "pieces of a tensor", 1, 2, .attrs = split_attrs, .infer = split_infer, .run = split_run,
        .samples = "f32[5,3]; f32[2,5] i64[]{2} | axis=1; f32[2,5] i64{1,0,4} | axis=-1; i32[3,2] | keepdims=0"),
    ROW("Optional", "a tensor or sequence, or nothing", 0, 1, .infer = optional_infer, .run = optional_run,
        .samples = "f32[2]; sequence(f32[2])"),
    ROW("OptionalHasElement", "whether there is something", 0, 1, .infer = has_infer, .run = has_run,
        .samples = "optional(f32[2]); optional(); f32[2]; sequence()"),
    ROW("OptionalGetElement", "what there is", 1, 1, .infer = get_infer, .run = get_run,
        .samples = "optional(f32[2]); optional(sequence(f32[2]/f32[1])); f32[2]"),
    { 0 },
};
