/* build.c - a list of Caffe layers becomes a graph: names of blobs are variables, bound anew by layers in place. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/report.h"
#include "format/caffe/caffe.h"

struct caffe_blob *caffe_bind(struct caffe *n, const char *name, struct value *v)
{
    struct caffe_blob *b = map_get(&n->blobs, name);
    if (!b) {
        b = ARENA_NEW(n->arena, struct caffe_blob);
        if (!b || !map_set(&n->blobs, name, b) || !ARRAY_PUSH(n->arena, n->order, n->n_order, n->cap_order, b))
            return fail_nomem(n->err), NULL;
    }
    *b = (struct caffe_blob){ name, v, false };
    return b;
}

/* A layer that nobody knows, but that only makes a loss, is no part of scoring. */
static bool is_loss(const struct caffe_layer *l)
{
    return tree_row(l->tree->schema, "loss_weight") && tree_float(l->tree, "loss_weight", 0) != 0;
}

static bool is_wanted(const struct caffe *n, const struct caffe_layer *l)
{
    return caffe_layer_in_phase(l, n->phase);
}

/* Every type that cannot be taken, before anything is built. */
static int check_types(struct caffe *n)
{
    for (size_t i = 0; i < n->net.n; i++) {
        const struct caffe_layer *l = &n->net.layers[i];
        if (!is_wanted(n, l) || caffe_row_find(l->type) || is_loss(l)) continue;
        const struct tree *python = caffe_layer_param(l, "python_param");
        const char *module = tree_text(python, "module", NULL);
        if (module)
            report_add(n->report, REPORT_ERROR, l->where,
                "layer type %s (its code is %s of the module %s, which is never run)", l->type,
                tree_text(python, "layer", "a class"), module);
        else report_add(n->report, REPORT_ERROR, l->where, "layer type %s", l->type[0] ? l->type : "(none given)");
    }
    return report_fail(n->report, ERR_UNSUPPORTED, "layers that cannot be imported", n->err);
}

/* A layer of data of the other phase: a training net has inputs, too. */
static struct caffe_blob *other_phase(struct caffe *n, const char *name)
{
    for (size_t i = 0; i < n->net.n; i++) {
        const struct caffe_layer *l = &n->net.layers[i];
        const struct caffe_row *row = caffe_row_find(l->type);
        if (!row || !(row->flags & CAFFE_SOURCE)) continue;
        for (size_t k = 0; k < l->n_top; k++)
            if (!strcmp(l->top[k], name)) return caffe_source(n, l) ? NULL : map_get(&n->blobs, name);
    }
    return NULL;
}

static struct caffe_blob *find_bottom(struct caffe *n, const struct caffe_layer *l, const char *name)
{
    struct caffe_blob *b = map_get(&n->blobs, name);
    if (!b) b = other_phase(n, name);
    if (!b && !n->err->code) fail(n->err, ERR_MODEL, "reads \"%s\", which no layer before it makes", name);
    if (!b) err_prefix(n->err, "%s: layer %s (%s)", l->where, l->name, l->type);
    return b;
}

/* What a loss is measured against is no result of the net; what is measured is one unless the loss gives its own. */
static void mark_used(struct caffe *n, const struct caffe_call *c, bool loss)
{
    for (size_t i = loss && !c->row->lower; i < c->layer->n_bottom && !(c->row->flags & CAFFE_DROP); i++) {
        struct caffe_blob *b = map_get(&n->blobs, c->layer->bottom[i]);
        if (b) b->used = true;
    }
}

/* The values of the bottoms; *labels when there are some that have none. */
static int read_bottoms(struct caffe *n, struct caffe_call *c, bool *labels)
{
    bool loss = c->row->flags & CAFFE_LOSS;
    c->in = ARENA_ARRAY(n->arena, c->layer->n_bottom + 1, struct value *);
    TRY_MEM(c->in, n->err);
    c->n_in = loss && c->layer->n_bottom ? 1 : c->layer->n_bottom;
    for (size_t i = 0; i < c->n_in; i++) {
        struct caffe_blob *b = find_bottom(n, c->layer, c->layer->bottom[i]);
        if (!b) return n->err->code;
        *labels |= !b->value;
        c->in[i] = b->value;
    }
    mark_used(n, c, loss);
    return 0;
}

