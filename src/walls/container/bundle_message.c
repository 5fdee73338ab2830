#include <errno.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

int cl_bundle_send(int channel, enum cl_bundle_message_kind kind, const struct cl_error *error)
{
    struct cl_bundle_message message = {.kind = kind};
    const struct cl_packet packet = {.data = &message, .size = sizeof(message)};

    if (error != NULL)
        message.error = *error;
    return cl_channel_send(channel, &packet, 0);
}

int cl_bundle_send_begin(int channel, int fd)
{
    struct cl_bundle_message message = {.kind = CL_BUNDLE_BEGIN};
    const struct cl_packet packet = {
        .data = &message, .size = sizeof(message), .fds = {fd}, .fd_count = fd >= 0};

    return cl_channel_send(channel, &packet, 0);
}

int cl_bundle_receive_begin(int channel, int *ret_fd)
{
    struct cl_bundle_message message;
    struct cl_packet packet = {.data = &message, .size = sizeof(message), .fd_count = 1};
    int r = cl_channel_receive(channel, &packet, 0);

    *ret_fd = r == 0 && packet.fd_count == 1 ? packet.fds[0] : -1;
    if (r == 0 && (packet.size != sizeof(message) || message.kind != CL_BUNDLE_BEGIN))
        r = -EPROTO;
    if (r < 0)
        cl_fd_close(ret_fd);
    return r;
}

int cl_bundle_receive(int channel, struct cl_bundle_message *ret)
{
    struct cl_packet packet = {.data = ret, .size = sizeof(*ret)};
    int r;

    do
        r = cl_channel_receive(channel, &packet, 0);
    while (r == -EINTR);
    if (r == -ECONNRESET)
        r = -EPIPE;
    if (r == 0 && packet.size != sizeof(*ret))
        r = -EPROTO;
    if (r == 0 && ret->kind == CL_BUNDLE_FAILED)
        (void)cl_error_check(&ret->error);
    return r;
}

int cl_bundle_expect(int channel, enum cl_bundle_message_kind kind, struct cl_error *err)
{
    struct cl_bundle_message message = {0};
    int r = cl_bundle_receive(channel, &message);

    if (r == -EPIPE)
        return cl_refuse(err, ESRCH, "the container's first process was killed");
    if (r < 0)
        return cl_fail(err, r, "receive from the container's first process");
    if (message.kind == CL_BUNDLE_FAILED) {
        *err = message.error;
        return -err->code;
    }
    if (message.kind != kind)
        return cl_refuse(err, EPROTO, "the container's first process says what nobody asked");
    return 0;
}

int cl_bundle_await(int channel, struct cl_error *err)
{
    struct cl_bundle_message message;
    int r = cl_bundle_expect(channel, CL_BUNDLE_EXEC, err);

    if (r < 0)
        return r;
    r = cl_bundle_receive(channel, &message);
    if (r == -EPIPE)
        return 0;
    if (r < 0)
        return cl_fail(err, r, "receive from the container's process");
    if (message.kind != CL_BUNDLE_FAILED)
        return cl_refuse(err, EPROTO, "the container's process says what nobody asked");
    *err = message.error;
    return -err->code;
}
