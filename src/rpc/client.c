#include "rpc/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "rpc/ttrpc.h"

enum {
    READ_AT_ONCE = 16 << 10,
    IN_MOST = CL_TTRPC_HEADER + CL_TTRPC_MOST + READ_AT_ONCE,
    OUT_MOST = 2 * (CL_TTRPC_HEADER + CL_TTRPC_MOST),
    ARENA_MOST = 4 * CL_TTRPC_MOST,
};

struct cl_rpc_waiting {
    struct cl_rpc_waiting *next;
    uint32_t stream;
    const struct cl_wire_shape *shape;
    void (*on_answer)(void *context, const void *response, const struct cl_error *why);
    void *context;
};

struct cl_rpc_client {
    struct cl_loop *loop;
    struct cl_source source; /* -1: the connection has ended */
    struct cl_buf out;
    size_t sent;
    struct cl_buf in;
    uint32_t stream; /* the last */
    struct cl_rpc_waiting *waiting;
    int is_used; /* somebody further up has it, who frees it when it */
    int is_over;
};

/* --- who waits ------------------------------------------------------------------------------- */

static struct cl_rpc_waiting *take_waiting(struct cl_rpc_client *client, uint32_t stream)
{
    struct cl_rpc_waiting **at = &client->waiting;

    while (*at != NULL && (*at)->stream != stream)
        at = &(*at)->next;
    struct cl_rpc_waiting *one = *at;
    if (one != NULL)
        *at = one->next;
    return one;
}

static void answer(struct cl_rpc_waiting *one, const void *response, const struct cl_error *why)
{
    if (one->on_answer != NULL)
        one->on_answer(one->context, response, why);
    free(one);
}

static void disconnect(struct cl_rpc_client *client)
{
    cl_loop_remove(client->loop, &client->source);
    cl_fd_close(&client->source.fd);
    cl_buf_done(&client->out);
    cl_buf_done(&client->in);
}

/* The connection has ended: all who wait are told. */
static void break_off(struct cl_rpc_client *client, int r)
{
    struct cl_rpc_waiting *one;
    struct cl_error why = {0};

    disconnect(client);
    (void)cl_refuse(&why, EAGAIN, "the connection has ended: %s", strerror(-r));
    while ((one = client->waiting) != NULL) {
        client->waiting = one->next;
        answer(one, NULL, &why);
    }
}

void cl_rpc_client_forget(struct cl_rpc_client *client, const void *context)
{
    for (struct cl_rpc_waiting *one = client->waiting; one != NULL; one = one->next) {
        if (one->context == context)
            one->on_answer = NULL;
    }
}

/* --- out ------------------------------------------------------------------------------------- */

static int listen_for(struct cl_rpc_client *client, uint32_t events)
{
    struct cl_error ignored;

    return client->source.events == events
               ? 0
               : cl_loop_change(client->loop, &client->source, events, &ignored);
}

static int send_out(struct cl_rpc_client *client)
{
    struct cl_buf *out = &client->out;

    while (client->sent < out->size) {
        ssize_t size = cl_sys_send(client->source.fd, out->data + client->sent,
                                   out->size - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (size == -EINTR)
            continue;
        if (size == -EAGAIN)
            return listen_for(client, EPOLLIN | EPOLLOUT);
        if (size < 0)
            return (int)size;
        client->sent += (size_t)size;
    }
    client->sent = 0;
    cl_buf_done(out);
    *out = CL_BUF_INIT(OUT_MOST);
    return listen_for(client, EPOLLIN);
}

static int add_request(struct cl_rpc_client *client, const struct cl_rpc_question *question)
{
    CL_CLEANUP_BUF struct cl_buf payload = CL_BUF_INIT(CL_RPC_CALL_MOST);
    const struct cl_msg_pair space = {CL_TTRPC_SPACE, question->space};
    int r = cl_wire_write(question->request_shape, question->request, &payload);

    if (r < 0)
        return r;
    const struct cl_ttrpc_request request = {
        .service = question->service,
        .method = question->method,
        .payload = {cl_buf_text(&payload), payload.size},
        .metadata = {&space, 1},
    };
    client->stream += 2;
    return cl_ttrpc_add(&client->out, client->stream, CL_TTRPC_REQUEST, &cl_ttrpc_request_shape,
                        &request);
}

int cl_rpc_client_ask(struct cl_rpc_client *client, const struct cl_rpc_question *question,
                      struct cl_error *err)
{
    if (!cl_rpc_client_is_there(client))
        return cl_refuse(err, EAGAIN, "%s: the connection has ended", question->method);
    struct cl_rpc_waiting *one = cl_calloc(1, sizeof(*one));
    if (one == NULL)
        return cl_fail_memory(err);
    int r = add_request(client, question);
    if (r == 0 && client->sent == 0)
        r = listen_for(client, EPOLLIN | EPOLLOUT); /* and no answer from within here */
    if (r < 0) {
        free(one);
        return cl_fail(err, r, "ask for %s", question->method);
    }
    *one = (struct cl_rpc_waiting){client->waiting, client->stream, question->response_shape,
                                   question->on_answer, question->context};
    client->waiting = one;
    return 0;
}

/* --- in -------------------------------------------------------------------------------------- */

/* BYTES are of ONE's response; it is answered whatever they are. */
static void read_response(struct cl_rpc_waiting *one, const struct cl_bytes *bytes)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MOST);
    struct cl_ttrpc_response response = {0};
    struct cl_error why = {0};
    void *record = NULL;
    int r = cl_wire_read(&cl_ttrpc_response_shape, bytes, &arena, &response, &why);

    if (r == 0 && response.status != NULL && response.status->code != CL_RPC_OK)
        r = cl_refuse(&why, cl_rpc_errno_of(response.status->code), "%s", response.status->message);
    if (r == 0) {
        record = cl_arena_alloc(&arena, one->shape->size);
        r = record == NULL ? cl_fail_memory(&why)
                           : cl_wire_read(one->shape, &response.payload, &arena, record, &why);
    }
    answer(one, r < 0 ? NULL : record, &why);
}

