/* folder.h - the folder a run leaves behind; an old one is never written over.
 *
 *   args.yaml      what the run was told, all of it
 *   results.csv    a row per epoch
 *   events.out.tfevents.*   the same for TensorBoard
 *   best.tenrec, last.tenrec, checkpoint.safetensors
 */
#ifndef TENREC_TRAIN_FOLDER_H
#define TENREC_TRAIN_FOLDER_H

#include <stddef.h>

#include "graph/tensor.h"

struct arena;
struct err;

/* Makes `wanted`, or wanted2, wanted3 ... if there is something by that name. The path lies in `a`. */
const char *folder_make(struct arena *a, const char *wanted, struct err *e);
const char *folder_file(struct arena *a, const char *folder, const char *name, struct err *e);

/* The rows of results.csv, kept whole so that a resumed run writes the same file. */
struct history {
    struct arena *arena;
    const char *const *names; /* of the columns */
    size_t n_names;
    double *values; /* (rows, n_names); NaN: empty */
    size_t n, cap;
};
int history_add(struct history *h, const double *row, struct err *e);
int history_write(const struct history *h, const char *path, struct err *e);

#endif
