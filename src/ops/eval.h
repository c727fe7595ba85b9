/* eval.h - running an operator by way of its expansion. */
#ifndef TENREC_OPS_EVAL_H
#define TENREC_OPS_EVAL_H

#include "ops/kernel.h"

/* A run() for operators that are more than the sum of their parts only where a backend has a kernel for them: the
 * operator's expansion on the step's tensors, node by node. */
int step_run_expanded(const struct step *s, struct err *e);

#endif
