/* aten.h - lowering of PyTorch's operators: one row and one function per operator, for TorchScript and
 * torch.export alike.
 *
 * A row is a schema in PyTorch's own notation and a function. The schema binds positional and keyword arguments,
 * fills in defaults, picks among overloads (rows of one name, in order: the first that takes the arguments wins)
 * and says which results are views of which arguments. A function reads bound arguments by index and emits graph
 * nodes; it never looks at TorchScript. Errors are sticky in the builder: a function need not check what emit()
 * returns.
 *
 *   static struct value *lower_leaky_relu(struct aten_call *c)
 *   {
 *       return emit(c->b, "LeakyRelu", ATTRS(attr_float("alpha", arg_float(c, 1))), arg_tensor(c, 0));
 *   }
 *   ...
 *   { "leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor", lower_leaky_relu },
 *
 * In-place twins need no row: `leaky_relu_(x, ..)` computes leaky_relu and writes the result back into x, through
 * whatever views x is made of (torch.h). So `copy_`, `fill_`, `index_put_` are rows `copy`, `fill`, `index_put`.
 * A schema whose result is `Tensor(a)` of an argument `Tensor(a) self` makes a view: the nodes emitted between the
 * two must be a chain through first inputs of Reshape, Transpose, Squeeze, Unsqueeze, Slice, Gather (0-d index),
 * Split, Expand or Identity, which is re-applied and undone where somebody writes. Returning the argument's own
 * value gives the same tensor. Operators all of whose tensors are constants are folded at once, whatever a
 * function emits.
 */
#ifndef TENREC_FORMAT_TORCH_ATEN_H
#define TENREC_FORMAT_TORCH_ATEN_H

#include "format/torch/object.h"
#include "graph/builder.h"

struct import_options;
struct report;
struct torch;

enum { ATEN_ARGS = 32 };

struct aten_call {
    struct torch *t;
    struct builder *b;
    const struct aten_row *row;
    const struct aten_signature *signature;
    int n_args;
    struct object *arg[ATEN_ARGS]; /* one per parameter of the schema: given, default, or None */
    struct value **out;            /* results so far: give() */
    size_t n_out, cap_out;
};

struct aten_row {
    const char
        *schema; /* "name.overload(kind name=default, *, ...) -> result"; `aten::` unless it says `ns::name(..)` */
    /* Returns the only result; or calls give() for each (tuples and lists) and returns NULL. */
    struct value *(*lower)(struct aten_call *c);
    const char *onnx; /* for functions that many rows share: the operator they emit */
    bool dense_only;  /* a view only of row-major memory, otherwise a copy (reshape, flatten, contiguous) */
};

/* The tables of all files, NULL at the end; each table ends with a NULL schema. aten_<word>.c defines
 * `const struct aten_row aten_<word>[]`, and the word stands in meson.build. */
extern const struct aten_row *const aten_tables[];
struct format_item;
bool aten_knows(size_t i, struct format_item *out); /* as struct format has it */

/* Results, for operators with more than one (or with lists of them). */
void give(struct aten_call *c, struct value *v);

/* Arguments by index. The kinds were checked against the schema; absent optional tensors are NULL. */
bool arg_given(const struct aten_call *c, int i); /* not None */
struct value *arg_tensor(struct aten_call *c, int i);
struct value **arg_tensors(struct aten_call *c, int i, size_t *n); /* Tensor[] and Tensor?[] */
bool arg_bool(struct aten_call *c, int i);
double arg_float(struct aten_call *c, int i);    /* float, int, bool, Scalar; concrete */
const char *arg_str(struct aten_call *c, int i); /* NULL for None */
/* Whole numbers that must be concrete (axes, kernel sizes): one that depends on an input's shape is taken at its
 * hint, and a guard is left. */
int64_t arg_int(struct aten_call *c, int i);
const int64_t *arg_ints(struct aten_call *c, int i, size_t *n);  /* None: NULL, *n = 0 */
const int64_t *arg_ints_n(struct aten_call *c, int i, size_t n); /* exactly n; one is repeated; else an error */
/* Whole numbers that may depend on shapes: as graph values, constants where they are. */
struct value *arg_int_value(struct aten_call *c, int i);            /* 0-d int64 */
struct value *arg_ints_value(struct aten_call *c, int i);           /* 1-d int64 */
size_t arg_len(const struct aten_call *c, int i);                   /* items of a list argument */
struct value *arg_item_value(struct aten_call *c, int i, size_t k); /* k-th of a list of ints, 0-d */
/* A ScalarType argument; `otherwise` when it is None. */
enum dtype arg_dtype(struct aten_call *c, int i, enum dtype otherwise);
int arg_axis(struct aten_call *c, int i, int rank); /* wrapped into [0, rank); error otherwise */
/* A Scalar argument, or tensor, as a value of type t: a 0-d constant for numbers. */
struct value *arg_scalar(struct aten_call *c, int i, enum dtype t);

