/* memory.h - how much memory this process may still take. */
#ifndef TENREC_BASE_MEMORY_H
#define TENREC_BASE_MEMORY_H

#include <stdint.h>

/* Bytes: the least of what the machine has free, what the cgroup still grants, and the address-space limit. */
uint64_t memory_available(void);

#endif
