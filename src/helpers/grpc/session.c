/* HTTP/2's frames and headers are nghttp2's to read, in memory that it gets from here. It knows of
 * floods: of PING and SETTINGS (their answers are counted, and wait for us to read on), of resets
 * (1,000, then 33 a second) and of CONTINUATION (8 behind one frame). Data is taken against two
 * windows, and the connection's is given back to the client only while the core takes its calls:
 * so the client can always say how much it takes itself, which the answers wait for.
 */
#include "helpers/grpc/session.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "helpers/grpc/answer.h"

enum { OUTBOUND_ACKS_MOST = 1000, SETTINGS_ENTRIES_MOST = 32 };

static const struct cl_grpc_status too_much = {CL_RPC_RESOURCE_EXHAUSTED, 200,
                                               "too many messages are on their way at once"};
static const struct cl_grpc_status too_many = {CL_RPC_RESOURCE_EXHAUSTED, 200,
                                               "too many calls wait for their answers"};
static const struct cl_grpc_status too_large = {CL_RPC_RESOURCE_EXHAUSTED, 200,
                                                "a message has 4 MiB at most"};
static const struct cl_grpc_status no_memory = {CL_RPC_RESOURCE_EXHAUSTED, 200, "no memory"};

/* --- memory -------------------------------------------------------------------------------- */

static void *h2_malloc(size_t size, CL_UNUSED void *context)
{
    return cl_realloc(NULL, size);
}

static void h2_free(void *memory, CL_UNUSED void *context)
{
    free(memory);
}

static void *h2_calloc(size_t count, size_t size, CL_UNUSED void *context)
{
    return cl_calloc(count, size);
}

static void *h2_realloc(void *memory, size_t size, CL_UNUSED void *context)
{
    return cl_realloc(memory, size);
}

/* Takes what CALL holds out of the accounts, before it goes. */
static void forget_body(struct cl_grpc_session *session, struct cl_grpc_call *call)
{
    session->bodies -= call->body.bytes.size;
    cl_grpc_body_done(&call->body);
}

static void forget_answer(struct cl_grpc_session *session, struct cl_grpc_call *call)
{
    session->answers -= call->frame.size;
    cl_buf_done(&call->frame);
}

/* --- calls --------------------------------------------------------------------------------- */

