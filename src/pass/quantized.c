/* quantized.c - operators between DequantizeLinear and QuantizeLinear work on the integers themselves.
 *
 *   DQ(x), DQ(w) -> Conv, Gemm, MatMul -> Relu, Clip -> Q     =>  QuantizedConv, QuantizedGemm
 *   QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger    =>  the same
 *   DQ(a), DQ(b) -> Add -> Relu -> Q                          =>  QuantizedAdd
 *   DQ -> a mover of elements                                 =>  the mover -> DQ
 *   DQ -> a function of one number, or nothing -> Q           =>  QuantizedLookup, or nothing
 *   DQ -> a mean -> Q                                         =>  the mean of whole numbers, which is exact, -> Q
 *   DQ ... -> Concat -> Q                                     =>  Concat
 *   Relu, Clip -> Q, which keeps numbers within these anyway  =>  Q
 *
 * Only 8-bit integers, one scale for each image and fixed weights; what is left stays as the file says it.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/quantize.h"
#include "ops/quantized.h"
#include "pass/pass.h"
#include "pass/uses.h"

enum { TERMS_MAX = 32768 }; /* products of two 8-bit numbers that int32 can add up */

struct search {
    struct graph *g;
    struct uses uses;
    struct builder b;
    struct err *e;
};

static bool is_byte(const struct value *v)
{
    return v && (v->dtype == DT_U8 || v->dtype == DT_I8);
}

static bool is_single(const struct value *v)
{
    return !v || (shape_is_known(&v->shape) && shape_count(&v->shape) == 1);
}

/* Integers with their scale and zero point. */
struct packed {
    struct value *x, *scale, *zero;
};

static bool node_packs(const struct node *n)
{
    return is_single(n->in[1]) && is_single(node_in(n, 2)) && n->in[1]->dtype == DT_F32 && !node_int(n, "block_size");
}

/* The value is an image of 8-bit integers, taken back to reals by one scale. */
static bool unpacks(struct value *v, struct packed *p)
{
    v = value_resolve(v);
    const struct node *n = v && v->kind == VALUE_NODE ? v->node : NULL;
    if (!node_is(n, "DequantizeLinear") || !node_packs(n) || n->out[0]->dtype != DT_F32) return false;
    *p = (struct packed){ value_resolve(n->in[0]), n->in[1], node_in(n, 2) };
    return is_byte(p->x);
}

static bool packs(const struct node *n)
{
    return node_is(n, "QuantizeLinear") && node_packs(n) && is_byte(n->out[0]) && n->in[0]->dtype == DT_F32 &&
        node_int(n, "precision") <= DT_F32;
}

/* One value, or two constants with one content. */
static bool same_number(const struct value *a, const struct value *b)
{
    a = value_resolve((struct value *)(uintptr_t)a);
    b = value_resolve((struct value *)(uintptr_t)b);
    if (a == b) return true;
    if (!a || !b || a->dtype != b->dtype || !value_is_fixed(a) || !value_is_fixed(b)) return false;
    return tensor_get_f64(a->data, 0) == tensor_get_f64(b->data, 0);
}

/* A fixed weight in integers: one scale, or `n` along `axis`. */
static bool unpacks_weight(struct value *v, int axis, int64_t n, struct packed *p)
{
    const struct node *of = v->kind == VALUE_NODE ? v->node : NULL;
    if (!node_is(of, "DequantizeLinear") || node_int(of, "block_size") || of->in[1]->dtype != DT_F32) return false;
    *p = (struct packed){ of->in[0], of->in[1], node_in(of, 2) };
    if (!is_byte(p->x) || !value_is_fixed(p->x) || !value_is_fixed(p->zero) || !shape_is_known(&p->scale->shape))
        return false;
    if (is_single(p->scale)) return is_single(p->zero);
    return shape_count(&p->scale->shape) == n && shape_axis(node_int(of, "axis"), p->x->shape.rank) == axis;
}

