/* backend.h - the fast kernels, in order of preference; the operators' own reference kernels come after all of
 * them. */
#ifndef TENREC_BACKEND_BACKEND_H
#define TENREC_BACKEND_BACKEND_H

#include "ops/kernel.h"

/* Ends with NULL. Made from the build's list. */
extern const struct backend *const backend_list[];
/* The best of what they say of this processor's instructions for numbers of type t. */
enum rate backend_multiplies(enum dtype t);
/* What of this processor speaks against bfloat16 ("has no instructions for bf16"); NULL: nothing. */
const char *backend_against_bf16(void);

#endif
