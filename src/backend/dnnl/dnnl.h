/* dnnl.h - what prepares oneDNN's kernels, by family. */
#ifndef TENREC_BACKEND_DNNL_DNNL_H
#define TENREC_BACKEND_DNNL_DNNL_H

#include "ops/kernel.h"

extern const struct backend backend_dnnl;

int conv_prepare(struct step *s, struct err *e);
int fused_run(const struct step *s, struct err *e); /* of FusedConv and FusedMatMul */
int fused_matmul_prepare(struct step *s, struct err *e);
int conv_blocked_prepare(struct step *s, struct err *e);
int conv_winograd_prepare(struct step *s, struct err *e);
int conv_transpose_prepare(struct step *s, struct err *e);
bool conv_grad_accepts(const struct step *s, struct str *why);
int conv_grad_input_prepare(struct step *s, struct err *e);
int conv_grad_weight_prepare(struct step *s, struct err *e);
int matmul_prepare(struct step *s, struct err *e);
int gemm_prepare(struct step *s, struct err *e);
int pool_prepare(struct step *s, struct err *e);
int eltwise_prepare(struct step *s, struct err *e);
int binary_prepare(struct step *s, struct err *e);
int sum_prepare(struct step *s, struct err *e);
int concat_prepare(struct step *s, struct err *e);
int batch_normalization_prepare(struct step *s, struct err *e);
int layer_normalization_prepare(struct step *s, struct err *e);
int softmax_grad_prepare(struct step *s, struct err *e);
int lrn_prepare(struct step *s, struct err *e);
int prelu_prepare(struct step *s, struct err *e);
int reduce_prepare(struct step *s, struct err *e);
int dnnl_quantized_conv_prepare(struct step *s, struct err *e);
int dnnl_quantized_gemm_prepare(struct step *s, struct err *e);
int dnnl_quantized_gemm_run(const struct step *s, struct err *e);
bool dnnl_quantized_accepts(const struct step *s, struct str *why);
bool cast_accepts(const struct step *s, struct str *why);
int cast_prepare(struct step *s, struct err *e);
int resize_prepare(struct step *s, struct err *e);

#endif
