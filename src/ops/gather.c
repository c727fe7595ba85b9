/* gather.c - elements and rows taken at indices that are data. */
#include <string.h>

#include "base/err.h"
#include "base/team.h"
#include "ops/infer.h"
#include "ops/mover.h"

/* dims [0, axis) of x, those of the indices, dims (axis, rank) of x */
static int gather_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape, *index = &n->in[1]->shape;
    struct shape s = shape_unknown();
    TRY(infer_indices(n, 1, e));
    TRY(infer_rank(n, 0, 1, SHAPE_MAX, e));
    int axis = infer_axis(n, "axis", x->rank, e);
    if (e->code) return e->code;
    if (x->rank >= 0 && index->rank >= 0) {
        s.rank = x->rank + index->rank - 1;
        if (s.rank > SHAPE_MAX) return infer_sized(n, 0, n->in[0]->dtype, &s, e);
        int to = 0;
        for (int d = 0; d < axis; d++) s.dim[to++] = x->dim[d];
        for (int d = 0; d < index->rank; d++) s.dim[to++] = index->dim[d];
        for (int d = axis + 1; d < x->rank; d++) s.dim[to++] = x->dim[d];
    }
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

/* Rows of `inner` elements of (outer, size, inner), taken in the order of `index`. */
struct gather_job {
    const struct tensor *x, *y;
    const int64_t *index;
    int64_t count, size, inner;
};

/* n pieces of `size` bytes from where their offsets say, in pieces. */
#define TAKE(size) \
    for (int64_t i = 0; i < n; i++) memcpy(to + i * (int64_t)(size), x + offset[i] * (int64_t)(size), size)

static void take(size_t size, unsigned char *to, const unsigned char *x, const int64_t *offset, int64_t n)
{
    if (size == 4) TAKE(4);
    else if (size == 8) TAKE(8);
    else TAKE(size);
}

static void gather_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct gather_job *j = ctx;
    size_t bytes = (size_t)j->inner * dtype_size(j->x->dtype);
    for (int64_t row = begin, n; row < end; row += n) {
        int64_t outer = row / j->count, first = row % j->count;
        n = end - row < j->count - first ? end - row : j->count - first;
        take(bytes, element(j->y, row * j->inner), element(j->x, outer * j->size * j->inner), j->index + first, n);
    }
}

static int gather_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int axis = infer_axis(s->node, "axis", x->rank, e);
    if (e->code) return e->code;
    const int64_t *index = step_indices(s, 1, x->dim[axis], axis, e);
    if (!index) return e->code;
    struct gather_job j = { s->in[0], s->out[0], index, tensor_count(s->in[1]), x->dim[axis],
        shape_span(x, axis + 1, x->rank) };
    if (tensor_count(s->out[0]))
        team_run(s->threads, shape_span(x, 0, axis) * j.count, 1 + 4096 / (1 + j.inner), gather_rows, &j);
    return 0;
}

static int gather_grad(struct grad *g)
{
    struct attr axis = attr_int("axis", node_int(g->node, "axis"));
    g->dx[0] = emit(g->b, "GatherGrad", ATTRS(axis), g->dy[0], g->node->in[0], g->node->in[1]);
    return 0;
}

/* in: dy, x, indices; out: zeros in the shape of x, with dy added where it came from */
static int gather_grad_infer(struct node *n, struct err *e)
{
    TRY(infer_indices(n, 2, e));
    infer_axis(n, "axis", n->in[1]->shape.rank, e);
    if (e->code) return e->code;
    infer_out(n, 0, n->in[0]->dtype, &n->in[1]->shape);
    return 0;
}

static int gather_grad_run(const struct step *s, struct err *e)
{
    const struct tensor *dy = s->in[0], *dx = s->out[0];
    const struct shape *x = &dx->shape;
    int axis = infer_axis(s->node, "axis", x->rank, e);
    if (e->code) return e->code;
    int64_t inner = shape_span(x, axis + 1, x->rank), outer = shape_span(x, 0, axis), count = tensor_count(s->in[2]);
    const int64_t *index = step_indices(s, 2, x->dim[axis], axis, e);
    if (!index) return e->code;
    if (tensor_count(dy) != outer * count * inner)
        return fail(e, ERR_SHAPE, "the gradient has %lld elements, expected %lld", (long long)tensor_count(dy),
            (long long)(outer * count * inner));
    memset(dx->data, 0, (size_t)tensor_bytes(dx));
    for (int64_t row = 0; inner && row < outer * count; row++)
        combine(COMBINE_ADD, dx->dtype, element(dx, (row / count * x->dim[axis] + index[row % count]) * inner),
            element(dy, row * inner), inner);
    return 0;
}

static int gather_grad_grad(struct grad *g)
{
    struct attr axis = attr_int("axis", node_int(g->node, "axis"));
    g->dx[0] = emit(g->b, "Gather", ATTRS(axis), g->dy[0], g->node->in[2]);
    return 0;
}

/* ---- GatherElements: y[i][j][k] = x[index[i][j][k]][j][k] for axis 0 ---- */

static int elements_infer(struct node *n, struct err *e)
{
    TRY(infer_elements(n, 0, 1, e));
    infer_out(n, 0, n->in[0]->dtype, &n->in[1]->shape);
    return 0;
}

static void elements_take(void *ctx, int64_t at, const int64_t *offset, int64_t n)
{
    const struct step *s = ctx;
    take(dtype_size(s->in[0]->dtype), element(s->out[0], at), s->in[0]->data, offset, n);
}

static int elements_run(const struct step *s, struct err *e)
{
    struct step copy = *s;
    return step_elements(s, 1, &s->in[0]->shape, s->threads, elements_take, &copy, e);
}

