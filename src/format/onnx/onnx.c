/* onnx.c - ONNX models: the row of the format, and reading one from end to end. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "enc/json.h"
#include "format/onnx/lift.h"
#include "format/onnx/reader.h"
#include "format/onnx/write.h"
#include "graph/op.h"
#include "ops/registry.h"

static enum format_match probe(struct bytes file, const char *path);

static int read_opset(struct onnx_reader *r)
{
    r->opset = 1; /* what files of the first versions mean by saying nothing */
    for (size_t i = 0; i < r->model->opset_import.n; i++) {
        const struct onnx_opset *o = &r->model->opset_import.items[i];
        if (onnx_is_standard(o->domain)) r->opset = o->version;
    }
    if (r->opset < 1) return fail(r->err, ERR_MODEL, "operator set %lld does not exist", (long long)r->opset);
    if (r->opset > ONNX_NEWEST_OPSET)
        report_add(r->report, REPORT_WARNING, "opset_import",
            "operator set %lld is newer than %d, whose meanings are used", (long long)r->opset, ONNX_NEWEST_OPSET);
    return 0;
}

static int set_metadata(struct onnx_reader *r, const char *key, const char *value)
{
    return value[0] && !map_set(&r->root->metadata, key, (void *)(uintptr_t)value) ? fail_nomem(r->err) : 0;
}

/* Keys of our own ("tenrec.") say how to restore the graph and are no metadata of the model. */
static int read_metadata(struct onnx_reader *r)
{
    const struct onnx_model *m = r->model;
    for (size_t i = 0; i < m->metadata_props.n; i++)
        if (!str_starts(m->metadata_props.items[i].key, "tenrec."))
            TRY(set_metadata(r, m->metadata_props.items[i].key, m->metadata_props.items[i].value));
    if (r->own) return 0;
    const char *producer = arena_printf(
        r->arena, "%s%s%s", m->producer_name, m->producer_version[0] ? " " : "", m->producer_version);
    TRY_MEM(producer, r->err);
    TRY(set_metadata(r, "producer", producer));
    return set_metadata(r, "description", m->doc_string[0] ? m->doc_string : m->graph.doc_string);
}

/* One of our own keys; NULL without error when it is not there. */
static json_t *own_json(struct onnx_reader *r, const char *key)
{
    for (size_t i = 0; r->own && i < r->model->metadata_props.n; i++) {
        const struct onnx_entry *m = &r->model->metadata_props.items[i];
        if (strcmp(m->key, key) != 0) continue;
        json_t *json;
        struct bytes text = { (const unsigned char *)m->value, strlen(m->value) };
        return json_parse(r->arena, key, text, &json, r->err) ? NULL : json;
    }
    return NULL;
}

static int restore_states(struct onnx_reader *r)
{
    for (size_t i = 0; i < r->root->n_states; i++) {
        struct value *v = r->root->states[i];
        const char *next = json_string_value(json_object_get(json_object_get(r->states, v->name), "next"));
        if (!next) continue;
        if (!(v->next = graph_find(r->root, next)))
            return fail(r->err, ERR_MODEL, "tenrec.states: %s becomes %s, which is not there", v->name, next);
    }
    return 0;
}

static int restore_guards(struct onnx_reader *r, const json_t *guards)
{
    for (size_t i = 0; i < json_array_size(guards); i++) {
        const json_t *guard = json_array_get(guards, i), *expected = json_object_get(guard, "equals");
        const char *name = json_string_value(json_object_get(guard, "value"));
        struct value *v = name ? graph_find(r->root, name) : NULL;
        if (!v || !json_is_integer(expected))
            return fail(r->err, ERR_MODEL, "tenrec.guards: entry %zu names no value", i);
        TRY(graph_guard(
            r->root, v, json_integer_value(expected), json_string_value(json_object_get(guard, "where")), r->err));
    }
    return 0;
}

static void mark_buffer(struct value *v)
{
    while (v && v->kind == VALUE_NODE && node_is(v->node, "Identity")) v = node_in(v->node, 0);
    if (v && v->kind == VALUE_STATE) v->flags &= ~(unsigned)VALUE_TRAINABLE;
}

/* Running statistics are no parameters. */
static void mark_buffers(const struct graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        for (size_t k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].type == ATTR_GRAPH) mark_buffers(n->attrs[k].graph);
        if (!node_is(n, "BatchNormalization")) continue;
        mark_buffer(node_in(n, 3));
        mark_buffer(node_in(n, 4));
    }
}

static int build(struct onnx_reader *r)
{
    struct onnx_scope top = { .g = r->root, .prefix = "", .opset = r->opset };
    top.values = map_in(r->arena), top.hints = map_in(r->arena), top.used = map_in(r->arena);
    r->states = own_json(r, "tenrec.states");
    const json_t *guards = own_json(r, "tenrec.guards");
    if (r->err->code) return r->err->code;
    TRY(onnx_read_graph(r, &top, &r->model->graph, NULL, NULL));
    if (r->states) TRY(restore_states(r));
    else mark_buffers(r->root);
    TRY(restore_guards(r, guards));
    return read_metadata(r);
}

static int onnx_read(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *report, struct err *e)
{
    struct onnx_model model;
    struct onnx_reader r = { .arena = a,
        .model = &model,
        .options = o,
        .report = report,
        .functions = map_in(a),
        .fixed = map_in(a),
        .node_names = map_in(a),
        .static_inputs = true,
        .nodes_left = ONNX_NODES_FREE + (long)file->bytes.len,
        .err = e };
    TRY(onnx_decode_model(&model, a, file->path, file->bytes, e));
    if (!ONNX_HAS(&model, 7)) return fail(e, ERR_MODEL, "no graph inside; is this an ONNX model?");
    TRY(onnx_source_init(&r.source, a, file, e));
    r.own = !strcmp(model.producer_name, "tenrec");
    TRY(read_opset(&r));
    TRY(onnx_functions_collect(&r));
    TRY(onnx_check_support(&r));
    r.root = graph_new(a, &op_registry, model.graph.name, e);
    if (!r.root) return e->code;
    TRY(build(&r));
    *g = r.root;
    return 0;
}

/* The graph's own operators, then those that are read as others. */
static bool knows(size_t i, struct format_item *out)
{
    const char *domain = "ai.onnx", *name = NULL;
    for (size_t k = 0; op_at(k) && !name; k++)
        if (!(op_at(k)->flags & (OP_OWN | OP_TRAINING_ONLY)) && !i--) name = op_at(k)->name;
    if (!name && !lift_listed(i, &domain, &name)) return false;
    *out = (struct format_item){ domain, name, strlen(name) };
    return true;
}

const struct format format_onnx = {
    .name = "onnx",
    .doc = "ONNX models (.onnx), opset 1 to 28",
    .extensions = "onnx",
    .probe = probe,
    .write = onnx_write_file,
    .read = onnx_read,
    .knows = knows,
};

static enum format_match probe(struct bytes file, const char *path)
{
    if (onnx_looks_like_model(file)) return FORMAT_BY_CONTENT;
    return format_has_extension(&format_onnx, path) ? FORMAT_BY_NAME : FORMAT_NO;
}
