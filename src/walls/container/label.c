/* The host's mandatory access control over the command: an AppArmor profile, entered at
 * exec. Where AppArmor is on, every sandbox runs in the profile cloister-sandbox
 * (packaging/apparmor). SELinux is selinux.c's.
 * Source: apparmor(7), Documentation/admin-guide/LSM/apparmor.rst, proc(5) on attr.
 */
#include "base/apparmor.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

static int refuse_unloaded(struct cl_error *err)
{
    return cl_refuse(err, ENOENT,
                     "AppArmor is on, but its profile " CL_APPARMOR_PROFILE
                     " isn't loaded; " CL_APPARMOR_CURE);
}

int cl_label_decide(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    container->has_apparmor = 0;
    if (cl_plan_without(container->plan, CL_LAYER_APPARMOR))
        return 0;
    switch (cl_apparmor_look()) {
    case CL_APPARMOR_NONE:
        return 0;
    case CL_APPARMOR_UNLOADED:
        return refuse_unloaded(err);
    case CL_APPARMOR_READY:
    case CL_APPARMOR_UNKNOWN:
        break;
    }
    container->has_apparmor = 1;
    return 0;
}

/* Before exec, by the descriptor of the sandbox's own /proc, where a lookup costs 15 us:
 * not on a kernel without AppArmor. Not there: one without it after all. EINVAL: not
 * enabled. ENOENT: the profile isn't loaded, and nobody could say so before. */
int cl_label_take(struct cl_container *container, struct cl_error *err)
{
    static const char request[] = "exec " CL_APPARMOR_PROFILE;

    if (!container->has_apparmor)
        return 0;
    CL_CLEANUP_FD int fd = cl_sys_openat(container->proc, "self/attr/apparmor/exec", O_WRONLY, 0);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return cl_fail(err, fd, "open /proc/self/attr/apparmor/exec");
    int r = cl_write_all(fd, request, sizeof(request) - 1);
    if (r == -EINVAL)
        return 0;
    if (r == -ENOENT)
        return refuse_unloaded(err);
    if (r < 0) {
        (void)cl_fail(err, r, "enter the AppArmor profile " CL_APPARMOR_PROFILE);
        return cl_hint(err, "--without apparmor leaves it out");
    }
    cl_layer_up(container, CL_LAYER_APPARMOR);
    return 0;
}
