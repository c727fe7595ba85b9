/* eltwise.h - which of oneDNN's element-wise functions an operator is. */
#ifndef TENREC_BACKEND_DNNL_ELTWISE_H
#define TENREC_BACKEND_DNNL_ELTWISE_H

#include "backend/dnnl/compat.h"

struct job;
struct step;
struct node;
struct eltwise {
    dnnl_alg_kind_t alg;
    float alpha, beta;
    bool backward; /* of (dy, x or y) */
    bool reads_y;
};
/* ERR_UNSUPPORTED when the node is none, or its parameters are not constants. */
int eltwise_of(const struct node *n, struct eltwise *f, struct err *e);
/* The same for an activation named in an attribute, with its parameters; false when there is none. */
bool eltwise_named(const char *op, double alpha, double beta, struct eltwise *f);
/* What a fused product or convolution does at its end, as its attributes say: adds input 3, and activates. */
int fused_follow(struct job *j, struct err *e);
/* After job_out(): input 3 must lie as the result does, in whose memory it is summed. */
void fused_sum(struct step *s);

#endif
