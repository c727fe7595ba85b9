/* cast.h - conversions with rules of their own. */
#ifndef TENREC_OPS_CAST_H
#define TENREC_OPS_CAST_H

#include <stdbool.h>
#include <stdint.h>

#include "graph/dtype.h"

/* n doubles to a small float; without `saturate` what is too large becomes infinity or NaN. */
void cast_to_float8(enum dtype t, bool saturate, int64_t n, const double *from, void *to);

#endif
