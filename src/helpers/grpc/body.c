#include "helpers/grpc/body.h"

#include <string.h>

#include "rpc/ttrpc.h"

static const struct cl_grpc_status compressed = {CL_RPC_UNIMPLEMENTED, 200,
                                                 "compressed messages are not taken"};
static const struct cl_grpc_status too_large = {CL_RPC_RESOURCE_EXHAUSTED, 200,
                                                "a message has 4 MiB at most"};
static const struct cl_grpc_status too_many = {CL_RPC_UNIMPLEMENTED, 200,
                                               "a call has one message, not more"};
static const struct cl_grpc_status none = {CL_RPC_UNIMPLEMENTED, 200, "a call has a message"};
static const struct cl_grpc_status cut_short = {CL_RPC_INTERNAL, 200,
                                                "the message ends before its size"};
static const struct cl_grpc_status no_memory = {CL_RPC_RESOURCE_EXHAUSTED, 200, "no memory"};

void cl_grpc_body_init(struct cl_grpc_body *ret)
{
    *ret = (struct cl_grpc_body){.bytes = CL_BUF_INIT(CL_TTRPC_MOST)};
}

void cl_grpc_body_done(struct cl_grpc_body *body)
{
    cl_buf_done(&body->bytes);
}

/* Of the whole prefix. */
static uint32_t size_of(const struct cl_grpc_body *body)
{
    const uint8_t *size = body->prefix + 1;

    return (uint32_t)size[0] << 24 | (uint32_t)size[1] << 16 | (uint32_t)size[2] << 8 | size[3];
}

static const struct cl_grpc_status *check_prefix(const struct cl_grpc_body *body)
{
    if (body->prefix[0] != 0)
        return &compressed;
    return size_of(body) > CL_TTRPC_MOST ? &too_large : NULL;
}

const struct cl_grpc_status *cl_grpc_body_add(struct cl_grpc_body *body, const void *data,
                                              size_t size)
{
    const size_t missing = CL_GRPC_PREFIX - body->prefix_size;
    const size_t head = (size_t)cl_min_u64(size, missing);

    memcpy(body->prefix + body->prefix_size, data, head);
    body->prefix_size += head;
    size -= head;
    if (body->prefix_size < CL_GRPC_PREFIX)
        return NULL;
    const struct cl_grpc_status *fault = check_prefix(body);
    if (fault != NULL)
        return fault;
    if (size > size_of(body) - body->bytes.size)
        return &too_many;
    return cl_buf_add(&body->bytes, (const char *)data + head, size) < 0 ? &no_memory : NULL;
}

const struct cl_grpc_status *cl_grpc_body_check(const struct cl_grpc_body *body)
{
    if (body->prefix_size == 0)
        return &none;
    if (body->prefix_size < CL_GRPC_PREFIX || body->bytes.size < size_of(body))
        return &cut_short;
    return NULL;
}

void cl_grpc_put_prefix(uint32_t size, uint8_t ret[CL_GRPC_PREFIX])
{
    ret[0] = 0;
    for (unsigned int i = 0; i < sizeof(size); i++)
        ret[1 + i] = (uint8_t)(size >> (24 - 8 * i));
}
