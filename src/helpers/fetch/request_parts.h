/* request_parts.h - what the two halves of a request share: request.c has its endpoints and
 * states, request_answers.c what answers mean. */
#ifndef CL_HELPERS_FETCH_REQUEST_PARTS_H
#define CL_HELPERS_FETCH_REQUEST_PARTS_H

#include "helpers/fetch/blob.h"
#include "helpers/fetch/request.h"
#include "helpers/fetch/tries.h"

enum { CL_SCOPE_SIZE = 300 };

enum cl_request_state {
    CL_REQUEST_ASKING,
    CL_REQUEST_WAITING_TOKEN,
    CL_REQUEST_WAITING_TIME, /* until wake_ns */
    CL_REQUEST_REPORTING,    /* all is done but the last report */
    CL_REQUEST_OVER,
};

struct cl_request {
    struct cl_request_host host;
    struct cl_arena arena;
    struct cl_fetch_request what;
    char *message; /* what `what` points into; owned */
    size_t message_size;
    enum cl_request_state state;
    uint64_t wake_ns;

    size_t endpoint; /* the one that is asked */
    struct cl_door *door;
    char scope[CL_SCOPE_SIZE];
    struct cl_token_wait wait;
    uint64_t serial; /* of the token that the question came with */
    unsigned int refusals;
    int challenged; /* by this endpoint, and not only somebody else who asked it */
    int plainly;    /* without what the door is thought to want, for it can't be had */
    struct cl_tries tries;
    struct cl_exchange exchange;

    int body;               /* MANIFEST: owned; -1 */
    struct cl_buf manifest; /* gathered here, so that of two answers none is mixed */
    struct cl_blob blob;
    uint64_t asked_from;     /* BLOB: the Range of the question */
    uint64_t forgiven_bytes; /* BLOB: what there was when failures were forgiven */
    uint64_t flushed_ns;
    int no_range;    /* this endpoint can't do it */
    int wrong_range; /* that was found out just now */

    struct cl_buf mirrors; /* what is to be said of those that failed */
    struct cl_error failure;
    struct cl_fetch_report report; /* the last one */
    uint64_t reported_ns;
    uint64_t reported_bytes;
};

extern const struct cl_exchange_owner cl_request_answers;

int cl_request_is_last_endpoint(const struct cl_request *request);

/* What follows an answer, one of them: */
void cl_request_ask(struct cl_request *request);
/* The same endpoint, after a while of at least LEAST_NS; not more than MOST times in a row. */
struct cl_again {
    unsigned int most;
    uint64_t least_ns;
};
void cl_request_ask_again(struct cl_request *request, const struct cl_again *again,
                          const struct cl_error *why);
/* The next endpoint, or the end where there is none. */
void cl_request_give_up_endpoint(struct cl_request *request, const struct cl_error *why);
void cl_request_fail(struct cl_request *request, const struct cl_error *why);
/* REPORT is all but who and where. */
void cl_request_succeed(struct cl_request *request, const struct cl_fetch_report *report);

#endif
