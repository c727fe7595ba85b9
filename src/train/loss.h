/* loss.h - losses as graphs: what a model's output is compared with, and how. */
#ifndef TENREC_TRAIN_LOSS_H
#define TENREC_TRAIN_LOSS_H

#include <stdbool.h>

#include "graph/builder.h"

enum loss_target {
    TARGET_CLASS, /* class indices int64, the output's shape without the class axis (1) */
    TARGET_SAME   /* as the output */
};

struct loss_options {
    const char *name;                  /* "cross_entropy", see loss_names() */
    const struct tensor *class_weight; /* (C) of floats; NULL: all 1 */
    double smoothing;                  /* of the labels of cross_entropy, 0 .. 1 */
    bool ignores;                      /* cross_entropy, nll, dice: targets of ignore_index count nothing */
    int64_t ignore_index;
    double beta; /* smooth_l1: where the parabola becomes a line */
};

/* The output a loss should look at: a final Softmax (Sigmoid) that the loss brings itself is skipped, because its own
 * is exact where the composition overflows. */
struct value *loss_scores(const struct loss_options *o, struct value *out);
/* What the loss compares `scores` with. ERR_USAGE: no such loss (with a did-you-mean); ERR_SHAPE: not for this
 * output. */
int loss_target(
    const struct loss_options *o, const struct value *scores, enum dtype *t, struct shape *s, struct err *e);
/* A scalar: the mean over the targets. Formulas are those of torch.nn. */
struct value *loss_emit(struct builder *b, const struct loss_options *o, struct value *scores, struct value *target);
const char *const *loss_names(void); /* ends with NULL */

#endif
