/* spelled.c - what exporters spell out in small operators becomes the one operator that was meant.
 *
 *   Pow(x, 2), Pow(x, 3), Pow(x, 0.5)                                     =>  products and Sqrt
 *   x * 0.5 * (1 + erf(x / sqrt 2)), and its tanh form                    =>  Gelu
 *   (x - mean) / sqrt(mean((x - mean)^2) + epsilon) [* scale [+ bias]]    =>  LayerNormalization
 *   Transpose(Gemm(a, b)), as a gradient of a weight that is turned       =>  Gemm(b, a)
 *
 * Formulas: Hendrycks and Gimpel, Gaussian Error Linear Units (arXiv:1606.08415); Ba, Kiros and Hinton, Layer
 * Normalization (arXiv:1607.06450).
 */
#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/tensor.h"
#include "pass/pass.h"
#include "pass/uses.h"

struct search {
    struct graph *g;
    struct builder b;
    struct uses uses;
};

/* Whether v is always this number, to the precision of float32, or exactly as float16 has it. */
static bool is_number(const struct value *v, double want)
{
    const struct tensor *t = value_const(v);
    if (!t || tensor_count(t) != 1) return false;
    double is = tensor_get_f64(t, 0);
    return fabs(is - want) <= 1e-6 * fabs(want) || is == half_to_float(float_to_half((float)want));
}

/* The other operand of a commutative node that has `v` as one; NULL: it has it as both, or as neither. */
static struct value *beside(const struct node *n, const struct value *v)
{
    if (n->in[0] == n->in[1]) return NULL;
    return n->in[0] == v ? n->in[1] : n->in[1] == v ? n->in[0] : NULL;
}

/* The x of x + number or x * number. */
static struct value *with_number(const struct value *v, const char *op, double number)
{
    const struct node *n = made_by(v, op);
    for (int i = 0; n && i < 2; i++)
        if (is_number(n->in[!i], number)) return n->in[i];
    return NULL;
}

/* x * factor, or x / (1 / factor) */
static struct value *scaled(const struct value *v, double factor)
{
    const struct node *n = made_by(v, "Div");
    return n && is_number(n->in[1], 1 / factor) ? n->in[0] : with_number(v, "Mul", factor);
}

static int become(struct search *s, struct value *old, struct value *now)
{
    if (now) graph_alias(old, now);
    return s->b.err->code;
}

static int power(struct search *s, struct node *n)
{
    struct value *x = n->in[0], *y = NULL;
    if (x->dtype != DT_F32 || n->in[1]->shape.rank > x->shape.rank) return 0;
    s->b.where = n->where;
    if (is_number(n->in[1], 2)) y = emit(&s->b, "Mul", NO_ATTRS, x, x);
    if (is_number(n->in[1], 3)) y = emit(&s->b, "Mul", NO_ATTRS, x, emit(&s->b, "Mul", NO_ATTRS, x, x));
    if (is_number(n->in[1], 0.5)) y = emit(&s->b, "Sqrt", NO_ATTRS, x);
    return become(s, n->out[0], y);
}

/* What 0.5 * x * p is, in whatever order; p is the sum of 1 and a function of x. */
static struct value *half_product(const struct search *s, const struct value *x, const struct value *p)
{
    const struct node *n = uses_only(&s->uses, p), *last;
    struct value *other = node_is(n, "Mul") ? beside(n, p) : NULL;
    if (!other) return NULL;
    if (scaled(other, 0.5) == x) return n->out[0];
    last = uses_only(&s->uses, n->out[0]);
    if (!last || (other != x && !is_number(other, 0.5))) return NULL;
    if (other == x) return scaled(last->out[0], 0.5) == n->out[0] ? last->out[0] : NULL;
    return node_is(last, "Mul") && beside(last, n->out[0]) == x ? last->out[0] : NULL;
}

static int gelu(struct search *s, const struct node *n, struct value *x, const char *approximate)
{
    const struct node *one = uses_only(&s->uses, n->out[0]);
    if (!x || x->dtype != DT_F32 || !one || with_number(one->out[0], "Add", 1) != n->out[0]) return 0;
    struct value *y = half_product(s, x, one->out[0]);
    if (!y) return 0;
    s->b.where = n->where;
    s->b.name = y->node->name;
    return become(s, y, emit(&s->b, "Gelu", ATTRS(attr_string("approximate", approximate)), x));
}

static int gelu_by_erf(struct search *s, struct node *n)
{
    return gelu(s, n, scaled(n->in[0], M_SQRT1_2), "none");
}

/* The x of x * x * x. */
static struct value *cube_root(const struct value *v)
{
    const struct node *n = made_by(v, "Mul");
    for (int i = 0; n && i < 2; i++) {
        const struct node *square = made_by(n->in[i], "Mul");
        if (square && square->in[0] == square->in[1] && square->in[0] == n->in[!i]) return n->in[!i];
    }
    return NULL;
}

/* tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)) */
static int gelu_by_tanh(struct search *s, struct node *n)
{
    const struct value *inner = scaled(n->in[0], M_2_SQRTPI * M_SQRT1_2);
    const struct node *sum = inner ? made_by(inner, "Add") : NULL;
    for (int i = 0; sum && i < 2; i++) {
        const struct value *cube = scaled(sum->in[i], 0.044715);
        if (cube && cube_root(cube) == sum->in[!i]) return gelu(s, n, sum->in[!i], "tanh");
    }
    return 0;
}

