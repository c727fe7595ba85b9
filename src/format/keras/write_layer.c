/* write_layer.c - layers and operations of a Keras model being made: names, configs, calls, weights. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "enc/json.h"
#include "format/keras/write.h"
#include "graph/op.h"
#include "ops/interpret.h"

enum { DEPTH_MAX = 100, CONSTANT_MAX = 1 << 20 };

json_t *kw_ints(const int64_t *v, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_integer(v[i]));
    return list;
}

json_t *kw_dims(const struct shape *s, int from)
{
    json_t *list = json_array();
    for (int d = from; d < s->rank; d++)
        json_array_append_new(list, s->dim[d] < 0 ? json_null() : json_integer(s->dim[d]));
    return list;
}

json_t *kw_tensor(const struct made *t)
{
    if (!t) return NULL;
    return json_pack("{s:s,s:{s:o,s:s,s:[s,i,i]}}", "class_name", "__keras_tensor__", "config", "shape",
        kw_dims(&t->shape, 0), "dtype", dtype_name(t->dtype), "keras_history", t->layer->name, t->call, t->index);
}

static json_t *number(const struct tensor *t, int64_t i)
{
    if (t->dtype == DT_BOOL) return json_boolean(tensor_get_i64(t, i));
    if (!dtype_is_float(t->dtype)) return json_integer(tensor_get_i64(t, i));
    return json_real(tensor_get_f64(t, i));
}

static json_t *nested(const struct tensor *t, int d, int64_t *at)
{
    if (d == t->shape.rank) return number(t, (*at)++);
    json_t *list = json_array();
    for (int64_t i = 0; i < t->shape.dim[d]; i++) json_array_append_new(list, nested(t, d + 1, at));
    return list;
}

json_t *kw_constant(struct kwriter *w, const struct tensor *t)
{
    int64_t at = 0, n = tensor_count(t);
    for (int64_t i = 0; i < n && n <= CONSTANT_MAX; i++)
        if (!isfinite(tensor_get_f64(t, i))) n = CONSTANT_MAX + 1;
    if (n > CONSTANT_MAX) return fail(w->err, ERR_UNSUPPORTED, "a constant that is too large, or not finite"), NULL;
    if (!t->shape.rank) return number(t, 0);
    return json_pack("{s:s,s:{s:o,s:s}}", "class_name", "__numpy__", "config", "value", nested(t, 0, &at), "dtype",
        dtype_name(t->dtype));
}

/* A name that Keras and TensorFlow take, once. */
static const char *name_for(struct kwriter *w, const char *suffix)
{
    const char *base = w->node ? w->node->out[0]->name : suffix, *more = w->node ? suffix : "";
    char *name = arena_printf(w->arena, "%s%s%s", base, more[0] ? "_" : "", more);
    if (!name) return fail_nomem(w->err), NULL;
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_') *c = '_';
    while (*name == '_') name++;
    if (!isalpha((unsigned char)*name) && !(name = arena_printf(w->arena, "x%s", name)))
        return fail_nomem(w->err), NULL;
    const char *once = name;
    for (int i = 1; once && map_find(&w->names, once); i++) once = arena_printf(w->arena, "%s_%d", name, i);
    if (!once || !map_set(&w->names, once, w)) return fail_nomem(w->err), NULL;
    return once;
}

/* A layer that reads the same weights in the same way. */
static struct made_layer *shared(struct kwriter *w, const char *class_name, json_t *config)
{
    for (size_t i = 0; w->source && i < w->n_layers; i++) {
        struct made_layer *l = w->layers[i];
        if (l->source != w->source || strcmp(l->class_name, class_name)) continue;
        json_object_set(config, "name", json_object_get(l->config, "name"));
        if (json_equal(config, l->config)) return l;
    }
    return NULL;
}

static struct made_layer *new_layer(
    struct kwriter *w, const char *module, const char *class_name, const char *suffix, json_t *config, bool op)
{
    struct made_layer *l = ARENA_NEW(w->arena, struct made_layer);
    const char *name = l ? name_for(w, suffix) : NULL;
    if (!name) return fail_nomem(w->err), NULL;
    *l = (struct made_layer){ .module = module,
        .class_name = class_name,
        .name = name,
        .op = op,
        .config = config,
        .calls = json_array(),
        .n_weights = w->n_pending,
        .source = w->source };
    if (json_own(w->arena, l->calls, w->err)) return NULL;
    if (!op || !json_object_size(config)) json_object_set_new(config, "name", json_string(name));
    l->weights = ARENA_ARRAY(w->arena, w->n_pending + 1, struct made_weight);
    if (!l->weights || !ARRAY_PUSH(w->arena, w->layers, w->n_layers, w->cap_layers, l)) return fail_nomem(w->err), NULL;
    memcpy(l->weights, w->pending, w->n_pending * sizeof *w->pending);
    return l;
}

