/* layer.c - applying one layer: types, masks, the name of what it makes. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/keras/keras.h"

enum { DEPTH_MAX = 200 };

static bool prepare_inputs(struct call *c)
{
    if (c->layer->row->flags & (LAYER_ANY_TYPE | LAYER_MODEL)) return true;
    for (size_t i = 0; i < c->n_in; i++)
        if (!(c->in[i] = ktensor_cast(c, c->in[i], c->k->compute))) return false;
    return true;
}

static void pass_masks(struct call *c, struct ktensor *out)
{
    unsigned flags = c->layer->row->flags;
    if (flags & (LAYER_OWN_MASK | LAYER_MODEL)) return;
    struct value *mask = NULL;
    for (size_t i = 0; flags & LAYER_KEEPS_MASK && i < c->n_in; i++) mask = and_masks(c, mask, c->in[i]->mask);
    out->mask = mask;
}

struct ktensor *layer_apply(struct call *c)
{
    struct builder *b = c->b;
    const char *where = b->where;
    size_t before = c->k->g->n_nodes;
    if (b->err->code) return NULL;
    if (++c->k->depth > DEPTH_MAX) return call_fail(c, ERR_UNSUPPORTED, "layers within layers too deep"), NULL;
    c->config = c->layer->config;
    b->where = arena_strdup(c->k->keep, c->layer->label);
    if (!c->n_in) call_fail(c, ERR_MODEL, "it is called without a tensor");
    struct ktensor *out = c->n_in && prepare_inputs(c) ? c->layer->row->lower(c) : NULL;
    if (b->err->code) {
        if (!str_starts(b->err->text, "layer "))
            err_prefix(b->err, "layer %s (%s)", c->layer->label, c->layer->class_name);
        return NULL;
    }
    if (!out) return fail_nomem(b->err), NULL;
    pass_masks(c, out);
    struct graph *g = c->k->g;
    if (g->n_nodes > before && !(c->layer->row->flags & LAYER_MODEL)) { /* its last node has the layer's name */
        bool first;
        struct value *v = ktensor_form(out, &first);
        if (v->kind == VALUE_NODE && (size_t)v->node->id >= before) graph_rename(g, v, c->layer->label, b->err);
    }
    c->k->depth--;
    b->where = where;
    return out;
}

struct ktensor *layer_apply_to(const struct call *outer, struct layer *inner, struct ktensor *const *in, size_t n)
{
    struct call c = { .k = outer->k, .b = outer->b, .layer = inner, .n_in = n };
    for (size_t i = 0; i < n; i++) c.in[i] = in[i];
    return layer_apply(&c);
}
