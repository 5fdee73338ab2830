/* The filter of calls. Three kinds of rows: calls that are allowed as they are, calls whose
 * arguments are looked at, and calls that nothing here has a use for in any version of any
 * library, so that making one shows that somebody else is at the wheel. All others are ENOSYS:
 * a newer C library tries new calls first and falls back.
 */
#include "helpers/fetch/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"

static const int on_descriptors[] = {
    SCMP_SYS(read),       SCMP_SYS(readv),       SCMP_SYS(pread64),       SCMP_SYS(write),
    SCMP_SYS(writev),     SCMP_SYS(pwrite64),    SCMP_SYS(lseek),         SCMP_SYS(_llseek),
    SCMP_SYS(close),      SCMP_SYS(fstat),       SCMP_SYS(fstat64),       SCMP_SYS(dup),
    SCMP_SYS(pipe2),      SCMP_SYS(eventfd2),    SCMP_SYS(poll),          SCMP_SYS(ppoll),
    SCMP_SYS(select),     SCMP_SYS(pselect6),    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(getdents64),
};

/* Where Landlock lets through. */
static const int on_names[] = {
    SCMP_SYS(newfstatat), SCMP_SYS(fstatat64),  SCMP_SYS(stat),   SCMP_SYS(stat64),
    SCMP_SYS(lstat),      SCMP_SYS(statx),      SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(readlink),   SCMP_SYS(readlinkat), SCMP_SYS(getcwd),
};

/* That are there already. */
static const int on_sockets[] = {
    SCMP_SYS(connect), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
    SCMP_SYS(sendto),  SCMP_SYS(sendmsg),     SCMP_SYS(sendmmsg),    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),    SCMP_SYS(shutdown),
};

/* But for mapping: that can make code. */
static const int on_memory[] = {
    SCMP_SYS(munmap),  SCMP_SYS(brk),   SCMP_SYS(mremap),
    SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(munlock),
};

/* Threads, time, chance. */
static const int on_itself[] = {
    SCMP_SYS(futex),         SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(exit),          SCMP_SYS(exit_group),      SCMP_SYS(gettid),
    SCMP_SYS(getpid),        SCMP_SYS(sched_yield),     SCMP_SYS(sched_getaffinity),
    SCMP_SYS(membarrier),    SCMP_SYS(rt_sigprocmask),  SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),  SCMP_SYS(sigaltstack),     SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),     SCMP_SYS(gettimeofday),    SCMP_SYS(time),
    SCMP_SYS(getrandom),     SCMP_SYS(uname),           SCMP_SYS(sysinfo),
    SCMP_SYS(getuid),        SCMP_SYS(geteuid),         SCMP_SYS(getgid),
    SCMP_SYS(getegid),
};

/* From here on: what nothing here has a use for. */
static const int against_processes[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
};

static const int against_files[] = {
    SCMP_SYS(mount),     SCMP_SYS(umount2),       SCMP_SYS(pivot_root), SCMP_SYS(chroot),
    SCMP_SYS(open_tree), SCMP_SYS(move_mount),    SCMP_SYS(fsopen),     SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),   SCMP_SYS(mount_setattr), SCMP_SYS(unlink),     SCMP_SYS(unlinkat),
    SCMP_SYS(rename),    SCMP_SYS(renameat),      SCMP_SYS(renameat2),  SCMP_SYS(link),
    SCMP_SYS(linkat),    SCMP_SYS(symlink),       SCMP_SYS(symlinkat),  SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),   SCMP_SYS(mknod),         SCMP_SYS(mknodat),    SCMP_SYS(chmod),
    SCMP_SYS(fchmodat),  SCMP_SYS(chown),         SCMP_SYS(fchownat),
};

static const int against_kernel[] = {
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(reboot),
    SCMP_SYS(personality),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(pkey_mprotect),
    SCMP_SYS(memfd_create),
};

/* It calls, and is not called. */
static const int against_network[] = {
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
};

static const struct {
    uint32_t action;
    const int *calls;
    size_t count;
} groups[] = {
    {SCMP_ACT_ALLOW, on_descriptors, CL_ARRAY_SIZE(on_descriptors)},
    {SCMP_ACT_ALLOW, on_names, CL_ARRAY_SIZE(on_names)},
    {SCMP_ACT_ALLOW, on_sockets, CL_ARRAY_SIZE(on_sockets)},
    {SCMP_ACT_ALLOW, on_memory, CL_ARRAY_SIZE(on_memory)},
    {SCMP_ACT_ALLOW, on_itself, CL_ARRAY_SIZE(on_itself)},
    {SCMP_ACT_KILL_PROCESS, against_processes, CL_ARRAY_SIZE(against_processes)},
    {SCMP_ACT_KILL_PROCESS, against_files, CL_ARRAY_SIZE(against_files)},
    {SCMP_ACT_KILL_PROCESS, against_kernel, CL_ARRAY_SIZE(against_kernel)},
    {SCMP_ACT_KILL_PROCESS, against_network, CL_ARRAY_SIZE(against_network)},
};

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = seccomp_rule_add(filter, action, calls[i], 0);

        if (r < 0)
            return r;
    }
    return 0;
}

