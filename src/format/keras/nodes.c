/* nodes.c - calls of layers: what the three generations of configs say of them, and models run call by call. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "enc/json.h"
#include "format/keras/keras.h"

enum { CHECKS_MAX = 20000000, CALLS_MAX = 100000 };

/* A tensor as configs name it. */
struct place {
    struct layer *layer;
    size_t node, tensor;
};
struct node_call {
    struct layer *layer;
    size_t index; /* among the calls of its layer */
    const json_t *args, *kwargs;
    struct place *from; /* the tensors among its arguments */
    size_t n_from, cap_from;
    size_t n_args; /* so many of them are among `args` */
    bool done;
};
struct result {
    struct ktensor *out[1 + CALL_OUTPUTS];
    size_t n;
};
struct running {
    struct call *call; /* of the model */
    struct layer *model;
    struct map results; /* layer and node -> struct result */
    struct node_call *calls;
    size_t n_calls, cap_calls;
    bool keras3; /* calls are written as Keras 3 writes them */
};

static struct err *err_of(struct running *r)
{
    return r->call->b->err;
}

static int bad_place(struct running *r, const char *what)
{
    return fail(err_of(r), ERR_MODEL, "model %s: %s", r->model->label, what);
}

/* [layer, node, tensor, ..] */
static int read_place(struct running *r, const json_t *v, struct place *out)
{
    const char *name = json_string_value(json_array_get(v, 0));
    const json_t *node = json_array_get(v, 1), *tensor = json_array_get(v, 2);
    out->layer = name ? map_get(&r->model->by_name, name) : NULL;
    if (!out->layer || !json_is_integer(node) || !json_is_integer(tensor) || json_integer_value(node) < 0 ||
        json_integer_value(tensor) < 0)
        return fail(err_of(r), ERR_MODEL, "model %s: a call takes a tensor of the layer \"%.100s\", which is not there",
            r->model->label, name ? name : "?");
    out->node = (size_t)json_integer_value(node);
    out->tensor = (size_t)json_integer_value(tensor);
    struct layer *l = out->layer;
    if (!l->referred || out->node < l->first_call) l->first_call = out->node;
    l->referred = true;
    return 0;
}

/* Which call of its layer a place means. A model is born with a call of its own, number 0. Keras 2 counts it wherever
 * the model has one; every call that is written is used, so the lowest number is the first. Keras 3 leaves it out
 * between calls, and counts it among inputs and outputs of the model around (`listed`); -1 is the last there. */
static size_t call_number(const struct running *r, const struct place *p, bool listed)
{
    const struct layer *l = p->layer;
    if (!l->row || !(l->row->flags & LAYER_MODEL)) return p->node;
    if (!r->keras3) return p->node - l->first_call;
    if (!listed || !json_object_get(l->config, "input_layers")) return p->node;
    return (p->node ? p->node : json_array_size(json_object_get(l->json, "inbound_nodes"))) - 1;
}

static json_t *reference(struct running *r, struct node_call *n, const struct place *p)
{
    if (n->n_from >= CALL_INPUTS) return bad_place(r, "a call of more tensors than can be"), NULL;
    if (!ARRAY_PUSH(&r->call->k->scratch, n->from, n->n_from, n->cap_from, *p)) return fail_nomem(err_of(r)), NULL;
    return json_pack("{s:I}", "__tensor", (json_int_t)(n->n_from - 1));
}

/* Is it ["name of a layer", 0, 0], as Keras 2 writes tensors among keywords? */
static bool is_place(const struct running *r, const json_t *v)
{
    const char *name = json_string_value(json_array_get(v, 0));
    return name && json_array_size(v) >= 3 && json_array_size(v) <= 4 && json_is_integer(json_array_get(v, 1)) &&
        map_get(&r->model->by_name, name);
}

/* A copy of arguments with each tensor in it as {"__tensor": place in n->from}; new reference. */
static json_t *arguments(struct running *r, struct node_call *n, const json_t *v, bool old)
{
    const char *class_name = json_is_object(v) ? class_of(v) : NULL;
    bool tensor = class_name && !strcmp(class_name, "__keras_tensor__");
    struct place p;
    size_t i;
    json_t *item, *copy;
    if (tensor || (old && is_place(r, v))) {
        if (read_place(r, tensor ? json_object_get(config_of(v), "keras_history") : v, &p)) return NULL;
        return reference(r, n, &p);
    }
    if (json_is_array(v)) {
        if (!(copy = json_array())) return fail_nomem(err_of(r)), NULL;
        json_array_foreach((json_t *)(uintptr_t)v, i,
            item) if (json_array_append_new(copy, arguments(r, n, item, old))) return json_decref(copy),
            NULL;
        return copy;
    }
    if (!json_is_object(v)) return json_incref((json_t *)(uintptr_t)v);
    const char **keys = sorted_keys(&r->call->k->scratch, v, err_of(r));
    if (!keys) return NULL;
    if (!(copy = json_object())) return fail_nomem(err_of(r)), NULL;
    for (i = 0; i < json_object_size(v); i++)
        if (json_object_set_new_nocheck(copy, keys[i], arguments(r, n, json_object_get(v, keys[i]), old)))
            return json_decref(copy), NULL;
    return copy;
}

