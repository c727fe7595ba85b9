/* split.h - rows dealt out to training, validation and test; and many rows in one picture. */
#ifndef TENREC_DATA_SPLIT_H
#define TENREC_DATA_SPLIT_H

#include "data/table.h"

/* part[i]: which of `n_parts` row i belongs to. Each class (-1: rows without one) is divided for itself, by chance that
 * depends on seed and row alone; a part gets its share of a class to within one row. ERR_USAGE for shares that are not
 * positive. They need not sum to 1. */
int split_rows(int *part, struct arena *a, const int64_t *class, int64_t n, const double *shares, int n_parts,
    uint64_t seed, struct err *e);

/* Rows [0, n) of an indexed table as thumbnails of `side` pixels, `across` in a row: masks are painted over them, boxes
 * drawn, the frame has the colour of the class; a row that cannot be read is a red cross. RGB. */
int contact_sheet(struct image *out, struct arena *a, struct table *t, int64_t n, int side, int across, struct err *e);

#endif
