/* select.c - choosing by conditions and positions: OneHot, Compress, NonZero, Trilu, ReverseSequence. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/known.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/mover.h"

/* ---- OneHot: in indices, depth, (off, on); a new axis of `depth` in the result ---- */

static int new_axis(const struct node *n, int rank, struct err *e)
{
    int64_t axis = node_int(n, "axis");
    int k = shape_axis(axis, rank + 1);
    return k >= 0 ? k : fail(e, ERR_SHAPE, "axis is %lld, the result has rank %d", (long long)axis, rank + 1);
}

static int check_one(const struct node *n, int i, const char *what, int64_t count, struct err *e)
{
    const struct shape *s = &n->in[i]->shape;
    if (!shape_is_known(s) || shape_count(s) == count) return 0;
    return fail(e, ERR_SHAPE, "%s (input %d) has %lld elements, expected %lld", what, i, (long long)shape_count(s),
        (long long)count);
}

static int one_hot_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    const struct tensor *depth = value_const(n->in[1]);
    int64_t known[KNOWN_MAX], size = DIM_UNKNOWN;
    struct shape s = shape_unknown();
    for (int i = 0; i < 2; i++) TRY(infer_type(n, i, TYPES_NUMBER, e));
    TRY(check_one(n, 1, "depth", 1, e));
    TRY(check_one(n, 2, "values", 2, e));
    if (depth) size = tensor_get_i64(depth, 0);
    else if (value_contents(n->in[1], known) == 1) size = dim_from_known(known[0]);
    if (depth && size < 0) return fail(e, ERR_SHAPE, "depth is %lld", (long long)size);
    if (x->rank >= 0) {
        s.rank = x->rank + 1;
        if (s.rank > SHAPE_MAX) return infer_sized(n, 0, DT_NONE, &s, e);
        int axis = new_axis(n, x->rank, e);
        if (axis < 0) return e->code;
        for (int d = 0; d < s.rank; d++) s.dim[d] = d == axis ? size : x->dim[d - (d > axis)];
    }
    return infer_sized(n, 0, n->in[2]->dtype, &s, e);
}

/* Numbers outside [-depth, depth) mark nothing. */
static int one_hot_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *y = s->out[0];
    int axis = new_axis(s->node, x->shape.rank, e);
    if (axis < 0) return e->code;
    size_t size = dtype_size(y->dtype);
    int64_t depth = y->shape.dim[axis], inner = shape_span(&x->shape, axis, x->shape.rank), n = tensor_count(x);
    move_fill(s->threads, size, y->data, tensor_count(y), s->in[2]->data);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = tensor_get_i64(x, i);
        if (k < -depth || k >= depth) continue;
        k = i / inner * depth + (k < 0 ? k + depth : k);
        memcpy(element(y, k * inner + i % inner), element(s->in[2], 1), size);
    }
    return 0;
}

/* d(off), d(on) = sums of dy over what is not marked, and over what is */
static int one_hot_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct builder *b = g->b;
    if (!grad_wanted(g, 2)) return 0;
    struct attr flat = attr_int("keepdims", 0), axis = attr_int("axis", node_int(n, "axis"));
    struct tensor *marks = NULL;
    if (!b->err->code) marks = tensor_new(b->g->arena, g->dy[0]->dtype, &(struct shape){ 1, { 2 } }, b->err);
    if (marks) tensor_set_f64(marks, 1, 1);
    struct value *marked = emit(b, "OneHot", ATTRS(axis), n->in[0], n->in[1], emit_const(b, marks));
    struct value *on = emit(b, "ReduceSum", ATTRS(flat), emit2(b, "Mul", g->dy[0], marked));
    struct value *off = emit2(b, "Sub", emit(b, "ReduceSum", ATTRS(flat), g->dy[0]), on);
    struct value *first = emit_i64s(b, (int64_t[]){ 0 }, 1);
    off = emit2(b, "Unsqueeze", off, first);
    g->dx[2] = emit(b, "Concat", ATTRS(attr_int("axis", 0)), off, emit2(b, "Unsqueeze", on, first));
    return 0;
}

/* ---- Compress: the slices along an axis (or elements) whose condition holds ---- */

