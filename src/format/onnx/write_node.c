/* write_node.c - nodes, attributes and tensors as messages. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "format/onnx/schema.h"
#include "format/onnx/writer.h"
#include "graph/op.h"
#include "ops/control.h"

/* TensorProto without its data. */
static void put_header(const char *name, const struct tensor *t, struct proto_message *out)
{
    for (int i = 0; i < t->shape.rank; i++) proto_put_int64(out, 1, t->shape.dim[i]);
    proto_put_varint(out, 2, (uint64_t)t->dtype);
    if (name) proto_put_text(out, 8, name);
}

static void put_entry(struct proto_message *to, uint32_t field, const char *key, const char *value)
{
    struct proto_message m = proto_message_in(to->arena);
    proto_put_text(&m, 1, key);
    proto_put_text(&m, 2, value);
    proto_put_message(to, field, &m);
}

static void put_external(struct onnx_writer *w, uint64_t offset, uint64_t length, struct proto_message *out)
{
    char number[32];
    put_entry(out, 13, "location", w->options->location);
    snprintf(number, sizeof number, "%llu", (unsigned long long)offset);
    put_entry(out, 13, "offset", number);
    snprintf(number, sizeof number, "%llu", (unsigned long long)length);
    put_entry(out, 13, "length", number);
    proto_put_varint(out, 14, 1);
}

/* Packed types in a copy, others from where they lie. */
static int put_raw(struct onnx_writer *w, const struct tensor *t, struct proto_message *out)
{
    size_t len = (size_t)tensor_packed_bytes(t);
    const void *data = len ? t->data : "";
    if (len && dtype_bits(t->dtype) < 8) {
        unsigned char *packed = arena_alloc(w->arena, len);
        TRY_MEM(packed, w->err);
        tensor_pack(t, packed);
        data = packed;
    }
    proto_put_borrowed(out, 9, data, len);
    return 0;
}

int onnx_put_tensor(struct onnx_writer *w, const char *name, const struct tensor *t, struct proto_message *out)
{
    const struct onnx_write_options *o = w->options;
    uint64_t offset = 0, length = 0;
    put_header(name, t, out);
    if (t->layout) return fail(w->err, ERR_FAILED, "tensor %s is not in plain order", name ? name : "of an attribute");
    if (t->dtype == DT_STRING) {
        const struct string_element *s = t->data;
        for (int64_t i = 0; i < tensor_count(t); i++) proto_put_bytes(out, 6, s[i].text ? s[i].text : "", s[i].len);
        return 0;
    }
    if (name && o->location && o->place && o->place(o->cookie, name, &offset, &length)) {
        if (length != (uint64_t)tensor_packed_bytes(t))
            return fail(w->err, ERR_FAILED, "%s is placed in %llu bytes, it has %lld", name, (unsigned long long)length,
                (long long)tensor_packed_bytes(t));
        return put_external(w, offset, length, out), 0;
    }
    return put_raw(w, t, out);
}

static int put_attr_value(struct onnx_writer *w, const struct onnx_written *at, const struct node *n,
    const struct attr *a, struct proto_message *m)
{
    struct proto_message inner = proto_message_in(w->arena);
    int captures;
    switch (a->type) {
    case ATTR_FLOAT: proto_put_float(m, 2, (float)a->f); return ONNX_FLOAT;
    case ATTR_INT: proto_put_int64(m, 3, a->i); return ONNX_INT;
    case ATTR_STRING: proto_put_text(m, 4, a->s); return ONNX_STRING;
    case ATTR_TENSOR:
        TRY(onnx_put_tensor(w, NULL, a->tensor, &inner));
        proto_put_message(m, 5, &inner);
        return ONNX_TENSOR;
    case ATTR_GRAPH:
        captures = control_captures(n);
        TRY(onnx_put_graph(w, a->graph, at, n->in + n->n_in - captures, (size_t)captures, &inner));
        proto_put_message(m, 6, &inner);
        return ONNX_GRAPH;
    case ATTR_FLOATS:
        for (size_t i = 0; i < a->n; i++) proto_put_float(m, 7, (float)a->floats[i]);
        return ONNX_FLOATS;
    case ATTR_INTS:
        for (size_t i = 0; i < a->n; i++) proto_put_int64(m, 8, a->ints[i]);
        return ONNX_INTS;
    case ATTR_STRINGS:
        for (size_t i = 0; i < a->n; i++) proto_put_text(m, 9, a->strings[i]);
        return ONNX_STRINGS;
    default: return fail(w->err, ERR_FAILED, "attribute %s has no type", a->name);
    }
}