static void start(struct search *s, const struct node *n)
{
    s->b = (struct builder){ s->g, s->e, .where = n->where, .name = n->name };
}

static const struct {
    const char *op;
    bool only_first; /* its other outputs must not be wanted */
} movers[] = {
    { "MaxPool", true }, { "Reshape" }, { "Flatten" }, { "Transpose" }, { "Squeeze" }, { "Unsqueeze" }, { "Slice" },
    { "DepthToSpace" }, { "SpaceToDepth" },
};

/* DQ -> mover: the mover moves the integers. */
static void sink(struct search *s, struct node *n)
{
    struct packed p;
    size_t k = 0, count = sizeof movers / sizeof *movers;
    while (k < count && !node_is(n, movers[k].op)) k++;
    if (k == count || n->n_out != 1 || !unpacks(n->in[0], &p) || value_is_fixed(p.x)) return;
    struct value **in = ARENA_ARRAY(s->g->arena, n->n_in, struct value *);
    if (!in) {
        fail_nomem(s->e);
        return;
    }
    for (int i = 0; i < n->n_in; i++) in[i] = value_resolve(n->in[i]);
    in[0] = p.x;
    start(s, n);
    struct value *y = builder_emit(&s->b, n->op->name, n->n_attrs ? n->attrs : NO_ATTRS, in, n->n_in);
    y = emit(&s->b, "DequantizeLinear", NO_ATTRS, y, p.scale, p.zero);
    if (y) graph_alias(n->out[0], y);
}

/* --- what follows a product or a sum --- */

struct chain {
    struct value *last, *scale, *zero; /* scale: of the result, NULL when it stays real */
    double low, high;
};

/* Whether the node keeps a number within [low, high]. */
static bool clips(const struct node *n, double *low, double *high)
{
    *low = 0, *high = INFINITY;
    if (!node_is(n, "Clip")) return node_is(n, "Relu");
    return node_fixed_number(n, 1, -INFINITY, low) && node_fixed_number(n, 2, INFINITY, high) && *low <= *high;
}

/* Whether the range of what the quantizer gives keeps numbers within these bounds anyway. */
static bool is_spare(const struct node *q, double low, double high)
{
    double least, most, step, zero;
    if (!quantized_range(q->out[0]->dtype, &least, &most)) return false;
    if (!node_fixed_number(q, 1, 1, &step) || !node_fixed_number(q, 2, 0, &zero) || !(step > 0)) return false;
    return rint(low / step) + zero <= least && rint(high / step) + zero >= most;
}

static void follow(struct search *s, struct value *from, struct chain *c)
{
    *c = (struct chain){ from, NULL, NULL, -INFINITY, INFINITY };
    struct node *n = uses_only(&s->uses, from);
    double low, high;
    if (clips(n, &low, &high) && n->in[0] == from) {
        c->low = low, c->high = high;
        n = uses_only(&s->uses, c->last = n->out[0]);
    }
    if (n && packs(n) && n->in[0] == c->last) c->last = n->out[0], c->scale = n->in[1], c->zero = node_in(n, 2);
}

static struct value *product(struct search *s, const char *op, const struct attr *attrs, size_t n_attrs,
    const struct packed *x, const struct packed *w, const struct chain *c, struct value *bias)
{
    struct attr *all = ARENA_ARRAY(s->g->arena, n_attrs + 3, struct attr);
    if (!all) return fail_nomem(s->e), NULL;
    if (n_attrs) memcpy(all, attrs, n_attrs * sizeof *all);
    if (c->low > -INFINITY) all[n_attrs++] = attr_float("low", c->low);
    if (c->high < INFINITY) all[n_attrs++] = attr_float("high", c->high);
    struct value *in[QPRODUCT_INPUTS] = { [QX] = x->x, [QW] = w->x, [QX_ZERO] = x->zero, [QW_ZERO] = w->zero,
        [QX_SCALE] = x->scale, [QW_SCALE] = w->scale, [QY_SCALE] = c->scale, [QY_ZERO] = c->zero, [QBIAS] = bias };
    struct value *y = builder_emit(&s->b, op, all, in, QPRODUCT_INPUTS);
    if (y) graph_alias(c->last, y);
    return y;
}

