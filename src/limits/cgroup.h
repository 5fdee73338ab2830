/* cgroup.h - for src/limits only: work on single cgroup directories, and the two
 * layouts behind limits.h. */
#ifndef CL_LIMITS_CGROUP_H
#define CL_LIMITS_CGROUP_H

#include "limits/limits.h"
#include "limits/own.h"

#define CL_CGROUP_MOUNT "/sys/fs/cgroup"
#define CL_CGROUP_WITHOUT "or accept that with --without limits"
/* For those who seldom have any: what they are left with (rlimits.h). */
#define CL_CGROUP_WITHOUT_ANY                                                                      \
    CL_CGROUP_WITHOUT " (memory and CPU time are then limited for each process, tasks for the "    \
                      "user; time, output, disk and open files as ever)"

enum { CL_CGROUP_PATH_SIZE = 2048 + 64 };

/* Opens the directory PATH, which must be a cgroup (MAGIC of statfs). Returns an O_PATH
 * descriptor; -ENOTSUP when there is no such cgroup. */
int cl_cgroup_open(const char *path, unsigned long magic, struct cl_error *err);

/* Opens and writes the cgroup's FILE. -errno without a message. */
int cl_cgroup_set(const struct cl_cgroup *cgroup, const char *name, const char *file,
                  const char *text);
int cl_cgroup_set_u64(const struct cl_cgroup *cgroup, const char *name, const char *file,
                      uint64_t value);
/* Takes the limit on cpus, where there is one, off the cgroup NAME in PARENT: its processes
 * have been killed, and would else wait for their share to end with. */
void cl_cgroup_unthrottle(int parent, const char *name);
/* Opens FILE, whose name is short, of the cgroup NAME in PARENT. */
int cl_cgroup_open_file(int parent, const char *name, const char *file, int flags);

/* Removes the directory NAME in PARENT, waiting until DEADLINE_NS (boot clock) for its
 * processes to be gone. -ENOENT when there was none. */
int cl_cgroup_rmdir(int parent, const char *name, uint64_t deadline_ns);

/* Whether the host has swap space: 1, 0 or -errno. */
int cl_cgroup_has_swap(struct cl_error *err);
/* Whether the host accounts swap or has none: what to do when a swap limit's file does
 * not exist. 0, or -ENOTSUP with a message. */
int cl_cgroup_no_swap_file(struct cl_error *err);

/* The cgroup PLAN's tasks limit, with our own. */
static inline uint64_t cl_cgroup_tasks(const struct cl_plan *plan)
{
    return plan->limits.tasks + CL_LIMITS_OWN_TASKS;
}

/* Make RET's cgroups; what was made before a failure is in RET for the caller to
 * remove. */
int cl_v1_create(struct cl_limits *ret, const struct cl_plan *plan,
                 const struct cl_own_cgroups *own, struct cl_error *err);
int cl_v2_create(struct cl_limits *ret, const struct cl_plan *plan,
                 const struct cl_own_cgroups *own, struct cl_error *err);
/* Writes the limits of PLAN to the sandbox's cgroup, which is there. */
int cl_v2_set(struct cl_limits *limits, const struct cl_plan *plan, struct cl_error *err);

/* The path of the own cgroup in CONTROLLER's v1 hierarchy. */
int cl_v1_path(char ret[CL_CGROUP_PATH_SIZE], enum cl_controller controller,
               const struct cl_own_cgroups *own, struct cl_error *err);
int cl_v2_path(char ret[CL_CGROUP_PATH_SIZE], const struct cl_own_cgroups *own,
               struct cl_error *err);
/* Which of the COUNT NAMES the list FILE of a v2 cgroup has, as bits in their order; or -errno. */
int cl_cgroup_words(int dir, const char *file, const char *const *names, size_t count);
/* The CL_CONTROLLER_BITs of a v2 cgroup's list of names FILE, or -errno. */
int cl_v2_controllers(int dir, const char *file);

/* The sandbox's name, or -EINVAL for an ID of other characters. */
int cl_cgroup_name(char ret[CL_CGROUP_NAME_SIZE], const char *id, struct cl_error *err);

#endif
