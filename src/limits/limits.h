/* limits.h - what all processes of a sandbox together may use: one interface for
 * cgroup v1, the v1 hybrid and v2.
 *
 * The course of it, which is the order of the functions below:
 *   supervisor  cl_limits_create: makes the cgroups cloister-<id> and sets the plan's
 *               limits, all before anything runs in them; on v2 before the clone
 *   init        v1: writes 0 to the descriptors `tasks`, single-threaded, before a cgroup
 *               namespace is made (unshare after it, not in clone3: the namespace's
 *               root is the cgroup of its maker at that time)
 *               v2: born in cl_limits_cgroup_fd by CLONE_INTO_CGROUP
 *   supervisor  cl_limits_cpu_ns while it runs, cl_limits_let_end after a kill; when all
 *               processes are dead cl_limits_usage and cl_limits_check, cl_limits_remove,
 *               or cl_limits_close where a sweep is to find them
 *   next command  cl_limits_sweep for a sandbox whose supervisor died; now and then
 *               cl_limits_sweep_orphans
 *
 * Owner: whoever holds the struct, in place; nothing is on the heap. Descriptors are
 * CLOEXEC. A struct that is CL_LIMITS_INIT stands for a sandbox without cgroups:
 * joining and removing it do nothing, and all its usage is unknown.
 * Privilege: root; on cgroup v2 also an ordinary user with a delegated cgroup.
 *
 * Numbers: `tasks` counts what the sandboxed code may have alive; the wall's init
 * lives in the same cgroup and comes on top (CL_LIMITS_OWN_TASKS).
 */
#ifndef CL_LIMITS_LIMITS_H
#define CL_LIMITS_LIMITS_H

#include "base/error.h"
#include "limits/own.h"
#include "plan/plan.h"

enum { CL_LIMITS_OWN_TASKS = 1 };

enum cl_cgroup_layout {
    CL_CGROUP_NONE,
    CL_CGROUP_V1,
    CL_CGROUP_HYBRID, /* v1, and a cgroup2 at /sys/fs/cgroup/unified that we don't use */
    CL_CGROUP_V2,
    CL_CGROUP_LAYOUT_COUNT
};

enum {
    CL_LIMITS_ID_SIZE = 33, /* an id's digits and NUL */
    CL_CGROUP_NAME_SIZE = CL_LIMITS_ID_SIZE + 9,
};

/* One directory cloister-<id>; on v1 one for each hierarchy that is needed. */
struct cl_cgroup {
    int parent;               /* the directory that it is in */
    int tasks;                /* v1: its `tasks`, open for the child; else -1 */
    unsigned int controllers; /* CL_CONTROLLER_BITs */
    int made;
};

struct cl_limits {
    enum cl_cgroup_layout layout; /* of create: NONE, V1 (hybrid too) or V2 */
    size_t count;
    unsigned int wanted; /* 1 << enum cl_usage_field: what cl_limits_usage reads */
    struct cl_cgroup cgroups[CL_CONTROLLER_COUNT];
    int dir;                      /* v2: the directory itself, for clone3 */
    int cpu_usage;                /* cpuacct.usage or cpu.stat */
    int set[CL_CONTROLLER_COUNT]; /* v2: the files that limits were written to */
    char name[CL_CGROUP_NAME_SIZE];
};
#define CL_LIMITS_INIT ((struct cl_limits){.dir = -1, .cpu_usage = -1, .set = {-1, -1, -1, -1}})
_Static_assert(CL_CONTROLLER_COUNT == 4, "a -1 for each");
#define CL_CLEANUP_LIMITS CL_CLEANUP(cl_limits_close)

enum cl_usage_field {
    CL_USAGE_CPU_USER,
    CL_USAGE_CPU_SYSTEM,
    CL_USAGE_MEMORY_PEAK,
    CL_USAGE_TASKS_PEAK,
    CL_USAGE_IO_READ,
    CL_USAGE_IO_WRITE,
    CL_USAGE_OOM_KILLS,
    CL_USAGE_TASKS_HIT,
    CL_USAGE_CPUS_HIT,
    CL_USAGE_COUNT
};
#define CL_USAGE_BIT(field) (1U << (field))
#define CL_USAGE_CPU (CL_USAGE_BIT(CL_USAGE_CPU_USER) | CL_USAGE_BIT(CL_USAGE_CPU_SYSTEM))
#define CL_USAGE_ALL (CL_USAGE_BIT(CL_USAGE_COUNT) - 1)

/* A value is meaningful only when its bit is in `known`. */
struct cl_usage {
    unsigned int known; /* 1 << enum cl_usage_field */
    uint64_t cpu_user_ns;
    uint64_t cpu_system_ns;
    uint64_t memory_peak_bytes; /* v2: Linux 5.19 */
    uint64_t tasks_peak;        /* Linux 6.12; without the wall's init */
    uint64_t io_read_bytes;     /* v2, where the io controller is on */
    uint64_t io_write_bytes;
    uint64_t oom_kills; /* processes that the memory limit killed */
    uint64_t tasks_hit; /* forks that the tasks limit refused */
    uint64_t cpus_hit;  /* periods in which the limit on cpus held it back */
};

