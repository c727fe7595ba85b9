/* write_graph.c - graphs as GraphProtos: names, initializers, inputs, outputs, shapes. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/writer.h"

const char *onnx_written_name(const struct onnx_written *at, const struct value *v)
{
    for (; at && v; at = at->outer)
        if ((size_t)v->id < at->g->n_values && at->g->values[v->id] == v)
            return at->needed[v->id] = true, at->names[v->id];
    return "";
}

/* Names are kept; one that a graph around this one uses already gets a number. */
static const char *free_name(struct onnx_writer *w, const char *wanted)
{
    const char *name = wanted;
    for (int i = 2; name && map_get(&w->names, name); i++) name = arena_printf(w->arena, "%s_%d", wanted, i);
    return name && map_set(&w->names, name, w) ? name : NULL;
}

static int choose_names(struct onnx_writer *w, struct onnx_written *at, struct value *const *captured, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at->names[at->g->inputs[at->g->n_inputs - n + i]->id] = onnx_written_name(at->outer, captured[i]);
    for (size_t i = 0; i < at->g->n_values; i++) {
        if (at->names[i]) continue;
        at->names[i] = free_name(w, at->g->values[i]->name);
        TRY_MEM(at->names[i], w->err);
    }
    return 0;
}

/* Graphs side by side may use the same names. */
static void give_back_names(struct onnx_writer *w, const struct onnx_written *at, size_t n_captured)
{
    const struct graph *g = at->g;
    for (size_t i = 0; at->outer && i < g->n_values; i++) {
        bool own = g->values[i]->kind != VALUE_INPUT;
        for (size_t k = 0; k < g->n_inputs - n_captured; k++) own |= g->inputs[k] == g->values[i];
        struct map_entry *entry = own ? map_find(&w->names, at->names[i]) : NULL;
        if (entry) entry->value = NULL;
    }
}

static void put_shape(const struct graph *g, const struct shape *s, struct proto_message *tensor_type)
{
    struct proto_message shape = proto_message_in(tensor_type->arena);
    if (s->rank < 0) return;
    for (int i = 0; i < s->rank; i++) {
        struct proto_message d = proto_message_in(tensor_type->arena);
        if (s->dim[i] >= 0) proto_put_int64(&d, 1, s->dim[i]);
        else if (s->dim[i] != DIM_UNKNOWN) proto_put_text(&d, 2, graph_symbol_name(g, s->dim[i]));
        proto_put_message(&shape, 1, &d);
    }
    proto_put_message(tensor_type, 2, &shape);
}

void onnx_put_type(
    const struct graph *g, enum dtype t, const struct shape *s, const struct content *of, struct proto_message *type)
{
    struct proto_message inner = proto_message_in(type->arena), element = inner;
    if (dtype_is_container(t)) {
        if (of && of->dtype) onnx_put_type(g, of->dtype, &of->shape, of->of, &element);
        proto_put_message(&inner, 1, &element);
    } else {
        proto_put_varint(&inner, 1, (uint64_t)t);
        put_shape(g, s, &inner);
    }
    proto_put_message(type, t == DT_SEQUENCE ? 4 : t == DT_OPTIONAL ? 9 : 1, &inner);
}

/* A ValueInfoProto, in `field` of the graph. */
static void put_value(
    const struct onnx_written *at, const struct value *v, const char *name, uint32_t field, struct proto_message *graph)
{
    struct proto_message m = proto_message_in(graph->arena), type = m;
    proto_put_text(&m, 1, name);
    if (v->dtype != DT_NONE) {
        onnx_put_type(at->g, v->dtype, &v->shape, v->of, &type);
        proto_put_message(&m, 2, &type);
    }
    if (v->flags & VALUE_GUESSED) {
        struct proto_message entry = proto_message_in(graph->arena);
        proto_put_text(&entry, 1, "tenrec.guessed");
        proto_put_text(&entry, 2, "1");
        proto_put_message(&m, 4, &entry);
    }
    proto_put_message(graph, field, &m);
}

