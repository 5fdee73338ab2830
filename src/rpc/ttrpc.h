/* ttrpc.h - ttrpc's frames, and what is in them.
 *
 *   header  10 bytes: u32 size of the data, u32 stream, u8 type, u8 flags; big-endian
 *   data    a Request or a Response (protocol buffers), 4 MiB at most
 *
 * A client's streams have odd numbers, each higher than the one before. Calls have one request and
 * one response; streams of data, which version 1.2 has, are refused.
 * Source: github.com/containerd/ttrpc, PROTOCOL.md, request.proto.
 */
#ifndef CL_RPC_TTRPC_H
#define CL_RPC_TTRPC_H

#include "rpc/message.h"

enum { CL_TTRPC_HEADER = 10, CL_TTRPC_MOST = 4 << 20 };

enum cl_ttrpc_type { CL_TTRPC_REQUEST = 1, CL_TTRPC_RESPONSE = 2, CL_TTRPC_DATA = 3 };

struct cl_ttrpc_header {
    uint32_t size; /* of the data, as the peer says */
    uint32_t stream;
    uint8_t type; /* enum cl_ttrpc_type */
    uint8_t flags;
};

void cl_ttrpc_put_header(const struct cl_ttrpc_header *header, uint8_t ret[CL_TTRPC_HEADER]);
void cl_ttrpc_take_header(const uint8_t bytes[CL_TTRPC_HEADER], struct cl_ttrpc_header *ret);

struct cl_ttrpc_request {
    const char *service;
    const char *method;
    struct cl_bytes payload;
    uint64_t timeout_ns;          /* 0: none */
    struct cl_wire_list metadata; /* of struct cl_msg_pair; a key may stand more than once */
};
extern const struct cl_wire_shape cl_ttrpc_request_shape;

/* The key under which metadata name containerd's namespace. */
#define CL_TTRPC_SPACE "containerd-namespace-ttrpc"

struct cl_ttrpc_response {
    const struct cl_msg_status *status; /* NULL: it went well */
    struct cl_bytes payload;
};
extern const struct cl_wire_shape cl_ttrpc_response_shape;

/* Appends a frame with RECORD to BUF. -EFBIG for one of more than 4 MiB; BUF is as it was then, and
 * after any failure. */
int cl_ttrpc_add(struct cl_buf *buf, uint32_t stream, enum cl_ttrpc_type type,
                 const struct cl_wire_shape *shape, const void *record);

#endif
