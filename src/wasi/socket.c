/* socket.c - sockets that the guest was given. It makes none: the specification has no call. */
#include <errno.h>

#include "base/sys.h"
#include "wasi/calls.h"
#include "wasi/io.h"
#include "wasi/rights.h"

/* NOTSOCK before what rights say. */
static uint32_t find_socket(struct cl_wasi *wasi, uint64_t number, uint64_t right,
                            struct cl_wasi_descriptor **ret)
{
    uint32_t r = cl_wasi_find(wasi, number, 0, ret);

    if (r != CL_WASI_SUCCESS)
        return r;
    if ((*ret)->type != CL_WASI_TYPE_SOCKET_STREAM && (*ret)->type != CL_WASI_TYPE_SOCKET_DGRAM)
        return CL_WASI_NOTSOCK;
    return cl_wasi_find(wasi, number, right, ret);
}

/* --- accepting ----------------------------------------------------------------------------- */

static uint32_t accept_one(struct cl_wasi *wasi, uint64_t number,
                           struct cl_wasi_descriptor *accepted)
{
    const struct cl_wasi_descriptor *listener = &wasi->descriptors[number];

    do
        accepted->host = cl_sys_accept(listener->host, SOCK_NONBLOCK);
    while (accepted->host == -EINTR);
    if (accepted->host == -EAGAIN)
        return cl_wasi_would_block(wasi, listener, POLLIN);
    if (accepted->host < 0)
        return cl_wasi_errno(accepted->host);
    int described = cl_wasi_describe(accepted);
    if (described < 0)
        return cl_wasi_errno(described);
    accepted->base = cl_wasi_rights_that_apply(accepted);
    return CL_WASI_SUCCESS;
}

/* sock_accept(fd, flags, ret_fd) */
CL_WASI_CALL(sock_accept)
{
    CL_CLEANUP(cl_wasi_close) struct cl_wasi_descriptor accepted = CL_WASI_NO_DESCRIPTOR;
    struct cl_wasi_descriptor *listener = NULL;
    uint8_t *ret = cl_wasi_at(memory, arguments[2], 4);
    uint32_t r = find_socket(wasi, arguments[0], CL_WASI_RIGHT_SOCK_ACCEPT, &listener);

    if (r == CL_WASI_SUCCESS && (arguments[1] & ~(uint64_t)CL_WASI_NONBLOCK) != 0)
        r = CL_WASI_INVAL;
    if (r == CL_WASI_SUCCESS && ret == NULL)
        r = CL_WASI_FAULT;
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_make_room(wasi);
    if (r == CL_WASI_SUCCESS)
        r = accept_one(wasi, arguments[0], &accepted);
    if (r != CL_WASI_SUCCESS)
        return r;
    accepted.flags = (uint16_t)arguments[1];
    cl_wasi_store32(ret, cl_wasi_add(wasi, &accepted));
    return CL_WASI_SUCCESS;
}

/* --- messages ------------------------------------------------------------------------------ */

/* sock_recv(fd, data, data_len, flags, ret_size, ret_flags) */
struct reception {
    struct cl_wasi_descriptor *descriptor;
    struct cl_wasi_buffers buffers;
    const uint64_t *arguments;
    uint8_t *ret_size, *ret_flags;
};

static uint32_t take_reception(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                               struct reception *reception)
{
    const uint64_t known = CL_WASI_RECV_PEEK | CL_WASI_RECV_WAITALL;
    const uint64_t *arguments = reception->arguments;
    uint32_t r = find_socket(wasi, arguments[0], CL_WASI_RIGHT_FD_READ, &reception->descriptor);

    if (r == CL_WASI_SUCCESS && (arguments[3] & ~known) != 0)
        r = CL_WASI_INVAL;
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_take_buffers(memory, arguments[1], arguments[2], &reception->buffers);
    reception->ret_size = cl_wasi_at(memory, arguments[4], 4);
    reception->ret_flags = cl_wasi_at(memory, arguments[5], 2);
    if (r == CL_WASI_SUCCESS && (reception->ret_size == NULL || reception->ret_flags == NULL))
        r = CL_WASI_FAULT;
    return r;
}

