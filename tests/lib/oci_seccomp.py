"""A seccomp profile as Docker gives its containers: an allow-list of some 330 calls, with tests of arguments.

Made from the table below, whose rows say why they are there. Names that a kernel, an
architecture or a library doesn't know are among them on purpose: engines give those too.
"""

ERRNO, ALLOW, ENOSYS = "SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", 38
ARCHITECTURES = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
NAMESPACES = 0x7E020000  # the flags of clone that make namespaces

# purpose: the calls
TABLE = {
    "files": """access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
        fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr
        flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat
        getcwd getdents getdents64 getxattr getxattrat lchown lchown32 lgetxattr link linkat listxattr listxattrat llistxattr
        _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat
        openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr
        removexattrat rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs
        statfs64 statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime
        utimensat utimensat_time64 utimes vmsplice write writev""",
    "memory": """brk cachestat get_mempolicy madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2
        mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
        process_mrelease remap_file_pages set_mempolicy_home_node""",
    "processes": """alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64
        futex_wait futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid getegid32 geteuid geteuid32 getgid
        getgid32 getgroups getgroups32 getitimer getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid
        getresuid32 getrlimit getrusage getsid gettid getuid getuid32 ioprio_get ioprio_set kill landlock_add_rule
        landlock_create_ruleset landlock_restrict_self modify_ldt nanosleep pause pidfd_open pidfd_send_signal prctl prlimit64
        ptrace process_vm_readv process_vm_writev restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
        rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max
        sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
        sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
        set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
        setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
        setreuid32 setrlimit setsid setuid setuid32 sigaltstack signalfd signalfd4 sigprocmask sigreturn sysinfo tgkill times
        tkill ugetrlimit uname vfork wait4 waitid waitpid""",
    "time": """adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
        clock_nanosleep clock_nanosleep_time64 gettimeofday time timer_create timer_delete timer_getoverrun timer_gettime
        timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
        timerfd_settime64""",
    "events": """epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
        eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents
        io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl _newselect pipe pipe2 poll ppoll ppoll_time64 pselect6
        pselect6_time64 select""",
    "talk": """accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr mq_notify mq_open
        mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd recv
        recvfrom recvmmsg recvmmsg_time64 recvmsg semctl semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto
        setsockopt shmat shmctl shmdt shmget shutdown socketcall socketpair""",
    "of no machine, as newer engines' lists have": "a_call_of_the_future another_one",
    "what chroot's capability gives": "chroot",
}
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)


def argument(index, value, op="SCMP_CMP_EQ", second=None):
    made = {"index": index, "value": value, "op": op}
    if second is not None:
        made["valueTwo"] = second
    return made


def rule(names, action=ALLOW, args=(), errno=None):
    made = {"names": names.split() if isinstance(names, str) else list(names), "action": action}
    if args:
        made["args"] = list(args)
    if errno is not None:
        made["errnoRet"] = errno
    return made


def docker_profile():
    """linux.seccomp of a container with Docker's default capabilities."""
    rows = [rule(names) for names in TABLE.values()]
    rows += [rule("personality", args=[argument(0, value)]) for value in PERSONALITIES]
    rows.append(rule("socket", args=[argument(0, 40, "SCMP_CMP_NE")]))  # AF_VSOCK
    rows.append(rule("clone", args=[argument(0, NAMESPACES, "SCMP_CMP_MASKED_EQ", 0)]))
    rows.append(rule("clone3", ERRNO, errno=ENOSYS))  # so that a C library falls back to clone
    return {"defaultAction": ERRNO, "architectures": list(ARCHITECTURES), "syscalls": rows}


def everything_but(*rules, **more):
    """A profile that lets every call be, but for these rules."""
    return {"defaultAction": ALLOW, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": list(rules), **more}
