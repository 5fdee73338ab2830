/* The system call filter: which one the command gets, and how one is installed.
 *
 * A profile that the user brought comes over a floor of ours. Both are one program: where
 * the floor allows a call, it goes on into the profile. Two filters would not do: the
 * second could be installed only where the first allows that, and then the command could
 * install more. What the floor refuses is refused with its errno whatever the profile says.
 *
 * Filters are inherited, so init's, of which commands are born later (exec), can't be narrower
 * than the command's. Ours let init do all that it still has to: it takes the command's before
 * that is born, who then has it, too, and the kernel keeps one for all of them. A user's
 * may allow hardly anything: main installs it, and then init one of its own, a short
 * list of ours with the command's filter behind it. Whoever is born of init then puts the
 * command's on top, and may do exactly what the command may: what the list allows, the
 * command's filter decides, and in all else the two are one.
 *
 * Source: seccomp(2), bpf(4) on the instructions.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "policy/seccomp_tables.h"
#include "walls/container/container.h"

/* Set-uid bits can be made where images are built, but not on a volume that the host's
 * users see: the file would be set-uid for them. */
static int may_make_setuid(const struct cl_plan *plan)
{
    return plan->profile == CL_PROFILE_BUILD && !cl_plan_has_rw_volume(plan);
}

/* FIRST with BEHIND behind it, which decides where FIRST would answer ANSWER. */
static void join(struct sock_filter *ret, const struct cl_seccomp_program *first, uint32_t answer,
                 const struct cl_bytes *behind)
{
    for (unsigned int i = 0; i < first->count; i++) {
        ret[i] = first->insns[i];
        if (ret[i].code == (BPF_RET | BPF_K) && ret[i].k == answer)
            ret[i] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, first->count - i - 1);
    }
    memcpy(ret + first->count, behind->data, behind->size);
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
    join(joined, floor, SECCOMP_RET_ALLOW, &plan->seccomp);
    container->filter = (struct cl_container_filter){joined, count, joined};
    return 0;
}

int cl_seccomp_choose(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const struct cl_plan *plan = container->plan;
    const struct cl_seccomp_program *program = cl_has_program(container) ? &cl_seccomp_engine
                                               : may_make_setuid(plan)   ? &cl_seccomp_build
                                                                         : &cl_seccomp_strict;

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

/* Init's own, with the command's joined behind it. */
static int install_joined(const struct cl_container *container, struct cl_error *err)
{
    static struct sock_filter joined[BPF_MAXINSNS]; /* nothing may be allocated here */
    const struct cl_container_filter *filter = &container->filter;
    const struct cl_bytes behind = {filter->instructions, filter->count * sizeof(joined[0])};
    const size_t count = cl_seccomp_init.count + filter->count;

    CL_ASSERT(count <= BPF_MAXINSNS); /* as in choose_users */
    join(joined, &cl_seccomp_init, CL_SECCOMP_NEXT, &behind);
    return cl_seccomp_install(joined, count, err);
}

int cl_seccomp_share(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    return cl_seccomp_is_users(container) ? 0 : cl_seccomp_take(container, err);
}

int cl_seccomp_take(struct cl_container *container, struct cl_error *err)
{
    const struct cl_container_filter *filter = &container->filter;

    if (cl_plan_without(container->plan, CL_LAYER_SECCOMP))
        return 0;
    int r = cl_seccomp_install(filter->instructions, filter->count, err);
    if (r == 0)
        cl_layer_up(container, CL_LAYER_SECCOMP);
    return r;
}

int cl_seccomp_bind_init(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;

    if (!cl_seccomp_is_users(container) || cl_plan_without(plan, CL_LAYER_SECCOMP) ||
        cl_plan_without(plan, CL_LAYER_NO_NEW_PRIVS)) /* without which it takes a capability */
        return 0;
    return install_joined(container, err);
}
