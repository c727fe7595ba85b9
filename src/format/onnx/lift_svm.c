/* lift_svm.c - ai.onnx.ml's support vector machines, in plain operators. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/forest.h"
#include "format/onnx/lift_emit.h"

struct svm {
    struct lift *l;
    const double *coefficients, *support, *params,
        *rho; /* support: (vectors, features); params: gamma, coef0, degree */
    size_t n_coefficients, n_support, n_params, n_rho;
    const char *kernel;
};

static const double *floats(const struct lift *l, const char *name, size_t *n)
{
    const struct attr *a = lift_attr(l, name);
    bool given = a && a->type == ATTR_FLOATS;
    *n = given ? a->n : 0;
    return given ? a->floats : NULL;
}

static const char *text(const struct lift *l, const char *name, const char *otherwise)
{
    const struct attr *a = lift_attr(l, name);
    return a && a->type == ATTR_STRING ? a->s : otherwise;
}

static int read_svm(struct svm *m, struct err *e)
{
    struct lift *l = m->l;
    if (!lift_in(l, 0)) return fail(e, ERR_MODEL, "input 0 is missing");
    m->coefficients = floats(l, "coefficients", &m->n_coefficients);
    m->support = floats(l, "support_vectors", &m->n_support);
    m->params = floats(l, "kernel_params", &m->n_params);
    m->rho = floats(l, "rho", &m->n_rho);
    m->kernel = text(l, "kernel_type", "LINEAR");
    if (!m->n_coefficients || !m->n_rho) return fail(e, ERR_MODEL, "coefficients or rho are missing");
    if (strcmp(m->kernel, "LINEAR") != 0 && m->n_params < 3) return fail(e, ERR_MODEL, "fewer than 3 kernel_params");
    return 0;
}

static struct value *matrix(struct lift *l, const double *v, int64_t rows, int64_t columns)
{
    struct shape s = shape_of(2, (int64_t[]){ rows, columns });
    struct tensor *t = tensor_new(l->b->g->arena, DT_F32, &s, l->b->err);
    if (!t) return NULL;
    store_f64(DT_F32, t->data, rows * columns, v);
    return emit_const(l->b, t);
}

/* x (rows, features) in float32 */
static struct value *rows_of(struct lift *l)
{
    struct value *x = emit_cast(l->b, l->in[0], DT_F32);
    return x && x->shape.rank == 1 ? lift_unsqueezed(l, x, (int64_t[]){ 0 }, 1) : x;
}

/* The kernel between every row of x and every vector of `v` (vectors, features): (rows, vectors) */
static struct value *kernel(struct svm *m, struct value *x, struct value *v, struct err *e)
{
    struct lift *l = m->l;
    double gamma = m->n_params > 0 ? m->params[0] : 0, offset = m->n_params > 1 ? m->params[1] : 0;
    if (!x || !v) return NULL;
    if (!strcmp(m->kernel, "RBF")) {
        struct value *d = lift_two(l, "Sub", lift_unsqueezed(l, x, (int64_t[]){ 1 }, 1), v);
        d = emit(l->b, "ReduceSumSquare", ATTRS(attr_int("keepdims", 0)), d, emit_i64s(l->b, (int64_t[]){ 2 }, 1));
        return lift_one(l, "Exp", lift_two(l, "Mul", d, lift_number(l, x, -gamma)));
    }
    struct value *dot = lift_two(l, "MatMul", x, lift_permuted(l, v, 2, (int64_t[]){ 1, 0 }));
    if (!strcmp(m->kernel, "LINEAR")) return dot;
    dot = lift_two(l, "Add", lift_two(l, "Mul", dot, lift_number(l, x, gamma)), lift_number(l, x, offset));
    if (!strcmp(m->kernel, "SIGMOID")) return lift_one(l, "Tanh", dot);
    if (!strcmp(m->kernel, "POLY")) return lift_two(l, "Pow", dot, lift_number(l, x, m->params[2]));
    return fail(e, ERR_UNSUPPORTED, "kernel_type %s", m->kernel), NULL;
}

/* Without vectors the coefficients are one: a linear model. */
static int regressor(struct lift *l, const char *arg, struct err *e)
{
    struct svm m = { .l = l };
    TRY(read_svm(&m, e));
    int64_t n = lift_int(l, "n_supports", 0);
    if (n < 0 || (n && (m.n_support % (size_t)n || m.n_coefficients != (size_t)n)))
        return fail(e, ERR_MODEL, "%lld vectors of %zu numbers with %zu coefficients", (long long)n, m.n_support,
            m.n_coefficients);
    struct value *x = rows_of(l), *y;
    if (n) {
        y = kernel(&m, x, matrix(l, m.support, n, (int64_t)m.n_support / n), e);
        y = lift_two(l, "MatMul", y, matrix(l, m.coefficients, n, 1));
    } else y = kernel(&m, x, matrix(l, m.coefficients, 1, (int64_t)m.n_coefficients), e);
    y = lift_two(l, "Add", y, lift_number(l, x, m.rho[0]));
    if (lift_int(l, "one_class", 0))
        y = emit(l->b, "Where", NO_ATTRS, lift_two(l, "Greater", y, lift_number(l, x, 0)), lift_number(l, x, 1),
            lift_number(l, x, -1));
    lift_result(l, ml_transformed(l, y, text(l, "post_transform", "NONE"), e));
    return e->code;
}

/* The classifier between each two classes. */
struct pairs {
    int64_t classes, vectors, n;
    const int64_t *each; /* vectors of every class, which lie one behind the other */
};

