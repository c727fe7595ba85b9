/* det.c - determinants and their gradient. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"

static int square(const struct node *n, int i, struct shape *y, struct err *e)
{
    const struct shape *x = &n->in[i]->shape;
    TRY(infer_type(n, i, TYPES_FLOAT, e));
    TRY(infer_rank(n, i, 2, SHAPE_MAX, e));
    *y = *x;
    if (x->rank < 0) return 0;
    int64_t rows = x->dim[x->rank - 2], cols = x->dim[x->rank - 1];
    if (rows >= 0 && cols >= 0 && rows != cols)
        return fail(e, ERR_SHAPE, "matrices of %lld rows and %lld columns", (long long)rows, (long long)cols);
    y->rank -= 2;
    return 0;
}

static int det_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(square(n, 0, &y, e));
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

static void swap_rows(double *a, double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double t = a[i];
        a[i] = b[i];
        b[i] = t;
    }
}

/* By elimination with the largest pivots; m (n, n) is destroyed. */
static double determinant(double *m, int64_t n)
{
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t r = k + 1; r < n; r++)
            if (fabs(m[r * n + k]) > fabs(m[best * n + k])) best = r;
        if (m[best * n + k] == 0) return 0;
        if (best != k) swap_rows(&m[best * n], &m[k * n], n), det = -det;
        det *= m[k * n + k];
        for (int64_t r = k + 1; r < n; r++) {
            double f = m[r * n + k] / m[k * n + k];
            for (int64_t c = k + 1; c < n; c++) m[r * n + c] -= f * m[k * n + c];
        }
    }
    return det;
}

static int det_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int64_t n = x->dim[x->rank - 1], size = n * n;
    const double *from = operand_load(s, s->in[0], e);
    double *work = operand_zeros(s, size, e);
    if (!from || !work) return e->code;
    for (int64_t i = 0; i < tensor_count(s->out[0]); i++) {
        memcpy(work, from + i * size, (size_t)size * sizeof *work);
        tensor_set_f64(s->out[0], i, determinant(work, n));
    }
    return 0;
}

static int det_grad(struct grad *g)
{
    g->dx[0] = emit(g->b, "DetGrad", NO_ATTRS, g->dy[0], g->node->in[0]);
    return 0;
}

static int grad_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(square(n, 1, &y, e));
    if (!shape_merge(&y, &n->in[0]->shape)) return fail(e, ERR_SHAPE, "the gradient's shape is not that of the output");
    infer_out(n, 0, n->in[1]->dtype, &n->in[1]->shape);
    return 0;
}

/* Cofactors rather than det * inverse: they exist for singular matrices too. */
static void cofactors(const double *m, int64_t n, double dy, double *work, double *dx)
{
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < n; c++) {
            double *w = work;
            for (int64_t i = 0; i < n; i++)
                for (int64_t k = 0; k < n; k++)
                    if (i != r && k != c) *w++ = m[i * n + k];
            dx[r * n + c] = ((r + c) % 2 ? -dy : dy) * determinant(work, n - 1);
        }
}

static int grad_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[1]->shape;
    int64_t n = x->dim[x->rank - 1], size = n * n;
    const double *from = operand_load(s, s->in[1], e), *dy = operand_load(s, s->in[0], e);
    double *work = operand_zeros(s, size, e), *dx = operand_zeros(s, tensor_count(s->out[0]), e);
    if (e->code) return e->code;
    for (int64_t i = 0; i < tensor_count(s->in[0]); i++) cofactors(from + i * size, n, dy[i], work, dx + i * size);
    operand_store(s, s->out[0], dx);
    return 0;
}

const struct op ops_det[] = {
    { .name = "Det",
        .doc = "determinants of the matrices in the last two dimensions",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .infer = det_infer,
        .run = det_run,
        .grad = det_grad,
        .samples = "f32[3,3]; f64[2,3,4,4]; f32[2,1,1]; f32[2,2]{1,2,2,4}" },
    { .name = "DetGrad",
        .doc = "gradient of Det, of (dy, x)",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .infer = grad_infer,
        .run = grad_run,
        .samples = "f32[] f32[3,3]; f64[2,3] f64[2,3,4,4]; f32[2] f32[2,1,1]" },
    { 0 },
};
