/* grpc_scene.h - a connection of gRPC between a client (nghttp2's, or raw bytes) and a core that
 * the test plays, in one process: who waits for something has the relay work meanwhile. */
#ifndef CL_TESTS_UNIT_GRPC_SCENE_H
#define CL_TESTS_UNIT_GRPC_SCENE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "helpers/grpc/relay.h"
#include "check.h"

#define MIB (1UL << 20)
enum { MADE_MOST = 1100, MANY_TURNS = 400000 };

/* A call as the client sees it. */
struct made {
    int32_t stream;
    int is_closed;
    uint32_t reset; /* HTTP/2's code */
    char http[8], type[32], status[16], message[CL_GRPC_ENCODED_SIZE];
    struct cl_buf body;
    const struct cl_buf *sends; /* the rest of it from SENT on is to be sent */
    size_t sent;
    int goes_on; /* it isn't the end of the request */
};

static struct scene {
    struct cl_grpc_relay relay;
    int has_ended; /* the relay */
    int code;      /* its error */
    struct cl_error err;
    int client, core, inner[2];
    nghttp2_session *h2; /* the client's */
    const uint8_t *out;  /* its bytes that aren't sent */
    ssize_t out_size;
    struct made made[MADE_MOST];
    size_t made_count;
    int is_gone; /* the client was told so, or its connection is at its end */
    int pings;
    struct cl_buf heard; /* by the core */
    size_t heard_at;
    int before; /* descriptors */
} scene;

static inline struct made *made_of(int32_t stream)
{
    for (size_t i = 0; i < scene.made_count; i++) {
        if (scene.made[i].stream == stream)
            return &scene.made[i];
    }
    return NULL;
}

/* --- the client's library ------------------------------------------------------------------ */

static inline void keep(const uint8_t *value, size_t size, char *ret, size_t room)
{
    CHECK(size < room && ret[0] == '\0'); /* said once */
    if (size < room)
        memcpy(ret, value, size);
}

// NOLINTNEXTLINE(readability-function-size): the library's
static inline int on_made_header(CL_UNUSED nghttp2_session *h2, const nghttp2_frame *frame,
                                 const uint8_t *name, size_t name_size, const uint8_t *value,
                                 size_t value_size, CL_UNUSED uint8_t flags,
                                 CL_UNUSED void *context)
{
    struct made *made = made_of(frame->hd.stream_id);

    if (made == NULL)
        return 0;
    if (name_size == 7 && memcmp(name, ":status", 7) == 0)
        keep(value, value_size, made->http, sizeof(made->http));
    else if (name_size == 12 && memcmp(name, "content-type", 12) == 0)
        keep(value, value_size, made->type, sizeof(made->type));
    else if (name_size == 11 && memcmp(name, "grpc-status", 11) == 0)
        keep(value, value_size, made->status, sizeof(made->status));
    else if (name_size == 12 && memcmp(name, "grpc-message", 12) == 0)
        keep(value, value_size, made->message, sizeof(made->message));
    else
        CHECK(made == NULL); /* a header that nobody asked for */
    return 0;
}

// NOLINTNEXTLINE(readability-function-size): the library's
static inline int on_made_data(CL_UNUSED nghttp2_session *h2, CL_UNUSED uint8_t flags,
                               int32_t stream, const uint8_t *data, size_t size,
                               CL_UNUSED void *context)
{
    struct made *made = made_of(stream);

    CHECK(made != NULL && cl_buf_add(&made->body, data, size) == 0);
    return 0;
}

static inline int on_made_close(CL_UNUSED nghttp2_session *h2, int32_t stream, uint32_t code,
                                CL_UNUSED void *context)
{
    struct made *made = made_of(stream);

    if (made != NULL) {
        CHECK(!made->is_closed);
        made->is_closed = 1;
        made->reset = code;
    }
    return 0;
}

static inline int on_made_frame(CL_UNUSED nghttp2_session *h2, const nghttp2_frame *frame,
                                CL_UNUSED void *context)
{
    scene.is_gone |= frame->hd.type == NGHTTP2_GOAWAY;
    scene.pings += frame->hd.type == NGHTTP2_PING;
    return 0;
}

