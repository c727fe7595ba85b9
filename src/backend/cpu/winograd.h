/* winograd.h - convolutions of 3x3 and their gradients by Winograd's F(4x4, 3x3): a quarter of the products. */
#ifndef TENREC_BACKEND_CPU_WINOGRAD_H
#define TENREC_BACKEND_CPU_WINOGRAD_H

#include "backend/cpu/panel.h"

/* Weights (n, k, 3, 3) to 36 packed matrices (k, n), in double, rounded once. */
void winograd_pack(int64_t n, int64_t k, const float *w, float *packed, int threads);

int winograd_prepare(struct step *s, struct err *e);
int winograd_input_prepare(struct step *s, struct err *e);
int winograd_run(const struct step *s, struct err *e);
int winograd_weight_prepare(struct step *s, struct err *e);
int winograd_weight_run(const struct step *s, struct err *e);

#endif
