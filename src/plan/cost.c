/* cost.c - counting multiply-accumulates, by one rule per kind of operator. */
#include "plan/cost.h"

#include <string.h>

#include "graph/graph.h"
#include "graph/op.h"

/* Which input is the weight, or the second factor; `data`: the first factor. */
struct cost_row {
    const char *op;
    int64_t (*macs)(const struct node *n, int data, int weight);
    int data, weight;
};

static int64_t times(int64_t a, int64_t b)
{
    int64_t r;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &r) ? MACS_UNKNOWN : r;
}

static const struct shape *shape_in(const struct node *n, int i)
{
    const struct value *v = node_in(n, i);
    return v && v->shape.rank >= 0 ? &v->shape : NULL;
}

static int64_t last_dim(const struct shape *s)
{
    return s && s->rank > 0 ? s->dim[s->rank - 1] : MACS_UNKNOWN;
}

/* Every output element takes one weight per channel of its group and kernel element: w (M, C/group, k...). */
static int64_t conv_macs(const struct node *n, int data, int weight)
{
    const struct shape *w = shape_in(n, weight);
    return w ? times(shape_count(&n->out[0]->shape), shape_span(w, 1, w->rank)) : MACS_UNKNOWN;
}

/* Every input element meets one weight per channel of the output's group and kernel element: w (C, M/group, k...). */
static int64_t conv_transpose_macs(const struct node *n, int data, int weight)
{
    const struct shape *x = shape_in(n, data), *w = shape_in(n, weight);
    return x && w ? times(shape_count(x), shape_span(w, 1, w->rank)) : MACS_UNKNOWN;
}

static int64_t gemm_macs(const struct node *n, int data, int weight)
{
    const struct shape *a = shape_in(n, data);
    if (!a || a->rank != 2) return MACS_UNKNOWN;
    return times(shape_count(&n->out[0]->shape), a->dim[node_int(n, "transA") ? 0 : 1]);
}

static int64_t matmul_macs(const struct node *n, int data, int weight)
{
    return times(shape_count(&n->out[0]->shape), last_dim(shape_in(n, data)));
}

/* x (steps, batch, in) or (batch, steps, in); w (directions, gates * hidden, in), r (.., hidden) at every step. */
static int64_t recurrent_macs(const struct node *n, int data, int weight)
{
    const struct shape *x = shape_in(n, data), *w = shape_in(n, weight), *r = shape_in(n, weight + 1);
    if (!x || !w || !r || x->rank != 3) return MACS_UNKNOWN;
    int64_t a = times(shape_span(x, 0, 2), shape_count(w)), b = times(shape_span(x, 0, 2), shape_count(r)), sum;
    return a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum) ? MACS_UNKNOWN : sum;
}

/* The product of all letters' sizes: what a plain loop over them would do. One factor alone multiplies nothing. */
static int64_t einsum_macs(const struct node *n, int data, int weight)
{
    const char *text = node_string(n, "equation");
    int64_t size[128], product = 1;
    if (!text || strstr(text, "...")) return MACS_UNKNOWN;
    if (n->n_in < 2) return MACS_NONE;
    memset(size, 0, sizeof size);
    for (int i = 0, d = 0; *text && *text != '-'; text++) {
        const struct shape *s = shape_in(n, i);
        if (*text == ',') i++, d = 0;
        if (*text == ',' || *text == ' ') continue;
        if (!s || d >= s->rank || (unsigned char)*text >= 128) return MACS_UNKNOWN;
        if (!size[(int)*text]) product = times(product, size[(int)*text] = s->dim[d]);
        d++;
    }
    return product;
}

static const struct cost_row rows[] = {
    { "Conv", conv_macs, 0, 1 },
    { "ConvInteger", conv_macs, 0, 1 },
    { "QLinearConv", conv_macs, 0, 3 },
    { "DeformConv", conv_macs, 0, 1 },
    { "ConvTranspose", conv_transpose_macs, 0, 1 },
    { "Gemm", gemm_macs, 0, 1 },
    { "MatMul", matmul_macs, 0, 1 },
    { "MatMulInteger", matmul_macs, 0, 1 },
    { "QLinearMatMul", matmul_macs, 0, 3 },
    { "LSTM", recurrent_macs, 0, 1 },
    { "GRU", recurrent_macs, 0, 1 },
    { "RNN", recurrent_macs, 0, 1 },
    { "Einsum", einsum_macs, 0, 1 },
};

int64_t node_macs(const struct node *n)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (node_is(n, rows[i].op)) return rows[i].macs(n, rows[i].data, rows[i].weight);
    return MACS_NONE;
}
