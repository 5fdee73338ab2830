#include "sandbox/offer.h"

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/control.h"

enum { VERSION = 1 };

struct message {
    uint32_t version;
    uint32_t flags;
};

int cl_offer_give(const struct cl_entry *entry, const char *client, const struct cl_plan *plan,
                  int fd)
{
    CL_CLEANUP_FD int connection = cl_control_call_back(entry, client);
    struct message message = {.version = VERSION};
    const struct cl_packet packet = {
        .data = &message, .size = sizeof(message), .fds = {fd}, .fd_count = fd < 0 ? 0 : 1};

    if (plan->tty)
        message.flags |= CL_OFFER_TTY;
    if (plan->tty ? plan->interactive : fd >= 0)
        message.flags |= CL_OFFER_INPUT;
    return connection < 0 ? connection : cl_channel_send(connection, &packet, MSG_DONTWAIT);
}

static int fail_version(const struct cl_entry *entry, struct cl_error *err)
{
    return cl_refuse(err, EPROTO, "sandbox %s was started by another version of cloister",
                     entry->id);
}

/* Only what is needed of the descriptor's kind: a pipe, or a terminal. */
static int check(const struct message *message, const struct cl_packet *packet)
{
    const int wants_fd = message->flags != 0;
    struct stat st;

    if (packet->size != sizeof(*message) || message->version != VERSION ||
        (message->flags & ~(uint32_t)CL_OFFER_FLAGS) != 0 || packet->fd_count != (size_t)wants_fd)
        return -EPROTO;
    if (!wants_fd)
        return 0;
    if (cl_sys_fstat(packet->fds[0], &st) < 0)
        return -EPROTO;
    if ((message->flags & CL_OFFER_TTY) != 0)
        return S_ISCHR(st.st_mode) ? 0 : -EPROTO;
    return S_ISFIFO(st.st_mode) ? 0 : -EPROTO;
}

int cl_offer_take(const struct cl_entry *entry, struct cl_offer *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int connection = cl_control_attach(entry, err);
    struct message message = {0};
    struct cl_packet packet = {
        .data = &message, .size = sizeof(message), .fds = {-1}, .fd_count = 1};

    if (connection == -EINVAL) /* what an older one says to a request that it doesn't know */
        return fail_version(entry, err);
    if (connection < 0)
        return connection;
    int r = cl_channel_receive(connection, &packet, MSG_DONTWAIT); /* sent before the answer */
    if (r < 0)
        return cl_fail(err, r, "hear from sandbox %s", entry->id);
    CL_CLEANUP_FD int fd = packet.fd_count > 0 ? packet.fds[0] : -1;
    if (check(&message, &packet) < 0)
        return fail_version(entry, err);
    ret->flags = message.flags;
    ret->fd = CL_TAKE_FD(fd);
    return 0;
}
