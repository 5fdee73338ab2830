#include "base/selinux.h"

#include <string.h>

#include "base/fd.h"
#include "base/sys.h"

#define SELINUXFS "/sys/fs/selinux/"

/* The first byte of a file, 0 for an empty one, or -errno. */
static int read_switch(const char *path)
{
    char value = '\0';
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);

    if (fd < 0)
        return fd;
    ssize_t got = cl_sys_read(fd, &value, 1);
    return got < 0 ? (int)got : value;
}

int cl_selinux_mode(void)
{
    int enforcing = read_switch(SELINUXFS "enforce");

    if (enforcing == -ENOENT || enforcing == -ENOTDIR || enforcing == 0)
        return CL_SELINUX_NONE;
    if (enforcing < 0)
        return enforcing;
    return enforcing == '1' ? CL_SELINUX_ENFORCING : CL_SELINUX_PERMISSIVE;
}

int cl_selinux_has_levels(void)
{
    int levels = read_switch(SELINUXFS "mls");

    return levels < 0 ? levels : levels == '1';
}

/* The kernel answers what is written with the context as it understood it: another one
 * where no policy is loaded yet. */
int cl_selinux_knows(const char *context)
{
    char answer[CL_SELINUX_CONTEXT_MAX] = "";
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, SELINUXFS "context", O_RDWR, 0);

    if (fd < 0)
        return fd;
    ssize_t r = cl_sys_write(fd, context, strlen(context));
    if (r == -EINVAL)
        return 0;
    if (r >= 0)
        r = cl_sys_pread(fd, answer, sizeof(answer) - 1, 0);
    return r < 0 ? (int)r : strcmp(answer, context) == 0;
}
