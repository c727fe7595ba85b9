/* matmul.c - MatMul and Gemm. */
#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/infer.h"
#include "ops/operand.h"

static int check_types(const struct node *n, struct err *e)
{
    enum dtype t = n->in[0]->dtype;
    if (t != DT_NONE && !dtype_is_float(t) && !dtype_is_integer(t))
        return fail(e, ERR_SHAPE, "the input is %s, expected numbers", dtype_name(t));
    return infer_same_types(n, 0, 3, e);
}

/* (batch..., rows, cols); vectors become a row (left operand) or a column (right operand). */
struct matrix {
    struct shape batch;
    int64_t rows, cols;
};

static struct matrix matrix_of(const struct shape *s, bool left)
{
    struct matrix m = { *s, 1, 1 };
    m.batch.rank = s->rank > 2 ? s->rank - 2 : 0;
    if (s->rank == 1) *(left ? &m.cols : &m.rows) = s->dim[0];
    else m.rows = s->dim[s->rank - 2], m.cols = s->dim[s->rank - 1];
    return m;
}

static int check_inner(int64_t a, int64_t b, struct err *e)
{
    if (a < 0 || b < 0 || a == b) return 0;
    return fail(e, ERR_SHAPE, "the left matrix has %lld columns, the right one %lld rows", (long long)a, (long long)b);
}

