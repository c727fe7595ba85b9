/* rng.h - random numbers as a pure function of (key, counter): no state to save, the same on any number of threads. */
#ifndef TENREC_BASE_RNG_H
#define TENREC_BASE_RNG_H

#include <stdint.h>

/* Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). */
void rng_philox(uint64_t key, uint64_t counter_hi, uint64_t counter_lo, uint32_t out[4]);
/* Uniform in [0, 1) with 53 bits; rng_normal: standard normal by Box-Muller. */
double rng_uniform(uint64_t key, uint64_t stream, uint64_t index);
/* rng_uniform() of n indices from the first one on. */
void rng_uniforms(uint64_t key, uint64_t stream, uint64_t first, int64_t n, double *to);
double rng_normal(uint64_t key, uint64_t stream, uint64_t index);

#endif
