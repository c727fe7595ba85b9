/* bytes_move.h - bytes looked up in tables, gathered along rows and turned, 64 at a time where there is AVX512-VBMI. */
#ifndef TENREC_BACKEND_CPU_BYTES_MOVE_H
#define TENREC_BACKEND_CPU_BYTES_MOVE_H

#include <stdint.h>

struct arena;
struct err;

/* y[i] = table[x[i]] */
void bytes_look_up(const uint8_t *x, const uint8_t *table, int64_t n, uint8_t *y);

/* Rows of n_out bytes, number i of which is number from[i] of a row of n_in. */
struct bytes_picks;
struct bytes_picks *bytes_picks_new(struct arena *a, int64_t n_in, int64_t n_out, const int64_t *from, struct err *e);
void bytes_pick(const struct bytes_picks *p, const uint8_t *x, int64_t rows, uint8_t *y);

/* (rows, cols) to (cols, rows) */
void bytes_turn(const uint8_t *x, int64_t rows, int64_t cols, uint8_t *y);

#endif
