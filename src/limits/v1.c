#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"

/* cgroup v1, also in the hybrid: one directory below the caller's own cgroup in each
 * hierarchy that is needed. A controller's hierarchy is looked for where every
 * distribution mounts it, /sys/fs/cgroup/<controller>; where two controllers share a
 * hierarchy (cpu,cpuacct) that name is a link and one directory serves both. */

int cl_v1_path(char ret[CL_CGROUP_PATH_SIZE], enum cl_controller controller,
               const struct cl_own_cgroups *own, struct cl_error *err)
{
    const char *name = cl_controller_name(controller);
    int size;

    if (own->v1[controller].path == NULL)
        return cl_refuse(err, ENOTSUP,
                         "this host's cgroup v1 has no %s controller%s; enable it (on the kernel's "
                         "command line: cgroup_enable=%s), %s",
                         name, own->v2 != NULL ? " (one on cgroup v2 beside it is not used)" : "",
                         name, CL_CGROUP_WITHOUT);
    size = snprintf(ret, CL_CGROUP_PATH_SIZE, "%s/%s%s", CL_CGROUP_MOUNT, name,
                    own->v1[controller].path);
    if (size < 0 || size >= CL_CGROUP_PATH_SIZE)
        return cl_refuse(err, ENAMETOOLONG, "the path of this process's %s cgroup is too long",
                         name);
    return 0;
}

static int fail_mkdir(const struct cl_limits *limits, const char *path, int r, struct cl_error *err)
{
    const unsigned int controllers = limits->cgroups[limits->count - 1].controllers;

    if ((r == -EACCES || r == -EPERM) && controllers == CL_CONTROLLER_BIT(CL_CONTROLLER_CPU))
        return cl_refuse(err, EACCES,
                         "this user may not make a cgroup in %.200s, which --cpus (limits.cpus) "
                         "takes; on cgroup v1 that needs one that root gave away (`cloister "
                         "doctor` says how), or leave that limit out",
                         path);
    if (r == -EACCES || r == -EPERM)
        return cl_refuse(err, EACCES,
                         "this user may not make a cgroup in %.200s; on cgroup v1 limits on all "
                         "processes together need one that root gave away (`cloister doctor` says "
                         "how), %s",
                         path, CL_CGROUP_WITHOUT_ANY);
    if (r == -EROFS)
        return cl_refuse(err, EACCES, "%.200s is mounted read-only; mount it writable, %s", path,
                         CL_CGROUP_WITHOUT);
    return cl_fail(err, r, "make the cgroup %.200s/%s", path, limits->name);
}

/* The directory of CONTROLLERS, which share PATH's hierarchy. */
static int make_cgroup(struct cl_limits *limits, const char *path, unsigned int controllers,
                       struct cl_error *err)
{
    struct cl_cgroup *cgroup = &limits->cgroups[limits->count];
    int r;

    *cgroup = (struct cl_cgroup){.parent = -1, .tasks = -1, .controllers = controllers};
    r = cl_cgroup_open(path, CGROUP_SUPER_MAGIC, err);
    if (r < 0)
        return r;
    cgroup->parent = r;
    limits->count++;
    r = cl_sys_mkdirat(cgroup->parent, limits->name, 0755);
    if (r < 0)
        return fail_mkdir(limits, path, r, err);
    cgroup->made = 1;
    r = cl_cgroup_open_file(cgroup->parent, limits->name, "tasks", O_WRONLY);
    if (r < 0)
        return cl_fail(err, r, "open %.200s/%s/tasks", path, limits->name);
    cgroup->tasks = r;
    return 0;
}

static int fail_set(const char *file, int r, struct cl_error *err)
{
    return cl_fail(err, r, "set %s of the sandbox's cgroup", file);
}

static int set_memory(const struct cl_limits *limits, const struct cl_cgroup *cgroup,
                      const struct cl_plan *plan, struct cl_error *err)
{
    static const char memsw[] = "memory.memsw.limit_in_bytes";
    static const char tcp[] = "memory.kmem.tcp.limit_in_bytes";
    int r;

    if (!cl_plan_has(plan, CL_FIELD_MEMORY)) {
        if (!cl_plan_has(plan, CL_FIELD_SWAP))
            return 0;
        return cl_refuse(err, EINVAL,
                         "limits.swap needs limits.memory with cgroup v1, which can "
                         "only limit both together");
    }
    r = cl_cgroup_set_u64(cgroup, limits->name, "memory.limit_in_bytes", plan->limits.memory_bytes);
    if (r < 0)
        return fail_set("memory.limit_in_bytes", r, err);
    /* v1 counts TCP's buffers apart (cgroup-v1/memory.rst, 2.7). */
    r = cl_cgroup_set_u64(cgroup, limits->name, tcp, plan->limits.memory_bytes);
    if (r < 0 && r != -ENOENT) /* a kernel without it */
        return fail_set(tcp, r, err);
    if (!cl_plan_has(plan, CL_FIELD_SWAP))
        return 0;
    /* Never below memory's own limit, which therefore is set first. */
    r = cl_cgroup_set_u64(cgroup, limits->name, memsw,
                          plan->limits.memory_bytes + plan->limits.swap_bytes);
    if (r == -ENOENT)
        return cl_cgroup_no_swap_file(err);
    return r < 0 ? fail_set(memsw, r, err) : 0;
}

