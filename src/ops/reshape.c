/* reshape.c - the same elements in the same order under another shape. */
#include "base/err.h"
#include "graph/known.h"
#include "ops/infer.h"
#include "ops/mover.h"

static int like_input(struct grad *g)
{
    g->dx[0] = emit(g->b, "ReshapeLike", NO_ATTRS, g->dy[0], g->node->in[0]);
    return 0;
}

/* A product of dimensions: numbers multiplied, symbols kept apart so that equal ones cancel. */
struct product {
    int64_t number;
    int n;
    int64_t symbol[2 * SHAPE_MAX];
};

static int product_add(struct product *p, int64_t dim, struct err *e)
{
    if (dim < 0) p->symbol[p->n++] = dim;
    else if (__builtin_mul_overflow(p->number, dim, &p->number)) return fail(e, ERR_SHAPE, "too many elements");
    return 0;
}

static void cancel(struct product *a, struct product *b)
{
    for (int i = 0; i < a->n; i++) {
        for (int k = 0; k < b->n && a->symbol[i] != DIM_UNKNOWN; k++) {
            if (a->symbol[i] != b->symbol[k]) continue;
            a->symbol[i--] = a->symbol[--a->n];
            b->symbol[k] = b->symbol[--b->n];
            break;
        }
    }
}

static int bad_count(int64_t have, int64_t want, struct err *e)
{
    return fail(e, ERR_SHAPE, "%lld elements cannot take a shape of %lld", (long long)have, (long long)want);
}

/* The one dimension `free` of `out` that is left open (-1: none is), from the number of elements; `in` and `rest`
 * are what is known of the input and of the other dimensions. `certain`: it is -1 in the model, and must come out. */
static int solve(struct product *in, struct product *rest, struct shape *out, int free, bool certain, struct err *e)
{
    cancel(in, rest);
    if (rest->n) return 0;
    if (free < 0) return !in->n && in->number != rest->number ? bad_count(in->number, rest->number, e) : 0;
    if (in->n == 1 && in->number == rest->number && rest->number) out->dim[free] = in->symbol[0];
    if (in->n) return 0;
    if (!rest->number) return certain ? fail(e, ERR_SHAPE, "-1 cannot be solved beside a dimension of 0") : 0;
    if (in->number % rest->number) return bad_count(in->number, rest->number, e);
    out->dim[free] = in->number / rest->number;
    return 0;
}

static int check_target(const struct ints *to, bool zero_is_zero, struct err *e)
{
    int open = 0;
    bool zero = false;
    for (int i = 0; i < to->n; i++) {
        if (!known_is_number(to->at[i])) continue;
        if (to->at[i] < -1) return fail(e, ERR_SHAPE, "dimension %d of the new shape is %lld", i, (long long)to->at[i]);
        open += to->at[i] == -1;
        zero |= to->at[i] == 0;
    }
    if (open > 1) return fail(e, ERR_SHAPE, "the new shape has %d dimensions of -1", open);
    if (open && zero && zero_is_zero) return fail(e, ERR_SHAPE, "the new shape has a 0 and a -1, with allowzero");
    return 0;
}

/* `to` in the code of known.h: 0 copies a dimension of `x` unless `zero_is_zero`, -1 takes what is left. */
static int reshape_shape(
    const struct shape *x, const struct ints *to, bool zero_is_zero, struct shape *out, struct err *e)
{
    struct product in = { .number = 1 }, rest = { .number = 1 };
    bool copied[SHAPE_MAX] = { false }, certain = false;
    int free = -1, unsolved = 0;
    if (to->n > SHAPE_MAX)
        return fail(e, ERR_SHAPE, "the new shape has rank %d, at most %d are possible", to->n, SHAPE_MAX);
    TRY(check_target(to, zero_is_zero, e));
    out->rank = to->n;
    for (int i = 0; i < to->n; i++) {
        out->dim[i] = dim_from_known(to->at[i]);
        if (out->dim[i] == DIM_UNKNOWN) {
            certain |= to->at[i] == -1;
            free = i;
            unsolved++;
        } else if (!out->dim[i] && !zero_is_zero && x->rank >= 0) {
            if (i >= x->rank) return fail(e, ERR_SHAPE, "0 at %d copies a dimension that the input has not", i);
            out->dim[i] = x->dim[i];
            copied[i] = true;
        } else if (!out->dim[i] && !zero_is_zero) {
            out->dim[i] = DIM_UNKNOWN;
            unsolved = 2;
        } else {
            TRY(product_add(&rest, out->dim[i], e));
        }
    }
    if (unsolved > 1 || x->rank < 0) return 0;
    for (int i = 0; i < to->n; i++)
        if (copied[i] && x->dim[i] >= 0) TRY(product_add(&rest, x->dim[i], e));
    for (int i = 0; i < x->rank; i++)
        if (i >= SHAPE_MAX || !copied[i] || x->dim[i] >= 0) TRY(product_add(&in, x->dim[i], e));
    return solve(&in, &rest, out, free, certain, e);
}

static int reshape_infer(struct node *n, struct err *e)
{
    struct ints to;
    struct shape s = shape_unknown();
    TRY(infer_list(n, 1, "shape", &to, e));
    if (to.n >= 0) TRY(reshape_shape(&n->in[0]->shape, &to, node_int(n, "allowzero") != 0, &s, e));
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

static int view_contents(struct node *n, struct err *e)
{
    int64_t known[KNOWN_MAX];
    int count = value_contents(n->in[0], known);
    (void)e;
    if (count >= 0) value_set_contents(n->out[0], n->graph->arena, known, count);
    return 0;
}

static int like_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape, *like = &n->in[1]->shape;
    if (shape_is_known(x) && shape_is_known(like) && shape_count(x) != shape_count(like))
        return bad_count(shape_count(x), shape_count(like), e);
    return infer_sized(n, 0, n->in[0]->dtype, like, e);
}

