/* object.h - values of PyTorch's host language while a model is imported: what TorchScript code computes with, and
 * what the arguments of an aten operator are, whoever calls it (a TorchScript archive or a torch.export graph).
 *
 * Objects lie in the import's scratch arena and are immutable, but for lists, dictionaries, instances and tensors,
 * which are shared by reference as in Python. Numbers and bools that depend on an input's shape are pairs: the
 * number for the example shapes (the hint), and the 0-d graph value that is right for every shape.
 */
#ifndef TENREC_FORMAT_TORCH_OBJECT_H
#define TENREC_FORMAT_TORCH_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct instance;
struct torch_tensor;
struct ts_class;
struct ts_def;
struct value;
struct object;

#define OBJECT_KINDS(X) \
    X(NONE, "None") \
    X(BOOL, "bool") \
    X(INT, "int") \
    X(FLOAT, "float") \
    X(COMPLEX, "complex") \
    X(STR, "str") \
    X(DEVICE, "Device") \
    X(LIST, "list") \
    X(TUPLE, "tuple") \
    X(DICT, "dict") \
    X(TENSOR, "Tensor") \
    X(INSTANCE, "object") \
    X(ENUM, "enum") \
    X(FUNCTION, "function") X(METHOD, "method") X(CLASS, "class") X(NAMESPACE, "namespace") \
        X(UNKNOWN, "unknown (result of an unsupported operator)")
enum object_kind {
#define X(name, text) OBJECT_##name,
    OBJECT_KINDS(X)
#undef X
};

struct object_list {
    struct object **items;
    size_t n, cap;
    const struct ts_class *type; /* TUPLE: the NamedTuple class it is of, or NULL */
};
struct object_pair {
    struct object *key, *value;
};
struct object_dict {
    struct object_pair *pairs; /* in insertion order */
    size_t n, cap;
};
struct object_method {
    struct object *self;
    const struct ts_def *def; /* NULL: of a built-in type, see `builtin` */
    const char *builtin;      /* "torch.tolist" */
};
struct object_enum {
    const struct ts_class *type;
    const char *name;
    struct object *value;
};

struct object {
    enum object_kind kind;
    bool number;         /* TENSOR, 0-d: the program has a number here, which only a run knows */
    bool rows;           /* TENSOR: the program has a list here, whose length only a run knows; its items, stacked */
    struct value *value; /* BOOL, INT, FLOAT: the 0-d graph value behind the hint; NULL: the same for every input */
    union {
        bool boolean;
        int64_t integer;
        double real;
        double complex[2];
        const char *text;         /* STR, DEVICE; NAMESPACE: dotted name */
        struct object_list *list; /* LIST, TUPLE */
        struct object_dict *dict;
        struct torch_tensor *tensor;
        struct instance *instance;
        struct object_enum *member;
        struct object_method method;
        const struct ts_def *def;    /* FUNCTION */
        const struct ts_class *type; /* CLASS */
    };
};

const char *object_kind_name(enum object_kind kind);
/* All of them return NULL when memory is out. */
struct object *object_none(struct arena *a);
struct object *object_bool(struct arena *a, bool v, struct value *value);
struct object *object_int(struct arena *a, int64_t v, struct value *value);
struct object *object_float(struct arena *a, double v, struct value *value);
struct object *object_str(struct arena *a, enum object_kind kind, const char *text);
struct object *object_list(struct arena *a, enum object_kind kind);
struct object *object_dict(struct arena *a);
struct object *object_tensor(struct arena *a, struct torch_tensor *t);
struct object *object_unknown(struct arena *a);
bool object_append(struct arena *a, struct object *list, struct object *item);
bool object_dict_set(struct arena *a, struct object *dict, struct object *key, struct object *value);
struct object *object_dict_get(const struct object *dict, const struct object *key); /* NULL when absent */

static inline bool object_is(const struct object *o, enum object_kind kind)
{
    return o && o->kind == kind;
}
bool object_is_number(const struct object *o); /* BOOL, INT, FLOAT */
double object_number(const struct object *o);  /* of these */
/* Python's ==, by hints; tensors and instances by identity. */
bool object_equal(const struct object *a, const struct object *b);
bool object_truth(const struct object *o); /* Python's bool(), by hint; not for tensors */

#endif
