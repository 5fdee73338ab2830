/* group.h - the cgroup of an OCI container: made where its bundle says, limited as it says (OCI
 * runtime specification, config-linux.md, "Control groups").
 *
 * Unlike limits.h nothing is chosen here: the path is the engine's, which reads its numbers below
 * it, and what the bundle asks is written as it is, by policy/resources.def.
 *
 * Course:
 *   create      cl_group_place, cl_group_make (before the clone, with cl_group_dir, where that
 *               is one, for clone3's CLONE_INTO_CGROUP), v1: the single-threaded child writes "0"
 *               to each descriptor of cl_group_tasks before it makes a cgroup namespace
 *   later       cl_group_open by the place that the state keeps; apply, freeze, kill, pids, stats
 *   the end     cl_group_remove, when all processes are dead
 *
 * On v1 and the hybrid the directory is made in every hierarchy that is mounted below
 * /sys/fs/cgroup (the named one of systemd and the hybrid's cgroup2 too), as engines and their
 * monitors expect to find it.
 *
 * Owner: whoever holds the struct, in place. Descriptors are CLOEXEC. With CL_GROUP_NONE there is
 * no cgroup: applying nothing to it is no error, anything is.
 * Privilege: root, or an ordinary user with a delegated cgroup.
 */
#ifndef CL_LIMITS_GROUP_H
#define CL_LIMITS_GROUP_H

#include <sys/types.h>

#include "base/json.h"
#include "limits/limits.h"
#include "limits/lines.h"
#include "plan/spec.h"

enum cl_group_manager { CL_GROUP_FS, CL_GROUP_SYSTEMD, CL_GROUP_NONE, CL_GROUP_MANAGERS };

enum { CL_GROUP_MAX = 20, CL_GROUP_PATH = 1024, CL_GROUP_BASES = 2048 };

/* Where it is; kept in the container's state, all of it: what cl_group_make left in the group.
 *
 * PATH begins where its hierarchy's base does. BASES has a line "NAME BASE" for each hierarchy that
 * this kernel has: "memory /system.slice/ci.service"; "unified " is cgroup v2's, "cpu,cpuacct "
 * one that two controllers share. A base is empty (the root of the mount) but for a place that is
 * relative to the calling process's cgroups, which on v1 may differ from one to the next. */
struct cl_group_place {
    enum cl_group_manager manager;
    enum cl_cgroup_layout layout; /* NONE, V1, HYBRID, V2 */
    uint32_t made;                /* of the directories above it, by us: those the removal tries */
    char path[CL_GROUP_PATH];     /* "/docker/0123"; SYSTEMD: the scope's, true once it is made */
    char bases[CL_GROUP_BASES];
    char slice[256]; /* SYSTEMD: "machine.slice" */
    char unit[256];  /* "libpod-0123.scope" */
};

struct cl_group {
    size_t count;
    struct cl_group_dir {
        int dir;          /* the directory, O_PATH */
        int parent;       /* of it, for the removal */
        int made;         /* by us */
        char name[64];    /* of the hierarchy: "memory", "cpu,cpuacct", "systemd", "unified" */
    } dirs[CL_GROUP_MAX]; /* on v2 one, "unified" */
    pid_t holder; /* SYSTEMD: a process that keeps a new scope until the container is in it; or 0 */
    struct cl_group_place place;
};
#define CL_CLEANUP_GROUP CL_CLEANUP(cl_group_close)

/* Where the container ID goes: SPEC's cgroupsPath, or a place of our own below the calling
 * process's cgroup without one. For SYSTEMD that has the form slice:prefix:name. -EINVAL for one
 * that leads upwards or has not the form; linux.cgroupsPath stands in front. */
int cl_group_place(const struct cl_spec *spec, const char *id, enum cl_group_manager manager,
                   struct cl_group_place *ret, struct cl_error *err);

/* Counts in PLACE the directories above it that will have to be made, for a record that is there
 * before they are: by what is there now, as few as any hierarchy lacks. */
void cl_group_foresee(struct cl_group_place *place);

/* Makes it and writes SPEC's resources and device rules. On failure nothing is left of what it
 * made. RET's place is PLACE with what came to be known: that is what the state keeps. A directory
 * that is there already and has processes in it is -EBUSY; an empty one is taken.
 */
int cl_group_make(const struct cl_group_place *place, const struct cl_spec *spec,
                  struct cl_group *ret, struct cl_error *err);
