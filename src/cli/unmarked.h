/* unmarked.h - pickles that do not begin with the mark of their protocol. */
#ifndef TENREC_CLI_UNMARKED_H
#define TENREC_CLI_UNMARKED_H

#include <stdbool.h>

#include "base/file.h"

/* Would unpickling these bytes call a function that they name? Protocols 0 and 1 have no mark, and later ones run
 * without it. Told by the operations: from the first byte on all must be such, until the first call. */
bool pickle_is_unmarked(struct bytes data);

#endif
