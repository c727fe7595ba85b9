/* einsum.c - Einsum, and its gradient, become sums, turns and products of matrices.
 *
 *   bhid,bhjd->bhij   =>  MatMul (bh, i, d) (bh, d, j)         b, h: of both, and stay; d: of both, and is summed
 *   bi,bj->bij        =>  Mul (b, i, 1) (b, 1, j)              nothing of both is summed
 *   bij->jb           =>  ReduceSum, Transpose
 *
 * What would be rounded in between stays with the loops of ops/einsum.c: more than two operands, and labels of one of
 * two that are summed. So do diagonals and broadcast dimensions.
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
    for (int d = 0; d < t->rank; d++) n *= s->q.size[t->label[d]];
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

/* One operand, summed over the labels that the target lacks. */
static struct value *sum(struct search *s, const struct factor *x, const struct equation_term *target)
{
    int64_t axes[SHAPE_MAX];
    size_t n = 0;
    struct factor left = { x->v, { .ellipsis = -1 } };
    for (int d = 0; d < x->t.rank; d++)
        if (has(target, x->t.label[d])) add(&left.t, x->t.label[d]);
        else axes[n++] = d;
    if (n) left.v = emit(&s->b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), x->v, emit_i64s(&s->b, axes, n));
    return turned(s, &left, target);
}

/* What lies first in the result is to come from the first factor, so that the result need not be turned. */
static bool is_swapped(const struct factor *x, const struct factor *y, const struct equation_term *target)
{
    for (int d = 0; d < target->rank; d++)
        if (has(&x->t, target->label[d]) != has(&y->t, target->label[d])) return !has(&x->t, target->label[d]);
    return false;
}

/* Two operands, multiplied and summed over what both have and the target lacks: batch, left, right. */
static struct value *multiply(
    struct search *s, const struct factor *x, const struct factor *y, const struct equation_term *target)
{
    struct equation_term batch = { .ellipsis = -1 }, left = batch, right = batch, inner = batch;
    for (int d = 0; d < x->t.rank; d++) {
        int label = x->t.label[d];
        add(!has(&y->t, label) ? &left : has(target, label) ? &batch : &inner, label);
    }
    for (int d = 0; d < y->t.rank; d++)
        if (!has(&x->t, y->t.label[d])) add(&right, y->t.label[d]);
    const struct equation_term bl = joined(&batch, &left), first = joined(&bl, &inner), bi = joined(&batch, &inner),
                               second = joined(&bi, &right), made = joined(&bl, &right);
    const int64_t nb = count(s, &batch), nl = count(s, &left), nr = count(s, &right), ni = count(s, &inner);
    bool flat = !batch.rank; /* matrices, not stacks of them */
    struct value *a = shaped(s, turned(s, x, &first), (int64_t[]){ nb, nl, ni } + flat, 3 - flat);
    struct value *c = shaped(s, turned(s, y, &second), (int64_t[]){ nb, ni, nr } + flat, 3 - flat);
    struct value *product = emit(&s->b, inner.rank ? "MatMul" : "Mul", NO_ATTRS, a, c);
    int64_t dims[SHAPE_MAX];
    for (int d = 0; d < made.rank; d++) dims[d] = s->q.size[made.label[d]];
    return turned(s, &(struct factor){ shaped(s, product, dims, made.rank), made }, target);
}

/* Whether each label of `a` is one of `b` or of `c`. */
static bool within(const struct equation_term *a, const struct equation_term *b, const struct equation_term *c)
{
    for (int d = 0; d < a->rank; d++)
        if (!has(b, a->label[d]) && !has(c, a->label[d])) return false;
    return true;
}

/* The sum of products of these factors with the target's labels; NULL: the loops must do it. */
static struct value *contract(struct search *s, const struct factor *f, int n, const struct equation_term *target)
{
    if (n > 2 || !is_plain(target)) return NULL;
    for (int i = 0; i < n; i++)
        if (!fits(s, &f[i]) || (n == 2 && !within(&f[i].t, &f[!i].t, target))) return NULL;
    if (!within(target, &f[0].t, &f[n - 1].t)) return NULL; /* a gradient that is broadcast */
    if (n == 1) return sum(s, &f[0], target);
    bool swap = is_swapped(&f[0], &f[1], target);
    return multiply(s, &f[swap], &f[!swap], target);
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