static int read_pairs(const struct svm *m, struct pairs *p, struct err *e)
{
    enum { CLASSES_MAX = 1000 };
    const struct attr *each = lift_attr(m->l, "vectors_per_class");
    if (!each || each->type != ATTR_INTS || each->n < 2 || each->n > CLASSES_MAX)
        return fail(e, ERR_UNSUPPORTED, "a classifier without vectors_per_class of 2 to %d classes", CLASSES_MAX);
    *p = (struct pairs){ .classes = (int64_t)each->n, .each = each->ints };
    for (int64_t i = 0; i < p->classes; i++) {
        if (each->ints[i] < 0 || each->ints[i] > (int64_t)m->n_support)
            return fail(e, ERR_MODEL, "class %lld has %lld vectors", (long long)i, (long long)each->ints[i]);
        p->vectors += each->ints[i];
    }
    p->n = p->classes * (p->classes - 1) / 2;
    if (p->vectors < 1 || m->n_support % (size_t)p->vectors || (int64_t)m->n_rho != p->n ||
        (int64_t)m->n_coefficients != (p->classes - 1) * p->vectors)
        return fail(e, ERR_MODEL, "%zu numbers, %zu coefficients and %zu rho for %lld vectors of %lld classes",
            m->n_support, m->n_coefficients, m->n_rho, (long long)p->vectors, (long long)p->classes);
    return 0;
}

/* (vectors, pairs): what each vector counts in the decision between classes i and j; `first` and `second` (pairs,
 * classes): who wins where it is positive, and where not */
static int fill_pairs(const struct svm *m, const struct pairs *p, double *weights, double *first, double *second)
{
    int64_t pair = 0, start = 0;
    for (int64_t i = 0; i < p->classes; start += p->each[i++]) {
        int64_t other = start + p->each[i];
        for (int64_t j = i + 1; j < p->classes; other += p->each[j++], pair++) {
            for (int64_t k = 0; k < p->each[i]; k++)
                weights[(start + k) * p->n + pair] = m->coefficients[(j - 1) * p->vectors + start + k];
            for (int64_t k = 0; k < p->each[j]; k++)
                weights[(other + k) * p->n + pair] = m->coefficients[i * p->vectors + other + k];
            first[pair * p->classes + i] = 1;
            second[pair * p->classes + j] = 1;
        }
    }
    return 0;
}

/* Platt's probabilities that the first of a pair wins: 1 / (1 + exp(a d + b)), kept away from 0 and 1 */
static struct value *coupled(struct lift *l, const struct pairs *p, struct value *decisions, struct err *e)
{
    size_t n_a, n_b;
    const double *a = floats(l, "prob_a", &n_a), *b = floats(l, "prob_b", &n_b);
    if ((int64_t)n_a != p->n || (int64_t)n_b != p->n)
        return fail(e, ERR_MODEL, "%zu prob_a and %zu prob_b for %lld pairs", n_a, n_b, (long long)p->n), NULL;
    struct value *v = lift_two(l, "Add", lift_two(l, "Mul", decisions, matrix(l, a, 1, p->n)), matrix(l, b, 1, p->n));
    v = lift_one(l, "Sigmoid", lift_one(l, "Neg", v));
    v = emit(l->b, "Clip", NO_ATTRS, v, lift_number(l, v, 1e-7), lift_number(l, v, 1 - 1e-7));
    return emit(l->b, "PairCoupling", ATTRS(attr_int("classes", p->classes)), v);
}

static int classifier(struct lift *l, const char *arg, struct err *e)
{
    struct svm m = { .l = l };
    struct pairs p = { 0 };
    TRY(read_svm(&m, e));
    TRY(read_pairs(&m, &p, e));
    double *weights = ARENA_ARRAY(l->arena, p.vectors * p.n, double);
    double *first = ARENA_ARRAY(l->arena, 2 * p.n * p.classes, double), *second = first + p.n * p.classes;
    if (!weights || !first) return fail_nomem(e);
    fill_pairs(&m, &p, weights, first, second);
    struct value *x = rows_of(l), *best;
    struct value *k = kernel(&m, x, matrix(l, m.support, p.vectors, (int64_t)m.n_support / p.vectors), e);
    struct value *d = lift_two(l, "MatMul", k, matrix(l, weights, p.vectors, p.n));
    d = lift_two(l, "Add", d, matrix(l, m.rho, 1, p.n));
    if (!d || e->code) return e->code;
    struct value *won = lift_two(l, "Greater", d, lift_number(l, d, 0)), *scores = d;
    best = lift_two(l, "MatMul", emit_cast(l->b, won, DT_F32), matrix(l, first, p.n, p.classes));
    struct value *lost = emit_cast(l->b, lift_one(l, "Not", won), DT_F32);
    best = lift_two(l, "Add", best, lift_two(l, "MatMul", lost, matrix(l, second, p.n, p.classes)));
    if (lift_attr(l, "prob_a")) scores = coupled(l, &p, d, e); /* which need not agree with the votes */
    else if (p.classes == 2) scores = emit(l->b, "Concat", ATTRS(attr_int("axis", 1)), lift_one(l, "Neg", d), d);
    if (l->n_out > 1) l->out[1] = ml_transformed(l, scores, text(l, "post_transform", "NONE"), e);
    best = emit(l->b, "ArgMax", ATTRS(attr_int("axis", 1), attr_int("keepdims", 0)), best);
    lift_result(l, ml_labels(l, best, "classlabels_ints", "classlabels_strings", e));
    return e->code;
}

const struct lift_row lift_svm_rows[] = {
    { "SVMRegressor", 1, LIFT_ANY, regressor, NULL, "" },
    { "SVMClassifier", 1, LIFT_ANY, classifier, NULL, "" },
    { NULL },
};
