/* unary.c - running and differentiating element-wise functions of one input. */
#include "ops/unary.h"

#include <string.h>

#include "base/err.h"
#include "graph/builder.h"
#include "ops/infer.h"

void unary_parameters(const struct node *n, double *p)
{
    int k = 0;
    for (const struct attr_spec *a = n->op->attrs; a && a->name && k < UNARY_PARAMETERS; a++)
        p[k++] = a->type == ATTR_STRING ? strcmp(node_string(n, a->name), a->s) != 0
            : a->type == ATTR_INT       ? (double)node_int(n, a->name)
                                        : node_float(n, a->name);
}

int unary_run(const struct step *s, const struct elementwise *m, struct err *e)
{
    double p[UNARY_PARAMETERS];
    unary_parameters(s->node, p);
    return elementwise_run(s, m, p, e);
}

int unary_infer_grad(struct node *n, struct err *e)
{
    TRY(infer_same_types(n, 0, 2, e));
    struct shape s = n->in[0]->shape;
    if (!shape_merge(&s, &n->in[1]->shape)) return fail(e, ERR_SHAPE, "the gradient has another shape than the value");
    infer_out(n, 0, n->in[0]->dtype, &s);
    return 0;
}

int unary_grad(struct grad *g, const char *op, enum unary_reads reads)
{
    g->dx[0] = emit(g->b, op, g->node->attrs, g->dy[0], reads == READS_Y ? g->node->out[0] : g->node->in[0]);
    return 0;
}