static int64_t count_true(const struct tensor *t)
{
    const unsigned char *flag = t->data;
    int64_t count = 0, n = tensor_count(t);
    for (int64_t i = 0; i < n; i++) count += flag[i] != 0;
    return count;
}

static int compress_infer(struct node *n, struct err *e)
{
    const struct tensor *condition = value_const(n->in[1]);
    struct shape s = n->in[0]->shape;
    int axis = 0;
    TRY(infer_type(n, 1, TYPES_BOOL, e));
    TRY(infer_rank(n, 1, 1, 1, e));
    if (node_has(n, "axis")) axis = infer_axis(n, "axis", s.rank, e);
    else s = shape_of(1, (int64_t[]){ 0 });
    if (e->code) return e->code;
    if (s.rank >= 0) s.dim[axis] = condition ? count_true(condition) : DIM_UNKNOWN;
    infer_out(n, 0, n->in[0]->dtype, &s);
    return 0;
}

static int compress_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *condition = s->in[1];
    struct shape flat = shape_of(1, (int64_t[]){ tensor_count(x) }), to;
    const struct shape *from = node_has(s->node, "axis") ? &x->shape : &flat;
    int axis = node_has(s->node, "axis") ? infer_axis(s->node, "axis", from->rank, e) : 0;
    if (e->code) return e->code;
    const unsigned char *flag = condition->data;
    int64_t inner = shape_span(from, axis + 1, from->rank), outer = shape_span(from, 0, axis), size = from->dim[axis];
    to = *from;
    to.dim[axis] = count_true(condition);
    const struct tensor *y = s->out[0];
    if (!y && !(y = step_resize(s, 0, x->dtype, &to, e))) return e->code;
    for (int64_t i = size; i < condition->shape.dim[0]; i++)
        if (flag[i])
            return fail(
                e, ERR_DATA, "condition %lld is true, but the axis has size %lld", (long long)i, (long long)size);
    int64_t length = condition->shape.dim[0] < size ? condition->shape.dim[0] : size, at = 0;
    size_t bytes = (size_t)inner * dtype_size(x->dtype);
    for (int64_t i = 0; i < outer && inner; i++)
        for (int64_t k = 0; k < length; k++)
            if (flag[k]) memcpy(element(y, at++ * inner), element(x, (i * size + k) * inner), bytes);
    return 0;
}

static int compress_grad(struct grad *g)
{
    struct builder *b = g->b;
    const struct node *n = g->node;
    struct value *all = emit_i64s(b, (int64_t[]){ -1 }, 1), *x = n->in[0];
    struct value *index = emit2(b, "Reshape", emit1(b, "NonZero", n->in[1]), all);
    bool flat = !node_has(n, "axis");
    struct attr axis = attr_int("axis", flat ? 0 : node_int(n, "axis"));
    struct value *dx = emit(b, "GatherGrad", ATTRS(axis), g->dy[0], flat ? emit2(b, "Reshape", x, all) : x, index);
    g->dx[0] = flat ? emit2(b, "ReshapeLike", dx, x) : dx;
    return 0;
}

/* ---- NonZero: (rank, count) coordinates, in the order of the elements ---- */

static int nonzero_infer(struct node *n, struct err *e)
{
    int rank = n->in[0]->shape.rank;
    struct shape s = shape_of(2, (int64_t[]){ rank < 0 ? DIM_UNKNOWN : rank ? rank : 1, DIM_UNKNOWN });
    TRY(infer_type(n, 0, TYPES_NUMBER | TYPES_BOOL, e));
    infer_out(n, 0, DT_I64, &s);
    return 0;
}

/* Positions of elements that are not zero, in scratch; NULL without memory. */
static int64_t *find_nonzero(const struct step *s, int64_t *count)
{
    enum { SOME = 256 };
    const struct tensor *x = s->in[0];
    int64_t n = tensor_count(x), *found = ARENA_ARRAY(s->scratch, n, int64_t), integer[SOME], end = 0;
    double number[SOME];
    for (int64_t at = 0; found && at < n; at += SOME) {
        int64_t some = n - at < SOME ? n - at : SOME;
        if (dtype_is_float(x->dtype)) {
            load_f64(x->dtype, element(x, at), some, number);
            for (int64_t i = 0; i < some; i++) integer[i] = number[i] != 0;
        } else
            load_i64(x->dtype, element(x, at), some, integer);
        for (int64_t i = 0; i < some; i++) { /* every position is written; those that do not count, over */
            found[end] = at + i;
            end += integer[i] != 0;
        }
    }
    *count = end;
    return found;
}