// NOLINTNEXTLINE(readability-function-size): the library's
static inline ssize_t read_made(CL_UNUSED nghttp2_session *h2, CL_UNUSED int32_t stream,
                                uint8_t *ret, size_t size, uint32_t *ret_flags,
                                nghttp2_data_source *source, CL_UNUSED void *context)
{
    struct made *made = source->ptr;
    const size_t left = made->sends->size - made->sent;
    const size_t copied = (size_t)cl_min_u64(size, left);

    if (copied > 0)
        memcpy(ret, made->sends->data + made->sent, copied);
    made->sent += copied;
    if (made->sent < made->sends->size)
        return (ssize_t)copied;
    if (made->goes_on)
        return copied > 0 ? (ssize_t)copied : NGHTTP2_ERR_DEFERRED;
    *ret_flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)copied;
}

/* WINDOW: of each stream; 0: as usual. */
static inline void start_client(uint32_t window)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    nghttp2_session_callbacks *callbacks = NULL;

    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_made_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_made_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_made_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_made_frame);
    CHECK(nghttp2_session_client_new(&scene.h2, callbacks, NULL) == 0);
    nghttp2_session_callbacks_del(callbacks);
    CHECK(nghttp2_submit_settings(scene.h2, 0, settings, window > 0) == 0);
}

/* --- its life ------------------------------------------------------------------------------ */

static inline void make_sockets(void)
{
    int client[2];
    int core[2];

    memset(&scene, 0, sizeof(scene));
    scene.before = check_count_fds();
    scene.heard = CL_BUF_INIT(256 * MIB);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, client) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, core) == 0);
    scene.client = client[0];
    scene.core = core[0];
    scene.inner[0] = client[1];
    scene.inner[1] = core[1];
}

/* What the client sends is another's affair: start_client, or raw bytes. */
static inline int open_scene(void)
{
    make_sockets();
    return cl_grpc_relay_init(&scene.relay, scene.inner[0], scene.inner[1], &scene.err);
}

static inline void begin(void)
{
    CHECK(open_scene() == 0);
    start_client(0);
}

static inline void begin_raw(void)
{
    CHECK(open_scene() == 0);
}

static inline void end(void)
{
    cl_grpc_relay_done(&scene.relay);
    cl_fd_close(&scene.inner[0]);
    cl_fd_close(&scene.inner[1]);
    cl_fd_close(&scene.client);
    cl_fd_close(&scene.core);
    nghttp2_session_del(scene.h2);
    for (size_t i = 0; i < scene.made_count; i++)
        cl_buf_done(&scene.made[i].body);
    cl_buf_done(&scene.heard);
    CHECK(check_count_fds() == scene.before);
}

/* Of nothing that the client has made anything is held. */
static inline void check_holds_nothing(void)
{
    const struct cl_grpc_session *session = &scene.relay.session;

    CHECK(session->bodies == 0 && session->answers == 0 && session->held == 0);
    CHECK(session->calls.first == NULL && session->calls.asked_count == 0);
    CHECK(cl_grpc_link_waits(&scene.relay.link) == 0 && scene.relay.link.out.data == NULL);
}

/* --- the work ------------------------------------------------------------------------------ */

