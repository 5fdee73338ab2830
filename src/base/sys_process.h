/* sys_process.h - the calls on processes, credentials, events and sockets: base/sys.h's own. */
#ifndef CL_BASE_SYS_PROCESS_H
#define CL_BASE_SYS_PROCESS_H

#include "base/sys_call.h"

/* --- processes and credentials ----------------------------------------- */

static inline pid_t cl_sys_clone3(const struct cl_clone_args *args)
{
    return (pid_t)CL_SYS2(SYS_clone3, args, sizeof(*args));
}

/* clone(2) of a process that runs FN(CONTEXT) on the stack that ends at STACK_TOP and ends
 * with what FN returns. Its pid or -errno. */
pid_t cl_sys_clone_beside(int (*fn)(void *context), void *stack_top, int flags, void *context);

/* fork(2) with a pidfd, Linux 5.2: 0 in the child. By clone(2), whose flags a filter can read. */
static inline pid_t cl_sys_fork(int *ret_pidfd)
{
    return (pid_t)CL_SYS5(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, ret_pidfd, NULL, NULL);
}

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

/* Linux 5.6 */
static inline int cl_sys_pidfd_getfd(int pidfd, int fd)
{
    return (int)CL_SYS3(SYS_pidfd_getfd, pidfd, fd, 0);
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

/* Says who it was, and nothing else. Files and what is made of them are of that user then; a change
 * of the effective one is one of this, too. */
static inline int cl_sys_setfsuid(uid_t uid)
{
    return (int)CL_SYS1(SYS_setfsuid, uid);
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

static inline int cl_sys_sched_setattr(const struct cl_sched_attr *attr)
{
    return (int)CL_SYS3(SYS_sched_setattr, 0, attr, 0);
}

static inline int cl_sys_personality(unsigned long domain)
{
    return (int)CL_SYS1(SYS_personality, domain);
}

static inline int cl_sys_setdomainname(const char *name, size_t size)
{
    return (int)CL_SYS2(SYS_setdomainname, name, size);
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

/* bpf(2); ATTR is a union bpf_attr. */
static inline int cl_sys_bpf(int command, void *attr, size_t size)
{
    return (int)CL_SYS3(SYS_bpf, command, attr, size);
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

/* The C library's struct timespec is the kernel's where both have 64 bits. */
static inline int cl_sys_clock_gettime(clockid_t clock, struct timespec *ret)
{
    return (int)CL_SYS2(SYS_clock_gettime, clock, ret);
}

static inline int cl_sys_clock_getres(clockid_t clock, struct timespec *ret)
{
    return (int)CL_SYS2(SYS_clock_getres, clock, ret);
}

static inline int cl_sys_sched_yield(void)
{
    return (int)CL_SYS0(SYS_sched_yield);
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

/* Like close(), no call that may fail for a descriptor that is in it: the kernel needs nothing for
 * it, and whoever was not removed would be told of events in memory that is no longer theirs. */
static inline void cl_sys_epoll_remove(int epfd, int fd)
{
    (void)epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
}

static inline int cl_sys_epoll_wait(int epfd, struct epoll_event *events, int count, int timeout_ms)
{
    return (int)CL_SYS6(SYS_epoll_pwait, epfd, events, count, timeout_ms, NULL, 8);
}

/* TIMEOUT: NULL for ever. */
static inline int cl_sys_epoll_wait_for(int epfd, struct epoll_event *events, int count,
                                        const struct timespec *timeout)
{
    return (int)CL_SYS6(SYS_epoll_pwait2, epfd, events, count, timeout, NULL, 8);
}

/* By CLOCK_MONOTONIC: SIGALRM now and again. */
static inline int cl_sys_setitimer_real(const struct itimerval *value)
{
    return (int)CL_SYS3(SYS_setitimer, ITIMER_REAL, value, NULL);
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

/* Through libc for struct itimerspec. */
int cl_sys_timerfd_settime(int fd, int flags, const struct itimerspec *spec);
int cl_sys_timerfd_gettime(int fd, struct itimerspec *ret);

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

static inline int cl_sys_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    return (int)CL_SYS3(SYS_bind, fd, address, size);
}

static inline int cl_sys_listen(int fd, int backlog)
{
    return (int)CL_SYS2(SYS_listen, fd, backlog);
}

static inline int cl_sys_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    return (int)CL_SYS3(SYS_connect, fd, address, size);
}

/* FLAGS are those of socket(2)'s type; close-on-exec always. */
static inline int cl_sys_accept(int fd, int flags)
{
    return (int)CL_SYS4(SYS_accept4, fd, NULL, NULL, flags | SOCK_CLOEXEC);
}

static inline int cl_sys_shutdown(int fd, int how)
{
    return (int)CL_SYS2(SYS_shutdown, fd, how);
}

static inline int cl_sys_getsockname(int fd, struct sockaddr *ret, socklen_t *size)
{
    return (int)CL_SYS3(SYS_getsockname, fd, ret, size);
}

static inline int cl_sys_getsockopt(int fd, int level, int option, void *ret, socklen_t *size)
{
    return (int)CL_SYS5(SYS_getsockopt, fd, level, option, ret, size);
}

static inline int cl_sys_setsockopt(int fd, int level, int option, const void *value,
                                    socklen_t size)
{
    return (int)CL_SYS5(SYS_setsockopt, fd, level, option, value, size);
}

ssize_t cl_sys_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t cl_sys_recvmsg(int fd, struct msghdr *message, int flags);

#endif
