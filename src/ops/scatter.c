/* scatter.c - elements and slices written, or combined with what is there, at indices that are data. */
#include <string.h>

#include "base/err.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/mover.h"

/* in: x, indices, updates; all of one kind in every form: x with changes. */
static int check_kind(const struct node *n, struct err *e)
{
    enum combine how;
    enum dtype x = n->in[0]->dtype, updates = n->in[2]->dtype;
    if (x != DT_NONE && updates != DT_NONE && x != updates)
        return fail(e, ERR_SHAPE, "the updates are %s, the input %s", dtype_name(updates), dtype_name(x));
    return combine_check(n, x, &how, e);
}

static int elements_infer(struct node *n, struct err *e)
{
    struct shape s = n->in[1]->shape;
    TRY(check_kind(n, e));
    TRY(infer_elements(n, 0, 1, e));
    if (!shape_merge(&s, &n->in[2]->shape)) return fail(e, ERR_SHAPE, "the indices and the updates differ in shape");
    return infer_same(n, e);
}

struct put {
    const struct tensor *y, *updates;
    enum combine how;
};

#define PUT(size) \
    for (int64_t i = 0; i < n; i++) memcpy(y + offset[i] * (size), from + i * (size), size)

static void elements_put(void *ctx, int64_t at, const int64_t *offset, int64_t n)
{
    const struct put *p = ctx;
    unsigned char *y = p->y->data;
    const unsigned char *from = element(p->updates, at);
    size_t size = dtype_size(p->y->dtype);
    if (p->how == COMBINE_NONE && size == 4) PUT(4);
    else if (p->how == COMBINE_NONE && size == 8) PUT(8);
    else
        for (int64_t i = 0; i < n; i++)
            combine(p->how, p->y->dtype, element(p->y, offset[i]), element(p->updates, at + i), 1);
}

static int elements_run(const struct step *s, struct err *e)
{
    struct put p = { s->out[0], s->in[2], COMBINE_NONE };
    TRY(combine_check(s->node, p.y->dtype, &p.how, e));
    if (!shape_equal(&s->in[1]->shape, &p.updates->shape))
        return fail(e, ERR_SHAPE, "the indices and the updates differ in shape");
    TRY(view_run(s, e));
    return step_elements(s, 1, &p.y->shape, 1, elements_put, &p, e);
}

static int nd_infer(struct node *n, struct err *e)
{
    struct shape s;
    TRY(check_kind(n, e));
    TRY(infer_tuples(n->in[0], n->in[1], 0, &s, e));
    if (!shape_merge(&s, &n->in[2]->shape))
        return fail(e, ERR_SHAPE, "the updates are not of the shape that the indices point to");
    return infer_same(n, e);
}

static int nd_run(const struct step *s, struct err *e)
{
    const struct tensor *y = s->out[0], *updates = s->in[2];
    const struct shape *index = &s->in[1]->shape;
    int last = index->rank - 1;
    enum combine how;
    TRY(combine_check(s->node, y->dtype, &how, e));
    int64_t *offset = step_offsets(s, 1, &y->shape, 0, e);
    if (!offset) return e->code;
    int64_t inner = shape_span(&y->shape, (int)index->dim[last], y->shape.rank), n = shape_span(index, 0, last);
    if (tensor_count(updates) != n * inner)
        return fail(
            e, ERR_SHAPE, "%lld updates, expected %lld", (long long)tensor_count(updates), (long long)(n * inner));
    TRY(view_run(s, e));
    for (int64_t i = 0; i < n && inner; i++)
        combine(how, y->dtype, element(y, offset[i]), element(updates, i * inner), inner);
    return 0;
}

/* 1 where x equals y, else 0 */
static struct value *equal_mask(struct builder *b, enum dtype t, struct value *x, struct value *y)
{
    return emit_cast(b, emit2(b, "Equal", x, y), t);
}

/* The pair of operators that a row belongs to: its own, and the one that reads where it writes. */
struct form {
    const char *scatter, *gather;
    const struct attr *attrs;
};

static struct value *scattered(
    struct grad *g, const struct form *f, const char *how, struct value *x, struct value *updates)
{
    struct attr reduction = attr_string("reduction", how);
    const struct attr *attrs = f->attrs ? ATTRS(f->attrs[0], reduction) : ATTRS(reduction);
    return emit(g->b, f->scatter, attrs, x, g->node->in[1], updates);
}

static struct value *gathered(struct grad *g, const struct form *f, struct value *x)
{
    return emit(g->b, f->gather, f->attrs, x, g->node->in[1]);
}

