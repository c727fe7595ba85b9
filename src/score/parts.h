/* parts.h - the results of a job that may be killed and resumed, or shared by several processes: a folder OUT.parts of
 * finished pieces, each a run of rows, and what job they belong to. When all rows are there they are joined.
 *
 * Rows are dealt out in blocks: shard i of n has the blocks i-1, i-1+n, ... A piece ends where a block does, unless its
 * text grows large or seconds pass.
 */
#ifndef TENREC_SCORE_PARTS_H
#define TENREC_SCORE_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"

struct arena;
struct err;

enum { PARTS_BLOCK = 256 }; /* rows */

struct parts_options {
    const char *out;
    const char *job;   /* what makes the job what it is, in lines "name value"; pieces of another one are refused */
    int shard, shards; /* from 1 */
    bool restart;      /* throw away what is there */
};

struct parts;
/* ERR_USAGE when the folder belongs to another job; ERR_IO. */
struct parts *parts_open(struct arena *a, const struct parts_options *o, struct err *e);
int64_t parts_done(const struct parts *p); /* rows that were there at the beginning */
/* Whether this row is ours to do, and not done. Rows must be asked for in order. */
bool parts_wants(struct parts *p, int64_t row);

/* Rows [first, first + n) are finished. */
struct piece {
    int64_t first, n, errors;
    struct bytes results, targets; /* as the writers made them */
};
int parts_save(struct parts *p, const struct piece *piece, struct err *e);

/* All pieces of all shards, in order, when together they are the rows [0, total): 1 and each is called; else 0, and
 * *missing rows are still to be done. Only one process comes through at a time; 0 with *missing 0: another one has
 * joined them meanwhile. */
int parts_join(struct parts *p, int64_t total, int (*each)(void *cookie, const struct piece *piece, struct err *e),
    void *cookie, int64_t *missing, struct err *e);
/* The joined table is in place: the folder goes, unless another process works there. */
void parts_remove(struct parts *p);
/* Removes the folder if no piece is in it. */
void parts_tidy(struct parts *p);
const char *parts_folder(const struct parts *p);

#endif
