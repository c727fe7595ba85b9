/* eval.h - a partial evaluator of TorchScript: host values are computed, tensor operators become graph nodes.
 *
 * The program runs once. A branch or a trip count that depends on an input's shape follows the example shapes and
 * leaves a guard; one that depends on data is an error that names its line.
 */
#ifndef TENREC_FORMAT_TORCH_EVAL_H
#define TENREC_FORMAT_TORCH_EVAL_H

#include "format/torch/archive.h"
#include "format/torch/torch.h"

struct instance {
    const struct ts_class *type; /* NULL: a class of torch itself, kept as it is */
    const char *type_name;
    const char *path;     /* of a module, from the root: "layer1.0"; NULL: no module */
    struct map attrs;     /* name -> struct object */
    struct object *state; /* pickled otherwise than by attributes */
};

/* An attribute of a module as loaded: what a tensor is at the end of the run is its next content. */
struct slot {
    struct instance *owner;
    const char *name, *key; /* "h", "decoder.h" */
    struct object *initial; /* TENSOR, a number, or NONE */
};

/* What an attribute is once the model has run: for models that make their state in the first run, see state.c. */
struct settled {
    enum object_kind kind;
    double number;
    enum dtype dtype; /* TENSOR */
    struct shape shape;
};

struct eval {
    struct torch t;
    struct archive *archive;
    struct arena *arena;
    struct err *err;
    struct object *root, *constants; /* constants: a tuple */
    struct slot *slots;
    size_t n_slots, cap_slots;
    const struct map *settled; /* key -> struct settled: attributes to begin with */
    struct map tensors;        /* identity -> struct object: tied weights are one */
    bool frozen;               /* no module has parameters: weights are constants of the code */
    const char *examples;      /* "N = 2, H = 224": numbers for the letters of the inputs' shapes; or NULL */
    int mode;                  /* enum import_mode */
    bool stopped;              /* an unsupported operator's result steers the program: nothing more can be found out */
    const struct ts_def *def;  /* being run */
    int line, depth;
    size_t steps;
    /* Of a program of torch.export: runs its graph of that number. NULL: an error. */
    void *program;
    struct object *(*run_graph)(struct eval *v, int64_t number, struct object *const *args, size_t n);
};

/* load.c: the root module and the constants as objects; weights become states of the graph. */
int eval_load(struct eval *v, struct report *report);
/* The object of a pickled tensor: one for each piece of memory. */
struct object *eval_tensor(struct eval *v, const struct pickle_value *p, const char *folder);
/* Gives all tensors of v->root values in the graph, named by the paths that lead to them. */
int eval_bind_root(struct eval *v);
/* Gives a tensor with data a value in the graph: a state, or a constant that may be folded. */
int eval_bind_tensor(struct eval *v, struct torch_tensor *t, const char *key, unsigned flags, bool state);

/* Keeps a buffer that the graph has as a constant also as a state that nothing reads, for who saves the model. */
int eval_keep_buffer(struct eval *v, const struct tensor *data, const char *key);

/* eval.c. NULL: an error, or v->stopped. */
struct object *eval_method(
    struct eval *v, struct object *self, const struct ts_def *def, struct object *const *args, size_t n);
struct object *eval_call_def(struct eval *v, const struct ts_def *def, struct object *self, struct object *const *args,
    size_t n, const struct keyword *keywords, size_t n_keywords);
/* The value of an expression that needs no locals: constants of classes. */
struct object *eval_constant(struct eval *v, const struct ts_expr *x);
/* An error at the present line. */
int eval_fault(struct eval *v, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "code/__torch__/m.py:12" */
const char *eval_where(struct eval *v);

/* names.c: what names and attributes stand for. NULL: an error. */
struct object *eval_name(struct eval *v, const struct map *locals, const char *name);
struct object *eval_attribute(struct eval *v, struct object *o, const char *name);
int eval_set_attribute(struct eval *v, struct object *o, const char *name, struct object *value);
struct object *eval_new(struct eval *v, const struct ts_class *type); /* an instance without attributes */
struct ts_class *eval_find_class(struct eval *v, const char *qualified);
const struct ts_def *class_find_def(const struct ts_class *c, const char *name);

/* host.c: functions of torch that need no graph. */
struct host_call {
    struct eval *v;
    const char *name;
    struct object *const *args;
    size_t n;
    const struct keyword *keywords;
    size_t n_keywords;
};
/* A builtin by its written name: "torch.add", "ops.prim.dtype", "int". */
struct object *eval_builtin(struct eval *v, const char *name, struct object *const *args, size_t n,
    const struct keyword *keywords, size_t n_keywords);
bool eval_is_builtin(const char *name); /* "add" */
struct host_row {
    const char *name;
    struct object *(*run)(struct host_call *c);
    bool or_tensor;     /* with a tensor argument it is an aten operator */
    bool takes_unknown; /* else an unknown argument makes the result unknown */
};
extern const struct host_row host_numbers[], host_containers[], host_tensors[], host_packed[], host_program[],
    host_quantized[];
struct object *host_arg(const struct host_call *c, size_t i); /* NULL past the end */
struct object *host_keyword(const struct host_call *c, const char *name);
struct object *host_fail(struct host_call *c, const char *what); /* wrong arguments: an error */
/* A value that depends on data: an unknown with a reason. */
struct object *host_data(struct eval *v, const char *what);
/* turns.c: functions of a list whose length only a run knows. */
struct object *host_rows(struct eval *v, const char *name, struct object *const *args, size_t n);
/* A number out of a tensor of one element, as far as it is known; else the tensor, 0-d, marked as a number. kind
 * OBJECT_NONE: as its type is. */
struct object *host_extract(struct eval *v, struct object *tensor, enum object_kind kind);
struct object *host_convert(struct eval *v, struct object *o, enum object_kind kind); /* int(), float(), bool() */

#endif
