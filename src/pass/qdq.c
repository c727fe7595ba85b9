/* qdq.c - a real network with QuantizeLinear and DequantizeLinear around what 8-bit integers can do.
 *
 * Images are asymmetric uint8 (Jacob et al. 2018, arXiv 1712.05877), weights symmetric int8 by output channel, biases
 * int32 in steps of the two scales' product: the form that ONNX Runtime fuses too. What only moves elements keeps the
 * scale of what it moves. */
#include "pass/qdq.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "pass/fuse.h"
#include "pass/pass.h"
#include "pass/uses.h"

int qdq_prepare(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next)
            return fail(e, ERR_UNSUPPORTED, "the state %s changes while the model runs: such models are not quantized",
                g->states[i]->name);
    for (size_t i = 0; i < g->n_states; i++) g->states[i]->kind = VALUE_CONST, g->states[i]->flags = 0;
    g->n_states = 0;
    TRY(pass_simplify_graph(g, e));
    TRY(pass_fold_normalizations(g, e));
    return pass_fold_graph(g, e);
}

static bool is_real(const struct value *v)
{
    return v && v->dtype == DT_F32 && v->kind != VALUE_CONST;
}

static bool is_skipped(const struct node *n, const struct qdq_options *o)
{
    for (size_t i = 0; i < o->n_skip; i++)
        if (str_starts(n->name, o->skip[i])) return true;
    return false;
}

/* Whether the windows of a transposed convolution do not overlap: then it is a product of each pixel. */
static bool is_side_by_side(const struct node *n, const struct shape *w)
{
    size_t count = 0, pads = 0;
    const int64_t *stride = node_ints(n, "strides", &count), *pad = node_ints(n, "pads", &pads);
    for (size_t i = 0; i < pads; i++)
        if (pad[i]) return false;
    bool square = w->rank == 4 && count == 2 && stride[0] == stride[1];
    return square && node_int(n, "group") == 1 && stride[0] == w->dim[2] && stride[1] == w->dim[3];
}

/* The dimension of output channels in the fixed weight of a convolution or product; -1: it is none, or stays real. */
static int weight_axis(const struct node *n)
{
    const struct tensor *w = n->n_in > 1 && n->in[1] ? value_const(n->in[1]) : NULL;
    const struct value *bias = node_in(n, 2);
    if (!w || w->dtype != DT_F32 || !is_real(n->in[0])) return -1;
    bool plain_bias = !bias || (value_const(bias) && bias->dtype == DT_F32 && bias->shape.rank == 1);
    if (node_is(n, "Conv")) return w->shape.rank >= 3 && w->shape.rank <= 4 && plain_bias ? 0 : -1;
    if (node_is(n, "ConvTranspose")) return is_side_by_side(n, &w->shape) && plain_bias ? 1 : -1;
    if (node_is(n, "MatMul")) return w->shape.rank == 2 ? 1 : -1;
    if (!node_is(n, "Gemm") || node_int(n, "transA") || node_float(n, "alpha") != 1) return -1;
    if (bias && (!plain_bias || node_float(n, "beta") != 1)) return -1;
    int axis = node_int(n, "transB") ? 0 : 1;
    return bias && tensor_count(bias->data) != w->shape.dim[axis] ? -1 : axis;
}

static bool is_sum(const struct node *n)
{
    return node_is(n, "Add") && is_real(n->in[0]) && is_real(n->in[1]) && n->in[0]->shape.rank > 1 &&
        shape_equal(&n->in[0]->shape, &n->in[1]->shape);
}

