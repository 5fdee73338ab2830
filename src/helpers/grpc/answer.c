#include "helpers/grpc/answer.h"

#include <stdio.h>
#include <string.h>

/* The library copies both. */
static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){
        .name = cl_unconst(name),
        .value = cl_unconst(value),
        .namelen = strlen(name),
        .valuelen = strlen(value),
        .flags = NGHTTP2_NV_FLAG_NONE,
    };
}

int cl_grpc_answer_status(nghttp2_session *h2, struct cl_grpc_call *call,
                          const struct cl_grpc_status *status)
{
    char message[CL_GRPC_ENCODED_SIZE];
    char code[16];
    char http[16];

    (void)snprintf(code, sizeof(code), "%u", status->code);
    (void)snprintf(http, sizeof(http), "%u", status->http);
    (void)cl_grpc_encode_message(status->message, message);
    const nghttp2_nv headers[] = {
        header(":status", http),
        header("content-type", "application/grpc"),
        header("grpc-status", code),
        header("grpc-message", message),
    };
    call->is_answered = 1;
    return nghttp2_submit_response(h2, call->stream, headers, CL_ARRAY_SIZE(headers), NULL);
}

/* Up to SIZE bytes of the answer. */
static size_t copy_answer(struct cl_grpc_call *call, uint8_t *ret, size_t size)
{
    size_t copied = 0;

    if (call->sent < CL_GRPC_PREFIX) {
        copied = (size_t)cl_min_u64(size, CL_GRPC_PREFIX - call->sent);
        memcpy(ret, call->prefix + call->sent, copied);
        call->sent += copied;
    }
    if (call->sent >= CL_GRPC_PREFIX) {
        const size_t at = call->sent - CL_GRPC_PREFIX;
        const size_t more = (size_t)cl_min_u64(size - copied, call->payload.size - at);

        if (more > 0)
            memcpy(ret + copied, (const char *)call->payload.data + at, more);
        call->sent += more;
        copied += more;
    }
    return copied;
}

/* The library's callback has its shape. */
// NOLINTNEXTLINE(readability-function-size)
static ssize_t read_answer(nghttp2_session *h2, int32_t stream, uint8_t *ret, size_t size,
                           uint32_t *ret_flags, nghttp2_data_source *source,
                           CL_UNUSED void *context)
{
    struct cl_grpc_call *call = source->ptr;
    const nghttp2_nv trailer = header("grpc-status", "0");
    const size_t copied = copy_answer(call, ret, size);

    if (call->sent < CL_GRPC_PREFIX + call->payload.size)
        return (ssize_t)copied;
    *ret_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(h2, stream, &trailer, 1) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return (ssize_t)copied;
}

int cl_grpc_answer_payload(nghttp2_session *h2, struct cl_grpc_call *call)
{
    const nghttp2_nv headers[] = {
        header(":status", "200"),
        header("content-type", "application/grpc"),
    };
    const nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_answer};

    cl_grpc_put_prefix((uint32_t)call->payload.size, call->prefix);
    call->sent = 0;
    call->is_answered = 1;
    return nghttp2_submit_response(h2, call->stream, headers, CL_ARRAY_SIZE(headers), &body);
}