static int put_attr(struct onnx_writer *w, const struct onnx_written *at, const struct node *n, const struct attr *a,
    struct proto_message *node)
{
    struct proto_message m = proto_message_in(w->arena);
    proto_put_text(&m, 1, a->name);
    int type = put_attr_value(w, at, n, a, &m);
    TRY(type);
    proto_put_varint(&m, 20, (uint64_t)type);
    proto_put_message(node, 5, &m);
    if (a->type != ATTR_FLOAT || (double)(float)a->f == a->f) return 0;
    char key[160], text[40];
    snprintf(key, sizeof key, "tenrec.float.%.100s", a->name);
    snprintf(text, sizeof text, "%.17g", a->f);
    put_entry(node, 9, key, text);
    return 0;
}

/* A constant input as the attribute it was. */
static int put_moved(struct onnx_writer *w, const struct onnx_written *at, const struct node *n,
    const struct onnx_moved *moved, const struct tensor *t, struct proto_message *m)
{
    int64_t list[2 * SHAPE_MAX], count = tensor_count(t);
    if (!moved->attr) return 0;
    if (moved->type == ATTR_FLOAT && count != 1)
        return fail(w->err, ERR_SHAPE, "%s: %lld numbers", n->name, (long long)count);
    struct attr a = attr_float(moved->attr, count ? tensor_get_f64(t, 0) : 0);
    if (moved->type == ATTR_FLOAT) return put_attr(w, at, n, &a, m);
    if (count > 2 * SHAPE_MAX) return fail(w->err, ERR_SHAPE, "%s: %lld axes", n->name, (long long)count);
    load_i64(t->dtype, t->data, count, list);
    int rank = node_is(n, "Unsqueeze") ? n->out[0]->shape.rank : n->in[0]->shape.rank;
    for (int64_t i = 0; i < count && w->opset < 11 && !strcmp(moved->attr, "axes"); i++)
        if (list[i] < 0) list[i] += rank; /* they did not count from the end */
    a = attr_ints(moved->attr, list, (size_t)count);
    return count ? put_attr(w, at, n, &a, m) : 0;
}

/* Inputs that the operator set has as attributes; *n_in is how many are left. */
static int put_moved_inputs(
    struct onnx_writer *w, const struct onnx_written *at, const struct node *n, int *n_in, struct proto_message *m)
{
    for (int i = n->n_in - 1; i > 0; i--) {
        const struct onnx_moved *moved = onnx_moved(n, i);
        const struct tensor *t = value_const(node_in(n, i));
        if (!moved || w->opset >= moved->opset) continue;
        if (t) TRY(put_moved(w, at, n, moved, t, m));
        if (t && moved->opset == 18) put_entry(m, 9, "tenrec.axes", n->in[i]->name);
        *n_in = i;
    }
    return 0;
}

/* Before 13 these took everything from the axis on as one vector, and the axis was 1 by itself (write.c has made sure
 * that it is the last); before 11 no axis counted from the end. */
static bool is_softmax(const struct node *n)
{
    return node_is(n, "Softmax") || node_is(n, "LogSoftmax") || node_is(n, "Hardmax");
}