static int put_initializer(
    struct onnx_writer *w, const struct onnx_written *at, const struct value *v, struct proto_message *graph)
{
    struct proto_message m = proto_message_in(w->arena);
    TRY(onnx_put_tensor(w, at->names[v->id], v->data, &m));
    proto_put_message(graph, 5, &m);
    return 0;
}

static int put_initializers(struct onnx_writer *w, const struct onnx_written *at, struct proto_message *graph)
{
    const struct graph *g = at->g;
    if (at->outer && g->n_states)
        return fail(w->err, ERR_UNSUPPORTED, "the subgraph %s has states of its own, %s among them", g->name,
            g->states[0]->name);
    for (size_t i = 0; i < g->n_states; i++) TRY(put_initializer(w, at, g->states[i], graph));
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->kind == VALUE_CONST && at->needed[i]) TRY(put_initializer(w, at, g->values[i], graph));
    return 0;
}

/* An Identity, for an output that cannot stand as it is: one that is given twice. */
static const char *put_identity(struct onnx_writer *w, const char *from, struct proto_message *graph)
{
    struct proto_message m = proto_message_in(w->arena);
    const char *name = free_name(w, from);
    if (!name) return NULL;
    proto_put_text(&m, 1, from);
    proto_put_text(&m, 2, name);
    proto_put_text(&m, 4, "Identity");
    proto_put_message(graph, 1, &m);
    return name;
}

static int put_outputs(
    struct onnx_writer *w, const struct onnx_written *at, bool *is_output, struct proto_message *graph)
{
    const struct graph *g = at->g;
    for (size_t i = 0; i < g->n_outputs; i++) {
        const struct value *v = g->outputs[i];
        const char *name = onnx_written_name(at, v);
        bool here = (size_t)v->id < g->n_values && g->values[v->id] == v;
        if (!here || is_output[v->id]) name = put_identity(w, name, graph);
        TRY_MEM(name, w->err);
        if (here) is_output[v->id] = true;
        put_value(at, v, name, 12, graph);
    }
    return 0;
}

int onnx_put_graph(struct onnx_writer *w, const struct graph *g, const struct onnx_written *outer,
    struct value *const *captured, size_t n_captured, struct proto_message *out)
{
    struct onnx_written at = { g, ARENA_ARRAY(w->arena, g->n_values, const char *),
        ARENA_ARRAY(w->arena, g->n_values, bool), outer };
    bool *is_output = ARENA_ARRAY(w->arena, g->n_values, bool);
    if (!at.names || !at.needed || !is_output) return fail_nomem(w->err);
    TRY(choose_names(w, &at, captured, n_captured));
    for (size_t i = 0; i < g->n_nodes; i++) TRY(onnx_put_node(w, &at, g->nodes[i], out));
    proto_put_text(out, 2, g->name[0] ? g->name : "graph");
    for (size_t i = 0; i < g->n_outputs; i++) onnx_written_name(&at, g->outputs[i]);
    for (size_t i = 0; i < g->n_states; i++) onnx_written_name(&at, g->states[i]->next);
    for (size_t i = 0; i < g->n_guards; i++) onnx_written_name(&at, g->guards[i].value);
    TRY(put_initializers(w, &at, out));
    for (size_t i = 0; i < g->n_inputs - n_captured; i++)
        put_value(&at, g->inputs[i], at.names[g->inputs[i]->id], 11, out);
    TRY(put_outputs(w, &at, is_output, out));
    for (size_t i = 0; i < g->n_values; i++) {
        const struct value *v = g->values[i];
        if (v->kind == VALUE_NODE && !is_output[i] && v->dtype != DT_NONE) put_value(&at, v, at.names[i], 13, out);
    }
    give_back_names(w, &at, n_captured);
    return 0;
}
