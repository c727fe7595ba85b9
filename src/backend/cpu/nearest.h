/* nearest.h - real numbers to the nearest whole ones within bounds, and quotients without divisions. */
#ifndef TENREC_BACKEND_CPU_NEAREST_H
#define TENREC_BACKEND_CPU_NEAREST_H

#include <math.h>

#include "backend/cpu/cpu.h"

/* The nearest whole number, even on ties: adding 1.5 * 2^23 leaves no room for fractions. NaN becomes 0. */
INLINE int nearest(float v, float low, float high)
{
    const float magic = 12582912.0f;
    v = v == v ? v : 0;
    v = v > low ? v : low;
    v = v < high ? v : high;
    return (int)((v + magic) - magic);
}

/* x / by to the bit: a product with the inverse, corrected twice by what is left over (Markstein, "Computation of
 * elementary functions on the IBM RISC System/6000 processor", 1990). Fused multiply-adds make the remainders exact, as
 * long as nothing underflows; quotients so small round to zero anyway. */
INLINE float quotient(float x, float by, float inverse)
{
    float q = x * inverse;
    q = fmaf(fmaf(-q, by, x), inverse, q);
    return fmaf(fmaf(-q, by, x), inverse, q);
}

/* Whether quotient() does for this divisor. */
static inline bool quotient_serves(float by)
{
    return cpu_fuses() && by > 0x1p-60f && by < 0x1p60f;
}

#endif
