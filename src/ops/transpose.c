/* transpose.c - elements in another order or repeated: Transpose, Expand, Tile, and depth against space. */
#include <string.h>

#include "base/err.h"
#include "graph/known.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/mover.h"

/* perm[0..rank), checked; the default reverses. */
static int read_perm(const struct node *n, int rank, int *perm, struct err *e)
{
    size_t count;
    const int64_t *given = node_ints(n, "perm", &count);
    unsigned seen = 0;
    for (int i = 0; i < rank; i++) perm[i] = rank - 1 - i;
    if (!given) return 0;
    if (count != (size_t)rank)
        return fail(e, ERR_SHAPE, "perm has %zu entries, but the input has rank %d", count, rank);
    for (int i = 0; i < rank; i++) {
        if (given[i] < 0 || given[i] >= rank || (seen >> given[i] & 1))
            return fail(e, ERR_SHAPE, "perm[%d] is %lld: not a permutation of %d axes", i, (long long)given[i], rank);
        perm[i] = (int)given[i];
        seen |= 1u << perm[i];
    }
    return 0;
}

static int transpose_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    struct shape s = { .rank = x->rank };
    int perm[SHAPE_MAX];
    size_t count;
    if (x->rank < 0 && node_ints(n, "perm", &count)) {
        if (count > SHAPE_MAX)
            return fail(e, ERR_SHAPE, "perm has %zu entries, at most %d are possible", count, SHAPE_MAX);
        s.rank = (int)count;
        TRY(read_perm(n, s.rank, perm, e));
        for (int d = 0; d < s.rank; d++) s.dim[d] = DIM_UNKNOWN;
    } else if (x->rank >= 0) {
        TRY(read_perm(n, x->rank, perm, e));
        for (int d = 0; d < x->rank; d++) s.dim[d] = x->dim[perm[d]];
    }
    infer_out(n, 0, n->in[0]->dtype, &s);
    return 0;
}

static int transpose_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *y = s->out[0];
    int perm[SHAPE_MAX];
    int64_t from[SHAPE_MAX], to[SHAPE_MAX];
    TRY(read_perm(s->node, x->shape.rank, perm, e));
    shape_strides(&x->shape, from);
    shape_strides(&y->shape, to);
    struct move m = { 0 };
    for (int d = 0; d < x->shape.rank; d++) move_add(&m, y->shape.dim[d], to[d], from[perm[d]]);
    move_run(&m, s->threads, dtype_size(x->dtype), y->data, x->data);
    return 0;
}

static int transpose_grad(struct grad *g)
{
    size_t count;
    const int64_t *perm = node_ints(g->node, "perm", &count);
    int64_t inverse[SHAPE_MAX];
    for (size_t i = 0; i < count; i++) inverse[perm[i]] = (int64_t)i;
    g->dx[0] = emit(g->b, "Transpose", perm ? ATTRS(attr_ints("perm", inverse, count)) : NO_ATTRS, g->dy[0]);
    return 0;
}

static int expand_infer(struct node *n, struct err *e)
{
    struct ints to;
    struct shape s = shape_unknown(), target = shape_unknown();
    TRY(infer_list(n, 1, "shape", &to, e));
    if (to.n >= 0) {
        target.rank = to.n;
        if (to.n > SHAPE_MAX) return infer_sized(n, 0, DT_NONE, &target, e);
        for (int i = 0; i < to.n; i++) {
            if (known_is_number(to.at[i]) && to.at[i] < 0)
                return fail(e, ERR_SHAPE, "dimension %d of the shape is %lld", i, (long long)to.at[i]);
            target.dim[i] = dim_from_known(to.at[i]);
        }
        if (!shape_broadcast(&n->in[0]->shape, &target, &s))
            return fail(e, ERR_SHAPE, "the input cannot be broadcast to the shape given: sizes differ and none is 1");
    }
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

/* y[.., i, ..] = x[.., i mod size, ..], x taken as having leading dimensions of size 1: both Expand and Tile. */
static int repeat_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *y = s->out[0];
    int64_t from[SHAPE_MAX], to[SHAPE_MAX];
    shape_strides(&x->shape, from);
    shape_strides(&y->shape, to);
    struct move m = { 0 };
    int skip = y->shape.rank - x->shape.rank;
    for (int d = 0; d < y->shape.rank; d++) {
        int64_t size = d < skip ? 1 : x->shape.dim[d - skip], whole = y->shape.dim[d];
        if (!whole) return 0;
        if (!size || whole % size)
            return fail(e, ERR_SHAPE, "dimension %d of %lld becomes %lld", d, (long long)size, (long long)whole);
        move_add(&m, whole / size, to[d] * size, 0);
        move_add(&m, size, to[d], d < skip ? 0 : from[d - skip]);
    }
    move_run(&m, s->threads, dtype_size(x->dtype), y->data, x->data);
    return 0;
}

static int expand_grad(struct grad *g)
{
    grad_set(g, 0, g->dy[0]);
    return 0;
}

static int tile_grad(struct grad *g)
{
    g->dx[0] = emit(g->b, "TileGrad", NO_ATTRS, g->dy[0], g->node->in[0]);
    return 0;
}

