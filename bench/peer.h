/* peer.h - what every peer of the comparison does after loading: it answers each line on standard input, a number of
 * seconds, by the times of the runs it made in them. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static inline double peer_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The input every peer reads: between -1 and 1, the same everywhere. */
static inline void peer_fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)((uint32_t)(i * 2654435761u) >> 16 & 255) / 128 - 1;
}

/* What the peers are compared by, so that nobody is fast by computing something else. */
static inline double peer_sum(const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += y[i] < 0 ? -(double)y[i] : (double)y[i];
    return sum;
}

/* Megabytes of memory the process has now. */
static inline double peer_resident(void)
{
    char line[128];
    double kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %lf", &kb) == 1) break;
    if (f) fclose(f);
    return kb / 1024;
}

/* `resident`: megabytes resident before the model was built. A turn has three runs at least, unless that is long. */
static inline void peer_serve(
    const char *version, double loaded, double resident, double sum, void (*run)(void *ctx), void *ctx)
{
    char line[64];
    struct rusage before, after;
    printf("{\"version\": \"%s\", \"load_ms\": %.2f, \"resident_mb\": %.1f, \"sum\": %.9g}\n", version, loaded * 1e3,
        resident, sum);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        double seconds = atof(line), begin = peer_clock(CLOCK_MONOTONIC), least = seconds > 3 ? seconds : 3, spent = 0;
        printf("[");
        for (int n = 0; !n || spent < (n < 3 ? least : seconds); n++, spent = peer_clock(CLOCK_MONOTONIC) - begin) {
            getrusage(RUSAGE_SELF, &before);
            double wall = peer_clock(CLOCK_MONOTONIC), cpu = peer_clock(CLOCK_PROCESS_CPUTIME_ID);
            run(ctx);
            wall = peer_clock(CLOCK_MONOTONIC) - wall;
            cpu = peer_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
            getrusage(RUSAGE_SELF, &after);
            printf("%s[%.4f, %.4f, %ld]", n ? ", " : "", wall * 1e3, cpu * 1e3, after.ru_nivcsw - before.ru_nivcsw);
        }
        printf("]\n");
        fflush(stdout);
    }
}

#endif