static int flatten_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    struct shape s = shape_of(2, (int64_t[]){ DIM_UNKNOWN, DIM_UNKNOWN });
    int64_t axis = node_int(n, "axis");
    if (x->rank >= 0) {
        if (axis < -x->rank || axis > x->rank)
            return fail(e, ERR_SHAPE, "axis is %lld, but the input has rank %d", (long long)axis, x->rank);
        if (axis < 0) axis += x->rank;
        s = shape_of(2, (int64_t[]){ 1, 1 });
        for (int d = 0; d < x->rank; d++) TRY(dim_times(&s.dim[d >= axis], x->dim[d], e));
    }
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

static void unknown_of_rank(struct shape *s, int rank)
{
    s->rank = rank;
    for (int d = 0; d < rank && d < SHAPE_MAX; d++) s->dim[d] = DIM_UNKNOWN;
}

/* Without axes every dimension of size 1 goes, which can only be said when all are known. */
static void squeeze_all(const struct shape *x, struct shape *s)
{
    if (!shape_is_known(x)) return;
    s->rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (x->dim[d] != 1) s->dim[s->rank++] = x->dim[d];
}

static int squeeze_some(const struct shape *x, struct ints *axes, struct shape *s, struct err *e)
{
    bool gone[SHAPE_MAX] = { false };
    if (axes->n > x->rank) return fail(e, ERR_SHAPE, "%d axes, but the input has rank %d", axes->n, x->rank);
    if (!axes->all) return unknown_of_rank(s, x->rank - axes->n), 0;
    TRY(axes_check(axes, x->rank, e));
    for (int i = 0; i < axes->n; i++) {
        int64_t dim = x->dim[axes->at[i]];
        if (dim >= 0 && dim != 1)
            return fail(
                e, ERR_SHAPE, "axis %lld has size %lld and cannot be removed", (long long)axes->at[i], (long long)dim);
        gone[axes->at[i]] = true;
    }
    s->rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (!gone[d]) s->dim[s->rank++] = x->dim[d];
    return 0;
}

static int squeeze_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    struct shape s = shape_unknown();
    struct ints axes;
    TRY(infer_list(n, 1, "axes", &axes, e));
    if (!node_in(n, 1)) squeeze_all(x, &s);
    else if (axes.n >= 0 && x->rank >= 0) TRY(squeeze_some(x, &axes, &s, e));
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

static int unsqueeze_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    struct shape s = shape_unknown();
    struct ints axes;
    TRY(infer_list(n, 1, "axes", &axes, e));
    if (axes.n >= 0 && x->rank >= 0) {
        unknown_of_rank(&s, x->rank + axes.n);
        TRY(infer_sized(n, 0, n->in[0]->dtype, &s, e));
        if (axes.all) {
            bool fresh[SHAPE_MAX] = { false };
            TRY(axes_check(&axes, s.rank, e));
            for (int i = 0; i < axes.n; i++) fresh[axes.at[i]] = true;
            for (int d = 0, k = 0; d < s.rank; d++) s.dim[d] = fresh[d] ? 1 : x->dim[k++];
        }
    }
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

static const struct attr_spec reshape_attrs[] = {
    { "allowzero", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "a 0 in the shape is a size of 0, not a copied dimension" },
    { 0 },
};
static const struct attr_spec flatten_attrs[] = {
    { "axis", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "dimensions before it become the first, the others the second" },
    { 0 },
};

const struct op ops_reshape[] = {
    { .name = "Reshape",
        .doc = "x under another shape; 0 copies a dimension, -1 takes what is left",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_VIEW,
        .attrs = reshape_attrs,
        .infer = reshape_infer,
        .contents = view_contents,
        .run = view_run,
        .grad = like_input,
        .samples = "f32[2,3,4] i64{0,-1}; f32[2,0] i64{0,5} | allowzero=1; i8[6] i64{2,3}; string{a,b,c,d} i64{2,2}" },
    { .name = "ReshapeLike",
        .doc = "x in the shape of another tensor",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_VIEW | OP_OWN,
        .infer = like_infer,
        .contents = view_contents,
        .run = view_run,
        .grad = like_input,
        .samples = "f32[2,6] f32[3,4]; i64[4] f32[2,2]" },
    { .name = "Flatten",
        .doc = "x as a matrix",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_VIEW,
        .attrs = flatten_attrs,
        .infer = flatten_infer,
        .run = view_run,
        .contents = view_contents,
        .grad = like_input,
        .samples = "f32[2,3,4]; f32[2,3,4] | axis=0; f32[2,3,4] | axis=-1; u8[2,3,4] | axis=3" },
    { .name = "Squeeze",
        .doc = "x without the dimensions of size 1, or without those of `axes`",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_VIEW,
        .infer = squeeze_infer,
        .contents = view_contents,
        .run = view_run,
        .grad = like_input,
        .samples = "f32[1,3,1,2]; f32[1,3,1,2] i64{0}; bool[1,3,1] i64{-1,0}" },
    { .name = "Unsqueeze",
        .doc = "x with new dimensions of size 1 at `axes` of the result",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_VIEW,
        .infer = unsqueeze_infer,
        .contents = view_contents,
        .run = view_run,
        .grad = like_input,
        .samples = "f32[3,2] i64{0,-1}; f64[3] i64{1}; i32[] i64{0}" },
    { 0 },
};
