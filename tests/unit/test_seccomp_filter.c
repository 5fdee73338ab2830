/*
 * The compiled filters, run by a BPF interpreter against cases written from
 * what docs/seccomp.md promises, not from the table. Prints TAP.
 */
#include "filter_scene.h"

/* One expectation. x86, arm: the call's numbers, NONE where it has none. */
#define NONE (UINT32_MAX - 1)
struct expectation {
    const char *what;
    uint32_t x86, arm;
    uint64_t args[6];
    uint32_t strict, build;
};

static const struct expectation expectations[] = {
    /* A filter that refuses everything would pass the rest. */
    {"read", 0, 63, {0}, ALLOW, ALLOW},
    {"execve", 59, 221, {0}, ALLOW, ALLOW},
    {"futex", 202, 98, {0}, ALLOW, ALLOW},
    {"ptrace", 101, 117, {0}, ALLOW, ALLOW},
    {"process_vm_readv", 310, 270, {0}, ALLOW, ALLOW},
    {"pidfd_getfd", 438, 438, {0}, ALLOW, ALLOW},
    {"landlock_restrict_self", 446, 446, {0}, ALLOW, ALLOW},
    {"nested seccomp filter", 317, 277, {1, 0}, ERR(EINVAL), ERR(EINVAL)},
    {"nested seccomp filter, TSYNC", 317, 277, {1, 1}, ERR(EINVAL), ERR(EINVAL)},
    {"seccomp listener", 317, 277, {1, 8}, ERR(EINVAL), ERR(EINVAL)},
    {"which seccomp actions there are", 317, 277, {2, 0}, ALLOW, ALLOW},
    {"seccomp operation of the future", 317, 277, {4, 0}, ERR(EINVAL), ERR(EINVAL)},
    {"mseal", 462, 462, {0}, ALLOW, ALLOW},

    /* Whole families. */
    {"bpf", 321, 280, {0}, ERR(EPERM), ERR(EPERM)},
    {"perf_event_open", 298, 241, {0}, ERR(EPERM), ERR(EPERM)},
    {"userfaultfd", 323, 282, {0}, ERR(EPERM), ERR(EPERM)},
    {"io_uring_setup", 425, 425, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"io_uring_enter", 426, 426, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"io_uring_register", 427, 427, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"io_setup", 206, 0, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"add_key", 248, 217, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"request_key", 249, 218, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"keyctl", 250, 219, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"mount", 165, 40, {0}, ERR(EPERM), ERR(EPERM)},
    {"umount2", 166, 39, {0}, ERR(EPERM), ERR(EPERM)},
    {"pivot_root", 155, 41, {0}, ERR(EPERM), ERR(EPERM)},
    {"mount_setattr", 442, 442, {0}, ERR(EPERM), ERR(EPERM)},
    {"open_tree", 428, 428, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"move_mount", 429, 429, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"fsopen", 430, 430, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"fsmount", 432, 432, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"statmount", 457, 457, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"open_tree_attr", 467, 467, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"chroot", 161, 51, {0}, ERR(EPERM), ERR(EPERM)},
    {"init_module", 175, 105, {0}, ERR(EPERM), ERR(EPERM)},
    {"finit_module", 313, 273, {0}, ERR(EPERM), ERR(EPERM)},
    {"kexec_load", 246, 104, {0}, ERR(EPERM), ERR(EPERM)},
    {"kexec_file_load", 320, 294, {0}, ERR(EPERM), ERR(EPERM)},
    {"reboot", 169, 142, {0}, ERR(EPERM), ERR(EPERM)},
    {"swapon", 167, 224, {0}, ERR(EPERM), ERR(EPERM)},
    {"syslog", 103, 116, {0}, ERR(EPERM), ERR(EPERM)},
    {"iopl", 172, NONE, {0}, ERR(EPERM), ERR(EPERM)},
    {"ioperm", 173, NONE, {0}, ERR(EPERM), ERR(EPERM)},
    {"modify_ldt", 154, NONE, {0}, ERR(EPERM), ERR(EPERM)},
    {"open_by_handle_at", 304, 265, {0}, ERR(EPERM), ERR(EPERM)},
    {"name_to_handle_at", 303, 264, {0}, ERR(EPERM), ERR(EPERM)},
    {"fanotify_init", 300, 262, {0}, ERR(EPERM), ERR(EPERM)},
    {"clock_settime", 227, 112, {0}, ERR(EPERM), ERR(EPERM)},
    {"settimeofday", 164, 170, {0}, ERR(EPERM), ERR(EPERM)},
    {"adjtimex", 159, 171, {0}, ERR(EPERM), ERR(EPERM)},
    {"process_madvise", 440, 440, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"mbind", 237, 235, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"cachestat", 451, 451, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"sync is not done", 162, 81, {0}, SKIP, SKIP},
    {"openat2", 437, 437, {0}, ERR(ENOSYS), ALLOW},

    /* Namespaces. */
    {"unshare", 272, 97, {0}, ERR(EPERM), ERR(EPERM)},
    {"setns", 308, 268, {0}, ERR(EPERM), ERR(EPERM)},
    {"clone3", 435, 435, {0}, ERR(ENOSYS), ERR(ENOSYS)},
    {"clone: a process", 56, 220, {NS(0)}, ALLOW, ALLOW},
    {"clone: a thread", 56, 220, {0x3d0f00}, ALLOW, ALLOW},
    {"clone NEWNS", 56, 220, {NS(0x20000)}, ERR(EPERM), ERR(EPERM)},
    {"clone NEWCGROUP", 56, 220, {NS(0x2000000)}, ERR(EPERM), ERR(EPERM)},
    {"clone NEWUTS", 56, 220, {NS(0x4000000)}, ERR(EPERM), ERR(EPERM)},
    {"clone NEWIPC", 56, 220, {NS(0x8000000)}, ERR(EPERM), ERR(EPERM)},
    {"clone NEWUSER", 56, 220, {NS(0x10000000)}, ERR(EPERM), ERR(EPERM)},
    {"clone NEWPID", 56, 220, {NS(0x20000000)}, ERR(EPERM), ERR(EPERM)},
    {"clone NEWNET", 56, 220, {NS(0x40000000)}, ERR(EPERM), ERR(EPERM)},

    /* Sockets. 0x80801: CLOEXEC, NONBLOCK and STREAM. */
    {"unix stream", 41, 198, {1, 0x80801}, ALLOW, ALLOW},
    {"unix seqpacket", 41, 198, {1, 5}, ALLOW, ALLOW},
    {"tcp", 41, 198, {2, 0x80801, 6}, ALLOW, ALLOW},
    {"tcp6", 41, 198, {10, 1, 0}, ALLOW, ALLOW},
    {"udp", 41, 198, {2, 2, 17}, ALLOW, ALLOW},
    {"udp6", 41, 198, {10, 2}, ALLOW, ALLOW},
    {"raw", 41, 198, {2, 3, 1}, ERR(EPERM), ERR(EPERM)},
    {"raw6", 41, 198, {10, 0x80003, 255}, ERR(EPERM), ERR(EPERM)},
    {"ping", 41, 198, {2, 2, 1}, ERR(EPROTONOSUPPORT), ERR(EPROTONOSUPPORT)},
    {"mptcp", 41, 198, {2, 1, 262}, ERR(EPROTONOSUPPORT), ERR(EPROTONOSUPPORT)},
    {"sctp", 41, 198, {2, 1, 132}, ERR(EPROTONOSUPPORT), ERR(EPROTONOSUPPORT)},
    {"sctp, one to many", 41, 198, {2, 5, 132}, ERR(ESOCKTNOSUPPORT), ERR(ESOCKTNOSUPPORT)},
    {"packet by inet's old type", 41, 198, {2, 10, 3}, ERR(ESOCKTNOSUPPORT), ERR(ESOCKTNOSUPPORT)},
    {"netlink route", 41, 198, {16, 0x80003, 0}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"netlink route, datagrams", 41, 198, {16, 2, 0}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"netlink netfilter", 41, 198, {16, 3, 12}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"netlink audit", 41, 198, {16, 3, 9}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"netlink xfrm", 41, 198, {16, 2, 6}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"packet", 41, 198, {17, 3, 3}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"AF_ALG", 41, 198, {38, 5}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"vsock", 41, 198, {40, 1}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"xdp", 41, 198, {44, 3}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"tipc", 41, 198, {30, 1}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"rds", 41, 198, {21, 5}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"family -1", 41, 198, {UINT32_MAX, 1}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"socketpair unix", 53, 199, {1, 0x80001}, ALLOW, ALLOW},
    {"socketpair tipc", 53, 199, {30, 1}, ERR(EAFNOSUPPORT), ERR(EAFNOSUPPORT)},
    {"SO_REUSEADDR", 54, 208, {3, 1, 2}, ALLOW, ALLOW},
    {"SO_ATTACH_FILTER", 54, 208, {3, 1, 26}, ERR(EPERM), ERR(EPERM)},
    {"TCP_NODELAY", 54, 208, {3, 6, 1}, ALLOW, ALLOW},
    {"TCP_CONGESTION", 54, 208, {3, 6, 13}, ALLOW, ALLOW},
    {"TCP_ULP", 54, 208, {3, 6, 31}, ERR(ENOPROTOOPT), ERR(ENOPROTOOPT)},
    {"TCP_MD5SIG", 54, 208, {3, 6, 14}, ERR(ENOPROTOOPT), ERR(ENOPROTOOPT)},
    {"TCP_MD5SIG_EXT", 54, 208, {3, 6, 32}, ERR(ENOPROTOOPT), ERR(ENOPROTOOPT)},
    {"TCP_AO_ADD_KEY", 54, 208, {3, 6, 38}, ERR(ENOPROTOOPT), ERR(ENOPROTOOPT)},
    {"TCP_AO_INFO", 54, 208, {3, 6, 40}, ERR(ENOPROTOOPT), ERR(ENOPROTOOPT)},
    {"IPV6_V6ONLY", 54, 208, {3, 41, 26}, ALLOW, ALLOW},
    {"IPV6_FLOWLABEL_MGR", 54, 208, {3, 41, 32}, ERR(ENOPROTOOPT), ERR(ENOPROTOOPT)},

    /* Device control. */
    {"TCGETS", 16, 29, {0, 0x5401}, ALLOW, ALLOW},
    {"FIONREAD", 16, 29, {0, 0x541b}, ALLOW, ALLOW},
    {"TIOCGPTN", 16, 29, {0, 0x80045430}, ALLOW, ALLOW},
    {"FICLONE", 16, 29, {0, 0x40049409}, ALLOW, ALLOW},
    {"TIOCSTI", 16, 29, {0, 0x5412}, ERR(EPERM), ERR(EPERM)},
    {"TIOCLINUX", 16, 29, {0, 0x541c}, ERR(EPERM), ERR(EPERM)},
    {"TIOCCONS", 16, 29, {0, 0x541d}, ERR(EPERM), ERR(EPERM)},
    {"TIOCSETD", 16, 29, {0, 0x5423}, ERR(EPERM), ERR(EPERM)},
    {"FS_IOC_SETFLAGS", 16, 29, {0, 0x40086602}, ERR(ENOTTY), ERR(ENOTTY)},
    {"TUNSETIFF", 16, 29, {0, 0x400454ca}, ERR(ENOTTY), ERR(ENOTTY)},
    {"ioctl -1", 16, 29, {0, UINT32_MAX}, ERR(ENOTTY), ERR(ENOTTY)},

    /* Set-id bits and devices. */
    {"chmod 755", 90, NONE, {0, 0755}, ALLOW, ALLOW},
    {"chmod 1777", 90, NONE, {0, 01777}, ALLOW, ALLOW},
    {"chmod 4755", 90, NONE, {0, 04755}, ERR(EPERM), ALLOW},
    {"chmod 2755", 90, NONE, {0, 02755}, ERR(EPERM), ALLOW},
    {"fchmod 4755", 91, 52, {3, 04755}, ERR(EPERM), ALLOW},
    {"fchmodat 4755", 268, 53, {0, 0, 04755}, ERR(EPERM), ALLOW},
    {"fchmodat2 2711", 452, 452, {0, 0, 02711}, ERR(EPERM), ALLOW},
    {"open O_CREAT 4755", 2, NONE, {0, 0101, 04755}, ERR(EPERM), ALLOW},
    {"open O_TMPFILE 4755", 2, NONE, {0, 020200002, 04755}, ERR(EPERM), ALLOW},
    {"open, mode is rubbish", 2, NONE, {0, 0, UINT64_MAX}, ALLOW, ALLOW},
    {"openat O_CREAT 644", 257, 56, {0, 0, 0101, 0644}, ALLOW, ALLOW},
    {"openat O_CREAT 2755", 257, 56, {0, 0, 0101, 02755}, ERR(EPERM), ALLOW},
    {"openat O_TMPFILE 4755", 257, 56, {0, 0, 020040002, 04755}, ERR(EPERM), ALLOW},
    {"creat 4755", 85, NONE, {0, 04755}, ERR(EPERM), ALLOW},
    {"mknodat fifo", 259, 33, {0, 0, 010644}, ALLOW, ALLOW},
    {"mknodat socket", 259, 33, {0, 0, 0140644}, ALLOW, ALLOW},
    {"mknodat file 4755", 259, 33, {0, 0, 0104755}, ERR(EPERM), ALLOW},
    {"mknodat character device", 259, 33, {0, 0, 020644}, ERR(EPERM), ERR(EPERM)},
    {"mknodat block device", 259, 33, {0, 0, 060644}, ERR(EPERM), ERR(EPERM)},
    {"mknod character device", 133, NONE, {0, 020644}, ERR(EPERM), ERR(EPERM)},
    {"renameat2", 316, 276, {0, 0, 0, 0, 0}, ALLOW, ALLOW},
    {"renameat2 EXCHANGE", 316, 276, {0, 0, 0, 0, 2}, ALLOW, ALLOW},
    {"renameat2 WHITEOUT", 316, 276, {0, 0, 0, 0, 4}, ERR(EINVAL), ERR(EINVAL)},
    {"renameat2 WHITEOUT and more", 316, 276, {0, 0, 0, 0, 5}, ERR(EINVAL), ERR(EINVAL)},

    /* The page cache. */
    {"preadv2", 327, 286, {3, 0, 1, 0, 0, 0}, ALLOW, ALLOW},
    {"preadv2 HIPRI", 327, 286, {3, 0, 1, 0, 0, 1}, ALLOW, ALLOW},
    {"preadv2 NOWAIT", 327, 286, {3, 0, 1, 0, 0, 8}, ERR(EOPNOTSUPP), ERR(EOPNOTSUPP)},
    {"preadv2 NOWAIT and HIPRI", 327, 286, {3, 0, 1, 0, 0, 9}, ERR(EOPNOTSUPP), ERR(EOPNOTSUPP)},
    {"pwritev2 NOWAIT", 328, 287, {3, 0, 1, 0, 0, 8}, ALLOW, ALLOW},
    {"FADV_SEQUENTIAL", 221, 223, {3, 0, 0, 2}, ALLOW, ALLOW},
    {"FADV_WILLNEED", 221, 223, {3, 0, 0, 3}, ALLOW, ALLOW},
    {"FADV_DONTNEED", 221, 223, {3, 0, 0, 4}, SKIP, SKIP},

    /* Descriptors. */
    {"F_DUPFD", 72, 25, {3, 0}, ALLOW, ALLOW},
    {"F_SETLKW", 72, 25, {3, 7}, ALLOW, ALLOW},
    {"F_OFD_SETLKW", 72, 25, {3, 38}, ALLOW, ALLOW},
    {"F_DUPFD_QUERY", 72, 25, {3, 1027}, ALLOW, ALLOW},
    {"F_DUPFD_CLOEXEC", 72, 25, {3, 1030}, ALLOW, ALLOW},
    {"F_SETPIPE_SZ", 72, 25, {3, 1031}, ALLOW, ALLOW},
    {"F_ADD_SEALS", 72, 25, {3, 1033}, ALLOW, ALLOW},
    {"F_SET_RW_HINT", 72, 25, {3, 1036}, ALLOW, ALLOW},
    {"F_SETLEASE", 72, 25, {3, 1024, 0}, ERR(EINVAL), ERR(EINVAL)},
    {"F_NOTIFY", 72, 25, {3, 1026, 1}, ERR(EINVAL), ERR(EINVAL)},
    {"F_SETDELEG", 72, 25, {3, 1040}, ERR(EINVAL), ERR(EINVAL)},
    {"fcntl of the future", 72, 25, {3, UINT32_MAX}, ERR(EINVAL), ERR(EINVAL)},

    /* Memory. */
    {"mmap", 9, 222, {0, 4096, 3, 0x22}, ALLOW, ALLOW},
    {"mmap huge pages", 9, 222, {0, 4096, 3, 0x40022}, ERR(ENOMEM), ERR(ENOMEM)},
    {"memfd_create", 319, 279, {0, 1}, ALLOW, ALLOW},
    {"memfd huge pages", 319, 279, {0, 5}, ERR(ENOSYS), ERR(ENOSYS)},
    {"shmget huge pages", 29, 194, {0, 4096, 05600}, ERR(ENOSYS), ERR(ENOSYS)},
    {"MADV_DONTNEED", 28, 233, {0, 4096, 4}, ALLOW, ALLOW},
    {"MADV_MERGEABLE", 28, 233, {0, 4096, 12}, ERR(EINVAL), ERR(EINVAL)},

    /* prctl and its like. */
    {"PR_SET_NAME", 157, 167, {15}, ALLOW, ALLOW},
    {"PR_GET_SECCOMP", 157, 167, {21}, ALLOW, ALLOW},
    {"PR_SET_SECCOMP, a filter", 157, 167, {22, 2}, ERR(EINVAL), ERR(EINVAL)},
    {"PR_CAPBSET_READ", 157, 167, {23}, ALLOW, ALLOW},
    {"PR_SET_NO_NEW_PRIVS", 157, 167, {38, 1}, ALLOW, ALLOW},
    {"PR_SET_VMA", 157, 167, {0x53564d41}, ALLOW, ALLOW},
    {"PR_SET_MM", 157, 167, {35, 13}, ERR(EPERM), ERR(EPERM)},
    {"PR_SET_SECUREBITS", 157, 167, {28}, ERR(EPERM), ERR(EPERM)},
    {"PR_SET_MEMORY_MERGE", 157, 167, {67, 1}, ERR(EINVAL), ERR(EINVAL)},
    {"PR_SET_SYSCALL_USER_DISPATCH", 157, 167, {59, 1}, ERR(EINVAL), ERR(EINVAL)},
    {"speculation off", 157, 167, {53, 0, 8}, ALLOW, ALLOW},
    {"speculation on", 157, 167, {53, 0, 2}, ERR(EPERM), ERR(EPERM)},
    {"prctl of the future", 157, 167, {1000}, ERR(EINVAL), ERR(EINVAL)},
    {"ARCH_SET_FS", 158, NONE, {0x1002}, ALLOW, ALLOW},
    {"ARCH_MAP_VDSO_32", 158, NONE, {0x2002}, ERR(EINVAL), ERR(EINVAL)},
    {"personality query", 135, 92, {UINT32_MAX}, ALLOW, ALLOW},
    {"ADDR_NO_RANDOMIZE", 135, 92, {0x40000}, ALLOW, ALLOW},
    {"READ_IMPLIES_EXEC", 135, 92, {0x400000}, ERR(EPERM), ERR(EPERM)},
    {"MMAP_PAGE_ZERO", 135, 92, {0x100000}, ERR(EPERM), ERR(EPERM)},
};

