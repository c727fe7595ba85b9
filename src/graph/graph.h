/* graph.h - the one intermediate representation: values and nodes in SSA form, speaking ONNX operators.
 *
 *   input / const / state  --value-->  node  --value-->  node  --value-->  output
 *
 * - A value is made once: by a node, or as an input, a constant or a state. Its name is unique in its graph.
 * - A constant may be folded; a state (weights, batch-norm statistics, moments, hidden state of a streaming model)
 * never:
 *   it is what a session keeps between runs. `value->next` names the value that replaces a state's content at the
 * end of
 *   a run; every reader sees the old content.
 * - Everything lies in the graph's arena; nothing is freed alone. Nodes that nothing needs are dropped by
 * graph_tidy().
 * - Replacing a value is graph_alias(old, new): readers resolve it, graph_tidy() makes it true everywhere.
 * - Dimensions may be symbols of the graph ("N"): graph_symbol().
 */
#ifndef TENREC_GRAPH_GRAPH_H
#define TENREC_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "graph/attr.h"
#include "graph/dtype.h"
#include "graph/shape.h"
#include "graph/tensor.h"

struct arena;
struct err;
struct op;
struct op_table;
struct node;
struct graph;

enum value_kind { VALUE_NODE, VALUE_INPUT, VALUE_CONST, VALUE_STATE };
enum value_flags {
    VALUE_TRAINABLE = 1, /* state: a parameter, as opposed to a buffer */
    VALUE_GUESSED = 2,   /* input: shape or type was guessed by the importer */
    VALUE_KEPT = 4,      /* state: stays though nothing reads it, because the source's own file has it */
};

/* Where a weight came from, so that an export can give it back: new[i0][i1].. = source[..] permuted by `perm`. */
struct origin {
    const char *key; /* "layer1.0.conv1.weight"; NULL if it had none */
    int rank;        /* 0: not permuted */
    int perm[SHAPE_MAX];
};

/* What a sequence or an optional holds. Its dimensions are numbers or unknown: graphs hand it on as it is. */
struct content {
    enum dtype dtype;
    struct shape shape;
    const struct content *of;
};

struct value {
    int id; /* index in graph->values */
    enum value_kind kind;
    unsigned flags;
    const char *name;
    enum dtype dtype;
    struct shape shape;
    const struct content *of;  /* of a sequence or an optional, as far as it is known; else NULL */
    struct node *node;         /* VALUE_NODE: who makes it */
    int index;                 /* which output of it */
    const struct tensor *data; /* VALUE_CONST: the constant; VALUE_STATE: content at reset */
    const int64_t *known;      /* partly known contents of a small int64 tensor (see known.h), or NULL */
    struct value *next;        /* VALUE_STATE: its content after a run; NULL: it stays */
    struct value *alias;       /* replaced by this one; read through value_resolve() */
    const struct origin *origin;
};

struct node {
    int id;
    const struct op *op;
    const char *name;  /* unique, from the source where it had one */
    const char *where; /* source line, layer or file position for errors; may be NULL */
    int n_in, n_out;
    struct value **in; /* NULL: an optional input that is absent */
    struct value **out;
    size_t n_attrs;
    const struct attr *attrs;
    struct graph *graph;
};

/* A fact that was assumed when the graph was made; checked again when shapes are bound. */
struct guard {
    struct value *value; /* 0-d int64 or bool, depends on shapes only */
    int64_t expected;
    const char *where; /* "code/__torch__/m.py:12" */
};

struct graph {
    struct arena *arena;
    const struct op_table *ops;
    const char *name;
    struct graph *outer; /* of a subgraph; values of it may be read here */
    bool barred;         /* a branch whose shapes do not fit: no run for these inputs takes it and succeeds */
    struct node **nodes;
    size_t n_nodes, cap_nodes;
    struct value **values;
    size_t n_values, cap_values;
    struct value **inputs;
    size_t n_inputs, cap_inputs;
    struct value **outputs; /* names of outputs are the values' names */
    size_t n_outputs, cap_outputs;
    struct value **states;
    size_t n_states, cap_states;
    struct guard *guards;
    size_t n_guards, cap_guards;
    const char **symbols; /* names of symbolic dimensions */
    size_t n_symbols, cap_symbols;
    struct map names;    /* value name -> struct value */
    struct map metadata; /* string -> string: producer, licence, class names ... */
};

