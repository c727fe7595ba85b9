/* fold.c - inference and constant folding in one walk: what depends on constants or on known shapes becomes
 * constant. */
#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/control.h"
#include "ops/kernel.h"
#include "pass/bodies.h"
#include "pass/pass.h"

/* A constant larger than this is made only if what it came from was as large: ConstantOfShape stays a node. */
enum { MAX_GROWN = 1 << 20 };

/* `unpack`: also what is kept packed in files. */
static bool is_foldable(const struct node *n, bool unpack)
{
    if (n->op->flags & OP_UNPACKS && !unpack) return false;
    if (n->op->flags & (OP_RANDOM | OP_EFFECT) || !n->op->run) return false;
    if (n->op->flags & OP_SHAPE_ONLY && !(n->in[0] && shape_is_known(&n->in[0]->shape))) return false;
    for (int i = n->op->flags & OP_SHAPE_ONLY ? 1 : 0; i < n->n_in; i++)
        if (n->in[i] && !value_const(n->in[i])) return false;
    for (int i = 0; i < n->n_out; i++)
        if (dtype_is_container(n->out[i]->dtype)) return false; /* no file can hold it */
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

static int fold_range(struct graph *g, size_t from, size_t to, bool unpack, struct err *e);

/* The nodes that stand for one that holds graphs, folded in turn. */
static int fold_inlined(struct graph *g, struct node *n, bool unpack, struct err *e)
{
    size_t first = g->n_nodes;
    struct value **out = ARENA_ARRAY(g->arena, n->n_out, struct value *);
    TRY_MEM(out, e);
    struct builder b = { g, e, .where = n->where };
    if (n->op->expand(&b, n, out) || e->code) return node_err(n, e);
    for (int i = 0; i < n->n_out; i++) graph_alias(n->out[i], out[i]);
    return fold_range(g, first, g->n_nodes, unpack, e);
}

static int fold_bodies(struct node *n, struct err *e)
{
    bool branches = node_is(n, "If"), other_fits = true;
    TRY(pass_capture_constants(n, e));
    for (size_t i = 0; i < n->n_attrs; i++) {
        struct graph *body = n->attrs[i].type == ATTR_GRAPH ? n->attrs[i].graph : NULL;
        if (body && body->barred) other_fits = false;
    }
    for (size_t i = 0; i < n->n_attrs; i++) {
        struct graph *body = n->attrs[i].type == ATTR_GRAPH ? n->attrs[i].graph : NULL;
        int code = body && !body->barred ? pass_fold_graph(body, e) : 0;
        if (code != ERR_SHAPE || !branches || !other_fits) TRY(code);
        if (!code) continue;
        err_clear(e); /* found out while it was folded: barred like those found out before */
        body->barred = true;
        other_fits = false;
        TRY(graph_tidy(body, e));
    }
    return n->op->infer(n, e) ? node_err(n, e) : 0;
}

static int fold_range(struct graph *g, size_t from, size_t to, bool unpack, struct err *e)
{
    for (size_t i = from; i < to; i++) {
        struct node *n = g->nodes[i];
        TRY(pass_infer_node(n, e));
        if (node_is(n, "If") && control_unrolls(n)) TRY(fold_inlined(g, n, unpack, e));
        else if (control_is(n)) TRY(fold_bodies(n, e));
        else if (is_foldable(n, unpack) && !is_too_large(n)) TRY(fold_node(g, n, e));
    }
    return 0;
}

int pass_fold_graph(struct graph *g, struct err *e)
{
    TRY(fold_range(g, 0, g->n_nodes, false, e));
    return graph_tidy(g, e);
}

int pass_fold_unpacked(struct graph *g, struct err *e)
{
    TRY(fold_range(g, 0, g->n_nodes, true, e));
    return graph_tidy(g, e);
}

const struct pass pass_fold = { "fold", "infer shapes; compute what depends on constants only", PASS_IMPORT,
    pass_fold_graph };
