#include "base/hostdir.h"

#include "base/fd.h"
#include "base/sys.h"

int cl_hostdir_open(void)
{
    return cl_rootdir_open(CL_HOSTDIR, 0711, 022);
}

int cl_hostdir_make_file(void)
{
    CL_CLEANUP_FD int dir = cl_hostdir_open();

    return dir < 0 ? dir : cl_sys_openat(dir, ".", O_RDWR | O_TMPFILE, 0600);
}

int cl_rootdir_open(const char *path, mode_t mode, mode_t forbidden)
{
    struct stat st;
    int r = cl_sys_mkdirat(AT_FDCWD, path, mode);

    if (r < 0 && r != -EEXIST)
        return r;
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (dir < 0)
        return dir;
    r = cl_sys_fstat(dir, &st);
    if (r < 0)
        return r;
    if (st.st_uid != 0 || (st.st_mode & forbidden) != 0)
        return -EPERM;
    return CL_TAKE_FD(dir);
}
