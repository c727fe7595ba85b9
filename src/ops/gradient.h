/* gradient.h - what gradient rules share. */
#ifndef TENREC_OPS_GRADIENT_H
#define TENREC_OPS_GRADIENT_H

#include "graph/builder.h"
#include "graph/op.h"

/* Input i is there and holds floats: only such inputs get a gradient. */
bool grad_wanted(const struct grad *g, int i);
/* dx[i] = d summed over the dimensions along which input i was broadcast; nothing when it is not wanted. */
void grad_set(struct grad *g, int i, struct value *d);
/* d summed to the shape of `like`: d itself when the shapes are known to be the same, else SumTo. */
struct value *emit_sum_to(struct builder *b, struct value *d, struct value *like);
/* The gradient is zero everywhere: rounding, signs. */
int grad_zero(struct grad *g);

static inline struct value *emit1(struct builder *b, const char *op, struct value *x)
{
    return emit(b, op, NO_ATTRS, x);
}
static inline struct value *emit2(struct builder *b, const char *op, struct value *x, struct value *y)
{
    return emit(b, op, NO_ATTRS, x, y);
}

#endif
