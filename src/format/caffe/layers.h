/* layers.h - Caffe's layers in the operators of the graph: one row and one function per type.
 *
 *   static struct value *lower_relu(struct caffe_call *c) { .. return emit(c->b, "Relu", NO_ATTRS, c->in[0]); }
 *   ...
 *   { "ReLU", lower_relu, 1, 1 },
 *
 * A function returns the only result, or fills c->out and returns NULL. Errors are sticky in the builder, so what
 * emit() returns need not be checked. Dimensions may be unknown when a function runs (N always is); one that has to
 * know them asks with caffe_dim(), and then the net is read with the sizes that stand in the file.
 */
#ifndef TENREC_FORMAT_CAFFE_LAYERS_H
#define TENREC_FORMAT_CAFFE_LAYERS_H

#include "format/caffe/net.h"
#include "graph/builder.h"

struct caffe;
struct import_options;
struct report;

struct caffe_call {
    struct caffe *n;
    struct builder *b;
    const struct caffe_layer *layer;
    const struct caffe_row *row;
    struct value **in;
    size_t n_in;
    struct value **out; /* one per top */
};

enum caffe_layer_flags {
    CAFFE_SOURCE = 1, /* makes inputs of the net */
    CAFFE_LOSS = 2,   /* measures the net against labels: only its first bottom counts */
    CAFFE_DROP = 4,   /* of no use when scoring */
};
struct caffe_row {
    const char *type;
    struct value *(*lower)(struct caffe_call *c);
    signed char min_in, max_in; /* CAFFE_ANY: any number */
    unsigned flags;
    const char *onnx; /* for functions that many rows share: the operator they emit */
};
enum { CAFFE_ANY = 127 };

/* The tables of all files, NULL at the end; each ends with a NULL type. layers_<word>.c defines
 * `const struct caffe_row caffe_<word>[]`, and the word stands in meson.build. */
extern const struct caffe_row *const caffe_tables[];
const struct caffe_row *caffe_row_find(const char *type); /* NULL: unknown */
struct format_item;
bool caffe_knows(size_t i, struct format_item *out);      /* as struct format has it */

/* An error of this layer; the call gives NULL. */
struct value *caffe_fail(struct caffe_call *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Parameters of the layer: "relu_param". */
const struct tree *caffe_param(const struct caffe_call *c, const char *name);

/* The i-th weight, named LAYER/i, in this shape; at most one dimension may be -1: as the file has it. The old form
 * keeps four dimensions, so only the number of elements must agree. Zeros when there are no weights. */
struct value *caffe_weight(struct caffe_call *c, size_t i, int rank, const int64_t *dims);
/* The same as a buffer, multiplied by `factor`. */
struct value *caffe_buffer(struct caffe_call *c, size_t i, int rank, const int64_t *dims, double factor);
/* Number j of the i-th weight; `otherwise` when there are no weights. */
double caffe_weight_at(struct caffe_call *c, size_t i, size_t j, double otherwise);
size_t caffe_n_weights(const struct caffe_call *c);
bool caffe_has_weights(const struct caffe_call *c); /* is there a file of weights at all? */

/* What is known. Errors unless known; they make the net be read with fixed sizes. */
int64_t caffe_dim(struct caffe_call *c, const struct value *v, int axis);
int64_t caffe_span(struct caffe_call *c, const struct value *v, int from, int to); /* product of dimensions */
int caffe_rank(struct caffe_call *c, const struct value *v);
/* An axis parameter, which may count from the end, in [0, rank). */
int caffe_axis(struct caffe_call *c, int64_t axis, int rank);

/* Building blocks. */
#define emit_op(c, op, ...) emit((c)->b, (op), NO_ATTRS, __VA_ARGS__)
struct value *caffe_number(struct caffe_call *c, double v); /* 0-d float32 */
struct value *caffe_reshaped(
    struct caffe_call *c, struct value *x, const int64_t *dims, int n); /* Reshape: 0, -1 as ONNX */
struct value *caffe_sliced(struct caffe_call *c, struct value *x, int64_t axis, int64_t start, int64_t end);
struct value *caffe_reduced(struct caffe_call *c, const char *op, struct value *x, const int64_t *axes, size_t n);
/* w, of the shape of x's axes from `axis` on, so that it broadcasts against x. */
struct value *caffe_along(struct caffe_call *c, struct value *x, struct value *w, int axis, int n_axes);

#endif