/* One that is there; -ENOENT when it is gone. */
int cl_group_open(const struct cl_group_place *place, struct cl_group *ret, struct cl_error *err);
/* Not before the container's first process is in it, where SYSTEMD made it. */
void cl_group_close(struct cl_group *group);

/* Writes RESOURCES in an order that the kernel takes (a memory limit that is raised after the swap
 * limit, lowered before it; ...). What the kernel lacks is -ENOTSUP with the resource's path
 * (cl_resource_path) in front; a value that says "no limit" is passed over there. */
int cl_group_apply(const struct cl_group *group, const struct cl_spec_resources *resources,
                   struct cl_error *err);

/* What clone3 takes, borrowed: v2's directory, the hybrid's cgroup2 too; else -1. (A process that
 * writes to a cgroup2's cgroup.procs waits for a grace period, 15 ms on an idle host.) */
int cl_group_dir(const struct cl_group *group);
/* v1 and hybrid: opens for writing what a process writes "0" to in order to join, at most MAX; how
 * many. The hybrid's cgroup2 is not among them: it is cl_group_dir's. */
int cl_group_tasks(const struct cl_group *group, int *ret_fds, size_t max, struct cl_error *err);

/* Freezes or thaws all, and waits until they are, at most 10 s: -ETIMEDOUT then, with all thawed.
 * -ENOTSUP where the host has no freezer. */
int cl_group_freeze(const struct cl_group *group, int is_frozen, struct cl_error *err);
/* Whether all are: 1, 0 (also where the host has no freezer) or -errno. */
int cl_group_is_frozen(const struct cl_group *group);

/* Calls EACH for each process, of cgroups below it too, until one call is < 0, which is returned
 * without a message. Processes of other pid namespaces, which have no number here, are left out. */
int cl_group_pids(const struct cl_group *group, int (*each)(void *context, pid_t pid),
                  void *context, struct cl_error *err);
/* v1: lets those go on that are frozen, also in cgroups below. 0 or -errno. */
int cl_group_thaw_v1(const struct cl_group *group);
/* Sends SIGNAL to all of them; SIGKILL kills also what is born meanwhile, and what is frozen. */
int cl_group_kill(const struct cl_group *group, int signal, struct cl_error *err);

/* Removes it with the cgroups below it and, of the directories above it that are empty, those that
 * it made itself. Waits up to CL_LIMITS_REMOVE_MS. 0 when nothing is left. */
int cl_group_remove(struct cl_group *group, struct cl_error *err);

/* Removes those above alone, where it is gone or was never made. */
void cl_group_forget(const struct cl_group_place *place);

/* How often the kernel killed one of its processes for memory; 0 when unknown. */
uint64_t cl_group_oom_kills(const struct cl_group *group);

/* A descriptor that becomes readable when the kernel has killed one of its processes for memory, or
 * is about to (v1), and when it is removed: what it is then the count says. Read it to hear of the
 * next. -ENOTSUP where nobody tells. Sources: cgroup-v1/memory.rst, "OOM Control"; cgroup-v2.rst,
 * memory.events. */
int cl_group_watch_oom(const struct cl_group *group, struct cl_error *err);

/* The number that FILE in the hierarchy of CONTROLLER is; UINT64_MAX for "max". 1, or 0 and *RET as
 * it was: the host doesn't tell. */
int cl_group_number(const struct cl_group *group, const char *controller, const char *file,
                    uint64_t *ret);
/* Those of FILE's lines that KEYS names, as cl_lines_find. */
int cl_group_lines(const struct cl_group *group, const char *controller, const char *file,
                   struct cl_keyed *keys, size_t count);

/* What it has had from a block device, or given to it. */
struct cl_group_transfer {
    uint64_t major;
    uint64_t minor;
    const char *op; /* "Read", "Write", ...; while it is told */
    uint64_t value; /* bytes, or requests */
};
/* Calls EACH for all of them that the host tells. */
void cl_group_transfers(const struct cl_group *group, int of_requests,
                        void (*each)(void *context, const struct cl_group_transfer *transfer),
                        void *context);

/* Writes its numbers as the member KEY of JSON, an object in the form that runc documented for
 * `events` (cpu, memory, pids, blkio, hugetlb). What the host doesn't tell is left out. */
void cl_group_stats(const struct cl_group *group, struct cl_json *json, const char *key);

#endif
