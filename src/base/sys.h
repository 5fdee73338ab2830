/* sys.h - the system calls Cloister makes, each as a typed function that returns
 * >= 0 or -errno and leaves errno alone.
 *
 * Everything that can fail while a sandbox is made goes through here, for two
 * reasons: the kernel's convention (one return value) reads better in a list of
 * steps, and the fault build (-DCL_FAULTS) can fail any one of the calls, to show
 * that each failure is reported and undone, and pretend that a kernel lacks one.
 *
 * Sources: the man pages of section 2; the numbers and structures of calls newer
 * than the build host's headers are spelled in sys_abi.h with their version.
 */
#ifndef CL_BASE_SYS_H
#define CL_BASE_SYS_H

#include <sched.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* --- files ------------------------------------------------------------- */

static inline int cl_sys_openat(int dirfd, const char *path, int flags, mode_t mode)
{
    return (int)CL_SYS4(SYS_openat, dirfd, path, flags | O_CLOEXEC, mode);
}

static inline int cl_sys_openat2(int dirfd, const char *path, const struct cl_open_how *how)
{
    return (int)CL_SYS4(SYS_openat2, dirfd, path, how, sizeof(*how));
}

static inline ssize_t cl_sys_read(int fd, void *data, size_t size)
{
    return (ssize_t)CL_SYS3(SYS_read, fd, data, size);
}

static inline ssize_t cl_sys_write(int fd, const void *data, size_t size)
{
    return (ssize_t)CL_SYS3(SYS_write, fd, data, size);
}

static inline ssize_t cl_sys_pread(int fd, void *data, size_t size, off_t offset)
{
    return (ssize_t)CL_SYS4(SYS_pread64, fd, data, size, offset);
}

static inline int cl_sys_mkdirat(int dirfd, const char *path, mode_t mode)
{
    return (int)CL_SYS3(SYS_mkdirat, dirfd, path, mode);
}

static inline int cl_sys_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
    return (int)CL_SYS4(SYS_mknodat, dirfd, path, mode, dev);
}

static inline int cl_sys_symlinkat(const char *target, int dirfd, const char *path)
{
    return (int)CL_SYS3(SYS_symlinkat, target, dirfd, path);
}

static inline ssize_t cl_sys_readlinkat(int dirfd, const char *path, char *text, size_t size)
{
    return (ssize_t)CL_SYS4(SYS_readlinkat, dirfd, path, text, size);
}

static inline int cl_sys_unlinkat(int dirfd, const char *path, int flags)
{
    return (int)CL_SYS3(SYS_unlinkat, dirfd, path, flags);
}

static inline int cl_sys_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return (int)CL_SYS5(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

static inline int cl_sys_fchown(int fd, uid_t uid, gid_t gid)
{
    return (int)CL_SYS3(SYS_fchown, fd, uid, gid);
}

static inline int cl_sys_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
    return (int)CL_SYS5(SYS_fchownat, dirfd, path, uid, gid, flags);
}

static inline int cl_sys_fchmod(int fd, mode_t mode)
{
    return (int)CL_SYS2(SYS_fchmod, fd, mode);
}

/* Returns where a filter refuses it. */
static inline int cl_sys_exit_group(int status)
{
    return (int)CL_SYS1(SYS_exit_group, status);
}

static inline mode_t cl_sys_umask(mode_t mask)
{
    return (mode_t)CL_SYS1(SYS_umask, mask);
}

static inline int cl_sys_ftruncate(int fd, off_t size)
{
    return (int)CL_SYS2(SYS_ftruncate, fd, size);
}

static inline ssize_t cl_sys_getxattr(const char *path, const char *name, void *value, size_t size)
{
    return CL_SYS4(SYS_getxattr, path, name, value, size);
}

static inline int cl_sys_faccessat(int dirfd, const char *path, int mode)
{
    return (int)CL_SYS3(SYS_faccessat, dirfd, path, mode);
}

/* fstat and friends go through libc: the kernel's struct stat differs from its. */
int cl_sys_fstat(int fd, struct stat *ret);
int cl_sys_fstatat(int dirfd, const char *path, struct stat *ret, int flags);
int cl_sys_fstatfs(int fd, struct statfs *ret);
int cl_sys_statfs(const char *path, struct statfs *ret);

static inline ssize_t cl_sys_getdents64(int fd, void *data, size_t size)
{
    return (ssize_t)CL_SYS3(SYS_getdents64, fd, data, size);
}

static inline int cl_sys_flock(int fd, int operation)
{
    return (int)CL_SYS2(SYS_flock, fd, operation);
}

static inline int cl_sys_fcntl(int fd, int command, long arg)
{
    return (int)CL_SYS3(SYS_fcntl, fd, command, arg);
}

