/* slice.c - regular parts of a tensor: taking them out, putting them back, cropping. */
#include "ops/slice.h"

#include <string.h>

#include "base/err.h"
#include "graph/known.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/mover.h"

/* starts, ends, axes, steps, in the order of the inputs; absent axes are 0, 1, 2 .., absent steps 1. */
struct slice {
    struct ints starts, ends, axes, steps;
};

typedef int list_reader(const void *from, int i, const char *what, struct ints *out, struct err *e);

static int from_node(const void *n, int i, const char *what, struct ints *out, struct err *e)
{
    return infer_list(n, i, what, out, e);
}

static int from_step(const void *s, int i, const char *what, struct ints *out, struct err *e)
{
    return step_list(s, i, what, out, e);
}

/* Fills a list that was absent: with i or with 1. */
static void fill_absent(struct ints *list, int n, bool count_up)
{
    list->n = n;
    list->all = true;
    for (int i = 0; i < n; i++) list->at[i] = count_up ? i : 1;
}

/* Reads the lists from input `first` on. */
static int slice_read(
    struct slice *c, list_reader *read, const void *of, const struct node *n, int first, struct err *e)
{
    TRY(read(of, first, "starts", &c->starts, e));
    TRY(read(of, first + 1, "ends", &c->ends, e));
    TRY(read(of, first + 2, "axes", &c->axes, e));
    TRY(read(of, first + 3, "steps", &c->steps, e));
    int count = c->starts.n;
    if (count < 0) return 0;
    if (!node_in(n, first + 2)) fill_absent(&c->axes, count, true);
    if (!node_in(n, first + 3)) fill_absent(&c->steps, count, false);
    if ((c->ends.n >= 0 && c->ends.n != count) || (c->axes.n >= 0 && c->axes.n != count) ||
        (c->steps.n >= 0 && c->steps.n != count))
        return fail(e, ERR_SHAPE, "%d starts, %d ends, %d axes, %d steps: one of each per axis is expected", count,
            c->ends.n, c->axes.n, c->steps.n);
    for (int i = 0; i < c->steps.n; i++)
        if (c->steps.at[i] == 0) return fail(e, ERR_SHAPE, "steps[%d] is 0", i);
    return 0;
}

/* Elements that [start, end) with a step takes of `dim`; start and end clamped as numpy does. */
static int64_t slice_count(int64_t dim, int64_t *start, int64_t end, int64_t step)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
    if (*start < 0) *start = *start < -dim ? low : *start + dim;
    if (end < 0) end = end < -dim ? low : end + dim;
    *start = *start < low ? low : *start > high ? high : *start;
    end = end < low ? low : end > high ? high : end;
    int64_t span = step > 0 ? end - *start : *start - end;
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    return span <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / stride) + 1;
}

/* The same for partly known numbers. */
static int64_t slice_dim(int64_t dim, int64_t start, int64_t end, int64_t step)
{
    if (step == 1 && start == 0) {
        if (end >= INT32_MAX && known_is_number(end)) return dim;
        if (dim_from_known(end) == dim && dim != DIM_UNKNOWN) return dim;
    }
    if (!known_is_number(start) || !known_is_number(step)) return DIM_UNKNOWN;
    if (dim >= 0 && known_is_number(end)) return slice_count(dim, &start, end, step);
    return DIM_UNKNOWN;
}

static int slice_shape(struct slice *c, const struct shape *x, struct shape *out, struct err *e)
{
    *out = *x;
    if (x->rank < 0) return 0;
    if (c->starts.n > x->rank) return fail(e, ERR_SHAPE, "%d axes, but the input has rank %d", c->starts.n, x->rank);
    if (c->axes.n >= 0 && c->axes.all) TRY(axes_check(&c->axes, x->rank, e));
    if (c->starts.n < 0 || c->ends.n < 0 || c->axes.n < 0 || c->steps.n < 0 || !c->axes.all) {
        bool axes = c->axes.n >= 0 && c->axes.all; /* then the other dimensions stay */
        for (int d = 0; d < x->rank && !axes; d++) out->dim[d] = DIM_UNKNOWN;
        for (int i = 0; i < c->axes.n && axes; i++) out->dim[c->axes.at[i]] = DIM_UNKNOWN;
        return 0;
    }
    for (int i = 0; i < c->starts.n; i++) {
        int64_t *dim = &out->dim[c->axes.at[i]];
        *dim = slice_dim(*dim, c->starts.at[i], c->ends.at[i], c->steps.at[i]);
    }
    return 0;
}

