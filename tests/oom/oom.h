/* oom.h - an allocator that fails the n-th allocation and counts what is still alive.
 *
 * Use: oom_each(job, ctx) runs `job` with no failure first, then with allocation 1 failing, then 2, ... until a run
 * asks for fewer. Every run must give back all it took; a run whose allocation failed must return an error, and one
 * without a failure must succeed.
 */
#ifndef TENREC_TESTS_OOM_H
#define TENREC_TESTS_OOM_H

#include <stdatomic.h>

#include "base/arena.h"
#include "tap.h"

struct oom {
    long fail_at;       /* 1 fails the first allocation; 0 none */
    atomic_long asked;  /* allocations asked for, the failed one included */
    atomic_long live;   /* blocks not yet freed */
    atomic_llong bytes; /* their bytes, by the sizes given to alloc and free */
};

static void *oom_alloc(void *cookie, size_t size)
{
    struct oom *o = cookie;
    if (atomic_fetch_add(&o->asked, 1) + 1 == o->fail_at) return NULL;
    void *p = mem_default.alloc(NULL, size);
    if (!p) return NULL;
    atomic_fetch_add(&o->live, 1);
    atomic_fetch_add(&o->bytes, (long long)size);
    return p;
}

static void oom_free(void *cookie, void *ptr, size_t size)
{
    struct oom *o = cookie;
    if (!ptr) return;
    atomic_fetch_sub(&o->live, 1);
    atomic_fetch_sub(&o->bytes, (long long)size);
    mem_default.free(NULL, ptr, size);
}

static inline struct mem oom_mem(struct oom *o)
{
    return (struct mem){ oom_alloc, oom_free, o, 1 };
}

/* Runs `job` (0, or a negative ERR_*) once per allocation that it makes; returns how many those are. Stops at the first
 * run that breaks a promise: the same fault would be told a thousand times. */
static inline long oom_each(int (*job)(const struct mem *mem, void *ctx), void *ctx)
{
    for (long n = 0;; n++) {
        struct oom o = { .fail_at = n };
        struct mem mem = oom_mem(&o);
        int code = job(&mem, ctx);
        bool failed = n && o.asked >= n;
        if (o.live || o.bytes)
            TAP_FAIL("allocation %ld: %ld blocks, %lld bytes leaked", n, (long)o.live, (long long)o.bytes);
        else if (failed && code >= 0) TAP_FAIL("allocation %ld failed without an error", n);
        else if (!failed && code < 0) TAP_FAIL("allocation %ld: error %d though nothing failed", n, code);
        else if (!n || failed) continue;
        return n - 1;
    }
}

#endif
