/* openmp.c - the program's own OpenMP entry points: every share runs once, under its number, barriers meet, and many
 * owners at once do not disturb each other. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/team.h"
#include "cli/openmp.h"
#include "tap.h"

enum { MOST = 8, REGIONS = 2000 };

struct count {
    atomic_int runs[MOST], of, nested, barriers;
    int seen[MOST];
};

static void share(void *data)
{
    struct count *c = data;
    atomic_fetch_add(&c->runs[omp_get_thread_num()], 1);
    atomic_store(&c->of, omp_get_num_threads());
}

TEST(every_share_runs_once)
{
    struct count c = { 0 };
    for (int i = 0; i < REGIONS; i++) GOMP_parallel(share, &c, 1 + (unsigned)i % MOST, 0);
    for (int i = 0; i < MOST; i++) CHECK_INT(c.runs[i], REGIONS / MOST * (MOST - i));
    CHECK_INT(c.of, MOST);
    CHECK_INT(omp_get_thread_num(), 0);
    CHECK_INT(omp_get_num_threads(), 1);
    CHECK(!omp_in_parallel());
}

/* Each share writes, and after the barrier must see what all others wrote. */
static void meet(void *data)
{
    struct count *c = data;
    int me = omp_get_thread_num(), n = omp_get_num_threads();
    for (int round = 1; round <= 3; round++) {
        c->seen[me] = round;
        GOMP_barrier();
        for (int i = 0; i < n; i++)
            if (c->seen[i] != round) atomic_fetch_add(&c->barriers, 1);
        GOMP_barrier();
    }
}

TEST(barriers_hold_every_share)
{
    struct count c = { 0 };
    for (int i = 0; i < REGIONS / 50; i++) GOMP_parallel(meet, &c, MOST, 0);
    CHECK_INT(c.barriers, 0);
    GOMP_barrier(); /* outside: nothing to wait for */
}

/* A barrier that nobody but the shares knows of, as oneDNN has them: every share waits awake for all others. */
static void spin(void *data)
{
    struct count *c = data;
    atomic_fetch_add(&c->runs[0], 1);
    while (atomic_load(&c->runs[0]) < c->seen[0]) continue;
}

TEST(shares_may_wait_for_each_other_awake)
{
    struct count c = { 0 };
    for (int i = 0; i < 100; i++) {
        c.seen[0] = 3 * (i + 1); /* as many as there have been when this region ends */
        GOMP_parallel(spin, &c, 3, 0);
        CHECK_INT(c.runs[0], c.seen[0]);
        if (i % 30 == 0) usleep(3000); /* let the workers fall asleep */
    }
}

static void inner(void *data)
{
    struct count *c = data;
    if (omp_get_num_threads() != 1 || omp_get_thread_num() != 0 || !omp_in_parallel()) atomic_fetch_add(&c->nested, 1);
    GOMP_barrier();
}

static void outer(void *data)
{
    int before = omp_get_thread_num();
    GOMP_parallel(inner, data, 4, 0);
    bool restored = omp_get_thread_num() == before && omp_get_num_threads() == 3;
    if (!restored) atomic_fetch_add(&((struct count *)data)->nested, 1);
}

TEST(a_region_within_a_region_is_one_share)
{
    struct count c = { 0 };
    for (int i = 0; i < 100; i++) GOMP_parallel(outer, &c, 3, 0);
    CHECK_INT(c.nested, 0);
}

static void *own(void *data)
{
    for (int i = 0; i < REGIONS / 10; i++) GOMP_parallel(share, data, 4, 0);
    return NULL;
}

/* Threads that come, open regions and go: their crews go with them. */
TEST(each_thread_has_its_own_crew)
{
    struct count c[MOST];
    memset(c, 0, sizeof c);
    pthread_t threads[MOST];
    for (int i = 0; i < MOST; i++) CHECK(!pthread_create(&threads[i], NULL, own, &c[i]));
    for (int i = 0; i < MOST; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < MOST; i++)
        for (int k = 0; k < MOST; k++) CHECK_INT(c[i].runs[k], k < 4 ? REGIONS / 10 : 0);
}

static void span(void *ctx, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) ((int *)ctx)[i]++;
}

TEST(team_run_covers_its_range_once)
{
    static int cells[10007];
    for (int threads = 1; threads < 6; threads++) team_run(threads, 10007, 1, span, cells);
    for (int i = 0; i < 10007; i++)
        if (cells[i] != 5) TAP_FAIL("cell %d ran %d times", i, cells[i]);
    int before = team_use(3);
    CHECK_INT(omp_get_max_threads(), 3);
    team_use(before);
    CHECK_INT(omp_get_max_threads(), before);
}
