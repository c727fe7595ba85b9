/* regression.h - errors of predicted numbers, as scikit-learn 1.2 defines them (multioutput="uniform_average"). */
#ifndef TENREC_METRIC_REGRESSION_H
#define TENREC_METRIC_REGRESSION_H

#include <stdint.h>

struct arena;
struct err;

struct regression_sums {
    double absolute, square; /* of the errors */
    double mean, spread;     /* of the truth: mean and sum of squared deviations (Welford 1962) */
};
struct regression {
    int64_t n, outputs;           /* samples, numbers in each */
    struct regression_sums *sums; /* (outputs) */
};
int regression_init(struct regression *r, struct arena *a, int64_t outputs, struct err *e);
void regression_add(struct regression *r, const double *truth, const double *prediction); /* (outputs) each */

struct regression_measures {
    double mae, mse, rmse, r2;
};
/* Of one output, or the mean over all (-1; rmse is then the root of the mean mse). R2 of a constant truth is 1 when it
 * is met and else 0. NaN when nothing was added. */
struct regression_measures regression_measure(const struct regression *r, int64_t output);

#endif
