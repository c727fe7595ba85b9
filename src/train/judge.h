/* judge.h - what is measured of a model beside its loss: counted batch by batch. */
#ifndef TENREC_TRAIN_JUDGE_H
#define TENREC_TRAIN_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metric/confusion.h"

struct arena;
struct err;
struct tensor;

enum { JUDGE_MAX = 8 };
struct judge {
    int64_t classes;    /* 0: numbers are compared, not classes */
    int64_t ignored;    /* targets of this number count nothing */
    struct confusion confusion;
    double loss, squares, absolutes;
    int64_t n, samples; /* numbers compared; samples */
};

int judge_init(struct judge *j, struct arena *a, int64_t classes, int64_t ignored, struct err *e);
void judge_reset(struct judge *j);
/* One batch: the mean loss, the model's output (N, C, ...) or (N, ...), the targets. `out` NULL: the loss alone. */
void judge_add(struct judge *j, double loss, const struct tensor *out, const struct tensor *target);
/* "loss", and with classes "accuracy", "miou", "f1" (means over classes that occur), else "mae", "rmse". NULL past the
 * end. */
const char *judge_name(const struct judge *j, size_t i);
double judge_value(const struct judge *j, size_t i);
bool judge_more_is_better(const char *name);

#endif
