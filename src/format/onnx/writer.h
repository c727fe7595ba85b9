/* writer.h - what the files of the ONNX writer share. */
#ifndef TENREC_FORMAT_ONNX_WRITER_H
#define TENREC_FORMAT_ONNX_WRITER_H

#include "base/map.h"
#include "format/onnx/write.h"
#include "graph/graph.h"

struct onnx_writer {
    struct arena *arena;
    const struct onnx_write_options *options;
    struct report *report;
    int opset;
    bool own;         /* an operator of our domain is written */
    struct map names; /* of all values written: a subgraph's must not hide those around it */
    struct err *err;
};

/* A graph being written and the names its values take, by id. */
struct onnx_written {
    const struct graph *g;
    const char **names;
    bool *needed; /* by id: something written names it; other constants are left out */
    const struct onnx_written *outer;
};

/* rewrite.c: says the node in the words of an older operator set, where it has others. */
int onnx_rewrite(struct graph *g, struct node *n, int opset, struct err *e);

/* GraphProto. The last inputs of a body, `n_captured` of them, are `captured`, values around it. */
int onnx_put_graph(struct onnx_writer *w, const struct graph *g, const struct onnx_written *outer,
    struct value *const *captured, size_t n_captured, struct proto_message *out);
int onnx_put_node(
    struct onnx_writer *w, const struct onnx_written *at, const struct node *n, struct proto_message *graph);
int onnx_put_tensor(struct onnx_writer *w, const char *name, const struct tensor *t, struct proto_message *out);
/* TypeProto */
void onnx_put_type(
    const struct graph *g, enum dtype t, const struct shape *s, const struct content *of, struct proto_message *type);
/* "" for NULL. Marks the value as needed. */
const char *onnx_written_name(const struct onnx_written *at, const struct value *v);

#endif
