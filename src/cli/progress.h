/* progress.h - how far a job is: a line that changes on a terminal, elsewhere a plain line now and then. */
#ifndef TENREC_CLI_PROGRESS_H
#define TENREC_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool terminal;
    double began, told;
    int64_t done, before, errors; /* rows of this run, of runs before it, with errors */
    int64_t all;                  /* 0: not known */
    double left;                  /* rows that this run will still do; negative: not known */
};
void progress_begin(struct progress *p);
/* Whether it is time to tell something; `last`: the job has ended, and the line goes. */
bool progress_due(struct progress *p, bool last);
void progress_tell(const struct progress *p);

#endif
