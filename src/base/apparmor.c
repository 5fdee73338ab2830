#include "base/apparmor.h"

#include "base/fd.h"
#include "base/sys.h"

/* By AppArmor's query file, which is everybody's. A request to enter a profile that isn't
 * loaded would be refused as well, but each with a line in the kernel's log. */
static enum cl_apparmor query_profile(void)
{
    /* The last byte is the class of what is asked about, files: any will do. */
    static const char query[] = "label\0" CL_APPARMOR_PROFILE "\0\002";
    CL_CLEANUP_FD int fd =
        cl_sys_openat(AT_FDCWD, "/sys/kernel/security/apparmor/.access", O_RDWR, 0);

    if (fd < 0)
        return CL_APPARMOR_UNKNOWN;
    ssize_t r = cl_sys_write(fd, query, sizeof(query) - 1);
    if (r == -ENOENT)
        return CL_APPARMOR_UNLOADED;
    return r < 0 ? CL_APPARMOR_UNKNOWN : CL_APPARMOR_READY;
}

enum cl_apparmor cl_apparmor_look(void)
{
    if (cl_sys_faccessat(AT_FDCWD, "/sys/module/apparmor", F_OK) == -ENOENT &&
        cl_sys_faccessat(AT_FDCWD, "/sys/module", F_OK) == 0)
        return CL_APPARMOR_NONE;
    return query_profile();
}
