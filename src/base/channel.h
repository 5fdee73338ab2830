/* channel.h - packets with descriptors over a SOCK_SEQPACKET or datagram socket.
 *
 * What is received is bounded by the receiver: descriptors beyond its room are closed, a
 * packet that is cut is an error.
 */
#ifndef CL_BASE_CHANNEL_H
#define CL_BASE_CHANNEL_H

#include "base/defs.h"

enum { CL_CHANNEL_MAX_FDS = 8 };

/* To send: what goes. To receive: the room there is (size, fd_count), then what came. The
 * descriptors that came are the receiver's, close-on-exec. */
struct cl_packet {
    void *data;
    size_t size;
    int fds[CL_CHANNEL_MAX_FDS];
    size_t fd_count;
};

/* 0 or -errno; FLAGS are sendmsg's. */
int cl_channel_send(int channel, const struct cl_packet *packet, int flags);
/* 0; -EPIPE when the other end is gone, -EPROTO for a packet that is larger than the room,
 * or -errno. FLAGS are recvmsg's. */
int cl_channel_receive(int channel, struct cl_packet *packet, int flags);

/* Whether the other end of the socket CONNECTION is our own user's, or root's: 0 or -EPERM. */
int cl_channel_check_peer(int connection);

#endif