/* Each: whether it has done something. */
static inline int work_client(void)
{
    static uint8_t bytes[64 << 10];
    int worked = 0;

    if (scene.h2 == NULL || scene.client < 0)
        return 0;
    for (;;) {
        if (scene.out_size == 0)
            scene.out_size = nghttp2_session_mem_send(scene.h2, &scene.out);
        CHECK(scene.out_size >= 0);
        if (scene.out_size <= 0)
            break;
        const ssize_t sent =
            send(scene.client, scene.out, (size_t)scene.out_size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        worked = 1;
        scene.out += sent < 0 ? scene.out_size : sent;
        scene.out_size -= sent < 0 ? scene.out_size : sent;
    }
    const ssize_t size = recv(scene.client, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size > 0)
        CHECK(nghttp2_session_mem_recv(scene.h2, bytes, (size_t)size) == size);
    return worked || size > 0;
}

static inline int work_relay(void)
{
    if (scene.has_ended)
        return 0;
    const int r = cl_grpc_relay_turn(&scene.relay, 0, &scene.err);
    if (r < 0 || r == CL_GRPC_ENDED) {
        scene.has_ended = 1;
        scene.code = r < 0 ? r : 0;
        CHECK(r >= 0 || scene.err.code == -r);
        (void)shutdown(scene.inner[0], SHUT_RDWR);
        (void)shutdown(scene.inner[1], SHUT_RDWR);
        return 1;
    }
    return r == CL_GRPC_WENT;
}

static inline int work_core(void)
{
    static char bytes[64 << 10];
    const ssize_t size = scene.core < 0 ? 0 : recv(scene.core, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (size <= 0)
        return 0;
    CHECK(cl_buf_add(&scene.heard, bytes, (size_t)size) == 0);
    return 1;
}

/* A turn of the relay that found nothing to take may have sent something: so it takes two for
 * nothing more to be done. */
static inline int work(void)
{
    for (int idle = 0; idle < 2; idle++) {
        int worked = work_client();

        worked |= work_relay();
        worked |= work_core();
        if (worked)
            return 1;
    }
    return 0;
}

static inline void settle(void)
{
    int turns = 0;

    while (turns < MANY_TURNS && work())
        turns++;
    CHECK(turns < MANY_TURNS);
}

/* Raw bytes to one of the ends, as far as they are taken: how many. */
static inline size_t put(int fd, const void *data, size_t size)
{
    size_t sent = 0;

    while (sent < size) {
        const ssize_t r =
            send(fd, (const char *)data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (r > 0)
            sent += (size_t)r;
        else if (errno != EAGAIN || !work())
            break;
    }
    return sent;
}

/* --- calls --------------------------------------------------------------------------------- */

struct order {
    const char *method, *path, *type, *name_space, *timeout; /* NULL: as usual, or none */
    const struct cl_buf *body;
    int goes_on;
    const nghttp2_nv *more;
    size_t more_count;
};

static inline nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){cl_unconst(name), cl_unconst(value), strlen(name), strlen(value), 0};
}

/* Submits it; the body has to stay until it is sent. */
static inline struct made *submit(const struct order *order)
{
    struct made *made = &scene.made[scene.made_count];
    nghttp2_data_provider body = {.source.ptr = made, .read_callback = read_made};
    nghttp2_nv headers[80];
    size_t count = 0;

    CHECK(scene.made_count < MADE_MOST);
    scene.made_count++;
    headers[count++] = nv(":method", order->method == NULL ? "POST" : order->method);
    headers[count++] = nv(":scheme", "http");
    headers[count++] = nv(":path", order->path == NULL ? "/test.Test/Do" : order->path);
    headers[count++] = nv(":authority", "localhost");
    headers[count++] = nv("content-type", order->type == NULL ? "application/grpc" : order->type);
    headers[count++] = nv("te", "trailers");
    headers[count++] = nv("user-agent", "test");
    if (order->timeout != NULL)
        headers[count++] = nv("grpc-timeout", order->timeout);
    if (order->name_space != NULL)
        headers[count++] = nv("containerd-namespace", order->name_space);
    for (size_t i = 0; i < order->more_count; i++)
        headers[count++] = order->more[i];
    *made = (struct made){
        .sends = order->body, .goes_on = order->goes_on, .body = CL_BUF_INIT(8 * MIB)};
    made->stream = nghttp2_submit_request(scene.h2, NULL, headers, count,
                                          order->body == NULL ? NULL : &body, NULL);
    CHECK(made->stream > 0);
    return made;
}

/* A body: TEXT as one message. */
static inline void add_message(struct cl_buf *buf, const void *data, size_t size)
{
    uint8_t prefix[CL_GRPC_PREFIX];

    cl_grpc_put_prefix((uint32_t)size, prefix);
    CHECK(cl_buf_add(buf, prefix, sizeof(prefix)) == 0);
    CHECK(cl_buf_add(buf, data, size) == 0);
}

static inline struct made *call(const char *text)
{
    static struct cl_buf bodies[8];
    static size_t next;
    struct cl_buf *body = &bodies[next++ % CL_ARRAY_SIZE(bodies)];

    cl_buf_done(body);
    *body = CL_BUF_INIT(8 * MIB);
    add_message(body, text, strlen(text));
    struct made *made = submit(&(struct order){.body = body});
    settle();
    return made;
}

/* The next call that the core hears, in RET, in memory of ARENA's; its stream, or 0. */
static inline uint32_t hear(struct cl_ttrpc_request *ret, struct cl_arena *arena)
{
    struct cl_ttrpc_header header;
    struct cl_error err = {0};

    *ret = (struct cl_ttrpc_request){0};
    settle();
    if (scene.heard.size - scene.heard_at < CL_TTRPC_HEADER)
        return 0;
    cl_ttrpc_take_header((const uint8_t *)scene.heard.data + scene.heard_at, &header);
    CHECK(header.type == CL_TTRPC_REQUEST && header.flags == 0 && header.stream % 2 == 1);
    if (scene.heard.size - scene.heard_at - CL_TTRPC_HEADER < header.size)
        return 0;
    const struct cl_bytes bytes = {scene.heard.data + scene.heard_at + CL_TTRPC_HEADER,
                                   header.size};
    CHECK(cl_wire_read(&cl_ttrpc_request_shape, &bytes, arena, ret, &err) == 0);
    CHECK_TEXT(err.msg, "");
    scene.heard_at += CL_TTRPC_HEADER + header.size;
    return header.stream;
}

/* Its stream alone. */
static inline uint32_t heard(void)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 * MIB);
    struct cl_ttrpc_request request;

    return hear(&request, &arena);
}

