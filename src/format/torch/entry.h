/* entry.h - from a model's inputs and outputs to objects of TorchScript, and back. */
#ifndef TENREC_FORMAT_TORCH_ENTRY_H
#define TENREC_FORMAT_TORCH_ENTRY_H

#include "format/torch/eval.h"

struct import_options;

/* The method that is the model: forward, or the only one there is. NULL: an error. */
const struct ts_def *entry_find(struct eval *v);
/* Makes the graph's inputs and the arguments of the method (without self). NULL: an error. */
struct object **entry_arguments(struct eval *v, const struct ts_def *def, const struct import_options *o);
/* Makes the graph's outputs of what the method returned. */
int entry_outputs(struct eval *v, struct object *result);
/* What attributes of modules are at the end becomes the next content of the states. Attributes that are something
 * else after the run (a tensor of another shape, another number) go into `changed`, as struct settled in its
 * arena. */
int entry_states(struct eval *v, struct map *changed);
/* The second reading of a model whose attributes settle in its first run: does it compute the same from zeros? Both
 * graphs are tidied and run on made-up inputs. ERR_UNSUPPORTED if not. */
int entry_compare(struct graph *first, struct graph *second, const struct torch *hints, struct err *e);

#endif
