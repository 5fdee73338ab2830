#include "rpc/publisher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "rpc/event_messages.h"
#include "rpc/ttrpc.h"

enum {
    EVENT_MOST = CL_TTRPC_MOST,
    ANSWER_MOST = 64 << 10,
    TRIES_MOST = 5, /* of an event that is refused */
    WAIT_LEAST_MS = 50,
    WAIT_MOST_MS = 2000,
};

struct cl_publication {
    struct cl_publication *next;
    unsigned int tries;
    struct cl_buf bytes; /* a ForwardRequest */
};

static void pump(struct cl_publisher *publisher);

/* --- what waits ---------------------------------------------------------------------------- */

static void drop_first(struct cl_publisher *publisher)
{
    struct cl_publication *first = publisher->first;

    publisher->first = first->next;
    if (publisher->first == NULL)
        publisher->end = &publisher->first;
    publisher->count--;
    publisher->is_under_way = 0;
    cl_buf_done(&first->bytes);
    free(first);
}

static int add(struct cl_publisher *publisher, const struct cl_msg_envelope *envelope)
{
    const struct cl_msg_forward forward = {.envelope = envelope};
    struct cl_publication *one = cl_calloc(1, sizeof(*one));

    if (one == NULL)
        return -ENOMEM;
    one->bytes = CL_BUF_INIT(EVENT_MOST);
    int r = cl_wire_write(&cl_msg_forward_shape, &forward, &one->bytes);
    if (r < 0) {
        cl_buf_done(&one->bytes);
        free(one);
        return r;
    }
    if (publisher->count == CL_PUBLISHER_MOST)
        drop_first(publisher);
    *publisher->end = one;
    publisher->end = &one->next;
    publisher->count++;
    return 0;
}

/* --- the connection ------------------------------------------------------------------------ */

static void set_timer(struct cl_publisher *publisher)
{
    const unsigned int doublings = (unsigned int)cl_min_u64(publisher->failures, 6);
    const uint64_t wait_ms = cl_min_u64((uint64_t)WAIT_LEAST_MS << doublings, WAIT_MOST_MS);
    const struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(wait_ms / 1000),
                                                 .tv_nsec = (long)(wait_ms % 1000 * CL_NS_PER_MS)}};

    publisher->failures++;
    /* Where it can't be set the next event is the next try. */
    (void)cl_sys_timerfd_settime(publisher->timer.fd, 0, &spec);
}

/* What was on its way goes again. */
static void disconnect(struct cl_publisher *publisher)
{
    cl_loop_remove(publisher->loop, &publisher->socket);
    cl_fd_close(&publisher->socket.fd);
    cl_buf_done(&publisher->out);
    cl_buf_done(&publisher->in);
    publisher->out = CL_BUF_INIT(CL_TTRPC_HEADER + EVENT_MOST + ANSWER_MOST);
    publisher->in = CL_BUF_INIT(ANSWER_MOST);
    publisher->sent = 0;
    publisher->is_under_way = 0;
    set_timer(publisher);
}

static int connect_socket(struct cl_publisher *publisher)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct cl_error ignored;

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", publisher->address) >=
        (int)sizeof(address.sun_path))
        return -ENAMETOOLONG;
    publisher->socket.fd = cl_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (publisher->socket.fd < 0)
        return publisher->socket.fd;
    int r =
        cl_sys_connect(publisher->socket.fd, (const struct sockaddr *)&address, sizeof(address));
    publisher->socket.events = EPOLLIN;
    return r < 0 ? r : cl_loop_add(publisher->loop, &publisher->socket, &ignored);
}

static int listen_for(struct cl_publisher *publisher, uint32_t events)
{
    struct cl_error ignored;

    return publisher->socket.events == events
               ? 0
               : cl_loop_change(publisher->loop, &publisher->socket, events, &ignored);
}

