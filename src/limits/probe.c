#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "limits/cgroup.h"

enum {
    BASIC = CL_CONTROLLER_BIT(CL_CONTROLLER_MEMORY) | CL_CONTROLLER_BIT(CL_CONTROLLER_PIDS) |
            CL_CONTROLLER_BIT(CL_CONTROLLER_CPUACCT),
};

/* What the caller's own cgroup could use, and its name. */
static int look(struct cl_limits_probe *probe, struct cl_error *err)
{
    char path[CL_CGROUP_PATH_SIZE];
    struct cl_own_cgroups own;
    int r = cl_own_cgroups_read(&own, err);

    if (r < 0)
        return r;
    if (probe->layout != CL_CGROUP_V2) {
        const char *memory = own.v1[CL_CONTROLLER_MEMORY].path;

        for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
            if (own.v1[i].path != NULL)
                probe->present |= CL_CONTROLLER_BIT(i);
        }
        /* Shown to people only: a cut name does no harm. */
        (void)snprintf(probe->where, sizeof(probe->where), "%.255s", memory != NULL ? memory : "");
        return 0;
    }
    r = cl_v2_path(path, &own, err);
    if (r < 0)
        return r;
    (void)snprintf(probe->where, sizeof(probe->where), "%.255s", own.v2); /* as above */
    CL_CLEANUP_FD int dir = cl_cgroup_open(path, CGROUP2_SUPER_MAGIC, err);
    if (dir < 0)
        return dir;
    r = cl_v2_controllers(dir, "cgroup.controllers");
    if (r < 0)
        return cl_fail(err, r, "read %s/cgroup.controllers", path);
    probe->present = (unsigned int)r | CL_CONTROLLER_BIT(CL_CONTROLLER_CPUACCT);
    return 0;
}

static int try_create(unsigned int with_cpus, struct cl_error *err)
{
    CL_CLEANUP_LIMITS struct cl_limits limits = CL_LIMITS_INIT;
    struct cl_plan plan = {
        .limits = {.memory_bytes = 64 << 20, .tasks = 16, .millicpus = 10},
    };
    char id[CL_LIMITS_ID_SIZE];
    int r;

    (void)snprintf(id, sizeof(id), "probe%d", (int)getpid()); /* 10 digits fit */
    cl_plan_mark(&plan, CL_FIELD_MEMORY);
    cl_plan_mark(&plan, CL_FIELD_SWAP);
    cl_plan_mark(&plan, CL_FIELD_TASKS);
    if (with_cpus)
        cl_plan_mark(&plan, CL_FIELD_CPUS);
    r = cl_limits_create(&limits, &plan, id, err);
    if (r < 0)
        return r;
    r = cl_limits_remove(&limits);
    return r < 0 ? cl_fail(err, r, "remove a cgroup made to try it") : 0;
}

void cl_limits_probe(struct cl_limits_probe *ret)
{
    struct cl_error err;
    int r;

    *ret = (struct cl_limits_probe){.layout = CL_CGROUP_NONE};
    r = cl_cgroup_layout(1, &err);
    if (r >= 0) {
        ret->layout = (enum cl_cgroup_layout)r;
        r = look(ret, &err);
    }
    if (r >= 0)
        r = try_create(0, &err);
    if (r >= 0) {
        ret->usable = BASIC;
        r = try_create(1, &err);
    }
    if (r >= 0)
        ret->usable |= CL_CONTROLLER_BIT(CL_CONTROLLER_CPU);
    else
        (void)snprintf(ret->why, sizeof(ret->why), "%s", err.msg); /* of the same size */
    char *flag = strstr(ret->why, ", " CL_CGROUP_WITHOUT);
    if (flag != NULL)
        *flag = '\0'; /* is a cure, which whoever asks here has for all of them */
}
