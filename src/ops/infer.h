/* infer.h - shape and type rules that many operators share, and checks with good words. Every function
 * takes unknown ranks, unknown dimensions and symbols. Errors say what was found and what was expected; the
 * node is put in front of them by the caller of infer(). */
#ifndef TENREC_OPS_INFER_H
#define TENREC_OPS_INFER_H

#include "graph/graph.h"

struct err;

/* Sets output i. */
void infer_out(struct node *n, int i, enum dtype t, const struct shape *s);
int infer_same(struct node *n, struct err *e);      /* output 0 is as input 0 */
int infer_broadcast(struct node *n, struct err *e); /* all inputs broadcast; one type, that of input 0 */
int infer_broadcast_as(struct node *n, enum dtype t, struct err *e); /* inputs of any types broadcast to one shape */
/* One-way: `to` has 1 only where `from` has. */
int infer_broadcast_to(const struct shape *to, const struct shape *from, struct err *e);
int infer_compare(struct node *n, struct err *e); /* the same, to bool */
/* Types by kind; input i must be of one of them (an unknown type passes). */
enum infer_types {
    TYPES_BOOL = 1 << KIND_BOOL,
    TYPES_UNSIGNED = 1 << KIND_UINT,
    TYPES_INTEGER = 1 << KIND_UINT | 1 << KIND_INT,
    TYPES_FLOAT = 1 << KIND_FLOAT,
    TYPES_NUMBER = TYPES_INTEGER | TYPES_FLOAT,
};
int infer_type(const struct node *n, int i, unsigned types, struct err *e);
int infer_float(struct node *n, struct err *e);            /* infer_same of a float */
int infer_number(struct node *n, struct err *e);           /* infer_same of a number */
int infer_number_broadcast(struct node *n, struct err *e); /* infer_broadcast of numbers */
int infer_float_broadcast(struct node *n, struct err *e);
int infer_integer_broadcast(struct node *n, struct err *e);
int infer_bool_broadcast(struct node *n, struct err *e);
int infer_number_compare(struct node *n, struct err *e);                     /* infer_compare of numbers */
int infer_same_types(const struct node *n, int from, int to, struct err *e); /* inputs [from, to) have one type */
/* An int attribute as an axis of input 0: in [0, rank), or negative with the error; -1 without one when the
 * rank is unknown. */
int infer_axis(const struct node *n, const char *attr, int rank, struct err *e);
/* Input i must be present with a rank in [min, max] (when known). */
int infer_rank(const struct node *n, int i, int min, int max, struct err *e);
/* Integer contents of input i when they are constants; NULL without error when they are not, or the input is
 * absent. */
const int64_t *infer_ints(const struct node *n, int i, size_t *count, struct err *e);
/* A shape (1-d int64) given as input i, as far as it is known: rank unknown when even its length is. */
struct shape infer_shape_input(const struct node *n, int i);

#endif