static int elements_grad(struct grad *g)
{
    struct attr axis = attr_int("axis", node_int(g->node, "axis")), add = attr_string("reduction", "add");
    g->dx[0] = emit(
        g->b, "ScatterElements", ATTRS(axis, add), emit_zeros(g->b, g->node->in[0]), g->node->in[1], g->dy[0]);
    return 0;
}

/* ---- GatherND: the last dimension of the indices is a position in x ---- */

static int nd_infer(struct node *n, struct err *e)
{
    struct shape s;
    TRY(infer_tuples(n->in[0], n->in[1], node_int(n, "batch_dims"), &s, e));
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

static int nd_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *y = s->out[0];
    const struct shape *index = &s->in[1]->shape;
    int batch = (int)node_int(s->node, "batch_dims"), last = index->rank - 1;
    int64_t *offset = step_offsets(s, 1, &x->shape, batch, e);
    if (!offset) return e->code;
    int64_t inner = shape_span(&x->shape, batch + (int)index->dim[last], x->shape.rank), n = shape_span(index, 0, last);
    size_t bytes = (size_t)inner * dtype_size(x->dtype);
    for (int64_t i = 0; i < n && inner; i++) memcpy(element(y, i * inner), element(x, offset[i]), bytes);
    return 0;
}

static int nd_grad(struct grad *g)
{
    struct attr batch = attr_int("batch_dims", node_int(g->node, "batch_dims"));
    g->dx[0] = emit(g->b, "GatherNDGrad", ATTRS(batch), g->dy[0], g->node->in[0], g->node->in[1]);
    return 0;
}

/* in: dy, x, indices */
static int nd_grad_infer(struct node *n, struct err *e)
{
    struct shape s;
    TRY(infer_tuples(n->in[1], n->in[2], node_int(n, "batch_dims"), &s, e));
    if (!shape_merge(&s, &n->in[0]->shape))
        return fail(e, ERR_SHAPE, "the gradient is not of the shape that was gathered");
    infer_out(n, 0, n->in[0]->dtype, &n->in[1]->shape);
    return 0;
}

static int nd_grad_run(const struct step *s, struct err *e)
{
    const struct tensor *dy = s->in[0], *dx = s->out[0];
    const struct shape *index = &s->in[2]->shape;
    int batch = (int)node_int(s->node, "batch_dims"), last = index->rank - 1;
    int64_t *offset = step_offsets(s, 2, &dx->shape, batch, e);
    if (!offset) return e->code;
    int64_t inner = shape_span(&dx->shape, batch + (int)index->dim[last], dx->shape.rank),
            n = shape_span(index, 0, last);
    memset(dx->data, 0, (size_t)tensor_bytes(dx));
    for (int64_t i = 0; i < n && inner; i++)
        combine(COMBINE_ADD, dx->dtype, element(dx, offset[i]), element(dy, i * inner), inner);
    return 0;
}

static int nd_grad_grad(struct grad *g)
{
    struct attr batch = attr_int("batch_dims", node_int(g->node, "batch_dims"));
    g->dx[0] = emit(g->b, "GatherND", ATTRS(batch), g->dy[0], g->node->in[2]);
    return 0;
}

static const struct attr_spec axis_attrs[] = {
    { "axis", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "the axis that is indexed" },
    { 0 },
};
static const struct attr_spec batch_attrs[] = {
    { "batch_dims", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "leading axes that the input and the indices share" },
    { 0 },
};

const struct op ops_gather[] = {
    { .name = "Gather",
        .doc = "slices of x along an axis, at indices",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = axis_attrs,
        .infer = gather_infer,
        .contents = contents_moved0,
        .run = gather_run,
        .grad = gather_grad,
        .samples = "f32[5,3] i64{4,-5,0,4}; f32[2,5,3] i64<5>[2,2] | axis=1; f32[2,32,3,2] "
                   "i64{31,0,-2,5,0,7,16,1,2,3,4,6,9,8,30,11} | axis=1; string{a,b,c} i32{-1}; u8[2,4] i64{2} | "
                   "axis=-1" },
    { .name = "GatherGrad",
        .doc = "dy added at the indices it was gathered from, of (dy, x, indices)",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = axis_attrs,
        .infer = gather_grad_infer,
        .run = gather_grad_run,
        .grad = gather_grad_grad,
        .samples = "f32[4,3] f32[5,3] i64{4,-5,0,4}; f32[2,2,2,3] f32[2,5,3] i64<5>[2,2] | axis=1" },
    { .name = "GatherElements",
        .doc = "x at an index per element of the result",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = axis_attrs,
        .infer = elements_infer,
        .run = elements_run,
        .grad = elements_grad,
        .samples = "f32[4,3] i64<4>[2,3]; f32[2,5] i64<5>[2,7] | axis=1; string{a,b,c} i32{-1,0}" },
    { .name = "GatherND",
        .doc = "x at positions given by the last dimension of the indices",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = batch_attrs,
        .infer = nd_infer,
        .run = nd_run,
        .grad = nd_grad,
        .samples = "f32[2,2,3] i64<2>[4,2]; f32[2,3,4] i64<3>[2,5,1] | batch_dims=1; i8[2,2] i64<2>[3,2]" },
    { .name = "GatherNDGrad",
        .doc = "dy added at the positions it was gathered from, of (dy, x, indices)",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = batch_attrs,
        .infer = nd_grad_infer,
        .run = nd_grad_run,
        .grad = nd_grad_grad,
        .samples = "f32[4,3] f32[2,2,3] i64<2>[4,2]; f32[2,5,4] f32[2,3,4] i64<3>[2,5,1] | batch_dims=1" },
    { 0 },
};
