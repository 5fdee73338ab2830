/* Id maps: who the sandbox's users are outside.
 *
 *   root mode         0..65535 -> the sandbox's own range; never host ids
 *   rootless, strict  the one uid -> the caller's own
 *   rootless, build   0 -> the caller's own, 1.. -> the caller's sub-uids
 *   rootless, a worker whose guests have users
 *                     the one uid -> the caller's own, theirs -> the caller's sub-uids
 */
#include <errno.h>

#include "base/userns.h"
#include "plan/guest_users.h"
#include "walls/container/container.h"

static int is_refusal(int r)
{
    return r == -ENOENT || r == -EPERM || r == -EACCES;
}

static int map_caller(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    const struct cl_guest_users users = cl_guest_users_of(plan);

    if (users.count == 0)
        return cl_userns_map_one(container->pid_dir, (uint32_t)plan->uid, (uint32_t)plan->gid, err);
    const struct cl_userns_one one = {
        .uid = (uint32_t)plan->uid,
        .gid = (uint32_t)plan->gid,
        .first = users.first,
        .count = users.count,
    };
    int r = cl_userns_map_one_and_subids(container->pid, container->pid_dir, &one, err);

    return is_refusal(r) ? cl_hint(err, "or accept it by --without guest-users") : r;
}

int cl_idmap_write(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;

    if (container->rootless && plan->profile == CL_PROFILE_BUILD) {
        int r = cl_userns_map_subids(container->pid, err);

        return is_refusal(r) ? cl_hint(err, "or use --profile strict") : r;
    }
    if (container->rootless)
        return map_caller(container, err);
    return cl_userns_map_range(container->pid_dir, container->start->uid_base, err);
}
