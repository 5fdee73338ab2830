/* tries.h - how often one endpoint is asked, and how long is waited in between. Pure, but for
 * the randomness that is passed in.
 *
 * Waits double from a fifth of a second to five seconds, each spread over its upper half, so
 * that many clients of a registry that comes back don't come all at once. A server that says
 * how long (Retry-After) is waited for as long as it says, up to a bound.
 */
#ifndef CL_HELPERS_FETCH_TRIES_H
#define CL_HELPERS_FETCH_TRIES_H

#include "base/clock.h"
#include "base/error.h"

enum {
    CL_TRIES_ORIGIN = 5,  /* failures in a row */
    CL_TRIES_MIRROR = 2,  /* for there is somebody else to ask */
    CL_TRIES_CONNECT = 2, /* and for a first answer: each try is half a minute */
    CL_TRIES_ALL = 200,   /* of one request, however much each brought */
};

/* A server that wants more is left alone. */
#define CL_LONGEST_RETRY_AFTER_NS (60 * CL_NS_PER_S)

struct cl_tries {
    unsigned int in_row; /* failures since something came */
    unsigned int all;
};

/* What a Retry-After header says, in nanoseconds from now: delay seconds or an HTTP date (RFC
 * 9110, 10.2.3). -EINVAL where it says nothing that can be read. */
int cl_retry_after(const char *text, uint64_t wall_ns, uint64_t *ret_ns);

/* Counts a failure. 1: ask again after *RET_NS; 0: enough. MOST is how many in a row are too
 * many. RANDOM is any number. */
int cl_tries_again(struct cl_tries *tries, unsigned int most, uint32_t random, uint64_t *ret_ns);

/* So much came that what failed before counts no more. */
void cl_tries_progressed(struct cl_tries *tries);

#endif