static inline int cl_sys_fcntl_lock(int fd, int command, struct flock *lock)
{
    return (int)CL_SYS3(SYS_fcntl, fd, command, lock);
}

static inline int cl_sys_dup3(int from, int to, int flags)
{
    return (int)CL_SYS3(SYS_dup3, from, to, flags);
}

static inline int cl_sys_pipe2(int ret_fds[2], int flags)
{
    return (int)CL_SYS2(SYS_pipe2, ret_fds, flags | O_CLOEXEC);
}

static inline ssize_t cl_sys_sendfile(int out, int in, size_t size)
{
    return (ssize_t)CL_SYS4(SYS_sendfile, out, in, NULL, size);
}

/* SIZE zeroed bytes that this process shares with those it clones: 0 and *RET, or -errno. */
int cl_sys_mmap_shared(size_t size, void **ret);

static inline int cl_sys_memfd_create(const char *name, unsigned int flags)
{
    return (int)CL_SYS2(SYS_memfd_create, name, flags);
}

static inline int cl_sys_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
    return (int)CL_SYS3(SYS_close_range, first, last, flags);
}

/* For requests whose argument is a number. */
static inline int cl_sys_ioctl_number(int fd, unsigned long request, unsigned long number)
{
    return (int)CL_SYS3(SYS_ioctl, fd, request, number);
}

static inline int cl_sys_ioctl(int fd, unsigned long request, void *arg)
{
    return (int)CL_SYS3(SYS_ioctl, fd, request, arg);
}

static inline int cl_sys_chdir(const char *path)
{
    return (int)CL_SYS1(SYS_chdir, path);
}

static inline int cl_sys_fchdir(int fd)
{
    return (int)CL_SYS1(SYS_fchdir, fd);
}

/* --- mounts ------------------------------------------------------------ */

static inline int cl_sys_mount(const char *source, const char *target, const char *type,
                               unsigned long flags, const char *data)
{
    return (int)CL_SYS5(SYS_mount, source, target, type, flags, data);
}

static inline int cl_sys_umount2(const char *target, int flags)
{
    return (int)CL_SYS2(SYS_umount2, target, flags);
}

static inline int cl_sys_statx(int dirfd, const char *path, int flags, unsigned int mask,
                               struct cl_statx *ret)
{
    return (int)CL_SYS5(SYS_statx, dirfd, path, flags, mask, ret);
}

static inline int cl_sys_chroot(const char *path)
{
    return (int)CL_SYS1(SYS_chroot, path);
}

static inline int cl_sys_pivot_root(const char *new_root, const char *put_old)
{
    return (int)CL_SYS2(SYS_pivot_root, new_root, put_old);
}

static inline int cl_sys_open_tree(int dirfd, const char *path, unsigned int flags)
{
    return (int)CL_SYS3(SYS_open_tree, dirfd, path, flags);
}

static inline int cl_sys_move_mount(int from, const char *from_path, int to, const char *to_path,
                                    unsigned int flags)
{
    return (int)CL_SYS5(SYS_move_mount, from, from_path, to, to_path, flags);
}

static inline int cl_sys_fsetxattr(int fd, const char *name, const void *value, size_t size)
{
    return (int)CL_SYS5(SYS_fsetxattr, fd, name, value, size, 0);
}

static inline int cl_sys_mount_setattr(int fd, const char *path, unsigned int flags,
                                       const struct cl_mount_attr *attr)
{
    return (int)CL_SYS5(SYS_mount_setattr, fd, path, flags, attr, sizeof(*attr));
}

static inline int cl_sys_fsopen(const char *type, unsigned int flags)
{
    return (int)CL_SYS2(SYS_fsopen, type, flags);
}

static inline int cl_sys_fsconfig(int fd, unsigned int command, const char *key, const void *value,
                                  int aux)
{
    return (int)CL_SYS5(SYS_fsconfig, fd, command, key, value, aux);
}

static inline int cl_sys_fsmount(int fd, unsigned int flags, unsigned int attributes)
{
    return (int)CL_SYS3(SYS_fsmount, fd, flags, attributes);
}

/* --- processes and credentials ----------------------------------------- */

static inline pid_t cl_sys_clone3(const struct cl_clone_args *args)
{
    return (pid_t)CL_SYS2(SYS_clone3, args, sizeof(*args));
}

/* clone(2) of a process that runs FN(CONTEXT) on the stack that ends at STACK_TOP and ends
 * with what FN returns. Its pid or -errno. */
pid_t cl_sys_clone_beside(int (*fn)(void *context), void *stack_top, int flags, void *context);

static inline int cl_sys_unshare(unsigned long flags)
{
    return (int)CL_SYS1(SYS_unshare, flags);
}

static inline int cl_sys_setns(int fd, int type)
{
    return (int)CL_SYS2(SYS_setns, fd, type);
}

