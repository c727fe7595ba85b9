/* ranking.h - measures of scores: the area under the ROC curve, ranks, the loss of probabilities. */
#ifndef TENREC_METRIC_RANKING_H
#define TENREC_METRIC_RANKING_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;

/* Probability that a positive sample scores higher than a negative one, ties half (Mann and Whitney 1947): the area
 * under the ROC curve, scikit-learn's roc_auc_score. NaN when one of the two kinds is missing. Needs memory for a
 * sorted copy. */
int roc_auc(const float *scores, const bool *positive, int64_t n, struct arena *a, double *out, struct err *e);
/* How many classes are scored above `class`; of equal scores the lower index counts as above. */
int64_t rank_of(const double *scores, int64_t n, int64_t class);
/* -log of the probability of `class`: of softmax(scores) when they are logits, else of scores / their sum, which is
 * kept within [2^-52, 1 - 2^-52] as scikit-learn's log_loss does. */
double cross_entropy(const double *scores, int64_t n, int64_t class, bool logits);

#endif
