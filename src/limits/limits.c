#include "limits/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"
#include "limits/scope.h"

/* Theory of operation.
 *
 * Trust: the cgroup tree is the kernel's, its names are made by whoever owns a part of
 * it. The sandboxed code sees no cgroup file system and can't name, leave or change its
 * cgroups; all that is read here is written by the kernel. The paths below
 * /sys/fs/cgroup are opened once, checked to be cgroups, and all later work is on
 * descriptors.
 *
 * Invariant: every limit is set before anything can run in the cgroup.
 *
 * cgroup.procs is never written on v1: moving a process by it takes a lock whose wait
 * is a grace period (p90 10 ms); moving a thread by `tasks` does not (0.16 ms). */

static const char *const layout_names[CL_CGROUP_LAYOUT_COUNT] = {
    [CL_CGROUP_NONE] = "none",
    [CL_CGROUP_V1] = "v1",
    [CL_CGROUP_HYBRID] = "v1 hybrid",
    [CL_CGROUP_V2] = "v2",
};

const char *cl_cgroup_layout_name(enum cl_cgroup_layout layout)
{
    CL_ASSERT(layout < CL_CGROUP_LAYOUT_COUNT);
    return layout_names[layout];
}

int cl_limits_create_for(struct cl_limits *ret, const struct cl_plan *plan, const char *id,
                         unsigned int wanted, struct cl_error *err)
{
    struct cl_limits limits = CL_LIMITS_INIT;
    struct cl_own_cgroups own;
    int layout = cl_cgroup_layout(0, err);
    int r;

    if (layout < 0)
        return layout;
    limits.layout = (enum cl_cgroup_layout)layout;
    limits.wanted = wanted;
    r = cl_cgroup_name(limits.name, id, err);
    if (r == 0 && plan->cgroup_manager == CL_CGROUPS_BY_SYSTEMD)
        r = cl_scope_enter(id, err);
    if (r == 0)
        r = cl_own_cgroups_read(&own, err);
    if (r < 0)
        return r;
    r = layout == CL_CGROUP_V2 ? cl_v2_create(&limits, plan, &own, err)
                               : cl_v1_create(&limits, plan, &own, err);
    if (r < 0) {
        (void)cl_limits_remove(&limits); /* they are empty; the first failure is the news */
        return r;
    }
    *ret = limits;
    return 0;
}

int cl_limits_cgroup_fd(const struct cl_limits *limits)
{
    return limits->dir;
}

static int open_door(const struct cl_limits *limits, const struct cl_cgroup *cgroup)
{
    return limits->layout == CL_CGROUP_V2
               ? cl_cgroup_open_file(cgroup->parent, limits->name, "cgroup.procs", O_WRONLY)
               : cl_sys_fcntl(cgroup->tasks, F_DUPFD_CLOEXEC, 0);
}

int cl_limits_open_doors(const struct cl_limits *limits, int ret_fds[CL_CONTROLLER_COUNT],
                         struct cl_error *err)
{
    for (size_t i = 0; i < limits->count; i++) {
        ret_fds[i] = open_door(limits, &limits->cgroups[i]);
        if (ret_fds[i] >= 0)
            continue;
        const int r = ret_fds[i];
        while (i-- > 0)
            cl_fd_close(&ret_fds[i]);
        return cl_fail(err, r, "open a file of the sandbox's cgroup");
    }
    return (int)limits->count;
}

void cl_limits_let_end(const struct cl_limits *limits)
{
    for (size_t i = 0; i < limits->count; i++)
        cl_cgroup_unthrottle(limits->cgroups[i].parent, limits->name);
}

/* What is open of the cgroups themselves. */
static void close_files(struct cl_limits *limits)
{
    for (size_t i = 0; i < limits->count; i++)
        cl_fd_close(&limits->cgroups[i].tasks);
    cl_fd_close(&limits->dir);
    cl_fd_close(&limits->cpu_usage);
    for (size_t i = 0; i < CL_ARRAY_SIZE(limits->set); i++)
        cl_fd_close(&limits->set[i]);
}

void cl_limits_close(struct cl_limits *limits)
{
    close_files(limits);
    for (size_t i = 0; i < limits->count; i++)
        cl_fd_close(&limits->cgroups[i].parent);
    limits->count = 0;
    limits->layout = CL_CGROUP_NONE;
}

int cl_limits_remove(struct cl_limits *limits)
{
    uint64_t deadline_ns = cl_clock_boot_ns() + CL_LIMITS_REMOVE_MS * CL_NS_PER_MS;
    int first = 0;

    /* First: of a directory that is removed while a file of it is open the kernel keeps the
     * names and inodes in its caches, until memory runs short. A million starts were 1.5 GB,
     * and each start took 4 % longer. */
    close_files(limits);
    for (size_t i = limits->count; i-- > 0;) {
        struct cl_cgroup *cgroup = &limits->cgroups[i];
        int r;

        if (!cgroup->made)
            continue;
        r = cl_cgroup_rmdir(cgroup->parent, limits->name, deadline_ns);
        if (r < 0 && r != -ENOENT && first == 0)
            first = r;
    }
    cl_limits_close(limits);
    return first;
}
