/*
 * What every hostile program of tests/escape shares: the verdict and the table of doors.
 *
 * A program is one attack on one layer. It may try several doors to the same room; each door is a
 * named probe, so that a test can show for each of them that it holds behind the wall and opens
 * without it. A probe ends in exactly one verdict line:
 *   ESCAPED: what worked   (exit 1)
 *   HELD: why not          (exit 0)
 *   ERROR: why not tried   (exit 2); a test counts it as a failure, never as "held".
 * Verdicts go to standard error, which stays usable when standard output is what is attacked.
 * No attack changes anything on the host that its test did not make for it.
 */
#ifndef CLOISTER_ESCAPE_ATTACK_H
#define CLOISTER_ESCAPE_ATTACK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct probe {
    const char *name;
    void (*run)(char **args); /* NULL-terminated arguments after the probe's name */
};

_Noreturn __attribute__((format(printf, 3, 4))) static inline void
say_verdict(const char *word, int status, const char *format, ...)
{
    char line[1024];
    int used = snprintf(line, sizeof line, "%s: ", word);
    va_list args;

    va_start(args, format);
    vsnprintf(line + used, sizeof line - (size_t)used, format, args);
    va_end(args);
    dprintf(2, "%s\n", line);
    _exit(status);
}
#define escaped(...) say_verdict("ESCAPED", 1, __VA_ARGS__)
#define held(...) say_verdict("HELD", 0, __VA_ARGS__)
#define impossible(...) say_verdict("ERROR", 2, __VA_ARGS__)

/* The answers by which a wall says no; anything else means that the kernel looked at the request.
 */
static inline bool is_refusal(int error)
{
    return error == EPERM || error == EACCES || error == ENOSYS;
}

/* The verdict on a system call that should have been refused whatever its arguments. */
_Noreturn static inline void judge_call(const char *name, long result)
{
    int error = errno;

    if (result >= 0)
        escaped("%s gave %ld", name, result);
    if (is_refusal(error))
        held("%s: %s", name, strerror(error));
    escaped("the kernel examined %s: %s", name, strerror(error));
}

/* The verdict on opening something: being refused, or finding nothing there, both hold. */
_Noreturn static inline void judge_open(const char *path, int fd)
{
    int error = errno;

    if (fd >= 0)
        escaped("opened %s", path);
    /* Running programs answer ETXTBSY before a read-only mount gets to say no. */
    if (error == ETXTBSY && access(path, W_OK) == 0)
        escaped("%s may be written as soon as nobody runs it", path);
    if (error == ETXTBSY)
        error = errno;
    if (is_refusal(error) || error == ENOENT || error == EROFS || error == ENOTDIR ||
        error == ENXIO || error == ESRCH)
        held("open %s: %s", path, strerror(error));
    impossible("open %s: %s", path, strerror(error));
}

static inline const char *need_arg(char **args, int index)
{
    for (int i = 0; i <= index; i++)
        if (!args[i])
            impossible("argument %d is missing", index + 1);
    return args[index];
}

/* Runs the probe that argv[1] names; `probes` ends with a NULL name. */
static inline int attack_main(const struct probe *probes, int argc, char **argv)
{
    for (; argc > 1 && probes->name; probes++)
        if (!strcmp(probes->name, argv[1])) {
            probes->run(argv + 2);
            impossible("%s came to no verdict", argv[1]);
        }
    impossible("no such probe: %s", argc > 1 ? argv[1] : "(none)");
}

#define ATTACK(...)                                                                                \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        static const struct probe probes[] = {__VA_ARGS__, {NULL, NULL}};                          \
        return attack_main(probes, argc, argv);                                                    \
    }

#endif
