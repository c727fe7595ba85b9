/* chain.h - FusedElementwise: several element-wise operators as one, so that memory is read and written once.
 *
 *   steps=Div,Round,Clip,Mul operands=0,1, -1, -2,2,3, -3,1     Clip(Round(a / b), c, d) * b
 *
 * Each step takes as many of `operands` as its operator has inputs, and as many of `parameters` as it has attributes,
 * in the order of the operator's table. An operand from 0 on is an input, one below 0 the result of a step: -1 of the
 * first. The last step's result is the operator's. Kernels take inputs of the result's shape, or of one element.
 */
#ifndef TENREC_OPS_CHAIN_H
#define TENREC_OPS_CHAIN_H

#include <stdbool.h>

#include "graph/op.h"

enum { CHAIN_STEPS = 24, CHAIN_INPUTS = 8, CHAIN_OPERANDS = 3, CHAIN_PARAMETERS = 2 };

struct chain_step {
    const struct op *op;
    int n, operand[CHAIN_OPERANDS];
    int n_parameters;
    double parameter[CHAIN_PARAMETERS];
};

struct chain {
    int n;
    struct chain_step steps[CHAIN_STEPS];
};

/* Whether an operator can be a step; all its inputs must be there then. */
bool chain_takes(const struct op *op);
int chain_arity(const struct op *op);
/* What a FusedElementwise says; ERR_MODEL where it contradicts itself. */
int chain_read(struct chain *c, const struct node *n, struct err *e);

#endif
