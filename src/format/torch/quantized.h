/* quantized.h - weights of quantized layers while an archive is loaded. */
#ifndef TENREC_FORMAT_TORCH_QUANTIZED_H
#define TENREC_FORMAT_TORCH_QUANTIZED_H

#include "format/torch/eval.h"

/* The pickled state of a quantized convolution as (weight, bias, strides, padding, dilation, groups); others stay. */
int quantized_open_state(struct eval *v, struct instance *x);
/* Gives a quantized tensor its value: the integers, dequantized. */
int quantized_bind(struct eval *v, struct torch_tensor *t, const char *key);

#endif
