/* op.h - everything the rest may know about an operator: one row of a table. */
#ifndef TENREC_GRAPH_OP_H
#define TENREC_GRAPH_OP_H

#include <stdbool.h>
#include <stddef.h>

#include "graph/attr.h"

struct arena;
struct builder;
struct err;
struct node;
struct step;
struct value;

enum op_flags {
    OP_INPLACE = 1,        /* output 0 may lie where input 0 did (same bytes per element, element i from element i) */
    OP_VIEW = 2,           /* output 0 is input 0's memory under another shape */
    OP_SHAPE_ONLY = 4,     /* reads the shape of input 0, never its data */
    OP_RANDOM = 8,         /* never folded, never merged with an equal node */
    OP_EFFECT = 16,        /* kept although nothing reads it */
    OP_OWN = 32,           /* of Tenrec's domain (ai.tenrec), not of ONNX's */
    OP_TRAINING_ONLY = 64, /* gradients, losses, updates */
    OP_FLAT = 128, /* element i of its operands of one shape belong together wherever they lie: any layout they share */
    OP_WRITTEN_OUT = 256, /* never run: an import pass puts other nodes in its place */
    OP_UNPACKS = 1024,    /* its result says no more than its smaller inputs: constants are folded in plans only */
    OP_CONTAINERS = 512   /* takes sequences and optionals; every other operator takes tensors only */
};
enum { OP_VARIADIC = 127 };

/* What a gradient rule is given and fills in. dy[i] is NULL where output i has no gradient; leave dx[i] NULL where
 * input i has none. Rules emit forward-domain and gradient operators with the builder and need not check its results:
 * the builder's error is sticky. */
struct grad {
    struct builder *b;
    const struct node *node;
    struct value **dy; /* one per output */
    struct value **dx; /* one per input */
};

struct op {
    const char *name;                             /* ONNX's, or our own */
    const char *doc;                              /* one line of help */
    signed char min_in, max_in, min_out, max_out; /* max OP_VARIADIC: any number */
    unsigned flags;
    const struct attr_spec *attrs; /* ends with a NULL name; NULL: none */
    /* Sets dtype and shape of every output from the inputs'; must take unknown ranks and dimensions, and checks every
     * rank, dimension and attribute against the others. Constant inputs may be read by value_const(). */
    int (*infer)(struct node *n, struct err *e);
    /* Partly known contents of the outputs (known.h); optional, for shape arithmetic. */
    int (*contents)(struct node *n, struct err *e);
    /* The reference kernel: plain, always correct, any type the schema allows. NULL: composite, see expand. Every
     * input
     * is concrete and row-major; indices in data are checked here. */
    int (*run)(const struct step *s, struct err *e);
    int (*grad)(struct grad *g);
    /* Emits the same in simpler operators: fills out[0..n_out). */
    int (*expand)(struct builder *b, const struct node *n, struct value **out);
    /* Problem strings for the automatic tests and the bench, separated by ';' (tests/ops/problem.h):
     *   "f32[2,3,8,8] f32[4,3,3,3] f32[4] | strides=2,2 pads=1,1,1,1; ..."   every row has some */
    const char *samples;
};

/* A registry handed to graphs, so that graph/ need not know the operators. */
struct op_table {
    const struct op *(*find)(const char *name); /* NULL if unknown */
};

#endif
