#include "rpc/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "base/alloc.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "rpc/ttrpc.h"

enum {
    READ_AT_ONCE = 64 << 10,
    IN_MOST = CL_TTRPC_HEADER + CL_TTRPC_MOST + READ_AT_ONCE,
    OUT_MOST = 2 * (CL_TTRPC_HEADER + CL_TTRPC_MOST) + (1 << 20),
    ARENA_MOST = 4 * CL_TTRPC_MOST,
};
enum { ACCEPT_AGAIN_NS = 100 * CL_NS_PER_MS };
_Static_assert(CL_RPC_CALL_MOST + 1 + 4 <= CL_TTRPC_MOST, "an answer fits in its frame");

struct cl_connection {
    struct cl_rpc_server *server;
    struct cl_source source;
    struct cl_buf in;
    uint64_t skip; /* bytes of a frame that isn't taken */
    uint32_t last; /* stream */
    struct cl_buf out;
    size_t sent;               /* of OUT */
    int in_waits;              /* IN may have frames that nothing more has to come for */
    struct cl_rpc_call *calls; /* that are kept */
    struct cl_connection *next, **link;
    int is_gone; /* and freed when nothing is done for it any more */
};

/* --- its calls ----------------------------------------------------------------------------- */

static void free_call(struct cl_rpc_call *call)
{
    struct cl_connection *connection = call->peer;

    if (call->later != NULL)
        call->later->link = call->link;
    *call->link = call->later;
    connection->server->call_count--;
    cl_arena_done(&call->arena);
    free(call);
}

static void lose_call(struct cl_rpc_call *call)
{
    call->on_gone(call);
    free_call(call);
}

/* --- answers ------------------------------------------------------------------------------- */

static void let_go(struct cl_connection *connection)
{
    connection->is_gone = 1;
    (void)cl_sys_shutdown(connection->source.fd, SHUT_RDWR); /* gone already is fine */
}

/* What waits to be sent keeps more from being read. */
static void listen_for(struct cl_connection *connection, uint32_t events)
{
    struct cl_error ignored;

    if (connection->source.events != events &&
        cl_loop_change(connection->server->loop, &connection->source, events, &ignored) < 0)
        let_go(connection);
}

