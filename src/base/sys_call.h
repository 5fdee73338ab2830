/* sys_call.h - how a system call is made: base/sys.h's own. */
#ifndef CL_BASE_SYS_CALL_H
#define CL_BASE_SYS_CALL_H

#include <sched.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/sys_abi.h"

#ifdef CL_FAULTS
/* 0: the call is to be made. Else what it returns now instead: -errno, or a result. */
int cl_fault_syscall(long nr);
#else
static inline int cl_fault_syscall(CL_UNUSED long nr)
{
    return 0;
}
#endif

/* A system call's shape is the kernel's. */
// NOLINTNEXTLINE(readability-function-size)
static inline long cl_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    int fault = cl_fault_syscall(nr);

    if (fault != 0)
        return fault;
    int saved = errno;
    long result = syscall(nr, a, b, c, d, e, f);
    if (result == -1) {
        result = -errno;
        errno = saved;
    }
    return result;
}

#ifdef __clang_analyzer__
/* Seen without the casts, which hide that the kernel writes where an argument points. */
long cl_syscall_opaque(long nr, ...);
#define CL_SYS6 cl_syscall_opaque
#else
#define CL_ARG(x) ((long)(x))
#define CL_SYS6(nr, a, b, c, d, e, f)                                                              \
    cl_syscall(nr, CL_ARG(a), CL_ARG(b), CL_ARG(c), CL_ARG(d), CL_ARG(e), CL_ARG(f))
#endif
#define CL_SYS5(nr, a, b, c, d, e) CL_SYS6(nr, a, b, c, d, e, 0)
#define CL_SYS4(nr, a, b, c, d) CL_SYS6(nr, a, b, c, d, 0, 0)
#define CL_SYS3(nr, a, b, c) CL_SYS6(nr, a, b, c, 0, 0, 0)
#define CL_SYS2(nr, a, b) CL_SYS6(nr, a, b, 0, 0, 0, 0)
#define CL_SYS1(nr, a) CL_SYS6(nr, a, 0, 0, 0, 0, 0)
#define CL_SYS0(nr) CL_SYS6(nr, 0, 0, 0, 0, 0, 0)

#endif
