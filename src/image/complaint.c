#include "image/complaint.h"

#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "base/utf8.h"

int cl_complaint_file(struct cl_error *err)
{
    enum { CLOEXEC = 1, ALLOW_SEALING = 2 };
    CL_CLEANUP_FD int fd = cl_sys_memfd_create("complaint", CLOEXEC | ALLOW_SEALING);
    int r = fd;

    if (r >= 0)
        r = cl_sys_ftruncate(fd, CL_COMPLAINT_SIZE);
    if (r >= 0) /* whoever is taken over can't fill the memory with it */
        r = cl_sys_fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    return r < 0 ? cl_fail(err, r, "make a file of memory") : CL_TAKE_FD(fd);
}

void cl_complaint_read(int file, char ret[CL_COMPLAINT_SIZE])
{
    ssize_t got = cl_sys_pread(file, ret, CL_COMPLAINT_SIZE - 1, 0);

    ret[got < 0 ? 0 : got] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    cl_utf8_make_printable(ret);
}
