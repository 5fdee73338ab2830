/* calls.h - the calls of a connection: each is a stream of HTTP/2, and once it is complete one of
 * ttrpc, too.
 *
 * A call whose client has gone stays until the core has answered, which can't be told to stop: as
 * no more than its number.
 */
#ifndef CL_HELPERS_GRPC_CALLS_H
#define CL_HELPERS_GRPC_CALLS_H

#include "base/flat.h"
#include "helpers/grpc/body.h"
#include "helpers/grpc/head.h"

struct cl_grpc_call {
    struct cl_grpc_head head;
    struct cl_grpc_body body;
    int32_t stream;  /* of HTTP/2; 0: who made it is gone */
    uint32_t id;     /* ttrpc's stream, while the core has it; else 0 */
    int is_answered; /* or about to be: nothing more of it counts */

    uint8_t prefix[CL_GRPC_PREFIX]; /* the answer: this, */
    struct cl_buf frame;            /* and of this frame of ttrpc's */
    struct cl_bytes payload;        /* the payload */
    size_t sent;                    /* of both */

    struct cl_grpc_call *next, **link; /* all of them */
    struct cl_grpc_call *next_by_id;
};

enum {
    CL_GRPC_STREAMS_MOST = 1024, /* at once, of HTTP/2 */
    CL_GRPC_CALLS_MOST = 8192,   /* that the core has, with those whose clients are gone */
    CL_GRPC_BUCKETS = 256,
};

struct cl_grpc_calls {
    struct cl_grpc_call *first;
    struct cl_grpc_call *by_id[CL_GRPC_BUCKETS];
    size_t asked_count; /* that the core has */
    uint32_t last_id;
};

void cl_grpc_calls_done(struct cl_grpc_calls *calls);

/* A call on STREAM, or NULL: no memory. */
struct cl_grpc_call *cl_grpc_call_new(struct cl_grpc_calls *calls, int32_t stream);
void cl_grpc_call_free(struct cl_grpc_calls *calls, struct cl_grpc_call *call);

/* Who made it is gone: frees it, or all but what the core's answer is known by. */
void cl_grpc_call_leave(struct cl_grpc_calls *calls, struct cl_grpc_call *call);

/* Gives CALL the next number of ttrpc's. -ENOBUFS: the core has too many. */
int cl_grpc_call_number(struct cl_grpc_calls *calls, struct cl_grpc_call *call);
/* And takes it away: the call that has ID, or NULL. */
struct cl_grpc_call *cl_grpc_call_take(struct cl_grpc_calls *calls, uint32_t id);

#endif