static inline pid_t cl_sys_wait4(pid_t pid, int *ret_status, int options, struct rusage *ret_usage)
{
    return (pid_t)CL_SYS4(SYS_wait4, pid, ret_status, options, ret_usage);
}

/* Waits until the child PID has ended and reaps it, whatever interrupts that: 0 or -errno. */
int cl_sys_wait_for(pid_t pid, int *ret_status);

static inline int cl_sys_waitid(int type, int id, siginfo_t *ret_info, int options)
{
    return (int)CL_SYS5(SYS_waitid, type, id, ret_info, options, NULL);
}

static inline int cl_sys_kill(pid_t pid, int signal)
{
    return (int)CL_SYS2(SYS_kill, pid, signal);
}

static inline int cl_sys_pidfd_open(pid_t pid)
{
    return (int)CL_SYS2(SYS_pidfd_open, pid, 0);
}

static inline int cl_sys_pidfd_send_signal(int pidfd, int signal)
{
    return (int)CL_SYS4(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

static inline int cl_sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
                               unsigned long d)
{
    return (int)CL_SYS5(SYS_prctl, option, a, b, c, d);
}

static inline int cl_sys_capset(const struct cl_cap_header *header,
                                const struct cl_cap_data data[2])
{
    return (int)CL_SYS2(SYS_capset, header, data);
}

/* The effective id alone; the real and the saved one stay. */
static inline int cl_sys_seteuid(uid_t uid)
{
    return (int)CL_SYS3(SYS_setresuid, -1, uid, -1);
}

static inline int cl_sys_capget(const struct cl_cap_header *header, struct cl_cap_data *ret)
{
    return (int)CL_SYS2(SYS_capget, header, ret);
}

static inline int cl_sys_setresuid(uid_t uid)
{
    return (int)CL_SYS3(SYS_setresuid, uid, uid, uid);
}

static inline int cl_sys_setresgid(gid_t gid)
{
    return (int)CL_SYS3(SYS_setresgid, gid, gid, gid);
}

static inline int cl_sys_setgroups(size_t count, const gid_t *groups)
{
    return (int)CL_SYS2(SYS_setgroups, count, groups);
}

/* The processor this thread runs on. Not by the vDSO, as clock.c says why. */
static inline int cl_sys_getcpu(void)
{
    unsigned int cpu = 0;
    int r = (int)CL_SYS3(SYS_getcpu, &cpu, NULL, NULL);

    return r < 0 ? r : (int)cpu;
}

static inline int cl_sys_sched_getaffinity(pid_t pid, cpu_set_t *ret)
{
    return (int)CL_SYS3(SYS_sched_getaffinity, pid, sizeof(*ret), ret);
}

static inline int cl_sys_sched_setaffinity(pid_t pid, const cpu_set_t *set)
{
    return (int)CL_SYS3(SYS_sched_setaffinity, pid, sizeof(*set), set);
}

/* The policy, SCHED_*, of this process. */
static inline int cl_sys_sched_getscheduler(void)
{
    return (int)CL_SYS1(SYS_sched_getscheduler, 0);
}

static inline int cl_sys_sched_setscheduler(int policy, const struct sched_param *param)
{
    return (int)CL_SYS3(SYS_sched_setscheduler, 0, policy, param);
}

/* This process's nice value as the kernel tells it: 20 less the value, 1 to 40. */
static inline int cl_sys_getpriority(void)
{
    return (int)CL_SYS2(SYS_getpriority, PRIO_PROCESS, 0);
}

static inline int cl_sys_setpriority(int nice)
{
    return (int)CL_SYS3(SYS_setpriority, PRIO_PROCESS, 0, nice);
}

/* ioprio_set(2) of this process: a class << CL_IOPRIO_CLASS_SHIFT, and data. */
static inline int cl_sys_ioprio_get(void)
{
    return (int)CL_SYS2(SYS_ioprio_get, CL_IOPRIO_WHO_PROCESS, 0);
}

static inline int cl_sys_ioprio_set(int value)
{
    return (int)CL_SYS3(SYS_ioprio_set, CL_IOPRIO_WHO_PROCESS, 0, value);
}

static inline int cl_sys_setsid(void)
{
    return (int)CL_SYS0(SYS_setsid);
}

static inline int cl_sys_sethostname(const char *name, size_t size)
{
    return (int)CL_SYS2(SYS_sethostname, name, size);
}

static inline long cl_sys_keyctl(int operation, unsigned long a)
{
    return CL_SYS2(SYS_keyctl, operation, a);
}

static inline int cl_sys_seccomp(unsigned int operation, unsigned int flags, const void *args)
{
    return (int)CL_SYS3(SYS_seccomp, operation, flags, args);
}

static inline int cl_sys_landlock_create_ruleset(const struct cl_landlock_ruleset_attr *attr,
                                                 size_t size, unsigned int flags)
{
    return (int)CL_SYS3(SYS_landlock_create_ruleset, attr, size, flags);
}

static inline int cl_sys_landlock_add_rule(int ruleset, int type, const void *attr)
{
    return (int)CL_SYS4(SYS_landlock_add_rule, ruleset, type, attr, 0);
}

static inline int cl_sys_landlock_restrict_self(int ruleset)
{
    return (int)CL_SYS2(SYS_landlock_restrict_self, ruleset, 0);
}

static inline int cl_sys_prlimit(pid_t pid, int resource, const struct cl_rlimit64 *limit,
                                 struct cl_rlimit64 *ret_old)
{
    return (int)CL_SYS4(SYS_prlimit64, pid, resource, limit, ret_old);
}

static inline int cl_sys_execve(const char *path, char *const argv[], char *const envp[])
{
    return (int)CL_SYS3(SYS_execve, path, argv, envp);
}

static inline int cl_sys_execveat(int dirfd, const char *path, char *const argv[],
                                  char *const envp[], int flags)
{
    return (int)CL_SYS5(SYS_execveat, dirfd, path, argv, envp, flags);
}

/* The kernel's struct sigaction, all zero, is SIG_DFL on every architecture. */
static inline int cl_sys_signal_default(int signal)
{
    const uint64_t action[8] = {0};

    return (int)CL_SYS4(SYS_rt_sigaction, signal, action, NULL, sizeof(uint64_t));
}

static inline int cl_sys_signal_ignore(int signal)
{
    const uint64_t action[8] = {1}; /* SIG_IGN */

    return (int)CL_SYS4(SYS_rt_sigaction, signal, action, NULL, sizeof(uint64_t));
}

/* Whether SIGNAL is ignored: 1, 0 or -errno. The first word is the handler. */
static inline int cl_sys_signal_ignored(int signal)
{
    uint64_t action[8] = {0};
    int r = (int)CL_SYS4(SYS_rt_sigaction, signal, NULL, action, sizeof(uint64_t));

    return r < 0 ? r : action[0] == 1; /* SIG_IGN */
}

static inline int cl_sys_rt_sigprocmask(int how, const uint64_t *set, uint64_t *ret_old)
{
    return (int)CL_SYS4(SYS_rt_sigprocmask, how, set, ret_old, sizeof(*set));
}

static inline ssize_t cl_sys_getrandom(void *data, size_t size)
{
    return (ssize_t)CL_SYS3(SYS_getrandom, data, size, 0);
}

/* --- events and sockets ------------------------------------------------ */

static inline int cl_sys_epoll_create(void)
{
    return (int)CL_SYS1(SYS_epoll_create1, EPOLL_CLOEXEC);
}

static inline int cl_sys_epoll_ctl(int epfd, int operation, int fd, struct epoll_event *event)
{
    return (int)CL_SYS4(SYS_epoll_ctl, epfd, operation, fd, event);
}

static inline int cl_sys_epoll_wait(int epfd, struct epoll_event *events, int count, int timeout_ms)
{
    return (int)CL_SYS6(SYS_epoll_pwait, epfd, events, count, timeout_ms, NULL, 8);
}

/* poll goes through libc, which has it of ppoll where the kernel has no other. */
int cl_sys_poll(struct pollfd *fds, size_t count, int timeout_ms);

static inline int cl_sys_signalfd(const uint64_t *mask)
{
    return (int)CL_SYS4(SYS_signalfd4, -1, mask, sizeof(*mask), 02000000 | 04000);
}

static inline int cl_sys_timerfd_create(int clock)
{
    return (int)CL_SYS2(SYS_timerfd_create, clock, 02000000 | 04000);
}

/* timerfd_settime goes through libc for struct itimerspec. */
int cl_sys_timerfd_settime(int fd, int flags, const struct itimerspec *spec);

static inline int cl_sys_socketpair(int type, int ret_fds[2])
{
    return (int)CL_SYS4(SYS_socketpair, AF_UNIX, type | SOCK_CLOEXEC, 0, ret_fds);
}

static inline int cl_sys_socket(int domain, int type, int protocol)
{
    return (int)CL_SYS3(SYS_socket, domain, type | SOCK_CLOEXEC, protocol);
}

static inline ssize_t cl_sys_recv(int fd, void *data, size_t size, int flags)
{
    return (ssize_t)CL_SYS6(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
}

static inline ssize_t cl_sys_send(int fd, const void *data, size_t size, int flags)
{
    return (ssize_t)CL_SYS6(SYS_sendto, fd, data, size, flags | MSG_NOSIGNAL, NULL, 0);
}

ssize_t cl_sys_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t cl_sys_recvmsg(int fd, struct msghdr *message, int flags);

#endif
