/* matmul.c - matrix products. */
#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/eltwise.h"
#include "backend/dnnl/layout.h"
#include "base/err.h"
#include "graph/op.h"

/* One product, batched: dims of equal rank, and the strides of row-major memory. */
struct product {
    int rank;
    int64_t a[DESC_MAX], b[DESC_MAX], y[DESC_MAX];
};

/* The shape of an operand right-aligned in `rank` dimensions, 1 in front. */
static void align(const struct shape *s, int rank, int64_t *dims)
{
    for (int i = 0; i < rank; i++) dims[i] = i < rank - s->rank ? 1 : s->dim[i - (rank - s->rank)];
}

static struct shape as_matrix(const struct shape *s, bool left)
{
    if (s->rank > 1) return *s;
    return left ? shape_of(2, (int64_t[]){ 1, s->dim[0] }) : shape_of(2, (int64_t[]){ s->dim[0], 1 });
}

/* (..., M, K) times (K, N) is one product of (... * M, K). */
static struct shape collapse(const struct shape *s)
{
    return shape_of(2, (int64_t[]){ shape_span(s, 0, s->rank - 1), s->dim[s->rank - 1] });
}

static void product_of(const struct step *s, struct product *p)
{
    struct shape a = as_matrix(&s->in[0]->shape, true), b = as_matrix(&s->in[1]->shape, false);
    if (b.rank == 2) a = collapse(&a);
    p->rank = a.rank > b.rank ? a.rank : b.rank;
    align(&a, p->rank, p->a);
    align(&b, p->rank, p->b);
    for (int i = 0; i < p->rank - 2; i++) p->y[i] = p->a[i] > p->b[i] ? p->a[i] : p->b[i];
    p->y[p->rank - 2] = p->a[p->rank - 2];
    p->y[p->rank - 1] = p->b[p->rank - 1];
}

/* Rows times a fixed matrix, as a convolution of one pixel over an image of `m` pixels with `k` channels: there every
 * row is summed in one order, wherever it stands and however many there are. oneDNN's matrix products sum the last
 * rows, single rows and large batches in other orders; an answer would depend on its neighbours. */
struct rows {
    int64_t m, k, n;
    bool turned; /* the matrix is (n, k) in memory, else (k, n) */
    enum dtype type;
};

/* (m, channels) in memory */
static int pixels(struct desc *d, int64_t m, int64_t channels, struct err *e)
{
    return desc_strided(d, 3, (int64_t[]){ 1, channels, m }, (int64_t[]){ m * channels, 1, channels }, e);
}

static int set_types(enum dtype t, struct desc *const *d, int n, struct err *e)
{
    for (int i = 0; i < n; i++) TRY(desc_set_type(d[i], t, e));
    return 0;
}

static int rows_descs(const struct rows *r, struct conv_desc *c, struct desc *weights, struct err *e)
{
    int64_t dims[3] = { r->n, r->k, 1 }, strides[3] = { r->turned ? r->k : 1, r->turned ? 1 : r->n, 1 };
    *c = (struct conv_desc){ .strides = { 1 } };
    TRY(pixels(&c->src, r->m, r->k, e));
    TRY(pixels(&c->dst, r->m, r->n, e));
    TRY(desc_any(&c->weights, 3, dims, e)); /* packed once */
    TRY(desc_strided(&c->bias, 1, &r->n, NULL, e));
    TRY(desc_strided(weights, 3, dims, strides, e));
    return set_types(r->type, (struct desc *[]){ &c->src, &c->dst, &c->weights, &c->bias, weights }, 5, e);
}

static int rows_args(struct job *j, const struct conv_desc *c, const struct desc *weights, struct err *e)
{
    TRY(make_convolution(&j->primitive, FORWARD, c, e));
    if (primitive_is_slow(&j->primitive)) return fail(e, ERR_UNSUPPORTED, "oneDNN is slow with rows as pixels");
    TRY(job_in(j, DNNL_ARG_SRC, 0, &c->src, e));
    TRY(job_in(j, DNNL_ARG_WEIGHTS, 1, weights, e));
    return job_out(j, DNNL_ARG_DST, 0, &c->dst, e);
}