static int matmul_infer(struct node *n, struct err *e)
{
    struct shape y = shape_unknown();
    const struct shape *a = &n->in[0]->shape, *b = &n->in[1]->shape;
    TRY(check_types(n, e));
    TRY(infer_rank(n, 0, 1, SHAPE_MAX, e));
    TRY(infer_rank(n, 1, 1, SHAPE_MAX, e));
    infer_out(n, 0, n->in[0]->dtype, &y);
    if (a->rank < 0 || b->rank < 0) return 0;
    struct matrix l = matrix_of(a, true), r = matrix_of(b, false);
    TRY(check_inner(l.cols, r.rows, e));
    if (!shape_broadcast(&l.batch, &r.batch, &y))
        return fail(e, ERR_SHAPE, "the batches of the two inputs cannot be broadcast together");
    if (a->rank > 1) y.dim[y.rank++] = l.rows;
    if (b->rank > 1) y.dim[y.rank++] = r.cols;
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

/* Offsets of the matrices of an operand, for every matrix of the broadcast batch. */
static int64_t *offsets(
    const struct step *s, const struct matrix *m, const struct shape *batch, int64_t count, struct err *e)
{
    int64_t stride[SHAPE_MAX], *at = ARENA_ARRAY(s->scratch, count, int64_t);
    const int64_t *list[] = { stride };
    if (!at) return fail_nomem(e), NULL;
    broadcast_strides(&m->batch, batch, stride);
    struct loop l;
    loop_init(&l, batch->rank, batch->dim, 1, list);
    for (int64_t i = 0; l.ok; loop_next(&l)) at[i++] = l.at[0] * m->rows * m->cols;
    return at;
}

static int matmul_run(const struct step *s, struct err *e)
{
    struct matrix a = matrix_of(&s->in[0]->shape, true), b = matrix_of(&s->in[1]->shape, false);
    struct shape batch;
    if (!shape_broadcast(&a.batch, &b.batch, &batch))
        return fail(e, ERR_SHAPE, "the batches cannot be broadcast together");
    struct gemm g = { .type = s->in[0]->dtype,
        .batch = shape_count(&batch),
        .m = a.rows,
        .n = b.cols,
        .k = a.cols,
        .a = s->in[0]->data,
        .b = s->in[1]->data,
        .a_row = a.cols,
        .a_col = 1,
        .b_row = b.cols,
        .b_col = 1,
        .alpha = 1,
        .y = s->out[0]->data };
    g.a_batch = offsets(s, &a, &batch, g.batch, e);
    g.b_batch = offsets(s, &b, &batch, g.batch, e);
    if (!g.a_batch || !g.b_batch) return e->code;
    gemm_run(&g, s->threads);
    return 0;
}

static struct value *transposed(struct builder *b, struct value *v)
{
    if (b->err->code) return NULL;
    int64_t perm[SHAPE_MAX], rank = v->shape.rank;
    for (int64_t d = 0; d < rank; d++) perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    return emit(b, "Transpose", ATTRS(attr_ints("perm", perm, (size_t)rank)), v);
}

static struct value *unsqueezed(struct builder *b, struct value *v, int64_t axis)
{
    return emit(b, "Unsqueeze", NO_ATTRS, v, emit_i64s(b, &axis, 1));
}

static struct value *sum_to(struct builder *b, struct value *dx, struct value *like)
{
    if (b->err->code || shape_equal(&dx->shape, &like->shape)) return dx;
    return emit(b, "SumTo", NO_ATTRS, dx, like);
}

static struct value *flattened(struct builder *b, struct value *v)
{
    return v->shape.rank == 2 ? v : emit(b, "Flatten", ATTRS(attr_int("axis", v->shape.rank - 1)), v);
}

/* The usual case, a batch of anything times one matrix of weights: the batch is summed inside one product. */
static int matmul_grad_weight(struct grad *g)
{
    struct value *a = g->node->in[0], *b = g->node->in[1], *dy = g->dy[0];
    if (a->shape.rank == 2) g->dx[0] = emit(g->b, "Gemm", ATTRS(attr_int("transB", 1)), dy, b);
    else g->dx[0] = emit(g->b, "MatMul", NO_ATTRS, dy, transposed(g->b, b));
    g->dx[1] = emit(g->b, "Gemm", ATTRS(attr_int("transA", 1)), flattened(g->b, a), flattened(g->b, dy));
    return 0;
}

static int matmul_grad(struct grad *g)
{
    struct value *a = g->node->in[0], *b = g->node->in[1], *dy = g->dy[0], *like_a = a, *like_b = b;
    if (a->shape.rank < 0 || b->shape.rank < 0)
        return fail(g->b->err, ERR_SHAPE, "the gradient needs the inputs' ranks");
    if (a->shape.rank >= 2 && b->shape.rank == 2) return matmul_grad_weight(g);
    if (b->shape.rank == 1) {
        b = unsqueezed(g->b, b, 1);
        dy = unsqueezed(g->b, dy, -1);
    }
    if (a->shape.rank == 1) {
        a = unsqueezed(g->b, a, 0);
        dy = unsqueezed(g->b, dy, -2);
    }
    g->dx[0] = sum_to(g->b, emit(g->b, "MatMul", NO_ATTRS, dy, transposed(g->b, b)), like_a);
    struct value *db = emit(g->b, "MatMul", NO_ATTRS, transposed(g->b, a), dy);
    if (like_b->shape.rank == 1) db = emit(g->b, "Squeeze", NO_ATTRS, db, emit_i64s(g->b, (int64_t[]){ -1 }, 1));
    g->dx[1] = sum_to(g->b, db, like_b);
    return 0;
}

static int gemm_infer(struct node *n, struct err *e)
{
    TRY(check_types(n, e));
    TRY(infer_rank(n, 0, 2, 2, e));
    TRY(infer_rank(n, 1, 2, 2, e));
    const struct shape *a = &n->in[0]->shape, *b = &n->in[1]->shape;
    int ta = node_int(n, "transA") != 0, tb = node_int(n, "transB") != 0;
    struct shape y = shape_of(2, (int64_t[]){ DIM_UNKNOWN, DIM_UNKNOWN });
    if (a->rank == 2) y.dim[0] = a->dim[ta];
    if (b->rank == 2) y.dim[1] = b->dim[!tb];
    if (a->rank == 2 && b->rank == 2) TRY(check_inner(a->dim[!ta], b->dim[tb], e));
    infer_out(n, 0, n->in[0]->dtype, &y);
    if (!node_in(n, 2)) return 0;
    struct shape both;
    const struct shape *c = &n->in[2]->shape;
    if (c->rank > 2 || !shape_broadcast(&y, c, &both) ||
        (shape_is_known(&y) && shape_is_known(c) && !shape_equal(&y, &both)))
        return fail(e, ERR_SHAPE, "input 2 (%s) cannot be broadcast to the product", n->in[2]->name);
    return 0;
}

static int gemm_op_run(const struct step *s, struct err *e)
{
    const struct shape *a = &s->in[0]->shape, *b = &s->in[1]->shape;
    bool ta = node_int(s->node, "transA"), tb = node_int(s->node, "transB");
    struct gemm g = { .type = s->in[0]->dtype,
        .batch = 1,
        .m = a->dim[ta],
        .n = b->dim[!tb],
        .k = a->dim[!ta],
        .a = s->in[0]->data,
        .b = s->in[1]->data,
        .a_row = ta ? 1 : a->dim[1],
        .a_col = ta ? a->dim[1] : 1,
        .b_row = tb ? 1 : b->dim[1],
        .b_col = tb ? b->dim[1] : 1,
        .alpha = node_float(s->node, "alpha"),
        .beta = node_float(s->node, "beta"),
        .y = s->out[0]->data };
    if (step_in(s, 2)) {
        int64_t stride[SHAPE_MAX];
        broadcast_strides(&s->in[2]->shape, &s->out[0]->shape, stride);
        g.c = s->in[2]->data;
        g.c_row = stride[0];
        g.c_col = stride[1];
    }
    gemm_run(&g, s->threads);
    return 0;
}

static struct value *product(struct grad *g, struct value *a, bool ta, struct value *b, bool tb)
{
    double alpha = node_float(g->node, "alpha");
    return emit(g->b, "Gemm", ATTRS(attr_float("alpha", alpha), attr_int("transA", ta), attr_int("transB", tb)), a, b);
}

static int gemm_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct value *dy = g->dy[0], *a = n->in[0], *b = n->in[1];
    bool ta = node_int(n, "transA"), tb = node_int(n, "transB");
    double beta = node_float(n, "beta");
    g->dx[0] = ta ? product(g, b, tb, dy, true) : product(g, dy, false, b, !tb);
    g->dx[1] = tb ? product(g, dy, true, a, ta) : product(g, a, !ta, dy, false);
    if (!node_in(n, 2)) return 0;
    g->dx[2] = sum_to(g->b, dy, n->in[2]);
    if (beta != 1) g->dx[2] = emit(g->b, "Mul", NO_ATTRS, g->dx[2], emit_scalar(g->b, dy->dtype, beta));
    return 0;
}

