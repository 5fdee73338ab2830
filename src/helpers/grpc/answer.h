/* answer.h - the answer to a call, as HTTP/2's frames: headers, a message, trailers; or, of what
 * didn't go well, headers that are trailers too.
 * Source: github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md ("Responses").
 */
#ifndef CL_HELPERS_GRPC_ANSWER_H
#define CL_HELPERS_GRPC_ANSWER_H

#include <nghttp2/nghttp2.h>

#include "helpers/grpc/calls.h"

/* Both: 0, or the library's error, after which the session is of no more use. CALL's frame stays
 * until it is sent. */
int cl_grpc_answer_payload(nghttp2_session *h2, struct cl_grpc_call *call);
int cl_grpc_answer_status(nghttp2_session *h2, struct cl_grpc_call *call,
                          const struct cl_grpc_status *status);

#endif