/* Files are opened for reading, and none is made. */
static int add_open(scmp_filter_ctx filter)
{
    const uint64_t writing =
        O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~(uint64_t)O_DIRECTORY);
    int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0));

    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                             SCMP_A1(SCMP_CMP_MASKED_EQ, writing, 0));
    return r;
}

/* Internet sockets of the two ordinary protocols: others (MPTCP, SCTP, UDP-Lite) bring kernel
 * code, and load it, that nothing here needs. Other families "aren't supported", which is what
 * those who try them expect of some kernels: nscd's and systemd's clients, the list of the
 * host's addresses by netlink. */
static int add_sockets(scmp_filter_ctx filter)
{
    static const unsigned int families[] = {AF_INET, AF_INET6};
    static const struct {
        unsigned int type;
        unsigned int protocol;
    } rows[] = {
        {SOCK_STREAM, 0}, {SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, 0}, {SOCK_DGRAM, IPPROTO_UDP}};
    const size_t count = CL_ARRAY_SIZE(rows);
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(families) * count; i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
                             SCMP_A0(SCMP_CMP_EQ, families[i / count], 0),
                             SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, rows[i % count].type),
                             SCMP_A2(SCMP_CMP_EQ, rows[i % count].protocol, 0));
    for (unsigned int i = 0; r == 0 && i < CL_ARRAY_SIZE(families); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ESOCKTNOSUPPORT), SCMP_SYS(socket), 2,
                             SCMP_A0(SCMP_CMP_EQ, families[i], 0),
                             SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_RAW));
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                             SCMP_A0(SCMP_CMP_LT, AF_INET, 0));
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                             SCMP_A0(SCMP_CMP_GT, AF_INET6, 0));
    /* How curl's resolver tells that it is done. Streams alone, whose both ends stay here: a pair
     * of datagram sockets can be sent and connected anew, to any of the host's (unix(7)). */
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 2,
                             SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0),
                             SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
    return r;
}

/* What curl and the C library's resolver set. Filters, "upper layer protocols" and the like are
 * programs and code of the kernel's that would be reached by options. */
static int add_socket_options(scmp_filter_ctx filter)
{
    static const struct {
        unsigned int level;
        unsigned int option;
    } rows[] = {
        {SOL_SOCKET, SO_KEEPALIVE}, {SOL_SOCKET, SO_SNDBUF},     {SOL_SOCKET, SO_RCVBUF},
        {IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPINTVL},
        {IPPROTO_TCP, TCP_KEEPCNT}, {IPPROTO_IP, IP_RECVERR},    {IPPROTO_IPV6, IPV6_RECVERR},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(rows); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
                             SCMP_A1(SCMP_CMP_EQ, rows[i].level, 0),
                             SCMP_A2(SCMP_CMP_EQ, rows[i].option, 0));
    return r;
}

/* Threads, and nothing else. clone3(2) keeps its flags in memory, where no filter sees them:
 * the C library goes on with clone(2) where there is no such call. */
static int add_threads(scmp_filter_ctx filter)
{
    const uint64_t needed = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    const uint64_t namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
                                CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWCGROUP;
    int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, needed | namespaces, needed));

    /* abort(3) */
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    return r;
}

static int add_memory(scmp_filter_ctx filter)
{
    int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return r;
}

static int add_controls(scmp_filter_ctx filter)
{
    static const unsigned int commands[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC};
    static const unsigned int requests[] = {FIONREAD, FIONBIO};
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(commands); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                             SCMP_A1(SCMP_CMP_EQ, commands[i], 0));
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(requests); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                             SCMP_A1(SCMP_CMP_EQ, requests[i], 0));
    return r;
}

static int add_rules(scmp_filter_ctx filter)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(groups); i++)
        r = add_all(filter, groups[i].action, groups[i].calls, groups[i].count);
    if (r == 0)
        r = add_open(filter);
    if (r == 0)
        r = add_sockets(filter);
    if (r == 0)
        r = add_socket_options(filter);
    if (r == 0)
        r = add_threads(filter);
    if (r == 0)
        r = add_memory(filter);
    return r < 0 ? r : add_controls(filter);
}

int cl_fetch_filter_enter(struct cl_error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

    if (filter == NULL)
        return cl_fail_memory(err);
    int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* A tree of numbers instead of a list: a call passes six comparisons and not a hundred. */
    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r == 0)
        r = add_rules(filter);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r < 0 ? cl_fail(err, r, "load the call filter") : 0;
}
