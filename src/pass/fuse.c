/* fuse.c - convolutions and products take in what follows them: a bias or a fixed batch normalisation, a residual, an
 * activation; other such normalisations the joining in front of them, and Relu.
 *
 *   Conv -> BatchNormalization -> Add(residual) -> activation      =>  FusedConv, of a folded weight and bias
 *   MatMul -> Add(bias) -> Add(residual) -> activation             =>  FusedMatMul, where the matrix never changes
 *   Concat(channels) -> BatchNormalization -> Relu                 =>  FusedNormalization, where it is fixed
 *
 * Each but the first may be missing. A normalisation is folded when all its numbers are weights that never change; the
 * folding is two nodes of weights alone, which a plan computes once per model. A state that changes is never folded.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "pass/fuse.h"
#include "pass/pass.h"
#include "pass/uses.h"

struct fusion {
    struct graph *g;
    struct uses uses;
    struct err *e;
};

/* What a convolution or product will become. */
struct chain {
    struct node *first;
    struct value *weight, *bias, *residual, *last;
    const char *activation;
    double alpha, beta;
    bool turned; /* of a product: the weight is (n, k) */
};

static bool is_foldable(const struct node *conv, const struct node *n)
{
    if (!node_is(n, "BatchNormalization") || n->in[0] != conv->out[0] || node_int(n, "training_mode")) return false;
    if (n->n_out > 1 || !value_is_fixed(conv->in[1]) || !value_is_fixed(node_in(conv, 2))) return false;
    if (node_is(conv, "ConvTranspose") && node_int(conv, "group") != 1) return false;
    for (int i = 1; i < 5; i++)
        if (!value_is_fixed(n->in[i]) || n->in[i]->dtype != conv->in[1]->dtype) return false;
    return true;
}

static void take_normalization(struct fusion *f, struct chain *c)
{
    struct node *n = uses_only(&f->uses, c->last);
    if (!n || !is_foldable(c->first, n)) return;
    struct builder b = { f->g, f->e, .where = n->where };
    const struct attr epsilon = attr_float("epsilon", node_float(n, "epsilon"));
    const struct attr axis = attr_int("axis", node_is(c->first, "ConvTranspose"));
    struct value *bias = node_in(c->first, 2);
    c->weight = emit(&b, "FoldedWeight", ATTRS(epsilon, axis), c->weight, n->in[1], n->in[4]);
    if (bias) c->bias = emit(&b, "FoldedBias", ATTRS(epsilon), n->in[1], n->in[2], n->in[3], n->in[4], bias);
    else c->bias = emit(&b, "FoldedBias", ATTRS(epsilon), n->in[1], n->in[2], n->in[3], n->in[4]);
    c->last = n->out[0];
}

/* A vector that never changes, one number for each column. */
static void take_bias(struct fusion *f, struct chain *c)
{
    struct node *n = uses_only(&f->uses, c->last);
    if (!node_is(n, "Add") || c->bias) return;
    struct value *v = n->in[n->in[0] == c->last];
    int rank = c->last->shape.rank;
    if (!value_is_fixed(v) || v->dtype != c->last->dtype || v->shape.rank != 1) return;
    if (rank < 1 || v->shape.dim[0] != c->last->shape.dim[rank - 1]) return;
    c->bias = v;
    c->last = n->out[0];
}

static void take_residual(struct fusion *f, struct chain *c)
{
    struct node *n = uses_only(&f->uses, c->last);
    if (!node_is(n, "Add") && !(node_is(n, "Sum") && n->n_in == 2)) return;
    struct value *other = n->in[n->in[0] == c->last];
    if (!shape_is_known(&other->shape) || !shape_equal(&other->shape, &c->last->shape)) return;
    if (other->dtype != c->last->dtype) return;
    c->residual = other;
    c->last = n->out[0];
    f->uses.taken[n->id] = true;
}

/* The names of the attributes that FusedConv's alpha and beta are. */
static const struct {
    const char *op, *alpha;
} activations[] = {
    { "Relu", NULL }, { "LeakyRelu", "alpha" }, { "Elu", "alpha" },  { "Sigmoid", NULL }, { "Tanh", NULL },
    { "Mish", NULL }, { "Swish", "alpha" },     { "HardSwish", NULL }, { "Gelu", NULL },
};

