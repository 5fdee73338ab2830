#include "base/boot.h"

#include "base/fd.h"
#include "base/sys.h"

int cl_boot_id(char ret[CL_BOOT_ID_SIZE], struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
    ssize_t got = fd < 0 ? fd : cl_sys_read(fd, ret, CL_BOOT_ID_SIZE - 1);

    if (got < 0)
        return cl_fail(err, (int)got, "read this boot's id");
    ret[got] = '\0';
    return 0;
}
