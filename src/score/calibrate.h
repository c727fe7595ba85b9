/* calibrate.h - the ranges that the inner values of a network take on the rows of a table. */
#ifndef TENREC_SCORE_CALIBRATE_H
#define TENREC_SCORE_CALIBRATE_H

#include "base/err.h"
#include "data/table.h"
#include "package/model.h"
#include "pass/qdq.h"

/* Rows of an indexed table, spread evenly over it, on their way through sessions. */
struct rows {
    struct model *model;
    struct table *table;
    int64_t limit; /* at most so many; 0: all */
    int threads;
    int64_t done, bad; /* rows that came through, and that could not be read */
    struct err first;  /* why the first of those could not */
};
/* Calls `each` with the tensors of every row that can be read, (1, ...) each. ERR_DATA when there is none. */
int rows_run(struct rows *r, int (*each)(void *cookie, const struct row *row, const struct tensor *const *in,
    struct err *e), void *cookie, struct err *e);

enum calibration { CALIBRATE_MINMAX, CALIBRATE_PERCENTILE, CALIBRATE_MSE };
/* minmax: all that was seen; percentile: without the largest 0.01 percent on each side; mse: the range that loses least
 * by 256 steps, of the histogram. `values`: of `g`, which takes the model's inputs. */
int calibrate(const struct graph *g, struct value *const *values, size_t n, enum calibration how, struct rows *r,
    struct range *out, struct err *e);

#endif
