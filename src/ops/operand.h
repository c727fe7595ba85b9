/* operand.h - whole operands as doubles, for kernels that are no element-wise loop. */
#ifndef TENREC_OPS_OPERAND_H
#define TENREC_OPS_OPERAND_H

#include "ops/kernel.h"

/* The tensor's elements as doubles, in the step's scratch memory (or in place when they are doubles already; not to be
 * written then). NULL with the error when memory is out. */
const double *operand_load(const struct step *s, const struct tensor *t, struct err *e);
/* The same for integers and bool, as int64. */
const int64_t *operand_load_ints(const struct step *s, const struct tensor *t, struct err *e);
double *operand_zeros(const struct step *s, int64_t count, struct err *e);
/* Rounds doubles into the tensor. */
void operand_store(const struct step *s, struct tensor *t, const double *from);

/* An optional tensor of a step: NULL when absent or past the end. */
static inline struct tensor *step_in(const struct step *s, int i)
{
    return i < s->node->n_in ? s->in[i] : NULL;
}
static inline struct tensor *step_out(const struct step *s, int i)
{
    return i < s->node->n_out ? s->out[i] : NULL;
}

#endif
