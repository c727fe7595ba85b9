/* budget.h - an allocator that gives no more than was granted: what a file may take while it is read. */
#ifndef TENREC_BASE_BUDGET_H
#define TENREC_BASE_BUDGET_H

#include <stdatomic.h>

#include "base/arena.h"

struct budget {
    struct mem mem; /* hand this on; it must not move while memory from it lives */
    const struct mem *inner;
    atomic_size_t used, granted; /* bytes */
    atomic_bool spent;           /* an allocation was refused */
};

void budget_init(struct budget *b, const struct mem *inner /* NULL: mem_default */, size_t granted);
/* Adds to what `mem` may give when it is a budget's; else nothing happens. Saturates. */
void budget_grant(const struct mem *mem, size_t bytes);

#endif