/* A maximum or minimum: what won gets dy, in equal parts where several did. */
static void extreme_grad(struct grad *g, const struct form *f)
{
    struct builder *b = g->b;
    struct value *x = g->node->in[0], *updates = g->node->in[2], *y = g->node->out[0];
    struct value *from_x = equal_mask(b, x->dtype, x, y),
                 *from_updates = equal_mask(b, x->dtype, updates, gathered(g, f, y));
    struct value *winners = scattered(g, f, "add", from_x, from_updates), *share = emit2(b, "Div", g->dy[0], winners);
    g->dx[0] = emit2(b, "Mul", share, from_x);
    g->dx[2] = emit2(b, "Mul", gathered(g, f, share), from_updates);
}

/* "none": where an index comes twice the last update stays, and only it has a gradient; found by numbering them. */
static void plain_grad(struct grad *g, const struct form *f)
{
    struct builder *b = g->b;
    struct value *updates = g->node->in[2],
                 *flat = emit(b, "Reshape", NO_ATTRS, updates, emit_i64s(b, (int64_t[]){ -1 }, 1));
    struct value *count = emit1(b, "Size", flat), *zero = emit_i64(b, 0), *one = emit_i64(b, 1);
    struct value *number = emit2(b, "ReshapeLike", emit(b, "Range", NO_ATTRS, zero, count, one), updates);
    struct value *none = emit_filled_like(b, DT_I64, 0, g->node->in[0]);
    struct value *last = gathered(g, f, scattered(g, f, "none", none, number));
    g->dx[0] = scattered(g, f, "none", g->dy[0], emit_zeros(b, updates));
    g->dx[2] = emit2(b, "Mul", gathered(g, f, g->dy[0]), equal_mask(b, updates->dtype, number, last));
}

static int scatter_grad(struct grad *g, const struct form *f)
{
    const char *how = node_string(g->node, "reduction");
    if (!grad_wanted(g, 0)) return 0;
    if (!strcmp(how, "none")) {
        plain_grad(g, f);
    } else if (!strcmp(how, "add")) {
        g->dx[0] = g->dy[0];
        g->dx[2] = gathered(g, f, g->dy[0]);
    } else if (!strcmp(how, "mul")) {
        return fail(g->b->err, ERR_UNSUPPORTED, "products at indices have no gradient here");
    } else {
        extreme_grad(g, f);
    }
    return 0;
}

static int elements_grad(struct grad *g)
{
    const struct attr *axis = ATTRS(attr_int("axis", node_int(g->node, "axis")));
    return scatter_grad(g, &(struct form){ "ScatterElements", "GatherElements", axis });
}

static int nd_grad(struct grad *g)
{
    return scatter_grad(g, &(struct form){ "ScatterND", "GatherND", NULL });
}

#define REDUCTION \
    { \
        "reduction", ATTR_STRING, ATTR_DEFAULT, .s = "none", .doc = "none, add, mul, max or min" \
    }
static const struct attr_spec elements_attrs[] = {
    { "axis", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "the axis that is indexed" },
    REDUCTION,
    { 0 },
};
static const struct attr_spec nd_attrs[] = {
    REDUCTION,
    { 0 },
};

const struct op ops_scatter[] = {
    { .name = "ScatterElements",
        .doc = "x with an element written per index",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_INPLACE,
        .attrs = elements_attrs,
        .infer = elements_infer,
        .run = elements_run,
        .grad = elements_grad,
        .samples =
            "f32[3,4] i64[2,3]{0,1,2,2,0,1} f32[2,3];"
            " f32[3,4] i64<3>[2,3] f32[2,3] | reduction=add; f32~[3,4] i64<4>[3,2] f32~[3,2] | axis=-1"
            " reduction=max; f32~[4] i64{1,1,-1} f32~[3] | reduction=min; i32[4] i64{1,1,0} i32[3] | reduction=mul;"
            " string{a,b,c} i32{-1} string{z}; f32[4] i64{1,1,3} f32[3]" },
    { .name = "ScatterND",
        .doc = "x with slices written at positions given by the last dimension of the indices",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_INPLACE,
        .attrs = nd_attrs,
        .infer = nd_infer,
        .run = nd_run,
        .grad = nd_grad,
        .samples = "f32[4,3] i64[2,1]{1,3} f32[2,3]; f32[2,2,3] i64<2>[4,2] f32[4,3] | reduction=add;"
                   " f32~[4,3] i64[2,1]{1,1} f32~[2,3] | reduction=max; u8[3,3] i64<3>[2,2] u8[2] | reduction=mul;"
                   " f32[4,3] i64[2,1]{1,1} f32[2,3]" },
    { 0 },
};
