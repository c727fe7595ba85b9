/* read.c - initializers, inputs and outputs of a graph. */
#include <jansson.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/onnx/reader.h"
#include "graph/graph.h"

static int remember(struct onnx_reader *r, struct onnx_scope *scope, const char *name, struct value *v)
{
    if (!v) return r->err->code;
    if (map_find(&scope->values, name))
        return fail(r->err, ERR_MODEL, "two inputs or initializers have the name \"%s\"", name);
    return map_set(&scope->values, name, v) ? 0 : fail_nomem(r->err);
}

static const struct origin *read_origin(struct onnx_reader *r, const char *name, const json_t *state)
{
    struct origin *o = ARENA_NEW(r->arena, struct origin);
    const char *key = state ? json_string_value(json_object_get(state, "key")) : name;
    if (!o || !key || !(o->key = arena_strdup(r->arena, key))) return NULL;
    const json_t *perm = json_object_get(state, "perm");
    size_t n = json_array_size(perm);
    for (size_t i = 0; i < n && n <= SHAPE_MAX; i++) {
        json_int_t k = json_integer_value(json_array_get(perm, i));
        if (k < 0 || (size_t)k >= n) return o;
        o->perm[i] = (int)k;
    }
    o->rank = n <= SHAPE_MAX ? (int)n : 0;
    return o;
}

/* See the top of reader.h. `state`: what our own file says of it, or NULL. */
static bool is_state(const struct onnx_reader *r, const char *name, const struct tensor *t, const json_t *state)
{
    if (r->states) return state != NULL;
    return dtype_is_float(t->dtype) && tensor_count(t) > 1 && !map_find(&r->fixed, name);
}

static int add_initializer(struct onnx_reader *r, struct onnx_scope *scope, const char *name, const struct tensor *t)
{
    if (!t) return r->err->code;
    const json_t *state = r->states ? json_object_get(r->states, name) : NULL;
    if (!is_state(r, name, t, state)) return remember(r, scope, name, graph_const(scope->g, name, t, r->err));
    bool trainable = !state || json_is_true(json_object_get(state, "trainable"));
    unsigned kept = json_is_true(json_object_get(state, "kept")) ? VALUE_KEPT : 0;
    struct value *v = graph_state(r->root, name, t, kept | (trainable ? VALUE_TRAINABLE : 0), r->err);
    if (v) v->origin = read_origin(r, name, state);
    return remember(r, scope, name, v ? onnx_capture_root(r, scope, v) : NULL);
}

static int read_initializers(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_graph *from)
{
    for (size_t i = 0; i < from->initializer.n; i++) {
        const struct onnx_tensor *t = &from->initializer.items[i];
        TRY(add_initializer(r, scope, t->name, onnx_weight_load(&r->source, t, r->err)));
    }
    for (size_t i = 0; i < from->sparse_initializer.n; i++) {
        const struct onnx_sparse *t = &from->sparse_initializer.items[i];
        TRY(add_initializer(r, scope, t->values.name, onnx_sparse_load(&r->source, t, r->err)));
    }
    return 0;
}

/* What the user says of an input wins, but where both are numbers they have to agree. */
static int apply_hint(
    struct onnx_reader *r, const struct import_hint *h, const char *name, enum dtype *t, struct shape *s)
{
    if (h->dtype && *t && h->dtype != *t)
        return fail(
            r->err, ERR_USAGE, "input %s is %s in the file, not %s", name, dtype_name(*t), dtype_name(h->dtype));
    if (h->dtype) *t = h->dtype;
    if (h->rank == RANK_UNKNOWN) return 0;
    struct shape given = import_hint_shape(h, r->root);
    if (s->rank >= 0 && s->rank != given.rank)
        return fail(r->err, ERR_USAGE, "input %s has rank %d in the file, not %d", name, s->rank, given.rank);
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] > 0 && given.dim[i] >= 0 && s->dim[i] != given.dim[i])
            return fail(r->err, ERR_USAGE, "input %s: dimension %d is %lld in the file, not %lld", name, i,
                (long long)s->dim[i], (long long)given.dim[i]);
    *s = given;
    return 0;
}

/* A map is two inputs: NAME has its values, NAME_keys its keys, in one order. */
static int add_map(
    struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_value *v, enum dtype key, enum dtype of)
{
    const char *keys = arena_printf(r->arena, "%s_keys", v->name), *size = arena_printf(r->arena, "%s_0", v->name);
    if (!keys || !size) return fail_nomem(r->err);
    struct shape s = shape_of(1, (int64_t[]){ graph_symbol(r->root, size) });
    if (s.dim[0] == DIM_UNKNOWN) return fail_nomem(r->err);
    r->static_inputs = false;
    report_add(r->report, REPORT_NOTE, v->name, "a map: its values are the input %s, its keys, in the same order, %s",
        v->name, keys);
    TRY(remember(r, scope, v->name, graph_input(scope->g, v->name, of, &s, r->err)));
    return remember(r, scope, keys, graph_input(scope->g, keys, key, &s, r->err));
}

