/* rpc_scene.h - a server of a small service in a loop, and those who call it, in one process: who
 * waits for an answer has the loop work meanwhile. */
#ifndef CL_TESTS_UNIT_RPC_SCENE_H
#define CL_TESTS_UNIT_RPC_SCENE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "rpc/server.h"
#include "rpc/ttrpc.h"
#include "check.h"

enum { MANY_EVENTS = 200000 };
#define MIB (1UL << 20)

/* --- the service --------------------------------------------------------------------------- */

struct ask {
    const char *text;
    uint32_t number;
    struct cl_bytes note;
};
static const struct cl_wire_field ask_rows[] = {
    CL_WIRE_ROW(1, TEXT, ask, text),
    CL_WIRE_ROW(2, U32, ask, number),
    CL_WIRE_ROW(3, BYTES, ask, note),
};
static const struct cl_wire_shape ask_shape = CL_WIRE_SHAPE("Ask", ask, ask_rows);

struct reply {
    const char *text;
    struct cl_bytes bytes;
};
static const struct cl_wire_field reply_rows[] = {
    CL_WIRE_ROW(1, TEXT, reply, text),
    CL_WIRE_ROW(2, BYTES, reply, bytes),
};
static const struct cl_wire_shape reply_shape = CL_WIRE_SHAPE("Reply", reply, reply_rows);

static struct scene {
    struct cl_loop loop;
    struct cl_rpc_server server;
    struct cl_error err;
    struct sockaddr_un address;
    socklen_t address_size;
    struct cl_rpc_call *kept; /* the last one first */
    int kept_count;
    int gone; /* of those that were kept */
    int served;
    int before; /* descriptors */
} scene;

/* As many as NUMBER of the call says. */
static int serve_echo(struct cl_rpc_call *call, CL_UNUSED struct cl_error *err)
{
    static char bytes[5 * MIB];
    const struct ask *ask = call->request;

    scene.served++;
    cl_rpc_answer(call, &(struct reply){ask->text, {bytes, ask->number}});
    return 0;
}

static void forget(struct cl_rpc_call *call)
{
    struct cl_rpc_call **link = &scene.kept;

    while (*link != NULL && *link != call)
        link = &(*link)->next;
    CHECK(*link == call && call->keeper == &scene);
    if (*link != NULL)
        *link = call->next;
    scene.kept_count--;
}

static void on_gone(struct cl_rpc_call *call)
{
    forget(call);
    scene.gone++;
}

static int serve_keep(struct cl_rpc_call *call, CL_UNUSED struct cl_error *err)
{
    scene.served++;
    CHECK(call->context == &scene);
    call->on_gone = on_gone;
    call->keeper = &scene;
    call->next = scene.kept;
    scene.kept = call;
    scene.kept_count++;
    return CL_RPC_KEPT;
}

/* Answers the call that is kept and has TEXT, with SIZE bytes more, or (0) those of its note:
 * whether there is one. */
static int answer_kept(const char *text, uint32_t size)
{
    for (struct cl_rpc_call *call = scene.kept; call != NULL; call = call->next) {
        const struct ask *ask = call->request;

        if (strcmp(ask->text, text) == 0) {
            static char bytes[4 * MIB];

            const struct cl_bytes more = {bytes, size};

            forget(call);
            cl_rpc_answer(call, &(struct reply){ask->text, size == 0 ? ask->note : more});
            return 1;
        }
    }
    return 0;
}

/* Keeps it, and finds the answer at once. */
static int serve_keep_shortly(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct ask *ask = call->request;
    const int r = serve_keep(call, err);

    CHECK(answer_kept(ask->text, 0));
    return r;
}

static int serve_release(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct ask *ask = call->request;

    scene.served++;
    if (!answer_kept(ask->text, ask->number))
        return cl_refuse(err, ENOENT, "nothing is kept for %.100s", ask->text);
    cl_rpc_answer(call, &(struct reply){0});
    return 0;
}

static int serve_refuse(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct ask *ask = call->request;

    scene.served++;
    return cl_refuse(err, (int)ask->number, "%.400s", ask->text);
}