static int slice_infer(struct node *n, struct err *e)
{
    struct slice c;
    struct shape s;
    TRY(slice_read(&c, from_node, n, n, 1, e));
    TRY(slice_shape(&c, &n->in[0]->shape, &s, e));
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

/* Of a tensor of this shape; p->stride holds its strides. */
static int take_part(const struct step *s, const struct shape *x, int first, struct slice_part *p, struct err *e)
{
    struct slice c;
    TRY(slice_read(&c, from_step, s, s->node, first, e));
    TRY(slice_shape(&c, x, &p->shape, e));
    p->offset = 0;
    for (int i = 0; i < c.starts.n; i++) {
        int d = (int)c.axes.at[i];
        int64_t start = c.starts.at[i], step = c.steps.at[i];
        p->shape.dim[d] = slice_count(x->dim[d], &start, c.ends.at[i], step);
        if (p->shape.dim[d]) p->offset += start * p->stride[d];
        p->stride[d] = p->shape.dim[d] > 1 ? p->stride[d] * step : p->stride[d];
    }
    return 0;
}

static int same_part(const struct slice_part *p, const struct tensor *piece, struct err *e)
{
    return shape_equal(&p->shape, &piece->shape) ? 0
                                                 : fail(e, ERR_SHAPE, "the slice has another shape than expected here");
}

int slice_part_of(const struct step *s, struct slice_part *p, struct err *e)
{
    TRY(take_part(s, &s->in[0]->shape, 1, p, e));
    return same_part(p, s->out[0], e);
}

/* Of a row-major tensor. */
static int part_of(const struct step *s, const struct shape *x, int first, struct slice_part *p, struct err *e)
{
    shape_strides(x, p->stride);
    return take_part(s, x, first, p, e);
}

/* Between a part of `whole` and a tensor whose strides are `other` (0 where it is broadcast). */
static void move_part(const struct step *s, const struct slice_part *p, const struct tensor *whole,
    const struct tensor *piece, const int64_t *other, bool out_of_whole)
{
    struct move m = { 0 };
    for (int d = 0; d < p->shape.rank; d++)
        move_add(&m, p->shape.dim[d], out_of_whole ? other[d] : p->stride[d], out_of_whole ? p->stride[d] : other[d]);
    if (!shape_count(&p->shape)) return;
    void *at = element(whole, p->offset);
    move_run(
        &m, s->threads, dtype_size(whole->dtype), out_of_whole ? piece->data : at, out_of_whole ? at : piece->data);
}

static int slice_run(const struct step *s, struct err *e)
{
    struct slice_part p;
    int64_t own[SHAPE_MAX];
    shape_strides(&s->in[0]->shape, p.stride);
    TRY(slice_part_of(s, &p, e));
    shape_strides(&p.shape, own);
    move_part(s, &p, s->in[0], s->out[0], own, true);
    return 0;
}

static int slice_grad(struct grad *g)
{
    g->dx[0] = emit_with_parameters(g->b, "SliceGrad", g->node, g->dy[0], g->node->in[0], 1);
    return 0;
}

/* in: dy, x, starts ...: zeros in the shape of x, but for dy in the slice */
static int slice_grad_infer(struct node *n, struct err *e)
{
    struct slice c;
    struct shape s;
    TRY(slice_read(&c, from_node, n, n, 2, e));
    TRY(slice_shape(&c, &n->in[1]->shape, &s, e));
    if (!shape_merge(&s, &n->in[0]->shape)) return fail(e, ERR_SHAPE, "the gradient is not of the shape of the slice");
    infer_out(n, 0, n->in[0]->dtype, &n->in[1]->shape);
    return 0;
}

static int slice_grad_run(const struct step *s, struct err *e)
{
    struct slice_part p;
    int64_t own[SHAPE_MAX];
    TRY(part_of(s, &s->out[0]->shape, 2, &p, e));
    TRY(same_part(&p, s->in[0], e));
    shape_strides(&p.shape, own);
    memset(s->out[0]->data, 0, (size_t)tensor_bytes(s->out[0]));
    move_part(s, &p, s->out[0], s->in[0], own, false);
    return 0;
}

static int slice_grad_grad(struct grad *g)
{
    g->dx[0] = emit_with_parameters(g->b, "Slice", g->node, g->dy[0], NULL, 2);
    return 0;
}

/* in: x, update, starts ...: x, with update broadcast into the slice */
static int scatter_infer(struct node *n, struct err *e)
{
    struct slice c;
    struct shape s, joint;
    TRY(infer_same_types(n, 0, 2, e));
    TRY(slice_read(&c, from_node, n, n, 2, e));
    TRY(slice_shape(&c, &n->in[0]->shape, &s, e));
    bool fits = shape_broadcast(&s, &n->in[1]->shape, &joint);
    for (int d = 0; fits && d < s.rank && joint.rank >= 0; d++)
        fits = joint.rank == s.rank && (s.dim[d] < 0 || joint.dim[d] < 0 || s.dim[d] == joint.dim[d]);
    if (!fits) return fail(e, ERR_SHAPE, "the update cannot be broadcast to the slice");
    return infer_same(n, e);
}

static int scatter_run(const struct step *s, struct err *e)
{
    struct slice_part p;
    const struct tensor *update = s->in[1];
    int64_t own[SHAPE_MAX], strides[SHAPE_MAX];
    TRY(view_run(s, e)); /* may lie in the same place already */
    TRY(part_of(s, &s->out[0]->shape, 2, &p, e));
    int skip = p.shape.rank - update->shape.rank;
    if (skip < 0) return fail(e, ERR_SHAPE, "the update has rank %d, the slice %d", update->shape.rank, p.shape.rank);
    shape_strides(&update->shape, own);
    for (int d = 0; d < p.shape.rank; d++) {
        int64_t size = d < skip ? 1 : update->shape.dim[d - skip];
        if (size != 1 && size != p.shape.dim[d])
            return fail(e, ERR_SHAPE, "the update has size %lld along axis %d, the slice %lld", (long long)size, d,
                (long long)p.shape.dim[d]);
        strides[d] = size == 1 ? 0 : own[d - skip];
    }
    move_part(s, &p, s->out[0], update, strides, false);
    return 0;
}

/* x gets dy outside the slice, the update dy inside, summed over what was broadcast. */
static int scatter_grad(struct grad *g)
{
    struct builder *b = g->b;
    struct value *zero = emit_scalar(b, g->dy[0]->dtype, 0);
    g->dx[0] = emit_with_parameters(b, "ScatterSlice", g->node, g->dy[0], zero, 2);
    grad_set(g, 1, emit_with_parameters(b, "Slice", g->node, g->dy[0], NULL, 2));
    return 0;
}

/* ---- CenterCropPad: each axis cut or filled with zeros on both sides, the odd element at the end ---- */

static int crop_targets(const struct node *n, const struct ints *sizes, int rank, struct ints *axes, struct err *e)
{
    size_t count;
    const int64_t *given = node_ints(n, "axes", &count);
    if (!given) fill_absent(axes, rank, true);
    else if (count > SHAPE_MAX) return fail(e, ERR_SHAPE, "%zu axes", count);
    else {
        axes->n = (int)count;
        axes->all = true;
        memcpy(axes->at, given, count * sizeof *given);
    }
    TRY(axes_check(axes, rank, e));
    if (sizes->n >= 0 && sizes->n != axes->n) return fail(e, ERR_SHAPE, "%d sizes for %d axes", sizes->n, axes->n);
    for (int i = 0; i < sizes->n; i++)
        if (known_is_number(sizes->at[i]) && sizes->at[i] < 0)
            return fail(e, ERR_SHAPE, "shape[%d] is %lld", i, (long long)sizes->at[i]);
    return 0;
}

static int crop_infer(struct node *n, struct err *e)
{
    struct shape s = n->in[0]->shape;
    struct ints sizes, axes;
    TRY(infer_list(n, 1, "shape", &sizes, e));
    if (s.rank >= 0) {
        TRY(crop_targets(n, &sizes, s.rank, &axes, e));
        for (int i = 0; i < axes.n; i++) s.dim[axes.at[i]] = sizes.n < 0 ? DIM_UNKNOWN : dim_from_known(sizes.at[i]);
    }
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

static int crop_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *y = s->out[0];
    int64_t from[SHAPE_MAX], to[SHAPE_MAX], offset_x = 0, offset_y = 0;
    struct move m = { 0 };
    (void)e;
    memset(y->data, 0, (size_t)tensor_bytes(y));
    shape_strides(&x->shape, from);
    shape_strides(&y->shape, to);
    for (int d = 0; d < x->shape.rank; d++) {
        int64_t a = x->shape.dim[d], b = y->shape.dim[d];
        offset_x += a > b ? (a - b) / 2 * from[d] : 0;
        offset_y += b > a ? (b - a) / 2 * to[d] : 0;
        move_add(&m, a < b ? a : b, to[d], from[d]);
    }
    if (tensor_count(x) && tensor_count(y))
        move_run(&m, s->threads, dtype_size(x->dtype), element(y, offset_y), element(x, offset_x));
    return 0;
}

/* Cropping to the old size takes out what was put in the middle, and the reverse. */
static int crop_grad(struct grad *g)
{
    g->dx[0] = emit(g->b, "CenterCropPad", NO_ATTRS, g->dy[0], emit(g->b, "Shape", NO_ATTRS, g->node->in[0]));
    return 0;
}

static const struct attr_spec crop_attrs[] = {
    { "axes", ATTR_INTS, ATTR_OPTIONAL, .doc = "axes that the shape speaks of; absent: all" },
    { 0 },
};

#define SLICE_SAMPLES \
    "f32[6,5] i64{1,0} i64{5,4}; f32[6,5] i64{-1} i64{-100} i64{0} i64{-2}; f32[2,3,4] i64{1} i64{100} i64{-1};" \
    " i8[7] i32{6} i32{0} i32{0} i32{-3}; string{a,b,c,d,e} i64{1} i64{3}"

const struct op ops_slice[] = {
    { .name = "Slice",
        .doc = "x[start:end:step] along axes",
        .min_in = 3,
        .max_in = 5,
        .min_out = 1,
        .max_out = 1,
        .infer = slice_infer,
        .contents = contents_moved0,
        .run = slice_run,
        .grad = slice_grad,
        .samples = SLICE_SAMPLES },
    { .name = "SliceGrad",
        .doc = "zeros in the shape of x with dy in the slice, of (dy, x, starts, ends, axes, steps)",
        .min_in = 4,
        .max_in = 6,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .infer = slice_grad_infer,
        .run = slice_grad_run,
        .grad = slice_grad_grad,
        .samples = "f32[4,4] f32[6,5] i64{1,0} i64{5,4}; f32[3,5] f32[6,5] i64{-1} i64{-100} i64{0} i64{-2}" },
    { .name = "ScatterSlice",
        .doc = "x with update broadcast into a slice, of (x, update, starts, ends, axes, steps)",
        .min_in = 4,
        .max_in = 6,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_INPLACE,
        .infer = scatter_infer,
        .run = scatter_run,
        .grad = scatter_grad,
        .samples = "f32[6,5] f32[4,4] i64{1,0} i64{5,4}; f32[6,5] f32[] i64{-1} i64{-100} i64{0} i64{-2};"
                   " i32[2,3,4] i32[3,1] i64{1} i64{100} i64{-1}" },
    { .name = "CenterCropPad",
        .doc = "cropped or padded with zeros around the centre",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .attrs = crop_attrs,
        .infer = crop_infer,
        .run = crop_run,
        .grad = crop_grad,
        .samples = "f32[5,4,3] i64{3,7,3}; f32[5,4,3] i64{2,6} | axes=-1,0; u8[7] i64{2}" },
    { 0 },
};
