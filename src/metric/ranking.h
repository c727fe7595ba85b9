/* ranking.h - measures of scores: the area under the ROC curve, ranks, the loss of probabilities. */
#ifndef TENREC_METRIC_RANKING_H
#define TENREC_METRIC_RANKING_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;
struct sorter;

/* Areas under the ROC curves of classes, each against the rest: the probability that a sample of the class scores
 * higher than one of another, ties half (Mann and Whitney 1947); scikit-learn's roc_auc_score. Scores are sorted in
 * bounded memory (base/sorter.h; `folder` as there). */
struct roc {
    struct sorter *scores;
    int64_t classes;
};
int roc_init(struct roc *r, struct arena *a, int64_t classes, const char *folder, struct err *e);
/* One sample: (classes) scores. Those that are NaN are passed over. */
int roc_add(struct roc *r, const double *scores, int64_t truth, struct err *e);
/* (classes); NaN where one of the two kinds is missing. Ends the adding. */
int roc_areas(struct roc *r, double *areas, struct err *e);
/* Of two classes that of the second, of more the mean of all (average="macro", multi_class="ovr"). */
double roc_mean(const double *areas, int64_t classes);
/* softmax(scores), where they are logits. */
void probabilities(double *scores, int64_t n);
/* How many classes are scored above `class`; of equal scores the lower index counts as above. */
int64_t rank_of(const double *scores, int64_t n, int64_t class);
/* -log of the probability of `class`: of softmax(scores) when they are logits, else of scores / their sum, which is
 * kept within [2^-52, 1 - 2^-52] as scikit-learn's log_loss does. */
double cross_entropy(const double *scores, int64_t n, int64_t class, bool logits);

#endif
