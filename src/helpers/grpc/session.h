/* session.h - the HTTP/2 connection of a client of gRPC, and its calls.
 *
 * Bytes in (cl_grpc_session_take), bytes out (cl_grpc_session_next); calls that are complete go to
 * the link, and the core's answers come by cl_grpc_session_answer. Descriptors are others' affair.
 * Trust: the client is hostile. What it can have us hold is bounded: streams and calls (calls.h),
 * bytes of messages that aren't complete, answers that it doesn't take, headers (never kept but for
 * three), and frames of the library's own, as nothing more is taken from it while any of them waits
 * to be sent.
 */
#ifndef CL_HELPERS_GRPC_SESSION_H
#define CL_HELPERS_GRPC_SESSION_H

#include <nghttp2/nghttp2.h>

#include "helpers/grpc/calls.h"
#include "helpers/grpc/link.h"

enum {
    CL_GRPC_BODIES_MOST = 16 << 20,  /* bytes of messages that aren't complete */
    CL_GRPC_ANSWERS_MOST = 16 << 20, /* of answers that aren't sent: then no more are asked for */
    CL_GRPC_LINK_FULL = 4 << 20,     /* that wait for the core: then no more data is let come */
    CL_GRPC_WINDOW = 1 << 20,        /* of data that may be on its way */
    CL_GRPC_STREAM_WINDOW = 256 << 10,
};

struct cl_grpc_session {
    nghttp2_session *h2;
    struct cl_grpc_calls calls;
    struct cl_grpc_link *link; /* borrowed */
    size_t bodies;
    size_t answers;
    int is_broken; /* the library has failed, and isn't called any more */
    size_t held;   /* of the window: what isn't given back to the client yet */
};

/* RET stays where it is; after a failure, too, it has to be done. */
int cl_grpc_session_init(struct cl_grpc_session *ret, struct cl_grpc_link *link,
                         struct cl_error *err);
void cl_grpc_session_done(struct cl_grpc_session *session);

/* SIZE bytes from the client, when all that there was for it is sent. -ECONNABORTED: that's no
 * HTTP/2, and it is let go; or an error of ours. */
int cl_grpc_session_take(struct cl_grpc_session *session, const void *data, size_t size,
                         struct cl_error *err);

/* The next bytes for the client, there until this is called again: how many; 0: none, for now. */
ssize_t cl_grpc_session_next(struct cl_grpc_session *session, const uint8_t **ret,
                             struct cl_error *err);

/* Whether nothing more is to come, from either side. */
int cl_grpc_session_has_ended(const struct cl_grpc_session *session);

/* The core's answer to its stream ID; takes FRAME, its data. One to a call whose client is gone is
 * dropped; to what was never called it is an error. */
int cl_grpc_session_answer(struct cl_grpc_session *session, uint32_t id, struct cl_buf *frame,
                           struct cl_error *err);

/* The link has sent something: the client may send more. */
int cl_grpc_session_resume(struct cl_grpc_session *session, struct cl_error *err);

#endif