static bool is_input_of(const struct caffe_call *c, const struct value *v)
{
    for (size_t i = 0; i < c->n_in; i++)
        if (c->in[i] == v) return true;
    return false;
}

/* The result takes the name of the top, its node that of the layer. */
static int bind_top(struct caffe *n, struct caffe_call *c, size_t i)
{
    struct value *v = c->out[i];
    const char *name = c->layer->top[i];
    if (!v)
        return fail(n->err, ERR_MODEL, "%s: layer %s (%s) gives no top number %zu", c->layer->where, c->layer->name,
            c->layer->type, i + 1);
    if (v->kind == VALUE_NODE && !is_input_of(c, v)) {
        const struct value *holder = graph_find(n->graph, name);
        bool input = holder && holder->kind == VALUE_INPUT; /* inputs keep their names */
        TRY(graph_rename(n->graph, v, input ? c->layer->name : name, n->err));
        if (!map_find(&n->nodes, c->layer->name)) {
            if (!map_set(&n->nodes, c->layer->name, v)) return fail_nomem(n->err);
            TRY_MEM(v->node->name = arena_strdup(n->keep, c->layer->name), n->err);
        }
    }
    return caffe_bind(n, name, v) ? 0 : n->err->code;
}

static int check_bottoms(const struct caffe_call *c)
{
    const struct caffe_row *row = c->row;
    if (c->layer->n_bottom >= (size_t)row->min_in && (row->max_in == CAFFE_ANY || c->n_in <= (size_t)row->max_in))
        return 0;
    return fail(c->b->err, ERR_MODEL, "%s: layer %s (%s) has %zu bottoms", c->layer->where, c->layer->name,
        c->layer->type, c->layer->n_bottom);
}

static int bind_labels(struct caffe *n, const struct caffe_layer *l)
{
    for (size_t i = 0; i < l->n_top; i++)
        if (!caffe_bind(n, l->top[i], NULL)) return n->err->code;
    return 0;
}

static int build_layer(struct caffe *n, const struct caffe_layer *l)
{
    struct caffe_call c = { .n = n, .b = &n->b, .layer = l, .row = caffe_row_find(l->type) };
    bool labels = false;
    if (!c.row) return report_add(n->report, REPORT_NOTE, l->where, "a %s only makes a loss: left out", l->type), 0;
    if (c.row->flags & CAFFE_SOURCE) return caffe_source(n, l);
    TRY(read_bottoms(n, &c, &labels));
    TRY(check_bottoms(&c));
    if (labels || !c.row->lower) return bind_labels(n, l);
    TRY_MEM(c.out = ARENA_ARRAY(n->arena, l->n_top + 1, struct value *), n->err);
    n->b.where = arena_strdup(n->keep, l->where);
    struct value *only = c.row->lower(&c);
    n->b.where = NULL;
    if (n->err->code) {
        if (!strstr(n->err->text, l->where)) err_prefix(n->err, "%s: layer %s (%s)", l->where, l->name, l->type);
        return n->err->code;
    }
    if (only) c.out[0] = only;
    for (size_t i = 0; i < l->n_top; i++) TRY(bind_top(n, &c, i));
    return 0;
}

/* What nobody reads is what the net is for. */
static int build_outputs(struct caffe *n)
{
    for (size_t i = 0; i < n->n_order; i++) {
        struct caffe_blob *b = n->order[i];
        struct value *v = b->value;
        if (!v || b->used || v->kind == VALUE_INPUT) continue;
        if (strcmp(v->name, b->name) != 0) { /* one value under two names */
            v = emit(&n->b, "Identity", NO_ATTRS, v);
            if (!v || graph_rename(n->graph, v, b->name, n->err)) return n->err->code;
        }
        TRY(graph_output(n->graph, v, n->err));
    }
    if (!n->graph->n_outputs)
        return fail(n->err, ERR_MODEL, "the net has no layers that give a result in phase %s", n->phase);
    return 0;
}

int caffe_build(struct caffe *n)
{
    TRY(check_types(n));
    TRY(caffe_head_inputs(n));
    for (size_t i = 0; i < n->net.n; i++)
        if (is_wanted(n, &n->net.layers[i])) TRY(build_layer(n, &n->net.layers[i]));
    TRY(build_outputs(n));
    if (n->n_without)
        report_add(
            n->report, REPORT_WARNING, "", "%zu layers find no weights in the file: they are zeros", n->n_without);
    return 0;
}
