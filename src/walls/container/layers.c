/* Capabilities and securebits: what a process may do, less and less.
 * Source: capabilities(7). */
#include <linux/securebits.h>
#include <sys/prctl.h>

#include "base/sys.h"
#include "walls/container/container.h"

enum { KNOWN_CAPABILITIES = 41 }; /* to CAP_CHECKPOINT_RESTORE, Linux 5.9 */

int cl_capabilities_bound(uint64_t mask, struct cl_error *err)
{
    for (unsigned int cap = 0; cap < 64; cap++) {
        if ((mask & (1ULL << cap)) != 0)
            continue;
        int r = cl_sys_prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
        if (r == -EINVAL && cap >= KNOWN_CAPABILITIES)
            break; /* the kernel has no more */
        if (r < 0)
            return cl_fail(err, r, "drop capability %u from the bounding set", cap);
    }
    int r = cl_sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return r < 0 ? cl_fail(err, r, "clear the ambient capabilities") : 0;
}

/* Both sets of a command born later come from here: what the plan gives to the sandbox's
 * root, and in build what the change to another user takes. CAP_KILL is init's own. */
uint64_t cl_capabilities_kept(const struct cl_plan *plan)
{
    const uint64_t change = 1ULL << CL_CAP_SETGID | 1ULL << CL_CAP_SETUID;

    return plan->capabilities | (plan->profile == CL_PROFILE_BUILD ? change : 0) |
           1ULL << CL_CAP_KILL;
}

/* They are the plan's root's, or, where there is none, of the worker that we execute. */
uint64_t cl_capabilities_lasting(const struct cl_plan *plan)
{
    return plan->profile == CL_PROFILE_BUILD ? 0 : plan->capabilities;
}

int cl_capabilities_last(uint64_t mask, struct cl_error *err)
{
    int r = cl_capabilities_take(mask, mask, mask, err);

    for (unsigned long cap = 0; r == 0 && cap < KNOWN_CAPABILITIES; cap++) {
        if ((mask & (1ULL << cap)) != 0)
            r = cl_sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
        if (r < 0)
            return cl_fail(err, r, "keep capability %lu over the exec", cap);
    }
    return r;
}

int cl_capabilities_set(uint64_t mask, struct cl_error *err)
{
    return cl_capabilities_keep(mask, mask, err);
}

int cl_capabilities_keep(uint64_t permitted, uint64_t effective, struct cl_error *err)
{
    return cl_capabilities_take(permitted, effective, 0, err);
}

int cl_capabilities_take(uint64_t permitted, uint64_t effective, uint64_t inheritable,
                         struct cl_error *err)
{
    const struct cl_cap_header header = {.version = CL_CAP_VERSION_3};
    const struct cl_cap_data data[2] = {
        {.effective = (uint32_t)effective,
         .permitted = (uint32_t)permitted,
         .inheritable = (uint32_t)inheritable},
        {.effective = (uint32_t)(effective >> 32),
         .permitted = (uint32_t)(permitted >> 32),
         .inheritable = (uint32_t)(inheritable >> 32)},
    };
    int r = cl_sys_capset(&header, data);

    return r < 0 ? cl_fail(err, r, "set the capabilities") : 0;
}

/* strict: being uid 0 means nothing. build: root has the profile's capabilities by
 * the ordinary rule, within the bounding set, and may keep them when it becomes another
 * uid, until its next exec (PR_SET_KEEPCAPS): setpriv(1) does, and daemons that give
 * root up. Ambient capabilities only those that our own worker has. */
int cl_securebits_lock(const struct cl_plan *plan, struct cl_error *err)
{
    unsigned long bits = SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED |
                         SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NOROOT_LOCKED;

    if (cl_capabilities_lasting(plan) != 0)
        bits &= ~(unsigned long)SECBIT_NO_CAP_AMBIENT_RAISE;
    if (plan->profile != CL_PROFILE_BUILD || plan->capabilities == 0)
        bits |= SECBIT_NOROOT | SECBIT_KEEP_CAPS_LOCKED;
    int r = cl_sys_prctl(PR_SET_SECUREBITS, bits, 0, 0, 0);
    return r < 0 ? cl_fail(err, r, "lock the securebits") : 0;
}