static const struct cl_rpc_method methods[] = {
    {"test.Test", "Echo", &ask_shape, &reply_shape, serve_echo},
    {"test.Test", "Keep", &ask_shape, &reply_shape, serve_keep},
    {"test.Test", "KeepShortly", &ask_shape, &reply_shape, serve_keep_shortly},
    {"test.Test", "Release", &ask_shape, &reply_shape, serve_release},
    {"test.Test", "Refuse", &ask_shape, &cl_msg_empty_shape, serve_refuse},
};
static const struct cl_rpc_service service = {methods, CL_ARRAY_SIZE(methods), &scene};

/* Any address that is free; anybody may connect to it. */
static inline int make_listener(void)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    scene.address = (struct sockaddr_un){.sun_family = AF_UNIX};
    scene.address_size = sizeof(scene.address);
    CHECK(bind(fd, (struct sockaddr *)&scene.address, sizeof(sa_family_t)) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&scene.address, &scene.address_size) == 0);
    CHECK(listen(fd, 64) == 0);
    return fd;
}

static inline void begin(void)
{
    scene = (struct scene){.before = check_count_fds()};
    CHECK(cl_loop_init(&scene.loop, &scene.err) == 0);
    CHECK(cl_rpc_server_init(&scene.server, &scene.loop, &service, make_listener(), &scene.err) ==
          0);
}

static inline void end(void)
{
    cl_rpc_server_done(&scene.server);
    CHECK(scene.kept == NULL && scene.kept_count == 0 && scene.server.call_count == 0);
    CHECK(scene.server.connection_count == 0);
    cl_loop_done(&scene.loop);
    CHECK(check_count_fds() == scene.before);
}

/* Has the loop do all that there is to be done. */
static inline void settle(void)
{
    int done = 0;

    while (done < MANY_EVENTS && cl_loop_dispatch(&scene.loop, 0, &scene.err) > 0)
        done++;
    CHECK(done < MANY_EVENTS); /* it isn't busy for ever */
}

/* --- who calls it -------------------------------------------------------------------------- */

struct client {
    int fd;
    struct cl_buf in;
};

static inline struct client come(void)
{
    const struct client client = {
        .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
        .in = CL_BUF_INIT(64 * MIB),
    };

    CHECK(connect(client.fd, (struct sockaddr *)&scene.address, scene.address_size) == 0);
    return client;
}

static inline void leave(struct client *client)
{
    cl_fd_close(&client->fd);
    cl_buf_done(&client->in);
}

/* As far as they are taken: how many. */
static inline size_t put(const struct client *client, const void *data, size_t size)
{
    size_t sent = 0;

    while (sent < size) {
        ssize_t r =
            send(client->fd, (const char *)data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (r > 0)
            sent += (size_t)r;
        else if (r == 0 || errno != EAGAIN || cl_loop_dispatch(&scene.loop, 0, &scene.err) <= 0)
            break;
    }
    return sent;
}
#define PUT(client, text) CHECK(put((client), (text), sizeof(text) - 1) == sizeof(text) - 1)

struct order {
    uint32_t stream;
    const char *method;
    const char *text;
    uint32_t number;
    uint64_t timeout_ns;
    struct cl_bytes note;
};

static inline void add_request(struct cl_buf *buf, const struct order *order)
{
    CL_CLEANUP_BUF struct cl_buf payload = CL_BUF_INIT(4 * MIB);
    const struct ask ask = {order->text, order->number, order->note};

    CHECK(cl_wire_write(&ask_shape, &ask, &payload) == 0);
    const struct cl_ttrpc_request request = {
        .service = "test.Test",
        .method = order->method,
        .payload = {cl_buf_text(&payload), payload.size},
        .timeout_ns = order->timeout_ns,
    };
    CHECK(cl_ttrpc_add(buf, order->stream, CL_TTRPC_REQUEST, &cl_ttrpc_request_shape, &request) ==
          0);
}

static inline void request(const struct client *client, const struct order *order)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(5 * MIB);

    add_request(&buf, order);
    CHECK(put(client, cl_buf_text(&buf), buf.size) == buf.size);
}
/* After the text, as they are called: the number, the timeout. */
#define REQUEST(client, stream_number, method_name, ...)                                           \
    request((client), &(const struct order){.stream = (stream_number),                             \
                                            .method = (method_name),                               \
                                            .text = __VA_ARGS__})