static struct made *called(
    struct kwriter *w, struct made_layer *l, json_t *call, const struct shape *out, enum dtype type)
{
    struct made *t = ARENA_NEW(w->arena, struct made);
    w->n_pending = 0;
    w->source = NULL;
    if (!t) json_decref(call);
    if (!t || !call || json_array_append_new(l->calls, call)) return fail_nomem(w->err), NULL;
    *t = (struct made){ .layer = l, .call = l->n_calls++, .dtype = type, .shape = *out };
    return t;
}

/* Keras 3 writes a call as its arguments, Keras 2 as a list of [layer, call, result, {}]. `states`: all but the first
 * are those a recurrence begins with. */
static json_t *call_of(struct kwriter *w, struct made *const *in, int n_in, bool states)
{
    json_t *list = json_array();
    for (int i = 0; i < n_in; i++)
        json_array_append_new(
            list, w->v3 ? kw_tensor(in[i]) : json_pack("[s,i,i,{}]", in[i]->layer->name, in[i]->call, in[i]->index));
    if (!w->v3) return list;
    if (n_in > 1 && states) {
        json_t *first = json_incref(json_array_get(list, 0));
        json_array_remove(list, 0);
        return json_pack("{s:[o],s:{s:o}}", "args", first, "kwargs", "initial_state", list);
    }
    return n_in > 1 ? json_pack("{s:[o],s:{}}", "args", list, "kwargs")
                    : json_pack("{s:o,s:{}}", "args", list, "kwargs");
}

struct made *kw_layer(struct kwriter *w, const char *class_name, const char *suffix, json_t *config,
    struct made *const *in, int n_in, const struct shape *out, enum dtype type)
{
    bool there = !w->err->code;
    for (int i = 0; i < n_in; i++) there &= in[i] != NULL;
    if (json_own(w->arena, config, w->err) || !there) return NULL;
    bool input = !strcmp(class_name, "InputLayer");
    if (!input) {
        json_object_set_new(config, "trainable", json_true());
        json_object_set_new(config, "dtype", json_string("float32"));
    }
    struct made_layer *l = shared(w, class_name, config);
    if (!l && !(l = new_layer(w, "keras.layers", class_name, suffix, config, false))) return NULL;
    struct made *t = called(w, l, call_of(w, in, n_in, json_object_get(config, "return_state") != NULL), out, type);
    if (input) json_array_clear(l->calls);
    return t;
}

struct made *kw_one(struct kwriter *w, const char *class_name, const char *suffix, json_t *config, struct made *in,
    const struct shape *out)
{
    return kw_layer(w, class_name, suffix, config, &in, 1, out, in ? in->dtype : DT_F32);
}

struct made *kw_result(struct kwriter *w, const struct made *t, int index, const struct shape *shape)
{
    struct made *more = t ? ARENA_NEW(w->arena, struct made) : NULL;
    if (!more) return t ? (fail_nomem(w->err), NULL) : NULL;
    *more = *t;
    more->index = index;
    more->shape = *shape;
    return more;
}

struct made *kw_op(struct kwriter *w, const char *module, const char *class_name, const char *suffix, json_t *config,
    json_t *args, const struct shape *out, enum dtype type)
{
    bool owned = !json_own(w->arena, config, w->err);
    if (!args || !owned || w->err->code) return json_decref(args), NULL;
    struct made_layer *l = new_layer(w, module, class_name, suffix, config, true);
    json_t *call = json_is_object(args) ? args : json_pack("{s:o,s:{}}", "args", args, "kwargs");
    return l ? called(w, l, call, out, type) : (json_decref(call), NULL);
}

void kw_weight(struct kwriter *w, const char *path, const char *role, const struct tensor *t)
{
    if (!t) {
        if (!w->err->code) fail(w->err, ERR_FAILED, "its %s is not known", role);
    } else if (w->n_pending < WEIGHTS_MAX) w->pending[w->n_pending++] = (struct made_weight){ path, role, t };
}

