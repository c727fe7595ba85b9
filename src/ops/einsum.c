/* einsum.c - Einsum by direct loops over its labels, and its gradient by the same loops. */
#include <string.h>

#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/equation.h"
#include "ops/infer.h"
#include "ops/mover.h"
#include "ops/operand.h"

static bool ranks_known(const struct node *n, int first)
{
    for (int i = first; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->shape.rank < 0) return false;
    return true;
}

static int einsum_infer(struct node *n, struct err *e)
{
    struct equation q;
    struct shape y = shape_unknown();
    TRY(infer_same_types(n, 0, n->n_in, e));
    if (ranks_known(n, 0)) {
        TRY(equation_of(&q, n, 0, e));
        y.rank = q.out.rank;
        for (int d = 0; d < y.rank; d++) y.dim[d] = q.size[q.out.label[d]];
    }
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

/* A sum over labels: target += product of the operands. The first `outer` labels are the target's own. */
struct job {
    int n, labels, outer;
    int64_t size[EQUATION_LABELS];
    int64_t stride[EQUATION_OPERANDS + 1][EQUATION_LABELS]; /* the target's are last, at index n */
    const double *x[EQUATION_OPERANDS + 1];
    double *y;
};

static double sum_of(const struct job *j, int64_t *at)
{
    int64_t index[EQUATION_LABELS] = { 0 };
    double sum = 0;
    for (;;) {
        double product = 1;
        for (int k = 0; k < j->n; k++) product *= j->x[k][at[k]];
        sum += product;
        int l = j->labels - 1;
        for (; l >= j->outer; l--) {
            for (int k = 0; k < j->n; k++) at[k] += j->stride[k][l];
            if (++index[l] < j->size[l]) break;
            for (int k = 0; k < j->n; k++) at[k] -= j->stride[k][l] * j->size[l];
            index[l] = 0;
        }
        if (l < j->outer) return sum;
    }
}

static void targets(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t t = begin; t < end; t++) {
        int64_t at[EQUATION_OPERANDS + 1] = { 0 }, rest = t;
        for (int l = j->outer - 1; l >= 0; l--) {
            for (int k = 0; k <= j->n; k++) at[k] += rest % j->size[l] * j->stride[k][l];
            rest /= j->size[l];
        }
        j->y[at[j->n]] = sum_of(j, at);
    }
}

/* Where a label stands in the job; added when it is new. */
static int place_of(struct job *j, int *place, int label, int64_t size)
{
    if (place[label] < 0) {
        place[label] = j->labels;
        j->size[j->labels++] = size;
    }
    return place[label];
}

static void add_strides(
    struct job *j, int *place, int k, const struct equation_term *t, const struct shape *s, const struct equation *q)
{
    int64_t own[SHAPE_MAX];
    shape_strides(s, own);
    for (int d = 0; d < t->rank; d++) {
        int l = place_of(j, place, t->label[d], q->size[t->label[d]]);
        if (s->dim[d] != 1 || j->size[l] == 1) j->stride[k][l] += own[d];
    }
}

/* Sums the products of `n` operands (their terms and shapes) into `y`, which holds zeros and is shaped as `target`. */
static int contract(const struct equation *q, int n, const struct equation_term *const *terms,
    const struct shape *const *shapes, const double *const *x, const struct equation_term *target,
    const struct shape *shape, double *y, int threads, struct err *e)
{
    struct job j = { .n = n, .y = y };
    int place[EQUATION_LABELS];
    int64_t tasks = 1, terms_each = 1;
    memset(place, -1, sizeof place);
    for (int d = 0; d < target->rank; d++) /* a broadcast dimension is summed over, not walked */
        if (shape->dim[d] != 1 || q->size[target->label[d]] == 1)
            place_of(&j, place, target->label[d], q->size[target->label[d]]);
    j.outer = j.labels;
    for (int k = 0; k < n; k++) {
        add_strides(&j, place, k, terms[k], shapes[k], q);
        j.x[k] = x[k];
    }
    int64_t own[SHAPE_MAX];
    shape_strides(shape, own);
    for (int d = 0; d < target->rank; d++)
        if (place[target->label[d]] >= 0 && place[target->label[d]] < j.outer)
            j.stride[n][place[target->label[d]]] += own[d];
    for (int l = 0; l < j.labels; l++)
        if (__builtin_mul_overflow(
                j.size[l], *(l < j.outer ? &tasks : &terms_each), l < j.outer ? &tasks : &terms_each))
            return fail(e, ERR_SHAPE, "the sum has more terms than can be counted");
    if (terms_each) team_run(threads, tasks, 1 + 4096 / (terms_each + 1), targets, &j);
    return 0;
}

/* Whether nothing is summed: one operand, all of whose labels the output has. */
static bool only_moves(const struct equation *q)
{
    for (int d = 0; d < q->in[0].rank; d++)
        if (!memchr(q->out.label, q->in[0].label[d], (size_t)q->out.rank)) return false;
    return q->n == 1;
}

/* A label's elements are as far apart as the steps of all its places together: a diagonal's, where it has several. */
static void move_labels(const struct step *s, const struct equation *q)
{
    int64_t from[SHAPE_MAX], to[SHAPE_MAX];
    struct move m = { 0 };
    shape_strides(&s->in[0]->shape, from);
    shape_strides(&s->out[0]->shape, to);
    for (int d = 0; d < q->out.rank; d++) {
        int64_t step = 0;
        for (int k = 0; k < q->in[0].rank; k++)
            if (q->in[0].label[k] == q->out.label[d] && s->in[0]->shape.dim[k] != 1) step += from[k];
        move_add(&m, s->out[0]->shape.dim[d], to[d], step);
    }
    move_run(&m, s->threads, dtype_size(s->in[0]->dtype), s->out[0]->data, s->in[0]->data);
}

