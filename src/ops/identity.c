/* identity.c - what copies its input, reads only its shape, or makes a tensor from a shape. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "graph/known.h"
#include "ops/infer.h"
#include "ops/mover.h"

static int identity_contents(struct node *n, struct err *e)
{
    int64_t known[KNOWN_MAX];
    int count = value_contents(n->in[0], known);
    (void)e;
    if (count >= 0) value_set_contents(n->out[0], n->graph->arena, known, count);
    return 0;
}

static int identity_infer(struct node *n, struct err *e)
{
    n->out[0]->of = n->in[0]->of;
    return infer_same(n, e);
}

static int identity_run(const struct step *s, struct err *e)
{
    return s->out[0] ? view_run(s, e) : step_give(s, 0, s->in[0], e);
}

static int identity_grad(struct grad *g)
{
    g->dx[0] = g->dy[0];
    return 0;
}

/* [start, end) of the axes that Shape gives, clamped. */
static void shape_range(const struct node *n, int rank, int *from, int *to)
{
    int64_t start = node_int(n, "start"), end = node_has(n, "end") ? node_int(n, "end") : rank;
    if (start < 0) start += rank;
    if (end < 0) end += rank;
    *from = (int)(start < 0 ? 0 : start > rank ? rank : start);
    *to = (int)(end < *from ? *from : end > rank ? rank : end);
}

static int shape_infer(struct node *n, struct err *e)
{
    struct shape s = shape_of(1, (int64_t[]){ DIM_UNKNOWN });
    int rank = n->in[0]->shape.rank, from, to;
    (void)e;
    if (rank >= 0) {
        shape_range(n, rank, &from, &to);
        s.dim[0] = to - from;
    }
    infer_out(n, 0, DT_I64, &s);
    return 0;
}

static int shape_contents(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    int64_t known[SHAPE_MAX];
    int from, to;
    (void)e;
    if (x->rank < 0) return 0;
    shape_range(n, x->rank, &from, &to);
    for (int d = from; d < to; d++) known[d - from] = known_from_dim(x->dim[d]);
    value_set_contents(n->out[0], n->graph->arena, known, to - from);
    return 0;
}

static int shape_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int from, to;
    (void)e;
    shape_range(s->node, x->rank, &from, &to);
    memcpy(s->out[0]->data, x->dim + from, (size_t)(to - from) * sizeof *x->dim);
    return 0;
}

static int size_infer(struct node *n, struct err *e)
{
    struct shape s = shape_of(0, NULL);
    (void)e;
    infer_out(n, 0, DT_I64, &s);
    return 0;
}

static int size_contents(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    int64_t size = 1;
    if (x->rank < 0) return 0;
    for (int d = 0; d < x->rank; d++) TRY(dim_times(&size, x->dim[d], e));
    size = known_from_dim(size);
    value_set_contents(n->out[0], n->graph->arena, &size, 1);
    return 0;
}

static int size_run(const struct step *s, struct err *e)
{
    (void)e;
    tensor_set_i64(s->out[0], 0, tensor_count(s->in[0]));
    return 0;
}

/* The value all elements get; NULL: float zero. */
static const struct tensor *fill_value(const struct node *n)
{
    const struct attr *a = node_attr(n, "value");
    return a ? a->tensor : NULL;
}

static int filled_infer(struct node *n, struct err *e)
{
    const struct tensor *value = fill_value(n);
    struct ints dims;
    struct shape s = shape_unknown();
    if (value && tensor_count(value) != 1) return fail(e, ERR_MODEL, "value must be one element");
    TRY(infer_list(n, 0, "shape", &dims, e));
    if (dims.n >= 0) {
        s.rank = dims.n;
        for (int i = 0; i < dims.n; i++) {
            if (known_is_number(dims.at[i]) && dims.at[i] < 0)
                return fail(e, ERR_SHAPE, "dimension %d is %lld", i, (long long)dims.at[i]);
            if (i < SHAPE_MAX) s.dim[i] = dim_from_known(dims.at[i]);
        }
    }
    return infer_sized(n, 0, value ? value->dtype : DT_F32, &s, e);
}

static int filled_contents(struct node *n, struct err *e)
{
    const struct tensor *value = fill_value(n);
    int64_t known[KNOWN_MAX], count = shape_count(&n->out[0]->shape);
    (void)e;
    if (!value || count < 0 || count > KNOWN_MAX || !(dtype_is_integer(value->dtype) || value->dtype == DT_BOOL))
        return 0;
    for (int64_t i = 0; i < count; i++) known[i] = tensor_get_i64(value, 0);
    value_set_contents(n->out[0], n->graph->arena, known, (int)count);
    return 0;
}

