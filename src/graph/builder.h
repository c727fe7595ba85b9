/* builder.h - building a graph call by call: types and shapes are inferred as each node is added, so an error names
 * the
 * call that made it. The error is sticky: after the first failure every call returns NULL, and one check at the end
 * will do.
 *
 *   struct builder b = { g, .err = e };
 *   struct value *y = emit(&b, "Conv", ATTRS(attr_ints("strides", s, 2)), x, w, bias);
 *   y = emit(&b, "Relu", NO_ATTRS, y);
 *
 * An absent optional input is NULL, which is why errors are not recognised by their NULL but by b->err->code.
 */
#ifndef TENREC_GRAPH_BUILDER_H
#define TENREC_GRAPH_BUILDER_H

#include "graph/graph.h"

struct builder {
    struct graph *g;
    struct err *err;
    const char *where; /* stamped on every node; may be NULL */
    const char *name;  /* name for the next node and its outputs, then cleared; may be NULL */
};

/* The general form; all outputs in node->out. NULL on error. */
struct node *builder_node(
    struct builder *b, const char *op, const struct attr *attrs, struct value *const *in, int n_in, int n_out);
struct value *builder_emit(
    struct builder *b, const char *op, const struct attr *attrs, struct value *const *in, int n_in);

/* One output; inputs as arguments. */
#define emit(b, op, attrs, ...) \
    builder_emit((b), (op), (attrs), (struct value *[]){ __VA_ARGS__ }, \
        (int)(sizeof((struct value *[]){ __VA_ARGS__ }) / sizeof(struct value *)))

/* Constants. */
struct value *emit_const(struct builder *b, const struct tensor *t);
struct value *emit_i64(struct builder *b, int64_t v);                      /* 0-d */
struct value *emit_i64s(struct builder *b, const int64_t *v, size_t n);    /* 1-d */
struct value *emit_scalar(struct builder *b, enum dtype t, double v);      /* 0-d */
struct value *emit_cast(struct builder *b, struct value *v, enum dtype t); /* v itself when it has the type */

#endif