/* The x of a mean over its last dimensions, the first of which is *axis; they stay as 1. */
static struct value *mean_of(const struct value *v, int *axis)
{
    const struct node *n = made_by(v, "ReduceMean");
    const struct value *of = n ? node_in(n, 1) : NULL;
    const struct tensor *axes = of ? value_const(of) : NULL;
    if (!axes || !node_int(n, "keepdims") || !shape_is_known(&n->in[0]->shape)) return NULL;
    int rank = n->in[0]->shape.rank, count = (int)tensor_count(axes);
    unsigned found = 0;
    for (int i = 0; i < count; i++) {
        int64_t a = tensor_get_i64(axes, i);
        found |= 1u << (a < 0 ? a + rank : a);
    }
    *axis = rank - count;
    return count && count <= rank && found == (1u << rank) - (1u << *axis) ? n->in[0] : NULL;
}

/* The fixed vector of all normalized dimensions that the only reader of v, an `op`, takes beside it. */
static struct value *vector_of(const struct search *s, const struct value *v, const char *op, int axis)
{
    const struct node *n = uses_only(&s->uses, v);
    struct value *k = node_is(n, op) ? beside(n, v) : NULL;
    if (!k || !value_is_fixed(k) || k->dtype != v->dtype || k->shape.rank != v->shape.rank - axis) return NULL;
    for (int i = 0; i < k->shape.rank; i++)
        if (k->shape.dim[i] != v->shape.dim[axis + i]) return NULL;
    return k;
}

static struct value *ones(struct search *s, const struct shape *x, int axis)
{
    struct shape dims = shape_of(x->rank - axis, x->dim + axis);
    struct tensor *t = tensor_new(s->g->arena, DT_F32, &dims, s->b.err);
    for (int64_t i = 0; t && i < tensor_count(t); i++) ((float *)t->data)[i] = 1;
    return t ? emit_const(&s->b, t) : NULL;
}

/* Whether the division is a layer normalization of *x without scale and bias. */
static bool is_normalized(const struct node *n, struct value **x, int *axis, double *epsilon)
{
    const struct node *root = made_by(n->in[1], "Sqrt"), *centred = made_by(n->in[0], "Sub");
    const struct node *sum = root ? made_by(root->in[0], "Add") : NULL;
    int same;
    for (int i = 0; sum && centred && i < 2; i++) {
        const struct value *square = mean_of(sum->in[i], axis);
        const struct node *product = square ? made_by(square, "Mul") : NULL;
        if (!product || product->in[0] != n->in[0] || product->in[1] != n->in[0]) continue;
        *x = centred->in[0];
        return node_fixed_number(sum, !i, 0, epsilon) && mean_of(centred->in[1], &same) == *x && same == *axis;
    }
    return false;
}

static int layer_normalization(struct search *s, struct node *n)
{
    struct value *x, *last = n->out[0], *bias = NULL;
    double epsilon;
    int axis;
    if (last->dtype != DT_F32 || !is_normalized(n, &x, &axis, &epsilon)) return 0;
    if (!uses_only(&s->uses, n->in[1])) return 0; /* a gradient needs the parts all the same */
    s->b.where = n->where;
    struct value *scale = vector_of(s, last, "Mul", axis);
    if (scale) last = uses_only(&s->uses, last)->out[0];
    if (scale && (bias = vector_of(s, last, "Add", axis))) last = uses_only(&s->uses, last)->out[0];
    if (!scale && !(scale = ones(s, &x->shape, axis))) return s->b.err->code;
    s->b.name = last->node->name;
    const struct attr where = attr_int("axis", axis), least = attr_float("epsilon", epsilon);
    struct value *in[] = { x, scale, bias };
    return become(s, last, builder_emit(&s->b, "LayerNormalization", ATTRS(where, least), in, bias ? 3 : 2));
}

static int turned_product(struct search *s, struct node *n)
{
    const struct node *of = made_by(n->in[0], "Gemm");
    size_t count;
    const int64_t *perm = node_ints(n, "perm", &count);
    if (!of || (count && perm[0] == 0) || !uses_only(&s->uses, n->in[0]) || node_in(of, 2)) return 0;
    const struct attr a = attr_int("transA", !node_int(of, "transB")), b = attr_int("transB", !node_int(of, "transA"));
    s->b.where = of->where;
    s->b.name = of->name;
    const struct attr *attrs = ATTRS(a, b, attr_float("alpha", node_float(of, "alpha")));
    return become(s, n->out[0], emit(&s->b, "Gemm", attrs, of->in[1], of->in[0]));
}

static const struct {
    const char *op;
    int (*visit)(struct search *s, struct node *n);
} spellings[] = {
    { "Pow", power }, /* first: the others know products only */
    { "Erf", gelu_by_erf },
    { "Tanh", gelu_by_tanh },
    { "Div", layer_normalization },
    { "Transpose", turned_product },
};

static int spelled(struct graph *g, struct err *e)
{
    for (size_t k = 0; k < sizeof spellings / sizeof *spellings && !e->code; k++) {
        struct search s = { .g = g, .b = { g, e } };
        struct arena scratch;
        arena_init(&scratch, g->arena->mem);
        int code = uses_count(&s.uses, g, &scratch, e);
        size_t n = g->n_nodes;
        for (size_t i = 0; i < n && !code; i++)
            if (node_is(g->nodes[i], spellings[k].op)) code = spellings[k].visit(&s, g->nodes[i]);
        arena_release(&scratch);
        if (!code) graph_tidy(g, e);
    }
    return e->code;
}

const struct pass pass_spelled = { "spelled", "one operator for what is spelt out in many", PASS_PLAN, spelled };
