/* memory.c - free memory of the machine, the control groups and the resource limits; what this process has. */
#include "base/memory.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cgroup.h"

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

static void own_pages(uint64_t *addressed, uint64_t *resident)
{
    unsigned long long all = 0, here = 0, page = (unsigned long long)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%llu %llu", &all, &here) != 2) all = here = 0;
    if (f) fclose(f);
    *addressed = all * page;
    *resident = here * page;
}

static uint64_t address_space_used(void)
{
    uint64_t addressed, resident;
    own_pages(&addressed, &resident);
    return addressed;
}

uint64_t memory_resident(void)
{
    uint64_t addressed, resident;
    own_pages(&addressed, &resident);
    return resident;
}

uint64_t memory_peak(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)u.ru_maxrss * 1024;
}

uint64_t memory_available(void)
{
    uint64_t free = machine_free();
    uint64_t group = cgroup_limits("").memory;
    if (group < free) free = group;
    struct rlimit r;
    if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
        free = less((uint64_t)r.rlim_cur, address_space_used(), free);
    return free;
}