static int set_pids(const struct cl_limits *limits, const struct cl_cgroup *cgroup,
                    const struct cl_plan *plan, struct cl_error *err)
{
    int r;

    if (!cl_plan_has(plan, CL_FIELD_TASKS))
        return 0;
    r = cl_cgroup_set_u64(cgroup, limits->name, "pids.max", cl_cgroup_tasks(plan));
    return r < 0 ? fail_set("pids.max", r, err) : 0;
}

static int open_cpuacct(struct cl_limits *limits, const struct cl_cgroup *cgroup,
                        struct cl_error *err)
{
    int r = cl_cgroup_open_file(cgroup->parent, limits->name, "cpuacct.usage", O_RDONLY);

    if (r < 0)
        return cl_fail(err, r, "open cpuacct.usage of the sandbox's cgroup");
    limits->cpu_usage = r;
    return 0;
}

/* The period stays the kernel's 100 ms: a thousandth of a CPU is 100 us of it. */
static int set_cpu(const struct cl_limits *limits, const struct cl_cgroup *cgroup,
                   const struct cl_plan *plan, struct cl_error *err)
{
    int r =
        cl_cgroup_set_u64(cgroup, limits->name, "cpu.cfs_quota_us", plan->limits.millicpus * 100);

    if (r == -EINVAL)
        return cl_refuse(err, EINVAL,
                         "limits.cpus (%llu.%03llu) is more than this process's own cgroup may "
                         "use; ask for fewer",
                         (unsigned long long)(plan->limits.millicpus / 1000),
                         (unsigned long long)(plan->limits.millicpus % 1000));
    return r < 0 ? fail_set("cpu.cfs_quota_us", r, err) : 0;
}

static int set_limits(struct cl_limits *limits, const struct cl_cgroup *cgroup,
                      const struct cl_plan *plan, struct cl_error *err)
{
    int r = 0;

    if (cgroup->controllers & CL_CONTROLLER_BIT(CL_CONTROLLER_MEMORY))
        r = set_memory(limits, cgroup, plan, err);
    if (r == 0 && cgroup->controllers & CL_CONTROLLER_BIT(CL_CONTROLLER_PIDS))
        r = set_pids(limits, cgroup, plan, err);
    if (r == 0 && cgroup->controllers & CL_CONTROLLER_BIT(CL_CONTROLLER_CPUACCT))
        r = open_cpuacct(limits, cgroup, err);
    if (r == 0 && cgroup->controllers & CL_CONTROLLER_BIT(CL_CONTROLLER_CPU))
        r = set_cpu(limits, cgroup, plan, err);
    return r;
}

int cl_v1_create(struct cl_limits *ret, const struct cl_plan *plan,
                 const struct cl_own_cgroups *own, struct cl_error *err)
{
    unsigned int left =
        CL_CONTROLLER_BIT(CL_CONTROLLER_MEMORY) | CL_CONTROLLER_BIT(CL_CONTROLLER_PIDS);
    char path[CL_CGROUP_PATH_SIZE];

    if ((ret->wanted & CL_USAGE_CPU) != 0 || cl_plan_has(plan, CL_FIELD_CPU_TIME))
        left |= CL_CONTROLLER_BIT(CL_CONTROLLER_CPUACCT);
    if (cl_plan_has(plan, CL_FIELD_CPUS))
        left |= CL_CONTROLLER_BIT(CL_CONTROLLER_CPU);
    for (enum cl_controller first = 0; first < CL_CONTROLLER_COUNT; first++) {
        unsigned int shared = 0;
        int r;

        if ((left & CL_CONTROLLER_BIT(first)) == 0)
            continue;
        r = cl_v1_path(path, first, own, err);
        if (r < 0)
            return r;
        for (size_t i = first; i < CL_CONTROLLER_COUNT; i++) {
            if (own->v1[i].path != NULL && own->v1[i].hierarchy == own->v1[first].hierarchy)
                shared |= CL_CONTROLLER_BIT(i) & left;
        }
        left &= ~shared;
        r = make_cgroup(ret, path, shared, err);
        if (r < 0)
            return r;
        r = set_limits(ret, &ret->cgroups[ret->count - 1], plan, err);
        if (r < 0)
            return r;
    }
    return 0;
}
