/* backend.h - the fast kernels, in order of preference; the operators' own reference kernels come after all of
 * them. */
#ifndef TENREC_BACKEND_BACKEND_H
#define TENREC_BACKEND_BACKEND_H

#include "ops/kernel.h"

/* Ends with NULL. Made from the build's list. */
extern const struct backend *const backend_list[];
/* Whether one of them multiplies numbers of type t by instructions that this processor has for them. */
bool backend_multiplies(enum dtype t);

#endif
