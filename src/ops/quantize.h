/* quantize.h - integers that stand for reals. */
#ifndef TENREC_OPS_QUANTIZE_H
#define TENREC_OPS_QUANTIZE_H

#include <stdbool.h>

#include "graph/dtype.h"

/* The numbers an integer type holds; false when it is none of at most 32 bits. */
bool quantized_range(enum dtype t, double *low, double *high);

#endif