/* Attributes and inputs as an older operator set has them; onnx_opset_of() has made sure that they can be said. */
static int put_lowered(
    struct onnx_writer *w, const struct onnx_written *at, const struct node *n, int *n_in, struct proto_message *m)
{
    const char *op = n->op->name;
    TRY(put_moved_inputs(w, at, n, n_in, m));
    int rank = n->n_in && n->in[0] ? n->in[0]->shape.rank : -1;
    if (w->opset < 13 && is_softmax(n)) {
        struct attr axis = attr_int("axis", rank - 1);
        return put_attr(w, at, n, &axis, m);
    }
    if (control_is(n)) *n_in -= control_captures(n); /* they are read by name */
    for (size_t i = 0; i < n->n_attrs; i++) {
        struct attr a = n->attrs[i];
        if (control_is(n) && !strcmp(a.name, "captures")) continue;
        bool grid_mode = w->opset < 20 && !strcmp(op, "GridSample") && !strcmp(a.name, "mode");
        if (grid_mode && !strcmp(a.s, "linear")) a.s = "bilinear";
        if (grid_mode && !strcmp(a.s, "cubic")) a.s = "bicubic";
        if (w->opset < 11 && a.type == ATTR_INT && !strcmp(a.name, "axis") && a.i < 0) a.i += rank;
        TRY(put_attr(w, at, n, &a, m));
    }
    return 0;
}

/* What an empty Optional would hold: it has to be said; a tensor where nothing is known. */
static void put_held_type(const struct onnx_written *at, const struct node *n, struct proto_message *node)
{
    struct proto_message type = proto_message_in(node->arena), m = type;
    const struct content *of = n->out[0]->of;
    struct content held = of && of->dtype ? *of : (struct content){ DT_F32, shape_unknown(), NULL };
    onnx_put_type(at->g, held.dtype, &held.shape, held.of, &type);
    proto_put_text(&m, 1, "type");
    proto_put_message(&m, 14, &type);
    proto_put_varint(&m, 20, ONNX_TYPE);
    proto_put_message(node, 5, &m);
}

/* Resize had to be given each of its inputs before 13: empty ones stand for what is absent. */
static const char *put_empty(struct onnx_writer *w, const struct node *n, int i, struct proto_message *graph)
{
    static const float none[1];
    struct tensor empty = { .dtype = DT_F32, .shape = { 1, { 0 } }, .data = (void *)(uintptr_t)none };
    struct proto_message m = proto_message_in(w->arena);
    const struct attr value = attr_tensor("value", &empty);
    const char *name = arena_printf(w->arena, "%s_without_%d", n->out[0]->name, i);
    if (!name || put_attr(w, NULL, n, &value, &m)) return NULL;
    proto_put_text(&m, 2, name);
    proto_put_text(&m, 4, "Constant");
    proto_put_message(graph, 1, &m);
    return name;
}

/* A node of our own domain: other programs do not know it. */
static void tell_own(struct onnx_writer *w, const struct node *n)
{
    w->own = true;
    if (w->options->standard)
        report_add(w->report, REPORT_ERROR, n->name, "operator %s has no words in ONNX", n->op->name);
    else
        report_add(w->report, REPORT_WARNING, n->name,
            "operator %s is written in the domain ai.tenrec, which other programs do not know", n->op->name);
}

int onnx_put_node(
    struct onnx_writer *w, const struct onnx_written *at, const struct node *n, struct proto_message *graph)
{
    struct proto_message m = proto_message_in(w->arena);
    int n_in = n->n_in;
    TRY(put_lowered(w, at, n, &n_in, &m));
    for (int i = 0; i < n_in; i++) {
        bool empty = !n->in[i] && w->opset < 13 && node_is(n, "Resize");
        const char *name = empty ? put_empty(w, n, i, graph) : onnx_written_name(at, n->in[i]);
        TRY_MEM(name, w->err);
        proto_put_text(&m, 1, name);
    }
    for (int i = 0; i < n->n_out; i++) proto_put_text(&m, 2, onnx_written_name(at, n->out[i]));
    proto_put_text(&m, 3, n->name);
    proto_put_text(&m, 4, n->op->name);
    if (n->op->flags & OP_OWN) {
        proto_put_text(&m, 7, "ai.tenrec");
        tell_own(w, n);
    }
    if (node_is(n, "Optional") && !n->n_in) put_held_type(at, n, &m);
    if (n->where) put_entry(&m, 9, "tenrec.where", n->where);
    proto_put_message(graph, 1, &m);
    return 0;
}
