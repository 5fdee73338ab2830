/*
 * Attack: make a user namespace inside the sandbox and get every capability in it, which opens
 *   the kernel's privileged interfaces (mounts, nftables, packet sockets) to untrusted code.
 * Layer: seccomp (clone flags, clone3, unshare, setns), userns-limit.
 * Source: CVE-2022-0185, CVE-2022-0492, CVE-2024-1086 all start here; user_namespaces(7).
 */
#include "attack.h"

struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

_Noreturn static void judge_namespace(const char *what, long result)
{
    int error = errno;

    if (result == 0)
        _exit(0); /* the child of clone */
    if (result > 0)
        waitpid((pid_t)result, NULL, __WALL);
    if (result < 0 && error == ENOSPC)
        held("%s: %s", what, strerror(error));
    errno = error;
    judge_call(what, result);
}

static void make(const char *what, unsigned long flags)
{
    judge_namespace(what, syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL));
}

static void clone_user(char **args)
{
    make("clone(NEWUSER)", CLONE_NEWUSER);
}

static void clone_user_net(char **args)
{
    make("clone(NEWUSER|NEWNET|NEWNS)", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS);
}

static void clone_pid(char **args)
{
    make("clone(NEWUSER|NEWPID)", CLONE_NEWUSER | CLONE_NEWPID);
}

static void clone3_user(char **args)
{
    struct clone3_args clone3 = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};

    judge_namespace("clone3(NEWUSER)", syscall(SYS_clone3, &clone3, sizeof clone3));
}

/* A filter can't read clone3's arguments: even a harmless call must not reach the kernel. */
static void clone3_plain(char **args)
{
    struct clone3_args clone3 = {.exit_signal = SIGCHLD};

    judge_namespace("clone3", syscall(SYS_clone3, &clone3, sizeof clone3));
}

static void leave(const char *what, int flags)
{
    int rc = unshare(flags);

    if (rc < 0 && errno == ENOSPC)
        held("%s: %s", what, strerror(errno));
    judge_call(what, rc);
}

static void unshare_user(char **args)
{
    leave("unshare(NEWUSER)", CLONE_NEWUSER);
}

static void unshare_mount(char **args)
{
    leave("unshare(NEWUSER|NEWNS)", CLONE_NEWUSER | CLONE_NEWNS);
}

static void unshare_time(char **args)
{
    leave("unshare(NEWUSER|NEWTIME)", CLONE_NEWUSER | 0x80);
}

static void join(char **args)
{
    int fd = open("/proc/self/ns/uts", O_RDONLY);

    if (fd < 0)
        impossible("/proc/self/ns/uts: %s", strerror(errno));
    judge_call("setns", setns(fd, 0));
}

/* Upper bits of clone's flags: the kernel reads the low 32, a careless filter compares 64. */
static void clone_high_bits(char **args)
{
    make("clone(NEWUSER|1<<40)", CLONE_NEWUSER | 1UL << 40);
}

static void unshare_high_bits(char **args)
{
    judge_call("unshare(NEWUSER|1<<40)", syscall(SYS_unshare, CLONE_NEWUSER | 1UL << 40));
}

ATTACK({"clone_user", clone_user}, {"clone_user_net", clone_user_net}, {"clone_pid", clone_pid},
       {"clone3_user", clone3_user}, {"clone3_plain", clone3_plain}, {"unshare_user", unshare_user},
       {"unshare_mount", unshare_mount}, {"unshare_time", unshare_time}, {"setns", join},
       {"clone_high_bits", clone_high_bits}, {"unshare_high_bits", unshare_high_bits})
