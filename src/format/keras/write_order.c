/* write_order.c - layers in the order in which Keras 3 has them once it has read the config.
 *
 * A .keras file keeps weights by the number of a layer among those of its class, counted in that order and not in the
 * config's. It is: by the number of calls to the furthest output, the largest first; of equals the one that a walk from
 * the outputs back, deeper before wider, comes to first. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/keras/write.h"

struct call_node { /* a call of a layer */
    size_t layer, *from, n_from, cap_from;
    size_t next; /* of `from`, in the walk */
    long depth;
    bool seen;
};
struct place {
    struct made_layer *layer;
    long depth, met; /* -1: never: inputs that nothing reads */
    size_t was;
};
struct order {
    struct kwriter *w;
    struct map by_name;          /* -> struct place */
    struct place *places;        /* by layer */
    size_t *first;               /* the first call of each layer */
    struct call_node *nodes, **stack; /* `done` in the order in which the walk leaves them */
    size_t n_nodes, n_stack, *done, n_done;
    long met;
};

/* The call that [name, call, result] means; n_nodes if none. */
static size_t node_at(const struct order *o, const json_t *history)
{
    const char *name = json_string_value(json_array_get(history, 0));
    const struct place *p = name ? map_get(&o->by_name, name) : NULL;
    size_t call = (size_t)json_integer_value(json_array_get(history, 1));
    size_t calls = p ? json_array_size(p->layer->calls) : 0;
    return p && call < (calls ? calls : 1) ? o->first[p->was] + call : o->n_nodes;
}

/* All tensors among the arguments of a call, in order. */
static int gather(struct order *o, struct call_node *n, const json_t *v)
{
    const char *class_name = json_string_value(json_object_get(v, "class_name")), *key;
    json_t *item;
    size_t i;
    if (class_name && !strcmp(class_name, "__keras_tensor__")) {
        size_t from = node_at(o, json_object_get(json_object_get(v, "config"), "keras_history"));
        if (from == o->n_nodes) return 0;
        return ARRAY_PUSH(o->w->arena, n->from, n->n_from, n->cap_from, from) ? 0 : fail_nomem(o->w->err);
    }
    json_array_foreach((json_t *)(uintptr_t)v, i, item) TRY(gather(o, n, item));
    json_object_foreach((json_t *)(uintptr_t)v, key, item) TRY(gather(o, n, item));
    return 0;
}

static int read_calls(struct order *o)
{
    struct kwriter *w = o->w;
    o->by_name = map_in(w->arena);
    o->places = ARENA_ARRAY(w->arena, w->n_layers + 1, struct place);
    o->first = ARENA_ARRAY(w->arena, w->n_layers + 1, size_t);
    if (!o->places || !o->first) return fail_nomem(w->err);
    for (size_t i = 0; i < w->n_layers; i++) {
        size_t calls = json_array_size(w->layers[i]->calls);
        o->places[i] = (struct place){ w->layers[i], 0, -1, i };
        if (!map_set(&o->by_name, w->layers[i]->name, &o->places[i])) return fail_nomem(w->err);
        o->first[i] = o->n_nodes;
        o->n_nodes += calls ? calls : 1; /* an input */
    }
    o->nodes = ARENA_ARRAY(w->arena, o->n_nodes + 1, struct call_node);
    o->stack = ARENA_ARRAY(w->arena, o->n_nodes + 1, struct call_node *);
    o->done = ARENA_ARRAY(w->arena, o->n_nodes + 1, size_t);
    if (!o->nodes || !o->stack || !o->done) return fail_nomem(w->err);
    for (size_t i = 0; i < w->n_layers; i++) {
        o->nodes[o->first[i]].layer = i;
        for (size_t k = 0; k < json_array_size(w->layers[i]->calls); k++) {
            o->nodes[o->first[i] + k].layer = i;
            TRY(gather(o, &o->nodes[o->first[i] + k], json_array_get(w->layers[i]->calls, k)));
        }
    }
    return 0;
}

static void enter(struct order *o, size_t at)
{
    struct call_node *n = &o->nodes[at];
    if (n->seen) return;
    n->seen = true;
    if (o->places[n->layer].met < 0) o->places[n->layer].met = o->met++;
    o->stack[o->n_stack++] = n;
}

static void walk(struct order *o, size_t from)
{
    enter(o, from);
    while (o->n_stack) {
        struct call_node *n = o->stack[o->n_stack - 1];
        if (n->next < n->n_from) enter(o, n->from[n->next++]);
        else o->done[o->n_done++] = (size_t)(n - o->nodes), o->n_stack--;
    }
}

/* A layer that is called at several depths has the largest, and so have its calls from then on. */
static void measure(struct order *o)
{
    for (size_t i = o->n_done; i-- > 0;) {
        struct call_node *n = &o->nodes[o->done[i]];
        struct place *p = &o->places[n->layer];
        p->depth = n->depth = n->depth > p->depth ? n->depth : p->depth;
        for (size_t k = 0; k < n->n_from; k++) {
            struct call_node *from = &o->nodes[n->from[k]];
            if (from->depth < n->depth + 1) from->depth = n->depth + 1;
        }
    }
}

static int by_depth(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->depth != y->depth) return x->depth < y->depth ? 1 : -1;
    if (x->met != y->met) return x->met < y->met ? -1 : 1;
    return x->was < y->was ? -1 : 1;
}

/* [name, call, result], or a list of them */
static void walk_outputs(struct order *o, const json_t *v)
{
    size_t i;
    json_t *item;
    if (json_is_string(json_array_get(v, 0))) {
        size_t at = node_at(o, v);
        if (at < o->n_nodes) walk(o, at);
        return;
    }
    json_array_foreach((json_t *)(uintptr_t)v, i, item) walk_outputs(o, item);
}

int kw_order_layers(struct kwriter *w, const json_t *outputs)
{
    struct order o = { .w = w };
    TRY(read_calls(&o));
    walk_outputs(&o, outputs);
    measure(&o);
    qsort(o.places, w->n_layers, sizeof *o.places, by_depth);
    for (size_t i = 0; i < w->n_layers; i++) w->layers[i] = o.places[i].layer;
    return 0;
}
