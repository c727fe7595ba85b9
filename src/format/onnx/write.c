/* write.c - a graph as a ModelProto: what ONNX cannot say is expanded or told in metadata. */
#include "format/onnx/write.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "enc/json.h"
#include "format/onnx/writer.h"
#include "graph/builder.h"
#include "graph/op.h"

enum { LOWEST_OPSET = 10, LOWEST_BY_ITSELF = 13, USUAL_OPSET = 22, NEWEST_OPSET = 23 };
enum { EMBEDDED_MAX = 1900 << 20 /* bytes; protobuf's end is at 2 GiB */ };

static bool has_to_be_expanded(const struct node *n, int opset)
{
    const char *why;
    return n->op->expand && (n->op->flags & OP_OWN || onnx_opset_of(n, &why) > opset);
}

/* Our own operators, and those that come after `opset`, in standard ones, in a copy of the graph. What they expand to
 * may have to be expanded again. */
static int expand_own(struct graph *g, int opset, struct arena *a, struct err *e)
{
    enum { GROWTH_MAX = 1 << 20 };
    for (size_t i = 0; i < g->n_nodes && i < GROWTH_MAX; i++) {
        struct node *n = g->nodes[i];
        for (size_t k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].type == ATTR_GRAPH) TRY(expand_own(n->attrs[k].graph, opset, a, e));
        TRY(onnx_rewrite(g, n, opset, e));
        if (!has_to_be_expanded(n, opset)) continue;
        struct builder b = { g, e, .where = n->where };
        struct value **out = ARENA_ARRAY(a, n->n_out, struct value *);
        TRY_MEM(out, e);
        for (int k = 0; k < n->n_in; k++) n->in[k] = value_resolve(n->in[k]);
        if (n->op->expand(&b, n, out) || e->code) return node_err(n, e);
        for (int k = 0; k < n->n_out; k++)
            if (out[k]) graph_alias(n->out[k], out[k]);
    }
    return graph_tidy(g, e);
}

struct opset_need {
    int opset;
    const struct node *node;
    const char *why;
};

static void find_opset(const struct graph *g, struct opset_need *need)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        const char *why;
        int opset = onnx_opset_of(n, &why);
        if (opset > need->opset) *need = (struct opset_need){ opset, n, why };
        for (size_t k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].type == ATTR_GRAPH) find_opset(n->attrs[k].graph, need);
    }
}

static int choose_opset(struct onnx_writer *w, const struct graph *g)
{
    int asked = w->options->opset;
    struct opset_need need = { asked ? LOWEST_OPSET : LOWEST_BY_ITSELF, NULL, "" };
    find_opset(g, &need);
    w->opset = asked ? asked : need.opset;
    if (asked && (asked < LOWEST_OPSET || asked > NEWEST_OPSET))
        return fail(w->err, ERR_USAGE, "operator set %d: %d to %d can be written", asked, LOWEST_OPSET, NEWEST_OPSET);
    if (asked && asked < need.opset)
        return fail(w->err, ERR_UNSUPPORTED, "operator set %d cannot say %s (%s: %s); %d is the lowest that can", asked,
            need.node->name, need.node->op->name, need.why, need.opset);
    return 0;
}

static int64_t ir_version(int opset)
{
    return opset >= 23 ? 11
        : opset >= 21  ? 10
        : opset >= 19  ? 9
        : opset >= 15  ? 8
        : opset >= 12  ? 7
        : opset >= 11  ? 6
                       : 5;
}

static json_t *state_json(const struct value *v)
{
    json_t *x = json_pack("{s:b}", "trainable", (v->flags & VALUE_TRAINABLE) != 0);
    if (v->flags & VALUE_KEPT) json_object_set_new(x, "kept", json_true());
    if (v->next) json_object_set_new(x, "next", json_string(v->next->name));
    if (!v->origin || !v->origin->key) return x;
    json_object_set_new(x, "key", json_string(v->origin->key));
    if (!v->origin->rank) return x;
    json_t *perm = json_array();
    for (int i = 0; i < v->origin->rank; i++) json_array_append_new(perm, json_integer(v->origin->perm[i]));
    json_object_set_new(x, "perm", perm);
    return x;
}

static json_t *states_json(const struct graph *g)
{
    json_t *all = json_object();
    for (size_t i = 0; i < g->n_states; i++) json_object_set_new(all, g->states[i]->name, state_json(g->states[i]));
    return all;
}

static json_t *guards_json(const struct graph *g)
{
    json_t *all = json_array();
    for (size_t i = 0; i < g->n_guards; i++) {
        const struct guard *x = &g->guards[i];
        json_array_append_new(all,
            json_pack("{s:s, s:I, s:s}", "value", x->value->name, "equals", (json_int_t)x->expected, "where",
                x->where ? x->where : ""));
    }
    return all;
}

static void put_property(struct proto_message *m, const char *key, const char *value)
{
    struct proto_message entry = proto_message_in(m->arena);
    proto_put_text(&entry, 1, key);
    proto_put_text(&entry, 2, value);
    proto_put_message(m, 14, &entry);
}