static int send_out(struct cl_publisher *publisher)
{
    struct cl_buf *out = &publisher->out;

    while (publisher->sent < out->size) {
        ssize_t size = cl_sys_send(publisher->socket.fd, out->data + publisher->sent,
                                   out->size - publisher->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (size == -EINTR)
            continue;
        if (size == -EAGAIN)
            return listen_for(publisher, EPOLLIN | EPOLLOUT);
        if (size < 0)
            return (int)size;
        publisher->sent += (size_t)size;
    }
    publisher->sent = 0;
    out->size = 0;
    return listen_for(publisher, EPOLLIN);
}

/* --- one event ----------------------------------------------------------------------------- */

static int send_first(struct cl_publisher *publisher)
{
    const struct cl_publication *first = publisher->first;
    const struct cl_ttrpc_request request = {
        .service = "containerd.services.events.ttrpc.v1.Events",
        .method = "Forward",
        .payload = {first->bytes.data, first->bytes.size},
        .timeout_ns = 5 * CL_NS_PER_S,
    };

    publisher->stream += 2; /* odd, and higher each time */
    int r = cl_ttrpc_add(&publisher->out, publisher->stream, CL_TTRPC_REQUEST,
                         &cl_ttrpc_request_shape, &request);
    if (r < 0)
        return r;
    publisher->is_under_way = 1;
    return send_out(publisher);
}

static void pump(struct cl_publisher *publisher)
{
    int r = 0;

    if (publisher->address[0] == '\0') {
        while (publisher->count > 0)
            drop_first(publisher);
    }
    if (publisher->count == 0) {
        if (publisher->on_idle != NULL)
            publisher->on_idle(publisher->context);
        return;
    }
    if (publisher->is_under_way)
        return;
    if (publisher->socket.fd < 0)
        r = connect_socket(publisher);
    if (r == 0)
        r = send_first(publisher);
    if (r < 0)
        disconnect(publisher);
}

static int read_answer(const char *bytes, size_t size, struct cl_ttrpc_response *ret)
{
    struct cl_arena_storage storage;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT_IN(ANSWER_MOST, &storage);
    struct cl_error ignored;
    int r = cl_wire_read(&cl_ttrpc_response_shape, &(struct cl_bytes){bytes, size}, &arena, ret,
                         &ignored);

    if (r < 0)
        return r;
    const int is_refused = ret->status != NULL && ret->status->code != 0;
    *ret = (struct cl_ttrpc_response){0};
    return is_refused;
}

/* 1: all of one was there; 0; or -errno for what is none. */
static int take_answer(struct cl_publisher *publisher)
{
    struct cl_buf *in = &publisher->in;
    struct cl_ttrpc_response response = {0};
    struct cl_ttrpc_header header;

    if (in->size < CL_TTRPC_HEADER)
        return 0;
    cl_ttrpc_take_header((const uint8_t *)in->data, &header);
    if (header.type != CL_TTRPC_RESPONSE || header.size > ANSWER_MOST - CL_TTRPC_HEADER)
        return -EPROTO;
    const size_t size = CL_TTRPC_HEADER + header.size;
    if (in->size < size)
        return 0;
    int r = read_answer(in->data + CL_TTRPC_HEADER, header.size, &response);
    if (r < 0 || !publisher->is_under_way || header.stream != publisher->stream)
        return -EPROTO;
    memmove(in->data, in->data + size, in->size - size);
    in->size -= size;
    publisher->is_under_way = 0;
    if (r == 1 && ++publisher->first->tries < TRIES_MOST) {
        set_timer(publisher);
        return 1;
    }
    publisher->failures = 0;
    drop_first(publisher);
    pump(publisher);
    return 1;
}

static int receive(struct cl_publisher *publisher)
{
    static char bytes[4096];
    ssize_t size = cl_sys_recv(publisher->socket.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (size == -EAGAIN || size == -EINTR)
        return 0;
    if (size <= 0)
        return size < 0 ? (int)size : -EPIPE;
    int r = cl_buf_add(&publisher->in, bytes, (size_t)size);
    if (r == 0)
        r = 1;
    while (r == 1 && publisher->socket.fd >= 0)
        r = take_answer(publisher);
    return r;
}

static int on_socket(struct cl_source *source, uint32_t events, CL_UNUSED struct cl_error *err)
{
    struct cl_publisher *publisher = source->context;
    int r = (events & EPOLLOUT) != 0 ? send_out(publisher) : 0;

    if (r == 0 && (events & EPOLLIN) != 0)
        r = receive(publisher);
    if (r == 0 && (events & EPOLLIN) == 0 && (events & (EPOLLHUP | EPOLLERR)) != 0)
        r = -EPIPE;
    if (r < 0 && publisher->socket.fd >= 0)
        disconnect(publisher);
    return 0;
}

static int on_timer(struct cl_source *source, CL_UNUSED uint32_t events,
                    CL_UNUSED struct cl_error *err)
{
    uint64_t count;

    (void)cl_sys_read(source->fd, &count, sizeof(count)); /* how often is no matter */
    pump(source->context);
    return 0;
}

/* --- its life ------------------------------------------------------------------------------ */

int cl_publisher_init(struct cl_publisher *ret, struct cl_loop *loop, const char *address,
                      const char *space, struct cl_error *err)
{
    *ret = (struct cl_publisher){
        .loop = loop,
        .address = address,
        .space = space,
        .socket = {.fd = -1, .on_event = on_socket, .context = ret},
        .timer = {.fd = cl_sys_timerfd_create(CLOCK_MONOTONIC),
                  .events = EPOLLIN,
                  .on_event = on_timer,
                  .context = ret},
        .stream = UINT32_MAX, /* the first is 1 */
        .out = CL_BUF_INIT(CL_TTRPC_HEADER + EVENT_MOST + ANSWER_MOST),
        .in = CL_BUF_INIT(ANSWER_MOST),
    };
    ret->end = &ret->first;
    if (ret->timer.fd < 0)
        return cl_fail(err, ret->timer.fd, "make a timer");
    return cl_loop_add(loop, &ret->timer, err);
}

void cl_publisher_done(struct cl_publisher *publisher)
{
    while (publisher->count > 0)
        drop_first(publisher);
    cl_loop_remove(publisher->loop, &publisher->socket);
    cl_loop_remove(publisher->loop, &publisher->timer);
    cl_fd_close(&publisher->socket.fd);
    cl_fd_close(&publisher->timer.fd);
    cl_buf_done(&publisher->out);
    cl_buf_done(&publisher->in);
}

int cl_publish(struct cl_publisher *publisher, const char *topic, const char *type,
               const struct cl_wire_shape *shape, const void *record)
{
    CL_CLEANUP_BUF struct cl_buf value = CL_BUF_INIT(EVENT_MOST);
    const struct cl_msg_time now = cl_msg_time_of(cl_clock_wall_ns());
    int r = cl_wire_write(shape, record, &value);

    if (r < 0)
        return r;
    const struct cl_msg_any event = {.type_url = type, .value = {cl_buf_text(&value), value.size}};
    r = add(publisher, &(struct cl_msg_envelope){
                           .at = &now, .space = publisher->space, .topic = topic, .event = &event});
    if (r == 0)
        pump(publisher);
    return r;
}
