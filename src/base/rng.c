/* rng.c - the Philox counter-based generator and two distributions on it. */
#include "base/rng.h"

#include <math.h>

#include "base/clones.h"

/* Ten rounds, written out so that a loop of them becomes vectors. */
INLINE void philox(uint64_t key, uint64_t counter_hi, uint64_t counter_lo, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)counter_lo, c1 = (uint32_t)(counter_lo >> 32), c2 = (uint32_t)counter_hi,
             c3 = (uint32_t)(counter_hi >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void rng_philox(uint64_t key, uint64_t counter_hi, uint64_t counter_lo, uint32_t out[4])
{
    philox(key, counter_hi, counter_lo, out);
}

CLONES static void uniforms(uint64_t key, uint64_t stream, uint64_t first, int64_t n, double *to)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t r[4];
        philox(key, stream, first + (uint64_t)i, r);
        to[i] = (double)(int64_t)(((uint64_t)r[0] << 32 | r[1]) >> 11) * 0x1p-53;
    }
}

/* Clones have names that no library may hide; so this one has none. */
void rng_uniforms(uint64_t key, uint64_t stream, uint64_t first, int64_t n, double *to)
{
    uniforms(key, stream, first, n, to);
}

double rng_uniform(uint64_t key, uint64_t stream, uint64_t index)
{
    uint32_t r[4];
    rng_philox(key, stream, index, r);
    return (double)(((uint64_t)r[0] << 32 | r[1]) >> 11) * 0x1p-53;
}

double rng_normal(uint64_t key, uint64_t stream, uint64_t index)
{
    uint32_t r[4];
    rng_philox(key, stream, index, r);
    double u = ((double)(((uint64_t)r[0] << 32 | r[1]) >> 11) + 1) * 0x1p-53; /* (0, 1] */
    double v = (double)(((uint64_t)r[2] << 32 | r[3]) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}
