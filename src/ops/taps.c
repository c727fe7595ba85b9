/* taps.c - weighted sums of elements that lie anywhere in a plane. */
#include "ops/taps.h"

#include "base/clones.h"
#include "base/err.h"
#include "ops/operand.h"

int taps_open(struct taps_planes *p, const struct step *s, const struct tensor *t, struct err *e)
{
    *p = (struct taps_planes){ t->dtype == DT_F32 ? t->data : NULL, NULL };
    if (!p->narrow) p->wide = operand_load(s, t, e);
    return e->code;
}

/* FOUR taps at a time, and the others, so that sums stay in registers. */
#define TAPS(name, type) \
    INLINE double name##_tap(const type *x, const int64_t *at, const double *weight) \
    { \
        int64_t k = *at < 0 ? 0 : *at; \
        double v = *weight * (double)x[k]; \
        return *at < 0 ? 0 : v; \
    } \
    CLONES static void name( \
        const type *x, const int64_t *at, const double *weight, int64_t taps, int64_t n, double *y) \
    { \
        int64_t t = 0; \
        for (; t + FOUR <= taps; t += FOUR, at += FOUR * n, weight += FOUR * n) { \
            INDEPENDENT for (int64_t i = 0; i < n; i++) \
            { \
                double sum = t ? y[i] : 0; \
                for (int64_t k = 0; k < FOUR; k++) sum += name##_tap(x, at + k * n + i, weight + k * n + i); \
                y[i] = sum; \
            } \
        } \
        for (; t < taps; t++, at += n, weight += n) { \
            INDEPENDENT for (int64_t i = 0; i < n; i++) y[i] = (t ? y[i] : 0) + name##_tap(x, at + i, weight + i); \
        } \
    }
enum { FOUR = 4 };
TAPS(narrow, float)
TAPS(wide, double)

void taps_sum(const struct taps_planes *p, int64_t plane, const int64_t *at, const double *weight, int64_t taps,
    int64_t n, double *y)
{
    if (p->narrow) narrow(p->narrow + plane, at, weight, taps, n, y);
    else wide(p->wide + plane, at, weight, taps, n, y);
}
