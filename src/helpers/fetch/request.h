/* request.h - one request of the core, from its endpoints to its last report.
 *
 * The endpoints are asked in order. One that isn't there, isn't trusted, lacks what is asked
 * for or doesn't let us in is followed by the next at once; one that breaks off or is busy is
 * asked again a few times first. What a blob has by then is kept, and the next question is for
 * the rest. The failure that is reported is that of the last endpoint, the origin, with a word
 * about the mirrors before it.
 *
 * Owner: whoever holds the pointer. Nothing is freed while the request's own functions run:
 * the owner looks at cl_request_is_over after each round.
 */
#ifndef CL_HELPERS_FETCH_REQUEST_H
#define CL_HELPERS_FETCH_REQUEST_H

#include "helpers/fetch/auth.h"
#include "oci/fetch.h"

struct cl_request;

/* Sends REPORT to the core; -EAGAIN when that can't be now. */
typedef int (*cl_request_report)(void *context, const struct cl_fetch_report *report);

struct cl_request_host {
    struct cl_net *net;
    struct cl_auth *auth;
    cl_request_report report;
    void *context;
};

/* BYTES is a message of cl_fetch_request_shape, FDS what came with it (-1: none), which is
 * taken over. NULL: it is no such message, and the core has gone mad; or out of memory. A request
 * that can't be met is made all the same, and reports that. */
struct cl_request *cl_request_new(const struct cl_request_host *host, const struct cl_bytes *bytes,
                                  int fds[2], struct cl_error *err);
void cl_request_free(struct cl_request *request);

/* What is due: asking again, writing, telling. When the next is, UINT64_MAX for never. */
uint64_t cl_request_tick(struct cl_request *request, uint64_t now_ns);
/* A pipe whose reader is behind, to be waited for; -1. */
int cl_request_slow_pipe(const struct cl_request *request);
int cl_request_is_over(const struct cl_request *request);

#endif