/* 1: an answer, which is taken out of what came; 0: not all of one is there; or -EPROTO. */
static int take_frame(struct cl_rpc_client *client, struct cl_rpc_waiting **ret,
                      struct cl_buf *ret_bytes)
{
    struct cl_buf *in = &client->in;
    struct cl_ttrpc_header header;

    if (in->size < CL_TTRPC_HEADER)
        return 0;
    cl_ttrpc_take_header((const uint8_t *)in->data, &header);
    if (header.type != CL_TTRPC_RESPONSE || header.size > CL_TTRPC_MOST)
        return -EPROTO;
    const size_t size = CL_TTRPC_HEADER + header.size;
    if (in->size < size)
        return 0;
    *ret = take_waiting(client, header.stream);
    if (*ret == NULL)
        return -EPROTO;
    int r = cl_buf_add(ret_bytes, in->data + CL_TTRPC_HEADER, header.size);
    memmove(in->data, in->data + size, in->size - size);
    in->size -= size;
    if (r < 0)
        return r;
    if (in->size == 0) { /* who is quiet has no memory here */
        cl_buf_done(in);
        *in = CL_BUF_INIT(IN_MOST);
    }
    return 1;
}

static int take_frames(struct cl_rpc_client *client)
{
    int r = 1;

    while (r == 1 && !client->is_over) {
        CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(CL_TTRPC_MOST);
        struct cl_rpc_waiting *one = NULL;

        r = take_frame(client, &one, &bytes);
        if (r == 1)
            read_response(one, &(struct cl_bytes){cl_buf_text(&bytes), bytes.size});
        else if (one != NULL) {
            one->next = client->waiting; /* it is answered with the others */
            client->waiting = one;
        }
    }
    return r;
}

static int receive(struct cl_rpc_client *client)
{
    static char bytes[READ_AT_ONCE];
    ssize_t size = cl_sys_recv(client->source.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (size == -EAGAIN || size == -EINTR)
        return 0;
    if (size <= 0)
        return size < 0 ? (int)size : -EPIPE;
    int r = cl_buf_add(&client->in, bytes, (size_t)size);
    return r < 0 ? r : take_frames(client);
}

static int on_event(struct cl_source *source, uint32_t events, CL_UNUSED struct cl_error *err)
{
    struct cl_rpc_client *client = source->context;
    int r = (events & EPOLLOUT) != 0 ? send_out(client) : 0;

    client->is_used = 1; /* who is told may free it */
    if (r == 0 && (events & EPOLLIN) != 0)
        r = receive(client);
    else if (r == 0 && (events & (EPOLLHUP | EPOLLERR)) != 0)
        r = -EPIPE;
    if (r < 0 && !client->is_over)
        break_off(client, r);
    client->is_used = 0;
    if (client->is_over)
        cl_rpc_client_free(client);
    return 0;
}

/* --- its life -------------------------------------------------------------------------------- */

int cl_rpc_client_is_there(const struct cl_rpc_client *client)
{
    return client != NULL && client->source.fd >= 0 && !client->is_over;
}

int cl_rpc_client_is_telling(const struct cl_rpc_client *client)
{
    return client != NULL && client->is_used && client->source.fd < 0;
}

static int connect_to(const char *path, struct cl_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
        (int)sizeof(address.sun_path))
        return cl_refuse(err, ENAMETOOLONG, "%.120s is too long for a socket's name", path);
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? fd : cl_sys_connect(fd, (const struct sockaddr *)&address, sizeof(address));
    return r < 0 ? cl_fail(err, r, "connect to %s", path) : CL_TAKE_FD(fd);
}

int cl_rpc_client_new(struct cl_loop *loop, const char *path, struct cl_rpc_client **ret,
                      struct cl_error *err)
{
    struct cl_rpc_client *client = cl_calloc(1, sizeof(*client));

    if (client == NULL)
        return cl_fail_memory(err);
    *client = (struct cl_rpc_client){
        .loop = loop,
        .source = {.fd = connect_to(path, err),
                   .events = EPOLLIN,
                   .on_event = on_event,
                   .context = client},
        .out = CL_BUF_INIT(OUT_MOST),
        .in = CL_BUF_INIT(IN_MOST),
        .stream = UINT32_MAX, /* the first is 1 */
    };
    int r = client->source.fd < 0 ? client->source.fd : cl_loop_add(loop, &client->source, err);
    if (r < 0) {
        cl_fd_close(&client->source.fd);
        free(client);
        return r;
    }
    *ret = client;
    return 0;
}

void cl_rpc_client_free(struct cl_rpc_client *client)
{
    struct cl_rpc_waiting *one;

    if (client == NULL)
        return;
    client->is_over = 1;
    if (client->source.fd >= 0)
        disconnect(client);
    while ((one = client->waiting) != NULL) {
        client->waiting = one->next;
        free(one);
    }
    if (!client->is_used)
        free(client);
}
