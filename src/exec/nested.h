/* nested.h - sessions within a run: of the graphs that nodes hold, and of single nodes whose shapes are
 * known only when they run. */
#ifndef TENREC_EXEC_NESTED_H
#define TENREC_EXEC_NESTED_H

#include "exec/run.h"

/* The host of a run's steps: bodies run in sessions of their own, which the steps keep. */
struct nested_host {
    struct host host;
    const struct run *run;
    struct plan_step *step; /* whose bodies are called */
};
void nested_host_init(struct nested_host *h, const struct run *r);

/* Runs a step's node by a kernel of a backend, in a plan of this one node for these shapes. 1: done, results lie in the
 * run's scratch; 0: no backend takes it, or it is not worth it; negative: failed. */
int nested_kernel(struct plan_step *s, const struct run *r, struct tensor **out, struct err *e);

#endif
