/* How limits fit together. */
#include <errno.h>
#include <inttypes.h>

#include "plan/decide_parts.h"

/* Scratch on a tmpfs is charged to the memory limit; were it the larger of the two,
 * a full disk would be an OOM kill instead of ENOSPC. */
int cl_decide_disk(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan_limits *limits = &d->plan->limits;

    if (cl_plan_without(d->plan, CL_LAYER_LIMITS) || limits->disk_bytes < limits->memory_bytes)
        return 0;
    if (!cl_decide_given(d, CL_FIELD_DISK)) {
        limits->disk_bytes = limits->memory_bytes / 2;
        return 0;
    }
    if (d->how->caller_is_root)
        return 0;
    return cl_refuse(err, EINVAL,
                     "scratch is held in memory for ordinary users and must be smaller than the "
                     "memory limit of %" PRIu64 " bytes; raise --memory or lower --disk",
                     limits->memory_bytes);
}

int cl_decide_shm(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan_limits *limits = &d->plan->limits;

    if (limits->shm_bytes <= limits->disk_bytes)
        return 0;
    if (cl_decide_given(d, CL_FIELD_SHM_SIZE))
        return cl_refuse(err, EINVAL,
                         "larger than the %" PRIu64 " bytes of all scratch (--disk)",
                         limits->disk_bytes);
    limits->shm_bytes = limits->disk_bytes;
    return 0;
}
