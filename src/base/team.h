/* team.h - all compute threads: a loop over [0, n) split into one contiguous part per thread. */
#ifndef TENREC_BASE_TEAM_H
#define TENREC_BASE_TEAM_H

#include <stdint.h>

/* What bounds the threads of this process. */
struct team_limits {
    int affinity; /* processors it may run on; 0: not known */
    double quota; /* processors' worth of time its cgroup grants; 0: no limit */
};
struct team_limits team_limits(void);
/* Threads this process may use: affinity, then the quota (rounded down, at least 1). */
int team_default_size(void);

/* Runs fn(ctx, begin, end) on up to `threads` threads; parts depend on n and threads only, so results do too.
 * Small loops (n < grain * 2) run on the caller. */
void team_run(int threads, int64_t n, int64_t grain, void (*fn)(void *ctx, int64_t begin, int64_t end), void *ctx);

/* What OpenMP libraries (oneDNN) use when this thread calls them; returns the number before. */
int team_use(int threads);

#endif
