/* deform_conv.c - deformable convolution (Dai et al. 2017, Zhu et al. 2018), written as sampling and a product. */
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/conv_core.h"
#include "ops/gradient.h"
#include "ops/infer.h"

enum { X, W, OFFSET, BIAS, MASK };

static int fits(int64_t have, int64_t want, const char *what, struct err *e)
{
    if (have < 0 || want < 0 || have == want) return 0;
    return fail(e, ERR_SHAPE, "%s: %lld, expected %lld", what, (long long)have, (long long)want);
}

/* Channels of offset or mask: offset groups times taps times `each`; the rest as y. */
static int check_field(
    const struct node *n, int i, int64_t each, int64_t taps, const struct shape *y, const char *what, struct err *e)
{
    const struct value *v = node_in(n, i);
    if (!v || v->shape.rank < 0) return 0;
    TRY(infer_rank(n, i, 4, 4, e));
    TRY(fits(v->shape.dim[1], taps < 0 ? -1 : node_int(n, "offset_group") * taps * each, what, e));
    for (int d = 2; d < 4 && y->rank == 4; d++) TRY(fits(v->shape.dim[d], y->dim[d], what, e));
    return 0;
}

static int resolve(const struct node *n, struct shape *y, struct conv *c, struct err *e)
{
    const struct shape *x = &n->in[X]->shape, *w = &n->in[W]->shape;
    int64_t groups = node_int(n, "offset_group");
    TRY(infer_type(n, X, TYPES_FLOAT, e));
    TRY(infer_same_types(n, 0, 5, e));
    for (int i = X; i <= OFFSET; i++) TRY(infer_rank(n, i, 4, 4, e));
    TRY(conv_resolve(n, false, x, w, y, c, e));
    if (groups < 1 || (x->rank == 4 && x->dim[1] >= 0 && x->dim[1] % groups))
        return fail(e, ERR_SHAPE, "offset_group is %lld", (long long)groups);
    int64_t taps = w->rank == 4 ? shape_span(w, 2, 4) : -1;
    TRY(check_field(n, OFFSET, 2, taps, y, "the offset", e));
    return check_field(n, MASK, 1, taps, y, "the mask", e);
}

static int deform_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(resolve(n, &y, NULL, e));
    infer_out(n, 0, n->in[X]->dtype, &y);
    return 0;
}

static struct value *reshaped(struct builder *b, struct value *v, int rank, const int64_t *dims)
{
    return emit(b, "Reshape", NO_ATTRS, v, emit_i64s(b, dims, (size_t)rank));
}

/* Where each tap of each window lies without an offset, as GridSample counts (-1 and 1 are the image's edges), and what
 * one element is in these units: (1, taps, 2 (y, x), oh, ow) and (2, 1, 1). */
static struct value *base_grid(struct builder *b, const struct conv *c, enum dtype t, struct value **unit)
{
    const struct window *w = &c->window;
    int64_t kw = w->kernel[2], taps = w->kernel[1] * kw, oh = w->out[1], ow = w->out[2];
    struct shape s = shape_of(5, (int64_t[]){ 1, taps, 2, oh, ow }), u = shape_of(3, (int64_t[]){ 2, 1, 1 });
    *unit = NULL;
    struct tensor *grid = tensor_new(b->g->arena, t, &s, b->err), *units = tensor_new(b->g->arena, t, &u, b->err);
    if (!grid || !units) return NULL;
    for (int64_t i = 0; i < taps * 2 * oh * ow; i++) {
        int64_t k = i / (2 * oh * ow), axis = 1 + i / (oh * ow) % 2, at = axis == 1 ? i / ow % oh : i % ow;
        int64_t tap = axis == 1 ? k / kw : k % kw;
        int64_t place = at * w->stride[axis] - w->before[axis] + tap * w->dilation[axis];
        tensor_set_f64(grid, i, (2 * (double)place + 1) / (double)w->in[axis] - 1);
    }
    for (int a = 0; a < 2; a++) tensor_set_f64(units, a, 2 / (double)w->in[1 + a]);
    *unit = emit_const(b, units);
    return emit_const(b, grid);
}

