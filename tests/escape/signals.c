/*
 * Attack: signal or see processes outside the sandbox.
 * Layer: pidns, userns, landlock (scope), a session of our own.
 * Source: kill(2), pid_namespaces(7).
 */
#include "attack.h"

static void one(char **args)
{
    pid_t pid = atoi(need_arg(args, 0));

    if (kill(pid, SIGTERM) == 0)
        escaped("signalled %d", pid);
    if (errno == ESRCH || is_refusal(errno))
        held("kill %d: %s", pid, strerror(errno));
    impossible("kill %d: %s", pid, strerror(errno));
}

static void through_pidfd(char **args)
{
    pid_t pid = atoi(need_arg(args, 0));
    long fd = syscall(SYS_pidfd_open, pid, 0);

    if (fd < 0 && (errno == ESRCH || is_refusal(errno)))
        held("pidfd_open %d: %s", pid, strerror(errno));
    if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0)
        escaped("signalled %d", pid);
    held("pidfd of %d: %s", pid, strerror(errno));
}

/* Everybody, in the bare run only inside a pid namespace that the test made. */
static void all(char **args)
{
    signal(SIGTERM, SIG_IGN);
    if (kill(-1, SIGTERM) == 0)
        escaped("kill(-1) met somebody");
    held("kill(-1): %s", strerror(errno));
}

/* The process group of the caller, when it is ours too. SIGCONT harms nobody. */
static void group(char **args)
{
    if (getpgid(0) != 0)
        held("our process group is %d", getpgid(0));
    if (kill(0, SIGCONT) == 0)
        escaped("signalled a process group that began outside");
    held("kill(0): %s", strerror(errno));
}

/* A process that has the argument in its command line, the attacker's own apart. */
static void find(char **args)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    int seen = 0;

    if (!dir)
        impossible("/proc: %s", strerror(errno));
    while ((entry = readdir(dir))) {
        char path[300], line[4096];
        pid_t pid = atoi(entry->d_name);
        ssize_t n;
        int fd;

        if (pid <= 0)
            continue;
        seen++;
        snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
        fd = open(path, O_RDONLY);
        n = fd < 0 ? -1 : read(fd, line, sizeof line);
        if (n > 0 && pid != getpid() &&
            memmem(line, (size_t)n, need_arg(args, 0), strlen(args[0])) &&
            !memmem(line, (size_t)n, "signals", 7))
            escaped("sees process %d", pid);
        if (fd >= 0)
            close(fd);
    }
    if (!seen)
        impossible("/proc has no process at all");
    held("%d processes, none of them outside", seen);
}

/* More processes than init and ourselves. */
static void count(char **args)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    int seen = 0;

    while (dir && (entry = readdir(dir)))
        seen += atoi(entry->d_name) > 0;
    if (!seen)
        impossible("/proc has no process at all");
    if (seen > 2)
        escaped("%d processes", seen);
    held("%d processes", seen);
}

ATTACK({"one", one}, {"pidfd", through_pidfd}, {"all", all}, {"group", group}, {"find", find},
       {"count", count})
