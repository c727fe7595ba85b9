/* memory.c - free memory of the machine, the cgroup (v2, then v1) and the resource limits. */
#include "base/memory.h"

#include <stdio.h>
#include <sys/resource.h>

/* The number in a one-line file; 0 when there is none ("max", no file). */
static uint64_t number_in(const char *path)
{
    unsigned long long v = 0;
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    if (fscanf(f, "%llu", &v) != 1) v = 0;
    fclose(f);
    return v;
}

static uint64_t machine_free(void)
{
    char line[128];
    unsigned long long kb = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f) return UINT64_MAX;
    while (fgets(line, sizeof line, f) && sscanf(line, "MemAvailable: %llu", &kb) != 1) {
    }
    fclose(f);
    return kb ? (uint64_t)kb * 1024 : UINT64_MAX;
}

static uint64_t less(uint64_t limit, uint64_t used, uint64_t free)
{
    if (!limit) return free;
    uint64_t left = limit > used ? limit - used : 0;
    return left < free ? left : free;
}

static uint64_t address_space_used(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    if (fscanf(f, "%llu", &pages) != 1) pages = 0;
    fclose(f);
    return pages * 4096;
}

uint64_t memory_available(void)
{
    uint64_t free = machine_free();
    free = less(number_in("/sys/fs/cgroup/memory.max"), number_in("/sys/fs/cgroup/memory.current"), free);
    uint64_t v1 = number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    free = less(v1, number_in("/sys/fs/cgroup/memory/memory.usage_in_bytes"), free);
    struct rlimit r;
    if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
        free = less((uint64_t)r.rlim_cur, address_space_used(), free);
    return free;
}
