/* Id maps: who the sandbox's users are outside.
 *
 *   root mode         0..65535 -> the sandbox's own range; never host ids
 *   rootless, strict  the one uid -> the caller's own
 *   rootless, build   0 -> the caller's own, 1.. -> the caller's sub-uids
 */
#include <errno.h>

#include "base/userns.h"
#include "walls/container/container.h"

int cl_idmap_write(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;

    if (container->rootless && plan->profile == CL_PROFILE_BUILD) {
        int r = cl_userns_map_subids(container->pid, err);

        return r == -ENOENT || r == -EPERM || r == -EACCES ? cl_hint(err, "or use --profile strict")
                                                           : r;
    }
    if (container->rootless)
        return cl_userns_map_one(container->pid_dir, (uint32_t)plan->uid, (uint32_t)plan->gid, err);
    return cl_userns_map_range(container->pid_dir, container->start->uid_base, err);
}
