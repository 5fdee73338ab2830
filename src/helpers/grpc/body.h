/* body.h - the one message that a request has, put together from the pieces of its body.
 *
 *   u8 compressed, which must be 0; u32 size, big-endian; as many bytes
 *
 * Memory grows with what has come, not with what is announced.
 * Source: github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md ("Length-Prefixed-Message").
 */
#ifndef CL_HELPERS_GRPC_BODY_H
#define CL_HELPERS_GRPC_BODY_H

#include "base/buf.h"
#include "helpers/grpc/status.h"

enum { CL_GRPC_PREFIX = 5 };

struct cl_grpc_body {
    uint8_t prefix[CL_GRPC_PREFIX];
    size_t prefix_size; /* of it has come */
    struct cl_buf bytes;
};

void cl_grpc_body_init(struct cl_grpc_body *ret);
void cl_grpc_body_done(struct cl_grpc_body *body);

/* The next piece. NULL, or why this is no message that is taken. */
const struct cl_grpc_status *cl_grpc_body_add(struct cl_grpc_body *body, const void *data,
                                              size_t size);
/* When no more comes: the same. */
const struct cl_grpc_status *cl_grpc_body_check(const struct cl_grpc_body *body);

/* The prefix of a message of SIZE bytes. */
void cl_grpc_put_prefix(uint32_t size, uint8_t ret[CL_GRPC_PREFIX]);

#endif
