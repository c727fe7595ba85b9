/* pass.h - graph to graph, one file each, in three lists: import, train, plan. */
#ifndef TENREC_PASS_PASS_H
#define TENREC_PASS_PASS_H

#include <stddef.h>

#include "graph/graph.h"

/* import: never derives anything from a state, so that a package keeps what its source had.
 * train: mode, loss, gradient, update (called with arguments, so not in the lists).
 * plan: on a copy bound to concrete shapes. */
enum pass_stage { PASS_IMPORT, PASS_PLAN };

struct pass {
    const char *name, *doc;
    enum pass_stage stage;
    int (*run)(struct graph *g, struct err *e); /* leaves the graph tidy */
};

const struct pass *pass_at(size_t i); /* in order of running; NULL past the end */
/* Runs every pass of a stage; stops after the one named `after` (NULL: runs all). ERR_USAGE if there is no such
 * pass. */
int pass_run(struct graph *g, enum pass_stage stage, const char *after, struct err *e);

/* Infers every node again and replaces what depends on constants (or on known shapes) only by constants. */
int pass_fold_graph(struct graph *g, struct err *e);
/* The same for a plan: small constants that files keep packed (quantized weights) are unpacked too. */
int pass_fold_unpacked(struct graph *g, struct err *e);
/* Binds inputs to concrete shapes (sequences, optionals and inputs of unknown type stay open), names of symbols to
 * numbers; infers and folds; checks the guards. */
int pass_bind(struct graph *g, const struct shape *inputs, struct err *e);

#endif