static int keep(struct running *r, const json_t **out, json_t *made)
{
    if (!made) return err_of(r)->code ? err_of(r)->code : fail_nomem(err_of(r));
    *out = made;
    return json_own(&r->call->k->scratch, made, err_of(r));
}

/* Keras 2: [[layer, node, tensor, {keywords}], ..]; a constant in place of the first is
 * ["_CONSTANT_VALUE", -1, it, ..]. */
static int read_old_call(struct running *r, struct node_call *n, const json_t *node)
{
    json_t *list = json_array(), *item;
    size_t i;
    TRY(keep(r, &n->args, list));
    const json_t *single = json_is_string(json_array_get(node, 0)) ? node : NULL; /* one tensor without its own list */
    const json_t *said = NULL;
    for (i = 0; i < (single ? 1 : json_array_size(node)); i++) {
        item = single ? (json_t *)(uintptr_t)single : json_array_get(node, i);
        const char *name = json_string_value(json_array_get(item, 0));
        struct place p;
        json_t *arg = NULL;
        if (name && !strcmp(name, "_CONSTANT_VALUE")) arg = json_incref(json_array_get(item, 2));
        else if (!read_place(r, item, &p)) arg = reference(r, n, &p);
        if (!arg || json_array_append_new(list, arg)) return err_of(r)->code ? err_of(r)->code : fail_nomem(err_of(r));
        const json_t *keywords = json_array_get(item, 3);
        if (!i && json_is_object(keywords)) said = keywords;
    }
    n->n_args = n->n_from;
    return said ? keep(r, &n->kwargs, arguments(r, n, said, true)) : 0;
}

static int read_call(struct running *r, struct layer *l, const json_t *node, size_t index)
{
    struct node_call n = { .layer = l, .index = index };
    if (json_is_object(node)) {
        r->keras3 = true;
        const json_t *args = json_object_get(node, "args"), *words = json_object_get(node, "kwargs");
        if (args) TRY(keep(r, &n.args, arguments(r, &n, args, false)));
        n.n_args = n.n_from;
        if (words) TRY(keep(r, &n.kwargs, arguments(r, &n, words, false)));
    } else if (json_is_array(node)) TRY(read_old_call(r, &n, node));
    else return bad_place(r, "a call that is neither a list nor an object");
    if (r->n_calls >= CALLS_MAX || !ARRAY_PUSH(&r->call->k->scratch, r->calls, r->n_calls, r->cap_calls, n))
        return fail_nomem(err_of(r));
    return 0;
}

enum { KEY_SIZE = 48 };

static const char *result_key(char key[KEY_SIZE], const struct layer *l, size_t node)
{
    snprintf(key, KEY_SIZE, "%p %zu", (const void *)l, node);
    return key;
}

static struct ktensor *tensor_at(struct running *r, const struct place *p, bool listed)
{
    char key[KEY_SIZE];
    const struct result *found = map_get(&r->results, result_key(key, p->layer, call_number(r, p, listed)));
    return found && p->tensor < found->n ? found->out[p->tensor] : NULL;
}

static int put_result(struct running *r, const struct layer *l, size_t node, struct ktensor *first,
    struct ktensor *const *more, size_t n_more)
{
    struct result *made = ARENA_NEW(&r->call->k->scratch, struct result);
    char key[KEY_SIZE];
    TRY_MEM(made, err_of(r));
    made->out[0] = first;
    made->n = 1 + n_more;
    for (size_t i = 0; i < n_more; i++) made->out[1 + i] = more[i];
    return map_set(&r->results, result_key(key, l, node), made) ? 0 : fail_nomem(err_of(r));
}

/* All inputs of a call, or false when one is not there yet. A layer whose tensors are all keywords takes these. */
static bool gather(struct running *r, struct node_call *n, struct call *c)
{
    for (size_t i = 0; i < n->n_from; i++)
        if (!(c->in[i] = tensor_at(r, &n->from[i], false))) return false;
    c->n_in = n->n_args ? n->n_args : n->n_from;
    return true;
}

static int run_call(struct running *r, struct node_call *n, bool *ran)
{
    struct call c = { .k = r->call->k, .b = r->call->b, .layer = n->layer, .args = n->args, .kwargs = n->kwargs };
    struct ktensor *tensors[CALL_INPUTS];
    *ran = gather(r, n, &c);
    if (!*ran) return 0;
    memcpy(tensors, c.in, sizeof tensors);
    c.tensors = tensors;
    struct ktensor *mask = tensor_of(&c, json_object_get(c.kwargs, "mask"));
    if (mask && mask->plain && mask->plain->dtype == DT_BOOL && c.n_in) { /* the first input with the mask given */
        struct ktensor *masked = ARENA_NEW(&c.k->scratch, struct ktensor);
        TRY_MEM(masked, err_of(r));
        *masked = *c.in[0];
        masked->mask = mask->plain;
        c.in[0] = masked;
    }
    struct ktensor *out = layer_apply(&c);
    if (!out) return err_of(r)->code;
    n->done = true;
    return put_result(r, n->layer, n->index, out, c.more, c.n_more);
}