/* What has come: its size, 0 for the end, or -EAGAIN. */
static inline ssize_t fetch(struct client *client)
{
    static char bytes[1 << 18];
    const ssize_t size = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (size < 0)
        return errno == ECONNRESET ? 0 : -errno;
    CHECK(cl_buf_add(&client->in, bytes, (size_t)size) == 0);
    return size;
}

struct got {
    uint32_t stream;
    uint32_t code;
    size_t size; /* of what came with the text */
    char first[4];
    char message[512];
    char text[2048];
};

/* The size of a frame that is there, or 0. */
static inline size_t find_frame(const struct client *client, struct cl_ttrpc_header *ret)
{
    if (client->in.size < CL_TTRPC_HEADER)
        return 0;
    cl_ttrpc_take_header((const uint8_t *)client->in.data, ret);
    const size_t size = CL_TTRPC_HEADER + (size_t)ret->size;
    return client->in.size < size ? 0 : size;
}

static inline void read_answer(struct client *client, const struct cl_ttrpc_header *header,
                               struct got *ret)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(32 * MIB);
    const struct cl_bytes bytes = {client->in.data + CL_TTRPC_HEADER, header->size};
    struct cl_ttrpc_response response = {0};
    struct reply reply = {0};
    struct cl_error err = {0};

    CHECK(header->type == CL_TTRPC_RESPONSE && header->flags == 0);
    CHECK(cl_wire_read(&cl_ttrpc_response_shape, &bytes, &arena, &response, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(cl_wire_read(&reply_shape, &response.payload, &arena, &reply, &err) == 0);
    *ret = (struct got){.stream = header->stream, .size = reply.bytes.size};
    if (reply.bytes.size > 0)
        memcpy(ret->first, reply.bytes.data, cl_min_u64(reply.bytes.size, sizeof(ret->first)));
    if (response.status != NULL) {
        ret->code = response.status->code;
        CHECK(ret->code != 0);
        (void)snprintf(ret->message, sizeof(ret->message), "%s", response.status->message);
    }
    (void)snprintf(ret->text, sizeof(ret->text), "%s", reply.text == NULL ? "" : reply.text);
}

/* The next answer; 0 when there is none. */
static inline int next_answer(struct client *client, struct got *ret)
{
    struct cl_ttrpc_header header;
    size_t size = find_frame(client, &header);

    *ret = (struct got){0};
    for (int i = 0; size == 0 && i < MANY_EVENTS; i++) {
        const ssize_t r = fetch(client);

        if (r == 0 || (r < 0 && cl_loop_dispatch(&scene.loop, 5 * CL_NS_PER_S, &scene.err) <= 0))
            return 0;
        size = find_frame(client, &header);
    }
    if (size == 0)
        return 0;
    read_answer(client, &header, ret);
    memmove(client->in.data, client->in.data + size, client->in.size - size);
    client->in.size -= size;
    return 1;
}

/* The next answer is to STREAM, and of CODE. */
static inline const struct got *expect(struct client *client, uint32_t stream,
                                       enum cl_rpc_code code)
{
    static struct got got;

    CHECK(next_answer(client, &got));
    if (got.stream != stream || got.code != code)
        printf("# stream %u, code %u: %s\n", got.stream, got.code, got.message);
    CHECK(got.stream == stream && got.code == code);
    return &got;
}

/* Nothing comes, and it isn't at its end. */
static inline int is_quiet(struct client *client)
{
    settle();
    return client->in.size == 0 && fetch(client) == -EAGAIN;
}

/* It is at its end, and nothing more has come. */
static inline int has_ended(struct client *client)
{
    settle();
    return client->in.size == 0 && fetch(client) == 0;
}

/* What a connection that works does. */
static inline void check_works(struct client *client, uint32_t stream)
{
    REQUEST(client, stream, "Echo", "works");
    CHECK_TEXT(expect(client, stream, CL_RPC_OK)->text, "works");
}

#endif
