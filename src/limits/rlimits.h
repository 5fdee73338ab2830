/* rlimits.h - what each process of a sandbox may use: setrlimit(2).
 *
 * They are the whole of `--open-files`, `--file-size` and `--ulimit`, keep core dumps (core.h)
 * off, and stand in for the cgroups where those were left out (--without limits).
 * Hard limits are never raised: the child has no CAP_SYS_RESOURCE.
 */
#ifndef CL_LIMITS_RLIMITS_H
#define CL_LIMITS_RLIMITS_H

#include "base/error.h"
#include "plan/plan.h"

/* Reads --ulimit's NAME=SOFT[:HARD]. The names are setrlimit(2)'s in lower case without
 * RLIMIT_; values are numbers in that resource's unit (sizes may carry a suffix,
 * cpu is seconds, rttime microseconds) or "unlimited"; HARD is SOFT where it is left
 * out. -EINVAL with a message that says what was expected. */
int cl_rlimit_parse(const char *text, struct cl_plan_rlimit *ret, struct cl_error *err);

/* The name of RESOURCE (RLIMIT_*), or NULL. */
const char *cl_rlimit_name(uint32_t resource);

/* Sets the calling process's limits, which its children inherit: an explicit --ulimit
 * instead of the plan's own value, core always off.
 *
 * WITHOUT_CGROUP also sets what stands in for the cgroup's limits, as far as it goes:
 * nproc = tasks and the init (all processes of the sandbox's user; counted for each
 * user namespace since Linux 5.14), data = memory and cpu = cpu_time rounded up to a
 * second (each process for itself). There a lower hard limit or --ulimit is kept.
 *
 * Works in the child: no allocation. -EPERM with a message that names the hard limit
 * that is in the way. */
int cl_rlimits_apply(const struct cl_plan *plan, int without_cgroup, struct cl_error *err);

#endif
