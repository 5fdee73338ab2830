#include "containerd/stdio.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"

/* "file:///path": what there is stays. Nobody would read from a FIFO of that name for us. */
static int open_file(const char *path, struct cl_error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK;
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, flags, 0600);
    struct stat st;
    int r = fd < 0 ? fd : cl_sys_fstat(fd, &st);

    if (r < 0)
        return cl_fail(err, r, "open %.200s", path);
    if (S_ISFIFO(st.st_mode))
        return cl_refuse(err, EINVAL, "file://%.200s is a FIFO", path);
    r = cl_sys_fcntl(fd, F_SETFL, O_APPEND);
    return r < 0 ? cl_fail(err, r, "open %.200s", path) : CL_TAKE_FD(fd);
}

static int open_fifo(int is_input, const char *path, struct cl_error *err)
{
    const int flags = is_input ? O_RDONLY : O_RDWR;
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, flags | O_NONBLOCK | O_NOCTTY, 0);
    struct stat st;

    if (fd < 0)
        return cl_fail(err, fd, "open %.200s", path);
    int r = cl_sys_fstat(fd, &st);
    if (r < 0)
        return cl_fail(err, r, "look at %.200s", path);
    if (!S_ISFIFO(st.st_mode))
        return cl_refuse(err, EINVAL, "%.200s is no FIFO", path);
    return CL_TAKE_FD(fd);
}

int cl_containerd_open_stream(int is_input, const char *path, struct cl_error *err)
{
    if (!is_input && strncmp(path, "file://", 7) == 0)
        return open_file(path + 7, err);
    if (strncmp(path, "fifo://", 7) == 0)
        path += 7;
    if (path[0] != '/')
        return cl_refuse(err, ENOTSUP,
                         "standard %s: \"%.100s\" is no FIFO's path, and no file:// URI",
                         is_input ? "input" : "output", path);
    return open_fifo(is_input, path, err);
}
