/* How limits fit together, and whether what was asked for can be held.
 *
 * Scratch in memory is charged to the memory limit. Were it the larger of the two, a
 * full disk would be an OOM kill instead of ENOSPC, so it stays below; half of the
 * memory is what leaves a program room. */
#include <errno.h>

#include "base/num.h"
#include "plan/decide_parts.h"

static int has_cgroups(const struct cl_decision *d)
{
    return !cl_plan_without(d->plan, CL_LAYER_LIMITS);
}

/* Whether SIZE_BYTES of memory may be filled without an OOM kill. */
static int fits_in_memory(const struct cl_decision *d, uint64_t size_bytes)
{
    return !has_cgroups(d) || size_bytes < d->plan->limits.memory_bytes;
}

/* Test builds say both, to show what the layer holds. */
static int refuse_loose_disk(const struct cl_decision *d, struct cl_error *err)
{
#ifdef CL_WEAK
    (void)d;
    (void)err;
#else
    if (cl_plan_without(d->plan, CL_LAYER_DISK_LIMIT) && cl_decide_given(d, CL_FIELD_DISK))
        return cl_refuse(err, EINVAL,
                         "--disk (limits.disk) can't be held with --without disk-limit: that is "
                         "the layer that holds it; give up one of the two");
#endif
    return 0;
}

int cl_decide_unenforceable(struct cl_decision *d, struct cl_error *err)
{
    int r = refuse_loose_disk(d, err);

    if (r < 0)
        return r;
    /* Memory, tasks and CPU time have a resource limit in their place (limits/rlimits.h).
     * Swap of 0 is the default, which leaving the cgroups out gives up knowingly. */
    if (has_cgroups(d))
        return 0;
    if (d->plan->cgroup_manager != CL_CGROUPS_BY_US)
        return cl_refuse(err, EINVAL,
                         "--cgroup-manager systemd has no cgroup to give with "
                         "--without limits; give up one of the two");
    if (cl_plan_has(d->plan, CL_FIELD_CPUS))
        return cl_refuse(err, EINVAL,
                         "--cpus (limits.cpus) can't be held with --without limits: it needs a "
                         "cgroup; give up one of the two");
    if (cl_decide_given(d, CL_FIELD_SWAP) && d->plan->limits.swap_bytes > 0)
        return cl_refuse(err, EINVAL,
                         "--swap and --memory-swap (limits.swap) can't be held with --without "
                         "limits: they need a cgroup; give up one of the two");
    return 0;
}

static int refuse_disk(const struct cl_decision *d, struct cl_error *err)
{
    char disk[CL_SIZE_TEXT];
    char memory[CL_SIZE_TEXT];

    return cl_refuse(err, EINVAL,
                     "an ordinary user's scratch is held in memory: %s must be less than the "
                     "memory limit of %s; raise --memory or lower --disk",
                     cl_size_text(d->plan->limits.disk_bytes, disk),
                     cl_size_text(d->plan->limits.memory_bytes, memory));
}

int cl_decide_disk(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    struct cl_plan_limits *limits = &plan->limits;
    const uint64_t half_bytes = limits->memory_bytes / 2;

    plan->scratch = CL_SCRATCH_MEMORY;
    cl_plan_mark(plan, CL_FIELD_SCRATCH);
    if (!cl_decide_given(d, CL_FIELD_DISK)) {
        limits->disk_bytes = cl_min_u64(limits->disk_bytes, half_bytes);
        return 0;
    }
    /* Without a size there is nothing to make on a disk. */
    if (!has_cgroups(d) || cl_plan_without(plan, CL_LAYER_DISK_LIMIT) ||
        limits->disk_bytes <= half_bytes)
        return 0;
    if (d->how->caller_is_root) {
        plan->scratch = CL_SCRATCH_DISK;
        return 0;
    }
    return fits_in_memory(d, limits->disk_bytes) ? 0 : refuse_disk(d, err);
}

int cl_decide_tmpfs_size(const struct cl_decision *d, uint64_t size_bytes, struct cl_error *err)
{
    const struct cl_plan_limits *limits = &d->plan->limits;
    char size[CL_SIZE_TEXT];
    char most[CL_SIZE_TEXT];

    if (size_bytes > limits->disk_bytes)
        return cl_refuse(err, EINVAL,
                         "%s is more than the %s of all scratch together; raise --disk",
                         cl_size_text(size_bytes, size), cl_size_text(limits->disk_bytes, most));
    if (!fits_in_memory(d, size_bytes))
        return cl_refuse(err, EINVAL,
                         "it is held in memory: %s must be less than the memory limit of %s",
                         cl_size_text(size_bytes, size), cl_size_text(limits->memory_bytes, most));
    return 0;
}

/* Unset, /dev/shm is part of the one scratch. */
int cl_decide_shm(struct cl_decision *d, struct cl_error *err)
{
    if (!cl_plan_has(d->plan, CL_FIELD_SHM_SIZE))
        return 0;
    return cl_decide_tmpfs_size(d, d->plan->limits.shm_bytes, err);
}
