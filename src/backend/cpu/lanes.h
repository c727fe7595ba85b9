/* lanes.h - sums of numbers that lie side by side, in one order that compilers turn into vectors. */
#ifndef TENREC_BACKEND_CPU_LANES_H
#define TENREC_BACKEND_CPU_LANES_H

#include "backend/cpu/cpu.h"

enum { SUM_LANES = 32 };
/* The sum of expr, of the place i, over [0, n): place i goes into lane i % SUM_LANES. */
#define LANE_SUM(result, n, expr) \
    do { \
        double lanes[SUM_LANES] = { 0 }; \
        int64_t whole = (n) / SUM_LANES * SUM_LANES; \
        for (int64_t first = 0; first < whole; first += SUM_LANES) \
            for (int64_t k = 0; k < SUM_LANES; k++) { \
                int64_t i = first + k; \
                lanes[k] += (expr); \
            } \
        for (int64_t i = whole; i < (n); i++) lanes[i - whole] += (expr); \
        for (int64_t half = SUM_LANES / 2; half; half /= 2) \
            for (int64_t k = 0; k < half; k++) lanes[k] += lanes[k + half]; \
        (result) = lanes[0]; \
    } while (0)

#endif
