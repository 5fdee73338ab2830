/* freezer.h - cgroup v2's freezer: all processes of a sandbox stand still at once, and can be
 * killed so (the kernel's cgroup-v2.rst, cgroup.freeze). v1's is not here: who is frozen by it
 * ignores SIGKILL until somebody thaws it.
 */
#ifndef CL_LIMITS_FREEZER_H
#define CL_LIMITS_FREEZER_H

#include "limits/limits.h"

/* Has the kernel freeze or thaw all that is in LIMITS' cgroup, and doesn't wait for it. -ENOTSUP
 * where there is none of v2; other -errno, without a message. */
int cl_limits_freeze(const struct cl_limits *limits, int is_frozen);

/* For who looks from outside: the cgroup of the sandbox ID, whose first process is INIT, where that
 * is one of v2: a descriptor, else -errno. */
int cl_freezer_open(const char *id, int32_t init);

/* Waits until the cgroup DIR is frozen (or isn't any more), or UNTIL_NS (boot clock): 1, 0 when
 * time is over, or -errno. */
int cl_freezer_wait_for(int dir, int is_frozen, uint64_t until_ns);
static inline int cl_freezer_wait(int dir, uint64_t until_ns)
{
    return cl_freezer_wait_for(dir, 1, until_ns);
}

#endif
