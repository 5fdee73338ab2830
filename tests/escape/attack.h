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
 *
 * In the place of cloister-wasm with many guests nobody gives a program arguments: the probe and
 * its arguments come from a client, and the verdict goes to that client.
 */
#ifndef CLOISTER_ESCAPE_ATTACK_H
#define CLOISTER_ESCAPE_ATTACK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

/* --- in the place of a worker for many guests (src/worker/orders.h) ------------------------- */

enum { WORKER_LINE = 3, WORDS_MAX = 16, WORDS_SIZE = 16384 };

static int client_fds[8]; /* that came with the words */
static int client_fd_count;

/* One message of SOCKET with its descriptors. */
static inline ssize_t receive_message(int socket, char *data, size_t size)
{
    union {
        char bytes[CMSG_SPACE(sizeof client_fds)];
        struct cmsghdr align;
    } control;
    struct iovec body = {data, size};
    struct msghdr header = {.msg_iov = &body,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    struct pollfd ready = {.fd = socket, .events = POLLIN};
    ssize_t got = poll(&ready, 1, -1) < 0 ? -1 : recvmsg(socket, &header, 0);
    struct cmsghdr *cmsg = got < 0 ? NULL : CMSG_FIRSTHDR(&header);

    client_fd_count = 0;
    if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
        client_fd_count = (int)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(client_fds, CMSG_DATA(cmsg), (size_t)client_fd_count * sizeof(int));
    }
    return got;
}

/* The first client's words, each with its NUL, in place of *ARGV, which has none. */
static inline void take_words(int *argc, char ***argv)
{
    static char text[WORDS_SIZE];
    static char *words[WORDS_MAX + 2];
    ssize_t got;
    int client;

    do {
        got = receive_message(WORKER_LINE, text, sizeof text); /* orders, volumes, the client */
        if (got <= 0)
            impossible("no client came: %s", strerror(errno));
    } while (client_fd_count == 0);
    client = client_fds[0];
    got = receive_message(client, text, sizeof text);
    if (got <= 0 || text[got - 1] != '\0' || dup2(client, 2) < 0)
        impossible("the client has no words: %s", strerror(errno));
    words[0] = (*argv)[0];
    *argc = 1;
    for (char *word = text; word < text + got && *argc <= WORDS_MAX; word += strlen(word) + 1)
        words[(*argc)++] = word;
    *argv = words;
}

/* Runs the probe that argv[1] names; `probes` ends with a NULL name. */
static inline int attack_main(const struct probe *probes, int argc, char **argv)
{
    if (argc == 1)
        take_words(&argc, &argv);
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
