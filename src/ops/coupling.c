/* coupling.c - PairCoupling: probabilities of classes from those of each pair of them. */
#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"

enum { CLASSES_MAX = 4096, ROUNDS = 100 };

/* x (rows, pairs): the probability that i wins against j, pairs (0, 1), (0, 2) .. (1, 2) .. in order */
static int coupling_infer(struct node *n, struct err *e)
{
    int64_t classes = node_int(n, "classes");
    const struct shape *x = &n->in[0]->shape;
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(infer_rank(n, 0, 2, 2, e));
    if (classes < 2 || classes > CLASSES_MAX) return fail(e, ERR_SHAPE, "%lld classes", (long long)classes);
    if (x->rank == 2 && x->dim[1] >= 0 && x->dim[1] != classes * (classes - 1) / 2)
        return fail(e, ERR_SHAPE, "%lld pairs of %lld classes", (long long)x->dim[1], (long long)classes);
    struct shape y = shape_of(2, (int64_t[]){ x->rank == 2 ? x->dim[0] : DIM_UNKNOWN, classes });
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

/* One row: k classes, r pairs, q (k, k) and qp (k) to work with, p (k) the result. */
struct row {
    int64_t k;
    const double *r;
    double *q, *qp, *p;
};

static void fill_matrix(const struct row *w)
{
    int64_t k = w->k, pair = 0;
    for (int64_t i = 0; i < k * k; i++) w->q[i] = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i + 1; j < k; j++, pair++) {
            double win = w->r[pair], loss = 1 - win;
            w->q[i * k + i] += loss * loss;
            w->q[j * k + j] += win * win;
            w->q[i * k + j] = w->q[j * k + i] = -win * loss;
        }
}

/* p' Q p at its least among p that sum to 1: the second method of Wu, Lin and Weng (2004). It ends when no derivative
 * is further than 0.005 / k from the others, as libsvm's does. */
static void couple(const struct row *w)
{
    int64_t k = w->k;
    fill_matrix(w);
    for (int64_t i = 0; i < k; i++) w->p[i] = 1 / (double)k;
    for (int round = 0; round < ROUNDS || round < k; round++) {
        double all = 0, worst = 0;
        for (int64_t i = 0; i < k; i++) {
            w->qp[i] = 0;
            for (int64_t j = 0; j < k; j++) w->qp[i] += w->q[i * k + j] * w->p[j];
            all += w->p[i] * w->qp[i];
        }
        for (int64_t i = 0; i < k; i++) worst = fmax(worst, fabs(w->qp[i] - all));
        if (worst < 0.005 / (double)k) return;
        for (int64_t i = 0; i < k; i++) {
            double step = (all - w->qp[i]) / w->q[i * k + i], part = 1 / (1 + step);
            w->p[i] += step;
            all = (all + step * (step * w->q[i * k + i] + 2 * w->qp[i])) * part * part;
            for (int64_t j = 0; j < k; j++) {
                w->qp[j] = (w->qp[j] + step * w->q[i * k + j]) * part;
                w->p[j] *= part;
            }
        }
    }
}

static int coupling_run(const struct step *s, struct err *e)
{
    int64_t rows = s->in[0]->shape.dim[0], pairs = s->in[0]->shape.dim[1], k = node_int(s->node, "classes");
    const double *x = operand_load(s, s->in[0], e);
    double *work = operand_zeros(s, k * (k + 1), e), *y = operand_zeros(s, rows * k, e);
    if (!x || !work || !y) return e->code;
    for (int64_t i = 0; i < rows; i++) couple(&(struct row){ k, x + i * pairs, work, work + k * k, y + i * k });
    operand_store(s, s->out[0], y);
    return 0;
}

static const struct attr_spec coupling_attrs[] = {
    { .name = "classes", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "how many there are" },
    { 0 },
};

const struct op ops_coupling[] = {
    { .name = "PairCoupling",
        .doc = "probabilities of classes, of those that one wins against another",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = coupling_attrs,
        .infer = coupling_infer,
        .run = coupling_run,
        .samples = "f32[2,3]{0.9,0.2,0.4,0.5,0.5,0.5} | classes=3; f64[1,1]{0.3} | classes=2" },
    { 0 },
};
