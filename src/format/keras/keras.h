/* keras.h - a Keras model being imported: its layers, the weights of each, and the tensors between them.
 *
 * Layouts: Keras' images are mostly channels_last, the graph's operators want channels first. A tensor between layers
 * is therefore known in up to two forms: `plain`, its dimensions in Keras' order, and `first`, the last one moved to
 * place 1. Layers take whichever form suits them and a Transpose is made only where none is there yet, so that a
 * convolutional network has one at its input and one at its end.
 */
#ifndef TENREC_FORMAT_KERAS_KERAS_H
#define TENREC_FORMAT_KERAS_KERAS_H

#include <jansson.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/report.h"
#include "enc/hdf5.h"
#include "enc/zip.h"
#include "format/format.h"
#include "graph/builder.h"

struct call;
struct layer;

struct ktensor {
    struct value *plain, *first; /* at least one is there */
    struct value *mask;          /* (N, T) of bool: which time steps count; NULL: all */
};

enum layer_flags {
    LAYER_KEEPS_MASK = 1, /* the result has the masks of the inputs, all of them true */
    LAYER_ANY_TYPE = 2,   /* inputs are not cast to the type of computing */
    LAYER_MODEL = 4,      /* has layers inside */
    LAYER_OWN_MASK = 8,   /* the function sets the mask */
};

/* A layer of Keras. `weights` are its variables in Keras' order, separated by blanks: [-][CHILD/]ROLE[?CONDITION][!]
 * - CHILD: the attribute that owns it, in files of Keras 3;
 * - CONDITION: a key of the config that must not be false or null ("~KEY": that must be, or be absent; "+KEY": that
 *   must not even be absent; "KEY=TEXT"; joined by '&');
 * - '!': it is no parameter to train;
 * - '-' before it: nothing here reads it, and old files lack it. */
struct layer_row {
    const char *name; /* of the class; several separated by blanks */
    struct ktensor *(*lower)(struct call *c);
    const char *weights; /* NULL: none */
    unsigned flags;
    const char *onnx; /* the operator, where the function serves many */
    int axes;         /* spatial dimensions */
};

/* A file of weights. */
struct shard {
    struct hdf5 h5;
    struct blob *blob; /* over its bytes; NULL where they were made */
};

struct weight {
    const char *role, *child;
    bool trainable, unread;
    struct hdf5_object *data; /* NULL: the model came without weights */
    struct shard *shard;      /* where `data` is */
    const char *key;          /* its path in the file */
    struct value *value;      /* once it was asked for */
};

struct layer {
    const char *class_name, *name;
    const char *label; /* with the models around it: "encoder/dense_1" */
    const struct layer_row *row;
    const json_t *json, *config;
    struct layer *outer;
    bool trainable; /* as the config says of it and what is around it */
    struct layer **sub;
    size_t n_sub, cap_sub;
    const char *path;   /* where its variables are below the outer layer, in files of Keras 3 */
    struct map by_name; /* of a model: its layers */
    struct weight *weights;
    size_t n_weights;
    const char *mapped; /* what the user says it is; NULL */
    size_t first_call; /* the lowest number by which calls of it are referred to */
    bool referred;
};

struct keras {
    struct arena *keep;   /* of the graph */
    struct arena scratch; /* of the import */
    const struct format_file *file;
    const struct import_options *options;
    struct report *report;
    struct err *err;
    struct graph *g;
    struct builder b;
    const json_t *root;
    struct layer *model;
    struct zip zip;
    struct shard **shards; /* mostly one */
    size_t n_shards, cap_shards;
    bool has_weights;
    int version[3]; /* of Keras: 2, 3, 1; 0 where unknown */
    bool tf;        /* tf.keras */
    enum dtype compute;
    size_t n_inputs;
    size_t depth;
    uint64_t made; /* bytes of zeros that stand for weights */
};

/* One call of one layer. */
enum { CALL_INPUTS = 256, CALL_OUTPUTS = 64 };
struct call {
    struct keras *k;
    struct builder *b;
    struct layer *layer;
    const json_t *config;
    struct ktensor *in[CALL_INPUTS]; /* the tensors of its arguments, in order */
    size_t n_in;
    const json_t *args, *kwargs; /* NULL: none; tensors in them are {"__tensor": place in `tensors`} */
    struct ktensor *const *tensors;
    struct ktensor *more[CALL_OUTPUTS]; /* results after the first */
    size_t n_more;
};

/* model.c: the layers of a config; what is unknown is reported, all of it. */
int keras_load(struct keras *k);
/* The model's inputs, the calls, the outputs. */
int keras_build(struct keras *k);
/* Applies a layer; NULL on error. `c` has k, b, layer and the arguments. */
struct ktensor *layer_apply(struct call *c);
/* An inner layer applied to the same arguments but these tensors. */
struct ktensor *layer_apply_to(const struct call *outer, struct layer *inner, struct ktensor *const *in, size_t n);
/* nodes.c: a Sequential or Functional model called. */
struct ktensor *lower_model(struct call *c);

/* tables.c */
const struct layer_row *layer_row_find(const char *class_name);
const struct layer_row *op_row_find(const char *name);
bool keras_knows(size_t i, struct format_item *out); /* as struct format has it */

/* weights.c */
int keras_weights_plan(struct keras *k, struct layer *l); /* what each layer has, from its row */
int keras_weights_find(struct keras *k);                  /* and where it is in the file */
/* The weight as a state of the graph, with shape `rank` `dims` in the file (negative: any), permuted by `perm` (NULL:
 * as it is). NULL without an error where the layer has no such weight. */
