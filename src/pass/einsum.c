/* einsum.c - Einsum, and its gradient, become sums, turns and products of matrices.
 *
 *   bhid,bhjd->bhij   =>  MatMul (bh, i, d) (bh, d, j)         b, h: of both, and stay; d: of both, and is summed
 *   bi,bj->bij        =>  Mul (b, i, 1) (b, 1, j)              nothing of both is summed
 *   bij->jb           =>  ReduceSum, Transpose                 what only one operand has is summed first
 *
 * More than two operands are taken from left to right. Diagonals and broadcast dimensions stay with the loops of
 * ops/einsum.c, and so does what would need more room than the largest operand or the result has.
 */
#include "base/err.h"
#include "graph/builder.h"
#include "ops/equation.h"
#include "pass/pass.h"

struct factor {
    struct value *v;
    struct equation_term t;
};

struct search {
    struct builder b;
    struct equation q;
    int64_t room; /* elements of the largest operand or of the result */
};

static bool has(const struct equation_term *t, int label)
{
    for (int d = 0; d < t->rank; d++)
        if (t->label[d] == label) return true;
    return false;
}

static void add(struct equation_term *t, int label)
{
    t->label[t->rank++] = (signed char)label;
}

static int64_t count(const struct search *s, const struct equation_term *t)
{
    int64_t n = 1;
    for (int d = 0; d < t->rank; d++)
        if (__builtin_mul_overflow(n, s->q.size[t->label[d]], &n)) return INT64_MAX;
    return n;
}

/* Whether no label stands twice. */
static bool is_plain(const struct equation_term *t)
{
    for (struct equation_term before = *t; before.rank-- > 0;)
        if (has(&before, t->label[before.rank])) return false;
    return true;
}

/* Whether each dimension of the operand has a label of its own and is as large as the label. */
static bool fits(const struct search *s, const struct factor *f)
{
    const struct shape *have = &f->v->shape;
    if (f->v->dtype != DT_F32 || !shape_is_known(have) || shape_count(have) < 1) return false;
    for (int d = 0; d < f->t.rank; d++)
        if (have->dim[d] != s->q.size[f->t.label[d]]) return false;
    return is_plain(&f->t);
}

/* Sums over the labels that nobody behind asks for. */
static void sum_useless(struct search *s, struct factor *f, const struct equation_term *next, const bool *wanted)
{
    int64_t axes[SHAPE_MAX];
    size_t n = 0;
    struct equation_term left = { .ellipsis = -1 };
    for (int d = 0; d < f->t.rank; d++)
        if (wanted[f->t.label[d]] || (next && has(next, f->t.label[d]))) add(&left, f->t.label[d]);
        else axes[n++] = d;
    if (n) f->v = emit(&s->b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), f->v, emit_i64s(&s->b, axes, n));
    f->t = left;
}

/* The factor with its labels in this order. */
static struct value *turned(struct search *s, const struct factor *f, const struct equation_term *order)
{
    int64_t perm[SHAPE_MAX];
    bool same = true;
    for (int d = 0; d < order->rank; d++)
        for (int k = 0; k < f->t.rank; k++)
            if (f->t.label[k] == order->label[d]) same = same && k == d, perm[d] = k;
    return same ? f->v : emit(&s->b, "Transpose", ATTRS(attr_ints("perm", perm, (size_t)order->rank)), f->v);
}

static struct value *shaped(struct search *s, struct value *v, const int64_t *dims, int rank)
{
    struct shape to = shape_of(rank, dims);
    if (!v || shape_equal(&v->shape, &to)) return v;
    return emit(&s->b, "Reshape", NO_ATTRS, v, emit_i64s(&s->b, dims, (size_t)rank));
}

static struct equation_term joined(const struct equation_term *a, const struct equation_term *b)
{
    struct equation_term t = *a;
    for (int d = 0; d < b->rank; d++) add(&t, b->label[d]);
    return t;
}

/* What lies first in the result is to come from the first factor, so that the result need not be turned. */
static bool is_swapped(const struct factor *x, const struct factor *y, const struct equation_term *target)
{
    for (int d = 0; d < target->rank; d++)
        if (has(&x->t, target->label[d]) != has(&y->t, target->label[d])) return !has(&x->t, target->label[d]);
    return false;
}