static int filled_run(const struct step *s, struct err *e)
{
    static const float zero;
    const struct tensor *value = fill_value(s->node), *y = s->out[0];
    (void)e;
    move_fill(s->threads, dtype_size(y->dtype), y->data, tensor_count(y), value ? value->data : &zero);
    return 0;
}

static int eye_infer(struct node *n, struct err *e)
{
    int64_t dtype = node_has(n, "dtype") ? node_int(n, "dtype") : (int64_t)n->in[0]->dtype;
    TRY(infer_rank(n, 0, 2, 2, e));
    if (node_has(n, "dtype") && (dtype < 0 || dtype >= DT_COUNT || !dtype_is_valid((int)dtype)))
        return fail(e, ERR_MODEL, "dtype is %lld", (long long)dtype);
    if (dtype != DT_NONE && dtype_kind((enum dtype)dtype) == KIND_OTHER)
        return fail(e, ERR_SHAPE, "an identity matrix of %s", dtype_name((enum dtype)dtype));
    infer_out(n, 0, (enum dtype)dtype, &n->in[0]->shape);
    return 0;
}

static int eye_run(const struct step *s, struct err *e)
{
    struct tensor *y = s->out[0];
    int64_t rows = y->shape.dim[0], columns = y->shape.dim[1], k = node_int(s->node, "k");
    (void)e;
    memset(y->data, 0, (size_t)tensor_bytes(y));
    for (int64_t i = 0; i < rows; i++) {
        if (k >= columns || k <= -rows || i + k < 0 || i + k >= columns) continue;
        tensor_set_f64(y, i * columns + i + k, 1);
    }
    return 0;
}

/* Numbers that start, start + delta ... stay before limit; negative with the error. */
static int64_t range_count_i(int64_t start, int64_t limit, int64_t delta, struct err *e)
{
    if (!delta) return fail(e, ERR_DATA, "delta is 0");
    if (delta > 0 ? start >= limit : start <= limit) return 0;
    uint64_t span = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta, count = (span - 1) / step + 1;
    return count > INT64_MAX / 16 ? fail(e, ERR_DATA, "more numbers than can be addressed") : (int64_t)count;
}

static int64_t range_count_f(double start, double limit, double delta, struct err *e)
{
    if (delta == 0 || !isfinite(start) || !isfinite(limit) || !isfinite(delta))
        return fail(e, ERR_DATA, "from %g to %g by %g is no range", start, limit, delta);
    double count = ceil((limit - start) / delta);
    if (count > 0x1p58) return fail(e, ERR_DATA, "more numbers than can be addressed");
    return count > 0 ? (int64_t)count : 0;
}

static int64_t range_count(const struct tensor *const *in, struct err *e)
{
    for (int i = 0; i < 3; i++)
        if (tensor_count(in[i]) != 1) return fail(e, ERR_SHAPE, "input %d must be one number", i);
    if (dtype_is_float(in[0]->dtype))
        return range_count_f(tensor_get_f64(in[0], 0), tensor_get_f64(in[1], 0), tensor_get_f64(in[2], 0), e);
    return range_count_i(tensor_get_i64(in[0], 0), tensor_get_i64(in[1], 0), tensor_get_i64(in[2], 0), e);
}