const struct tensor *kw_turned(struct kwriter *w, const struct tensor *t, const int *perm)
{
    struct shape s = { .rank = t ? t->shape.rank : 0 };
    int64_t stride[SHAPE_MAX], at[SHAPE_MAX] = { 0 };
    if (!t) return NULL;
    for (int d = 0; d < s.rank; d++) s.dim[d] = t->shape.dim[perm[d]];
    shape_strides(&t->shape, stride);
    struct tensor *out = tensor_new(w->arena, t->dtype, &s, w->err);
    size_t size = dtype_size(t->dtype);
    for (int64_t i = 0; out && i < tensor_count(out); i++) {
        int64_t from = 0;
        for (int d = 0; d < s.rank; d++) from += at[d] * stride[perm[d]];
        memcpy((char *)out->data + (size_t)i * size, (const char *)t->data + (size_t)from * size, size);
        for (int d = s.rank; d-- > 0 && ++at[d] == s.dim[d];) at[d] = 0;
    }
    return out;
}

struct made *kw_reshaped(struct kwriter *w, struct made *t, const char *suffix, int rank, const int64_t *dims)
{
    int64_t target[SHAPE_MAX];
    struct shape s = shape_of(rank, dims);
    int open = 0;
    if (!t) return NULL;
    bool batch = rank > 0 && t->shape.rank > 0 && dims[0] != DIM_UNKNOWN && dims[0] == t->shape.dim[0];
    for (int d = batch; d < rank; d++) open += (target[d] = dims[d] < 0 ? -1 : dims[d]) < 0;
    if (open > 1) {
        kw_cannot(w, w->node, "a shape with several sizes that are not known; fix them with --shape");
        return NULL;
    }
    if (batch)
        return kw_one(w, "Reshape", suffix, json_pack("{s:o}", "target_shape", kw_ints(target + 1, rank - 1)), t, &s);
    if (!w->v3) return kw_cannot(w, w->node, "the batch is no dimension of its own afterwards"), NULL;
    return kw_op(w, "keras.src.ops.numpy", "Reshape", suffix, json_pack("{s:o}", "newshape", kw_ints(target, rank)),
        json_pack("[o]", kw_tensor(t)), &s, t->dtype);
}

static const struct tensor *content(struct kwriter *w, struct value *v, int depth)
{
    struct tensor *in[16] = { NULL }, *out[8] = { NULL };
    v = value_resolve(v);
    if (!v || !w->fixed[v->id] || w->err->code) return NULL;
    if (v->kind != VALUE_NODE) return v->data;
    if (w->content[v->id]) return w->content[v->id];
    const struct node *n = v->node;
    if (depth > DEPTH_MAX || n->n_in > 16 || n->n_out > 8)
        return fail(w->err, ERR_UNSUPPORTED, "weights that are computed in too many steps"), NULL;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !(in[i] = (struct tensor *)(uintptr_t)content(w, n->in[i], depth + 1))) return NULL;
    if (op_eval(n, in, out, w->arena, 1, w->err)) return NULL;
    for (int i = 0; i < n->n_out; i++) w->content[n->out[i]->id] = out[i];
    return out[v->index];
}

const struct tensor *kw_content(struct kwriter *w, struct value *v)
{
    return content(w, v, 0);
}

bool kw_scalar(struct kwriter *w, struct value *v, double *out)
{
    const struct tensor *t = kw_content(w, v);
    if (!t || tensor_count(t) != 1) return false;
    *out = tensor_get_f64(t, 0);
    return true;
}

const int64_t *kw_numbers(struct kwriter *w, struct value *v, int *n)
{
    const struct tensor *t = kw_content(w, v);
    if (!t || dtype_is_float(t->dtype) || tensor_count(t) > 4 * SHAPE_MAX) return NULL;
    int64_t *out = ARENA_ARRAY(w->arena, tensor_count(t) + 1, int64_t);
    if (!out) return fail_nomem(w->err), NULL;
    *n = (int)tensor_count(t);
    for (int i = 0; i < *n; i++) out[i] = tensor_get_i64(t, i);
    return out;
}

struct node *kw_only_reader(struct kwriter *w, const struct node *n, const char *op)
{
    const struct graph *g = w->graph;
    const struct value *v = n->out[0];
    if (w->readers[v->id] != 1) return NULL;
    for (size_t i = (size_t)n->id + 1; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            if (value_resolve(g->nodes[i]->in[k]) == v && !w->said[g->nodes[i]->id])
                return node_is(g->nodes[i], op) ? g->nodes[i] : NULL;
    return NULL;
}

void kw_frozen(struct kwriter *w, struct value *v)
{
    v = value_resolve(v);
    if (v && v->kind == VALUE_STATE && v->flags & VALUE_TRAINABLE)
        report_add(w->notes, REPORT_WARNING, v->name,
            "the weight %s is a constant in the file, since no layer of Keras holds it: training there leaves it as it "
            "is",
            v->name);
}
