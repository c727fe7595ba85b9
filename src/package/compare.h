/* compare.h - how far two tensors are apart, in the words of every check. */
#ifndef TENREC_PACKAGE_COMPARE_H
#define TENREC_PACKAGE_COMPARE_H

#include <stdbool.h>

struct tensor;

struct difference {
    double max, scale; /* largest |difference|, largest |reference| */
    bool exact;        /* not a float: must be equal */
};

/* False when types or shapes differ. NaN equals NaN, an infinity itself. */
bool tensor_compare(const struct tensor *got, const struct tensor *want, struct difference *d);
double difference_relative(const struct difference *d); /* of the scale; 0 where equal */

#endif
