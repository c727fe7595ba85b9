/* cgroup.h - what the control groups of this process leave it. */
#ifndef TENREC_BASE_CGROUP_H
#define TENREC_BASE_CGROUP_H

#include <stdint.h>

struct cgroup_limits {
    double processors; /* worth of time; 0: no limit */
    uint64_t memory;   /* bytes that may still be taken; UINT64_MAX: no limit */
};
/* The tightest of its group and all groups that is in, in version 1 or 2. `root` stands before /proc and /sys: "", but
 * in tests. */
struct cgroup_limits cgroup_limits(const char *root);

#endif