/* The product of two factors, summed over what both have and nobody wants: batch, left, right. */
static struct factor multiply(struct search *s, const struct factor *x, const struct factor *y, const bool *wanted)
{
    struct equation_term batch = { .ellipsis = -1 }, left = batch, right = batch, sum = batch;
    for (int d = 0; d < x->t.rank; d++) {
        int label = x->t.label[d];
        add(!has(&y->t, label) ? &left : wanted[label] ? &batch : &sum, label);
    }
    for (int d = 0; d < y->t.rank; d++)
        if (!has(&x->t, y->t.label[d])) add(&right, y->t.label[d]);
    int64_t nb = count(s, &batch), nl = count(s, &left), nr = count(s, &right), nk = count(s, &sum);
    struct equation_term bl = joined(&batch, &left), bls = joined(&bl, &sum), bs = joined(&batch, &sum),
                         bsr = joined(&bs, &right), all = joined(&bl, &right);
    struct value *a = turned(s, x, &bls), *c = turned(s, y, &bsr), *r;
    bool stacked = batch.rank, products = sum.rank && (left.rank || right.rank);
    if (products) {
        a = shaped(s, a, (int64_t[]){ nb, nl, nk } + !stacked, 2 + stacked);
        c = shaped(s, c, (int64_t[]){ nb, nk, nr } + !stacked, 2 + stacked);
        r = emit(&s->b, "MatMul", NO_ATTRS, a, c);
    } else {
        a = shaped(s, a, (int64_t[]){ nb, nl, nk }, 3);
        c = shaped(s, c, (int64_t[]){ nb, sum.rank ? 1 : nr, sum.rank ? nk : 1 }, 3);
        if (!sum.rank) c = shaped(s, c, (int64_t[]){ nb, 1, nr }, 3);
        r = emit(&s->b, "Mul", NO_ATTRS, a, c);
        if (sum.rank)
            r = emit(&s->b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), r, emit_i64s(&s->b, (int64_t[]){ 2 }, 1));
    }
    int64_t dims[SHAPE_MAX];
    for (int d = 0; d < all.rank; d++) dims[d] = s->q.size[all.label[d]];
    return (struct factor){ shaped(s, r, dims, all.rank), all };
}

/* How many labels a product of the two would have: those of both that are wanted. */
static struct equation_term product_term(const struct factor *x, const struct factor *y, const bool *wanted)
{
    struct equation_term t = { .ellipsis = -1 };
    for (int d = 0; d < x->t.rank; d++)
        if (wanted[x->t.label[d]]) add(&t, x->t.label[d]);
    for (int d = 0; d < y->t.rank && t.rank < SHAPE_MAX; d++)
        if (wanted[y->t.label[d]] && !has(&x->t, y->t.label[d])) add(&t, y->t.label[d]);
    return t;
}

/* The sum of products of these factors with the target's labels; NULL: the loops must do it. */
static struct value *contract(struct search *s, struct factor *f, int n, const struct equation_term *target)
{
    bool wanted[EQUATION_LABELS] = { false };
    s->room = count(s, target);
    if (!is_plain(target)) return NULL;
    for (int i = 0; i < n; i++) {
        if (!fits(s, &f[i])) return NULL;
        int64_t own = count(s, &f[i].t);
        if (own > s->room) s->room = own;
    }
    for (int d = 0; d < target->rank; d++) {
        bool known = false;
        for (int i = 0; i < n; i++) known = known || has(&f[i].t, target->label[d]);
        if (!known) return NULL; /* a gradient that is broadcast */
    }
    for (int i = 0; i < n; i++) {
        for (int label = 0; label < EQUATION_LABELS; label++) {
            wanted[label] = has(target, label);
            for (int k = i + 1; k < n; k++) wanted[label] = wanted[label] || has(&f[k].t, label);
        }
        sum_useless(s, &f[i], i ? &f[0].t : NULL, wanted);
        if (!i) continue;
        sum_useless(s, &f[0], &f[i].t, wanted);
        struct equation_term t = product_term(&f[0], &f[i], wanted);
        if (s->b.err->code || t.rank == SHAPE_MAX || count(s, &t) > s->room) return NULL;
        bool swap = is_swapped(&f[0], &f[i], target);
        f[0] = multiply(s, &f[swap ? i : 0], &f[swap ? 0 : i], wanted);
    }
    return s->b.err->code ? NULL : turned(s, &f[0], target);
}

/* The gradient is the same sum with dy in the operand's place. */
static int visit(struct search *s, struct node *n)
{
    bool grad = node_is(n, "EinsumGrad");
    int operand = grad ? (int)node_int(n, "operand") : -1;
    struct factor f[EQUATION_OPERANDS];
    for (int i = 0; i < n->n_in; i++)
        if (!n->in[i] || !shape_is_known(&n->in[i]->shape)) return 0;
    TRY(equation_of(&s->q, n, grad, s->b.err));
    for (int i = 0; i < s->q.n; i++)
        f[i] = i == operand ? (struct factor){ n->in[0], s->q.out } : (struct factor){ n->in[i + grad], s->q.in[i] };
    s->b.where = n->where;
    s->b.name = n->name;
    struct value *y = contract(s, f, s->q.n, grad ? &s->q.in[operand] : &s->q.out);
    if (y && shape_equal(&y->shape, &n->out[0]->shape)) graph_alias(n->out[0], y);
    return s->b.err->code;
}

static int einsum(struct graph *g, struct err *e)
{
    struct search s = { .b = { g, e } };
    size_t n = g->n_nodes;
    for (size_t i = 0; i < n; i++)
        if (node_is(g->nodes[i], "Einsum") || node_is(g->nodes[i], "EinsumGrad")) TRY(visit(&s, g->nodes[i]));
    return graph_tidy(g, e);
}

const struct pass pass_einsum = { "einsum", "products of matrices for sums over labels", PASS_PLAN, einsum };