/* x at the taps of every window: (N * offset groups, C / offset groups, taps * oh, ow) */
static struct value *sampled(struct builder *b, const struct node *n, const struct conv *c, int64_t groups)
{
    const struct window *w = &c->window;
    int64_t taps = w->kernel[1] * w->kernel[2], oh = w->out[1], ow = w->out[2], batch = c->batch * groups;
    struct value *unit, *grid = base_grid(b, c, n->in[X]->dtype, &unit);
    struct value *offset = reshaped(b, n->in[OFFSET], 5, (int64_t[]){ batch, taps, 2, oh, ow });
    grid = emit2(b, "Add", grid, emit2(b, "Mul", offset, unit));
    grid = emit(b, "Transpose", ATTRS(attr_ints("perm", (int64_t[]){ 0, 1, 3, 4, 2 }, 5)), grid);
    grid = reshaped(b, grid, 4, (int64_t[]){ batch, taps * oh, ow, 2 });
    grid = emit(b, "Gather", ATTRS(attr_int("axis", 3)), grid, emit_i64s(b, (int64_t[]){ 1, 0 }, 2)); /* x, y */
    struct value *x = reshaped(b, n->in[X], 4, (int64_t[]){ batch, c->groups * c->c / groups, w->in[1], w->in[2] });
    return emit2(b, "GridSample", x, grid);
}

static int deform_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct shape y;
    struct conv c = { 0 };
    TRY(resolve(n, &y, &c, b->err));
    if (!c.groups) return fail(b->err, ERR_UNSUPPORTED, "needs to know its dimensions");
    const struct window *w = &c.window;
    int64_t groups = node_int(n, "offset_group"), taps = w->kernel[1] * w->kernel[2], plane = w->out[1] * w->out[2];
    struct value *v = sampled(b, n, &c, groups);
    if (node_in(n, MASK)) {
        v = reshaped(b, v, 4, (int64_t[]){ c.batch * groups, c.groups * c.c / groups, taps, plane });
        v = emit2(b, "Mul", v, reshaped(b, n->in[MASK], 4, (int64_t[]){ c.batch * groups, 1, taps, plane }));
    }
    v = reshaped(b, v, 4, (int64_t[]){ c.batch, c.groups, c.c * taps, plane });
    v = emit2(b, "MatMul", reshaped(b, n->in[W], 3, (int64_t[]){ c.groups, c.m, c.c * taps }), v);
    v = reshaped(b, v, 4, (int64_t[]){ c.batch, c.groups * c.m, w->out[1], w->out[2] });
    if (node_in(n, BIAS)) v = emit2(b, "Add", v, reshaped(b, n->in[BIAS], 3, (int64_t[]){ -1, 1, 1 }));
    out[0] = v;
    return 0;
}

static const struct attr_spec deform_attrs[] = {
    { "dilations", ATTR_INTS, .doc = "distance of the taps per axis; 1 when absent" },
    { "group", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "groups of channels that do not see each other" },
    { "kernel_shape", ATTR_INTS, .doc = "as the weight has it" },
    { "offset_group", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "groups of channels that share their offsets" },
    { "pads", ATTR_INTS, .doc = "begins of all axes, then ends; 0 when absent" },
    { "strides", ATTR_INTS, .doc = "step per axis; 1 when absent" },
    { 0 },
};

const struct op ops_deform_conv[] = {
    { .name = "DeformConv",
        .doc = "convolution whose taps are moved by offsets, of (x, weight, offset, bias, mask)",
        .min_in = 3,
        .max_in = 5,
        .min_out = 1,
        .max_out = 1,
        .attrs = deform_attrs,
        .infer = deform_infer,
        .expand = deform_expand,
        .samples =
            "f32[1,2,5,4] f32[3,2,2,2] f32%[1,8,4,3]; f32[2,4,5,5] f32[4,2,3,3] f32%[2,36,3,3] f32[4] f32[2,18,3,3] "
            "| group=2 offset_group=2 strides=2,2 pads=1,1,1,1" },
    { 0 },
};
