/* dnnl.h - what prepares oneDNN's kernels, by family. */
#ifndef TENREC_BACKEND_DNNL_DNNL_H
#define TENREC_BACKEND_DNNL_DNNL_H

#include "ops/kernel.h"

extern const struct backend backend_dnnl;

int conv_prepare(struct step *s, struct err *e);
int conv_transpose_prepare(struct step *s, struct err *e);
int conv_grad_input_prepare(struct step *s, struct err *e);
int conv_grad_weight_prepare(struct step *s, struct err *e);
int matmul_prepare(struct step *s, struct err *e);
int gemm_prepare(struct step *s, struct err *e);
int pool_prepare(struct step *s, struct err *e);
int eltwise_prepare(struct step *s, struct err *e);

#endif
