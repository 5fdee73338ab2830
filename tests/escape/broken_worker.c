/*
 * Attack: a WebAssembly worker for many guests that one of them has taken over. It has what its
 *   clients give it, and its line to the supervisor.
 * Layer: mountns, userns, pidns (no /proc), landlock; the supervisor, who takes its words for
 *   foreign bytes.
 * Source: src/worker/orders.h; linkat(2) and execveat(2), AT_EMPTY_PATH; unix(7), SCM_RIGHTS.
 */
#include "attack.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

/* A file that a client gave to be read, as compiled modules are; on the host, the argument. */
static int given_file(char **args)
{
    int fd = args[0] ? open(args[0], O_RDONLY) : client_fd_count ? client_fds[0] : -1;

    if (fd < 0)
        impossible("no descriptor was given");
    return fd;
}

static void chmod_given(char **args)
{
    int fd = given_file(args);

    if (fchmod(fd, 0666) == 0)
        escaped("others may write the client's file now");
    held("fchmod: %s", strerror(errno));
}

static void reopen_given(char **args)
{
    char path[64];
    int fd = given_file(args);

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    judge_open(path, open(path, O_RDWR));
}

/* It would be there when the worker is another's. */
static void link_given(char **args)
{
    int fd = given_file(args);

    if (linkat(fd, "", AT_FDCWD, args[0] ? need_arg(args, 1) : "/link", AT_EMPTY_PATH) == 0)
        escaped("the client's file has another name");
    held("linkat: %s", strerror(errno));
}

static void execute_given(char **args)
{
    char *argv[] = {"given", NULL};
    int fd = given_file(args);

    syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
    held("execveat: %s", strerror(errno));
}

/* Another worker's socket, by which its clients come. */
static void connect_to(char **args)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", need_arg(args, 0));
    if (fd < 0)
        held("socket: %s", strerror(errno));
    if (connect(fd, (void *)&address, sizeof address) == 0)
        escaped("connected to %s", args[0]);
    if (is_refusal(errno) || errno == ENOENT || errno == ENOTDIR)
        held("connect %s: %s", args[0], strerror(errno));
    impossible("connect %s: %s", args[0], strerror(errno));
}

/* --- the line ------------------------------------------------------------------------------ */

static int say_with_fds(const void *data, size_t size, int count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int[8]))];
        struct cmsghdr align;
    } control = {0};
    struct iovec body = {(void *)data, size};
    struct msghdr header = {.msg_iov = &body, .msg_iovlen = 1};
    int fds[8] = {0, 0, 0, 0, 0, 0, 0, 0};

    if (count > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        CMSG_FIRSTHDR(&header)->cmsg_level = SOL_SOCKET;
        CMSG_FIRSTHDR(&header)->cmsg_type = SCM_RIGHTS;
        CMSG_FIRSTHDR(&header)->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), fds, (size_t)count * sizeof(int));
    }
    return sendmsg(WORKER_LINE, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What the supervisor reads when the worker has ended: VERSION, and 300 bytes of a message. All of
 * them a terminal's control sequence, and no NUL. args: the version */
static void say_words(char **args)
{
    struct {
        uint32_t version;
        char message[300];
    } words = {.version = (uint32_t)atoi(need_arg(args, 0))};

    for (size_t i = 0; i < sizeof words.message; i++)
        words.message[i] = "\033[31m\nE"[i % 7];
    if (say_with_fds(&words, sizeof words, 8) < 0)
        impossible("the line: %s", strerror(errno));
    dprintf(2, "said\n");
    _exit(3);
}

/* More than the line takes, of all sizes, with descriptors; and then nothing more, until it is
 * ended. */
static void flood(char **args)
{
    static char data[65536];
    int taken = 0;

    for (size_t size = 0; size < sizeof data; size = size * 2 + 1)
        taken += say_with_fds(data, size, size % 3 == 0 ? 8 : 0) == 0;
    while (say_with_fds(data, 304, 8) == 0)
        taken++;
    dprintf(2, "flooded %d\n", taken);
    for (;;)
        pause();
}

/* The descriptors that a client gave, beyond the end of that client and until it is ended itself.
 */
static void keep(char **args)
{
    dprintf(2, "kept %d\n", client_fd_count);
    close(2);
    for (;;)
        pause();
}

ATTACK({"chmod", chmod_given}, {"reopen", reopen_given}, {"link", link_given},
       {"execute", execute_given}, {"connect", connect_to}, {"words", say_words}, {"flood", flood},
       {"keep", keep})
