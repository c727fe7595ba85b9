/* reduce.h - the axes of a reduction that are known while planning. */
#ifndef TENREC_BACKEND_CPU_REDUCE_H
#define TENREC_BACKEND_CPU_REDUCE_H

#include "backend/cpu/cpu.h"

/* Bit d: dimension d of input 0 is reduced. ERR_UNSUPPORTED: none is, or which ones depends on data. */
int reduce_axes(const struct node *n, int rank, unsigned *mask, struct err *e);

bool reduce_accepts(const struct step *s, struct str *why);
bool reduce_plain_accepts(const struct step *s, struct str *why);
int reduce_lanes_prepare(struct step *s, struct err *e);
int reduce_lanes_run(const struct step *s, struct err *e);
bool arg_accepts(const struct step *s, struct str *why);
int arg_prepare(struct step *s, struct err *e);
int arg_run(const struct step *s, struct err *e);

#endif