/* Calls are mostly in an order in which they can run, but need not be. */
static int run_calls(struct running *r)
{
    size_t left = r->n_calls, checks = 0;
    while (left) {
        size_t before = left;
        for (size_t i = 0; i < r->n_calls; i++) {
            bool ran = false;
            if (++checks > CHECKS_MAX) return bad_place(r, "its calls are too many and out of order");
            if (!r->calls[i].done) TRY(run_call(r, &r->calls[i], &ran));
            left -= ran;
        }
        if (left < before) continue;
        for (size_t i = 0; i < r->n_calls; i++)
            if (!r->calls[i].done)
                return fail(err_of(r), ERR_MODEL, "model %s: layer %s waits for tensors that nothing makes",
                    r->model->label, r->calls[i].layer->name);
    }
    return 0;
}

/* Every place in a list, an object, or nested ones, in order. */
static int each_place(struct running *r, const json_t *v, int depth, struct place *out, size_t max, size_t *n)
{
    json_t *item;
    size_t i;
    if (depth > 8) return bad_place(r, "its inputs or outputs are nested too deep");
    if (json_is_array(v) && json_is_string(json_array_get(v, 0))) {
        if (*n >= max) return bad_place(r, "too many inputs or outputs");
        return read_place(r, v, &out[(*n)++]);
    }
    json_array_foreach((json_t *)(uintptr_t)v, i, item) TRY(each_place(r, item, depth + 1, out, max, n));
    const char **keys = json_is_object(v) ? sorted_keys(&r->call->k->scratch, v, err_of(r)) : NULL;
    for (i = 0; keys && i < json_object_size(v); i++)
        TRY(each_place(r, json_object_get(v, keys[i]), depth + 1, out, max, n));
    return err_of(r)->code;
}

static int give_inputs(struct running *r)
{
    struct place places[CALL_INPUTS];
    size_t n = 0;
    TRY(each_place(r, json_object_get(r->model->config, "input_layers"), 0, places, CALL_INPUTS, &n));
    if (n != r->call->n_in)
        return fail(
            err_of(r), ERR_MODEL, "model %s takes %zu tensors and is given %zu", r->model->label, n, r->call->n_in);
    for (size_t i = 0; i < n; i++) TRY(put_result(r, places[i].layer, 0, r->call->in[i], NULL, 0));
    return 0;
}

static int run_functional(struct running *r, struct ktensor **out, size_t max, size_t *n)
{
    struct place places[1 + CALL_OUTPUTS];
    *n = 0;
    TRY(give_inputs(r));
    for (size_t i = 0; i < r->model->n_sub; i++) {
        struct layer *l = r->model->sub[i];
        const json_t *nodes = json_object_get(l->json, "inbound_nodes"), *node;
        size_t index;
        if (!strcmp(l->class_name, "InputLayer")) continue;
        json_array_foreach(nodes, index, node) TRY(read_call(r, l, node, index));
    }
    TRY(each_place(r, json_object_get(r->model->config, "output_layers"), 0, places, max, n));
    TRY(run_calls(r));
    if (!*n) return bad_place(r, "it has no outputs");
    for (size_t i = 0; i < *n; i++)
        if (!(out[i] = tensor_at(r, &places[i], true))) return bad_place(r, "an output is made by no call");
    return 0;
}

static int run_sequential(struct running *r, struct ktensor **out, size_t *n)
{
    struct ktensor *x = r->call->in[0];
    for (size_t i = 0; i < r->model->n_sub; i++) {
        struct layer *l = r->model->sub[i];
        if (!strcmp(l->class_name, "InputLayer")) continue;
        if (!(x = layer_apply_to(r->call, l, &x, 1))) return err_of(r)->code;
    }
    *n = 1;
    out[0] = x;
    return 0;
}

static int run_model(struct call *c, struct ktensor **out, size_t max, size_t *n)
{
    struct running r = { .call = c, .model = c->layer, .results = map_in(&c->k->scratch) };
    if (!c->n_in) return bad_place(&r, "it is called without a tensor");
    bool functional = json_object_get(c->layer->config, "input_layers") != NULL;
    return functional ? run_functional(&r, out, max, n) : run_sequential(&r, out, n);
}

struct ktensor *lower_model(struct call *c)
{
    struct ktensor *out[1 + CALL_OUTPUTS];
    size_t n;
    if (run_model(c, out, 1 + CALL_OUTPUTS, &n)) return NULL;
    for (size_t i = 1; i < n; i++) c->more[c->n_more++] = out[i];
    return out[0];
}