static bool moves(const struct node *n)
{
    static const char *const names[] = { "MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze",
        "Slice" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (node_is(n, names[i])) return n->n_out == 1;
    return false;
}

/* Marks of values, by id. */
static int mark(const struct graph *g, const struct qdq_options *o, bool *marked)
{
    int found = 0;
    for (size_t i = g->n_nodes; i-- > 0;) {
        const struct node *n = g->nodes[i];
        bool wanted = marked[n->out[0]->id];
        if (wanted && moves(n) && is_real(n->in[0])) marked[n->in[0]->id] = true;
        if (wanted && node_is(n, "Concat"))
            for (int k = 0; k < n->n_in; k++)
                if (is_real(n->in[k])) marked[n->in[k]->id] = true;
        if (is_skipped(n, o)) continue;
        if (weight_axis(n) >= 0) marked[n->in[0]->id] = true, found++;
        if (is_sum(n)) marked[n->in[0]->id] = marked[n->in[1]->id] = true;
    }
    return found;
}

static int check_skip(const struct graph *g, const struct qdq_options *o, struct err *e)
{
    for (size_t i = 0; i < o->n_skip; i++) {
        bool found = false;
        for (size_t k = 0; k < g->n_nodes; k++) found |= str_starts(g->nodes[k]->name, o->skip[i]);
        if (!found)
            return fail(e, ERR_USAGE, "--skip %s: no node's name begins so (tenrec show lists them)", o->skip[i]);
    }
    return 0;
}

int qdq_values(struct graph *g, const struct qdq_options *o, struct value ***values, size_t *n, struct err *e)
{
    bool *marked = ARENA_ARRAY(g->arena, g->n_values, bool);
    *values = ARENA_ARRAY(g->arena, g->n_values, struct value *);
    *n = 0;
    if (!marked || !*values) return fail_nomem(e);
    TRY(check_skip(g, o, e));
    if (!mark(g, o, marked))
        return fail(e, ERR_UNSUPPORTED, "there is no convolution or product with fixed weights to quantize");
    for (size_t i = 0; i < g->n_values; i++)
        if (marked[i]) (*values)[(*n)++] = g->values[i];
    return 0;
}

/* --- putting the pairs in --- */

struct packer {
    struct graph *g;
    struct builder b;
    const struct qdq_options *o;
    struct value **scale, **zero, **result; /* by value id: of what was quantized; NULL: it was not */
    struct err *e;
};

static void named(struct packer *p, const char *of, const char *what)
{
    p->b.name = arena_printf(p->g->arena, "%s_%s", of, what);
}

static struct value *u8(struct packer *p, double v)
{
    struct shape s = shape_of(0, NULL);
    struct tensor *t = tensor_new(p->g->arena, DT_U8, &s, p->e);
    if (t) tensor_set_i64(t, 0, (int64_t)v);
    return t ? emit_const(&p->b, t) : NULL;
}

/* The source whose elements `v` has, when that is quantized; its own otherwise. */
static const struct value *source(const struct value *v)
{
    while (v->kind == VALUE_NODE && moves(v->node) && is_real(v->node->in[0])) v = v->node->in[0];
    return v;
}

static void pair(struct packer *p, struct value *v, struct range r)
{
    const struct value *from = source(v);
    double low = fmin(r.low, 0), high = fmax(r.high, 0), scale = (double)(float)((high - low) / 255);
    if (!(scale > 1e-30)) scale = 1;
    if (from != v && p->scale[from->id]) p->scale[v->id] = p->scale[from->id], p->zero[v->id] = p->zero[from->id];
    else p->scale[v->id] = emit_scalar(&p->b, DT_F32, scale), p->zero[v->id] = u8(p, fmin(rint(-low / scale), 255));
    named(p, v->name, "QuantizeLinear");
    struct value *q = emit(&p->b, "QuantizeLinear", NO_ATTRS, v, p->scale[v->id], p->zero[v->id]);
    named(p, v->name, "DequantizeLinear");
    p->result[v->id] = emit(&p->b, "DequantizeLinear", NO_ATTRS, q, p->scale[v->id], p->zero[v->id]);
}

/* The largest magnitude of each channel over the steps there are. */
static struct tensor *channel_scales(struct packer *p, const struct tensor *w, int axis)
{
    struct shape s = shape_of(1, &w->shape.dim[axis]);
    struct tensor *t = tensor_new(p->g->arena, DT_F32, &s, p->e);
    int64_t inner = shape_span(&w->shape, axis + 1, w->shape.rank), n = w->shape.dim[axis];
    if (!t) return NULL;
    float *to = t->data;
    for (int64_t i = 0; i < tensor_count(w); i++) {
        int64_t c = i / inner % n;
        to[c] = fmaxf(to[c], (float)fabs(tensor_get_f64(w, i)));
    }
    float steps = p->o->weight_bits == 7 ? 63 : 127;
    for (int64_t c = 0; c < n; c++) to[c] = to[c] > 0 && isfinite(to[c]) ? to[c] / steps : 1;
    return t;
}

/* Numbers in steps of the scales along `axis` times `factor`. */
static struct tensor *in_steps(
    struct packer *p, const struct tensor *w, int axis, const struct tensor *scales, double factor, enum dtype t)
{
    struct tensor *q = tensor_new(p->g->arena, t, &w->shape, p->e);
    int64_t inner = shape_span(&w->shape, axis + 1, w->shape.rank), n = w->shape.dim[axis];
    double most = t == DT_I8 ? 127 : 2147483647;
    for (int64_t i = 0; q && i < tensor_count(w); i++) {
        double v = rint(tensor_get_f64(w, i) / (tensor_get_f64(scales, i / inner % n) * factor));
        tensor_set_i64(q, i, (int64_t)(isnan(v) ? 0 : fmax(fmin(v, most), -most)));
    }
    return q;
}

static struct value *unpacked(struct packer *p, const char *name, const struct tensor *q, struct value *scale, int axis)
{
    struct shape s = scale->shape;
    struct tensor *zero = tensor_new(p->g->arena, q->dtype, &s, p->e);
    named(p, name, "quantized");
    struct value *c = zero ? graph_const(p->g, p->b.name, q, p->e) : NULL;
    if (!c) return NULL;
    named(p, name, "DequantizeLinear");
    return emit(&p->b, "DequantizeLinear", ATTRS(attr_int("axis", axis)), c, scale, emit_const(&p->b, zero));
}

static void weights(struct packer *p, struct node *n, int axis)
{
    const struct tensor *w = n->in[1]->data, *b = node_in(n, 2) ? n->in[2]->data : NULL;
    struct value *x = p->scale[n->in[0]->id];
    struct tensor *scales = channel_scales(p, w, axis), *q = scales ? in_steps(p, w, axis, scales, 1, DT_I8) : NULL;
    if (!q) return;
    const char *name = n->in[1]->name;
    n->in[1] = unpacked(p, name, q, emit_const(&p->b, scales), axis);
    if (!b || p->e->code) return;
    double factor = tensor_get_f64(x->data, 0);
    struct tensor *both = tensor_copy(p->g->arena, DT_F32, &scales->shape, scales->data, p->e);
    for (int64_t i = 0; both && i < tensor_count(both); i++)
        tensor_set_f64(both, i, tensor_get_f64(scales, i) * factor);
    struct tensor *qb = both ? in_steps(p, b, 0, both, 1, DT_I32) : NULL;
    if (qb) n->in[2] = unpacked(p, n->in[2]->name, qb, emit_const(&p->b, both), 0);
}

static void rewire(struct packer *p, size_t n_nodes, size_t n_values)
{
    for (size_t i = 0; i < n_nodes; i++) {
        struct node *n = p->g->nodes[i];
        int axis = is_skipped(n, p->o) ? -1 : weight_axis(n);
        if (p->e->code) return;
        if (axis >= 0 && p->result[n->in[0]->id]) weights(p, n, axis);
        for (int k = 0; k < n->n_in && !p->e->code; k++)
            if (n->in[k] && (size_t)n->in[k]->id < n_values && p->result[n->in[k]->id])
                n->in[k] = p->result[n->in[k]->id];
    }
}

int qdq_apply(struct graph *g, const struct qdq_options *o, struct value *const *values, const struct range *ranges,
    size_t n, struct err *e)
{
    size_t n_nodes = g->n_nodes, n_values = g->n_values;
    struct value **lists = ARENA_ARRAY(g->arena, 3 * n_values, struct value *);
    TRY_MEM(lists, e);
    struct packer p = { .g = g, .b = { g, e }, .o = o, .scale = lists, .zero = lists + n_values,
        .result = lists + 2 * n_values, .e = e };
    for (size_t i = 0; i < n && !e->code; i++) pair(&p, values[i], ranges[i]);
    if (!e->code) rewire(&p, n_nodes, n_values);
    return e->code ? e->code : graph_tidy(g, e);
}
