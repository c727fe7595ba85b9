/* base.c - arenas, strings and maps when memory runs out; and the helper itself. */
#include "oom.h"

#include "base/err.h"
#include "base/map.h"

static int closed;

static void close_one(void *ptr)
{
    (void)ptr;
    closed++;
}

/* Enough entries for several blocks and several rehashes. */
static int fill(struct arena *a)
{
    struct map m = map_in(a);
    for (int i = 0; i < 500; i++) {
        char *key = arena_printf(a, "key number %d", i);
        if (!key || !map_set(&m, key, a)) return ERR_NOMEM;
    }
    return arena_closer(a, close_one, a);
}

static int fill_map(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct arena a;
    arena_init(&a, mem);
    int code = fill(&a);
    arena_release(&a);
    return code;
}

TEST(every_allocation_of_a_map_may_fail)
{
    long n = oom_each(fill_map, NULL);
    CHECK(n >= 4);
    CHECK(closed >= 1);
}

static int forget(const struct mem *mem, void *ctx)
{
    *(void **)ctx = mem->alloc(mem->cookie, 64);
    return 0;
}

TEST(a_leak_is_seen)
{
    void *leaked = NULL;
    oom_each(forget, &leaked);
    CHECK_INT(tap_failed, 1);
    tap_failed = 0;
    mem_default.free(NULL, leaked, 64);
}

static int ignore(const struct mem *mem, void *ctx)
{
    (void)ctx;
    mem->free(mem->cookie, mem->alloc(mem->cookie, 64), 64);
    return 0;
}

TEST(a_failure_without_an_error_is_seen)
{
    oom_each(ignore, NULL);
    CHECK_INT(tap_failed, 1);
    tap_failed = 0;
}