/* PyTorch's type promotion. Both read the arguments (tensors or numbers) and give them cast to the common type. */
enum dtype promote(struct aten_call *c, int i, int j);
void arg_operands(struct aten_call *c, int i, int j, struct value **x, struct value **y);
/* Of values; and casts all of them to it. */
enum dtype promote_values(struct aten_call *c, struct value **v, size_t n);
/* The tensor argument cast to a float type if it is none (what sqrt(int tensor) does). */
struct value *arg_as_float(struct aten_call *c, int i);

/* What is known of a value. Ranks and types are always known after a successful lowering, dimensions need not be. */
int value_rank(struct aten_call *c, const struct value *v);
/* Concrete dimensions for the example inputs; rank -1 when even these are unknown. */
struct shape value_hint(struct aten_call *c, struct value *v);
/* Concrete content for the example inputs: constants, and what is computed from shapes. NULL: it depends on data. */
const struct tensor *value_content(struct aten_call *c, struct value *v);
/* Size of one dimension (negative counts from the end): a number when the same for every input, else -1. */
int64_t value_dim(struct aten_call *c, const struct value *v, int axis);
/* The same as a graph value, a constant where it is one; 0-d int64. */
struct value *value_size(struct aten_call *c, struct value *v, int axis);
/* Concrete: the hint, with a guard left if it depends on the input. */
int64_t value_size_pinned(struct aten_call *c, struct value *v, int axis);

/* Building blocks that many lowerings want. */
/* A node without attributes. */
#define emit_op(c, op, ...) emit((c)->b, (op), NO_ATTRS, __VA_ARGS__)
struct value *emit_like(struct aten_call *c, const struct value *x, double v); /* a 0-d constant of x's type */
/* Over `axes`; n = 0: over none, so that x is given back. */
struct value *emit_reduce(
    struct aten_call *c, const char *op, struct value *x, const int64_t *axes, size_t n, bool keepdims);
struct value *emit_filled(struct aten_call *c, struct value *shape, enum dtype t, double v);
struct value *emit_shape_of(struct aten_call *c, struct value *v);                         /* 1-d int64 */
struct value *emit_concat_ints(struct aten_call *c, struct value *const *parts, size_t n); /* 0-d or 1-d int64 to 1-d */
struct value *emit_reshape(
    struct aten_call *c, struct value *x, const int64_t *dims, size_t n); /* 0 and -1 as in ONNX */
struct value *emit_transpose(struct aten_call *c, struct value *x, const int64_t *perm, size_t n);
struct value *emit_unsqueeze(struct aten_call *c, struct value *x, int64_t axis);
struct value *emit_squeeze(struct aten_call *c, struct value *x, int64_t axis);
struct value *emit_slice(struct aten_call *c, struct value *x, int64_t axis, int64_t start, int64_t end, int64_t step);
/* Another aten operator by name with these tensors and further objects: for composites written in aten's own
 * terms. */
struct value *emit_aten(struct aten_call *c, const char *name, struct object *const *args, size_t n);

/* For rows without a function of their own: row->onnx of argument 0; of arguments 0 and 1 promoted and broadcast;
 * the same with a bool result; of argument 0 made float first. */
struct value *lower_unary(struct aten_call *c);
struct value *lower_unary_float(struct aten_call *c);
struct value *lower_binary(struct aten_call *c);
struct value *lower_identity(struct aten_call *c);

/* The result of an operator by that name: rounded as its argument is, where it takes means of quantized numbers. */
struct value *aten_requantized(struct aten_call *c, const char *name, struct value *y);

/* An error at this call, with the operator's name and place in front: aten_fail(c, ERR_UNSUPPORTED, "..."). */
void aten_fail(struct aten_call *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Calling. `name` is "relu", "relu_", "add.Tensor" or "torchvision::nms"; NULL only on errors other than an
 * operator or overload that is not known, which give OBJECT_UNKNOWN and a line in the report. */
struct keyword {
    const char *name;
    struct object *value;
};
struct object *aten_call(struct torch *t, const char *name, struct object *const *args, size_t n,
    const struct keyword *keywords, size_t n_keywords);
bool aten_is_known(const char *name);

/* dtype numbers of PyTorch's ScalarType; DT_NONE and -1 where there is none. */
enum dtype dtype_from_torch(int64_t number);
int64_t dtype_to_torch(enum dtype t);

#endif