static bool is_bias(const struct value *v, int64_t n)
{
    return !v || ((v->dtype == DT_F32 || v->dtype == DT_I32) && v->shape.rank == 1 && v->shape.dim[0] == n);
}

static double of_channel(const struct value *v, int64_t i)
{
    return tensor_get_f64(v->data, tensor_count(v->data) == 1 ? 0 : i);
}

/* True for NULL. */
static bool is_zero(const struct value *v)
{
    if (v && !value_is_fixed(v)) return false;
    for (int64_t i = 0, n = v ? tensor_count(v->data) : 0; i < n; i++)
        if (tensor_get_f64(v->data, i) != 0) return false;
    return true;
}

/* The integers of a bias that is quantized in units of the sums, its scale that of x times that of w; else itself. */
static struct value *bias_of(struct value *v, const struct packed *x, const struct packed *w)
{
    const struct node *n = v ? made_by(v, "DequantizeLinear") : NULL;
    if (!n || n->in[0]->dtype != DT_I32 || !is_zero(node_in(n, 2)) || n->in[0]->shape.rank != 1) return v;
    if (!value_is_fixed(n->in[1]) || !value_is_fixed(x->scale) || !value_is_fixed(w->scale)) return v;
    int64_t have = tensor_count(n->in[1]->data), channels = n->in[0]->shape.dim[0];
    if (have != 1 && have != channels) return v;
    for (int64_t i = 0; i < channels; i++) {
        double unit = of_channel(x->scale, 0) * of_channel(w->scale, i);
        if (fabs(of_channel(n->in[1], i) - unit) > 1e-5 * unit) return v;
    }
    return n->in[0];
}

static bool conv_fits(const struct value *x, const struct value *w)
{
    return x->shape.rank >= 3 && x->shape.rank <= 4 && shape_is_known(&x->shape) && shape_is_known(&w->shape) &&
        shape_span(&w->shape, 1, w->shape.rank) <= TERMS_MAX && is_byte(x) && is_byte(w);
}

static void conv(struct search *s, struct node *n)
{
    struct packed x, w;
    struct chain c;
    int64_t m = n->in[1]->shape.rank > 0 ? n->in[1]->shape.dim[0] : -1;
    if (!unpacks(n->in[0], &x) || !unpacks_weight(n->in[1], 0, m, &w) || !conv_fits(x.x, w.x)) return;
    struct value *bias = bias_of(node_in(n, 2), &x, &w);
    if (!is_bias(bias, m)) return;
    start(s, n);
    follow(s, n->out[0], &c);
    product(s, "QuantizedConv", n->attrs, n->n_attrs, &x, &w, &c, bias);
}

/* A matrix (K, N), or one that is turned first; `turned` says whether its integers are (N, K). */
static bool unpacks_matrix(struct value *v, bool *turned, struct packed *p)
{
    size_t n = 0;
    const struct node *t = made_by(v, "Transpose");
    const int64_t *perm = t ? node_ints(t, "perm", &n) : NULL;
    if (v->shape.rank != 2 || !shape_is_known(&v->shape)) return false;
    if (t && (t->in[0]->shape.rank != 2 || (n == 2 && perm[0] != 1))) return false;
    if (t) *turned = !*turned, v = t->in[0];
    return unpacks_weight(v, *turned ? 0 : 1, v->shape.dim[!*turned], p) && v->shape.dim[*turned] <= TERMS_MAX;
}

