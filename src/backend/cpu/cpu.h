/* cpu.h - what prepares and runs our own fast kernels, by family. */
#ifndef TENREC_BACKEND_CPU_CPU_H
#define TENREC_BACKEND_CPU_CPU_H

#include "base/clones.h"
#include "ops/kernel.h"

/* Whether fmaf() in such a function is an instruction; elsewhere it is slow. */
bool cpu_fuses(void);

bool all_finite_accepts(const struct step *s, struct str *why);
int all_finite_run(const struct step *s, struct err *e);
int batch_norm_prepare(struct step *s, struct err *e);
int batch_norm_run(const struct step *s, struct err *e);
int batch_norm_grad_prepare(struct step *s, struct err *e);
int batch_norm_grad_run(const struct step *s, struct err *e);
int fused_norm_prepare(struct step *s, struct err *e);
int fused_norm_run(const struct step *s, struct err *e);
int conv_grad_bias_prepare(struct step *s, struct err *e);
int conv_grad_bias_run(const struct step *s, struct err *e);
bool chain_accepts(const struct step *s, struct str *why);
int chain_prepare(struct step *s, struct err *e);
int chain_run(const struct step *s, struct err *e);
int sum_to_prepare(struct step *s, struct err *e);
int sum_to_run(const struct step *s, struct err *e);
bool gather_channels_accepts(const struct step *s, struct str *why);
int gather_channels_prepare(struct step *s, struct err *e);
int gather_channels_run(const struct step *s, struct err *e);
bool slice_last_accepts(const struct step *s, struct str *why);
int slice_last_prepare(struct step *s, struct err *e);
int slice_last_run(const struct step *s, struct err *e);
int group_norm_run(const struct step *s, struct err *e);
int rms_norm_prepare(struct step *s, struct err *e);
int rms_norm_run(const struct step *s, struct err *e);
bool resize_rows_accepts(const struct step *s, struct str *why);
int resize_rows_prepare(struct step *s, struct err *e);
int resize_rows_run(const struct step *s, struct err *e);
int resize_grad_prepare(struct step *s, struct err *e);
int resize_grad_run(const struct step *s, struct err *e);
int softmax_rows_prepare(struct step *s, struct err *e);
int softmax_rows_run(const struct step *s, struct err *e);
int softmax_columns_prepare(struct step *s, struct err *e);
int softmax_columns_run(const struct step *s, struct err *e);
bool casts_accepts(const struct step *s, struct str *why);
int casts_run(const struct step *s, struct err *e);
int layer_norm_grad_prepare(struct step *s, struct err *e);
int layer_norm_grad_run(const struct step *s, struct err *e);
int plane_conv_prepare(struct step *s, struct err *e);
int plane_conv_run(const struct step *s, struct err *e);
int plane_pool_prepare(struct step *s, struct err *e);
int plane_pool_run(const struct step *s, struct err *e);
int pool_grad_prepare(struct step *s, struct err *e);
int max_pool_grad_run(const struct step *s, struct err *e);
int average_pool_grad_run(const struct step *s, struct err *e);
bool update_accepts(const struct step *s, struct str *why);
int sgd_run(const struct step *s, struct err *e);
int adam_run(const struct step *s, struct err *e);
int average_run(const struct step *s, struct err *e);
bool cross_entropy_accepts(const struct step *s, struct str *why);
int cross_entropy_run(const struct step *s, struct err *e);
bool cross_entropy_grad_accepts(const struct step *s, struct str *why);
int cross_entropy_grad_run(const struct step *s, struct err *e);

#endif
