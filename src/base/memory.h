/* memory.h - how much memory this process has, and how much it may still take. */
#ifndef TENREC_BASE_MEMORY_H
#define TENREC_BASE_MEMORY_H

#include <stdint.h>

/* Bytes: the least of what the machine has free, what the cgroup still grants, and the address-space limit. */
uint64_t memory_available(void);
/* Bytes of this process that lie in memory, and the most that ever did; 0: the system does not say. */
uint64_t memory_resident(void);
uint64_t memory_peak(void);

#endif
