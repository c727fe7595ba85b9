/* torch.h - an import in progress: the graph being built, concrete hints beside its values, and tensors with
 * identity.
 *
 * Hints: for every graph value, its concrete shape for the example inputs and, where it is computed from shapes and
 * constants only, its concrete content. They answer host questions (branches, trip counts, int(tensor)); the graph
 * itself stays symbolic.
 *
 * Tensors: a `struct torch_tensor` is what a Python name is bound to. It owns its content, or is a view of
 * another. A write into a view becomes a functional scatter into the content of its base; other views of that base
 * are derived again when they are next read.
 */
#ifndef TENREC_FORMAT_TORCH_TORCH_H
#define TENREC_FORMAT_TORCH_TORCH_H

#include "base/map.h"
#include "base/report.h"
#include "format/torch/aten.h"

struct quantization;
struct torch_tensor {
    struct value *value;              /* the content; of a view: as of `version` */
    struct torch_tensor *from;        /* it is a view of this one; NULL: its own */
    struct value *view_in, *view_out; /* the nodes between these two, through first inputs, make the view */
    unsigned serial;                  /* in the order of making; 0: of a module */
    unsigned version;          /* own content: number of writes; a view: that of its base when `value` was derived */
    bool dense;                /* row-major without gaps in PyTorch's memory, as far as known */
    struct value *state;       /* a parameter or buffer of a module: its state value */
    const char *key;           /* "layer1.0.conv1.weight" when it is an attribute of a module, else NULL */
    const struct tensor *data; /* the same: its content in the file */
    const struct quantization *quantized; /* what the integers in `data` stand for; NULL: it is not quantized */
};

/* A tensor that a part of a program wrote into, which runs only sometimes or again and again. */
struct torch_write {
    struct torch_tensor *tensor;
    struct value *before, *after; /* after: set when the part is over */
};

struct hint {
    bool known;                   /* was derived */
    struct shape shape;           /* concrete, or rank -1 */
    const struct tensor *content; /* or NULL */
    struct value *folded;         /* a constant that took the place of this value */
};

struct torch {
    struct arena *arena; /* of the import: objects, hints, parsed code; released after it */
    struct graph *g;
    struct builder b;
    struct err *err;
    struct report *report;
    struct hint *hints; /* by value id */
    size_t n_hints, cap_hints;
    size_t settled;       /* nodes of the graph whose hints are derived and constants folded */
    uint64_t spent;       /* bytes of constants and contents computed */
    struct map overloads; /* "conv2d" -> struct aten_overloads */
    struct map sizes;     /* memo of torch_size() */
    struct map names;     /* names of nodes given out -> how often */
    unsigned serial;      /* of the newest tensor */
    unsigned frozen;      /* tensors of a lower serial are from before the part that is interpreted; 0: no such part */
    unsigned changes;     /* attributes set in such a part */
    struct torch_write *writes;               /* into tensors from before it, each tensor once a part */
    size_t n_writes, cap_writes, first_write; /* first_write: of the innermost part */
    int n_guessed;        /* inputs whose shapes were guessed */
    int64_t version;      /* of the operators: that of the archive; 0: the newest */
    const char *module;   /* path of the module being called, for names of nodes: "layer1.0.conv1" */
};

int torch_init(struct torch *t, struct arena *a, struct graph *g, struct report *report, struct err *e);

/* hints.c: derives hints of all nodes added since the last call, and folds those whose inputs are constants. */
int torch_settle(struct torch *t);
int torch_set_hint(struct torch *t, const struct value *v, const struct shape *shape);
const struct hint *torch_hint(struct torch *t, struct value *v); /* settles first; never NULL, unknown after an error */
struct value *torch_size(struct torch *t, struct value *v, int axis); /* 0-d int64; 0 <= axis < rank */
/* The int object of it: concrete when it is the same for every input. */
struct object *torch_size_object(struct torch *t, struct value *v, int axis);

/* view.c: tensors. All return NULL, or a negative code, with the error set. */
struct torch_tensor *torch_tensor_new(struct torch *t, struct value *v);
struct value *torch_tensor_read(struct torch *t, struct torch_tensor *x);
int torch_tensor_write(struct torch *t, struct torch_tensor *x, struct value *v); /* v is cast and broadcast to x */
/* Before a write: what x is a view of, if it is an attribute that was taken for a constant, becomes a state. */
int torch_tensor_make_state(struct torch *t, struct torch_tensor *x);
/* A view of x with content v, if the graph shows how v is made from x; else a tensor of its own. */
struct torch_tensor *torch_tensor_view(struct torch *t, struct torch_tensor *x, struct value *v, bool dense_only);

/* guess.c: an input whose shape nobody told gets one from the first operator that takes it. */
int torch_guess(struct torch *t, const char *op, struct object *const *args, size_t n);

/* aten.c: a guard that a number or bool that depends on shapes has the value of its hint; nothing for others. */
int torch_guard(struct torch *t, const struct object *o);
/* The 0-d graph value of a number object. */
struct value *torch_scalar(struct torch *t, const struct object *o, enum dtype dtype);
/* A number object of a 0-d integer or float value whose hint is known; NULL without an error when it is not. */
struct object *torch_number(struct torch *t, struct value *v);
struct object *torch_object(struct torch *t, struct value *v); /* a tensor object with content of its own */

/* schema.c: binding of arguments. */
enum param_kind { PARAM_TENSOR, PARAM_INT, PARAM_FLOAT, PARAM_BOOL, PARAM_SCALAR, PARAM_STR, PARAM_DEVICE, PARAM_ANY };
struct aten_param {
    const char *name;
    enum param_kind kind;
    bool optional, list, item_optional, keyword_only, aliased;
    int repeat;               /* int[2]: a single int stands for so many */
    struct object *otherwise; /* default; NULL: required */
};
enum aten_result { RESULT_NONE, RESULT_ONE, RESULT_TUPLE, RESULT_LIST };
struct aten_signature {
    const struct aten_row *row;
    const char *overload; /* "add.Tensor" */
    struct aten_param *params;
    size_t n_params;
    enum aten_result result;
    bool view;                   /* the result is, or holds, views of the first argument */
    struct aten_signature *next; /* the next row of the name */
};
/* The rows of a name ("relu" or "add.Tensor"), parsed; NULL: none, or an error in t->err. */
struct aten_signature *aten_find(struct torch *t, const char *name);
/* Fills c->arg; false when the arguments do not fit this signature. */
bool aten_bind(struct aten_call *c, const struct aten_signature *s, struct object *const *args, size_t n,
    const struct keyword *keywords, size_t n_keywords);

#endif
