/* rng.c - the Philox counter-based generator and two distributions on it. */
#include "base/rng.h"

#include <math.h>

#include "base/clones.h"

INLINE void philox(uint64_t key, uint64_t counter_hi, uint64_t counter_lo, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c[4] = { (uint32_t)counter_lo, (uint32_t)(counter_lo >> 32), (uint32_t)counter_hi,
                      (uint32_t)(counter_hi >> 32) };
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t high_a = (uint32_t)(a >> 32), high_b = (uint32_t)(b >> 32);
        uint32_t next[4] = { high_b ^ c[1] ^ k0, (uint32_t)b, high_a ^ c[3] ^ k1, (uint32_t)a };
        for (int i = 0; i < 4; i++) c[i] = next[i];
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++) out[i] = c[i];
}

void rng_philox(uint64_t key, uint64_t counter_hi, uint64_t counter_lo, uint32_t out[4])
{
    philox(key, counter_hi, counter_lo, out);
}

CLONES void rng_uniforms(uint64_t key, uint64_t stream, uint64_t first, int64_t n, double *to)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t r[4];
        philox(key, stream, first + (uint64_t)i, r);
        to[i] = (double)(int64_t)(((uint64_t)r[0] << 32 | r[1]) >> 11) * 0x1p-53;
    }
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
