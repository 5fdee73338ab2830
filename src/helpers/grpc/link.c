#include "helpers/grpc/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sys.h"

void cl_grpc_link_init(struct cl_grpc_link *ret, int fd)
{
    *ret = (struct cl_grpc_link){
        .fd = fd,
        .out = CL_BUF_INIT(CL_GRPC_LINK_MOST + CL_TTRPC_HEADER + CL_TTRPC_MOST),
        .in = CL_BUF_INIT(CL_TTRPC_MOST),
    };
}

void cl_grpc_link_done(struct cl_grpc_link *link)
{
    cl_buf_done(&link->out);
    cl_buf_done(&link->in);
}

/* --- calls --------------------------------------------------------------------------------- */

size_t cl_grpc_link_waits(const struct cl_grpc_link *link)
{
    return link->out.size - link->sent;
}

/* What is sent makes room once it is more than what isn't. */
static void drop_sent(struct cl_grpc_link *link)
{
    struct cl_buf *out = &link->out;

    if (link->sent == out->size) { /* who is quiet has no memory here */
        cl_buf_done(out);
    } else if (link->sent > out->size / 2) {
        memmove(out->data, out->data + link->sent, out->size - link->sent);
        out->size -= link->sent;
    } else {
        return;
    }
    link->sent = 0;
}

int cl_grpc_link_add(struct cl_grpc_link *link, uint32_t stream,
                     const struct cl_ttrpc_request *request)
{
    if (link->out.size > CL_GRPC_LINK_MOST)
        return -ENOBUFS;
    return cl_ttrpc_add(&link->out, stream, CL_TTRPC_REQUEST, &cl_ttrpc_request_shape, request);
}

static int is_gone(ssize_t r)
{
    return r == -EPIPE || r == -ECONNRESET;
}

int cl_grpc_link_send(struct cl_grpc_link *link)
{
    while (cl_grpc_link_waits(link) > 0) {
        const ssize_t size = cl_sys_send(link->fd, link->out.data + link->sent,
                                         cl_grpc_link_waits(link), MSG_DONTWAIT);

        if (size == -EINTR)
            continue;
        if (size == -EAGAIN)
            break;
        if (size < 0)
            return is_gone(size) ? -EPIPE : (int)size;
        link->sent += (size_t)size;
    }
    drop_sent(link);
    return 0;
}

/* --- answers ------------------------------------------------------------------------------- */

/* Up to SIZE bytes; 0: none are there. */
static ssize_t take(const struct cl_grpc_link *link, void *ret, size_t size, struct cl_error *err)
{
    ssize_t got;

    do
        got = cl_sys_recv(link->fd, ret, size, MSG_DONTWAIT);
    while (got == -EINTR);
    if (got == -EAGAIN)
        return 0;
    if (got == 0 || is_gone(got))
        return cl_refuse(err, EPIPE, "the core is gone");
    return got < 0 ? cl_fail(err, (int)got, "hear from the core") : got;
}

static int take_header(struct cl_grpc_link *link, struct cl_error *err)
{
    struct cl_ttrpc_header header;
    const ssize_t got =
        take(link, link->header + link->header_size, CL_TTRPC_HEADER - link->header_size, err);

    if (got <= 0)
        return (int)got;
    link->header_size += (size_t)got;
    if (link->header_size < CL_TTRPC_HEADER)
        return 0;
    cl_ttrpc_take_header(link->header, &header);
    if (header.type != CL_TTRPC_RESPONSE || header.flags != 0 || header.size > CL_TTRPC_MOST)
        return cl_refuse(err, EPROTO, "the core sent what is no answer: type %u, %u bytes",
                         header.type, header.size);
    return cl_buf_grow(&link->in, header.size) < 0 ? cl_fail_memory(err) : 0;
}

int cl_grpc_link_receive(struct cl_grpc_link *link, uint32_t *ret_stream, struct cl_buf *ret,
                         struct cl_error *err)
{
    struct cl_ttrpc_header header;

    if (link->header_size < CL_TTRPC_HEADER) {
        const int r = take_header(link, err);

        if (r < 0 || link->header_size < CL_TTRPC_HEADER)
            return r;
    }
    if (link->in_size < link->in.size) {
        const ssize_t got =
            take(link, link->in.data + link->in_size, link->in.size - link->in_size, err);

        if (got <= 0)
            return (int)got;
        link->in_size += (size_t)got;
        if (link->in_size < link->in.size)
            return 0;
    }
    cl_ttrpc_take_header(link->header, &header);
    *ret_stream = header.stream;
    *ret = link->in;
    link->in = CL_BUF_INIT(CL_TTRPC_MOST);
    link->in_size = 0;
    link->header_size = 0;
    return 1;
}