static int put_json(struct onnx_writer *w, const char *key, json_t *json, size_t want, struct proto_message *m)
{
    struct bytes text;
    TRY(json_own(w->arena, json, w->err));
    size_t n = json_is_array(json) ? json_array_size(json) : json_object_size(json);
    if (n != want) return fail(w->err, ERR_FAILED, "%s: a name is not UTF-8", key);
    TRY(json_print(json, JSON_IN_ORDER | JSON_ONE_LINE, w->arena, &text, w->err));
    const char *s = arena_strndup(w->arena, (const char *)text.data, text.len);
    TRY_MEM(s, w->err);
    return put_property(m, key, s), 0;
}

static void put_opset(struct proto_message *m, const char *domain, int version)
{
    struct proto_message set = proto_message_in(m->arena);
    proto_put_text(&set, 1, domain);
    proto_put_int64(&set, 2, version);
    proto_put_message(m, 8, &set);
}

static int put_model(struct onnx_writer *w, const struct graph *g, struct proto_message *m)
{
    struct proto_message graph = proto_message_in(w->arena);
    TRY(choose_opset(w, g));
    TRY(onnx_put_graph(w, g, NULL, NULL, 0, &graph));
    proto_put_int64(m, 1, ir_version(w->opset));
    proto_put_text(m, 2, "tenrec");
    put_opset(m, "", w->opset);
    if (w->own) put_opset(m, "ai.tenrec", 1);
    TRY(put_json(w, "tenrec.states", states_json(g), g->n_states, m));
    if (g->n_guards) TRY(put_json(w, "tenrec.guards", guards_json(g), g->n_guards, m));
    for (size_t i = 0; i < g->metadata.n; i++)
        if (g->metadata.entries[i].value) put_property(m, g->metadata.entries[i].key, g->metadata.entries[i].value);
    proto_put_message(m, 7, &graph);
    if (m->size > INT32_MAX)
        return fail(w->err, ERR_UNSUPPORTED,
            "%llu bytes are too many for one file; put the weights into one of their own", (unsigned long long)m->size);
    return 0;
}

int onnx_write(const struct graph *g, struct arena *a, const struct onnx_write_options *o, struct proto_message *out,
    struct report *r, struct err *e)
{
    struct onnx_writer w = { .arena = a, .options = o, .report = r, .names = map_in(a), .err = e };
    *out = proto_message_in(a);
    if (!o->exact) {
        struct graph *copy = graph_copy(g, a, e);
        if (!copy) return e->code;
        TRY(expand_own(copy, o->opset ? o->opset : USUAL_OPSET, a, e));
        g = copy;
    }
    TRY(put_model(&w, g, out));
    return o->standard ? report_fail(r, ERR_UNSUPPORTED, "what ONNX cannot say", e) : 0;
}

/* Weights in a file of their own, each at a multiple of 64. */
struct data_file {
    const char *path;
    struct file_writer file;
    struct map places; /* name -> uint64_t: the offset */
    const struct graph *g;
};

static bool place_in_file(void *cookie, const char *name, uint64_t *offset, uint64_t *length)
{
    const struct data_file *d = cookie;
    const uint64_t *at = map_get(&d->places, name);
    const struct value *v = graph_find(d->g, name);
    if (!at || !v || !v->data) return false;
    *offset = *at;
    *length = (uint64_t)tensor_bytes(v->data);
    return true;
}

static int put_weight(struct data_file *d, struct arena *a, const struct value *v, struct err *e)
{
    static const unsigned char zeros[64];
    uint64_t *at = ARENA_NEW(a, uint64_t);
    TRY_MEM(at, e);
    TRY(file_writer_put(&d->file, zeros, (size_t)(-d->file.at & 63), e));
    *at = d->file.at;
    if (!map_set(&d->places, v->name, at)) return fail_nomem(e);
    return file_writer_put(&d->file, v->data->data, (size_t)tensor_bytes(v->data), e);
}

static int write_data_file(struct data_file *d, struct arena *a, struct err *e)
{
    TRY(file_writer_open(&d->file, a, d->path, e));
    for (size_t i = 0; i < d->g->n_states; i++)
        if (d->g->states[i]->dtype != DT_STRING && put_weight(d, a, d->g->states[i], e))
            return file_writer_abort(&d->file), e->code;
    return file_writer_commit(&d->file, e);
}

static int write_files(const struct graph *g, struct arena *a, const char *path, const struct export_options *o,
    struct report *r, struct err *e)
{
    struct onnx_write_options options = { .opset = o->opset, .exact = o->exact, .standard = !o->exact };
    struct data_file data = { .path = arena_printf(a, "%s.data", path), .places = map_in(a), .g = g };
    struct proto_message m;
    struct file_writer file;
    uint64_t total = 0;
    TRY_MEM(data.path, e);
    for (size_t i = 0; i < g->n_states; i++) total += (uint64_t)tensor_bytes(g->states[i]->data);
    if (total > EMBEDDED_MAX) {
        TRY(write_data_file(&data, a, e));
        options.location = file_base(data.path);
        options.place = place_in_file;
        options.cookie = &data;
    }
    TRY(onnx_write(g, a, &options, &m, r, e));
    TRY(file_writer_open(&file, a, path, e));
    if (proto_write(&m, &file, e)) return file_writer_abort(&file), e->code;
    return file_writer_commit(&file, e);
}

int onnx_write_file(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e)
{
    struct arena a;
    arena_init(&a, g->arena->mem);
    int code = write_files(g, &a, path, o, r, e);
    arena_release(&a);
    return code;
}