/* The kernel looks at 32 bits of these arguments; so rubbish above changes nothing. */
static void test_expectations(uint64_t upper)
{
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
        const struct expectation *e = &expectations[i];
        struct data data = {0};

        for (size_t arg = 0; arg < 6; arg++)
            data.args[arg] = upper | e->args[arg];
        data.nr = e->x86;
        data.arch = X86_64;
        expect(e->what, "strict", e->strict, data);
        expect(e->what, "build", e->build, data);
        data.nr = e->arm;
        data.arch = AARCH64;
        if (e->arm == NONE)
            continue;
        expect(e->what, "strict", e->strict, data);
        expect(e->what, "build", e->build, data);
    }
}

/* Every family, type and interesting protocol: only these few make a socket. */
static bool socket_is_harmless(uint32_t family, uint32_t type, uint32_t protocol)
{
    if (family == 1)
        return type == 1 || type == 2 || type == 5;
    return (family == 2 || family == 10) && ((type == 1 && (protocol == 0 || protocol == 6)) ||
                                             (type == 2 && (protocol == 0 || protocol == 17)));
}

static void test_every_socket(uint32_t arch, uint32_t nr, const char *name)
{
    static const uint32_t protocols[] = {0,  1,  2,   4,   6,   9,   12,  15,  16, 17,
                                         33, 58, 115, 132, 136, 255, 256, 262, 768};
    const uint32_t n_protocols = sizeof(protocols) / sizeof(protocols[0]);
    unsigned int wrong = 0;
    char detail[64] = "";

    for (uint32_t i = 0; i < 128 * 16 * n_protocols; i++) {
        uint32_t protocol = protocols[i % n_protocols];
        uint32_t type = (uint32_t)(i / n_protocols) % 16;
        uint32_t family = (uint32_t)(i / n_protocols) / 16;
        struct data data = {
            .nr = nr,
            .arch = arch,
            .args = {RUBBISH | family, RUBBISH | 0x80800 | type, RUBBISH | protocol}};
        bool allowed = run(find(arch, name), &data) == ALLOW;

        if (allowed == socket_is_harmless(family, type, protocol))
            continue;
        if (wrong++ == 0)
            (void)snprintf(detail, sizeof(detail), "%s: family %u type %u protocol %u", name,
                           family, type, protocol);
    }
    report(wrong == 0, "no socket but the harmless ones", detail);
}

