/*
 * Attack: a command that exec starts is, until it is executed, a part of Cloister's own init, with
 *   its memory and descriptors, and by then has the uid of the sandboxed code, which waits for it.
 * Layer: dumpable (init and the newborn are one memory, which is not), capabilities (it holds some
 *   that the attacker lacks).
 * Source: CVE-2016-9962 (ptrace of a process that runc exec'ed into a container); ptrace(2),
 * proc(5).
 *
 * Says "ready", then tries each process that appears, again and again until it was executed, and
 * says "met" when one first refuses; the verdict comes with SIGTERM. Whoever never met one before
 * its exec has proved nothing.
 */
#include "attack.h"

enum answer { REFUSED, ITS_OWN }; /* ITS_OWN: it was executed, or is gone */

static volatile sig_atomic_t over;
static long met;

static void stop(int number)
{
    (void)number;
    over = 1;
}

static void path_of(char *path, size_t size, pid_t pid, const char *file)
{
    snprintf(path, size, "/proc/%d/%s", pid, file);
}

static enum answer judge_error(const char *what, pid_t pid)
{
    if (is_refusal(errno))
        return REFUSED;
    if (errno != ENOENT && errno != ESRCH)
        impossible("%s of %d: %s", what, pid, strerror(errno));
    return ITS_OWN;
}

/* Whether its program is still ours; an open /proc/PID/exe tells. */
static bool is_ours(pid_t pid)
{
    char path[64], to[512];

    path_of(path, sizeof path, pid, "exe");
    ssize_t n = readlink(path, to, sizeof to - 1);
    to[n > 0 ? n : 0] = '\0';
    return strstr(to, "cloister") != NULL || strstr(to, "memfd:") != NULL;
}

static enum answer exe(pid_t pid)
{
    char path[64], to[512];

    path_of(path, sizeof path, pid, "exe");
    if (readlink(path, to, sizeof to - 1) < 0)
        return judge_error("readlink exe", pid);
    if (is_ours(pid))
        escaped("%s is readable before the exec", path);
    return ITS_OWN;
}

/* The file shows the memory that there was when it was opened. */
static enum answer content(pid_t pid, const char *file, const char *mark)
{
    char path[64], bytes[8192];
    ssize_t n;

    path_of(path, sizeof path, pid, file);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return judge_error(file, pid);
    n = read(fd, bytes, sizeof bytes);
    close(fd);
    if (n > 0 && memmem(bytes, (size_t)n, mark, strlen(mark)))
        escaped("%s of %d before its exec has \"%s\"", file, pid, mark);
    return ITS_OWN;
}

static enum answer maps(pid_t pid)
{
    return content(pid, "maps", "cloister");
}

static enum answer environment(pid_t pid)
{
    return content(pid, "environ", "OF_THE_HOST");
}

static enum answer mem(pid_t pid)
{
    char path[64];

    path_of(path, sizeof path, pid, "mem");
    int fd = open(path, O_RDWR);
    if (fd < 0)
        return judge_error("mem", pid);
    close(fd);
    if (is_ours(pid))
        escaped("%s opens before the exec", path);
    return ITS_OWN;
}

static enum answer fds(pid_t pid)
{
    char path[64];
    int count = 0;

    path_of(path, sizeof path, pid, "fd");
    DIR *dir = opendir(path);
    if (!dir)
        return judge_error("fd", pid);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += atoi(entry->d_name) > 2;
    closedir(dir);
    if (count > 0)
        escaped("%s shows %d descriptors beyond the standard ones", path, count);
    return ITS_OWN;
}

static enum answer trace(pid_t pid)
{
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
        return judge_error("ptrace", pid);
    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
    waitpid(pid, NULL, __WALL);
    if (is_ours(pid))
        escaped("traced %d before its exec", pid);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return ITS_OWN;
}

static enum answer steal(pid_t pid)
{
    long pidfd = syscall(SYS_pidfd_open, pid, 0);
    enum answer answer = ITS_OWN;

    if (pidfd < 0)
        return judge_error("pidfd_open", pid);
    for (int fd = 3; fd < 32; fd++) {
        if (syscall(SYS_pidfd_getfd, pidfd, fd, 0) >= 0)
            escaped("took descriptor %d of %d", fd, pid);
        if (is_refusal(errno)) {
            answer = REFUSED;
            break;
        }
    }
    close((int)pidfd);
    return answer;
}

/* Until one of them finds that it was executed. */
static enum answer all(pid_t pid)
{
    enum answer (*const each[])(pid_t pid) = {maps, environment, mem, fds, trace, steal, exe};
    enum answer answer = REFUSED;

    for (size_t i = 0; answer == REFUSED && i < sizeof each / sizeof each[0]; i++)
        answer = each[i](pid);
    return answer;
}

static bool is_there(pid_t pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

static void hunt(enum answer (*try)(pid_t pid))
{
    pid_t next = fork();

    if (next == 0)
        _exit(0);
    waitpid(next, NULL, 0);
    signal(SIGTERM, stop);
    dprintf(1, "ready\n");
    while (!over) {
        /* others may have come and gone while this one wasn't running */
        for (pid_t pid = next + 1; pid < next + 64; pid++) {
            if (!is_there(pid))
                continue;
            next = pid;
            while (try(pid) == REFUSED && !over) {
                if (met++ == 0)
                    dprintf(1, "met\n");
            }
            break;
        }
    }
    if (met == 0)
        impossible("met no newborn before its exec");
    held("refused %ld times", met);
}

#define HUNT(name)                                                                                 \
    static void hunt_##name(char **args)                                                           \
    {                                                                                              \
        (void)args;                                                                                \
        hunt(name);                                                                                \
    }
HUNT(exe)
HUNT(maps)
HUNT(environment)
HUNT(mem)
HUNT(fds)
HUNT(trace)
HUNT(steal)
HUNT(all)

ATTACK({"exe", hunt_exe}, {"maps", hunt_maps}, {"environ", hunt_environment}, {"mem", hunt_mem},
       {"fds", hunt_fds}, {"trace", hunt_trace}, {"steal", hunt_steal}, {"all", hunt_all})