static int add_input(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_value *v)
{
    enum dtype key, of;
    if (onnx_map_types(&v->type, &key, &of)) return add_map(r, scope, v, key, of);
    struct content c;
    TRY(onnx_type_read(r, r->root, v, true, &c));
    enum dtype t = c.dtype;
    struct shape s = c.shape;
    const struct import_hint *h = import_hint_for(r->options, v->name, r->root->n_inputs);
    if (h) TRY(apply_hint(r, h, v->name, &t, &s));
    if (t == DT_NONE)
        return fail(
            r->err, ERR_MODEL, "input %s has no element type; give it: --input %s=...:float32", v->name, v->name);
    for (int i = 0; i < s.rank && !r->own && !dtype_is_container(t); i++) {
        char name[160];
        snprintf(name, sizeof name, "%.120s_%d", v->name,
            i); /* sizes without a name get one, so that they can be followed */
        if (s.dim[i] == DIM_UNKNOWN && (s.dim[i] = graph_symbol(r->root, name)) == DIM_UNKNOWN)
            return fail_nomem(r->err);
    }
    r->static_inputs &= shape_is_known(&s);
    struct value *input = graph_input(scope->g, v->name, t, &s, r->err);
    if (input) input->of = c.of;
    for (size_t i = 0; input && r->own && i < v->metadata_props.n; i++)
        if (!strcmp(v->metadata_props.items[i].key, "tenrec.guessed")) input->flags |= VALUE_GUESSED;
    return remember(r, scope, v->name, input);
}

/* Inputs of a body take the types of what the node hands in; sizes may change from turn to turn. */
static int add_body_input(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_value *v,
    const struct onnx_node *n, struct value *const *in, size_t i)
{
    struct content c;
    TRY(onnx_type_read(r, scope->g, v, false, &c));
    enum dtype t = c.dtype;
    struct shape s = c.shape;
    for (int k = 0; k < s.rank; k++)
        if (s.dim[k] < 0 || !r->static_inputs) s.dim[k] = DIM_UNKNOWN;
    bool loop = !strcmp(n->op_type, "Loop");
    if (loop && i < 2) t = i ? DT_BOOL : DT_I64;
    if (loop && !i) s = shape_of(0, NULL);
    size_t from = i + (scope->opset == 8 && !strcmp(n->op_type, "Scan")); /* that one begins with the lengths */
    if (t == DT_NONE && from < n->input.n && in[from]) t = in[from]->dtype, c.of = in[from]->of;
    struct value *input = graph_input(scope->g, v->name, t, &s, r->err);
    if (input) input->of = c.of;
    return remember(r, scope, v->name, input);
}

/* Hints have to name inputs that exist. */
static int check_hint_names(struct onnx_reader *r)
{
    const struct graph *g = r->root;
    for (size_t i = 0; i < r->options->n_inputs; i++) {
        const char *name = r->options->inputs[i].name;
        const struct value *v = name ? graph_find(g, name) : NULL;
        if (!name || (v && v->kind == VALUE_INPUT)) continue;
        struct str all = str_in(r->arena);
        for (size_t k = 0; k < g->n_inputs; k++) str_addf(&all, "%s%s", k ? ", " : "", g->inputs[k]->name);
        const char *text = str_done(&all);
        TRY_MEM(text, r->err);
        return fail(r->err, ERR_USAGE, "no input is called %s; the model has %s", name, text);
    }
    return 0;
}

static int read_inputs(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_graph *from,
    const struct onnx_node *node, struct value *const *in)
{
    for (size_t i = 0; i < from->input.n; i++) {
        const struct onnx_value *v = &from->input.items[i];
        struct value *known = map_get(&scope->values, v->name);
        if (known && known->kind != VALUE_INPUT) continue; /* an initializer: its content holds */
        TRY(node ? add_body_input(r, scope, v, node, in, i) : add_input(r, scope, v));
    }
    return node ? 0 : check_hint_names(r);
}

static bool belongs(const struct graph *g, const struct value *v)
{
    return (size_t)v->id < g->n_values && g->values[v->id] == v;
}

static bool is_captured(const struct onnx_scope *scope, const struct value *v)
{
    for (size_t i = 0; scope->captures && i < scope->captures->n; i++)
        if (scope->captures->items[i].inner == v) return true;
    return false;
}

static int read_outputs(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_graph *from)
{
    for (size_t i = 0; i < from->output.n; i++) {
        const char *name = from->output.items[i].name;
        struct value *v = NULL;
        if (!onnx_lookup(r, scope, name, &v) || !v)
            return fail(r->err, ERR_MODEL, "nothing makes the output \"%s\"", name);
        bool own_name = !strcmp(v->name, name) || scope->outer;
        if (!belongs(scope->g, v) || !own_name || is_captured(scope, v)) {
            struct builder b = { scope->g, r->err };
            v = emit(&b, "Identity", NO_ATTRS, v);
            if (!v) return r->err->code;
            TRY(graph_rename(scope->g, v, name, r->err));
        }
        TRY(graph_output(scope->g, v, r->err));
    }
    return 0;
}

int onnx_read_graph(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_graph *from,
    const struct onnx_node *node, struct value *const *in)
{
    for (size_t i = 0; i < from->value_info.n; i++)
        if (!map_set(&scope->hints, from->value_info.items[i].name, &from->value_info.items[i]))
            return fail_nomem(r->err);
    const char **outputs = ARENA_ARRAY(r->arena, from->output.n, const char *);
    TRY_MEM(outputs, r->err);
    for (size_t i = 0; i < from->output.n; i++) {
        outputs[i] = from->output.items[i].name;
        if (!map_set(&scope->hints, outputs[i], &from->output.items[i])) return fail_nomem(r->err);
    }
    TRY(read_initializers(r, scope, from));
    TRY(read_inputs(r, scope, from, node, in));
    struct onnx_body body = { from->node.items, from->node.n, outputs, from->output.n };
    TRY(onnx_read_nodes(r, scope, &body));
    return read_outputs(r, scope, from);
}
