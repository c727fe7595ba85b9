/* expand.c - composite operators become simpler ones. */
#include "pass/expand.h"

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"

enum { MAX_ROUNDS = 8 }; /* no row expands into itself; a chain of rows is short */

static int expand_node(struct graph *g, const struct node *n, struct err *e)
{
    struct value **out = ARENA_ARRAY(g->arena, n->n_out, struct value *);
    TRY_MEM(out, e);
    struct builder b = { g, e, .where = n->where };
    int code = n->op->expand(&b, n, out);
    if (code || e->code) return node_err(n, e);
    for (int i = 0; i < n->n_out; i++)
        if (out[i]) graph_alias(n->out[i], out[i]);
    return 0;
}

/* With `may_stay`, what refuses to be expanded stays as it is. */
static int expand(struct graph *g, bool (*which)(const struct node *n), bool may_stay, struct err *e)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        size_t n = g->n_nodes, found = 0, stayed = 0;
        for (size_t i = 0; i < n; i++) {
            struct node *node = g->nodes[i];
            for (int k = 0; k < node->n_in; k++) node->in[k] = value_resolve(node->in[k]);
            if (!node->op->expand || !which(node)) continue;
            int code = expand_node(g, node, e);
            if (code == ERR_UNSUPPORTED && may_stay) err_clear(e), stayed++;
            else if (code) return code;
            else found++;
        }
        if (!found) return stayed ? graph_tidy(g, e) : 0;
        TRY(graph_tidy(g, e));
    }
    return fail(e, ERR_FAILED, "an operator keeps expanding into itself");
}

int graph_expand(struct graph *g, bool (*which)(const struct node *n), struct err *e)
{
    return expand(g, which, false, e);
}

int graph_expand_some(struct graph *g, bool (*which)(const struct node *n), struct err *e)
{
    return expand(g, which, true, e);
}