static void test_sockets(void)
{
    test_every_socket(X86_64, 41, "strict");
    test_every_socket(X86_64, 41, "build");
    test_every_socket(AARCH64, 198, "strict");
    test_every_socket(AARCH64, 198, "build");
}

static void test_numbers(void)
{
    static const char *const workloads[] = {"strict", "build"};
    static const char *const own[] = {"init", "supervisor"};

    for (size_t i = 0; i < 2; i++) {
        const char *w = workloads[i], *o = own[i];

        expect("i386 is killed", w, KILL, (struct data){.nr = 20, .arch = I386});
        expect("i386's read number is killed", w, KILL, (struct data){.nr = 0, .arch = I386});
        expect("aarch32 is killed", w, KILL, (struct data){.nr = 3, .arch = ARM});
        expect("x32 read is killed", w, KILL, (struct data){.nr = 0x40000000, .arch = X86_64});
        expect("x32 ioctl is killed", w, KILL, (struct data){.nr = 0x40000202, .arch = X86_64});
        expect("last x32 number is killed", w, KILL,
               (struct data){.nr = UINT32_MAX - 1, .arch = X86_64});
        expect("x32's own numbers without its bit", w, ERR(ENOSYS),
               (struct data){.nr = 520, .arch = X86_64});
        expect("first number after the table", w, ERR(ENOSYS),
               (struct data){.nr = 470, .arch = X86_64});
        expect("a hole in the numbers", w, ERR(ENOSYS), (struct data){.nr = 400, .arch = X86_64});
        expect("huge number", w, ERR(ENOSYS), (struct data){.nr = 0x3fffffff, .arch = X86_64});
        expect("a tracer's -1", w, ERR(ENOSYS), (struct data){.nr = UINT32_MAX, .arch = X86_64});
        expect("a tracer's -1", w, ERR(ENOSYS), (struct data){.nr = UINT32_MAX, .arch = AARCH64});
        expect("huge number", w, ERR(ENOSYS), (struct data){.nr = 0x40000000, .arch = AARCH64});
        expect("first number after the table", w, ERR(ENOSYS),
               (struct data){.nr = 470, .arch = AARCH64});

        expect("ours: i386", o, KILL, (struct data){.nr = 3, .arch = I386});
        expect("ours: x32", o, KILL, (struct data){.nr = 0x40000000, .arch = X86_64});
        expect("ours: -1", o, KILL, (struct data){.nr = UINT32_MAX, .arch = X86_64});
        expect("ours: beyond the table", o, i == 0 ? NEXT : KILL,
               (struct data){.nr = 470, .arch = X86_64});
    }
}

