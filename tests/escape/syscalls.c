/*
 * Attack: the system calls behind most kernel exploits, which untrusted code has no use for.
 *   Arguments are such that the call is harmless for root too, and tells that it was examined.
 * Layer: seccomp (the allow-list).
 * Source: io_uring CVE-2022-29582, CVE-2023-2598; bpf CVE-2021-3490, CVE-2017-16995;
 *   perf CVE-2013-2094, CVE-2023-5717; userfaultfd in CVE-2021-22555 and others; keyctl
 *   CVE-2016-0728; the manual page of each call.
 */
#include "attack.h"
#include <sys/time.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

static void io_uring_setup(char **args)
{
    char params[256] = {0};

    judge_call("io_uring_setup", syscall(SYS_io_uring_setup, 4L, params));
}

static void io_uring_enter(char **args)
{
    judge_call("io_uring_enter", syscall(SYS_io_uring_enter, -1L, 0L, 0L, 0L, NULL, 0L));
}

static void io_uring_register(char **args)
{
    judge_call("io_uring_register", syscall(SYS_io_uring_register, -1L, 0L, NULL, 0L));
}

/* A size beyond a page is E2BIG before any privilege is asked for. */
static void bpf(char **args)
{
    static char attr[8192];

    judge_call("bpf", syscall(SYS_bpf, 0L, attr, sizeof attr));
}

static void perf_event_open(char **args)
{
    struct {
        uint32_t type, size;
        uint64_t config, period, sample, format, flags, rest[20];
    } attr = {.type = 1, .size = 112, .flags = 1 << 5 | 1 << 6}; /* not kernel, not hv */

    judge_call("perf_event_open", syscall(SYS_perf_event_open, &attr, 0L, -1L, -1L, 0L));
}

static void userfaultfd(char **args)
{
    judge_call("userfaultfd", syscall(SYS_userfaultfd, 1L)); /* user mode only */
}

static void keyctl_search(char **args)
{
    judge_call("keyctl(GET_KEYRING_ID)", syscall(SYS_keyctl, 0L, -3L, 1L));
}

static void add_key(char **args)
{
    judge_call("add_key", syscall(SYS_add_key, "user", "cloister-escape", "x", 1L, -2L));
}

static void request_key(char **args)
{
    judge_call("request_key", syscall(SYS_request_key, "user", "cloister-none", NULL, 0L));
}

static void open_tree(char **args)
{
    judge_call("open_tree(CLONE)", syscall(SYS_open_tree, AT_FDCWD, "/", 1L));
}

static void fsopen(char **args)
{
    judge_call("fsopen", syscall(SYS_fsopen, "tmpfs", 0L));
}

static void fspick(char **args)
{
    judge_call("fspick", syscall(SYS_fspick, AT_FDCWD, "/", 0L));
}

static void move_mount(char **args)
{
    judge_call("move_mount", syscall(SYS_move_mount, -1L, "", -1L, "", 0L));
}

static void fsmount(char **args)
{
    judge_call("fsmount", syscall(SYS_fsmount, -1L, 0L, 0L));
}

static void fsconfig(char **args)
{
    judge_call("fsconfig", syscall(SYS_fsconfig, -1L, 0L, NULL, NULL, 0L));
}

static void pivot_root(char **args)
{
    judge_call("pivot_root", syscall(SYS_pivot_root, "/nonexistent", "/nonexistent"));
}

static void mount_any(char **args)
{
    judge_call("mount", mount("none", "/nonexistent", "tmpfs", 0, NULL));
}

static void umount_any(char **args)
{
    judge_call("umount2", umount2("/nonexistent", 0));
}

static void kexec_load(char **args)
{
    judge_call("kexec_load", syscall(SYS_kexec_load, 0L, 99999L, NULL, 0L));
}

static void init_module(char **args)
{
    judge_call("init_module", syscall(SYS_init_module, NULL, 0L, ""));
}

static void finit_module(char **args)
{
    judge_call("finit_module", syscall(SYS_finit_module, -1L, "", 0L));
}

static void delete_module(char **args)
{
    judge_call("delete_module", syscall(SYS_delete_module, "cloister-none", O_NONBLOCK));
}

static void reboot_machine(char **args)
{
    judge_call("reboot", syscall(SYS_reboot, 0L, 0L, 0L, NULL));
}

static void swap_on(char **args)
{
    judge_call("swapon", syscall(SYS_swapon, "/nonexistent", 0L));
}

static void accounting(char **args)
{
    judge_call("acct", syscall(SYS_acct, "/nonexistent"));
}

static void quotactl(char **args)
{
    judge_call("quotactl", syscall(SYS_quotactl, 0x7fffff00L, "/nonexistent", 0L, NULL));
}

static void set_time(char **args)
{
    struct timeval never = {0, 2000000};

    judge_call("settimeofday", syscall(SYS_settimeofday, &never, NULL));
}

static void clock_set(char **args)
{
    struct timespec never = {0, -1};

    judge_call("clock_settime", syscall(SYS_clock_settime, 0L, &never));
}

static void set_hostname(char **args)
{
    judge_call("sethostname", syscall(SYS_sethostname, "x", 100000L));
}

static void set_domainname(char **args)
{
    judge_call("setdomainname", syscall(SYS_setdomainname, "x", 100000L));
}

#ifdef SYS_iopl
static void io_ports(char **args)
{
    judge_call("iopl", syscall(SYS_iopl, 99L));
}

static void io_permission(char **args)
{
    judge_call("ioperm", syscall(SYS_ioperm, 0x80L, 0L, 1L));
}
#endif

static void kernel_log(char **args)
{
    judge_call("syslog(SIZE_BUFFER)", syscall(SYS_syslog, 10L, NULL, 0L));
}

static void fanotify(char **args)
{
    /* FAN_REPORT_FID is what may be asked without privilege; the second argument is nonsense. */
    judge_call("fanotify_init", syscall(SYS_fanotify_init, 0x200L, 0xff000000L));
}

static void handle_open(char **args)
{
    judge_call("open_by_handle_at", syscall(SYS_open_by_handle_at, -1L, NULL, 0L));
}

static void setattr(char **args)
{
    judge_call("mount_setattr", syscall(SYS_mount_setattr, -1L, "", 0L, NULL, 0L));
}

ATTACK({"io_uring_setup", io_uring_setup}, {"io_uring_enter", io_uring_enter},
       {"io_uring_register", io_uring_register}, {"bpf", bpf}, {"perf_event_open", perf_event_open},
       {"userfaultfd", userfaultfd}, {"keyctl", keyctl_search}, {"add_key", add_key},
       {"request_key", request_key}, {"open_tree", open_tree}, {"fsopen", fsopen},
       {"fspick", fspick}, {"move_mount", move_mount}, {"fsmount", fsmount}, {"fsconfig", fsconfig},
       {"pivot_root", pivot_root}, {"mount", mount_any}, {"umount", umount_any},
       {"kexec_load", kexec_load}, {"init_module", init_module}, {"finit_module", finit_module},
       {"delete_module", delete_module}, {"reboot", reboot_machine}, {"swapon", swap_on},
       {"acct", accounting}, {"quotactl", quotactl}, {"settimeofday", set_time},
       {"clock_settime", clock_set}, {"sethostname", set_hostname},
       {"setdomainname", set_domainname},
#ifdef SYS_iopl
       {"iopl", io_ports}, {"ioperm", io_permission},
#endif
       {"syslog", kernel_log}, {"fanotify_init", fanotify}, {"open_by_handle_at", handle_open},
       {"mount_setattr", setattr})
