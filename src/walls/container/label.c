/* The host's mandatory access control over the command: an AppArmor profile, entered at
 * exec. Where the host's administrator has loaded the profile cloister-sandbox
 * (packaging/apparmor), every sandbox runs in it. SELinux is selinux.c's.
 * Source: apparmor(7), Documentation/admin-guide/LSM/apparmor.rst, proc(5) on attr.
 */
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

#define PROFILE "cloister-sandbox"

/* Asks for the profile by AppArmor's query file, which is everybody's: 1 it is loaded, 0 it
 * isn't, -errno it can't be asked. A request to enter one that isn't loaded would be
 * refused as well, but each with a line in the kernel's log.
 * Source: libapparmor's aa_query_label, security/apparmor/apparmorfs.c. */
static int query_profile(void)
{
    /* The last byte is the class of what is asked about, files: any will do. */
    static const char query[] = "label\0" PROFILE "\0\002";
    CL_CLEANUP_FD int fd =
        cl_sys_openat(AT_FDCWD, "/sys/kernel/security/apparmor/.access", O_RDWR, 0);

    if (fd < 0)
        return fd;
    ssize_t r = cl_sys_write(fd, query, sizeof(query) - 1);
    return r == -ENOENT ? 0 : r < 0 ? (int)r : 1;
}

/* In the maker: whether to ask for the profile's entry. */
int cl_label_has_apparmor(void)
{
    if (cl_sys_faccessat(AT_FDCWD, "/sys/module/apparmor", F_OK) == -ENOENT &&
        cl_sys_faccessat(AT_FDCWD, "/sys/module", F_OK) == 0)
        return 0;
    return query_profile() != 0;
}

/* Before exec, by the descriptor of the sandbox's own /proc, where a lookup costs 15 us:
 * not on a kernel without AppArmor. Not there: one without it after all (or before 5.8).
 * EINVAL: not enabled. ENOENT: the profile isn't loaded, and the query file couldn't say
 * so (no securityfs). */
int cl_label_take(struct cl_container *container, struct cl_error *err)
{
    static const char request[] = "exec " PROFILE;

    if (!container->has_apparmor || cl_plan_without(container->plan, CL_LAYER_APPARMOR))
        return 0;
    CL_CLEANUP_FD int fd = cl_sys_openat(container->proc, "self/attr/apparmor/exec", O_WRONLY, 0);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return cl_fail(err, fd, "open /proc/self/attr/apparmor/exec");
    int r = cl_write_all(fd, request, sizeof(request) - 1);
    if (r == -EINVAL || r == -ENOENT)
        return 0;
    if (r < 0) {
        (void)cl_fail(err, r, "enter the AppArmor profile " PROFILE);
        return cl_hint(err, "--without apparmor leaves it out");
    }
    cl_layer_up(container, CL_LAYER_APPARMOR);
    return 0;
}