/* What stays refused under a user's own profile. */
static void test_floor(uint64_t upper)
{
    static const struct {
        const char *what;
        uint32_t x86, arm;
        uint64_t args[5];
        uint32_t answer;
    } rows[] = {
        {"the profile decides: bpf", 321, 280, {0}, ALLOW},
        {"the profile decides: chmod 755", 90, NONE, {0, 0755}, ALLOW},
        {"the profile decides: mknod fifo", 133, NONE, {0, 010644}, ALLOW},
        {"the profile decides: mknodat socket", 259, 33, {0, 0, 0140644}, ALLOW},
        {"the profile decides: renameat2 NOREPLACE", 316, 276, {0, 0, 0, 0, 1}, ALLOW},
        {"floor: chmod 4755", 90, NONE, {0, 04755}, ERR(EPERM)},
        {"floor: fchmodat 2755", 268, 53, {0, 0, 02755}, ERR(EPERM)},
        {"floor: openat O_CREAT 4755", 257, 56, {0, 0, 0101, 04755}, ERR(EPERM)},
        {"floor: openat2", 437, 437, {0}, ERR(ENOSYS)},
        {"floor: io_uring_setup", 425, 425, {0}, ERR(ENOSYS)},
        {"floor: mknod whiteout", 133, NONE, {0, 020644}, ERR(EPERM)},
        {"floor: mknodat whiteout", 259, 33, {0, 0, 020000}, ERR(EPERM)},
        {"floor: mknodat block device", 259, 33, {0, 0, 060644}, ERR(EPERM)},
        {"floor: renameat2 WHITEOUT", 316, 276, {0, 0, 0, 0, 4}, ERR(EINVAL)},
    };
    static const struct {
        const char *what;
        uint32_t x86, arm;
        uint64_t first;
        uint32_t answer;
    } filters[] = {
        {"floor: seccomp SET_MODE_FILTER", 317, 277, 1, ERR(EINVAL)},
        {"floor: seccomp SET_MODE_STRICT", 317, 277, 0, ERR(EINVAL)},
        {"floor: seccomp GET_ACTION_AVAIL", 317, 277, 2, ALLOW},
        {"floor: PR_SET_SECCOMP", 157, 167, 22, ERR(EINVAL)},
        {"floor: PR_SET_NAME", 157, 167, 15, ALLOW},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct data data = {.nr = rows[i].x86, .arch = X86_64};

        for (size_t arg = 0; arg < 5; arg++)
            data.args[arg] = upper | rows[i].args[arg];
        expect(rows[i].what, "floor", rows[i].answer, data);
        data.nr = rows[i].arm;
        data.arch = AARCH64;
        if (rows[i].arm != NONE)
            expect(rows[i].what, "floor", rows[i].answer, data);
    }
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        struct data data = {.nr = filters[i].x86, .arch = X86_64};

        data.args[0] = upper | filters[i].first;
        expect(filters[i].what, "floor", filters[i].answer, data);
        expect(filters[i].what, "floor_build", filters[i].answer, data);
        data.nr = filters[i].arm;
        data.arch = AARCH64;
        expect(filters[i].what, "floor", filters[i].answer, data);
        expect(filters[i].what, "floor_build", filters[i].answer, data);
    }
    expect("floor_build: chmod 4755", "floor_build", ALLOW,
           (struct data){.nr = 90, .arch = X86_64, .args = {0, 04755}});
    expect("floor_build: i386", "floor_build", KILL, (struct data){.nr = 90, .arch = I386});
}

int main(void)
{
    test_expectations(0);
    test_expectations(RUBBISH);
    test_sockets();
    test_numbers();
    test_floor(0);
    test_floor(RUBBISH);
    report(cl_seccomp_strict.insns == find(
#ifdef __x86_64__
                                          X86_64
#else
                                          AARCH64
#endif
                                          ,
                                          "strict")
                                          ->insns,
           "the exported programs are this architecture's", "");
    printf("1..%u\n", n_tests);
    return n_failed ? 1 : 0;
}
