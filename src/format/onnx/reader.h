/* reader.h - what the files of the ONNX reader share: the model being read and the scopes of names.
 *
 * Weights: a floating-point initializer of more than one element becomes a state: a trainable one, or a buffer when it
 * is the running mean or variance of a BatchNormalization. It becomes a constant where shapes or quantisation depend on
 * it (Resize's scales, OneHot's values, scales of QuantizeLinear and its like). Every other initializer and every
 * Constant node becomes a constant. Initializers that are inputs as well count as initializers only. States of
 * subgraphs belong to the outermost graph. A file that this program wrote says which initializers are states (write.h).
 */
#ifndef TENREC_FORMAT_ONNX_READER_H
#define TENREC_FORMAT_ONNX_READER_H

#include "base/map.h"
#include "base/report.h"
#include "format/onnx/tensor.h"
#include "graph/builder.h"

enum { ONNX_NEWEST_OPSET = 28, ONNX_NODES_FREE = 4096, ONNX_CALLS_MAX = 32, ONNX_INPUTS_ROOM = 8 };
#define ONNX_OWN_DOMAIN "ai.tenrec"

struct json_t;

struct onnx_reader {
    struct arena *arena;
    struct onnx_source source;
    const struct onnx_model *model;
    const struct import_options *options;
    struct report *report;
    struct graph *root;
    struct map functions; /* "domain:name:" -> struct onnx_function */
    struct map fixed;     /* names of initializers that have to be constants */
    struct map node_names;
    const struct json_t *states; /* of a file that this program wrote: name -> what the state is; else NULL */
    bool own;                    /* this program wrote the file: its shapes are believed */
    bool static_inputs;          /* every input has a fixed shape */
    int64_t opset;
    long nodes_left; /* functions may call functions: so as many as the file has bytes, and some */
    int calls;       /* how deep functions call now */
    struct err *err;
};

/* A value that a subgraph reads from around it, and the input of the subgraph that stands for it. */
struct onnx_capture {
    struct value *outer, *inner;
};
/* The subgraphs of a node, in the order of its attributes, and what they capture. */
struct onnx_captures {
    struct graph *g;
    struct onnx_capture *items;
    size_t n, cap;
    bool vague; /* what it captures is taken as of unknown shape */
    struct onnx_captures *next;
};

/* Names that nodes see. A subgraph sees its surroundings (what it reads of them is captured), the body of a function
 * does not. */
struct onnx_scope {
    struct onnx_scope *outer;
    struct onnx_scope *caller;      /* of the body of a function */
    struct onnx_captures *captures; /* of the subgraph this is; NULL at the top */
    struct graph *g;
    struct map values;                    /* name -> struct value; NULL: an argument that the caller left out */
    struct map hints;                     /* name -> struct onnx_value */
    struct map used;                      /* names that something reads */
    const struct onnx_function *function; /* whose body this is, or NULL */
    const struct onnx_attr *given;        /* the call's attributes */
    size_t n_given;
    const char *prefix; /* of names of values and nodes: "" or "call/" */
    int64_t opset;
};

/* Nodes, and the names they take and give: the part that graphs and functions have in common. */
struct onnx_body {
    const struct onnx_node *nodes;
    size_t n;
    const char *const *outputs;
    size_t n_outputs;
};

/* order.c: an order in which every node follows those it reads; `defined` holds the names that exist before. Names of
 * everything read are added to `used`. Errors: names made twice, cycles. */
int onnx_sort(const struct onnx_body *body, const struct map *defined, struct map *used, struct arena *a, size_t *order,
    struct err *e);

/* support.c: reports every operator and type that cannot be taken; fills r->fixed. */
int onnx_check_support(struct onnx_reader *r);

/* function.c */
const struct onnx_function *onnx_function_find(const struct onnx_reader *r, const struct onnx_node *n);
int onnx_functions_collect(struct onnx_reader *r);
int64_t onnx_function_opset(const struct onnx_reader *r, const struct onnx_function *f);
int onnx_inline(struct onnx_reader *r, struct onnx_scope *caller, const struct onnx_function *f,
    const struct onnx_node *call, struct value *const *in, struct value **out);

/* nodes.c: emits the nodes of a body in order; scope->values holds what exists before and receives the results. */
int onnx_read_nodes(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_body *body);
/* An attribute where the body of a function refers to one of its own; NULL without error: the caller left it out. */
const struct onnx_attr *onnx_attr_resolve(const struct onnx_scope *scope, const struct onnx_attr *a);
/* The value that a name means in this scope: false where it means nothing, or with the error set. */
bool onnx_lookup(struct onnx_reader *r, struct onnx_scope *scope, const char *name, struct value **out);
const char *onnx_node_label(const struct onnx_node *n); /* its name, or that of its first output */
bool onnx_is_standard(const char *domain);

/* capture.c: values of graphs around a subgraph. */
/* What `outer`, a value of the graph around the scope's, is in the scope's graph: constants are taken over, everything
 * else becomes an input. NULL with the error. */
struct value *onnx_capture(struct onnx_reader *r, struct onnx_scope *scope, struct value *outer);
/* What a value of the outermost graph is in the scope's. */
struct value *onnx_capture_root(struct onnx_reader *r, struct onnx_scope *scope, struct value *v);
/* Gives all subgraphs of a node the same captured inputs; *in, *n_in: the node's inputs, to which they are added. */
int onnx_join_captures(
    struct onnx_reader *r, struct onnx_captures *list, const char *op, struct value ***in, int *n_in, int *captured);

/* read.c: values, inputs and outputs of a graph. */
int onnx_read_graph(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_graph *from,
    const struct onnx_node *node, struct value *const *in);
/* attrs.c: the attribute list of a node, ended by a NULL name. */
int onnx_read_attrs(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n, struct value *const *in,
    struct attr **attrs, size_t *n_attrs, struct onnx_captures **captures);
int onnx_read_constant(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n, struct value **out);

/* shapes.c */
int onnx_type_read(
    struct onnx_reader *r, struct graph *g, const struct onnx_value *v, bool may_add, struct content *out);
/* A map from numbers or texts to numbers or texts: the types of its keys and values. */
bool onnx_map_types(const struct onnx_type *type, enum dtype *key, enum dtype *of);
/* Compares what inference found with what the file says. */
void onnx_check_hint(struct onnx_reader *r, const struct onnx_scope *scope, const char *name, struct value *v);

#endif