/* Coordinates of ascending positions, dimension by dimension: counted up, not divided. */
static void put_coordinates(const int64_t *found, int64_t count, const struct shape *x, int64_t *out)
{
    for (int d = x->rank - 1; d >= 0; d--) {
        int64_t size = x->dim[d], apart = shape_span(x, d + 1, x->rank), all = size * apart, *to = out + d * count;
        int64_t outer = 0, inner = 0, k = 0; /* where the present outer block, and slice k of it, begin */
        for (int64_t i = 0; i < count; i++) {
            if (found[i] >= outer + all) outer = inner = found[i] / all * all, k = 0;
            if (apart == 1) k = found[i] - outer;
            else if (found[i] >= inner + apart) k = (found[i] - outer) / apart, inner = outer + k * apart;
            to[i] = k;
        }
    }
    for (int64_t i = 0; !x->rank && i < count; i++) out[i] = 0;
}

static int nonzero_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int64_t count, *found = find_nonzero(s, &count);
    TRY_MEM(found, e);
    struct shape to = shape_of(2, (int64_t[]){ x->rank ? x->rank : 1, count });
    struct tensor *y = step_resize(s, 0, DT_I64, &to, e);
    if (!y) return e->code;
    put_coordinates(found, count, x, y->data);
    return 0;
}

/* ---- Trilu: a triangle of each matrix, zeros elsewhere ---- */

static int trilu_infer(struct node *n, struct err *e)
{
    TRY(infer_rank(n, 0, 2, SHAPE_MAX, e));
    if (node_in(n, 1)) {
        TRY(infer_type(n, 1, TYPES_INTEGER, e));
        TRY(check_one(n, 1, "k", 1, e));
    }
    return infer_same(n, e);
}

static int trilu_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *y = s->out[0];
    int rank = x->shape.rank;
    int64_t rows = x->shape.dim[rank - 2], columns = x->shape.dim[rank - 1], all = shape_span(&x->shape, 0, rank - 1),
            k = 0;
    size_t size = dtype_size(x->dtype);
    TRY(step_scalar(s, 1, "k", &k, e));
    k = k < -rows ? -rows : k > columns ? columns : k;
    bool upper = node_int(s->node, "upper") != 0;
    for (int64_t i = 0; i < all && columns; i++) {
        int64_t edge = i % rows + k + !upper; /* the first column on the right side of the edge */
        edge = edge < 0 ? 0 : edge > columns ? columns : edge;
        int64_t begin = upper ? edge : 0, end = upper ? columns : edge;
        unsigned char *to = element(y, i * columns);
        memset(to, 0, (size_t)begin * size);
        memmove(to + begin * (int64_t)size, element(x, i * columns + begin), (size_t)(end - begin) * size);
        memset(to + end * (int64_t)size, 0, (size_t)(columns - end) * size);
    }
    return 0;
}

static int trilu_grad(struct grad *g)
{
    struct attr upper = attr_int("upper", node_int(g->node, "upper"));
    g->dx[0] = emit(g->b, "Trilu", ATTRS(upper), g->dy[0], node_in(g->node, 1));
    return 0;
}

/* ---- ReverseSequence: the first length[b] entries along time, of batch b, backwards ---- */

static int read_axes(const struct node *n, int *time, int *batch, struct err *e)
{
    int64_t t = node_int(n, "time_axis"), b = node_int(n, "batch_axis");
    *time = (int)t;
    *batch = (int)b;
    if ((t == 0 && b == 1) || (t == 1 && b == 0)) return 0;
    return fail(
        e, ERR_MODEL, "time_axis is %lld and batch_axis %lld, expected 0 and 1 or 1 and 0", (long long)t, (long long)b);
}

static int reverse_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape, *lengths = &n->in[1]->shape;
    int time, batch;
    TRY(read_axes(n, &time, &batch, e));
    TRY(infer_rank(n, 0, 2, SHAPE_MAX, e));
    TRY(infer_rank(n, 1, 1, 1, e));
    TRY(infer_type(n, 1, TYPES_INTEGER, e));
    if (x->rank >= 0 && lengths->rank == 1 && x->dim[batch] >= 0 && lengths->dim[0] >= 0 &&
        x->dim[batch] != lengths->dim[0])
        return fail(e, ERR_SHAPE, "%lld sequence lengths for a batch of %lld", (long long)lengths->dim[0],
            (long long)x->dim[batch]);
    return infer_same(n, e);
}