static int einsum_run(const struct step *s, struct err *e)
{
    struct equation q;
    const struct equation_term *terms[EQUATION_OPERANDS];
    const struct shape *shapes[EQUATION_OPERANDS];
    const double *x[EQUATION_OPERANDS];
    for (int i = 0; i < s->node->n_in && i < EQUATION_OPERANDS; i++) shapes[i] = &s->in[i]->shape;
    TRY(equation_read(&q, node_string(s->node, "equation"), shapes, s->node->n_in, e));
    if (only_moves(&q)) return move_labels(s, &q), 0;
    double *y = operand_zeros(s, tensor_count(s->out[0]), e);
    for (int i = 0; i < q.n; i++) {
        terms[i] = &q.in[i];
        if (!(x[i] = operand_load(s, s->in[i], e))) return e->code;
    }
    if (!y) return e->code;
    TRY(contract(&q, q.n, terms, shapes, x, &q.out, &s->out[0]->shape, y, s->threads, e));
    operand_store(s, s->out[0], y);
    return 0;
}

static int einsum_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct value *in[EQUATION_OPERANDS + 1] = { g->dy[0] };
    const char *equation = node_string(n, "equation");
    for (int i = 0; i < n->n_in; i++) in[i + 1] = n->in[i];
    for (int i = 0; i < n->n_in; i++)
        g->dx[i] = builder_emit(
            g->b, "EinsumGrad", ATTRS(attr_string("equation", equation), attr_int("operand", i)), in, n->n_in + 1);
    return 0;
}

static int grad_infer(struct node *n, struct err *e)
{
    int64_t operand = node_int(n, "operand");
    struct equation q;
    if (operand < 0 || operand >= n->n_in - 1) return fail(e, ERR_SHAPE, "operand is %lld", (long long)operand);
    if (ranks_known(n, 1)) {
        TRY(equation_of(&q, n, 1, e));
        struct shape y = { q.out.rank, { 0 } };
        for (int d = 0; d < y.rank; d++) y.dim[d] = q.size[q.out.label[d]];
        if (!shape_merge(&y, &n->in[0]->shape))
            return fail(e, ERR_SHAPE, "the gradient's shape is not that of the output");
    }
    infer_out(n, 0, n->in[0]->dtype, &n->in[1 + operand]->shape);
    return 0;
}

/* The same sum with dy in the operand's place, and the operand's labels as the target. */
static int grad_run(const struct step *s, struct err *e)
{
    struct equation q;
    const struct equation_term *terms[EQUATION_OPERANDS];
    const struct shape *shapes[EQUATION_OPERANDS];
    const double *x[EQUATION_OPERANDS];
    int operand = (int)node_int(s->node, "operand"), n = s->node->n_in - 1;
    for (int i = 0; i < n && i < EQUATION_OPERANDS; i++) shapes[i] = &s->in[i + 1]->shape;
    TRY(equation_read(&q, node_string(s->node, "equation"), shapes, n, e));
    double *dx = operand_zeros(s, tensor_count(s->out[0]), e);
    if (!dx) return e->code;
    for (int i = 0; i < n; i++) {
        terms[i] = i == operand ? &q.out : &q.in[i];
        const struct tensor *t = s->in[i == operand ? 0 : i + 1];
        shapes[i] = &t->shape;
        if (!(x[i] = operand_load(s, t, e))) return e->code;
    }
    TRY(contract(&q, n, terms, shapes, x, &q.in[operand], &s->out[0]->shape, dx, s->threads, e));
    operand_store(s, s->out[0], dx);
    return 0;
}

static const struct attr_spec einsum_attrs[] = {
    { "equation", ATTR_STRING, ATTR_REQUIRED, .doc = "as numpy's einsum: \"bij,bjk->bik\"" },
    { 0 },
};
static const struct attr_spec grad_attrs[] = {
    { "equation", ATTR_STRING, ATTR_REQUIRED, .doc = "of the Einsum" },
    { "operand", ATTR_INT, ATTR_REQUIRED, .doc = "which one the gradient is for" },
    { 0 },
};

const struct op ops_einsum[] = {
    { .name = "Einsum",
        .doc = "sum of products over the labels of an equation",
        .min_in = 1,
        .max_in = EQUATION_OPERANDS,
        .min_out = 1,
        .max_out = 1,
        .attrs = einsum_attrs,
        .infer = einsum_infer,
        .run = einsum_run,
        .grad = einsum_grad,
        .samples =
            "f32[2,3,4] f32[2,4,5] | equation=bij,bjk->bik; f32[3,4] | equation=ij->ji; f32[3,3] | equation=ii->i; "
            "f32[2,3,4] f32[1,4,2] | equation=...ij,...jk; f32[3] f32[4] f32[3,4] | equation=i,j,ij->; f32[2,3,4] | "
            "equation=a...->...; f32[3,2,3,1] | equation=iaib->bia; f16[2,3,4] | equation=...j->j...; "
            "f32[3,3] f32[3] | equation=ii,i->i" },
    { .name = "EinsumGrad",
        .doc = "gradient of Einsum by one operand, of (dy, all operands)",
        .min_in = 2,
        .max_in = EQUATION_OPERANDS + 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = grad_attrs,
        .infer = grad_infer,
        .run = grad_run,
        .samples =
            "f32[2,3,5] f32[2,3,4] f32[2,4,5] | equation=bij,bjk->bik operand=0; f32[3] f32[3,3] | equation=ii->i "
            "operand=0; f32[2,3,2] f32[2,3,4] f32[1,4,2] | equation=...ij,...jk operand=1" },
    { 0 },
};
