#include "sandbox/manner.h"

#include <limits.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/sys.h"

/* A descriptor of our own on what the caller's is open on, so that O_NONBLOCK is ours
 * alone. Fails where the caller's user may not open it again: a pipe that another user
 * made, the terminal of another user's session. */
static int reopen(int fd, int flags)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return cl_sys_openat(AT_FDCWD, path, flags | O_NONBLOCK | O_NOCTTY, 0);
}

int cl_manner_choose(int *fd, int flags, enum cl_manner *ret)
{
    struct stat st;

    *ret = CL_MANNER_BORROWED;
    if (cl_sys_fstat(*fd, &st) < 0)
        return 0;
    if (S_ISSOCK(st.st_mode)) {
        *ret = CL_MANNER_SOCKET;
        return 0;
    }
    if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)) {
        *ret = CL_MANNER_FILE;
        return 0;
    }
    int own = reopen(*fd, flags);
    if (own < 0)
        return 0;
    *fd = own;
    *ret = CL_MANNER_OURS;
    return 1;
}

/* 0, -EAGAIN when the descriptor isn't ready, or why nobody knows. */
static int ask_ready(int fd, short events)
{
    struct pollfd polled = {.fd = fd, .events = events};
    int r = cl_sys_poll(&polled, 1, 0);

    if (r == 0)
        return -EAGAIN;
    return r < 0 ? r : 0;
}

ssize_t cl_manner_read(enum cl_manner manner, int fd, void *data, size_t size)
{
    if (manner == CL_MANNER_SOCKET)
        return cl_sys_recv(fd, data, size, MSG_DONTWAIT);
    int r = manner == CL_MANNER_BORROWED ? ask_ready(fd, POLLIN) : 0;
    return r < 0 ? r : cl_sys_read(fd, data, size);
}

ssize_t cl_manner_write(enum cl_manner manner, int fd, const void *data, size_t size)
{
    if (manner == CL_MANNER_SOCKET)
        return cl_sys_send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (manner == CL_MANNER_BORROWED) {
        /* Now, not when the loop said so: both our streams may share one pipe. */
        int r = ask_ready(fd, POLLOUT);
        if (r < 0)
            return r;
        size = cl_min_u64(size, PIPE_BUF); /* which a pipe that polls writable takes (pipe(7)) */
    }
    return cl_sys_write(fd, data, size);
}