/* What callbacks return to the library: 0, or that the session is at its end. */
static int answered(int r)
{
    return r == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int refuse(struct cl_grpc_session *session, struct cl_grpc_call *call,
                  const struct cl_grpc_status *status)
{
    forget_body(session, call);
    return answered(cl_grpc_answer_status(session->h2, call, status));
}

static int ask(struct cl_grpc_session *session, struct cl_grpc_call *call)
{
    const struct cl_grpc_head *head = &call->head;
    const struct cl_msg_pair pair = {"containerd-namespace-ttrpc", head->name_space};
    const struct cl_ttrpc_request request = {
        .service = head->service,
        .method = head->method,
        .payload = {cl_buf_text(&call->body.bytes), call->body.bytes.size},
        .timeout_ns = head->timeout_ns,
        .metadata = {&pair, head->name_space != NULL},
    };
    int r = cl_grpc_call_number(&session->calls, call);

    if (r == 0) {
        r = cl_grpc_link_add(session->link, call->id, &request);
        if (r < 0) /* its number is left out, which ttrpc lets */
            (void)cl_grpc_call_take(&session->calls, call->id);
    }
    if (r < 0)
        return refuse(session, call,
                      r == -EFBIG     ? &too_large
                      : r == -ENOBUFS ? &too_many
                                      : &no_memory);
    forget_body(session, call);
    cl_grpc_head_done(&call->head);
    return 0;
}

/* No more of the request comes. */
static int complete(struct cl_grpc_session *session, struct cl_grpc_call *call)
{
    const struct cl_grpc_status *fault = cl_grpc_body_check(&call->body);

    if (call->is_answered)
        return 0;
    return fault != NULL ? refuse(session, call, fault) : ask(session, call);
}

/* --- what the library tells ---------------------------------------------------------------- */

static struct cl_grpc_call *call_of(nghttp2_session *h2, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(h2, stream);
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *context)
{
    struct cl_grpc_session *session = context;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct cl_grpc_call *call = cl_grpc_call_new(&session->calls, frame->hd.stream_id);
    if (call == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, call) == 0)
        return 0;
    cl_grpc_call_free(&session->calls, call);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* The library ends names and values with a NUL, and lets none be in them. */
// NOLINTNEXTLINE(readability-function-size)
static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     CL_UNUSED size_t name_size, const uint8_t *value, CL_UNUSED size_t value_size,
                     CL_UNUSED uint8_t flags, CL_UNUSED void *context)
{
    struct cl_grpc_call *call = call_of(h2, frame->hd.stream_id);

    if (call == NULL || frame->hd.type != NGHTTP2_HEADERS ||
        frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    return cl_grpc_head_add(&call->head, (const char *)name, (const char *)value) < 0
               ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
               : 0;
}

/* A value with control characters isn't passed over, as the library would: the call might mean
 * something else without it. The stream is reset. */
// NOLINTNEXTLINE(readability-function-size)
static int on_invalid_header(CL_UNUSED nghttp2_session *h2, CL_UNUSED const nghttp2_frame *frame,
                             CL_UNUSED const uint8_t *name, CL_UNUSED size_t name_size,
                             CL_UNUSED const uint8_t *value, CL_UNUSED size_t value_size,
                             CL_UNUSED uint8_t flags, CL_UNUSED void *context)
{
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *context)
{
    struct cl_grpc_session *session = context;
    struct cl_grpc_call *call;
    int r = 0;

    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    call = call_of(h2, frame->hd.stream_id);
    if (call == NULL)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        const struct cl_grpc_status *fault = cl_grpc_head_check(&call->head);

        if (fault != NULL)
            r = refuse(session, call, fault);
    }
    if (r == 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        r = complete(session, call);
    return r;
}

static int take_data(struct cl_grpc_session *session, struct cl_grpc_call *call, const void *data,
                     size_t size)
{
    const size_t before = call->body.bytes.size;

    if (size > CL_GRPC_BODIES_MOST - session->bodies)
        return refuse(session, call, &too_much);
    const struct cl_grpc_status *fault = cl_grpc_body_add(&call->body, data, size);
    session->bodies += call->body.bytes.size - before;
    return fault == NULL ? 0 : refuse(session, call, fault);
}

/* Gives back the window, or holds it while the core doesn't keep up. */
static int give_back(struct cl_grpc_session *session, size_t size)
{
    session->held += size;
    if (session->held == 0 || cl_grpc_link_waits(session->link) >= CL_GRPC_LINK_FULL)
        return 0;
    size = session->held;
    session->held = 0;
    return nghttp2_session_consume_connection(session->h2, size);
}

// NOLINTNEXTLINE(readability-function-size)
static int on_data(nghttp2_session *h2, CL_UNUSED uint8_t flags, int32_t stream,
                   const uint8_t *data, size_t size, void *context)
{
    struct cl_grpc_session *session = context;
    struct cl_grpc_call *call = call_of(h2, stream);
    int r = 0;

    if (call != NULL && !call->is_answered)
        r = take_data(session, call, data, size);
    if (r == 0)
        r = nghttp2_session_consume_stream(h2, stream, size);
    if (r == 0)
        r = give_back(session, size);
    return answered(r);
}

/* Who is answered before he has said all is to stop: RFC 9113, section 8.1. */
static int on_sent(nghttp2_session *h2, const nghttp2_frame *frame, CL_UNUSED void *context)
{
    const int32_t stream = frame->hd.stream_id;

    if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 ||
        nghttp2_session_get_stream_remote_close(h2, stream) != 0)
        return 0;
    return answered(nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, stream, NGHTTP2_NO_ERROR));
}

static int on_stream_close(nghttp2_session *h2, int32_t stream, CL_UNUSED uint32_t code,
                           void *context)
{
    struct cl_grpc_session *session = context;
    struct cl_grpc_call *call = call_of(h2, stream);

    if (call == NULL)
        return 0;
    forget_body(session, call);
    forget_answer(session, call);
    cl_grpc_call_leave(&session->calls, call);
    return 0;
}

/* --- the session --------------------------------------------------------------------------- */

static int fail_h2(struct cl_grpc_session *session, int r, const char *what, struct cl_error *err)
{
    session->is_broken = 1;
    if (r == NGHTTP2_ERR_NOMEM)
        return cl_fail_memory(err);
    return cl_refuse(err, EIO, "%s: %s", what, nghttp2_strerror(r));
}

static int make_session(struct cl_grpc_session *session, nghttp2_session_callbacks *callbacks,
                        nghttp2_option *option)
{
    nghttp2_mem memory = {NULL, h2_malloc, h2_free, h2_calloc, h2_realloc};

    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACKS_MOST);
    nghttp2_option_set_max_settings(option, SETTINGS_ENTRIES_MOST);
    return nghttp2_session_server_new3(&session->h2, callbacks, session, option, &memory);
}

