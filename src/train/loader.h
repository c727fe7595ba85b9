/* loader.h - the batches of an epoch, one after the other; with threads of its own the next is made beside the step. */
#ifndef TENREC_TRAIN_LOADER_H
#define TENREC_TRAIN_LOADER_H

#include <pthread.h>

#include "base/arena.h"
#include "base/err.h"
#include "train/samples.h"

struct loader_options {
    int threads; /* of its own; 0: the samples' threads make a batch when it is asked for */
    int64_t epoch;
    const size_t *order; /* of all samples of the epoch; must outlive the loader */
    size_t begin, batch; /* where to begin in it; samples a batch */
    double mixup;        /* see mixup.h */
};

struct loader {
    struct samples samples; /* a copy, with the loader's threads */
    struct loader_options o;
    size_t at;         /* of the next batch's first sample */
    struct arena a[2]; /* of the batch that is out, and of the one that is made */
    int turn;
    struct batch next;
    struct err err;
    bool begun, running;
    pthread_t thread;
};

void loader_init(struct loader *l, const struct samples *s, const struct loader_options *o);
/* The next batch, valid until the next call. Only to be called while samples are left. */
int loader_next(struct loader *l, struct batch *out, struct err *e);
void loader_release(struct loader *l);

#endif