static int send_out(struct cl_connection *connection)
{
    struct cl_buf *out = &connection->out;

    while (connection->sent < out->size) {
        ssize_t size = cl_sys_send(connection->source.fd, out->data + connection->sent,
                                   out->size - connection->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (size == -EINTR)
            continue;
        if (size == -EAGAIN) {
            listen_for(connection, EPOLLOUT);
            return 0;
        }
        if (size < 0)
            return (int)size;
        connection->sent += (size_t)size;
    }
    connection->sent = 0;
    cl_buf_done(out);
    *out = CL_BUF_INIT(OUT_MOST);
    /* That there is room is told once more to who has to go on with frames: what has sent the
     * last bytes may be another's call, or a deadline. */
    listen_for(connection, connection->in_waits ? EPOLLOUT : EPOLLIN);
    return 0;
}

/* Who can't be told is let go: of his answers none is ever left out. */
static void answer(struct cl_connection *connection, uint32_t stream,
                   const struct cl_ttrpc_response *response)
{
    if (connection->is_gone)
        return;
    int r = cl_ttrpc_add(&connection->out, stream, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape,
                         response);

    if (r == 0)
        r = send_out(connection);
    if (r < 0)
        let_go(connection);
}

static void refuse(struct cl_connection *connection, uint32_t stream, enum cl_rpc_code code,
                   const char *why)
{
    const struct cl_msg_status status = {.code = code, .message = why};

    answer(connection, stream, &(struct cl_ttrpc_response){.status = &status});
}

static void send_answer(struct cl_rpc_call *call, const struct cl_msg_status *status,
                        const struct cl_buf *payload)
{
    const struct cl_ttrpc_response response = {
        .status = status->code == CL_RPC_OK ? NULL : status,
        .payload = {cl_buf_text(payload), payload->size},
    };

    answer(call->peer, call->stream, &response);
    free_call(call);
}

/* --- deadlines ----------------------------------------------------------------------------- */

static int set_timer(struct cl_rpc_server *server, uint64_t first_ns)
{
    struct itimerspec spec = {0};

    if (first_ns != UINT64_MAX) {
        spec.it_value.tv_sec = (time_t)(first_ns / CL_NS_PER_S);
        spec.it_value.tv_nsec = (long)(first_ns % CL_NS_PER_S);
    }
    /* Where it can't be set an answer comes late, with the next deadline, to who has stopped to
     * wait for it. */
    const int r = cl_sys_timerfd_settime(server->timer.fd, TFD_TIMER_ABSTIME, &spec);
    server->first_ns = r < 0 ? UINT64_MAX : first_ns;
    return r;
}

/* The first deadline of those calls that go on. */
static uint64_t end_late(struct cl_connection *connection, uint64_t now_ns)
{
    struct cl_rpc_call *call = connection->calls;
    uint64_t first_ns = UINT64_MAX;

    while (call != NULL) {
        struct cl_rpc_call *later = call->later;

        if (call->until_ns > now_ns) {
            first_ns = cl_min_u64(first_ns, call->until_ns);
        } else {
            refuse(connection, call->stream, CL_RPC_DEADLINE_EXCEEDED, "it took too long");
            lose_call(call);
        }
        call = later;
    }
    return first_ns;
}

static int on_timer(struct cl_source *source, CL_UNUSED uint32_t events,
                    CL_UNUSED struct cl_error *err)
{
    struct cl_rpc_server *server = source->context;
    const uint64_t now_ns = cl_clock_mono_ns();
    uint64_t first_ns = UINT64_MAX;
    struct cl_error ignored;
    uint64_t count;

    (void)cl_sys_read(source->fd, &count, sizeof(count)); /* how often is no matter */
    for (struct cl_connection *one = server->connections; one != NULL; one = one->next)
        first_ns = cl_min_u64(first_ns, end_late(one, now_ns));
    if (!server->listener.added && cl_loop_add(server->loop, &server->listener, &ignored) < 0)
        first_ns = cl_min_u64(first_ns, now_ns + ACCEPT_AGAIN_NS);
    (void)set_timer(server, first_ns);
    return 0;
}

/* A time that is over already is one, too: int64, and so negative. */
static uint64_t until(uint64_t timeout_ns)
{
    const uint64_t now_ns = cl_clock_mono_ns();

    if (timeout_ns == 0)
        return UINT64_MAX;
    return timeout_ns > INT64_MAX ? now_ns : now_ns + timeout_ns;
}

/* --- requests ------------------------------------------------------------------------------ */

static struct cl_rpc_call *new_call(struct cl_connection *connection, uint32_t stream)
{
    struct cl_rpc_call *call = cl_calloc(1, sizeof(*call));

    if (call == NULL)
        return NULL;
    call->arena = CL_ARENA_INIT(ARENA_MOST);
    call->context = connection->server->service->context;
    call->send = send_answer;
    call->peer = connection;
    call->stream = stream;
    call->later = connection->calls;
    call->link = &connection->calls;
    if (call->later != NULL)
        call->later->link = &call->later;
    connection->calls = call;
    connection->server->call_count++;
    return call;
}

/* What its metadata have under KEY; "". */
static const char *find_metadata(const struct cl_ttrpc_request *request, const char *key)
{
    const struct cl_msg_pair *pairs = request->metadata.items;

    for (size_t i = 0; i < request->metadata.count; i++) {
        if (strcmp(pairs[i].key, key) == 0)
            return pairs[i].value;
    }
    return "";
}

/* BYTES are copied: a request is there until it is answered. */
static int read_request(struct cl_rpc_call *call, const struct cl_bytes *bytes,
                        struct cl_error *err)
{
    const struct cl_connection *connection = call->peer;
    struct cl_ttrpc_request request = {0};
    char *copy = cl_arena_alloc(&call->arena, bytes->size + 1);

    if (copy == NULL)
        return cl_fail_memory(err);
    memcpy(copy, bytes->data, bytes->size);
    int r = cl_wire_read(&cl_ttrpc_request_shape, &(struct cl_bytes){copy, bytes->size},
                         &call->arena, &request, err);
    if (r < 0)
        return r;
    call->method = cl_rpc_find(connection->server->service, request.service, request.method);
    if (call->method == NULL)
        return cl_refuse(err, ENOSYS, "%.100s/%.100s: there is no such method", request.service,
                         request.method);
    call->until_ns = until(request.timeout_ns);
    call->space = find_metadata(&request, CL_TTRPC_SPACE);
    void *record = cl_arena_alloc(&call->arena, call->method->request->size);
    if (record == NULL)
        return cl_fail_memory(err);
    call->request = record;
    return cl_wire_read(call->method->request, &request.payload, &call->arena, record, err);
}

static void serve(struct cl_connection *connection, uint32_t stream, const struct cl_bytes *bytes)
{
    struct cl_rpc_server *server = connection->server;
    struct cl_error err = {0};

    if (server->call_count >= CL_RPC_CALLS_MOST) {
        refuse(connection, stream, CL_RPC_RESOURCE_EXHAUSTED, "too many calls wait");
        return;
    }
    struct cl_rpc_call *call = new_call(connection, stream);
    if (call == NULL) {
        refuse(connection, stream, CL_RPC_RESOURCE_EXHAUSTED, "no memory");
        return;
    }
    int r = read_request(call, bytes, &err);
    const uint64_t until_ns = call->until_ns;
    if (r == 0)
        r = call->method->serve(call, &err);
    if (r < 0)
        cl_rpc_refuse(call, &err);
    else if (r == CL_RPC_KEPT && until_ns < server->first_ns) /* it may be answered by now */
        (void)set_timer(server, until_ns);
}

/* What isn't taken of a frame that has a stream is said on that. */
static const char *find_fault(const struct cl_connection *connection,
                              const struct cl_ttrpc_header *header, enum cl_rpc_code *ret_code)
{
    *ret_code = CL_RPC_INVALID_ARGUMENT;
    if (header->size > CL_TTRPC_MOST) {
        *ret_code = CL_RPC_RESOURCE_EXHAUSTED;
        return "a message has 4 MiB at most";
    }
    if (header->type == CL_TTRPC_DATA)
        return "there is no such stream";
    if (header->stream % 2 == 0 || header->stream <= connection->last)
        return "a client's stream has an odd number, higher than those before";
    if (header->flags != 0) {
        *ret_code = CL_RPC_UNIMPLEMENTED;
        return "there are no streams of data here";
    }
    return NULL;
}

/* The frame whose header IN begins with: its size, 0 when not all of it is there, or -EPROTO. */
static ssize_t take_frame(struct cl_connection *connection, const char *in, size_t size)
{
    struct cl_ttrpc_header header;
    enum cl_rpc_code code;

    cl_ttrpc_take_header((const uint8_t *)in, &header);
    if (header.type != CL_TTRPC_REQUEST && header.type != CL_TTRPC_DATA)
        return -EPROTO;
    const char *fault = find_fault(connection, &header, &code);
    if (fault != NULL) {
        refuse(connection, header.stream, code, fault);
        connection->skip = header.size;
        return CL_TTRPC_HEADER;
    }
    if (size - CL_TTRPC_HEADER < header.size)
        return 0;
    connection->last = header.stream;
    serve(connection, header.stream, &(struct cl_bytes){in + CL_TTRPC_HEADER, header.size});
    return CL_TTRPC_HEADER + (ssize_t)header.size;
}

static size_t skip(struct cl_connection *connection, size_t size)
{
    const size_t skipped = (size_t)cl_min_u64(connection->skip, size);

    connection->skip -= skipped;
    return skipped;
}

/* As long as its answers are taken. */
static int take_frames(struct cl_connection *connection)
{
    struct cl_buf *in = &connection->in;
    size_t taken = 0;

    connection->in_waits = 0;
    listen_for(connection, connection->out.size > 0 ? EPOLLOUT : EPOLLIN);
    for (;;) {
        taken += skip(connection, in->size - taken);
        connection->in_waits = connection->out.size > 0;
        if (connection->is_gone || connection->in_waits || in->size - taken < CL_TTRPC_HEADER)
            break;
        ssize_t size = take_frame(connection, in->data + taken, in->size - taken);
        if (size < 0)
            return (int)size;
        if (size == 0)
            break;
        taken += (size_t)size;
    }
    if (taken == 0 && in->size > 0)
        return 0;
    if (taken == in->size) { /* who is quiet has no memory here */
        cl_buf_done(in);
        *in = CL_BUF_INIT(IN_MOST);
        return 0;
    }
    memmove(in->data, in->data + taken, in->size - taken);
    in->size -= taken;
    return 0;
}

static int receive(struct cl_connection *connection)
{
    static char bytes[READ_AT_ONCE];
    ssize_t size = cl_sys_recv(connection->source.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (size == -EAGAIN || size == -EINTR)
        return 0;
    if (size == 0)
        return -EPIPE;
    if (size < 0)
        return (int)size;
    int r = cl_buf_add(&connection->in, bytes, (size_t)size);
    return r < 0 ? r : take_frames(connection);
}

/* --- coming and going ---------------------------------------------------------------------- */

static void free_connection(struct cl_connection *connection)
{
    connection->is_gone = 1; /* nobody is told anything by what follows */
    while (connection->calls != NULL)
        lose_call(connection->calls);
    cl_loop_remove(connection->server->loop, &connection->source);
    cl_fd_close(&connection->source.fd);
    cl_buf_done(&connection->in);
    cl_buf_done(&connection->out);
    if (connection->next != NULL)
        connection->next->link = connection->link;
    *connection->link = connection->next;
    connection->server->connection_count--;
    free(connection);
}

static int on_event(struct cl_source *source, uint32_t events, CL_UNUSED struct cl_error *err)
{
    struct cl_connection *connection = source->context;
    int r = 0;

    if ((events & EPOLLOUT) != 0)
        r = send_out(connection);
    if (r == 0 && (events & EPOLLOUT) != 0 && connection->out.size == 0)
        r = take_frames(connection); /* that had to wait */
    if (r == 0 && (events & EPOLLIN) != 0)
        r = receive(connection);
    if (r < 0 || connection->is_gone || (events & (EPOLLHUP | EPOLLERR)) != 0)
        free_connection(connection);
    return 0;
}

int cl_rpc_server_adopt(struct cl_rpc_server *server, int socket, struct cl_error *err)
{
    CL_CLEANUP_FD int owned = socket;

    if (server->connection_count >= CL_RPC_CONNECTIONS_MOST)
        return cl_refuse(err, EUSERS, "too many peers are connected");
    struct cl_connection *connection = cl_calloc(1, sizeof(*connection));
    if (connection == NULL)
        return cl_fail_memory(err);
    *connection = (struct cl_connection){
        .server = server,
        .source = {.fd = owned, .events = EPOLLIN, .on_event = on_event, .context = connection},
        .in = CL_BUF_INIT(IN_MOST),
        .out = CL_BUF_INIT(OUT_MOST),
        .next = server->connections,
        .link = &server->connections,
    };
    int r = cl_loop_add(server->loop, &connection->source, err);
    if (r < 0) {
        free(connection);
        return r;
    }
    (void)CL_TAKE_FD(owned);
    if (connection->next != NULL)
        connection->next->link = &connection->next;
    server->connections = connection;
    server->connection_count++;
    return 0;
}

/* Who comes while there are no descriptors stays in the queue, of which a loop would tell without
 * end: until the timer rings, which it may for a deadline before, nobody is waited for. */
static void rest(struct cl_rpc_server *server)
{
    const uint64_t again_ns = cl_clock_mono_ns() + ACCEPT_AGAIN_NS;

    if (server->first_ns <= again_ns || set_timer(server, again_ns) == 0)
        cl_loop_remove(server->loop, &server->listener);
}

/* Whatever fails is that caller's alone. */
static int on_listener(struct cl_source *source, CL_UNUSED uint32_t events,
                       CL_UNUSED struct cl_error *err)
{
    struct cl_error ignored;
    int socket = cl_sys_accept(source->fd, SOCK_NONBLOCK);

    if (socket >= 0 && cl_channel_check_peer(socket) < 0)
        cl_fd_close(&socket);
    else if (socket >= 0)
        (void)cl_rpc_server_adopt(source->context, socket, &ignored);
    else if (socket == -EMFILE || socket == -ENFILE || socket == -ENOMEM || socket == -ENOBUFS)
        rest(source->context);
    return 0;
}

int cl_rpc_server_init(struct cl_rpc_server *ret, struct cl_loop *loop,
                       const struct cl_rpc_service *service, int listener, struct cl_error *err)
{
    *ret = (struct cl_rpc_server){
        .loop = loop,
        .service = service,
        .first_ns = UINT64_MAX,
        .listener = {.fd = listener, .events = EPOLLIN, .on_event = on_listener, .context = ret},
        .timer = {.fd = cl_sys_timerfd_create(CLOCK_MONOTONIC),
                  .events = EPOLLIN,
                  .on_event = on_timer,
                  .context = ret},
    };
    int r = ret->timer.fd < 0 ? cl_fail(err, ret->timer.fd, "make a timer") : 0;

    if (r == 0)
        r = cl_loop_add(loop, &ret->timer, err);
    if (r == 0)
        r = cl_loop_add(loop, &ret->listener, err);
    if (r < 0)
        cl_rpc_server_done(ret);
    return r;
}

void cl_rpc_server_done(struct cl_rpc_server *server)
{
    while (server->connections != NULL)
        free_connection(server->connections);
    cl_loop_remove(server->loop, &server->listener);
    cl_loop_remove(server->loop, &server->timer);
    cl_fd_close(&server->listener.fd);
    cl_fd_close(&server->timer.fd);
}