struct graph *graph_new(struct arena *a, const struct op_table *ops, const char *name, struct err *e);

/* Values. Names are copied; a taken name gets a suffix ("_1"), NULL or "" makes one. NULL when out of memory. */
struct value *graph_input(struct graph *g, const char *name, enum dtype t, const struct shape *s, struct err *e);
struct value *graph_const(struct graph *g, const char *name, const struct tensor *data, struct err *e);
struct value *graph_state(
    struct graph *g, const char *name, const struct tensor *initial, unsigned flags, struct err *e);
int graph_output(struct graph *g, struct value *v, struct err *e);
/* Gives `v` the name `name` and lets go of its old one; if another value has it, that one is renamed. */
int graph_rename(struct graph *g, struct value *v, const char *name, struct err *e);
struct value *graph_find(const struct graph *g, const char *name); /* NULL if there is none */
int64_t graph_symbol(struct graph *g, const char *name);           /* the dimension code; DIM_UNKNOWN: no memory */
const char *graph_symbol_name(const struct graph *g, int64_t dim);
int graph_guard(struct graph *g, struct value *v, int64_t expected, const char *where, struct err *e);

/* Adds a node whose outputs are fresh, unshaped values; inputs and attributes are copied. No inference, no checks:
 * the
 * builder does these. */
struct node *graph_node(struct graph *g, const struct op *op, const char *name, const struct attr *attrs,
    struct value *const *in, int n_in, int n_out, struct err *e);

/* In `a`, without symbols; NULL for NULL, and with the error. */
const struct content *content_new(struct arena *a, const struct content *of, struct err *e);

struct value *value_resolve(struct value *v); /* follows aliases; NULL stays NULL */
void graph_alias(struct value *from, struct value *to);
/* Resolves every alias, drops nodes and constants nothing needs (outputs, states' next and guards are needed), puts
 * nodes in topological order. ERR_MODEL for a cycle. */
int graph_tidy(struct graph *g, struct err *e);

/* A copy in another arena: tensors' memory is shared by reference, everything else is new. The original must be
 * tidy (graph_tidy). */
struct graph *graph_copy(const struct graph *g, struct arena *a, struct err *e);
/* The nodes of `body`, which must be tidy and read nothing of graphs around it, once more in `into`: `in` stands for
 * its inputs, `out` receives what its outputs are there. Names get `prefix` in front. Types and shapes are inferred
 * anew. */
int graph_inline(struct graph *into, const struct graph *body, struct value *const *in, struct value **out,
    const char *prefix, struct err *e);

/* Attributes of a node, with the operator's default when it has one. */
const struct attr *node_attr(const struct node *n, const char *name); /* NULL when absent */
int64_t node_int(const struct node *n, const char *name);
double node_float(const struct node *n, const char *name);
const char *node_string(const struct node *n, const char *name);                 /* NULL when absent */
const int64_t *node_ints(const struct node *n, const char *name, size_t *count); /* NULL and 0 when absent */
struct graph *node_graph(const struct node *n, const char *name);
struct value *node_in(const struct node *n, int i); /* NULL past the end or absent */
bool node_has(const struct node *n, const char *name);
bool node_is(const struct node *n, const char *op); /* false for NULL */
/* The constant an input holds, or NULL. */
const struct tensor *value_const(const struct value *v);
/* The same in every run: a constant, a state that never changes, or such a one in another type. True for NULL. */
bool value_is_fixed(const struct value *v);

/* Whether each input that must be there is, and is no sequence or optional unless the operator takes them. */
int node_check_inputs(const struct node *n, struct err *e);

/* "conv1 (Conv) at code/m.py:3" in front of the error that is set; returns e->code. */
int node_err(const struct node *n, struct err *e);

/* Checks every invariant of this header; our own bugs and hostile files both end here. */
int graph_verify(const struct graph *g, struct err *e);

/* Text of the graph: one node per line. */
struct str;
void graph_print(const struct graph *g, struct str *out);
void shape_print(const struct graph *g, const struct shape *s, struct str *out); /* [N,3,224,224] */

#endif
