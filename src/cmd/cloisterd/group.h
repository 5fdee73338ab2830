/* group.h - the cgroup of a module that has a process of its own. */
#ifndef CL_CMD_DAEMON_GROUP_H
#define CL_CMD_DAEMON_GROUP_H

#include "cmd/cloisterd/daemon.h"
#include "limits/group.h"

/* Whose: all borrowed. */
struct cl_module_group {
    const char *state; /* the daemon's directory */
    const char *space;
    const char *id;
};

/* That of TASK. */
struct cl_module_group cl_module_group_of(const struct cl_task *task);
/* Makes it as SPEC says, and opens what a process writes "0" to in order to enter: how many. On
 * failure nothing is left. */
int cl_module_group_make(const struct cl_module_group *group, const struct cl_spec *spec,
                         int ret_doors[CL_ORDER_MAX_GROUPS], struct cl_error *err);
/* A process in it; 0: there is none. */
pid_t cl_module_group_pid(const struct cl_module_group *group);
uint64_t cl_module_group_oom_kills(const struct cl_module_group *group);
/* What its processes have used of processors, and have of memory; each stays as it is where the
 * host doesn't tell. */
void cl_module_group_usage(const struct cl_module_group *group, uint64_t *ret_cpu_ns,
                           uint64_t *ret_memory);
/* Where there is one. */
void cl_module_group_remove(const struct cl_module_group *group);
/* All that there are, of another daemon or when this one ends: nothing of it is to live. */
void cl_daemon_sweep_groups(const struct cl_daemon *daemon);

#endif
