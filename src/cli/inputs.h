/* inputs.h - tensors for a model's inputs from words of a command line: [NAME=]IN. */
#ifndef TENREC_CLI_INPUTS_H
#define TENREC_CLI_INPUTS_H

#include "package/model.h"

/* Fills in[i] for the inputs of the model's graph; what was there stays. IN is an array (.npy), arrays by name (.npz),
 * a TensorProto (.pb), an image (through the input's preprocessing), or numbers ("5", "0.5,2"). Without a name it feeds
 * the next input that has nothing yet. Floats are converted among themselves, so are integers; that is said on stderr.
 * `from` (one per input, may be NULL) receives where images came from. Everything lies in `a`. */
int inputs_read(struct model *m, struct arena *a, const char *const *words, size_t n, struct tensor **in,
    struct provenance *from, struct err *e);
/* ERR_USAGE naming the inputs that have nothing. */
int inputs_check(const struct graph *g, struct arena *a, struct tensor *const *in, struct err *e);
/* Shapes to try a model with: the first dimension, where it is free, becomes `batch`, so does the same symbol
 * elsewhere; other free ones become `size`. ERR_USAGE for an input without a known rank. */
int concrete_shapes(const struct graph *g, int64_t batch, int64_t size, struct shape **out, struct err *e);
/* The same element values in another type of the same kind (or any numbers to any when `any`). NULL with the error. */
struct tensor *tensor_converted(
    struct arena *a, const struct tensor *t, enum dtype dtype, const char *name, bool any, struct err *e);

#endif