static inline void answer(uint32_t stream, const struct cl_ttrpc_response *response)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(8 * MIB);

    CHECK(cl_ttrpc_add(&buf, stream, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape, response) == 0);
    (void)put(scene.core, buf.data, buf.size);
    settle();
}

static inline void answer_text(uint32_t stream, const char *text)
{
    answer(stream, &(struct cl_ttrpc_response){.payload = {text, strlen(text)}});
}

static inline void answer_status(uint32_t stream, uint32_t code, const char *message)
{
    const struct cl_msg_status status = {code, message};

    answer(stream, &(struct cl_ttrpc_response){.status = &status});
}

/* The call went well, with this as its answer. */
static inline void check_answered(const struct made *made, const void *data, size_t size)
{
    uint8_t prefix[CL_GRPC_PREFIX];

    cl_grpc_put_prefix((uint32_t)size, prefix);
    CHECK(made->is_closed && made->reset == 0);
    CHECK_TEXT(made->http, "200");
    CHECK_TEXT(made->type, "application/grpc");
    CHECK_TEXT(made->status, "0");
    CHECK_TEXT(made->message, "");
    CHECK(made->body.size == CL_GRPC_PREFIX + size);
    if (made->body.size == CL_GRPC_PREFIX + size)
        CHECK(memcmp(made->body.data, prefix, sizeof(prefix)) == 0 &&
              (size == 0 || memcmp(made->body.data + CL_GRPC_PREFIX, data, size) == 0));
}

/* It went as STATUS says, with nothing more; and with a message that isn't looked at. */
static inline void check_refused(const struct made *made, const char *status)
{
    CHECK(made->is_closed && made->reset == 0 && made->body.size == 0);
    CHECK_TEXT(made->type, "application/grpc");
    CHECK_TEXT(made->status, status);
    CHECK(made->message[0] != '\0');
}

/* What a connection that works does. */
static inline void check_works(void)
{
    const struct made *made = call("works?");
    const uint32_t stream = heard();

    CHECK(stream > 0);
    answer_text(stream, "works");
    check_answered(made, "works", 5);
}

#endif
