/* registry.h - the table of all operators, made from the build's list of families. */
#ifndef TENREC_OPS_REGISTRY_H
#define TENREC_OPS_REGISTRY_H

#include <stddef.h>

#include "graph/op.h"

extern const struct op_table op_registry;
/* Every row in order of families; NULL past the end. For listing and for the automatic tests. */
const struct op *op_at(size_t i);
const char *op_family(size_t i);

#endif