static int tile_infer(struct node *n, struct err *e)
{
    struct ints times;
    struct shape s = n->in[0]->shape;
    TRY(infer_list(n, 1, "repeats", &times, e));
    if (times.n >= 0 && s.rank >= 0 && times.n != s.rank)
        return fail(e, ERR_SHAPE, "%d repeats, but the input has rank %d", times.n, s.rank);
    for (int d = 0; d < s.rank; d++) {
        int64_t k = times.n >= 0 ? times.at[d] : KNOWN_UNKNOWN;
        if (known_is_number(k) && k < 0) return fail(e, ERR_SHAPE, "repeats[%d] is %lld", d, (long long)k);
        TRY(dim_times(&s.dim[d], dim_from_known(k), e));
    }
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

/* in: dy, x; the shape of x */
static int tile_grad_infer(struct node *n, struct err *e)
{
    const struct shape *dy = &n->in[0]->shape, *x = &n->in[1]->shape;
    if (dy->rank >= 0 && x->rank >= 0 && x->rank != dy->rank)
        return fail(e, ERR_SHAPE, "the gradient has rank %d, the input %d", dy->rank, x->rank);
    infer_out(n, 0, n->in[0]->dtype, x);
    return 0;
}

/* dx[.., i mod size, ..] += dy[.., i, ..], in the order of dy. */
static int tile_grad_run(const struct step *s, struct err *e)
{
    const struct tensor *dy = s->in[0], *dx = s->out[0];
    const struct shape *from = &dy->shape, *to = &dx->shape;
    int64_t strides[SHAPE_MAX], index[SHAPE_MAX] = { 0 };
    int last = from->rank - 1;
    memset(dx->data, 0, (size_t)tensor_bytes(dx));
    for (int d = 0; d <= last; d++)
        if (from->dim[d] && (!to->dim[d] || from->dim[d] % to->dim[d]))
            return fail(e, ERR_SHAPE, "dimension %d of the gradient is no multiple of the input's", d);
    shape_strides(to, strides);
    int64_t count = tensor_count(dy), whole = last < 0 ? 1 : from->dim[last], run = last < 0 ? 1 : to->dim[last];
    for (int64_t at = 0; at < count; at += whole) {
        int64_t offset = 0;
        for (int d = 0; d < last; d++) offset += index[d] % to->dim[d] * strides[d];
        for (int64_t i = 0; i < whole; i += run)
            combine(COMBINE_ADD, dx->dtype, element(dx, offset), element(dy, at + i), run);
        for (int d = last - 1; d >= 0 && ++index[d] == from->dim[d]; d--) index[d] = 0;
    }
    return 0;
}

static int tile_grad_grad(struct grad *g)
{
    struct value *dy = emit1(g->b, "Shape", g->node->in[0]), *x = emit1(g->b, "Shape", g->node->in[1]);
    g->dx[0] = emit2(g->b, "Tile", g->dy[0], emit2(g->b, "Div", dy, x));
    return 0;
}

static bool is_crd(const struct node *n)
{
    const char *mode = node_string(n, "mode");
    return mode ? !strcmp(mode, "CRD") : node_is(n, "PixelUnshuffle");
}

/* Blocks of channels to blocks of pixels (`up`) or back. */
static int blocks_infer(struct node *n, bool up, struct err *e)
{
    int64_t b = node_int(n, "blocksize"), b2;
    struct shape s = n->in[0]->shape;
    TRY(infer_rank(n, 0, 4, 4, e));
    if (b < 1 || __builtin_mul_overflow(b, b, &b2)) return fail(e, ERR_MODEL, "blocksize is %lld", (long long)b);
    const char *mode = node_string(n, "mode");
    if (mode && strcmp(mode, "DCR") && strcmp(mode, "CRD"))
        return fail(e, ERR_MODEL, "mode is \"%s\", expected DCR or CRD", mode);
    for (int d = 1; d < s.rank; d++) {
        int64_t by = d == 1 ? b2 : b;
        bool shrinks = (d == 1) == up;
        if (shrinks && s.dim[d] >= 0 && s.dim[d] % by)
            return fail(
                e, ERR_SHAPE, "dimension %d is %lld, not a multiple of %lld", d, (long long)s.dim[d], (long long)by);
        if (!shrinks) TRY(dim_times(&s.dim[d], by, e));
        else if (s.dim[d] >= 0) s.dim[d] /= by;
        else if (by > 1) s.dim[d] = DIM_UNKNOWN;
    }
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

static int up_infer(struct node *n, struct err *e)
{
    return blocks_infer(n, true, e);
}

static int down_infer(struct node *n, struct err *e)
{
    return blocks_infer(n, false, e);
}

/* deep (N, C*b*b, H, W) against wide (N, C, H*b, W*b). Channels lie as (b, b, C) in DCR, (C, b, b) in CRD. */
static void blocks_run(const struct step *s, bool up)
{
    const struct shape *deep = up ? &s->in[0]->shape : &s->out[0]->shape;
    const struct shape *wide = up ? &s->out[0]->shape : &s->in[0]->shape;
    bool crd = is_crd(s->node);
    int64_t b = node_int(s->node, "blocksize"), c = wide->dim[1], h = deep->dim[2], w = deep->dim[3];
    int64_t channel = crd ? b * b : 1, row = crd ? b : b * c, column = crd ? 1 : c; /* in channels of deep */
    int64_t size[] = { deep->dim[0], c, h, b, w, b };
    int64_t in_deep[] = { deep->dim[1] * h * w, channel * h * w, w, row * h * w, 1, column * h * w };
    int64_t in_wide[] = { c * h * b * w * b, h * b * w * b, b * w * b, w * b, b, 1 };
    struct move m = { 0 };
    for (int d = 0; d < 6; d++) move_add(&m, size[d], up ? in_wide[d] : in_deep[d], up ? in_deep[d] : in_wide[d]);
    move_run(&m, s->threads, dtype_size(s->in[0]->dtype), s->out[0]->data, s->in[0]->data);
}

static int up_run(const struct step *s, struct err *e)
{
    (void)e;
    return blocks_run(s, true), 0;
}

static int down_run(const struct step *s, struct err *e)
{
    (void)e;
    return blocks_run(s, false), 0;
}

static int up_grad(struct grad *g)
{
    const char *op = is_crd(g->node) ? "PixelUnshuffle" : "SpaceToDepth";
    g->dx[0] = emit(g->b, op, ATTRS(attr_int("blocksize", node_int(g->node, "blocksize"))), g->dy[0]);
    return 0;
}

static int down_grad(struct grad *g)
{
    const char *mode = is_crd(g->node) ? "CRD" : "DCR";
    struct attr size = attr_int("blocksize", node_int(g->node, "blocksize"));
    g->dx[0] = emit(g->b, "DepthToSpace", ATTRS(size, attr_string("mode", mode)), g->dy[0]);
    return 0;
}

static const struct attr_spec transpose_attrs[] = {
    { "perm", ATTR_INTS, ATTR_OPTIONAL, .doc = "axis d of the result is axis perm[d] of the input; absent: reversed" },
    { 0 },
};
static const struct attr_spec up_attrs[] = {
    { "blocksize", ATTR_INT, ATTR_REQUIRED, .doc = "height and width of a block" },
    { "mode", ATTR_STRING, ATTR_DEFAULT, .s = "DCR",
        .doc = "channels lie as (block row, column, C) or CRD: (C, row, column)" },
    { 0 },
};
static const struct attr_spec down_attrs[] = {
    { "blocksize", ATTR_INT, ATTR_REQUIRED, .doc = "height and width of a block" },
    { 0 },
};

const struct op ops_transpose[] = {
    { .name = "Transpose",
        .doc = "axes in another order",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = transpose_attrs,
        .infer = transpose_infer,
        .contents = contents_moved0,
        .run = transpose_run,
        .grad = transpose_grad,
        .samples = "f32[2,3,4]; f32[2,3,4,5] | perm=0,2,3,1; i8[3,5] | perm=1,0; c64[2,3]; string[2,3]{a,b,c,d,e,f}" },
    { .name = "Expand",
        .doc = "x broadcast with a shape",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .infer = expand_infer,
        .contents = contents_moved0,
        .run = repeat_run,
        .grad = expand_grad,
        .samples = "f32[3,1] i64{2,1,4}; f32[] i64{2,2}; f32[2,3] i64{1}; string[2,1]{a,b} i64{2,2}" },
    { .name = "Tile",
        .doc = "x repeated along each axis",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .infer = tile_infer,
        .contents = contents_moved0,
        .run = repeat_run,
        .grad = tile_grad,
        .samples = "f32[2,3] i64{2,3}; u8[4] i64{0}; f32[2,1,3] i64{1,4,2}" },
    { .name = "TileGrad",
        .doc = "dy summed over repetitions to the shape of x, of (dy, x)",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .infer = tile_grad_infer,
        .run = tile_grad_run,
        .grad = tile_grad_grad,
        .samples = "f32[4,9] f32[2,3]; f32[2,3,4] f32[2,1,2]; f32[] f32[]" },
    { .name = "DepthToSpace",
        .doc = "blocks of channels become blocks of pixels",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = up_attrs,
        .infer = up_infer,
        .run = up_run,
        .grad = up_grad,
        .samples = "f32[2,8,3,2] | blocksize=2; f32[1,9,2,2] | blocksize=3 mode=CRD; u8[1,4,1,2] | blocksize=2" },
    { .name = "SpaceToDepth",
        .doc = "blocks of pixels become blocks of channels (row, column, C)",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = down_attrs,
        .infer = down_infer,
        .run = down_run,
        .grad = down_grad,
        .samples = "f32[2,2,4,6] | blocksize=2; i16[1,1,3,3] | blocksize=3" },
    { .name = "PixelUnshuffle",
        .doc = "blocks of pixels become blocks of channels (C, row, column)",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = down_attrs,
        .infer = down_infer,
        .run = down_run,
        .grad = down_grad,
        .samples = "f32[2,2,4,6] | blocksize=2" },
    { 0 },
};
