/* fuse.c - convolutions take in what follows them: a fixed batch normalisation, a residual, an activation.
 *
 *   Conv -> BatchNormalization -> Add(residual) -> activation      =>  FusedConv, of a folded weight and bias
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

/* What a convolution will become. */
struct chain {
    struct node *conv;
    struct value *weight, *bias, *residual, *last;
    const char *activation;
    double alpha, beta;
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
    if (!n || !is_foldable(c->conv, n)) return;
    struct builder b = { f->g, f->e, .where = n->where };
    const struct attr epsilon = attr_float("epsilon", node_float(n, "epsilon"));
    const struct attr axis = attr_int("axis", node_is(c->conv, "ConvTranspose"));
    struct value *bias = node_in(c->conv, 2);
    c->weight = emit(&b, "FoldedWeight", ATTRS(epsilon, axis), c->weight, n->in[1], n->in[4]);
    if (bias) c->bias = emit(&b, "FoldedBias", ATTRS(epsilon), n->in[1], n->in[2], n->in[3], n->in[4], bias);
    else c->bias = emit(&b, "FoldedBias", ATTRS(epsilon), n->in[1], n->in[2], n->in[3], n->in[4]);
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

static int emit_fused(struct fusion *f, const struct chain *c)
{
    const struct node *n = c->conv;
    struct builder b = { f->g, f->e, .where = n->where, .name = n->name };
    struct attr *attrs = ARENA_ARRAY(f->g->arena, n->n_attrs + 4, struct attr);
    size_t count = n->n_attrs;
    TRY_MEM(attrs, f->e);
    if (count) memcpy(attrs, n->attrs, count * sizeof *attrs);
    const char *op = n->op->name;
    if (c->residual || c->activation) {
        op = "FusedConv";
        if (c->activation) attrs[count++] = attr_string("activation", c->activation);
        attrs[count++] = attr_float("alpha", c->alpha);
        attrs[count++] = attr_float("beta", c->beta);
    }
    struct value *in[4] = { n->in[0], c->weight, c->bias, c->residual };
    struct value *y = builder_emit(&b, op, attrs, in, c->residual ? 4 : c->bias ? 3 : 2);
    if (f->e->code) return f->e->code;
    graph_alias(c->last, y);
    return 0;
}

static int fold_conv(struct fusion *f, struct node *n)
{
    struct chain c = { .conv = n, .weight = n->in[1], .bias = node_in(n, 2), .last = n->out[0] };
    take_normalization(f, &c);
    return f->e->code || c.last == n->out[0] ? f->e->code : emit_fused(f, &c);
}

static int fuse_conv(struct fusion *f, struct node *n)
{
    struct chain c = { .conv = n, .weight = n->in[1], .bias = node_in(n, 2), .last = n->out[0] };
    take_normalization(f, &c);
    if (node_is(n, "Conv")) {
        take_residual(f, &c);
        take_activation(f, &c);
    }
    if (f->e->code || c.last == n->out[0]) return f->e->code;
    return emit_fused(f, &c);
}

static int each_conv(struct graph *g, int (*visit)(struct fusion *f, struct node *n), struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, g->arena->mem);
    struct fusion f = { .g = g, .e = e };
    int code = uses_count(&f.uses, g, &scratch, e);
    size_t n = g->n_nodes;
    for (size_t i = 0; i < n && !code; i++)
        if (node_is(g->nodes[i], "Conv") || node_is(g->nodes[i], "ConvTranspose")) code = visit(&f, g->nodes[i]);
    arena_release(&scratch);
    return code ? code : graph_tidy(g, e);
}

int pass_fold_normalizations(struct graph *g, struct err *e)
{
    return each_conv(g, fold_conv, e);
}

static int fuse(struct graph *g, struct err *e)
{
    return each_conv(g, fuse_conv, e);
}

const struct pass pass_fuse = { "fuse", "convolutions take in what follows them", PASS_PLAN, fuse };
