/* fourier.h - one discrete Fourier transform of any length. */
#ifndef TENREC_OPS_FOURIER_H
#define TENREC_OPS_FOURIER_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;

struct fourier {
    int64_t n;
    double *turn; /* exp(-+2 pi i k / n) for k in [0, n), real and imaginary parts in turn */
};
int fourier_init(struct fourier *f, int64_t n, bool inverse, struct arena *a, struct err *e);
/* n complex numbers; x is destroyed, y receives the result, not divided by n. */
void fourier_apply(const struct fourier *f, double *x, double *y);

#endif
