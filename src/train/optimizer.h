/* optimizer.h - which operator updates a parameter, and which states of its own it keeps. */
#ifndef TENREC_TRAIN_OPTIMIZER_H
#define TENREC_TRAIN_OPTIMIZER_H

#include "graph/attr.h"

struct err;

/* A state per parameter, by its name in PyTorch's state_dict; there if `when` (an attribute) is not 0, or always. */
struct optimizer_state {
    const char *name, *when;
};
struct optimizer {
    const char *name, *op;
    const char *always;               /* an attribute that is 1; NULL: none */
    struct optimizer_state states[4]; /* ends with a NULL name */
};

/* ERR_USAGE with a did-you-mean. */
const struct optimizer *optimizer_find(const char *name, struct err *e);
/* Whether the optimizer takes the hyper-parameter (an attribute of its operator). */
int optimizer_has(const struct optimizer *o, const char *attr);

#endif
