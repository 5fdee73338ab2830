/* serve.h - one client's connection and the core's, from the first byte to the end. */
#ifndef CL_HELPERS_GRPC_SERVE_H
#define CL_HELPERS_GRPC_SERVE_H

#include "base/error.h"

/* CLIENT and CORE are stream sockets, and borrowed. 0: one of them has ended, or the client has
 * broken the protocol and was let go. An error: ours, or of what the core sent. */
int cl_grpc_serve(int client, int core, struct cl_error *err);

#endif