/* The sum of y and a vector of n numbers, when that is all that y is for; else y. */
static struct value *then_added(struct search *s, struct value *y, int64_t n, struct value **bias)
{
    const struct node *add = uses_only(&s->uses, y);
    if (!node_is(add, "Add") || add->n_in != 2) return y;
    struct value *v = add->in[add->in[0] == y];
    if (!is_bias(v, n) || v->dtype != DT_F32 || y->shape.rank < 1) return y;
    *bias = v;
    return add->out[0];
}

static void gemm(struct search *s, struct node *n)
{
    struct packed x, w;
    struct chain c;
    bool turned = node_is(n, "Gemm") && node_int(n, "transB");
    struct value *bias = node_is(n, "Gemm") ? node_in(n, 2) : NULL;
    if (node_is(n, "Gemm") && (node_int(n, "transA") || node_float(n, "alpha") != 1)) return;
    if (bias && node_float(n, "beta") != 1) return;
    if (!unpacks(n->in[0], &x) || !shape_is_known(&x.x->shape) || !unpacks_matrix(n->in[1], &turned, &w)) return;
    struct value *y = n->out[0];
    if (!bias) y = then_added(s, y, w.x->shape.dim[!turned], &bias);
    bias = bias_of(bias, &x, &w);
    if (!is_bias(bias, w.x->shape.dim[!turned])) return;
    start(s, n);
    follow(s, y, &c);
    product(s, "QuantizedGemm", ATTRS(attr_int("transB", turned)), 1, &x, &w, &c, bias);
}

static void sum(struct search *s, struct node *n)
{
    struct packed x, y;
    struct chain c;
    if (n->n_in != 2 || !unpacks(n->in[0], &x) || !unpacks(n->in[1], &y) || !shape_is_known(&x.x->shape)) return;
    if (!shape_equal(&x.x->shape, &y.x->shape) || !x.zero || !y.zero) return;
    follow(s, n->out[0], &c);
    if (!c.scale || !c.zero) return;
    start(s, n);
    bool bare = is_spare(c.last->node, c.low, c.high); /* ONNX Runtime makes a QLinearAdd of it */
    struct attr attrs[3] = { attr_float("low", c.low), attr_float("high", c.high) };
    if (bare) attrs[0] = attr_int("ratios", 1), attrs[1] = (struct attr){ 0 };
    struct value *r = emit(
        &s->b, "QuantizedAdd", attrs, x.x, x.scale, x.zero, y.x, y.scale, y.zero, c.scale, c.zero);
    if (r) graph_alias(c.last, r);
}

/* --- ONNX's own operators of integers --- */

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO, BIAS };

static bool matrix_fits(const struct value *a, const struct value *b)
{
    return is_byte(a) && is_byte(b) && a->shape.rank >= 1 && shape_is_known(&a->shape) && b->shape.rank == 2 &&
        shape_is_known(&b->shape) && b->shape.dim[0] <= TERMS_MAX;
}

static bool is_per_output(const struct value *v, int64_t n)
{
    return !v || is_single(v) || (v->shape.rank == 1 && v->shape.dim[0] == n);
}

static void linear(struct search *s, struct node *n, bool is_conv)
{
    struct value *x = n->in[A], *w = n->in[B];
    if (!(is_conv ? conv_fits : matrix_fits)(x, w) || !value_is_fixed(w) || !value_is_fixed(n->in[B_ZERO])) return;
    int64_t outputs = w->shape.dim[!is_conv];
    static const int floats[] = { A_SCALE, B_SCALE, Y_SCALE }, single[] = { A_SCALE, A_ZERO, Y_SCALE, Y_ZERO };
    for (int i = 0; i < 3; i++)
        if (n->in[floats[i]]->dtype != DT_F32) return;
    for (int i = 0; i < 4; i++)
        if (!is_single(n->in[single[i]])) return;
    if (!is_per_output(n->in[B_SCALE], outputs) || !is_per_output(n->in[B_ZERO], outputs)) return;
    if (!is_byte(n->out[0])) return;
    start(s, n);
    struct packed px = { x, n->in[A_SCALE], n->in[A_ZERO] }, pw = { w, n->in[B_SCALE], n->in[B_ZERO] };
    struct chain c = { n->out[0], n->in[Y_SCALE], n->in[Y_ZERO], -INFINITY, INFINITY };
    struct value *bias = is_conv ? node_in(n, BIAS) : NULL;
    product(s, is_conv ? "QuantizedConv" : "QuantizedGemm", n->attrs, is_conv ? n->n_attrs : 0, &px, &pw, &c, bias);
}

