/* charts.h - pictures of numbers: curves, and a matrix of confusions. */
#ifndef TENREC_DRAW_CHARTS_H
#define TENREC_DRAW_CHARTS_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

/* Panels side by side, each with some of the columns of a table (rows, n_columns) against its first; NaN: no point.
 * panel[i]: where column i is drawn, -1: nowhere. */
struct curves {
    const char *const *names;
    const double *values;
    size_t n_rows, n_columns;
    const int *panel;
    int n_panels;
    const char *const *titles; /* of the panels */
};
int curves_write(const struct curves *c, const char *path, struct arena *a, struct err *e);

/* counts[row][column], row: what is, column: what was answered; names may be NULL. The first 40 classes. */
int confusion_write(
    const uint64_t *counts, size_t classes, const char *const *names, const char *path, struct arena *a, struct err *e);

#endif
