/* decode.c - protobuf bytes into the structs of schema.h, by tables. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/onnx/schema.h"

enum { DEPTH_MAX = 200 }; /* of nested messages: about 40 subgraphs within one another */

enum kind {
    INT,   /* int64_t */
    FLOAT, /* float */
    TEXT,  /* const char * */
    SPAN,  /* struct bytes */
    INTS,  /* struct proto_list */
    FLOATS,
    TEXTS,   /* ONNX_LIST(const char *) */
    FIELDS,  /* struct onnx_fields */
    ONE,     /* the struct itself */
    POINTER, /* a pointer to the struct */
    MANY,    /* ONNX_LIST(struct) */
};

struct message;
struct field {
    unsigned number;
    enum kind kind;
    size_t at; /* of the member in the struct */
    const struct message *type;
};
struct message {
    size_t size;
    const struct field *fields; /* ends with number 0 */
};
struct list {
    void *items;
    size_t n, cap;
};

#define MESSAGE(name, ...) \
    static const struct message name##_message = { sizeof(struct onnx_##name), \
        (const struct field[]){ __VA_ARGS__, { 0 } } }
#define F(number, kind, owner, member) \
    { \
        number, kind, offsetof(struct onnx_##owner, member), NULL \
    }
#define M(number, kind, owner, member, type) \
    { \
        number, kind, offsetof(struct onnx_##owner, member), &type##_message \
    }

static const struct message graph_message; /* attributes hold graphs, graphs hold attributes */

MESSAGE(entry, F(1, TEXT, entry, key), F(2, TEXT, entry, value));
MESSAGE(tensor, F(1, INTS, tensor, dims), F(2, INT, tensor, data_type), F(4, FIELDS, tensor, float_data),
    F(5, FIELDS, tensor, int32_data), F(6, FIELDS, tensor, string_data), F(7, FIELDS, tensor, int64_data),
    F(8, TEXT, tensor, name), F(9, SPAN, tensor, raw_data), F(10, FIELDS, tensor, double_data),
    F(11, FIELDS, tensor, uint64_data), M(13, MANY, tensor, external_data, entry), F(14, INT, tensor, data_location));
MESSAGE(sparse, M(1, ONE, sparse, values, tensor), M(2, ONE, sparse, indices, tensor), F(3, INTS, sparse, dims));
MESSAGE(dim, F(1, INT, dim, dim_value), F(2, TEXT, dim, dim_param));
MESSAGE(shape, M(1, MANY, shape, dim, dim));
MESSAGE(tensor_type, F(1, INT, tensor_type, elem_type), M(2, ONE, tensor_type, shape, shape));
static const struct message type_message; /* types hold types */
MESSAGE(container, M(1, POINTER, container, elem_type, type));
MESSAGE(map, F(1, INT, map, key_type), M(2, POINTER, map, value_type, type));
MESSAGE(type, M(1, ONE, type, tensor_type, tensor_type), M(4, ONE, type, sequence, container),
    M(5, ONE, type, map, map), M(9, ONE, type, optional, container));
MESSAGE(value, F(1, TEXT, value, name), M(2, ONE, value, type, type), M(4, MANY, value, metadata_props, entry));
MESSAGE(attr, F(1, TEXT, attr, name), F(2, FLOAT, attr, f), F(3, INT, attr, i), F(4, TEXT, attr, s),
    M(5, POINTER, attr, t, tensor), M(6, POINTER, attr, g, graph), F(7, FLOATS, attr, floats), F(8, INTS, attr, ints),
    F(9, TEXTS, attr, strings), F(20, INT, attr, type), F(21, TEXT, attr, ref_attr_name),
    M(22, POINTER, attr, sparse_tensor, sparse));
MESSAGE(node, F(1, TEXTS, node, input), F(2, TEXTS, node, output), F(3, TEXT, node, name), F(4, TEXT, node, op_type),
    F(7, TEXT, node, domain), M(5, MANY, node, attribute, attr), M(9, MANY, node, metadata_props, entry));
MESSAGE(graph, M(1, MANY, graph, node, node), F(2, TEXT, graph, name), M(5, MANY, graph, initializer, tensor),
    F(10, TEXT, graph, doc_string), M(11, MANY, graph, input, value), M(12, MANY, graph, output, value),
    M(13, MANY, graph, value_info, value), M(15, MANY, graph, sparse_initializer, sparse));
MESSAGE(opset, F(1, TEXT, opset, domain), F(2, INT, opset, version));
MESSAGE(function, F(1, TEXT, function, name), F(4, TEXTS, function, input), F(5, TEXTS, function, output),
    F(6, TEXTS, function, attribute), M(7, MANY, function, node, node), M(9, MANY, function, opset_import, opset),
    F(10, TEXT, function, domain), M(11, MANY, function, attribute_proto, attr));
MESSAGE(model, F(1, INT, model, ir_version), F(2, TEXT, model, producer_name), F(3, TEXT, model, producer_version),
    F(6, TEXT, model, doc_string), M(7, ONE, model, graph, graph), M(8, MANY, model, opset_import, opset),
    M(14, MANY, model, metadata_props, entry), M(25, MANY, model, functions, function));

/* Texts start as "", so that nobody need ask whether the file gave them. */
static void init_message(void *to, const struct message *type)
{
    memset(to, 0, type->size);
    for (const struct field *f = type->fields; f->number; f++) {
        void *member = (char *)to + f->at;
        if (f->kind == TEXT) *(const char **)member = "";
        else if (f->kind == ONE) init_message(member, f->type);
    }
}

static const struct field *field_of(const struct message *type, unsigned number)
{
    for (const struct field *f = type->fields; f->number; f++)
        if (f->number == number) return f;
    return NULL;
}

/* A fresh, zeroed item at the end of a list. */
static void *grow(struct list *list, struct arena *a, size_t size)
{
    if (!array_grow(a, &list->items, list->n, &list->cap, size)) return NULL;
    return (char *)list->items + list->n++ * size;
}

static int decode(void *to, const struct message *type, struct arena *a, struct proto *p, int depth, struct err *e);

/* A field that holds a message of its own. */
static int decode_inner(void *member, const struct field *f, struct arena *a, const struct proto *p,
    const struct proto_field *in, int depth, struct err *e)
{
    void *to = member;
    TRY(proto_expect(p, in, PROTO_SPAN, e));
    if (f->kind == MANY) to = grow(member, a, f->type->size);
    if (f->kind == POINTER) to = *(void **)member = arena_alloc(a, f->type->size);
    TRY_MEM(to, e);
    if (f->kind != ONE) init_message(to, f->type);
    struct proto inner;
    proto_enter(&inner, p, in);
    return decode(to, f->type, a, &inner, depth + 1, e);
}

static int decode_text(
    const char **to, struct arena *a, const struct proto *p, const struct proto_field *in, struct err *e)
{
    return to ? proto_text(p, in, a, to, e) : fail_nomem(e);
}

static int decode_field(void *member, const struct field *f, struct arena *a, const struct proto *p,
    const struct proto_field *in, int depth, struct err *e)
{
    switch (f->kind) {
    case INT:
        TRY(proto_expect(p, in, PROTO_VARINT, e));
        *(int64_t *)member = proto_int64(in);
        return 0;
    case FLOAT:
        TRY(proto_expect(p, in, PROTO_FIXED32, e));
        *(float *)member = proto_float(in);
        return 0;
    case SPAN:
        TRY(proto_expect(p, in, PROTO_SPAN, e));
        *(struct bytes *)member = in->span;
        return 0;
    case TEXT: return decode_text(member, a, p, in, e);
    case TEXTS: return decode_text(grow(member, a, sizeof(const char *)), a, p, in, e);
    case INTS: return proto_append(p, in, a, PROTO_INT64, member, e);
    case FLOATS: return proto_append(p, in, a, PROTO_FLOAT, member, e);
    case FIELDS: {
        struct proto_field *item = grow(member, a, sizeof *item);
        TRY_MEM(item, e);
        *item = *in;
        return 0;
    }
    default: return decode_inner(member, f, a, p, in, depth, e);
    }
}

static int decode(void *to, const struct message *type, struct arena *a, struct proto *p, int depth, struct err *e)
{
    struct proto_field in;
    int more;
    if (depth > DEPTH_MAX) return fail(e, ERR_MODEL, "%s: messages nest deeper than %d", p->path, DEPTH_MAX);
    while ((more = proto_next(p, &in, e)) > 0) {
        const struct field *f = field_of(type, in.number);
        if (in.number < 64) *(uint64_t *)to |= (uint64_t)1 << in.number;
        if (f) TRY(decode_field((char *)to + f->at, f, a, p, &in, depth, e));
    }
    return more;
}

static int decode_file(
    void *to, const struct message *type, struct arena *a, const char *path, struct bytes file, struct err *e)
{
    struct proto p;
    proto_init(&p, path, file);
    init_message(to, type);
    return decode(to, type, a, &p, 0, e);
}

int onnx_decode_model(struct onnx_model *m, struct arena *a, const char *path, struct bytes file, struct err *e)
{
    return decode_file(m, &model_message, a, path, file, e);
}

int onnx_decode_tensor(struct onnx_tensor *t, struct arena *a, const char *path, struct bytes file, struct err *e)
{
    return decode_file(t, &tensor_message, a, path, file, e);
}

bool onnx_looks_like_model(struct bytes file)
{
    struct proto p;
    struct proto_field in;
    struct err e = { 0 };
    uint64_t seen = 0;
    int more;
    proto_init(&p, "", file);
    while ((more = proto_next(&p, &in, &e)) > 0) {
        const struct field *f = field_of(&model_message, in.number);
        if (in.number > 63 || (f && in.wire != (f->kind == INT ? PROTO_VARINT : PROTO_SPAN))) return false;
        seen |= (uint64_t)1 << in.number;
    }
    return !more && (seen & 1 << 1) && (seen & 1 << 7);
}
