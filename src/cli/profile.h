/* profile.h - where the time of a plan went, step by step. */
#ifndef TENREC_CLI_PROFILE_H
#define TENREC_CLI_PROFILE_H

#include <jansson.h>

#include "plan/plan.h"

/* Forgets the runs until now, as that of a cold start. */
void profile_reset(const struct plan *p);
/* The steps of a plan that was profiled, slowest first; times are sums over its runs. */
int profile_print(const struct plan *p, struct arena *a, struct err *e);
json_t *profile_json(const struct plan *p, struct arena *a, struct err *e); /* NULL with the error */

#endif
