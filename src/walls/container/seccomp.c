/* The system call filter: which one the command gets, and how one is installed.
 *
 * A profile that the user brought comes over a floor of ours. Both are one program: where
 * the floor allows a call, it goes on into the profile. Two filters would not do: the
 * second could be installed only where the first allows that, and then the command could
 * install more. What the floor refuses is refused with its errno whatever the profile says.
 *
 * Source: seccomp(2), bpf(4) on the instructions.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "walls/container/container.h"
#include "walls/container/seccomp_tables.h"

/* Set-uid bits can be made where images are built, but not on a volume that the host's
 * users see: the file would be set-uid for them. */
static int may_make_setuid(const struct cl_plan *plan)
{
    return plan->profile == CL_PROFILE_BUILD && !cl_plan_has_rw_volume(plan);
}

/* FLOOR with PROFILE behind it. */
static void join(struct sock_filter *ret, const struct cl_seccomp_program *floor,
                 const struct cl_bytes *profile)
{
    for (unsigned int i = 0; i < floor->count; i++) {
        ret[i] = floor->insns[i];
        if (ret[i].code == (BPF_RET | BPF_K) && ret[i].k == SECCOMP_RET_ALLOW)
            ret[i] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, floor->count - i - 1);
    }
    memcpy(ret + floor->count, profile->data, profile->size);
}

static int choose_users(struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    const struct cl_seccomp_program *floor =
        may_make_setuid(plan) ? &cl_seccomp_floor_build : &cl_seccomp_floor;
    size_t count = floor->count + plan->seccomp.size / sizeof(struct sock_filter);

    CL_ASSERT(count <= BPF_MAXINSNS); /* the plan's reader sees to it */
    struct sock_filter *joined = cl_calloc(count, sizeof(*joined));
    if (joined == NULL)
        return cl_fail_memory(err);
    join(joined, floor, &plan->seccomp);
    container->filter = (struct cl_container_filter){joined, count, joined};
    return 0;
}

int cl_seccomp_choose(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const struct cl_plan *plan = container->plan;
    const struct cl_seccomp_program *program =
        may_make_setuid(plan) ? &cl_seccomp_build : &cl_seccomp_strict;

    if (cl_plan_has(plan, CL_FIELD_SECCOMP))
        return choose_users(container, err);
    container->filter = (struct cl_container_filter){program->insns, program->count, NULL};
    return 0;
}

void cl_seccomp_forget(void *context)
{
    struct cl_container *container = context;

    free(container->filter.owned);
    container->filter = (struct cl_container_filter){0};
}

int cl_seccomp_install(const void *instructions, size_t count, struct cl_error *err)
{
    const struct sock_fprog program = {
        .len = (unsigned short)count,
        .filter = cl_unconst(instructions), /* the kernel only reads */
    };
    int r = cl_sys_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);

    return r < 0 ? cl_fail(err, r, "install the system call filter") : 0;
}
