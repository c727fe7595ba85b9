/* equation.h - Einsum's equations: which labels the dimensions of each operand have, and those of the result.
 *
 *   "bij,bjk->bik"   two stacks of matrices, multiplied
 */
#ifndef TENREC_OPS_EQUATION_H
#define TENREC_OPS_EQUATION_H

#include <stdbool.h>
#include <stdint.h>

#include "graph/graph.h"

struct err;

/* A label is a letter (0 to 51) or a dimension of the ellipsis (52 + place from its end). */
enum { EQUATION_OPERANDS = 8, EQUATION_LETTERS = 52, EQUATION_LABELS = EQUATION_LETTERS + SHAPE_MAX };

struct equation_term {
    int rank, ellipsis; /* ellipsis: how many dimensions it stands for; -1: there is none */
    signed char label[SHAPE_MAX];
};

struct equation {
    int n;
    struct equation_term in[EQUATION_OPERANDS], out;
    int64_t size[EQUATION_LABELS]; /* DIM_UNKNOWN until known; 0 entries of unused labels do not matter */
    bool used[EQUATION_LABELS];
};

/* Reads the equation for `n` operands of these shapes, whose ranks are known. ERR_SHAPE where they do not fit. */
int equation_read(struct equation *q, const char *text, const struct shape *const *shapes, int n, struct err *e);
/* That of a node whose operands begin at input `first`. */
int equation_of(struct equation *q, const struct node *n, int first, struct err *e);

#endif
