/* samples.h - rows of a table made into batches: inputs as the model reads them, targets as the loss does. */
#ifndef TENREC_TRAIN_SAMPLES_H
#define TENREC_TRAIN_SAMPLES_H

#include "data/table.h"
#include "package/model.h"
#include "train/heads.h"

enum sample_target { SAMPLE_CLASS, SAMPLE_MASK, SAMPLE_NUMBERS, SAMPLE_INPUT };

struct samples {
    const struct model *model;
    struct table *table;
    const int64_t *rows; /* of the table, in order of use when nothing is shuffled */
    size_t n;
    enum sample_target target;
    int64_t classes;   /* classes and masks: labels are below this */
    int64_t ignored;   /* masks: this label, and 255 where it is no class, count nothing */
    struct shape want; /* of one target, without the batch; rank -1: as it comes */
    bool shuffle;
    const struct augment *augment; /* NULL: none */
    uint64_t seed;
    int threads;
    int *columns;                       /* one per input of the model: the column that feeds it */
    int target_column;                  /* -1: none is needed */
    struct further further[MOST_HEADS]; /* of further losses, from 1: the main target is above */
    size_t n_heads;
};

struct batch {
    int64_t n;          /* good samples, in order of the rows; 0: all failed */
    struct tensor **in; /* one per input, (n, ...) */
    size_t n_inputs;
    struct tensor *target[MOST_HEADS], *mixed[MOST_HEADS]; /* per loss; mixed: of the samples mixed in (mixup.h) */
    size_t n_heads;
    double mix;          /* the share of the samples themselves */
    const int64_t *rows; /* of the table, one per good sample */
    const char **errors; /* of the others, each naming its row */
    size_t n_errors;
};

/* Finds the columns; `s` must have model, table and target set. ERR_USAGE names the role that is missing. */
int samples_init(struct samples *s, struct arena *a, struct err *e);
/* The place in `rows` of sample `i` of an epoch. */
int samples_order(const struct samples *s, int64_t epoch, size_t *order, struct arena *a, struct err *e);
/* Samples order[0..count) of an epoch. Bad rows go to out->errors; only memory and samples of unequal
 * shapes fail. */
int samples_batch(const struct samples *s, int64_t epoch, const size_t *order, size_t count, struct arena *a,
    struct batch *out, struct err *e);

/* The pixels of a row's first image as the model sees them, without augmentation. */
int samples_picture(const struct samples *s, int64_t row, struct arena *a, struct image *out, struct err *e);

#endif