static int range_infer(struct node *n, struct err *e)
{
    struct shape s = shape_of(1, (int64_t[]){ DIM_UNKNOWN });
    const struct tensor *in[3];
    int64_t known[3][KNOWN_MAX];
    bool data = true, numbers = true;
    TRY(infer_same_types(n, 0, 3, e));
    for (int i = 0; i < 3; i++) {
        if (n->in[i]->dtype != DT_NONE && !dtype_is_float(n->in[i]->dtype) && !dtype_is_integer(n->in[i]->dtype))
            return fail(e, ERR_SHAPE, "a range of %s", dtype_name(n->in[i]->dtype));
        data &= (in[i] = value_const(n->in[i])) != NULL;
        numbers &= value_contents(n->in[i], known[i]) == 1;
    }
    if (data) s.dim[0] = range_count(in, e);
    else if (numbers && known_is_number(known[0][0]) && known_is_number(known[1][0]) && known_is_number(known[2][0]))
        s.dim[0] = range_count_i(known[0][0], known[1][0], known[2][0], e);
    else if (numbers && known[0][0] == 0 && known[2][0] == 1) s.dim[0] = dim_from_known(known[1][0]);
    if (e->code) return e->code;
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

static int range_contents(struct node *n, struct err *e)
{
    int64_t start[KNOWN_MAX], delta[KNOWN_MAX], known[KNOWN_MAX], count = shape_count(&n->out[0]->shape);
    (void)e;
    if (count < 0 || count > KNOWN_MAX || value_contents(n->in[0], start) != 1 || value_contents(n->in[2], delta) != 1)
        return 0;
    if (!known_is_number(start[0]) || !known_is_number(delta[0])) return 0;
    for (int64_t i = 0; i < count; i++) known[i] = (int64_t)((uint64_t)start[0] + (uint64_t)i * (uint64_t)delta[0]);
    value_set_contents(n->out[0], n->graph->arena, known, (int)count);
    return 0;
}

static int range_run(const struct step *s, struct err *e)
{
    struct tensor *y = s->out[0];
    int64_t count = range_count((const struct tensor *const *)s->in, e);
    if (e->code) return e->code;
    if (count != tensor_count(y))
        return fail(e, ERR_SHAPE, "%lld numbers, expected %lld", (long long)count, (long long)tensor_count(y));
    double start = tensor_get_f64(s->in[0], 0), delta = tensor_get_f64(s->in[2], 0);
    uint64_t first = (uint64_t)tensor_get_i64(s->in[0], 0), by = (uint64_t)tensor_get_i64(s->in[2], 0);
    for (int64_t i = 0; i < count; i++) {
        if (dtype_is_float(y->dtype)) tensor_set_f64(y, i, start + (double)i * delta);
        else tensor_set_i64(y, i, (int64_t)(first + (uint64_t)i * by));
    }
    return 0;
}

static const struct attr_spec shape_attrs[] = {
    { "start", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "first axis" },
    { "end", ATTR_INT, ATTR_OPTIONAL, .doc = "axis after the last; absent: all" },
    { 0 },
};
static const struct attr_spec filled_attrs[] = {
    { "value", ATTR_TENSOR, ATTR_OPTIONAL, .doc = "one element; absent: float 0" },
    { 0 },
};
static const struct attr_spec eye_attrs[] = {
    { "dtype", ATTR_INT, ATTR_OPTIONAL, .doc = "type of the result; absent: that of the input" },
    { "k", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "which diagonal; above the main one when positive" },
    { 0 },
};

const struct op ops_identity[] = {
    { .name = "Identity",
        .doc = "y = x",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_VIEW | OP_INPLACE | OP_CONTAINERS,
        .infer = identity_infer,
        .contents = identity_contents,
        .run = identity_run,
        .grad = identity_grad,
        .samples = "f32[2,3]; string{a,b}; c64[3]" },
    { .name = "Shape",
        .doc = "the dimensions of x",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_SHAPE_ONLY,
        .attrs = shape_attrs,
        .infer = shape_infer,
        .contents = shape_contents,
        .run = shape_run,
        .samples = "f32[2,3,4]; f32[2,3,4] | start=-2; u8[2,3,4] | start=1 end=2; f32[]" },
    { .name = "Size",
        .doc = "the number of elements of x",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_SHAPE_ONLY,
        .infer = size_infer,
        .contents = size_contents,
        .run = size_run,
        .samples = "f32[2,3,4]; f32[]; i8[0,2]" },
    { .name = "ConstantOfShape",
        .doc = "one value everywhere",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = filled_attrs,
        .infer = filled_infer,
        .contents = filled_contents,
        .run = filled_run,
        .samples = "i64{2,3}; i64{0,3}" },
    { .name = "EyeLike",
        .doc = "ones on a diagonal of a matrix of the shape of x",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_SHAPE_ONLY,
        .attrs = eye_attrs,
        .infer = eye_infer,
        .run = eye_run,
        .samples = "f32[3,4]; i32[3,4] | k=1; f32[4,2] | k=-2 dtype=11" },
    { .name = "Range",
        .doc = "start, start + delta ... before limit",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .infer = range_infer,
        .contents = range_contents,
        .run = range_run,
        .samples = "i64{2} i64{11} i64{3}; f32{1} f32{0} f32{-0.25}; i32{5} i32{1} i32{1}" },
    { 0 },
};
