#include "base/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/sys.h"

static int install(const void *instructions, size_t count, unsigned int flags, struct cl_error *err)
{
    const struct sock_fprog program = {
        .len = (unsigned short)count,
        .filter = cl_unconst(instructions), /* the kernel only reads */
    };
    int r = cl_sys_seccomp(SECCOMP_SET_MODE_FILTER, flags, &program);

    if (r > 0) /* a thread that has another filter */
        return cl_refuse(err, ESRCH, "install the system call filter on the thread %d", r);
    return r < 0 ? cl_fail(err, r, "install the system call filter") : 0;
}

int cl_seccomp_install(const void *instructions, size_t count, struct cl_error *err)
{
    return install(instructions, count, 0, err);
}

int cl_seccomp_install_on_all(const void *instructions, size_t count, struct cl_error *err)
{
    return install(instructions, count, SECCOMP_FILTER_FLAG_TSYNC, err);
}
