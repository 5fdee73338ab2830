/* relay.h - one client's connection and the core's, from the first byte to the end. */
#ifndef CL_HELPERS_GRPC_RELAY_H
#define CL_HELPERS_GRPC_RELAY_H

#include "helpers/grpc/session.h"

struct cl_grpc_relay {
    int client; /* a stream socket, borrowed */
    struct cl_grpc_link link;
    struct cl_grpc_session session;
    const uint8_t *out; /* the session's, for the client */
    size_t out_size;
};

/* CLIENT and CORE are stream sockets, and borrowed. RET stays where it is; after a failure, too,
 * it has to be done. */
int cl_grpc_relay_init(struct cl_grpc_relay *ret, int client, int core, struct cl_error *err);
void cl_grpc_relay_done(struct cl_grpc_relay *relay);

enum cl_grpc_turn {
    CL_GRPC_IDLE,  /* there was nothing to do in that time */
    CL_GRPC_WENT,  /* there was */
    CL_GRPC_ENDED, /* one of the two has, or the client has broken HTTP/2 and was let go */
};

/* Sends what goes, waits for TIMEOUT_MS (-1: for ever), and takes what has come. An enum
 * cl_grpc_turn, or an error: ours, or of what the core sent. */
int cl_grpc_relay_turn(struct cl_grpc_relay *relay, int timeout_ms, struct cl_error *err);

#endif