static void integers(struct search *s, struct node *n, bool is_conv)
{
    struct value *x = n->in[0], *w = n->in[1];
    if (!(is_conv ? conv_fits : matrix_fits)(x, w) || !value_is_fixed(w) || !value_is_fixed(node_in(n, 3))) return;
    if (!is_single(node_in(n, 2)) || !is_per_output(node_in(n, 3), w->shape.dim[!is_conv])) return;
    start(s, n);
    struct packed px = { x, NULL, node_in(n, 2) }, pw = { w, NULL, node_in(n, 3) };
    struct chain c = { n->out[0], NULL, NULL, -INFINITY, INFINITY };
    product(s, is_conv ? "QuantizedConv" : "QuantizedGemm", n->attrs, is_conv ? n->n_attrs : 0, &px, &pw, &c, NULL);
}

static void products(struct search *s, struct node *n)
{
    if (node_is(n, "Conv")) conv(s, n);
    else if (node_is(n, "Gemm") || node_is(n, "MatMul")) gemm(s, n);
    else if (node_is(n, "Add")) sum(s, n);
    else if (node_is(n, "QLinearConv")) linear(s, n, true);
    else if (node_is(n, "QLinearMatMul")) linear(s, n, false);
    else if (node_is(n, "ConvInteger")) integers(s, n, true);
    else if (node_is(n, "MatMulInteger")) integers(s, n, false);
}

/* --- between DQ and Q --- */

/* x in the result's steps: itself, or looked up in what `f` makes of all 256 bytes (NULL: nothing). */
static struct value *looked_up(struct search *s, const struct packed *x, const struct node *f, const struct node *q)
{
    struct value *zero = node_in(q, 2);
    if (!f && same_number(x->scale, q->in[1]) && x->zero && zero && same_number(x->zero, zero)) return x->x;
    struct shape all = shape_of(1, (int64_t[]){ 256 });
    struct tensor *t = tensor_new(s->g->arena, x->x->dtype, &all, s->e);
    if (!t) return NULL;
    for (int i = 0; i < 256; i++) tensor_set_i64(t, i, i - (x->x->dtype == DT_I8 ? 128 : 0));
    struct value *y = emit(&s->b, "DequantizeLinear", NO_ATTRS, emit_const(&s->b, t), x->scale, x->zero);
    if (f) {
        struct value *in[3] = { y, node_in(f, 1), node_in(f, 2) };
        y = builder_emit(&s->b, f->op->name, f->n_attrs ? f->attrs : NO_ATTRS, in, f->n_in);
    }
    y = builder_emit(&s->b, "QuantizeLinear", q->n_attrs ? q->attrs : NO_ATTRS,
        (struct value *[]){ y, q->in[1], zero }, 3);
    return emit(&s->b, "QuantizedLookup", NO_ATTRS, x->x, y);
}

static const char *const functions[] = { "Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Swish", "Mish",
    "Gelu", "Tanh", "Elu", "Softplus", "Clip", "Abs", "Neg", "Selu", "Celu" };

static bool is_function(const struct node *n)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (node_is(n, functions[i])) return value_is_fixed(node_in(n, 1)) && value_is_fixed(node_in(n, 2));
    return false;
}

/* 0-d; NULL stays. */
static struct value *as_number(struct search *s, struct value *v)
{
    return v && v->shape.rank ? emit(&s->b, "Reshape", NO_ATTRS, v, emit_i64s(&s->b, NULL, 0)) : v;
}

