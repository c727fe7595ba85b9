/* cpu.h - what prepares and runs our own fast kernels, by family. */
#ifndef TENREC_BACKEND_CPU_CPU_H
#define TENREC_BACKEND_CPU_CPU_H

#include "ops/kernel.h"

/* A function compiled for several instruction sets, the best of which is chosen when the program starts. All give the
 * same bits: nothing in it is contracted or summed in another order. */
#if defined __x86_64__ && defined __GNUC__ && !defined __clang__
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
/* In front of a loop: no turn of it reads or writes what another one writes. */
#if defined __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif
#define INLINE static inline __attribute__((always_inline))
/* Whether fmaf() in such a function is an instruction; elsewhere it is slow. */
bool cpu_fuses(void);

bool all_finite_accepts(const struct step *s, struct str *why);
int all_finite_run(const struct step *s, struct err *e);
int batch_norm_prepare(struct step *s, struct err *e);
int batch_norm_run(const struct step *s, struct err *e);
int batch_norm_grad_prepare(struct step *s, struct err *e);
int batch_norm_grad_run(const struct step *s, struct err *e);
int conv_grad_bias_prepare(struct step *s, struct err *e);
int conv_grad_bias_run(const struct step *s, struct err *e);
int sum_to_prepare(struct step *s, struct err *e);
int sum_to_run(const struct step *s, struct err *e);
bool gather_channels_accepts(const struct step *s, struct str *why);
int gather_channels_prepare(struct step *s, struct err *e);
int gather_channels_run(const struct step *s, struct err *e);
int group_norm_run(const struct step *s, struct err *e);
int rms_norm_prepare(struct step *s, struct err *e);
int rms_norm_run(const struct step *s, struct err *e);
bool resize_rows_accepts(const struct step *s, struct str *why);
int resize_rows_prepare(struct step *s, struct err *e);
int resize_rows_run(const struct step *s, struct err *e);
int softmax_columns_prepare(struct step *s, struct err *e);
int softmax_columns_run(const struct step *s, struct err *e);
bool casts_accepts(const struct step *s, struct str *why);
int casts_run(const struct step *s, struct err *e);
int layer_norm_grad_prepare(struct step *s, struct err *e);
int layer_norm_grad_run(const struct step *s, struct err *e);
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
