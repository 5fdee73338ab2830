#include "base/sys.h"

#include <sys/mman.h>
#include <sys/timerfd.h>

#ifndef CL_FAULTS
#define RETURN_FAULT(nr) ((void)0)
#else
#define RETURN_FAULT(nr)                                                                           \
    do {                                                                                           \
        int fault = cl_fault_syscall(nr);                                                          \
        if (fault != 0)                                                                            \
            return fault;                                                                          \
    } while (0)
#endif

static long result_of(long result)
{
    return result < 0 ? -errno : result;
}

int cl_sys_fstat(int fd, struct stat *ret)
{
    RETURN_FAULT(SYS_fstat);
    return (int)result_of(fstat(fd, ret));
}

int cl_sys_fstatat(int dirfd, const char *path, struct stat *ret, int flags)
{
    RETURN_FAULT(SYS_newfstatat);
    return (int)result_of(fstatat(dirfd, path, ret, flags));
}

int cl_sys_fstatfs(int fd, struct statfs *ret)
{
    RETURN_FAULT(SYS_fstatfs);
    return (int)result_of(fstatfs(fd, ret));
}

int cl_sys_statfs(const char *path, struct statfs *ret)
{
    RETURN_FAULT(SYS_statfs);
    return (int)result_of(statfs(path, ret));
}

pid_t cl_sys_clone_beside(int (*fn)(void *context), void *stack_top, int flags, void *context)
{
    RETURN_FAULT(SYS_clone);
    return (pid_t)result_of(clone(fn, stack_top, flags, context));
}

int cl_sys_poll(struct pollfd *fds, size_t count, int timeout_ms)
{
    RETURN_FAULT(CL_SYS_POLL);
    return (int)result_of(poll(fds, count, timeout_ms));
}

int cl_sys_timerfd_settime(int fd, int flags, const struct itimerspec *spec)
{
    RETURN_FAULT(SYS_timerfd_settime);
    return (int)result_of(timerfd_settime(fd, flags, spec, NULL));
}

int cl_sys_timerfd_gettime(int fd, struct itimerspec *ret)
{
    RETURN_FAULT(SYS_timerfd_gettime);
    return (int)result_of(timerfd_gettime(fd, ret));
}

ssize_t cl_sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    RETURN_FAULT(SYS_sendmsg);
    return (ssize_t)result_of(sendmsg(fd, message, flags | MSG_NOSIGNAL));
}

ssize_t cl_sys_recvmsg(int fd, struct msghdr *message, int flags)
{
    RETURN_FAULT(SYS_recvmsg);
    return (ssize_t)result_of(recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC));
}

int cl_sys_mmap_shared(size_t size, void **ret)
{
    RETURN_FAULT(SYS_mmap);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return -errno;
    *ret = page;
    return 0;
}

int cl_sys_wait_for(pid_t pid, int *ret_status)
{
    pid_t r;

    do
        r = cl_sys_wait4(pid, ret_status, 0, NULL);
    while (r == -EINTR);
    return r < 0 ? r : 0;
}
