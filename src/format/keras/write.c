/* write.c - writing Keras models: which nodes there are to say, and saying them in order. */
#include "format/keras/write.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "enc/json.h"
#include "format/keras/keras.h"
#include "graph/op.h"

const struct say_row *say_find(const char *op)
{
    static const struct say_row *const tables[] = { say_net, say_math, say_shape, say_recurrent };
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct say_row *row = tables[t]; row->op; row++)
            if (!strcmp(row->op, op)) return row;
    return NULL;
}

bool keras_cannot_say(const struct node *n)
{
    return !say_find(n->op->name);
}

void kw_cannot(struct kwriter *w, const struct node *n, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    report_add(w->errors, REPORT_ERROR, n->name, "%s%s%s", n->op->name, text[0] ? ": " : "", text);
}

void kw_only_v3(struct kwriter *w, const struct node *n)
{
    kw_cannot(w, n, "Keras has no layer for it, only an operation of Keras 3: write .keras instead of .h5");
}

/* Forward: what depends on no input. */
static void find_fixed(struct kwriter *w)
{
    const struct graph *g = w->graph;
    for (size_t i = 0; i < g->n_values; i++)
        w->fixed[i] = g->values[i]->kind == VALUE_CONST || (g->values[i]->kind == VALUE_STATE && !g->values[i]->next);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        bool fixed = !(n->op->flags & (OP_RANDOM | OP_EFFECT | OP_CONTAINERS));
        for (int k = 0; k < n->n_in; k++) fixed &= !n->in[k] || w->fixed[value_resolve(n->in[k])->id];
        for (size_t k = 0; k < n->n_attrs; k++) fixed &= n->attrs[k].type != ATTR_GRAPH;
        for (int k = 0; k < n->n_out; k++) w->fixed[n->out[k]->id] = fixed;
    }
}

static void need(struct kwriter *w, struct value *v)
{
    v = value_resolve(v);
    if (!v || w->fixed[v->id]) return;
    w->needed[v->id] = true;
    w->readers[v->id]++;
}

/* Backward: what outputs are made of, as tensors; shapes that only other shapes are made of are no part of it. */
static void find_needed(struct kwriter *w)
{
    const struct graph *g = w->graph;
    for (size_t i = 0; i < g->n_outputs; i++) need(w, g->outputs[i]);
    for (size_t i = g->n_nodes; i-- > 0;) {
        const struct node *n = g->nodes[i];
        const struct say_row *row = say_find(n->op->name);
        bool any = false;
        for (int k = 0; k < n->n_out; k++) any |= w->needed[n->out[k]->id];
        w->said[n->id] = !any;
        for (int k = 0; any && row && k < n->n_in; k++)
            if (row->wants ? row->wants(w, n, k) : !row->reads || k < row->reads) need(w, n->in[k]);
    }
}

static int make_inputs(struct kwriter *w, json_t *list)
{
    const struct graph *g = w->graph;
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct value *v = g->inputs[i];
        if (v->shape.rank < 1)
            return fail(w->err, ERR_UNSUPPORTED, "input %s has no batch dimension, which Keras' inputs have", v->name);
        if (!dtype_is_float(v->dtype) && !dtype_is_integer(v->dtype) && v->dtype != DT_BOOL)
            return fail(w->err, ERR_UNSUPPORTED, "input %s is of type %s", v->name, dtype_name(v->dtype));
        json_t *config = json_pack("{s:o,s:s,s:b}", w->v3 ? "batch_shape" : "batch_input_shape", kw_dims(&v->shape, 0),
            "dtype", dtype_name(v->dtype), "sparse", 0);
        struct made *t = kw_layer(w, "InputLayer", v->name, config, NULL, 0, &v->shape, v->dtype);
        if (!t) return w->err->code;
        json_array_append_new(list, json_pack("[s,i,i]", t->layer->name, 0, 0));
        kw_give(w, v, t, NULL);
    }
    return w->err->code;
}

static int make_outputs(struct kwriter *w, json_t *list)
{
    const struct graph *g = w->graph;
    for (size_t i = 0; i < g->n_outputs; i++) {
        struct value *v = value_resolve(g->outputs[i]);
        if (w->fixed[v->id])
            return fail(w->err, ERR_UNSUPPORTED, "output %s depends on no input, which Keras cannot say", v->name);
        struct made *t = kw_plain(w, v);
        if (!t)
            return w->err->code ? w->err->code : fail(w->err, ERR_UNSUPPORTED, "Keras cannot say output %s", v->name);
        json_array_append_new(list, json_pack("[s,i,i]", t->layer->name, t->call, t->index));
    }
    return w->err->code;
}

static int say_nodes(struct kwriter *w)
{
    const struct graph *g = w->graph;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        const struct say_row *row = say_find(n->op->name);
        if (w->said[n->id]) continue;
        w->node = n;
        w->n_pending = 0;
        w->source = NULL;
        if (!row) kw_cannot(w, n, "%s", "");
        else row->say(w, n);
        if (w->err->code) return node_err(n, w->err);
    }
    return 0;
}

static int write_model(struct kwriter *w, const char *path)
{
    json_t *inputs = json_array(), *outputs = json_array();
    bool both = !json_own(w->arena, inputs, w->err);
    if (json_own(w->arena, outputs, w->err) || !both) return w->err->code; /* each is owned or gone */
    for (size_t i = 0; i < w->graph->n_states; i++)
        if (w->graph->states[i]->next)
            return fail(w->err, ERR_UNSUPPORTED, "the state %s changes while the model runs, which Keras cannot say",
                w->graph->states[i]->name);
    find_fixed(w);
    find_needed(w);
    TRY(make_inputs(w, inputs));
    TRY(say_nodes(w));
    w->node = NULL;
    TRY(report_fail(
        w->errors, ERR_UNSUPPORTED, w->v3 ? "what Keras cannot say" : "what Keras has no layers for", w->err));
    TRY(make_outputs(w, outputs));
    TRY(report_fail(
        w->errors, ERR_UNSUPPORTED, w->v3 ? "what Keras cannot say" : "what Keras has no layers for", w->err));
    return kw_write_file(w, path, inputs, outputs);
}

int keras_write(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e)
{
    struct arena a;
    arena_init(&a, g->arena->mem);
    struct report errors = report_in(&a);
    struct kwriter w = {
        .arena = &a, .graph = g, .errors = &errors, .notes = r, .err = e, .v3 = str_ends(path, ".keras")
    };
    size_t n = g->n_values + 1;
    w.names = map_in(&a);
    w.views = ARENA_ARRAY(&a, n, struct view *);
    w.needed = ARENA_ARRAY(&a, n, bool);
    w.fixed = ARENA_ARRAY(&a, n, bool);
    w.content = ARENA_ARRAY(&a, n, const struct tensor *);
    w.readers = ARENA_ARRAY(&a, n, int);
    w.said = ARENA_ARRAY(&a, g->n_nodes + 1, bool);
    int code = w.views && w.needed && w.fixed && w.content && w.readers && w.said ? write_model(&w, path)
                                                                                  : fail_nomem(e);
    arena_release(&a);
    return code;
}
