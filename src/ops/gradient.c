/* gradient.c - what gradient rules share. */
#include "ops/gradient.h"

#include "base/err.h"

bool grad_wanted(const struct grad *g, int i)
{
    return i < g->node->n_in && g->node->in[i] && dtype_is_float(g->node->in[i]->dtype);
}

struct value *emit_sum_to(struct builder *b, struct value *d, struct value *like)
{
    if (b->err->code || !d || shape_equal(&d->shape, &like->shape)) return d;
    return emit2(b, "SumTo", d, like);
}

void grad_set(struct grad *g, int i, struct value *d)
{
    if (grad_wanted(g, i)) g->dx[i] = emit_sum_to(g->b, d, g->node->in[i]);
}

int grad_zero(struct grad *g)
{
    return 0;
}
