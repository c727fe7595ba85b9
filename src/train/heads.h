/* heads.h - the losses of a run: the main one, of the model's first output, and those the key `heads` adds to it. */
#ifndef TENREC_TRAIN_HEADS_H
#define TENREC_TRAIN_HEADS_H

#include "data/table.h"
#include "train/step.h"

struct conf;
struct graph;

enum { MOST_HEADS = 8 };

/* What a further loss compares its output with. */
struct further {
    const char *names;  /* of its columns, as they were given; NULL: the main target */
    const int *columns; /* of the table; names NULL: none */
    size_t n_columns;
    int64_t classes;   /* above 0: the one column holds a class below this */
    struct shape want; /* of one target, without the batch; rank -1: as it comes */
};

/* Reads `OUTPUT=LOSS[*WEIGHT][:COLUMN+COLUMN...]` words into heads[1 ...] and further[1 ...]; heads[0] must be set, and
 * *n is 1 before. Losses of the main target take its options. ERR_USAGE names what is wrong. */
int heads_read(const struct conf *c, const struct graph *g, struct arena *a, struct train_head *heads,
    struct further *further, size_t *n, struct err *e);
/* Finds the columns in a table. ERR_USAGE. */
int further_find(struct further *f, const struct table *t, struct arena *a, struct err *e);
/* The target of one row; `f` has columns. Errors begin with row->where. */
int further_row(const struct further *f, const struct table *t, const struct row *row, struct arena *a,
    struct tensor *out, struct err *e);

#endif
