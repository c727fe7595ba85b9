/* mode.c - training mode and precision. */
#include "pass/mode.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "pass/pass.h"

/* The attributes of a node with one set, for a fresh node. */
static struct attr *with_attr(const struct node *n, struct attr fresh, struct err *e)
{
    struct attr *list = ARENA_ARRAY(n->graph->arena, n->n_attrs + 2, struct attr);
    if (!list) return fail_nomem(e), NULL;
    size_t count = 0;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, fresh.name)) list[count++] = n->attrs[i];
    list[count] = fresh;
    return list;
}

static int train_batch_norm(struct graph *g, struct node *n, const struct train_mode *how, struct err *e)
{
    struct value *mean = n->in[3], *var = n->in[4];
    if (mean->kind != VALUE_STATE || var->kind != VALUE_STATE || mean->next || var->next) return 0;
    if (how->stats_move && !how->stats_move(how->cookie, mean)) return 0;
    struct attr *attrs = with_attr(n, attr_int("training_mode", 1), e);
    if (!attrs) return e->code;
    struct node m = *n;
    m.attrs = attrs;
    m.n_attrs = 0;
    while (attrs[m.n_attrs].name) m.n_attrs++;
    if (!(attrs = with_attr(&m, attr_int("unbiased", how->unbiased), e))) return e->code;
    struct builder b = { g, e, .where = n->where, .name = n->name };
    struct node *fresh = builder_node(&b, "BatchNormalization", attrs, n->in, n->n_in, 3);
    if (!fresh) return e->code;
    mean->next = fresh->out[1];
    var->next = fresh->out[2];
    graph_alias(n->out[0], fresh->out[0]);
    return 0;
}

static int train_dropout(struct graph *g, struct node *n, struct value *step, struct err *e)
{
    struct builder b = { g, e, .where = n->where };
    struct value *in[4] = { n->in[0], node_in(n, 1), emit_scalar(&b, DT_BOOL, 1), step };
    int64_t seed = node_has(n, "seed") ? node_int(n, "seed") : (int64_t)(hash_bytes(n->name, strlen(n->name)) >> 1);
    struct attr *attrs = with_attr(n, attr_int("seed", seed), e);
    if (!attrs) return e->code;
    b.name = n->name;
    struct node *fresh = builder_node(&b, "Dropout", attrs, in, 4, n->n_out);
    if (!fresh) return e->code;
    for (int i = 0; i < n->n_out; i++) graph_alias(n->out[i], fresh->out[i]);
    return 0;
}

int graph_training(struct graph *g, const struct train_mode *m, struct err *e)
{
    size_t n = g->n_nodes;
    for (size_t i = 0; i < n; i++) {
        struct node *node = g->nodes[i];
        for (int k = 0; k < node->n_in; k++) node->in[k] = value_resolve(node->in[k]);
        if (node_is(node, "BatchNormalization") && !node_int(node, "training_mode"))
            TRY(train_batch_norm(g, node, m, e));
        else if (node_is(node, "Dropout")) TRY(train_dropout(g, node, m->step, e));
    }
    return graph_tidy(g, e);
}

static int convert_value(struct graph *g, struct value *v, enum dtype to, struct err *e)
{
    v->dtype = to;
    if (!v->data) return 0;
    struct tensor *t = tensor_new(g->arena, to, &v->data->shape, e);
    int64_t count = tensor_count(v->data);
    if (!t) return e->code;
    double block[256];
    for (int64_t i = 0; i < count; i += 256) {
        int64_t n = count - i < 256 ? count - i : 256;
        load_f64(v->data->dtype, (const char *)v->data->data + (size_t)i * dtype_size(v->data->dtype), n, block);
        store_f64(to, (char *)t->data + (size_t)i * dtype_size(to), n, block);
    }
    v->data = t;
    return 0;
}

/* Attributes that name a type, in Cast, RandomNormal and the like. */
static void convert_attrs(struct node *n, enum dtype from, enum dtype to)
{
    struct attr *attrs = (struct attr *)(uintptr_t)n->attrs; /* the node's own copy */
    for (size_t i = 0; i < n->n_attrs; i++)
        if (attrs[i].type == ATTR_INT && (!strcmp(attrs[i].name, "to") || !strcmp(attrs[i].name, "dtype")) &&
            attrs[i].i == (int64_t)from)
            attrs[i].i = (int64_t)to;
}

int graph_precision(struct graph *g, enum dtype from, enum dtype to, struct err *e)
{
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->kind != VALUE_NODE && g->values[i]->dtype == from) TRY(convert_value(g, g->values[i], to, e));
    for (size_t i = 0; i < g->n_nodes; i++) convert_attrs(g->nodes[i], from, to);
    return pass_fold_graph(g, e);
}
