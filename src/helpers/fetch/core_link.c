#include "helpers/fetch/core_link.h"

#include <errno.h>
#include <string.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"

enum { MAX_FDS = 2 };

int cl_core_link_init(int fd, struct cl_core_link *ret, struct cl_error *err)
{
    int type = 0;
    socklen_t size = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
        return cl_refuse(err, ENOTSOCK,
                         "this program is cloister's: descriptor %d is no socket to it", fd);
    struct cl_core_link link = {
        .fd = fd,
        .in = CL_BUF_INIT(CL_FETCH_MAX_MESSAGE),
        .out = CL_BUF_INIT(CL_FETCH_MAX_MESSAGE),
    };
    if (cl_buf_grow(&link.in, CL_FETCH_MAX_MESSAGE) < 0)
        return cl_fail_memory(err);
    *ret = link;
    return 0;
}

void cl_core_link_done(struct cl_core_link *link)
{
    cl_core_link_wipe(link);
    cl_buf_done(&link->in);
    cl_buf_done(&link->out);
}

void cl_core_link_wipe(struct cl_core_link *link)
{
    if (link->in.data != NULL)
        explicit_bzero(link->in.data, link->in.size);
}

int cl_core_link_receive(struct cl_core_link *link, struct cl_bytes *ret, int ret_fds[2],
                         struct cl_error *err)
{
    struct cl_packet packet = {.data = link->in.data, .size = link->in.size, .fd_count = MAX_FDS};
    int r = cl_channel_receive(link->fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (r == -EAGAIN)
        return 0;
    if (r == -EPIPE)
        return r;
    if (r < 0)
        return cl_fail(err, r, "receive from cloister");
    for (size_t i = 0; i < MAX_FDS; i++)
        ret_fds[i] = i < packet.fd_count ? packet.fds[i] : -1;
    *ret = (struct cl_bytes){packet.data, packet.size};
    return 1;
}

int cl_core_link_is_closed(const struct cl_core_link *link)
{
    struct pollfd fd = {.fd = link->fd};

    return cl_sys_poll(&fd, 1, 0) == 1 && (fd.revents & POLLHUP) != 0;
}

int cl_core_link_send(struct cl_core_link *link, const struct cl_fetch_report *report,
                      struct cl_error *err)
{
    link->out.size = 0;
    int r = cl_flat_write(&cl_fetch_report_shape, report, &link->out, err);
    if (r < 0)
        return r;
    const struct cl_packet packet = {.data = link->out.data, .size = link->out.size};
    r = cl_channel_send(link->fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (r == -EAGAIN || r == -ENOBUFS)
        return -EAGAIN;
    if (r == -EPIPE || r == -ECONNRESET)
        return 0; /* the end of file that comes next says it, too */
    return r < 0 ? cl_fail(err, r, "send to cloister") : 0;
}