/* There is no such convolution: a product must do. */
static bool no_rows(int code, struct err *e)
{
    if (code == ERR_UNSUPPORTED) err_clear(e);
    return code == ERR_UNSUPPORTED;
}

static int matmul_rows(struct step *s, const struct product *p, struct err *e)
{
    struct conv_desc c;
    struct desc weights;
    struct rows r = { p->y[0], p->b[0], p->y[1], false, s->out[0]->dtype };
    TRY(rows_descs(&r, &c, &weights, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(rows_args(j, &c, &weights, e));
    return job_end(j, e);
}

int matmul_prepare(struct step *s, struct err *e)
{
    struct product p;
    struct desc a, b, y;
    product_of(s, &p);
    if (p.rank == 2 && value_is_fixed(s->node->in[1]) && !no_rows(matmul_rows(s, &p, e), e)) return e->code;
    TRY(desc_strided(&a, p.rank, p.a, NULL, e));
    TRY(desc_strided(&b, p.rank, p.b, NULL, e));
    TRY(desc_strided(&y, p.rank, p.y, NULL, e));
    TRY(set_types(s->out[0]->dtype, (struct desc *[]){ &a, &b, &y }, 3, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_matmul(&j->primitive, &a, &b, NULL, &y, e));
    TRY(job_in(j, DNNL_ARG_SRC, 0, &a, e));
    TRY(job_in(j, DNNL_ARG_WEIGHTS, 1, &b, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &y, e));
    return job_end(j, e);
}

static int operand(const struct shape *s, bool turned, struct desc *d, int64_t *dims, struct err *e)
{
    dims[0] = s->dim[turned], dims[1] = s->dim[!turned];
    int64_t strides[2] = { turned ? 1 : s->dim[1], turned ? s->dim[1] : 1 };
    return desc_strided(d, 2, dims, strides, e);
}

/* alpha * A * B + beta * C as ((alpha / beta) * A * B + C) * beta, or with C as the bias. At most one of the two
 * factors may be there: oneDNN 2.6 gives a second linear step the factor of the first. */
static int addend(struct job *j, const struct desc *c, bool *is_bias, struct err *e)
{
    const struct node *n = j->step->node;
    float alpha = (float)node_float(n, "alpha"), beta = (float)node_float(n, "beta");
    *is_bias = c && alpha == 1 && beta == 1;
    if (*is_bias) return 0;
    float inner = c ? alpha / beta : alpha;
    if (c && inner != 1 && beta != 1) return fail(e, ERR_UNSUPPORTED, "alpha and beta that differ");
    if (inner != 1) TRY(primitive_then_eltwise(&j->primitive, dnnl_eltwise_linear, inner, 0, e));
    if (!c) return 0;
    TRY(primitive_then_binary(&j->primitive, dnnl_binary_add, c, e));
    return beta == 1 ? 0 : primitive_then_eltwise(&j->primitive, dnnl_eltwise_linear, beta, 0, e);
}

/* The argument that C is. */
static int addend_arg(const struct node *n, bool is_bias)
{
    int position = node_float(n, "alpha") / node_float(n, "beta") != 1; /* among what follows the product */
    return is_bias ? DNNL_ARG_BIAS : DNNL_ARG_ATTR_MULTIPLE_POST_OP(position) | DNNL_ARG_SRC_1;
}

static int gemm_rows(struct step *s, const struct rows *r, struct tensor *add, struct err *e)
{
    struct conv_desc c;
    struct desc weights, added;
    int64_t dims[2] = { 0 };
    TRY(rows_descs(r, &c, &weights, e));
    if (add) {
        align(&add->shape, 2, dims);
        TRY(pixels(&added, dims[0], dims[1], e));
        TRY(desc_set_type(&added, r->type, e));
        if (dims[0] > 1 && dims[1] < r->n) /* oneDNN 2.6 adds the wrong elements */
            return fail(e, ERR_UNSUPPORTED, "one addend for each row");
    }
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(addend(j, add ? &added : NULL, &c.has_bias, e));
    if (c.has_bias && (dims[0] != 1 || dims[1] != r->n)) {
        c.has_bias = false;
        TRY(primitive_then_binary(&j->primitive, dnnl_binary_add, &added, e));
    }
    TRY(rows_args(j, &c, &weights, e));
    if (add) TRY(job_in(j, addend_arg(s->node, c.has_bias), 2, c.has_bias ? &c.bias : &added, e));
    return job_end(j, e);
}

int gemm_prepare(struct step *s, struct err *e)
{
    struct desc a, b, y, c;
    int64_t a_dims[2], b_dims[2], c_dims[2];
    const struct node *n = s->node;
    struct tensor *add = job_tensor(s, 2);
    bool is_bias, has_c = add && node_float(n, "beta") != 0;
    TRY(operand(&s->in[0]->shape, node_int(n, "transA"), &a, a_dims, e));
    TRY(operand(&s->in[1]->shape, node_int(n, "transB"), &b, b_dims, e));
    TRY(plain_desc(s->out[0], &y, e));
    struct rows r = { a_dims[0], a_dims[1], b_dims[1], node_int(n, "transB"), s->out[0]->dtype };
    if (value_is_fixed(n->in[1]) && !node_int(n, "transA") && !no_rows(gemm_rows(s, &r, has_c ? add : NULL, e), e))
        return e->code;
    if (has_c) {
        align(&add->shape, 2, c_dims);
        TRY(desc_strided(&c, 2, c_dims, NULL, e));
        TRY(desc_set_type(&c, s->out[0]->dtype, e));
    }
    TRY(set_types(s->out[0]->dtype, (struct desc *[]){ &a, &b, &y }, 3, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(addend(j, has_c ? &c : NULL, &is_bias, e));
    TRY(make_matmul(&j->primitive, &a, &b, is_bias ? &c : NULL, &y, e));
    TRY(job_in(j, DNNL_ARG_SRC, 0, &a, e));
    TRY(job_in(j, DNNL_ARG_WEIGHTS, 1, &b, e));
    if (has_c) TRY(job_in(j, addend_arg(n, is_bias), 2, &c, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &y, e));
    return job_end(j, e);
}

/* By rows; the other way is a product with a bias, where they are slow. */
static int fused_rows(struct step *s, const struct rows *r, struct err *e)
{
    struct conv_desc c;
    struct desc weights;
    TRY(rows_descs(r, &c, &weights, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    c.has_bias = job_tensor(s, 2);
    TRY(fused_follow(j, e));
    TRY(rows_args(j, &c, &weights, e));
    if (c.has_bias) TRY(job_in(j, DNNL_ARG_BIAS, 2, &c.bias, e));
    fused_sum(s);
    return job_end(j, e);
}

int fused_matmul_prepare(struct step *s, struct err *e)
{
    struct desc a, b, c, y;
    int64_t dims[2];
    const struct shape *x = &s->in[0]->shape, flat = collapse(x);
    bool turned = node_int(s->node, "transB"), bias = job_tensor(s, 2);
    const struct shape *w = &s->in[1]->shape;
    struct rows r = { flat.dim[0], flat.dim[1], w->dim[!turned], turned, s->out[0]->dtype };
    if (value_is_fixed(s->node->in[1]) && !no_rows(fused_rows(s, &r, e), e)) return e->code;
    TRY(operand(&flat, false, &a, dims, e));
    TRY(operand(w, turned, &b, dims, e));
    TRY(desc_strided(&c, 2, (int64_t[]){ 1, r.n }, NULL, e));
    TRY(desc_strided(&y, 2, (int64_t[]){ r.m, r.n }, NULL, e));
    TRY(set_types(r.type, (struct desc *[]){ &a, &b, &c, &y }, 4, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(fused_follow(j, e));
    TRY(make_matmul(&j->primitive, &a, &b, bias ? &c : NULL, &y, e));
    TRY(job_in(j, DNNL_ARG_SRC, 0, &a, e));
    TRY(job_in(j, DNNL_ARG_WEIGHTS, 1, &b, e));
    if (bias) TRY(job_in(j, DNNL_ARG_BIAS, 2, &c, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &y, e));
    fused_sum(s);
    return job_end(j, e);
}
