/* padding.c - zeros around an image become the padding of the window that slides over it.
 *
 *   Pad(zeros) -> Conv                    =>  Conv with pads
 *   Pad(zeros) -> AveragePool             =>  AveragePool with pads that are counted
 *
 * Keras writes a layer for them, PyTorch's exporter a node in front of each average pooling.
 */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "graph/tensor.h"
#include "pass/pass.h"
#include "pass/uses.h"

/* Zeros before and behind each spatial dimension, first all before, as a window's attribute has them; false: the node
 * pads something else, or with something else. */
static bool spatial_zeros(const struct node *pad, int64_t *to)
{
    const struct tensor *pads = value_const(pad->in[1]), *axes = node_in(pad, 3) ? value_const(pad->in[3]) : NULL;
    int rank = pad->in[0]->shape.rank;
    double with;
    if (!pads || (node_in(pad, 3) && !axes) || rank < 3 || strcmp(node_string(pad, "mode"), "constant")) return false;
    if (!node_fixed_number(pad, 2, 0, &with) || with != 0) return false;
    int n = axes ? (int)tensor_count(axes) : rank;
    memset(to, 0, sizeof *to * (size_t)(2 * (rank - 2)));
    for (int i = 0; i < 2 * n; i++) {
        int64_t axis = axes ? tensor_get_i64(axes, i % n) : i % n, zeros = tensor_get_i64(pads, i);
        if (axis < 0) axis += rank;
        if (zeros < 0 || (zeros && axis < 2)) return false;
        if (axis >= 2) to[i / n * (rank - 2) + axis - 2] = zeros;
    }
    return true;
}

/* Whether more zeros around what the window sees give what its own padding gives. */
static bool takes_zeros(const struct node *n, const struct value *x)
{
    size_t count;
    const int64_t *pads = node_ints(n, "pads", &count);
    bool none = true, pools = node_is(n, "AveragePool");
    if (n->in[0] != x || (!pools && !node_is(n, "Conv")) || strcmp(node_string(n, "auto_pad"), "NOTSET")) return false;
    for (size_t i = 0; i < count; i++) none &= !pads[i];
    return !pools || (!node_int(n, "ceil_mode") && (none || node_int(n, "count_include_pad")));
}

static int move(struct builder *b, const struct node *pad, const struct node *n, const int64_t *zeros, size_t count)
{
    size_t have, kept = 0;
    const int64_t *pads = node_ints(n, "pads", &have);
    int64_t *sum = ARENA_ARRAY(b->g->arena, count, int64_t);
    struct attr *attrs = ARENA_ARRAY(b->g->arena, n->n_attrs + 3, struct attr);
    TRY_MEM(sum && attrs, b->err);
    for (size_t i = 0; i < count; i++) sum[i] = zeros[i] + (have == count ? pads[i] : 0);
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, "pads") && strcmp(n->attrs[i].name, "count_include_pad"))
            attrs[kept++] = n->attrs[i];
    attrs[kept++] = attr_ints("pads", sum, count);
    if (node_is(n, "AveragePool")) attrs[kept++] = attr_int("count_include_pad", 1);
    struct value *in[3] = { pad->in[0], node_in(n, 1), node_in(n, 2) };
    b->where = n->where;
    b->name = n->name;
    struct value *y = builder_emit(b, n->op->name, attrs, in, n->n_in);
    if (y) graph_alias(n->out[0], y);
    return b->err->code;
}

static int padding(struct graph *g, struct err *e)
{
    struct builder b = { g, e };
    struct arena scratch;
    struct uses uses;
    arena_init(&scratch, g->arena->mem);
    int code = uses_count(&uses, g, &scratch, e);
    for (size_t i = 0, count = g->n_nodes; i < count && !code; i++) {
        int64_t zeros[2 * SHAPE_MAX];
        const struct node *pad = g->nodes[i], *n = node_is(pad, "Pad") ? uses_only(&uses, pad->out[0]) : NULL;
        if (!n || !spatial_zeros(pad, zeros) || !takes_zeros(n, pad->out[0])) continue;
        code = move(&b, pad, n, zeros, (size_t)(2 * (pad->in[0]->shape.rank - 2)));
    }
    arena_release(&scratch);
    return code ? code : graph_tidy(g, e);
}

const struct pass pass_padding = { "padding", "zeros around an image as the padding of a window", PASS_PLAN, padding };
