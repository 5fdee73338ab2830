#include <errno.h>
#include <string.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

_Static_assert((int)CL_MESSAGE_MAX_FDS <= (int)CL_CHANNEL_MAX_FDS, "a packet holds a message");

static int send_message(int channel, const struct cl_message *message, const int *fds, size_t count,
                        int flags)
{
    struct cl_packet packet = {
        .data = cl_unconst(message), .size = sizeof(*message), .fd_count = count};

    CL_ASSERT(count <= CL_MESSAGE_MAX_FDS);
    if (count > 0)
        memcpy(packet.fds, fds, count * sizeof(*fds));
    return cl_channel_send(channel, &packet, flags);
}

int cl_message_send(int channel, const struct cl_message *message, const int *fds, size_t count)
{
    return send_message(channel, message, fds, count, 0);
}

int cl_message_offer(int channel, const struct cl_message *message, const int *fds, size_t count)
{
    return send_message(channel, message, fds, count, MSG_DONTWAIT);
}

int cl_message_has_no_reader(int r)
{
    return r == -EPIPE || r == -ECONNRESET;
}

int cl_message_receive(int channel, struct cl_message *ret, int *ret_fds, size_t max, int flags)
{
    struct cl_packet packet = {.data = ret, .size = sizeof(*ret), .fd_count = max};

    CL_ASSERT(max <= CL_MESSAGE_MAX_FDS);
    int r = cl_channel_receive(channel, &packet, flags);
    if (r < 0)
        return r;
    if (packet.size != sizeof(*ret)) {
        for (size_t i = 0; i < packet.fd_count; i++)
            cl_fd_close(&packet.fds[i]);
        return -EPROTO;
    }
    if (packet.fd_count > 0)
        memcpy(ret_fds, packet.fds, packet.fd_count * sizeof(*ret_fds));
    return (int)packet.fd_count;
}