static bool is_activation(const struct node *n, struct chain *c)
{
    if (node_is(n, "Clip")) {
        c->activation = "Clip";
        return node_fixed_number(n, 1, -INFINITY, &c->alpha) && node_fixed_number(n, 2, INFINITY, &c->beta);
    }
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        if (!node_is(n, activations[i].op)) continue;
        c->activation = activations[i].op;
        c->alpha = activations[i].alpha ? node_float(n, activations[i].alpha) : 0;
        if (node_is(n, "Gelu")) c->alpha = !strcmp(node_string(n, "approximate"), "tanh");
        return true;
    }
    return false;
}

/* x * sigmoid(x), as ONNX before 24 spells Swish; its result, or NULL. */
static struct value *spelled_swish(const struct fusion *f, const struct value *x)
{
    const struct readers *u = &f->uses.of[x->id];
    for (int k = 0; u->n == 2 && k < 2; k++) {
        const struct node *gate = u->by[k], *product = u->by[!k];
        if (!node_is(gate, "Sigmoid") || !node_is(product, "Mul")) continue;
        if (uses_only(&f->uses, gate->out[0]) == product && product->in[0] != product->in[1]) return product->out[0];
    }
    return NULL;
}

static void take_activation(struct fusion *f, struct chain *c)
{
    struct node *n = uses_only(&f->uses, c->last);
    struct chain with = *c;
    struct value *swish = spelled_swish(f, c->last);
    if (swish) {
        c->activation = "Swish";
        c->alpha = 1;
        c->last = swish;
    } else if (n && n->in[0] == c->last && is_activation(n, &with)) {
        *c = with;
        c->last = n->out[0];
    }
}

/* A Gemm's factors are 1 where it is fused, and which way its matrix lies is the chain's to say. */
static bool is_of_gemm(const char *name)
{
    return !strcmp(name, "alpha") || !strcmp(name, "beta") || !strncmp(name, "trans", 5);
}

static int emit_fused(struct fusion *f, const struct chain *c, const char *op)
{
    const struct node *n = c->first;
    struct builder b = { f->g, f->e, .where = n->where, .name = n->name };
    struct attr *attrs = ARENA_ARRAY(f->g->arena, n->n_attrs + 5, struct attr);
    size_t count = 0;
    TRY_MEM(attrs, f->e);
    for (size_t i = 0; i < n->n_attrs; i++)
        if (!is_of_gemm(n->attrs[i].name)) attrs[count++] = n->attrs[i];
    if (op != n->op->name) {
        if (c->activation) attrs[count++] = attr_string("activation", c->activation);
        attrs[count++] = attr_float("alpha", c->alpha);
        attrs[count++] = attr_float("beta", c->beta);
        if (c->turned) attrs[count++] = attr_int("transB", 1);
    }
    struct value *in[4] = { n->in[0], c->weight, c->bias, c->residual };
    struct value *y = builder_emit(&b, op, attrs, in, c->residual ? 4 : c->bias ? 3 : 2);
    if (f->e->code) return f->e->code;
    graph_alias(c->last, y);
    return 0;
}

static struct chain chain_of(struct node *n)
{
    return (struct chain){ .first = n, .weight = n->in[1], .bias = node_in(n, 2), .last = n->out[0] };
}

static int fold_conv(struct fusion *f, struct node *n)
{
    struct chain c = chain_of(n);
    take_normalization(f, &c);
    return f->e->code || c.last == n->out[0] ? f->e->code : emit_fused(f, &c, n->op->name);
}

static int fuse_conv(struct fusion *f, struct node *n)
{
    struct chain c = chain_of(n);
    take_normalization(f, &c);
    if (node_is(n, "Conv")) {
        take_residual(f, &c);
        take_activation(f, &c);
    }
    if (f->e->code || c.last == n->out[0]) return f->e->code;
    return emit_fused(f, &c, c.residual || c.activation ? "FusedConv" : n->op->name);
}

/* Rows times one matrix, and nothing else than that and a vector of columns. */
static bool is_rows(const struct node *n)
{
    const struct value *x = n->in[0], *w = n->in[1], *bias = node_in(n, 2);
    if (w->shape.rank != 2 || x->shape.rank < 2 || x->dtype != w->dtype) return false;
    if (!node_is(n, "Gemm")) return true;
    if (node_int(n, "transA") || node_float(n, "alpha") != 1 || node_float(n, "beta") != 1) return false;
    return !bias || (bias->shape.rank == 1 && bias->shape.dim[0] == n->out[0]->shape.dim[1]);
}