/* Makes the cgroups of the sandbox ID (lower-case letters and digits) and sets the
 * limits that PLAN has: memory, swap, tasks, cpus. WANTED has the fields that
 * cl_limits_usage is to read. memory and pids are always there; on v1, where each
 * controller is one more directory to make, to join and to remove, CPU accounting only
 * when PLAN limits CPU time or WANTED asks for it, and the cpu controller only when PLAN
 * limits cpus. Where PLAN asks for systemd's, this process moves into a scope first (scope.h). On
 * failure nothing is left.
 *   -EACCES   this user may not make cgroups here; the message names the cure
 *   -ENOTSUP  the host lacks a controller, or accounts no swap but has some
 *   -EXDEV    the own cgroup is outside the cgroup namespace
 *   -EEXIST   there is one of this id
 * Where on v2: see v2.c. */
int cl_limits_create_for(struct cl_limits *ret, const struct cl_plan *plan, const char *id,
                         unsigned int wanted, struct cl_error *err);

/* The same with all usage wanted. */
static inline int cl_limits_create(struct cl_limits *ret, const struct cl_plan *plan,
                                   const char *id, struct cl_error *err)
{
    return cl_limits_create_for(ret, plan, id, CL_USAGE_ALL, err);
}

/* v2: what clone3's `cgroup` takes, borrowed; -1 on v1 and without limits. */
int cl_limits_cgroup_fd(const struct cl_limits *limits);

/* For a process that is made elsewhere: files in which whoever is to enter writes "0", one of each
 * cgroup; how many, or -errno. They are the caller's. (The kernel looks at whose they were when
 * they were opened.) On v2 such a write may wait for a grace period: some milliseconds. */
int cl_limits_open_doors(const struct cl_limits *limits, int ret_fds[CL_CONTROLLER_COUNT],
                         struct cl_error *err);

static inline int cl_usage_has(const struct cl_usage *usage, enum cl_usage_field field)
{
    return (usage->known & CL_USAGE_BIT(field)) != 0;
}

/* CPU time of all processes so far: one pread. -ENODATA without cgroups, else -errno. */
int cl_limits_cpu_ns(const struct cl_limits *limits, uint64_t *ret);

/* What the sandbox used, of what was wanted; what this host can't tell stays unknown. */
void cl_limits_usage(const struct cl_limits *limits, struct cl_usage *ret);

/* Whether all limits held to the end: on v2 whoever manages the cgroup above can take a
 * controller away, and the sandbox's limits go with it. -ENODEV, with a message that
 * names the cure, when one went, even if it came back. */
int cl_limits_check(const struct cl_limits *limits, struct cl_error *err);

/* The sandbox has been killed: takes the limit on cpus away, or its processes, of which each has
 * something to do at its end, would wait for their share (250 of them with a tenth of a
 * processor: 15 s). */
void cl_limits_let_end(const struct cl_limits *limits);

/* Removes the cgroups, whose processes must have been killed, and closes all. Waits
 * up to CL_LIMITS_REMOVE_MS for the last of them to be gone. 0 when nothing is left,
 * else the first -errno (-EBUSY: processes live); the sweep finds the rest. */
enum { CL_LIMITS_REMOVE_MS = 2000 };
int cl_limits_remove(struct cl_limits *limits);

/* Closes the descriptors only: in the child, or where another removes. */
void cl_limits_close(struct cl_limits *limits);

/* How much a sweep may cost. QUICKLY: never waits (-EBUSY when a process is still dying)
 * and searches little; for a supervisor that has a sandbox to look after. */
enum cl_sweep_manner { CL_SWEEP_QUICKLY, CL_SWEEP_THOROUGHLY };

/* Removes what a dead sandbox ID left in any hierarchy. It looks below this process's
 * own cgroups (and v2's place for it) first, and only where that has not all searches
 * whole hierarchies for the name, so that no record has to keep the paths and a sandbox
 * started from other cgroups is found too. The search is bounded: -E2BIG says that it was
 * given up. 0 when nothing is left. */
int cl_limits_sweep(const char *id, enum cl_sweep_manner manner, struct cl_error *err);

/* Removes empty cgroups below this process's own that are named like a sandbox's or
 * like what `doctor` makes, that IS_KNOWN (of the id) denies, and that are over a minute
 * old: those whose record was lost, not those of a sandbox that another state directory
 * knows and that is about to start. Returns how many. */
enum { CL_LIMITS_ORPHAN_S = 60 };
int cl_limits_sweep_orphans(int (*is_known)(void *context, const char *id), void *context);

/* For `doctor`. */
struct cl_limits_probe {
    enum cl_cgroup_layout layout;
    unsigned int present;        /* CL_CONTROLLER_BITs that the caller's cgroup could use */
    unsigned int usable;         /* those with which a cgroup could be made */
    char where[256];             /* the caller's own cgroup (v1: of memory) */
    char why[CL_ERROR_MSG_SIZE]; /* "" when all are usable */
};

/* Makes cgroups as a run would, and removes them. The answer is in ret, also for a
 * host without cgroups. */
void cl_limits_probe(struct cl_limits_probe *ret);

/* CL_CGROUP_V1 or V2 by what is mounted at /sys/fs/cgroup; HYBRID only when ASK_UNIFIED
 * (it costs a call). -ENOTSUP when there is neither. */
int cl_cgroup_layout(int ask_unified, struct cl_error *err);

const char *cl_cgroup_layout_name(enum cl_cgroup_layout layout);

#endif
