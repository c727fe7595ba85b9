/* write.h - a graph being written as a Keras model: functional, a layer or operation for each node.
 *
 * Layouts: images are channels_last in Keras. A value of the graph is therefore known as one tensor or more of Keras,
 * each with the order its dimensions have there (`struct view`); Transpose, Unsqueeze and Squeeze only change that
 * order, and a Permute is made where a layer needs another one.
 */
#ifndef TENREC_FORMAT_KERAS_WRITE_H
#define TENREC_FORMAT_KERAS_WRITE_H

#include <jansson.h>

#include "base/map.h"
#include "base/report.h"
#include "graph/graph.h"

struct made_layer;

/* A tensor of the Keras model. */
struct made {
    struct made_layer *layer;
    int call, index; /* which call of the layer, which of its results */
    enum dtype dtype;
    struct shape shape; /* in Keras' order */
};

/* How a value of the graph is there: its dimension d is axis[d] of `t`; -1: a dimension of 1 that `t` lacks. */
struct view {
    struct made *t;
    int axis[SHAPE_MAX];
    struct view *next;
};

struct made_weight {
    const char *path; /* of the object that owns it, in files of Keras 3: "forward_layer/cell"; "" */
    const char *role; /* "kernel" */
    const struct tensor *data;
};

struct made_layer {
    const char *module, *class_name, *name;
    bool op; /* an operation of Keras 3, no layer */
    json_t *config, *calls;
    int n_calls;
    struct made_weight *weights;
    size_t n_weights;
    const struct value *source; /* of its first weight: whoever reads the same one calls the same layer */
};

enum { WEIGHTS_MAX = 12 };

struct kwriter {
    struct arena *arena;
    const struct graph *graph;
    struct report *errors, *notes;
    struct err *err;
    bool v3;                       /* .keras: operations of Keras 3 may be said too */
    struct view **views;           /* by value id */
    bool *needed, *fixed;          /* by value id; fixed: depends on weights and constants alone */
    const struct tensor **content; /* by value id: of fixed ones, once it was asked for */
    int *readers;                  /* by value id: data inputs of needed nodes */
    bool *said;                    /* by node id: together with another */
    struct made_layer **layers;
    size_t n_layers, cap_layers;
    struct map names;
    struct made_weight pending[WEIGHTS_MAX]; /* of the layer that is made next */
    size_t n_pending;
    const struct value *source;
    const struct node *node;
};

/* An operator of the graph. `reads`: how many of its first inputs are tensors for Keras; 0: all that are not fixed. */
struct say_row {
    const char *op;
    void (*say)(struct kwriter *w, const struct node *n);
    const char *keras, *module; /* for functions that many rows share */
    int reads;
    bool (*wants)(struct kwriter *w, const struct node *n, int i); /* instead of `reads`; NULL: none */
};
extern const struct say_row say_net[], say_math[], say_shape[], say_recurrent[];
const struct say_row *say_find(const char *op); /* NULL: none */
/* say_shape.c: a Gather from what is no table of weights. */
void say_take(struct kwriter *w, const struct node *n);

/* The node cannot be said. */
void kw_cannot(struct kwriter *w, const struct node *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Why an operation is no layer: for .h5 files. */
void kw_only_v3(struct kwriter *w, const struct node *n);

/* write_view.c: tensors in the order wanted; NULL after an error, or when an earlier node could not be said. */
struct made *kw_want(struct kwriter *w, struct value *v, const int *order); /* Keras' axis k is the value's order[k] */
struct made *kw_plain(struct kwriter *w, struct value *v);
struct made *kw_last(struct kwriter *w, struct value *v);
/* Some order with the value's last dimension last, all of them there; `order` is filled. */
struct made *kw_features(struct kwriter *w, struct value *v, int *order);
struct view *kw_view(struct kwriter *w, struct value *v); /* the first; NULL: none */
void kw_order_last(int rank, int *order);
/* `t` is the value, in that order (NULL: plain). */
void kw_give(struct kwriter *w, struct value *v, struct made *t, const int *order);
void kw_give_view(struct kwriter *w, struct value *v, struct made *t, const int *axis);
struct shape kw_shape(const struct value *v, const int *order);

/* write_layer.c: layers and operations; `config` is taken. `suffix` "": the node's own layer. */
struct made *kw_layer(struct kwriter *w, const char *class_name, const char *suffix, json_t *config,
    struct made *const *in, int n_in, const struct shape *out, enum dtype type);
struct made *kw_one(struct kwriter *w, const char *class_name, const char *suffix, json_t *config, struct made *in,
    const struct shape *out);
/* Another result of the call that made `t`. */
struct made *kw_result(struct kwriter *w, const struct made *t, int index, const struct shape *shape);
/* `args` are taken: a list, or an object of args and kwargs. Only where w->v3. */
struct made *kw_op(struct kwriter *w, const char *module, const char *class_name, const char *suffix, json_t *config,
    json_t *args, const struct shape *out, enum dtype type);
json_t *kw_tensor(const struct made *t); /* as an argument */
json_t *kw_constant(struct kwriter *w, const struct tensor *t);
json_t *kw_ints(const int64_t *v, int n);
json_t *kw_dims(const struct shape *s, int from); /* null where open */
void kw_weight(struct kwriter *w, const char *path, const char *role, const struct tensor *t);
/* new[i0][i1].. = t[..] with the axes in the order of `perm`. */
const struct tensor *kw_turned(struct kwriter *w, const struct tensor *t, const int *perm);
struct made *kw_reshaped(struct kwriter *w, struct made *t, const char *suffix, int rank, const int64_t *dims);

/* The content of a fixed value; NULL when it is not fixed. */
const struct tensor *kw_content(struct kwriter *w, struct value *v);
bool kw_scalar(struct kwriter *w, struct value *v, double *out);       /* fixed, of one element */
const int64_t *kw_numbers(struct kwriter *w, struct value *v, int *n); /* fixed whole numbers; NULL */
/* The only node that reads an output of `n`, if it is of this kind. */
struct node *kw_only_reader(struct kwriter *w, const struct node *n, const char *op);
/* Tells that a trainable weight is a constant in the file. */
void kw_frozen(struct kwriter *w, struct value *v);

/* write_order.c: puts w->layers in the order that Keras 3 has them in. */
int kw_order_layers(struct kwriter *w, const json_t *outputs);

/* write_file.c */
int kw_write_file(struct kwriter *w, const char *path, json_t *inputs, json_t *outputs);

#endif
