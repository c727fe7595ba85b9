/* tune_kernels.h - which kernel is fastest for each node of a model, on this machine. */
#ifndef TENREC_CLI_TUNE_KERNELS_H
#define TENREC_CLI_TUNE_KERNELS_H

#include "exec/session.h"
#include "graph/tensor.h"

struct recipe;
/* Tries every kernel that can take a node in the place of the one that does, on whole runs by turns (so that what it
 * costs its neighbours counts), and leaves in `r` those that win. Findings go to stderr. */
int tune_kernels(const struct graph *g, const struct session_options *o, const struct shape *shapes,
    const struct tensor *const *in, struct recipe *r, struct err *e);

#endif
