#include "base/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

union control {
    char bytes[CMSG_SPACE(CL_CHANNEL_MAX_FDS * sizeof(int))];
    struct cmsghdr align;
};

int cl_channel_send(int channel, const struct cl_packet *packet, int flags)
{
    struct iovec body = {packet->data, packet->size};
    struct msghdr header = {.msg_iov = &body, .msg_iovlen = 1};
    union control control = {0};

    CL_ASSERT(packet->fd_count <= CL_CHANNEL_MAX_FDS);
    if (packet->fd_count > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = (socklen_t)CMSG_SPACE(packet->fd_count * sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        CL_ASSERT(cmsg != NULL);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = (socklen_t)CMSG_LEN(packet->fd_count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), packet->fds, packet->fd_count * sizeof(int));
    }
    ssize_t sent;
    do {
        sent = cl_sys_sendmsg(channel, &header, flags);
    } while (sent == -EINTR);
    return sent < 0 ? (int)sent : 0;
}

/* Moves the descriptors of HEADER into RET, closing those beyond MAX. */
static size_t take_fds(struct msghdr *header, int *ret, size_t max)
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
    return taken;
}

int cl_channel_receive(int channel, struct cl_packet *packet, int flags)
{
    struct iovec body = {packet->data, packet->size};
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
    size_t count = take_fds(&header, packet->fds, packet->fd_count);
    if (got > 0 && (header.msg_flags & MSG_TRUNC) == 0) {
        packet->size = (size_t)got;
        packet->fd_count = count;
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        cl_fd_close(&packet->fds[i]);
    return got == 0 ? -EPIPE : -EPROTO;
}

int cl_channel_check_peer(int connection)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    int r = cl_sys_getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size);

    if (r < 0)
        return r;
    return peer.uid == geteuid() || peer.uid == 0 ? 0 : -EPERM;
}
