/* functions.h - exponentials and what is made of them, written so that compilers turn loops of them into vectors. */
#ifndef TENREC_BACKEND_CPU_FUNCTIONS_H
#define TENREC_BACKEND_CPU_FUNCTIONS_H

#include "backend/cpu/cpu.h"

/* 2^n exp(r), n the whole number nearest to x / ln 2: the polynomial of Cephes' expf; within 2 ulp. Adding 1.5 * 2^23
 * rounds to whole numbers, and leaves n in the low bits. */
INLINE float fast_exp(float x)
{
    const float magic = 12582912.0f;
    union {
        float f;
        uint32_t u;
    } whole, power;
    x = x < -87.0f ? -87.0f : x; /* two comparisons that both always happen: no branch */
    x = x > 88.0f ? 88.0f : x;
    whole.f = x * 1.44269504088896341f + magic;
    float n = whole.f - magic, r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1;
    power.u = (whole.u + 127) << 23;
    return p * power.f;
}

INLINE float fast_sigmoid(float x)
{
    return 1 / (1 + fast_exp(-x));
}

/* Within 1.2e-7 of the true value, not of its last place near 0. */
INLINE float fast_tanh(float x)
{
    return 1 - 2 / (fast_exp(2 * x) + 1);
}

#endif