static int open_session(struct cl_grpc_session *session)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, CL_GRPC_STREAMS_MOST},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, CL_GRPC_HEAD_MOST},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, CL_GRPC_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int r = nghttp2_session_callbacks_new(&callbacks);

    if (r == 0)
        r = nghttp2_option_new(&option);
    if (r == 0)
        r = make_session(session, callbacks, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    if (r == 0)
        r = nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, settings,
                                    CL_ARRAY_SIZE(settings));
    return r != 0 ? r
                  : nghttp2_session_set_local_window_size(session->h2, NGHTTP2_FLAG_NONE, 0,
                                                          CL_GRPC_WINDOW);
}

int cl_grpc_session_init(struct cl_grpc_session *ret, struct cl_grpc_link *link,
                         struct cl_error *err)
{
    *ret = (struct cl_grpc_session){.link = link};
    const int r = open_session(ret);

    return r != 0 ? fail_h2(ret, r, "start HTTP/2", err) : 0;
}

/* Where the library ran out of memory in the middle of a change it can't be trusted to know what it
 * has: 1.52 frees twice what it couldn't queue. Its memory goes with the process. */
void cl_grpc_session_done(struct cl_grpc_session *session)
{
    if (!session->is_broken)
        nghttp2_session_del(session->h2);
    session->h2 = NULL;
    cl_grpc_calls_done(&session->calls);
}

int cl_grpc_session_take(struct cl_grpc_session *session, const void *data, size_t size,
                         struct cl_error *err)
{
    const ssize_t r = nghttp2_session_mem_recv(session->h2, data, size);

    if (r >= 0)
        return 0;
    if (r == NGHTTP2_ERR_NOMEM || r == NGHTTP2_ERR_CALLBACK_FAILURE)
        return fail_h2(session, (int)r, "read HTTP/2", err);
    return cl_refuse(err, ECONNABORTED, "the client: %s", nghttp2_strerror((int)r));
}

ssize_t cl_grpc_session_next(struct cl_grpc_session *session, const uint8_t **ret,
                             struct cl_error *err)
{
    const ssize_t size = nghttp2_session_mem_send(session->h2, ret);

    return size < 0 ? fail_h2(session, (int)size, "write HTTP/2", err) : size;
}

int cl_grpc_session_has_ended(const struct cl_grpc_session *session)
{
    return !nghttp2_session_want_read(session->h2) && !nghttp2_session_want_write(session->h2);
}

int cl_grpc_session_resume(struct cl_grpc_session *session, struct cl_error *err)
{
    const int r = give_back(session, 0);

    return r != 0 ? fail_h2(session, r, "open the window", err) : 0;
}

/* --- answers ------------------------------------------------------------------------------- */

static int answer(struct cl_grpc_session *session, struct cl_grpc_call *call, struct cl_buf *frame,
                  struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(2UL * CL_TTRPC_MOST);
    const struct cl_bytes bytes = {cl_buf_text(frame), frame->size};
    struct cl_ttrpc_response response = {0};
    int r = cl_wire_read(&cl_ttrpc_response_shape, &bytes, &arena, &response, err);

    if (r < 0)
        return r;
    if (response.status != NULL && response.status->code != CL_RPC_OK) {
        const struct cl_grpc_status status = {response.status->code, 200, response.status->message};

        r = cl_grpc_answer_status(session->h2, call, &status);
    } else {
        call->frame = *frame; /* the payload lies in it */
        *frame = CL_BUF_INIT(0);
        call->payload = response.payload;
        session->answers += call->frame.size;
        r = cl_grpc_answer_payload(session->h2, call);
    }
    return r != 0 ? fail_h2(session, r, "answer", err) : 0;
}

int cl_grpc_session_answer(struct cl_grpc_session *session, uint32_t id, struct cl_buf *frame,
                           struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf owned = *frame;
    struct cl_grpc_call *call = cl_grpc_call_take(&session->calls, id);

    *frame = CL_BUF_INIT(0);
    if (call == NULL)
        return cl_refuse(err, EPROTO, "the core answered what it wasn't asked: stream %u", id);
    if (call->stream == 0) {
        cl_grpc_call_free(&session->calls, call);
        return 0;
    }
    return answer(session, call, &owned, err);
}