static uint32_t give_received(const struct reception *reception, uint64_t size, int flags)
{
    const int is_cut = (flags & MSG_TRUNC) != 0;

    cl_wasi_store32(reception->ret_size, (uint32_t)size);
    cl_wasi_store16(reception->ret_flags, is_cut ? CL_WASI_RECV_DATA_TRUNCATED : 0);
    return CL_WASI_SUCCESS;
}

/* DONE bytes have come in earlier calls of this one, and there may be more to wait for. */
static uint32_t receive(struct cl_wasi *wasi, struct reception *reception, uint64_t done, int waits)
{
    const int peeks = (reception->arguments[3] & CL_WASI_RECV_PEEK) != 0 ? MSG_PEEK : 0;
    struct msghdr message = cl_wasi_message_of(&reception->buffers);
    ssize_t got;

    do
        got = cl_sys_recvmsg(reception->descriptor->host, &message, MSG_DONTWAIT | peeks);
    while (got == -EINTR);
    if (got == -EAGAIN && done > 0 && !waits)
        return give_received(reception, done, 0);
    if (got == -EAGAIN || (got > 0 && waits && (uint64_t)got < reception->buffers.size_bytes)) {
        wasi->receive.done = done + (got > 0 ? (uint64_t)got : 0);
        if (waits)
            cl_wasi_go_on_later(&wasi->receive, reception->arguments, 4);
        return cl_wasi_would_block(wasi, reception->descriptor, POLLIN);
    }
    if (got < 0 && done == 0)
        return cl_wasi_errno(got);
    /* an error after bytes have come is there for the next call */
    return give_received(reception, done + (got > 0 ? (uint64_t)got : 0), message.msg_flags);
}

/* RECV_WAITALL of a stream waits until all has come, by calls that each take what is there. */
CL_WASI_CALL(sock_recv)
{
    struct reception reception = {.arguments = arguments};
    const int is_again = cl_wasi_is_again(&wasi->receive, arguments, 4);
    uint64_t done = 0;
    uint32_t r = take_reception(wasi, memory, &reception);

    wasi->receive.is_waiting = 0;
    if (r != CL_WASI_SUCCESS)
        return r;
    const int waits = arguments[3] == CL_WASI_RECV_WAITALL &&
                      reception.descriptor->type == CL_WASI_TYPE_SOCKET_STREAM &&
                      (reception.descriptor->flags & CL_WASI_NONBLOCK) == 0;
    if (is_again)
        done = cl_min_u64(wasi->receive.done, reception.buffers.size_bytes);
    cl_wasi_skip_bytes(&reception.buffers, done);
    return receive(wasi, &reception, done, waits);
}

/* sock_send(fd, data, data_len, flags, ret_size): there are no flags, so it is what fd_write is. */
CL_WASI_CALL(sock_send)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = find_socket(wasi, arguments[0], CL_WASI_RIGHT_FD_WRITE, &descriptor);

    if (r == CL_WASI_SUCCESS && arguments[3] != 0)
        r = CL_WASI_INVAL;
    return r != CL_WASI_SUCCESS ? r : cl_wasi_write(wasi, memory, arguments, arguments[4]);
}

/* sock_shutdown(fd, how) */
CL_WASI_CALL(sock_shutdown)
{
    static const int hows[] = {
        [CL_WASI_SHUT_RD] = SHUT_RD,
        [CL_WASI_SHUT_WR] = SHUT_WR,
        [CL_WASI_SHUT_RD | CL_WASI_SHUT_WR] = SHUT_RDWR,
    };
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = find_socket(wasi, arguments[0], CL_WASI_RIGHT_SOCK_SHUTDOWN, &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (arguments[1] == 0 || arguments[1] >= CL_ARRAY_SIZE(hows))
        return CL_WASI_INVAL;
    return cl_wasi_errno(cl_sys_shutdown(descriptor->host, hows[arguments[1]]));
}
