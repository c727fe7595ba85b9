/* schema.h - an ONNX file as C structs: onnx.proto's messages, as far as they are read.
 *
 * Names are those of onnx.proto. Every struct begins with `seen`, a bit per field number that the file gave. Texts and
 * lists lie in the reader's arena; weights are spans of the file.
 */
#ifndef TENREC_FORMAT_ONNX_SCHEMA_H
#define TENREC_FORMAT_ONNX_SCHEMA_H

#include "base/file.h"
#include "enc/protobuf.h"

#define ONNX_LIST(type) \
    struct { \
        type *items; \
        size_t n, cap; \
    }
#define ONNX_HAS(message, number) (((message)->seen >> (number)&1) != 0)

struct onnx_entry { /* StringStringEntryProto */
    uint64_t seen;
    const char *key, *value;
};
struct onnx_fields {
    struct proto_field *items;
    size_t n, cap;
};
struct onnx_tensor { /* TensorProto */
    uint64_t seen;
    const char *name;
    struct proto_list dims; /* int64 */
    int64_t data_type, data_location;
    struct bytes raw_data;
    /* fields as they stand in the file: packed or single numbers, or texts */
    struct onnx_fields float_data, int32_data, int64_data, double_data, uint64_data, string_data;
    ONNX_LIST(struct onnx_entry) external_data;
};
struct onnx_sparse { /* SparseTensorProto */
    uint64_t seen;
    struct onnx_tensor values, indices;
    struct proto_list dims;
};
struct onnx_dim {
    uint64_t seen;
    int64_t dim_value;     /* field 1 */
    const char *dim_param; /* field 2 */
};
struct onnx_shape {
    uint64_t seen;
    ONNX_LIST(struct onnx_dim) dim;
};
struct onnx_tensor_type {
    uint64_t seen;
    int64_t elem_type;
    struct onnx_shape shape; /* field 2 */
};
struct onnx_type;
struct onnx_container { /* TypeProto.Sequence and .Optional */
    uint64_t seen;
    struct onnx_type *elem_type; /* field 1 */
};
struct onnx_map { /* TypeProto.Map */
    uint64_t seen;
    int64_t key_type;
    struct onnx_type *value_type; /* field 2 */
};
struct onnx_type { /* TypeProto */
    uint64_t seen;
    struct onnx_tensor_type tensor_type;      /* field 1 */
    struct onnx_map map;                      /* field 5 */
    struct onnx_container sequence, optional; /* fields 4 and 9; other fields: other kinds of types */
};
struct onnx_value { /* ValueInfoProto */
    uint64_t seen;
    const char *name;
    struct onnx_type type; /* field 2 */
    ONNX_LIST(struct onnx_entry) metadata_props;
};
struct onnx_graph;
enum onnx_attr_type {
    ONNX_FLOAT = 1,
    ONNX_INT,
    ONNX_STRING,
    ONNX_TENSOR,
    ONNX_GRAPH,
    ONNX_FLOATS,
    ONNX_INTS,
    ONNX_STRINGS,
    ONNX_SPARSE_TENSOR = 11,
    ONNX_TYPE = 13,
};
struct onnx_attr { /* AttributeProto */
    uint64_t seen;
    const char *name, *ref_attr_name, *s;
    int64_t type, i;
    float f;
    struct onnx_tensor *t;
    struct onnx_graph *g;
    struct onnx_sparse *sparse_tensor;
    struct proto_list floats, ints;
    ONNX_LIST(const char *) strings;
};
struct onnx_node { /* NodeProto */
    uint64_t seen;
    ONNX_LIST(const char *) input, output;
    const char *name, *op_type, *domain;
    ONNX_LIST(struct onnx_attr) attribute;
    ONNX_LIST(struct onnx_entry) metadata_props;
};
struct onnx_graph { /* GraphProto */
    uint64_t seen;
    const char *name, *doc_string;
    ONNX_LIST(struct onnx_node) node;
    ONNX_LIST(struct onnx_tensor) initializer;
    ONNX_LIST(struct onnx_sparse) sparse_initializer;
    ONNX_LIST(struct onnx_value) input, output, value_info;
};
struct onnx_opset { /* OperatorSetIdProto */
    uint64_t seen;
    const char *domain;
    int64_t version;
};
struct onnx_function { /* FunctionProto */
    uint64_t seen;
    const char *name, *domain;
    ONNX_LIST(const char *) input, output, attribute;
    ONNX_LIST(struct onnx_attr) attribute_proto; /* attributes with defaults */
    ONNX_LIST(struct onnx_node) node;
    ONNX_LIST(struct onnx_opset) opset_import;
};
struct onnx_model { /* ModelProto */
    uint64_t seen;
    int64_t ir_version;
    const char *producer_name, *producer_version, *doc_string;
    struct onnx_graph graph; /* field 7 */
    ONNX_LIST(struct onnx_opset) opset_import;
    ONNX_LIST(struct onnx_entry) metadata_props;
    ONNX_LIST(struct onnx_function) functions;
};

struct arena;
struct err;
/* Texts that the file leaves out are "". Errors: ERR_MODEL with the offset. */
int onnx_decode_model(struct onnx_model *m, struct arena *a, const char *path, struct bytes file, struct err *e);
int onnx_decode_tensor(struct onnx_tensor *t, struct arena *a, const char *path, struct bytes file, struct err *e);
/* Could the bytes be a whole ModelProto? Looks at the outermost fields only. */
bool onnx_looks_like_model(struct bytes file);

#endif
