/* fold.c - inference and constant folding in one walk: what depends on constants or on known shapes becomes
 * constant. */
#include "base/arena.h"
#include "base/err.h"
#include "graph/op.h"
#include "ops/kernel.h"
#include "pass/pass.h"

/* A constant larger than this is made only if what it came from was as large: ConstantOfShape stays a node. */
enum { MAX_GROWN = 1 << 20 };

static bool is_foldable(const struct node *n)
{
    if (n->op->flags & (OP_RANDOM | OP_EFFECT) || !n->op->run) return false;
    if (n->op->flags & OP_SHAPE_ONLY && !(n->in[0] && shape_is_known(&n->in[0]->shape))) return false;
    for (int i = n->op->flags & OP_SHAPE_ONLY ? 1 : 0; i < n->n_in; i++)
        if (n->in[i] && !value_const(n->in[i])) return false;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == ATTR_GRAPH) return false;
    return true;
}

static bool is_too_large(const struct node *n)
{
    int64_t in = MAX_GROWN, out = 0;
    for (int i = 0; i < n->n_in; i++)
        if (value_const(n->in[i])) in += tensor_bytes(n->in[i]->data);
    for (int i = 0; i < n->n_out; i++) {
        int64_t count = shape_count(&n->out[i]->shape);
        if (count > 0) out += count * (int64_t)dtype_size(n->out[i]->dtype);
    }
    return out > in;
}

static int fold_node(struct graph *g, struct node *n, struct err *e)
{
    struct tensor **in = ARENA_ARRAY(g->arena, n->n_in + n->n_out, struct tensor *), **out = in + n->n_in;
    TRY_MEM(in, e);
    struct tensor shape_only;
    for (int i = 0; i < n->n_in; i++) in[i] = n->in[i] ? (struct tensor *)(uintptr_t)value_const(n->in[i]) : NULL;
    if (n->op->flags & OP_SHAPE_ONLY && !in[0]) {
        shape_only = (struct tensor){ .dtype = n->in[0]->dtype, .shape = n->in[0]->shape };
        in[0] = &shape_only;
    }
    TRY(op_eval(n, in, out, g->arena, 1, e));
    for (int i = 0; i < n->n_out; i++) {
        struct value *c = graph_const(g, NULL, out[i], e);
        if (!c) return e->code;
        graph_alias(n->out[i], c);
    }
    return 0;
}

static void forget(struct value *v)
{
    v->dtype = DT_NONE;
    v->shape = shape_unknown();
    v->known = NULL;
}

static int infer_again(struct node *n, struct err *e)
{
    for (int i = 0; i < n->n_in; i++) n->in[i] = value_resolve(n->in[i]);
    if (!n->op->infer) return 0;
    for (int i = 0; i < n->n_out; i++) forget(n->out[i]);
    int code = n->op->infer(n, e);
    if (!code && n->op->contents) code = n->op->contents(n, e);
    if (!code && n->graph->arena->failed) code = fail_nomem(e);
    return code ? node_err(n, e) : 0;
}

int pass_fold_graph(struct graph *g, struct err *e)
{
    size_t n = g->n_nodes;
    for (size_t i = 0; i < n; i++) {
        TRY(infer_again(g->nodes[i], e));
        if (is_foldable(g->nodes[i]) && !is_too_large(g->nodes[i])) TRY(fold_node(g, g->nodes[i], e));
    }
    return graph_tidy(g, e);
}

const struct pass pass_fold = { "fold", "infer shapes; compute what depends on constants only", PASS_IMPORT,
    pass_fold_graph };
