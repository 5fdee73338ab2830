#include "base/seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/sys.h"

int cl_seccomp_install(const void *instructions, size_t count, struct cl_error *err)
{
    const struct sock_fprog program = {
        .len = (unsigned short)count,
        .filter = cl_unconst(instructions), /* the kernel only reads */
    };
    int r = cl_sys_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);

    return r < 0 ? cl_fail(err, r, "install the system call filter") : 0;
}
