/* weights.h - files of weights without a structure: PyTorch's, safetensors (also many with an index), NumPy's .npz.
 *
 * A file may hold more than a model's weights: an optimizer, averages of the weights, numbers. The weights of the model
 * are found by themselves where there is one, or chosen by a key.
 */
#ifndef TENREC_FORMAT_WEIGHTS_H
#define TENREC_FORMAT_WEIGHTS_H

#include "base/map.h"
#include "format/format.h"
#include "zoo/zoo.h"

struct graph;
struct pickle_value;
struct pickler;
struct quantization;
struct tensor;
struct value;

struct weight {
    const char *path; /* "model_state_dict.conv1.weight" */
    const char *name; /* below the chosen key: "conv1.weight"; NULL: it is none of the model's weights */
    const struct tensor *tensor;
    const struct quantization *quantized; /* NULL: the numbers are what they are */
    const char *identity;                 /* equal for tied weights; NULL: not known */
};
struct weights {
    const char *format; /* "PyTorch (zip)", "safetensors" */
    struct weight *list;
    size_t n, cap, n_chosen;
    const char *key;        /* the chosen part, "" for all of it */
    struct map groups;      /* "model_state_dict" -> the number of its tensors: what `key` may be */
    struct map by_name;     /* of the chosen: name -> struct weight */
    struct map facts;       /* what else the file says, as text: "epoch" -> "3" */
    const char *class_name; /* the class of the module that was pickled as a whole, or NULL */
};

/* Does the file look like weights? A zip of PyTorch's may also be a TorchScript archive: that is not. */
bool weights_is(struct bytes file, const char *path);
/* `key` NULL: found by itself. Tensors lie in the file where they can, else in `a`. ERR_MODEL, ERR_USAGE for a key that
 * is not there. */
int weights_read(struct weights *w, struct arena *a, const struct format_file *file, const char *key,
    struct report *report, struct err *e);

/* Puts the chosen weights into the states of `g` by the keys these had in their source, else by name. Quantized numbers
 * become what they stand for. Every matched, missing and unexpected name is told in `report`; ERR_MODEL when nothing
 * fits, or a shape does not. */
int weights_apply(const struct weights *w, struct graph *g, struct report *report, struct err *e);

/* Are they the weights of this network, by all names and shapes? Its numbers of classes and channels go to `o`. */
bool weights_fit(const struct weights *w, const struct zoo_model *m, struct zoo_options *o);
/* "resnet18, resnet34 with 10 classes": all networks of the zoo that they fit; "" for none. */
const char *weights_known_nets(const struct weights *w, struct arena *a);

/* All states of a graph, under the names and in the order of axes of their source. */
int weights_of_graph(struct weights *w, const struct graph *g, struct arena *a, struct err *e);
/* One of them: its content in the order of axes of its source. */
const struct tensor *weights_as_source(const struct value *state, struct arena *a, struct err *e);
/* An OrderedDict of tensors, as torch.save(model.state_dict()) writes it. */
int weights_put_state_dict(const struct weights *w, struct pickler *p, struct err *e);
/* Writes them: .npz, .safetensors, or PyTorch's state_dict under any other name. */
int weights_write(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e);

/* Reads such a file back: every tensor must be there, and equal. */
int weights_check(
    const struct graph *g, const char *path, struct arena *a, char *text, size_t text_size, struct err *e);

/* For readers. */
int weights_add(struct weights *w, const struct weight *x, struct err *e);
int weights_of_torch(struct weights *w, struct arena *a, const struct format_file *file, const char *key,
    struct report *report, struct err *e);

#endif
