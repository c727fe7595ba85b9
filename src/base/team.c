/* team.c - the compute team. It shares OpenMP's threads with oneDNN, so that two pools never fight for the cores. */
#include "base/team.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#include <sched.h>

#include "base/cgroup.h"

struct team_limits team_limits(void)
{
    cpu_set_t set;
    return (struct team_limits){ sched_getaffinity(0, sizeof set, &set) ? 0 : CPU_COUNT(&set),
        cgroup_limits("").processors };
}

int team_default_size(void)
{
    struct team_limits l = team_limits();
    int n = l.quota > 0 && l.quota < l.affinity ? (int)l.quota : l.affinity;
    return n < 1 ? 1 : n;
}

void team_run(int threads, int64_t n, int64_t grain, void (*fn)(void *ctx, int64_t begin, int64_t end), void *ctx)
{
    if (grain < 1) grain = 1;
    if (threads > n / grain) threads = (int)(n / grain);
    if (threads <= 1) {
        if (n > 0) fn(ctx, 0, n);
        return;
    }
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static, 1)
#endif
    for (int t = 0; t < threads; t++) fn(ctx, n * t / threads, n * (t + 1) / threads);
}

int team_use(int threads)
{
#ifdef _OPENMP
    int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    return before;
#else
    return threads;
#endif
}