static int reverse_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *y = s->out[0];
    int time, batch;
    TRY(read_axes(s->node, &time, &batch, e));
    int64_t strides[SHAPE_MAX], steps = x->shape.dim[time], inner = shape_span(&x->shape, 2, x->shape.rank);
    shape_strides(&x->shape, strides);
    for (int64_t b = 0; b < x->shape.dim[batch]; b++) {
        int64_t length = tensor_get_i64(s->in[1], b);
        if (length < 0 || length > steps)
            return fail(e, ERR_DATA, "sequence length %lld is %lld, of %lld", (long long)b, (long long)length,
                (long long)steps);
        for (int64_t t = 0; t < steps && inner; t++) {
            int64_t from = b * strides[batch] + (t < length ? length - 1 - t : t) * strides[time];
            memcpy(element(y, b * strides[batch] + t * strides[time]), element(x, from),
                (size_t)inner * dtype_size(x->dtype));
        }
    }
    return 0;
}

static int reverse_grad(struct grad *g)
{
    g->dx[0] = emit(g->b, "ReverseSequence", g->node->attrs, g->dy[0], g->node->in[1]);
    return 0;
}

static const struct attr_spec one_hot_attrs[] = {
    { "axis", ATTR_INT, ATTR_DEFAULT, .i = -1, .doc = "where the new axis stands in the result" },
    { 0 },
};
static const struct attr_spec compress_attrs[] = {
    { "axis", ATTR_INT, ATTR_OPTIONAL, .doc = "the axis along which slices are chosen; absent: single elements" },
    { 0 },
};
static const struct attr_spec trilu_attrs[] = {
    { "upper", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "1: on and above diagonal k; 0: on and below it" },
    { 0 },
};
static const struct attr_spec reverse_attrs[] = {
    { "time_axis", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "the axis that is reversed: 0 or 1" },
    { "batch_axis", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "the axis of the sequences: the other of 0 and 1" },
    { 0 },
};

const struct op ops_select[] = {
    { .name = "OneHot",
        .doc = "values[1] at the index along a new axis, values[0] elsewhere",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = one_hot_attrs,
        .infer = one_hot_infer,
        .run = one_hot_run,
        .grad = one_hot_grad,
        .samples =
            "i64{0,-1,5,2} i64{3} f32{0,1}; i32<4>[2,3] f32{4} f32[2] | axis=1; f32{1,2} i8{3} string{n,y} | axis=0" },
    { .name = "Compress",
        .doc = "slices along an axis whose condition holds",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = compress_attrs,
        .infer = compress_infer,
        .run = compress_run,
        .grad = compress_grad,
        .samples = "f32[3,2] bool{0,1,1} | axis=0; f32[2,3] bool{0,1} | axis=-1; f32[3,2] bool{0,1,0,0,1}; i8[2,3] "
                   "bool[3] | axis=1" },
    { .name = "NonZero",
        .doc = "coordinates of the elements that are not zero",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .infer = nonzero_infer,
        .run = nonzero_run,
        .samples = "bool[3,4]; i64<2>[5]; f32[2,2]; i8[]" },
    { .name = "Trilu",
        .doc = "the upper or lower triangle of each matrix",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_INPLACE,
        .attrs = trilu_attrs,
        .infer = trilu_infer,
        .run = trilu_run,
        .grad = trilu_grad,
        .samples = "f32[3,4]; f32[2,4,3] i64[]{-1} | upper=0; u8[3,3] i64[]{2}; f32[3,3] i64[]{-9}" },
    { .name = "ReverseSequence",
        .doc = "the first entries of each sequence backwards",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = reverse_attrs,
        .infer = reverse_infer,
        .run = reverse_run,
        .grad = reverse_grad,
        .samples = "f32[4,3] i64{4,1,2}; f32[2,4,2] i64{3,0} | time_axis=1 batch_axis=0; string[2,1]{a,b} i64{2}" },
    { 0 },
};
