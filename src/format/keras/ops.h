/* ops.h - arguments of operations: tensors, numbers and lists in any mixture. */
#ifndef TENREC_FORMAT_KERAS_OPS_H
#define TENREC_FORMAT_KERAS_OPS_H

#include "format/keras/keras.h"

/* A tensor, or a constant from numbers, in Keras' order. `like`: the type of numbers, where a tensor says none.
 * NULL on an error. */
struct value *operand(struct call *c, const json_t *arg, enum dtype like);
/* The first argument: a tensor of the call or, where only a layer is mapped, its input. */
struct ktensor *first_tensor(struct call *c);
/* An argument by place, or by any of the names separated by blanks. */
const json_t *op_argument(const struct call *c, size_t place, const char *names);
int64_t op_int(const struct call *c, size_t place, const char *names, int64_t otherwise);
bool op_bool(const struct call *c, size_t place, const char *names, bool otherwise);
/* Numbers of a list, or the one number; how many, or -1 with the error set. */
int op_ints(struct call *c, const json_t *arg, int64_t *out, int max);
/* Whole numbers, some of them tensors, as a 1-d int64. */
struct value *op_sizes(struct call *c, const json_t *arg);
/* The last word of what the operation is called, in small letters: "math.reduce_mean" is reduce_mean. */
const char *op_name(const struct call *c, char out[64]);
void snake_case(const char *name, char *out, size_t size);

#endif