static const struct attr_spec gemm_attrs[] = {
    { "alpha", ATTR_FLOAT, ATTR_DEFAULT, .f = 1, .doc = "factor of A * B" },
    { "beta", ATTR_FLOAT, ATTR_DEFAULT, .f = 1, .doc = "factor of C" },
    { "transA", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "A is given transposed" },
    { "transB", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "B is given transposed" },
    { 0 },
};

const struct op ops_matmul[] = {
    { .name = "MatMul",
        .doc = "matrix product as numpy's matmul",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .infer = matmul_infer,
        .run = matmul_run,
        .grad = matmul_grad,
        .samples = "f32[3,4] f32[4,5]; f32[2,3,4] f32[4,5]; f32[2,1,3,4] f32[3,4,2]; f32[4] f32[4]; f32[4] f32[2,4,3]; "
                   "f32[2,3,4] f32[4]; f32[70,80] f32[80,90]; i64<9>[2,3] i64<9>[3,2]" },
    { .name = "Gemm",
        .doc = "alpha * A * B + beta * C",
        .min_in = 2,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = gemm_attrs,
        .infer = gemm_infer,
        .run = gemm_op_run,
        .grad = gemm_grad,
        .samples =
            "f32[3,4] f32[4,5] f32[5]; f32[4,3] f32[5,4] f32[3,1] | transA=1 transB=1 alpha=0.5 beta=2; "
            "f32[3,4] f32[5,4] - | transB=1; f32[4,3] f32[4,5] f32[1] | transA=1 beta=0.25; i32<9>[2,3] i32<9>[3,2]" },
    { 0 },
};
