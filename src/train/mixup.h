/* mixup.h - samples mixed in pairs (Zhang et al. 2018, arXiv 1710.09412). */
#ifndef TENREC_TRAIN_MIXUP_H
#define TENREC_TRAIN_MIXUP_H

#include "train/samples.h"

/* Every float input becomes mix * x + (1 - mix) * x of another sample, whose targets go to b->mixed; mix is drawn from
 * Beta(alpha, alpha), 0 < alpha <= 1, one for the batch, by (seed, epoch, first row). alpha 0: mix is 1, nothing is
 * changed and b->mixed is the targets. */
int mixup_batch(struct batch *b, double alpha, uint64_t seed, int64_t epoch, struct arena *a, struct err *e);

#endif
