/* functions.h - exponentials and what is made of them, written so that compilers turn loops of them into vectors. */
#ifndef TENREC_BACKEND_CPU_FUNCTIONS_H
#define TENREC_BACKEND_CPU_FUNCTIONS_H

#include <math.h>

#include "backend/cpu/cpu.h"

/* a * b + c, rounded once where that is an instruction of what is compiled: of every clone but the oldest processors'.
 * Elsewhere fmaf() is a call, and slow. */
#if defined __FMA__ || defined __aarch64__ || (defined __x86_64__ && defined __GNUC__ && !defined __clang__)
#define FUSED(a, b, c) fmaf(a, b, c)
#else
#define FUSED(a, b, c) ((a) * (b) + (c))
#endif

INLINE float clamp(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* 2^n exp(r), n the whole number nearest to x / ln 2, x from -87 to 88: the polynomial of Cephes' expf; within 2 ulp.
 * Adding 1.5 * 2^23 rounds to whole numbers, and leaves n in the low bits. */
INLINE float exp_parts_within(float x, float *power)
{
    const float magic = 12582912.0f;
    union {
        float f;
        uint32_t u;
    } whole, bits;
    whole.f = FUSED(x, 1.44269504088896341f, magic);
    float n = whole.f - magic, r = FUSED(n, 2.12194440e-4f, FUSED(n, -0.693359375f, x));
    float p = 1.9875691500e-4f;
    p = FUSED(p, r, 1.3981999507e-3f);
    p = FUSED(p, r, 8.3334519073e-3f);
    p = FUSED(p, r, 4.1665795894e-2f);
    p = FUSED(p, r, 1.6666665459e-1f);
    p = FUSED(p, r, 5.0000001201e-1f);
    bits.u = (whole.u + 127) << 23;
    *power = bits.f;
    return FUSED(p, r * r, r); /* exp(r) - 1 */
}

INLINE float exp_parts(float x, float *power)
{
    x = x < -87.0f ? -87.0f : x; /* two comparisons that both always happen: no branch */
    x = x > 88.0f ? 88.0f : x;
    return exp_parts_within(x, power);
}

INLINE float fast_exp(float x)
{
    float power, less = exp_parts(x, &power);
    return (less + 1) * power;
}

/* exp(x) of x up to 0, down to 0. */
INLINE float falling_exp(float x)
{
    float power, less = exp_parts_within(x, &power), y = (less + 1) * power;
    return x < -87.0f ? 0 : y;
}

/* exp(x) - 1, within 2 ulp near 0 too. */
INLINE float fast_expm1(float x)
{
    float power, less = exp_parts(x, &power);
    return less * power + (power - 1);
}

INLINE float fast_sigmoid(float x)
{
    return 1 / (1 + fast_exp(-x));
}

/* x, not beyond -most and most; NaN stays. As integers the bits of floats above 0 ascend, and so do those of floats
 * below it, as integers without a sign: two minima, where compilers make twice as much of two comparisons. */
INLINE float within(float x, float most)
{
    union {
        float f;
        int32_t i;
        uint32_t u;
    } y = { x }, high = { most }, low = { -most };
    y.i = y.i > high.i ? high.i : y.i;
    y.u = y.u > low.u ? low.u : y.u;
    return x == x ? y.f : x;
}

/* A quotient of polynomials in x^2, fitted to tanh(x) / x by least squares at the nodes of Chebyshev up to 9.02, where
 * tanh is 1 to the last place of a float, weighted so that the largest error is small: 4e-7 of the value's size. */
INLINE float fast_tanh(float x)
{
    x = within(x, 9.02f);
    float s = x * x, p = FUSED(1.331639287e-8f, s, 2.058172488e-5f), q = FUSED(7.760971319e-7f, s, 3.282927225e-4f);
    p = FUSED(p, s, 3.493937992e-3f);
    q = FUSED(q, s, 2.587071851e-2f);
    p = FUSED(p, s, 1.337964087e-1f);
    q = FUSED(q, s, 4.671295636e-1f);
    p = FUSED(p, s, 9.999999796e-1f);
    q = FUSED(q, s, 1);
    return x * p / q;
}

/* The sigmoid in half of fast_sigmoid()'s time, within 2e-7: enough for what weighs sums, not where it is near 0. */
INLINE float gate_sigmoid(float x)
{
    return FUSED(fast_tanh(0.5f * x), 0.5f, 0.5f);
}

/* The polynomial of Cephes' logf about 1; within 2 ulp. What lies below the normal numbers is raised by 2^23 first. */
INLINE float fast_log(float x)
{
    union {
        float f;
        uint32_t u;
    } bits = { x < 1.17549435e-38f ? x * 8388608.0f : x };
    uint32_t above = bits.u - 0x3f3504f3; /* sqrt(1/2), where the mantissa begins */
    float n = (float)((int32_t)above >> 23) - (x < 1.17549435e-38f ? 23.0f : 0);
    bits.u = (above & 0x7fffff) + 0x3f3504f3;
    float r = bits.f - 1, p = 7.0376836292e-2f;
    p = p * r - 1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r - 1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r - 1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r - 2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    float y = r + (p * (r * r) * r + n * -2.12194440e-4f - 0.5f * (r * r)) + n * 0.693359375f;
    y = x > 3.40282347e38f ? x : y;
    y = x == 0 ? -__builtin_inff() : y;
    return x >= 0 ? y : __builtin_nanf("");
}

/* log(1 + exp(x)), within 1.2e-7 of the value or of its last place. */
INLINE float fast_softplus(float x)
{
    return (x > 0 ? x : 0) + fast_log(1 + fast_exp(-__builtin_fabsf(x)));
}

/* A quotient of polynomials in x^2, fitted to erf(x) / x by least squares at the nodes of Chebyshev up to 3.93, where
 * erf is 1 to the last place of a float; within 4e-7 of the value. */
INLINE float fast_erf(float x)
{
    x = x < -3.93f ? -3.93f : x;
    x = x > 3.93f ? 3.93f : x;
    float s = x * x, p = 2.045675159e-6f, q = 3.802264831e-5f;
    p = p * s + 2.844237611e-4f;
    p = p * s + 3.760910759e-3f;
    p = p * s + 5.273185427e-2f;
    p = p * s + 1.903433852e-1f;
    p = p * s + 1.128379148f;
    q = q * s + 1.160764047e-3f;
    q = q * s + 1.495964955e-2f;
    q = q * s + 1.140753744e-1f;
    q = q * s + 5.020202152e-1f;
    q = q * s + 1;
    float y = x * p / q;
    y = y < -1 ? -1 : y;
    return y > 1 ? 1 : y;
}

/* sin(x + quarter pi / 2): what is left of x after quarters of the circle, taken away in double, goes into Cephes'
 * polynomials. For |x| up to SIN_LIMIT; the error is some 1e-7. */
#define SIN_LIMIT 1e5f
INLINE float fast_sin(float x, int32_t quarter)
{
    x = __builtin_fabsf(x) <= SIN_LIMIT ? x : 0;
    double turns = (double)x * 0.63661977236758134308 + 6755399441055744.0 - 6755399441055744.0;
    float r = (float)((double)x - turns * 1.57079632679489661923), s = r * r;
    int32_t k = (int32_t)turns + quarter;
    float odd = ((-1.9515295891e-4f * s + 8.3321608736e-3f) * s - 1.6666654611e-1f) * s * r + r;
    float even = ((2.443315711809948e-5f * s - 1.388731625493765e-3f) * s + 4.166664568298827e-2f) * (s * s) -
        0.5f * s + 1;
    float y = k & 1 ? even : odd;
    return k & 2 ? -y : y;
}

#endif
