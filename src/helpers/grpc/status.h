/* status.h - how a call ends that has no message as its answer: gRPC's status, and HTTP's.
 * Source: github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md ("Responses"), doc/statuscodes.md.
 */
#ifndef CL_HELPERS_GRPC_STATUS_H
#define CL_HELPERS_GRPC_STATUS_H

#include "base/defs.h"
#include "rpc/code.h"

struct cl_grpc_status {
    uint32_t code;     /* enum cl_rpc_code, or what else the core says */
    unsigned int http; /* 200, or where HTTP has a word for it that one */
    const char *message;
};

/* A message of more bytes is cut: headers are no place for more. */
enum { CL_GRPC_MESSAGE_MOST = 1024, CL_GRPC_ENCODED_SIZE = 3 * CL_GRPC_MESSAGE_MOST + 1 };

/* TEXT (UTF-8) as grpc-message has it: printable ASCII, the rest by %XX. Returns its size. */
size_t cl_grpc_encode_message(const char *text, char ret[CL_GRPC_ENCODED_SIZE]);

#endif
