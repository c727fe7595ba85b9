/* confusion.h - who was taken for whom, and the measures that follow from it, as scikit-learn 1.2 defines them. Serves
 * classes of samples and of pixels alike. */
#ifndef TENREC_METRIC_CONFUSION_H
#define TENREC_METRIC_CONFUSION_H

#include <stdint.h>

struct arena;
struct err;

enum { CONFUSION_CLASSES_MAX = 32768 };
struct confusion {
    int64_t n;       /* classes */
    uint64_t *count; /* (n, n): row = truth, column = prediction */
    uint64_t total;
};
/* ERR_USAGE for more than CONFUSION_CLASSES_MAX classes. */
int confusion_init(struct confusion *c, struct arena *a, int64_t classes, struct err *e);
/* `times` samples; both below n. */
void confusion_add(struct confusion *c, int64_t truth, int64_t prediction, uint64_t times);

/* Of one class; a quotient by zero is 0, as scikit-learn has it with zero_division=0. */
struct class_measures {
    uint64_t truths, predictions, hits;
    double precision, recall, f1, iou;
};
struct class_measures confusion_class(const struct confusion *c, int64_t class);
/* Of all; means are over the classes that occur, in the truth or in a prediction. NaN when nothing was added. */
struct confusion_measures {
    double accuracy;              /* accuracy_score; 1 minus it is the misclassification rate (pixel error) */
    double balanced;              /* balanced_accuracy_score: mean recall over the classes of the truth */
    double precision, recall, f1; /* average="macro" */
    double f1_weighted;           /* average="weighted" */
    double mean_iou;              /* jaccard_score, average="macro" */
};
struct confusion_measures confusion_measure(const struct confusion *c);

#endif
