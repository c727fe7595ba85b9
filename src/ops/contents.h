/* contents.h - partly known contents (graph/known.h) through element-wise operators, so that computed
 * shapes stay known. */
#ifndef TENREC_OPS_CONTENTS_H
#define TENREC_OPS_CONTENTS_H

#include <stdint.h>

struct node;

/* Sets the contents of output 0 from those of the inputs (broadcast scalars or of equal shape; at most 3):
 * `rule` gets one element of each, a number, a symbol (not negative) or unknown, and returns one. Nothing
 * is set where the type is no int64, int32 or bool. Always 0. */
int contents_map(struct node *n, int64_t (*rule)(const int64_t *k));
/* A result as an element of contents: unknown when it lies in the range that is set aside. */
int64_t contents_number(int64_t v);

#endif
