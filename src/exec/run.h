/* run.h - executing the steps of a plan. */
#ifndef TENREC_EXEC_RUN_H
#define TENREC_EXEC_RUN_H

#include <stdbool.h>

#include "plan/plan.h"

struct session_options;

struct run {
    unsigned char *memory;          /* of the plan's places, plan->memory bytes, aligned to 64 */
    const struct tensor *const *in; /* one per input */
    struct tensor *const *states;   /* one per state: the session's storage; NULL where the state never changes */
    struct arena *scratch;          /* rewound after each step */
    const struct session_options *options; /* of the session; those of nested ones follow from them */
    bool profile;
    bool (*cancelled)(void *cookie);
    void *cookie;
};

int plan_run(struct plan *p, const struct run *r, struct err *e);

#endif
