/*
 * Attack: be who carries a copy on the host's side, as a stream would be that took that process
 * over: its next system call is ours. args: its pid, and a path of the host Layer: landlock (of the
 * copy's client, not of the sandbox). Source: ptrace(2), "Syscall-stops".
 */
#include "attack.h"

#include <sys/user.h>

enum { BELOW_THE_RED_ZONE = 4096 };

static void stop_next(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        impossible("%d has ended: status %x", pid, status);
}

static void take(pid_t pid)
{
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0 ||
        ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
        impossible("trace %d: %s", pid, strerror(errno));
    stop_next(pid);
}

/* To its next entry into the kernel, or the way back from there. */
static void go_on(pid_t pid)
{
    int status = 0;

    do {
        if (ptrace(PTRACE_SYSCALL, pid, 0, 0) < 0)
            impossible("resume %d: %s", pid, strerror(errno));
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
            impossible("%d has ended: status %x", pid, status);
    } while (WSTOPSIG(status) != (SIGTRAP | 0x80));
}

/* What openat(AT_FDCWD, PATH, FLAGS, 0600) gives it. */
static long open_as(pid_t pid, const char *path, int flags)
{
#ifdef __x86_64__
    struct user_regs_struct regs;

    take(pid);
    go_on(pid);
    if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
        impossible("registers: %s", strerror(errno));
    const unsigned long at = (regs.rsp - BELOW_THE_RED_ZONE) & ~7UL;
    for (size_t i = 0; i <= strlen(path); i += sizeof(long)) {
        long word = 0;

        strncpy((char *)&word, path + i, sizeof word);
        if (ptrace(PTRACE_POKEDATA, pid, at + i, word) < 0)
            impossible("memory: %s", strerror(errno));
    }
    regs.orig_rax = SYS_openat;
    regs.rdi = (unsigned long)AT_FDCWD;
    regs.rsi = at;
    regs.rdx = (unsigned long)flags;
    regs.r10 = 0600;
    if (ptrace(PTRACE_SETREGS, pid, 0, &regs) < 0)
        impossible("registers: %s", strerror(errno));
    go_on(pid);
    if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
        impossible("registers: %s", strerror(errno));
    return (long)regs.rax;
#else
    impossible("made for x86-64");
#endif
}

static void judge(char **args, int flags)
{
    if (args[0] == NULL || args[1] == NULL)
        impossible("no process, or no path");
    long r = open_as(atoi(args[0]), args[1], flags);
    if (r >= 0)
        escaped("it opened %s", args[1]);
    if (r == -EACCES)
        held("open %s: %s", args[1], strerror(EACCES));
    impossible("open %s: errno %ld", args[1], -r);
}

static void read_there(char **args)
{
    judge(args, O_RDONLY);
}

static void write_there(char **args)
{
    judge(args, O_WRONLY | O_CREAT);
}

ATTACK({"read", read_there}, {"write", write_there})
