#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

union control {
    char bytes[CMSG_SPACE(CL_MESSAGE_MAX_FDS * sizeof(int))];
    struct cmsghdr align;
};

int cl_message_send(int channel, const struct cl_message *message, const int *fds, size_t count)
{
    struct iovec body = {cl_unconst(message), sizeof(*message)};
    struct msghdr header = {.msg_iov = &body, .msg_iovlen = 1};
    union control control = {0};

    CL_ASSERT(count <= CL_MESSAGE_MAX_FDS);
    if (count > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        CL_ASSERT(cmsg != NULL);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
    }
    ssize_t sent;
    do {
        sent = cl_sys_sendmsg(channel, &header, 0);
    } while (sent == -EINTR);
    return sent < 0 ? (int)sent : 0;
}

int cl_message_has_no_reader(int r)
{
    return r == -EPIPE || r == -ECONNRESET;
}

/* Moves the descriptors of HEADER into RET, closing those beyond MAX. */
static int take_fds(struct msghdr *header, int *ret, size_t max)
{
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
    size_t taken = 0;

    if (cmsg == NULL || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
        if (taken < max)
            ret[taken++] = fd;
        else
            cl_fd_close(&fd);
    }
    return (int)taken;
}

int cl_message_receive(int channel, struct cl_message *ret, int *ret_fds, size_t max, int flags)
{
    struct iovec body = {ret, sizeof(*ret)};
    union control control = {0};
    struct msghdr header = {
        .msg_iov = &body,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t got;

    do {
        got = cl_sys_recvmsg(channel, &header, flags);
    } while (got == -EINTR);
    if (got < 0)
        return got == -ECONNRESET ? -EPIPE : (int)got;
    int count = take_fds(&header, ret_fds, max);
    if (got == 0)
        return -EPIPE;
    if (got != sizeof(*ret)) {
        for (int i = 0; i < count; i++)
            cl_fd_close(&ret_fds[i]);
        return -EPROTO;
    }
    return count;
}
