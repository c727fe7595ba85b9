/* differentiate.c - the operator that stands for the derivative of a value until a pass writes it out. */
#include "base/err.h"
#include "graph/op.h"
#include "ops/infer.h"

/* in: y, x...; out: the derivative of the sum of y by each x */
static int gradient_infer(struct node *n, struct err *e)
{
    if (n->n_out != n->n_in - 1) return fail(e, ERR_MODEL, "%d outputs for %d inputs", n->n_out, n->n_in - 1);
    for (int i = 0; i < n->n_in; i++) {
        TRY(infer_type(n, i, TYPES_FLOAT, e));
        if (!n->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
        if (i) infer_out(n, i - 1, n->in[i]->dtype, &n->in[i]->shape);
    }
    return 0;
}

const struct op ops_differentiate[] = {
    { .name = "Gradient",
        .doc = "derivatives of the sum of y by each x, of (y, x...); an import pass writes them out",
        .min_in = 2,
        .max_in = OP_VARIADIC,
        .min_out = 1,
        .max_out = OP_VARIADIC,
        .flags = OP_OWN | OP_TRAINING_ONLY | OP_WRITTEN_OUT,
        .infer = gradient_infer },
    { 0 },
};