static bool is_mean(const struct node *n)
{
    static const char *const means[] = { "GlobalAveragePool", "AveragePool", "AdaptiveAveragePool", "ReduceMean" };
    for (size_t i = 0; i < sizeof means / sizeof *means; i++)
        if (node_is(n, means[i])) return true;
    return false;
}

/* Sums of whole numbers are exact in float32, so what lies half way between two steps is rounded as it should be. */
static struct value *averaged(struct search *s, const struct packed *x, const struct node *f, const struct node *q)
{
    struct value *whole = emit(&s->b, "DequantizeLinear", NO_ATTRS, x->x, emit_scalar(&s->b, DT_F32, 1), x->zero);
    struct value *in[2] = { whole, node_in(f, 1) };
    struct value *y = builder_emit(&s->b, f->op->name, f->n_attrs ? f->attrs : NO_ATTRS, in, f->n_in);
    struct value *step = emit(&s->b, "Div", NO_ATTRS, as_number(s, q->in[1]), as_number(s, x->scale));
    return emit(&s->b, "QuantizeLinear", q->n_attrs ? q->attrs : NO_ATTRS, y, step, as_number(s, node_in(q, 2)));
}

static void join(struct search *s, const struct node *n, const struct node *q)
{
    struct packed x;
    struct value **in = ARENA_ARRAY(s->g->arena, n->n_in, struct value *);
    if (!in) fail_nomem(s->e);
    for (int i = 0; i < n->n_in && in; i++)
        if (!unpacks(n->in[i], &x)) return;
    for (int i = 0; i < n->n_in && !s->e->code; i++) {
        unpacks(n->in[i], &x);
        in[i] = looked_up(s, &x, NULL, q);
    }
    if (s->e->code) return;
    struct value *y = builder_emit(&s->b, "Concat", n->attrs, in, n->n_in);
    if (y) graph_alias(q->out[0], y);
}

/* What a quantizer's own range does to a number, no node before it need do. */
static void spare(const struct node *n, struct node *q)
{
    double low, high;
    if (n && clips(n, &low, &high) && is_spare(q, low, high)) q->in[0] = value_resolve(n->in[0]);
}

static void between(struct search *s, struct node *q)
{
    struct packed x;
    if (!packs(q)) return;
    struct value *v = value_resolve(q->in[0]), *y = NULL;
    const struct node *f = v->kind == VALUE_NODE && uses_only(&s->uses, v) ? v->node : NULL;
    start(s, q);
    if (unpacks(v, &x)) y = looked_up(s, &x, NULL, q);
    else if (node_is(f, "Concat")) join(s, f, q);
    else if (is_mean(f) && unpacks(f->in[0], &x)) y = averaged(s, &x, f, q);
    else if (f && is_function(f) && unpacks(f->in[0], &x)) y = looked_up(s, &x, f, q);
    if (y) graph_alias(q->out[0], y);
    else spare(f, q);
}

static int each(struct graph *g, void (*visit)(struct search *s, struct node *n), struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, g->arena->mem);
    struct search s = { .g = g, .e = e };
    int code = uses_count(&s.uses, g, &scratch, e);
    for (size_t i = 0, n = g->n_nodes; i < n && !code; i++) {
        visit(&s, g->nodes[i]);
        code = e->code;
    }
    arena_release(&scratch);
    return code ? code : graph_tidy(g, e);
}

static bool is_quantized(const struct graph *g)
{
    static const char *const names[] = { "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
        "MatMulInteger" };
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (node_is(g->nodes[i], names[k])) return true;
    return false;
}

static int quantized(struct graph *g, struct err *e)
{
    if (!is_quantized(g)) return 0;
    TRY(each(g, sink, e));
    TRY(each(g, products, e));
    return each(g, between, e);
}

const struct pass pass_quantized = { "quantized", "operators between quantized tensors work on their integers",
    PASS_PLAN, quantized };