struct value *weight(struct call *c, const char *role, int rank, const int64_t *dims, const int *perm);
/* The same in another shape of as many elements. */
struct value *weight_as(struct call *c, const char *role, int rank, const int64_t *dims, const int *perm, int new_rank,
    const int64_t *new_dims);
bool has_weight(const struct call *c, const char *role);

/* tensor.c: forms of tensors; all give NULL on an error. */
struct ktensor *ktensor_plain(struct call *c, struct value *v);
struct ktensor *ktensor_first(struct call *c, struct value *v);
struct value *as_plain(struct call *c, struct ktensor *t);
struct value *as_first(struct call *c, struct ktensor *t);
/* Images as operators want them, by the layer's data_format; and back. */
struct value *spatial_in(struct call *c, struct ktensor *t);
struct ktensor *spatial_out(struct call *c, struct value *v);
bool channels_last(const struct call *c);
int ktensor_rank(const struct ktensor *t); /* RANK_UNKNOWN where not known */
enum dtype ktensor_type(const struct ktensor *t);
int64_t ktensor_dim(const struct ktensor *t, int axis); /* in Keras' order; negative where not known */
/* Element by element: in the form the tensor has. */
struct ktensor *each_element(struct call *c, struct ktensor *t, struct value *(*f)(struct call *c, struct value *v));
struct ktensor *ktensor_cast(struct call *c, struct ktensor *t, enum dtype to);
struct value *ktensor_form(const struct ktensor *t, bool *first); /* the form that is there; plain if both are */
struct ktensor *in_form(struct call *c, struct value *v, bool first);
struct value *and_masks(struct call *c, struct value *a, struct value *b);

/* emit.c: small pieces */
struct value *k_transpose(struct call *c, struct value *x, const int64_t *perm, int n);
struct value *k_reshape(struct call *c, struct value *x, const int64_t *dims, int n);
struct value *k_unsqueeze(struct call *c, struct value *x, int64_t axis);
struct value *k_squeeze(struct call *c, struct value *x, int64_t axis);
struct value *k_slice(struct call *c, struct value *x, int64_t axis, int64_t from, int64_t to, int64_t step);
struct value *k_reduce(struct call *c, const char *op, struct value *x, const int64_t *axes, int n, bool keep);
struct value *k_like(struct call *c, const struct value *x, double v); /* a scalar of x's type */
struct value *k_op(struct call *c, const char *op, struct value *x);
struct value *k_op2(struct call *c, const char *op, struct value *x, struct value *y);
struct value *k_scaled(struct call *c, struct value *x, double scale, double offset); /* x scale + offset */
struct value *k_concat(struct call *c, struct value *const *v, int n, int64_t axis);
struct value *k_sizes(struct call *c, struct value *x, int from, int to); /* dims [from, to) as a 1-d int64 */
struct value *k_size(struct call *c, struct value *x, int axis);          /* one of them, (1) */
struct value *k_softmax(struct call *c, struct value *x, int64_t axis);
struct value *k_softmax_over(struct call *c, struct value *x, const int64_t *axes, int n, bool logarithm);

/* write.c: as struct format has them. Nodes without a row in the tables of say_*.c cannot be said. */
bool keras_cannot_say(const struct node *n);
int keras_write(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e);

/* config.c */
const json_t *cfg(const struct call *c, const char *key); /* NULL: absent or null */
int64_t cfg_int(const struct call *c, const char *key, int64_t otherwise);
double cfg_float(const struct call *c, const char *key, double otherwise);
bool cfg_bool(const struct call *c, const char *key, bool otherwise);
const char *cfg_string(const struct call *c, const char *key, const char *otherwise);
/* A number, which stands for all, or a list of n. */
int cfg_ints(struct call *c, const char *key, int n, int64_t otherwise, int64_t *out);
/* Pairs for n axes: a number, a list of numbers, or a list of pairs. */
int cfg_pairs(struct call *c, const char *key, int n, int64_t otherwise, int64_t (*out)[2]);
const char *class_of(const json_t *object); /* "class_name" of an object, or the text itself; NULL */
const json_t *config_of(const json_t *object);
/* The keys of an object in the order in which Keras flattens it: that of the alphabet. NULL on an error. */
const char **sorted_keys(struct arena *a, const json_t *object, struct err *e);
const json_t *argument(const struct call *c, size_t place, const char *name);          /* NULL: absent or null */
struct ktensor *tensor_argument(const struct call *c, size_t place, const char *name); /* NULL: no tensor there */
struct ktensor *tensor_of(const struct call *c, const json_t *argument);
int call_fail(const struct call *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "(Conv2D at layer conv1)" */
void call_warn(const struct call *c, enum report_kind kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* layer_activation.c: `spec` as a config has it; NULL is linear. In the form given (`first`: channels at 1). */
struct value *activate(struct call *c, const json_t *spec, struct value *x, bool first);
/* The same by name, with numbers from the arguments of an operation. */
struct value *activate_named(struct call *c, const char *name, struct value *x, bool first);
struct ktensor *activate_tensor(struct call *c, const char *key, struct ktensor *t);
const char *activation_name(const json_t *spec);
bool is_activation(const char *name);
const char *activation_at(size_t i); /* NULL past the end */

#endif
