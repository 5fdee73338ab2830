#include "rpc/ttrpc.h"

#include <errno.h>

static const struct cl_wire_field request_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_ttrpc_request, service),
    CL_WIRE_ROW(2, TEXT, cl_ttrpc_request, method),
    CL_WIRE_ROW(3, BYTES, cl_ttrpc_request, payload),
    CL_WIRE_ROW(4, U64, cl_ttrpc_request, timeout_ns),
    CL_WIRE_INNER(5, MESSAGES, cl_ttrpc_request, metadata, &cl_msg_pair_shape),
};
const struct cl_wire_shape cl_ttrpc_request_shape =
    CL_WIRE_SHAPE("Request", cl_ttrpc_request, request_rows);

static const struct cl_wire_field response_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cl_ttrpc_response, status, &cl_msg_status_shape),
    CL_WIRE_ROW(2, BYTES, cl_ttrpc_response, payload),
};
const struct cl_wire_shape cl_ttrpc_response_shape =
    CL_WIRE_SHAPE("Response", cl_ttrpc_response, response_rows);

static void put_u32(uint8_t *bytes, uint32_t value)
{
    for (unsigned int i = 0; i < sizeof(value); i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t take_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void cl_ttrpc_put_header(const struct cl_ttrpc_header *header, uint8_t ret[CL_TTRPC_HEADER])
{
    put_u32(ret, header->size);
    put_u32(ret + 4, header->stream);
    ret[8] = header->type;
    ret[9] = header->flags;
}

void cl_ttrpc_take_header(const uint8_t bytes[CL_TTRPC_HEADER], struct cl_ttrpc_header *ret)
{
    *ret = (struct cl_ttrpc_header){
        .size = take_u32(bytes),
        .stream = take_u32(bytes + 4),
        .type = bytes[8],
        .flags = bytes[9],
    };
}

int cl_ttrpc_add(struct cl_buf *buf, uint32_t stream, enum cl_ttrpc_type type,
                 const struct cl_wire_shape *shape, const void *record)
{
    const size_t before = buf->size;
    struct cl_ttrpc_header header = {.stream = stream, .type = (uint8_t)type};
    int r = cl_buf_grow(buf, CL_TTRPC_HEADER);

    if (r < 0)
        return r;
    r = cl_wire_write(shape, record, buf);
    const size_t size = buf->size - before - CL_TTRPC_HEADER;
    if (r == 0 && size > CL_TTRPC_MOST)
        r = -EFBIG;
    if (r < 0) {
        buf->size = before;
        buf->data[before] = '\0';
        return r;
    }
    header.size = (uint32_t)size;
    cl_ttrpc_put_header(&header, (uint8_t *)buf->data + before);
    return 0;
}
