/* form.h - images in memory, whichever backend's layout they have: row-major, channels in blocks, channels last. */
#ifndef TENREC_BACKEND_CPU_FORM_H
#define TENREC_BACKEND_CPU_FORM_H

#include "backend/cpu/cpu.h"

/* (N, C, ...) as it lies: (samples, blocks, positions, channels), C being blocks * channels. */
struct form {
    int64_t samples, blocks, positions, channels;
};
/* False: its layout is none of these. */
bool form_of(const struct tensor *t, struct form *f);
/* Asks for input `i` as it is when it has a form, else row-major; returns what was asked for. */
const struct layout *form_keep(struct step *s, int i);

/* Some channels of one block that are worked on together: LANES numbers side by side at a time, of which number l is of
 * channel `first` + l % `period`. */
enum { LANES = 16 };
struct unit {
    int64_t first, count;  /* channels */
    int64_t offset, sample; /* of the first number in the first sample; from one sample to the next */
    int64_t rows, stride;  /* of `lanes` numbers each, and the last row's */
    int lanes, last;
};
int64_t form_units(const struct form *f);
struct unit form_unit(const struct form *f, int64_t index);

/* Rows of one unit, side by side in all samples together, are numbered; every unit has as many. Rows [begin, end) of
 * all units, a few of one unit at a time, so that what lies together is read together: `at` is the first one's. */
typedef void (*form_visit)(void *ctx, int64_t unit, int64_t at, int64_t rows, int64_t stride, int lanes);
int64_t form_rows(const struct form *f);
void form_walk(const struct form *f, int64_t begin, int64_t end, form_visit visit, void *ctx);

#endif