/* A matrix that is only turned for this is taken as it lies. */
static bool take_turned(struct chain *c)
{
    const struct node *turn = made_by(c->weight, "Transpose");
    size_t n;
    const int64_t *perm = turn ? node_ints(turn, "perm", &n) : NULL;
    if (!turn || (perm && perm[0] == 0)) return false; /* turns nothing */
    c->weight = turn->in[0];
    c->turned = !c->turned;
    return true;
}

static int fuse_product(struct fusion *f, struct node *n)
{
    if (!is_rows(n)) return 0;
    struct chain c = chain_of(n);
    c.turned = node_is(n, "Gemm") && node_int(n, "transB");
    bool found = take_turned(&c);
    if (value_is_fixed(c.weight)) {
        take_bias(f, &c);
        take_residual(f, &c);
        take_activation(f, &c);
    }
    return c.last == n->out[0] && !found ? 0 : emit_fused(f, &c, "FusedMatMul");
}

/* A fixed normalisation of float32 that no convolution took. */
static bool is_fixed_norm(const struct node *n)
{
    if (node_int(n, "training_mode") || n->n_out > 1 || n->out[0]->dtype != DT_F32 || n->out[0]->shape.rank < 2)
        return false;
    for (int i = 1; i < 5; i++)
        if (!value_is_fixed(n->in[i]) || n->in[i]->dtype != DT_F32) return false;
    return true;
}

static int fuse_norm(struct fusion *f, struct node *n)
{
    struct builder b = { f->g, f->e, .where = n->where, .name = n->name };
    if (!is_fixed_norm(n)) return 0;
    const struct node *join = made_by(n->in[0], "Concat"), *act = uses_only(&f->uses, n->out[0]);
    if (join && (uses_only(&f->uses, n->in[0]) != n || shape_axis(node_int(join, "axis"), n->out[0]->shape.rank) != 1))
        join = NULL;
    if (!node_is(act, "Relu")) act = NULL;
    if (!join && !act) return 0;
    int n_in = 5 + (join ? join->n_in - 1 : 0);
    struct value **in = ARENA_ARRAY(f->g->arena, n_in, struct value *);
    TRY_MEM(in, f->e);
    for (int i = 0; i < n_in; i++) in[i] = i < 5 ? n->in[i] : join->in[i - 4];
    if (join) in[0] = join->in[0];
    struct value *y = builder_emit(&b, "FusedNormalization", ATTRS(attr_string("activation", act ? "Relu" : ""),
        attr_float("epsilon", node_float(n, "epsilon"))), in, n_in);
    if (f->e->code) return f->e->code;
    graph_alias(act ? act->out[0] : n->out[0], y);
    return 0;
}

struct visit {
    const char *op;
    int (*visit)(struct fusion *f, struct node *n);
};

static int each(struct graph *g, const struct visit *visits, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, g->arena->mem);
    struct fusion f = { .g = g, .e = e };
    int code = uses_count(&f.uses, g, &scratch, e);
    size_t n = g->n_nodes;
    for (size_t i = 0; i < n && !code; i++)
        for (const struct visit *v = visits; v->op && !code; v++)
            if (node_is(g->nodes[i], v->op)) code = v->visit(&f, g->nodes[i]);
    arena_release(&scratch);
    return code ? code : graph_tidy(g, e);
}

int pass_fold_normalizations(struct graph *g, struct err *e)
{
    static const struct visit visits[] = { { "Conv", fold_conv }, { "ConvTranspose", fold_conv }, { 0 } };
    return each(g, visits, e);
}

static int fuse(struct graph *g, struct err *e)
{
    static const struct visit visits[] = { { "Conv", fuse_conv }, { "ConvTranspose", fuse_conv },
        { "MatMul", fuse_product }, { "Gemm", fuse_product }, { 0 } };
    static const struct visit left[] = { { "BatchNormalization", fuse_norm }, { 0 } };
    TRY(each(g, visits, e));
    return each(g, left, e);
}

const struct pass pass_fuse = { "fuse", "convolutions, products and normalisations take in what stands around them",
    PASS_PLAN, fuse };
